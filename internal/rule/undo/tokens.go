package undo

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// shortestToken is the length of a run of Base64 or hexadecimal digits from which
	// it is looked at, in bytes. Shorter ones say little and are everywhere.
	shortestToken = 16
	// phaseLook is how much of a run is decoded to see whether it is text.
	phaseLook = 24
)

// value64 are the digits of Base64, of both alphabets, and -1.
var value64 = func() (table [256]int8) {
	for i := range table {
		table[i] = -1
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		table[c] = int8(i)
	}
	table['-'], table['_'] = 62, 63
	return table
}()

// tokens finds runs of Base64, Base32 and digits. A run covers one of the places that
// are looked at, and most of those stand in words that are too short.
func (r *runs) tokens(text string) {
	for p := shortestToken - 1; p < len(text); {
		start := p
		for start >= 0 && p-start < shortestToken && value64[text[start]] >= 0 {
			start--
		}
		if p-start < shortestToken { // no run from before start
			p = start + shortestToken
			continue
		}
		for start >= 0 && value64[text[start]] >= 0 {
			start--
		}
		start++
		end := p + 1
		for end < len(text) && value64[text[end]] >= 0 {
			end++
		}
		p = r.token(text, start, end) + shortestToken - 1
	}
}

// token reads a run and returns how far it went.
func (r *runs) token(text string, start, end int) int {
	for _, way := range []func(r *runs, text string, start, end int) int{(*runs).digits, (*runs).base32, (*runs).all64} {
		if next := way(r, text, start, end); next > 0 {
			return next
		}
	}
	// A path or a name can stand before: dir/aWdub3Jl….
	for _, part := range paths(text, start, end) {
		if next := r.base64(text, part[0], part[0], part[1]); next > 0 {
			return max(next, end)
		}
	}
	return end
}

// all64 reads what a run holds in Base64: text can stand behind something else, and
// behind the end of one text another that is glued to it.
func (r *runs) all64(text string, start, end int) (furthest int) {
	for from := start; end-from >= shortestToken; {
		to := r.base64(text, start, from, end)
		if to == 0 {
			from += shortestToken
			continue
		}
		furthest = max(furthest, end, to)
		from = max(to, from+shortestToken)
		start = from
	}
	return furthest
}

// maxParts bounds into how many parts a run is split.
const maxParts = 8

func paths(text string, start, end int) (parts [][2]int) {
	if strings.IndexByte(text[start:end], '/') < 0 {
		return nil
	}
	for at := start; at < end && len(parts) < maxParts; {
		n := strings.IndexByte(text[at:end], '/')
		if n < 0 {
			n = end - at
		}
		if n >= shortestToken {
			parts = append(parts, [2]int{at, at + n})
		}
		at += n + 1
	}
	return parts
}

// digits reads hexadecimal and binary digits without signs between them.
func (r *runs) digits(text string, start, end int) int {
	from := start
	if end-from > 2 && text[from] == '0' && text[from+1]|0x20 == 'x' {
		from += 2
	}
	binary := true
	for i := from; i < end; i++ {
		if hexDigit[text[i]] < 0 {
			return 0
		}
		binary = binary && text[i] <= '1'
	}
	n := end - from
	switch {
	case binary && n%8 == 0 && n >= 2*shortestToken:
		plain := make([]byte, 0, n/8)
		for i := from; i < end; i += 8 {
			plain = append(plain, octet(text[i:i+8]))
		}
		return r.keep(start, end, Binary, plain)
	case n%2 != 0 || n < shortestToken:
		return 0
	}
	var buf [phaseLook]byte
	plain := buf[:0]
	for i := from; i < end; i += 2 {
		plain = append(plain, byte(hexValue(text, i, 2)))
		if len(plain) == phaseLook && readable(plain) == nil {
			return 0
		}
	}
	return r.keep(start, end, Hex, plain)
}

func octet(text string) (b byte) {
	for i := range len(text) {
		b = b<<1 | text[i]&1
	}
	return b
}

// base32 reads the alphabet of RFC 4648, in one case.
func (r *runs) base32(text string, start, end int) int {
	var buf [phaseLook]byte
	plain := buf[:0]
	acc, n := uint32(0), 0
	for i := start; i < end; i++ {
		c := text[i]
		switch {
		case letter(c) && c&0x20 == text[start]&0x20 || letter(c) && digit(text[start]):
			acc = acc<<5 | uint32(c|0x20-'a')
		case c >= '2' && c <= '7':
			acc = acc<<5 | uint32(c-'2'+26)
		default:
			return 0
		}
		if n += 5; n >= 8 {
			n -= 8
			plain = append(plain, byte(acc>>n))
			if len(plain) == phaseLook/2 && readable(plain) == nil {
				return 0
			}
		}
	}
	for end < len(text) && text[end] == '=' {
		end++
	}
	return r.keep(start, end, Base32, plain)
}

