package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of one response. What two readers could take for two different messages
// is refused rather than repaired (RFC 9112, 11.2).
const (
	maxHeadBytes = 64 << 10 // status line and fields; trailers likewise
	maxLineBytes = 16 << 10 // one of them: more than any cookie or token
	maxFields    = 256
	maxInterim   = 8   // 1xx responses ahead of the real one
	maxChunkLine = 256 // size and extensions, which nobody uses
)

// errHTTP is a response that is not valid HTTP/1.1.
var errHTTP = errors.New("no valid HTTP/1.1 response")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errHTTP, fmt.Sprintf(format, args...))
}

// readResponse reads the head of the response to req. The body is read from the
// connection as it comes; keep says whether the connection may be used again then.
func (c *conn) readResponse(req *http.Request, keep bool) (*http.Response, error) {
	for range maxInterim {
		text, err := c.readHead()
		if err != nil {
			return nil, err
		}
		resp, err := parseHead(text)
		if err != nil {
			return nil, err
		}
		switch {
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, malformed("it switches to another protocol")
		case resp.StatusCode < 200:
			continue // "A client MUST be able to parse one or more 1xx responses"
		}
		b := &body{c: c, keep: keep}
		resp.Request, resp.Body = req, b
		if err := b.frame(resp); err != nil {
			return nil, err
		}
		return resp, nil
	}
	return nil, malformed("over %d interim responses", maxInterim)
}

// readHead reads lines up to the empty one. Each ends in CR LF: a lone LF, which
// RFC 9112 allows to take, is where readers differ.
func (c *conn) readHead() (string, error) {
	var space [1 << 10]byte
	head := space[:0]
	for {
		line, err := readWireLine(c.r, maxLineBytes)
		if err != nil {
			return "", err
		}
		if len(line) == 0 {
			break
		}
		if head = append(append(head, line...), '\n'); len(head) > maxHeadBytes {
			return "", malformed("a head of over %d bytes", maxHeadBytes)
		}
	}
	return string(head), nil
}

// readWireLine is the next line without its CR LF. It is valid until the next read.
func readWireLine(r *bufio.Reader, limit int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(line) > limit+2:
		return nil, malformed("a line of over %d bytes", limit)
	case err != nil:
		return nil, noEOF(err)
	case len(line) < 2 || line[len(line)-2] != '\r':
		return nil, malformed("a line that does not end in CR LF")
	}
	return line[:len(line)-2], nil
}

// noEOF is err where the end may not be.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseHead reads a status line and fields, each of which ends in LF.
func parseHead(text string) (*http.Response, error) {
	line, fields, _ := strings.Cut(text, "\n")
	resp, err := parseStatus(line)
	if err != nil {
		return nil, err
	}
	resp.Header, err = parseFields(fields)
	return resp, err
}

// parseStatus reads "HTTP/1.1 200 OK". Many servers leave out the space that must
// stand behind a status without a text.
func parseStatus(line string) (*http.Response, error) {
	const start = len("HTTP/1.1 ")
	if len(line) < start+3 || line[:start-2] != "HTTP/1." || line[start-1] != ' ' || !isFieldValue(line) ||
		len(line) > start+3 && line[start+3] != ' ' {
		return nil, malformed("the status line %.40q", line)
	}
	minor := line[start-2]
	if minor != '0' && minor != '1' {
		return nil, malformed("the version %.8q", line)
	}
	code := line[start : start+3]
	if !isDigits(code) || code[0] < '1' || code[0] > '5' {
		return nil, malformed("the status %q", code)
	}
	status := int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	return &http.Response{
		Status: line[start:], StatusCode: status, Proto: line[:start-1], ProtoMajor: 1, ProtoMinor: int(minor - '0'),
	}, nil
}

