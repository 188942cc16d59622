package media

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"html"
)

// svg is a text. What it says is kept without its tags, too: a sentence may be spread
// over many of them.
func (r *reader) svg(raw []byte) {
	var said []byte
	for rest := raw; len(rest) > 0 && len(said) <= MaxText; {
		open := bytes.IndexByte(rest, '<')
		if open < 0 {
			said = append(said, rest...)
			break
		}
		if text := bytes.TrimSpace(rest[:open]); len(text) > 0 {
			said = append(append(said, text...), ' ')
		}
		rest = rest[open:]
		ends := ">"
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			ends = "-->"
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			ends = "]]>"
		}
		end := bytes.Index(rest, []byte(ends))
		if end < 0 {
			break
		}
		if ends == "]]>" {
			said = append(append(said, rest[len("<![CDATA["):end]...), ' ')
		}
		rest = rest[end+len(ends):]
	}
	r.say([]byte(html.UnescapeString(string(said[:min(len(said), MaxText)]))))
	r.plain(raw)
}

// gzip is a name and a comment in the header, and what was packed.
func (r *reader) gzip(raw []byte) {
	unpacked, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return
	}
	r.say([]byte(unpacked.Name))
	r.say([]byte(unpacked.Comment))
	text := r.unpack(unpacked, MaxText)
	if t := Sniff(text); t.Textual() {
		r.plain(text)
	}
}

// zip goes through the list at the end of an archive: names, extra fields, comments.
func (r *reader) zip(raw []byte) {
	const endSize, longestComment = 22, 1<<16 - 1
	tail := raw[max(0, len(raw)-endSize-longestComment):]
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || at+endSize > len(tail) {
		r.localNames(raw)
		return
	}
	end := tail[at:]
	comment := int(binary.LittleEndian.Uint16(end[20:]))
	r.say(end[endSize:min(endSize+comment, len(end))])
	r.trailing(end[min(endSize+comment, len(end)):])
	// What the end says of the list's place is of no use where something stands before
	// the archive; the list lies right before its end.
	size := uint64(binary.LittleEndian.Uint32(end[12:]))
	stop := uint64(len(raw) - len(tail) + at)
	if size > stop {
		r.localNames(raw)
		return
	}
	for b := raw[stop-size : stop]; len(b) >= 46 && string(b[:4]) == "PK\x01\x02"; {
		const head = 46
		name, extra, comment := int(binary.LittleEndian.Uint16(b[28:])), int(binary.LittleEndian.Uint16(b[30:])), int(binary.LittleEndian.Uint16(b[32:]))
		take := func(size int) []byte {
			part := b[:min(size, len(b))]
			b = b[len(part):]
			return part
		}
		take(head)
		r.say(take(name))
		r.runs(take(extra))
		r.say(take(comment))
	}
}

// localNames are the names before the files, of an archive whose list is lost.
func (r *reader) localNames(raw []byte) {
	const head = 30
	mark := []byte("PK\x03\x04")
	for {
		at := bytes.Index(raw, mark)
		if at < 0 || at+head > len(raw) {
			return
		}
		name := int(binary.LittleEndian.Uint16(raw[at+26:]))
		raw = raw[at+head:]
		r.say(raw[:min(name, len(raw))])
	}
}

const (
	// maxStream is how much of one packed stream of a document is looked at, in bytes:
	// the text of a page fits, and most of a picture is left out.
	maxStream = 256 << 10
	// longestString bounds one string of a document: the language allows 32,767 bytes.
	longestString = 1 << 16
)