// base64 reads both alphabets, in lines or not, from a place in a run, and returns where
// the text ends, 0 if none stands there. A run that was cut, or that something stands
// before, need not begin with a whole group. What is text before the place, back to
// start, belongs to it.
func (r *runs) base64(text string, start, at, end int) int {
	for phase := range 4 {
		from := at + phase
		if end-from < shortestToken || !likely(text[from:min(end, from+phaseLook)]) {
			continue
		}
		var buf [phaseLook]byte
		first := decoder64{plain: buf[:0]}
		first.feed(text[from:min(end, from+phaseLook)])
		if readable(first.plain) == nil {
			continue
		}
		for from-4 >= start && printable(text[from-4:from]) {
			from -= 4
		}
		var d decoder64
		to := d.prefix(text, from, end)
		if to == end {
			to = d.lines(text, end)
		}
		for pad := 0; pad < 2 && to < len(text) && text[to] == '='; pad++ {
			to++
		}
		r.keep(from, to, Base64, d.plain)
		return to
	}
	return 0
}

// printable says whether a group of four digits is printable ASCII.
func printable(group string) bool {
	var buf [3]byte
	d := decoder64{plain: buf[:0]}
	d.feed(group)
	return !slices.ContainsFunc(d.plain, func(b byte) bool { return b < ' ' && !space(b) || b > '~' })
}

// likely says whether a run can be text in Base64: the first of four digits is high
// only where a byte beyond ASCII begins.
func likely(run string) bool {
	low := 0
	for i := 0; i < len(run); i += 4 {
		if value64[run[i]] < 32 {
			low++
		}
	}
	groups := (len(run) + 3) / 4
	if low >= groups-groups/8 {
		return true
	}
	// Another script has bytes beyond ASCII everywhere, and digits of all kinds.
	return strings.IndexFunc(run, unicode.IsUpper) >= 0 && strings.IndexFunc(run, unicode.IsLower) >= 0 && strings.IndexFunc(run, unicode.IsDigit) >= 0
}

type decoder64 struct {
	plain []byte
	acc   uint32
	n     int
}

func (d *decoder64) feed(run string) {
	for i := range len(run) {
		d.acc = d.acc<<6 | uint32(value64[run[i]])
		if d.n += 6; d.n >= 8 {
			d.n -= 8
			d.plain = append(d.plain, byte(d.acc>>d.n))
		}
	}
}

// prefix reads a run as far as it is text, by whole groups: something else can be glued
// to its end. It returns where that is.
func (d *decoder64) prefix(text string, from, end int) int {
	const chunk = 32
	for from < end {
		to := min(from+chunk, end)
		before := *d
		known := max(0, len(before.plain)-chunk/2) // a few bytes alone say little
		if d.feed(text[from:to]); readable(d.plain[known:]) == nil {
			*d = before
			break
		}
		from = to
	}
	return from
}

// lines goes on with the runs of the next lines, as long as they are text.
func (d *decoder64) lines(text string, end int) int {
	for {
		at := end
		for at < len(text) && at-end < 8 && strings.IndexByte("\r\n \t>", text[at]) >= 0 {
			at++
		}
		if at == end || strings.IndexByte(text[end:at], '\n') < 0 {
			return end
		}
		to := at
		for to < len(text) && value64[text[to]] >= 0 {
			to++
		}
		before := *d
		if d.feed(text[at:to]); to == at || readable(d.plain[len(before.plain):]) == nil {
			*d = before
			return end
		}
		end = to
	}
}

func (r *runs) keep(start, end int, way Way, plain []byte) int {
	if plain = readable(plain); plain == nil {
		return 0
	}
	r.add(start, end, way, string(plain))
	return end
}

const (
	// shortestPlain is how many bytes must be decoded to tell text from chance.
	shortestPlain = 4
	// longPlain is how many characters are text by chance so seldom that they may hold
	// more signs: addresses, markup.
	longPlain = 16
)

// readable is the text in decoded bytes, or nil if they are none: valid UTF-8, or
// UTF-16, of which most are letters and spaces and nearly none control characters. A
// character at either end may be cut.
func readable(plain []byte) []byte {
	if len(plain) < shortestPlain {
		return nil
	}
	plain = narrow(plain)
	for i := 0; i < utf8.UTFMax-1 && len(plain) > 0 && !utf8.RuneStart(plain[0]); i++ {
		plain = plain[1:]
	}
	if n := len(plain) - 1; n > 0 {
		for n > 0 && n > len(plain)-utf8.UTFMax && !utf8.RuneStart(plain[n]) {
			n--
		}
		if !utf8.FullRune(plain[n:]) {
			plain = plain[:n]
		}
	}
	letters, total := 0, 0
	for i := 0; i < len(plain); {
		c, size := rune(plain[i]), 1
		if c >= utf8.RuneSelf {
			if c, size = utf8.DecodeRune(plain[i:]); c == utf8.RuneError && size == 1 {
				return nil
			}
		}
		i += size
		switch {
		case c < ' ' && !space(byte(c)) || c == 0x7f:
			return nil
		case c < utf8.RuneSelf && (alnum(byte(c)) || space(byte(c))), c >= utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsMark(c)):
			letters++
		}
		total++
	}
	if share := total * 7 / 10; total < shortestPlain || total < longPlain && letters < share || letters < total*2/5 {
		return nil
	}
	return plain
}

// narrow takes the zero bytes out of UTF-16 that holds ASCII.
func narrow(plain []byte) []byte {
	if len(plain) < 2*shortestPlain || bytes.IndexByte(plain, 0) < 0 || bytes.Count(plain, []byte{0}) < len(plain)/3 {
		return plain
	}
	return bytes.ReplaceAll(plain, []byte{0}, nil)
}
