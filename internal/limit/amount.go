package limit

import (
	"errors"
	"math/bits"
	"strings"
)

// Amount is what is counted: requests, bytes, or a decimal number in units of
// 10^-18. 128 bits hold any sum of decimal numbers exactly; floating point would
// let 0.1 be taken eleven times from 1.
type Amount struct{ hi, lo uint64 }

// fraction is the number of decimal digits behind the point. It is what
// currencies use at most (one wei is 10^-18 ether).
const fraction = 18

// whole is the number of decimal digits before the point: with fraction digits
// behind it, 36 digits stay below 2^120, so that a sum of two does not overflow.
const whole = 18

// maxLiteral bounds a number literal that is worth reading.
const maxLiteral = 64

var (
	errNegative = errors.New("it is negative")
	errPrecise  = errors.New("it has more than 18 digits behind the point")
	errLarge    = errors.New("it has more than 18 digits before the point")
	errNumber   = errors.New("it is no number")
)

// Count is an amount of whole things; n is not negative.
func Count(n int64) Amount { return Amount{lo: uint64(n)} }

func (a Amount) isZero() bool { return a == Amount{} }

// less compares.
func (a Amount) less(b Amount) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// plus is the sum, or the largest Amount there is: too much is never little.
func (a Amount) plus(b Amount) Amount {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, carry := bits.Add64(a.hi, b.hi, carry)
	if carry != 0 {
		return Amount{^uint64(0), ^uint64(0)}
	}
	return Amount{hi, lo}
}

// minus is the difference, or nothing.
func (a Amount) minus(b Amount) Amount {
	if a.less(b) {
		return Amount{}
	}
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return Amount{hi, lo}
}

// timesTenPlus appends a digit. Callers append at most whole+fraction.
func (a Amount) timesTenPlus(digit byte) Amount {
	carry, lo := bits.Mul64(a.lo, 10)
	return Amount{a.hi*10 + carry, lo}.plus(Amount{lo: uint64(digit)})
}

// parseAmount reads a JSON number literal, exactly or not at all.
func parseAmount[text string | []byte](literal text) (Amount, error) {
	if len(literal) == 0 || len(literal) > maxLiteral {
		return Amount{}, errNumber
	}
	negative := literal[0] == '-'
	if negative {
		literal = literal[1:]
	}
	var a Amount
	digits, point, exponent, pointSeen := 0, 0, 0, false
	for i := range len(literal) {
		c := literal[i]
		switch {
		case c >= '0' && c <= '9':
			if !pointSeen {
				point++
			}
			if digits == 0 && c == '0' {
				point-- // a leading zero, before or behind the point, only moves it
				continue
			}
			if digits++; digits > whole+fraction {
				if c != '0' {
					return Amount{}, errPrecise
				}
				continue // it counts as a place, see below
			}
			a = a.timesTenPlus(c - '0')
		case c == '.' && !pointSeen:
			pointSeen = true
		case c == 'e' || c == 'E':
			var err error
			if exponent, err = parseExponent(literal[i+1:]); err != nil {
				return Amount{}, err
			}
			return a.scaled(digits, point+exponent, negative)
		default:
			return Amount{}, errNumber
		}
	}
	return a.scaled(digits, point, negative)
}

// scaled is the number whose digits were read and whose point stands behind the
// first point of them.
func (a Amount) scaled(digits, point int, negative bool) (Amount, error) {
	switch {
	case a.isZero():
		return a, nil // however it is written
	case negative:
		return Amount{}, errNegative
	case point > whole:
		return Amount{}, errLarge
	}
	read := min(digits, whole+fraction)
	for ; read-point < fraction; read++ {
		a = a.timesTenPlus(0)
	}
	for ; read-point > fraction; read-- { // only zeros may be beyond
		quotient, rest := a.tenth()
		if rest != 0 {
			return Amount{}, errPrecise
		}
		a = quotient
	}
	return a, nil
}

// tenth divides by ten.
func (a Amount) tenth() (quotient Amount, rest uint64) {
	hi, rest := a.hi/10, a.hi%10
	lo, rest := bits.Div64(rest, a.lo, 10)
	return Amount{hi, lo}, rest
}

func parseExponent[text string | []byte](digits text) (int, error) {
	sign := 1
	if len(digits) > 0 && (digits[0] == '+' || digits[0] == '-') {
		if digits[0] == '-' {
			sign = -1
		}
		digits = digits[1:]
	}
	n := 0
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, errNumber
		}
		n = min(n*10+int(c-'0'), 10*maxLiteral) // beyond any number that fits
	}
	if len(digits) == 0 {
		return 0, errNumber
	}
	return sign * n, nil
}

// decimal writes the amount in units of 10^-18 as people do.
func (a Amount) decimal() string {
	digits := a.digits()
	if len(digits) <= fraction {
		digits = strings.Repeat("0", fraction+1-len(digits)) + digits
	}
	integer, rest := digits[:len(digits)-fraction], strings.TrimRight(digits[len(digits)-fraction:], "0")
	if rest == "" {
		return integer
	}
	return integer + "." + rest
}

// digits writes the amount as a whole number.
func (a Amount) digits() string {
	var out [40]byte
	at := len(out)
	for {
		quotient, rest := a.tenth()
		at--
		out[at] = '0' + byte(rest)
		if a = quotient; a.isZero() {
			return string(out[at:])
		}
	}
}
