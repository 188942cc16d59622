package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"time"
	"unicode/utf8"

	"gatehouse/internal/wire"
)

// appendBody appends the members of r between time and hash. Lines are written
// by hand because this stands on the path of every call.
func appendBody(b []byte, r *Record) ([]byte, error) {
	b = append(b, `"kind":`...)
	b = appendString(b, string(r.Kind))
	b = appendText(b, `,"exchange":`, r.Exchange)
	b = appendText(b, `,"principal":`, r.Principal)
	b = appendTexts(b, `,"teams":`, r.Teams)
	b = appendText(b, `,"client":`, r.Client)
	b = appendText(b, `,"session":`, r.Session)
	b = appendText(b, `,"mount":`, r.Mount)
	b = appendText(b, `,"server":`, r.Server)
	b = appendText(b, `,"method":`, r.Method)
	b = appendText(b, `,"target":`, r.Target)
	b = appendText(b, `,"direction":`, r.Direction)
	b = appendText(b, `,"decision":`, r.Decision)
	b = appendText(b, `,"reason":`, r.Reason)
	b = appendText(b, `,"rule":`, r.Rule)
	b = appendTexts(b, `,"policies":`, r.Policies)
	b = appendTexts(b, `,"would":`, r.Would)
	b = appendAsked(b, r.Asked)
	b = appendText(b, `,"detail":`, r.Detail)
	if len(r.Findings) > 0 {
		findings, err := json.Marshal(r.Findings)
		if err != nil {
			return b, fmt.Errorf("%w: encoding findings: %w", ErrRefused, err)
		}
		b = append(b, `,"findings":`...)
		b = append(b, findings...)
	}
	b = appendText(b, `,"argumentsDigest":`, r.ArgumentsDigest)
	b = appendText(b, `,"resultDigest":`, r.ResultDigest)
	b = appendRaw(b, `,"arguments":`, r.Arguments, r.ArgumentsCut)
	b = appendRaw(b, `,"result":`, r.Result, r.ResultCut)
	b = appendTrue(b, `,"argumentsCut":`, r.ArgumentsCut)
	b = appendTrue(b, `,"resultCut":`, r.ResultCut)
	b = appendNumber(b, `,"bytesIn":`, int64(r.BytesIn))
	b = appendNumber(b, `,"bytesOut":`, int64(r.BytesOut))
	b = appendNumber(b, `,"micros":`, r.Micros)
	return b, nil
}

func appendAsked(b []byte, a *Asked) []byte {
	if a == nil {
		return b
	}
	b = append(b, `,"asked":`...)
	start := len(b)
	b = appendText(b, `,"name":`, a.Name)
	b = appendText(b, `,"means":`, a.Means)
	b = appendText(b, `,"issuer":`, a.Issuer)
	b = appendText(b, `,"tokenClient":`, a.TokenClient)
	b = appendTexts(b, `,"scopes":`, a.Scopes)
	b = appendText(b, `,"address":`, a.Address)
	if a.Score != 0 {
		b = strconv.AppendFloat(append(b, `,"score":`...), a.Score, 'f', -1, 64)
	}
	b = appendTexts(b, `,"conversation":`, a.Conversation)
	if len(b) == start {
		return append(b, `{}`...)
	}
	b[start] = '{' // in the place of the first comma
	return append(b, '}')
}

// timeFormat is RFC 3339 with a fixed number of digits, so that records of
// several logs sort as text.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// clock writes times in that form. All but the last digits is the same for every
// record of a second.
type clock struct {
	second int64
	text   []byte
}

// stamp is valid until the next call. t must be UTC.
func (c *clock) stamp(t time.Time) []byte {
	if second := t.Unix(); c.text == nil || second != c.second {
		c.second, c.text = second, t.AppendFormat(c.text[:0], timeFormat)
		return c.text
	}
	micros := t.Nanosecond() / 1000
	for i := len(timeFormat) - 2; timeFormat[i] != '.'; i-- {
		c.text[i] = byte('0' + micros%10)
		micros /= 10
	}
	return c.text
}

// The functions below append a member unless its value is empty. The member is
// given as it stands before the value, so that it is one copy.

func appendText(b []byte, member, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, member...), value)
}

func appendTexts(b []byte, member string, values []string) []byte {
	if len(values) == 0 {
		return b
	}
	b = append(append(b, member...), '[')
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, value)
	}
	return append(b, ']')
}

func appendTrue(b []byte, member string, value bool) []byte {
	if !value {
		return b
	}
	return append(append(b, member...), "true"...)
}

func appendNumber(b []byte, member string, value int64) []byte {
	if value == 0 {
		return b
	}
	return strconv.AppendInt(append(b, member...), value, 10)
}

// appendRaw appends a JSON value as it is, on one line. A value that was cut, and
// whatever else is not strict JSON, becomes a JSON string: no bytes of a client or
// server can make a line unreadable.
func appendRaw(b []byte, member string, value json.RawMessage, wasCut bool) []byte {
	if len(value) == 0 && !wasCut {
		return b
	}
	b = append(b, member...)
	if wasCut || !wire.Valid(value) {
		return appendString(b, value)
	}
	start := len(b)
	b = append(b, value...)
	// Inside of JSON strings a line break is always escaped, so these are
	// white space between tokens.
	for rest := b[start:]; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return b
		}
		rest[i] = ' '
		rest = rest[i+1:]
	}
}

// text is what appendString writes.
type text interface{ string | json.RawMessage }

// appendString appends s as a JSON string. Control characters are escaped, also
// DEL and the C1 block, which a terminal could obey when the file is shown;
// invalid UTF-8 becomes U+FFFD.
func appendString[S text](b []byte, s S) []byte {
	b = append(b, '"')
	from := 0
	for i := plainRun(s, 0); i < len(s); i = plainRun(s, i) {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			if r > 0x9f && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
		}
		b = append(b, s[from:i]...)
		b = appendEscape(b, r)
		i += size
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

const (
	ones = 0x0101010101010101 // times a byte: that byte eight times
	tops = 0x8080808080808080
)

// plainRun returns where, from i on, the first byte stands that is not printable
// ASCII, or is a quotation mark or a backslash. It looks at eight bytes at a time.
func plainRun[S text](s S, i int) int {
	for ; i+8 <= len(s); i += 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		// A byte of hit has its top bit set where a byte of x is to be found. A borrow
		// sets bits above such a byte only, and the lowest is the one that counts.
		quote, slash, del := x^(ones*'"'), x^(ones*'\\'), x^(ones*0x7f)
		hit := (x | (x - ones*0x20) | (quote - ones) | (slash - ones) | (del - ones)) & tops
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

const hexDigits = "0123456789abcdef"

// appendEscape writes a quotation mark, a backslash, a control character or
// U+FFFD as JSON wants it.
func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, '\\', 'n')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