// parseFields reads field lines.
func parseFields(text string) (http.Header, error) {
	count := strings.Count(text, "\n")
	if count > maxFields {
		return nil, malformed("over %d header fields", maxFields)
	}
	header := make(http.Header, count)
	values := make([]string, 0, count) // each field has a piece of it
	for len(text) > 0 {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		name, value, found := strings.Cut(line, ":")
		// A name that is no token is also a line that begins with a space, "obs-fold",
		// and one with a space before the colon, which "has led to security
		// vulnerabilities".
		if !found || !isToken(name) {
			return nil, malformed("the header field %.40q", line)
		}
		if value = strings.Trim(value, " \t"); !isFieldValue(value) {
			return nil, malformed("a control character in the header field %.40q", name)
		}
		name = http.CanonicalHeaderKey(name)
		if before := header[name]; before != nil {
			header[name] = append(before, value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return header, nil
}

// isToken follows RFC 9110, 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isFieldValue refuses control characters: "CR, LF, and NUL" are "invalid and
// dangerous", the others of no use.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// body is the body of a response. Reading it to its end gives the connection back.
type body struct {
	c       *conn
	framing framing
	left    int64 // bytes of the body, or of the chunk
	inside  bool  // a chunk was begun, whose line end is due
	keep    bool  // the connection can be used again
	wait    time.Duration
	err     error // what Read says from now on; c is no longer ours
}

type framing uint8

const (
	byLength framing = iota
	byChunks
	untilClose
)

// frame says where the body ends (RFC 9112, 6.3).
func (b *body) frame(resp *http.Response) error {
	lengths, encodings := resp.Header["Content-Length"], resp.Header["Transfer-Encoding"]
	resp.Close = resp.ProtoMinor == 0 || hasToken(resp.Header["Connection"], "close")
	b.keep, b.wait = b.keep && !resp.Close, idleWait(resp.Header["Keep-Alive"])
	length, err := contentLength(lengths)
	switch {
	case err != nil:
		return err
	case len(encodings) > 0 && len(lengths) > 0:
		return malformed("both Content-Length and Transfer-Encoding")
	case len(encodings) > 0 && resp.ProtoMinor == 0:
		return malformed("Transfer-Encoding in HTTP/1.0")
	case len(encodings) > 1 || len(encodings) == 1 && !strings.EqualFold(encodings[0], "chunked"):
		return malformed("the transfer encoding %.40q", encodings)
	}
	switch {
	case resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified:
		// "always terminated by the first empty line": what follows one that speaks of a
		// body nevertheless, might be that body.
		b.framing, b.keep = byLength, b.keep && len(encodings) == 0 && length <= 0
		length = 0
	case len(encodings) > 0:
		b.framing = byChunks
		delete(resp.Header, "Transfer-Encoding")
		delete(resp.Header, "Trailer")
	case len(lengths) > 0:
		b.framing, b.left = byLength, length
		resp.Header["Content-Length"] = lengths[:1]
	default:
		b.framing, b.keep = untilClose, false
	}
	resp.ContentLength = length
	if b.framing == byLength && b.left == 0 {
		b.finish(io.EOF)
	}
	return nil
}

// contentLength is the one length, -1 if there is none. "42, 42", which a
// recipient may take for 42, is refused.
func contentLength(values []string) (int64, error) {
	if len(values) == 0 {
		return -1, nil
	}
	for _, v := range values {
		if v != values[0] {
			return 0, malformed("several Content-Length that differ")
		}
	}
	length, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || !isDigits(values[0]) {
		return 0, malformed("the length %.40q", values[0])
	}
	return length, nil
}

// hasToken looks for a word in the lists that fields hold.
func hasToken(values []string, word string) bool {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), word) {
				return true
			}
		}
	}
	return false
}

// idleWait is how long the connection may be idle. "Keep-Alive: timeout=5" is how
// servers say when they close it; Node's do after five seconds.
func idleWait(values []string) time.Duration {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			seconds, found := strings.CutPrefix(strings.Trim(part, " \t"), "timeout=")
			if n, err := strconv.ParseUint(seconds, 10, 16); found && err == nil {
				return min(idleTimeout, time.Duration(n)*time.Second-idleMargin)
			}
		}
	}
	return idleTimeout
}

