package downstream

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// The requests that are read here and not by net/http are those that all but the
// first of a session look like: a POST of JSON with a length, on a connection that
// is kept. The form is narrower than RFC 9112 allows, so that there is one way to
// read it; everything else, also what is wrong, is left to net/http.
const (
	maxOwnHead    = 4 << 10  // bytes; it fits a large access token
	maxOwnFields  = 32       // header fields; clients send a dozen
	maxOwnBody    = 64 << 10 // bytes, which are reserved before they have come
	contentLength = "Content-Length"
)

var endOfHead = []byte("\r\n\r\n")

// head is the head of a request.
type head struct {
	target string
	host   string
	header http.Header
	length int
}

// parseHead reads a head, up to and with its empty line. It reports false for
// every head that is not of the plain form.
func parseHead(raw []byte) (head, bool) {
	text := string(raw[:len(raw)-len("\r\n")]) // the one copy; what follows points into it
	line, text, _ := strings.Cut(text, "\r\n")
	var h head
	var ok bool
	if h.target, ok = plainTarget(line); !ok {
		return h, false
	}
	count := strings.Count(text, "\r\n")
	if count > maxOwnFields {
		return h, false
	}
	h.header, h.length = make(http.Header, count), -1
	values := make([]string, count)
	for i := range values {
		if line, text, ok = strings.Cut(text, "\r\n"); !ok {
			return h, false
		}
		name, value, ok := field(line)
		if !ok {
			return h, false
		}
		switch name {
		case "Host":
			if h.host != "" || !plainHost(value) {
				return h, false
			}
			h.host = value
			continue // net/http takes it out, too
		case contentLength:
			if h.length >= 0 || !plainLength(value, &h.length) {
				return h, false
			}
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return h, false
			}
		case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Te", "Proxy-Connection", "Keep-Alive", "Http2-Settings", "Pragma":
			return h, false
		}
		if before := h.header[name]; before != nil {
			h.header[name] = append(before, value)
			continue
		}
		values[i] = value
		h.header[name] = values[i : i+1 : i+1]
	}
	return h, text == "" && h.host != "" && h.length >= 0
}

// plainTarget is the path of a request line that posts to a path without escapes
// and without a query.
func plainTarget(line string) (string, bool) {
	target, ok := strings.CutPrefix(line, "POST ")
	if !ok {
		return "", false
	}
	if target, ok = strings.CutSuffix(target, " HTTP/1.1"); !ok || target == "" || target[0] != '/' || strings.HasPrefix(target, "//") {
		return "", false
	}
	for i := range len(target) {
		if c := target[i]; !alphanumeric(c) && c != '/' && c != '-' && c != '_' && c != '.' {
			return "", false
		}
	}
	return target, true
}

// field takes a header line apart. Names are tokens, values visible ASCII with
// blanks inside: "A server MUST reject … any received request message that
// contains whitespace between a header field name and colon".
func field(line string) (name, value string, ok bool) {
	name, value, found := strings.Cut(line, ":")
	if !found || name == "" {
		return "", "", false
	}
	for i := range len(name) {
		if c := name[i]; !alphanumeric(c) && c != '-' {
			return "", "", false
		}
	}
	value = strings.Trim(value, " \t")
	for i := range len(value) {
		if c := value[i]; (c < ' ' && c != '\t') || c > '~' {
			return "", "", false
		}
	}
	if known, is := canonical[name]; is {
		return known, value, true
	}
	return http.CanonicalHeaderKey(name), value, true
}

// canonical saves the work for the names that clients send, in the forms in which
// they send them.
var canonical = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{"Host", "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Connection", "Content-Type", contentLength,
		"Origin", "User-Agent", "Sec-Fetch-Mode", headerSession, headerVersion, headerLastEvent, "Mcp-Method", "Mcp-Name", "Traceparent"} {
		m[name], m[strings.ToLower(name)] = name, name
	}
	m["MCP-Protocol-Version"] = headerVersion
	return m
}()

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// plainHost is a name or an address with or without a port.
func plainHost(host string) bool {
	for i := range len(host) {
		if c := host[i]; !alphanumeric(c) && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return host != ""
}

// plainLength reads a length as it is written without sign, blanks or zeros ahead.
func plainLength(value string, to *int) bool {
	if value == "" || len(value) > len("65536") || value[0] == '0' {
		return false // no MCP message is empty
	}
	n := 0
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return false
		}
		n = 10*n + int(value[i]-'0')
	}
	*to = n
	return n <= maxOwnBody
}

// request is the head as net/http would hand it to a handler.
func (h head) request(body []byte) *http.Request {
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: h.target}, RequestURI: h.target,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h.header, Host: h.host, ContentLength: int64(len(body)), Body: &wholeBody{text: body},
	}
}

// wholeBody is a body that has been read already.
type wholeBody struct {
	text []byte
	next bytes.Reader
	read bool
}

func (b *wholeBody) Read(p []byte) (int, error) {
	if !b.read {
		b.read = true
		b.next.Reset(b.text)
	}
	return b.next.Read(p)
}

func (b *wholeBody) Close() error { return nil }
