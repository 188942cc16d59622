package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	b = appendText(b, "exchange", r.Exchange)
	b = appendText(b, "principal", r.Principal)
	b = appendText(b, "client", r.Client)
	b = appendText(b, "session", r.Session)
	b = appendText(b, "mount", r.Mount)
	b = appendText(b, "server", r.Server)
	b = appendText(b, "method", r.Method)
	b = appendText(b, "target", r.Target)
	b = appendText(b, "direction", r.Direction)
	b = appendText(b, "decision", r.Decision)
	b = appendText(b, "reason", r.Reason)
	b = appendText(b, "rule", r.Rule)
	b = appendText(b, "detail", r.Detail)
	if len(r.Findings) > 0 {
		findings, err := json.Marshal(r.Findings)
		if err != nil {
			return b, fmt.Errorf("%w: encoding findings: %w", ErrRefused, err)
		}
		b = append(b, `,"findings":`...)
		b = append(b, findings...)
	}
	b = appendText(b, "argumentsDigest", r.ArgumentsDigest)
	b = appendText(b, "resultDigest", r.ResultDigest)
	b = appendRaw(b, "arguments", r.Arguments)
	b = appendRaw(b, "result", r.Result)
	b = appendTrue(b, "argumentsCut", r.ArgumentsCut)
	b = appendTrue(b, "resultCut", r.ResultCut)
	b = appendNumber(b, "bytesIn", int64(r.BytesIn))
	b = appendNumber(b, "bytesOut", int64(r.BytesOut))
	b = appendNumber(b, "micros", r.Micros)
	return b, nil
}

// timeFormat is RFC 3339 with a fixed number of digits, so that records of
// several logs sort as text.
const timeFormat = "2006-01-02T15:04:05.000000Z"

func appendTime(b []byte, t time.Time) []byte {
	return t.AppendFormat(b, timeFormat)
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(appendName(b, name), value)
}

func appendTrue(b []byte, name string, value bool) []byte {
	if !value {
		return b
	}
	return append(appendName(b, name), "true"...)
}

func appendNumber(b []byte, name string, value int64) []byte {
	if value == 0 {
		return b
	}
	return strconv.AppendInt(appendName(b, name), value, 10)
}

// appendRaw appends a JSON value as it is, on one line. What is not strict JSON,
// for example because it was cut in the middle, becomes a JSON string: no bytes
// of a client or server can make a line unreadable.
func appendRaw(b []byte, name string, value json.RawMessage) []byte {
	if len(value) == 0 {
		return b
	}
	b = appendName(b, name)
	if _, err := wire.Scan(value, wire.Limits{}); err != nil {
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

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Control characters are escaped, also
// DEL and the C1 block, which a terminal could obey when the file is shown;
// invalid UTF-8 becomes U+FFFD.
func appendString[S string | json.RawMessage](b []byte, s S) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			r, size = decodeRune(s[i:])
			if r > 0x9f && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
			b = append(b, s[from:i]...)
			b = appendEscape(b, r)
		} else {
			b = append(b, s[from:i]...)
			b = appendEscape(b, rune(c))
		}
		i += size
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

func decodeRune[S string | json.RawMessage](s S) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}

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