// pdf keeps the strings of a document: what it says of itself and the text of its
// pages, as far as it is written in plain or packed with zlib. Nothing is drawn, so
// text in fonts of its own coding is not read.
func (r *reader) pdf(raw []byte) {
	for len(raw) > 0 && !r.file.Cut {
		at := bytes.Index(raw, []byte("stream"))
		if at < 0 {
			r.pdfStrings(raw)
			return
		}
		r.pdfStrings(raw[:at])
		dictionary := raw[max(0, at-1<<10):at]
		if from := bytes.LastIndex(dictionary, []byte("obj")); from >= 0 {
			dictionary = dictionary[from:]
		}
		body := bytes.TrimLeft(raw[at+len("stream"):], "\r\n")
		end := bytes.Index(body, []byte("endstream"))
		if end < 0 {
			end = len(body)
		}
		r.pdfStream(dictionary, body[:end])
		raw = body[min(end+len("endstream"), len(body)):]
	}
}

func (r *reader) pdfStream(dictionary, body []byte) {
	switch {
	case bytes.Contains(dictionary, []byte("/FlateDecode")) || bytes.Contains(dictionary, []byte("/Fl ")):
		if bytes.Contains(dictionary, []byte("/Image")) {
			return
		}
		body = r.inflate(body, maxStream)
	case bytes.Contains(dictionary, []byte("/Filter")):
		return
	}
	if isText(body[:min(len(body), sniffed)]) && bytes.Contains(body[:min(len(body), sniffed)], []byte("<x:xmpmeta")) {
		r.say(body)
		return
	}
	r.pdfStrings(body)
}

// pdfStrings keeps literal (…) and hexadecimal <…> strings. Those of one array […] are
// pieces of one text, with the distances between them.
func (r *reader) pdfStrings(b []byte) {
	var pieces []byte
	inArray := false
	flush := func() {
		r.sayMarked(pieces)
		pieces = pieces[:0]
	}
	for at := 0; at < len(b) && !r.file.Cut; {
		switch b[at] {
		case '(':
			text, end := pdfLiteral(b, at)
			pieces = append(pieces, text...)
			at = end
		case '<':
			text, end := pdfHex(b, at)
			pieces = append(pieces, text...)
			at = end
		case '[':
			inArray = true
			at++
			continue
		case ']':
			inArray = false
			at++
		case '%':
			end := bytes.IndexAny(b[at:min(len(b), at+longestString)], "\r\n")
			if end < 0 {
				end = min(len(b)-at, longestString)
			}
			r.runs(b[at+1 : at+max(end, 1)]) // a comment
			at += max(end, 1)
			continue
		default:
			at++
			continue
		}
		if !inArray || len(pieces) > longestString {
			flush()
		}
	}
	flush()
}

// pdfLiteral is a string in parentheses, which may stand in it in pairs.
func pdfLiteral(b []byte, at int) (text []byte, end int) {
	escapes := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': ' ', 'f': ' '}
	depth := 0
	for end = at; end < len(b) && end-at < longestString; end++ {
		c := b[end]
		switch {
		case c == '\\' && end+1 < len(b):
			end++
			switch e := b[end]; {
			case '0' <= e && e <= '7':
				value := 0
				n := end
				for ; n < len(b) && n < end+3 && '0' <= b[n] && b[n] <= '7'; n++ {
					value = value*8 + int(b[n]-'0')
				}
				end = n - 1
				c = byte(value)
			case e == '\n' || e == '\r':
				continue // the line goes on
			case escapes[e] != 0:
				c = escapes[e]
			default:
				c = e
			}
		case c == '(':
			if depth++; depth == 1 {
				continue
			}
		case c == ')':
			if depth--; depth == 0 {
				return text, end + 1
			}
		}
		text = append(text, c)
	}
	return text, end
}

// pdfHex is a string of hexadecimal digits; a dictionary, which begins like one, is
// none.
func pdfHex(b []byte, at int) (text []byte, end int) {
	if at+1 < len(b) && b[at+1] == '<' {
		return nil, at + 2
	}
	digits, value := 0, byte(0)
	for end = at + 1; end < len(b) && end-at < longestString; end++ {
		c := b[end]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		case c == '>':
			if digits%2 == 1 {
				text = append(text, value<<4)
			}
			return text, end + 1
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
			continue
		default:
			return nil, end
		}
		if digits++; digits%2 == 0 {
			text = append(text, value<<4|c)
		}
		value = c
	}
	return text, end
}