// Read returns what is there and waits only if nothing is, so that each event of a
// stream is read as soon as it was sent.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.framing == byChunks && b.left == 0 {
		if err := b.nextChunk(); err != nil {
			b.finish(err)
			return 0, b.err
		}
	}
	if b.framing != untilClose && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.c.r.Read(p)
	b.left -= int64(n)
	switch {
	case err != nil && b.framing != untilClose:
		b.finish(noEOF(err))
	case err != nil:
		b.finish(err)
	case b.framing == byLength && b.left == 0:
		b.finish(io.EOF)
	}
	return n, b.err
}

// nextChunk reads up to the data of the next chunk. The answer is io.EOF behind
// the last one.
func (b *body) nextChunk() error {
	if b.inside {
		if err := b.chunkEnd(); err != nil {
			return err
		}
	}
	line, err := readWireLine(b.c.r, maxChunkLine)
	if err != nil {
		return err
	}
	if b.left, err = chunkSize(string(line)); err != nil {
		return err
	}
	if b.inside = b.left > 0; b.inside {
		return nil
	}
	trailer, err := b.c.readHead()
	if err != nil {
		return err
	}
	if _, err := parseFields(trailer); err != nil { // and forget them: none means anything to us
		return err
	}
	return io.EOF
}

// chunkEnd reads the line end behind the data of a chunk.
func (b *body) chunkEnd() error {
	for _, want := range []byte("\r\n") {
		got, err := b.c.r.ReadByte()
		if err != nil {
			return noEOF(err)
		}
		if got != want {
			return malformed("a chunk that is longer than it says")
		}
	}
	return nil
}

// chunkSize reads "1a" and "1a;extension".
func chunkSize(line string) (int64, error) {
	digits, extension, _ := strings.Cut(line, ";")
	const maxDigits = 15 // fits into 63 bits
	if digits == "" || len(digits) > maxDigits || !isFieldValue(extension) {
		return 0, malformed("the chunk size %.40q", line)
	}
	var size int64
	for i := range len(digits) {
		c := digits[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, malformed("the chunk size %.40q", line)
		}
		size = size<<4 | int64(c)
	}
	return size, nil
}

// errBodyClosed is what reading after Close says.
var errBodyClosed = errors.New("the body of the response was closed")

// Close gives up what was not read. A connection with nothing left but the end of
// the body is kept.
func (b *body) Close() error {
	switch {
	case b.err != nil:
		return nil
	case !b.keep:
	case b.framing == byLength && b.left <= int64(b.c.r.Buffered()):
		_, _ = b.c.r.Discard(int(b.left))
		b.finish(io.EOF)
	case b.framing == byChunks && b.left == 0:
		b.drain()
	}
	if b.err == nil {
		b.finish(errBodyClosed)
	}
	return nil
}

// chunksEnd is what follows the data of the last chunk.
const chunksEnd = "\r\n0\r\n\r\n"

// drain reads the end of a stream whose last event was its answer. If it is not
// there yet, somebody else waits for it.
func (b *body) drain() {
	rest := *b
	b.c, b.err = nil, errBodyClosed
	if have, _ := rest.c.r.Peek(rest.c.r.Buffered()); string(have) == chunksEnd {
		_, _ = rest.Read(make([]byte, 1))
		return
	}
	if !rest.c.stop() {
		rest.finish(errBodyClosed)
		return
	}
	c := rest.c
	c.stop = func() bool { return c.SetReadDeadline(time.Time{}) == nil }
	_ = c.SetReadDeadline(time.Now().Add(drainTimeout))
	go func() {
		_, _ = io.CopyN(io.Discard, &rest, maxDrained)
		if rest.err == nil {
			rest.finish(errBodyClosed)
		}
	}()
}

// finish ends the body and gives the connection back or closes it.
func (b *body) finish(err error) {
	c := b.c
	b.c = nil
	if err != io.EOF {
		b.err = c.fail(err)
		return
	}
	b.err = io.EOF
	if c.release() && b.keep && c.raw != nil && b.wait > 0 {
		c.transport.put(c, b.wait)
		return
	}
	c.Close()
}
