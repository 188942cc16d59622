package names

import (
	"slices"
	"strings"
	"unicode"
)

// Parameters of Punycode, RFC 3492, section 5.
const (
	base, tmin, tmax, skew, damp = 36, 1, 26, 38, 700
	initialBias, initialN        = 72, 128
	// maxLabel is the longest label, in bytes (RFC 1035), and the most that one decodes to,
	// in characters.
	maxLabel = 63
)

// Punycode decodes a label of a host without its prefix "xn--", RFC 3492, section 6.2; ok
// is false if it is none.
func Punycode(text string) (label string, ok bool) {
	if len(text) > maxLabel {
		return "", false
	}
	var out []rune
	if i := strings.LastIndexByte(text, '-'); i >= 0 {
		out, text = []rune(text[:i]), text[i+1:]
	}
	n, i, bias := initialN, 0, initialBias
	for len(text) > 0 {
		before, weight := i, 1
		for k := base; ; k += base {
			if text == "" {
				return "", false
			}
			digit := strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789", text[0])
			text = text[1:]
			if digit < 0 || weight > unicode.MaxRune {
				return "", false
			}
			i += digit * weight
			t := min(max(k-bias, tmin), tmax)
			if digit < t {
				break
			}
			weight *= base - t
		}
		if len(out) == maxLabel {
			return "", false
		}
		bias = adapt(i-before, len(out)+1, before == 0)
		n += i / (len(out) + 1)
		i %= len(out) + 1
		if n > unicode.MaxRune {
			return "", false
		}
		out = slices.Insert(out, i, rune(n))
		i++
	}
	return string(out), true
}

// adapt is RFC 3492, section 6.1.
func adapt(delta, count int, first bool) int {
	if first {
		delta /= damp
	} else {
		delta /= 2
	}
	delta += delta / count
	k := 0
	for delta > (base-tmin)*tmax/2 {
		delta /= base - tmin
		k += base
	}
	return k + (base-tmin+1)*delta/(delta+skew)
}
