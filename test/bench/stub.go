package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"gatehouse/internal/wire"
)

// stub is an MCP server that does next to nothing, in both eras. What it costs is
// in every figure, so it costs little.
type stub struct {
	tools []byte // JSON array
	// called hears of each call before it is answered, and what it returns is called
	// behind that; nil if nobody wants to know. Calls may be at once.
	called func(tool, text string) (answered func())

	mu       sync.RWMutex // guards what follows
	sessions map[string]bool
	last     int
}

func newStub(tools []byte) *stub { return &stub{tools: tools, sessions: map[string]bool{}} }

// twoTools are what the measured calls use: echo returns its text, page returns
// as many bytes of ordinary text as it is asked for.
const twoTools = `[{"name":"echo","title":"Echo","description":"Returns the text it is given.",` +
	`"inputSchema":{"type":"object","properties":{"text":{"type":"string","description":"The text to return."}},"required":["text"],"additionalProperties":false}},` +
	`{"name":"page","title":"Page","description":"Returns a page of text of the given length.",` +
	`"inputSchema":{"type":"object","properties":{"mark":{"type":"string","description":"What the page begins with."},` +
	`"bytes":{"type":"integer","minimum":1,"maximum":1048576,"description":"The length of the page."}},"required":["mark","bytes"],"additionalProperties":false}}]`

// catalogSize is the number of tools of the long list.
const catalogSize = 500

// catalog is a list of tools as a large server has it, half a kilobyte each.
func catalog() []byte {
	subjects := []string{"invoice", "parcel", "tenant", "ticket", "vessel", "recipe", "sensor", "booking", "article", "vehicle"}
	verbs := []string{"create", "find", "update", "archive", "count"}
	b := []byte{'['}
	for i := range catalogSize {
		subject, verb := subjects[i%len(subjects)], verbs[i/len(subjects)%len(verbs)]
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"name":"%s_%s_%d","title":"%s %s","description":"Works on one %s of register %d and returns it as it is afterwards. Dates are written as in 2026-03-02.",`,
			verb, subject, i, verb, subject, subject, i)
		b = append(b, `"inputSchema":{"type":"object","properties":{"number":{"type":"integer","minimum":1,"description":"The number under which it is registered."},`+
			`"fields":{"type":"array","items":{"type":"string"},"maxItems":20,"description":"The fields to return; all of them if left out."},`+
			`"since":{"type":"string","format":"date"}},"required":["number"]},"annotations":{"readOnlyHint":false}}`...)
	}
	return append(b, ']')
}

// answer appends the answer to m, or nothing where none is due.
func (s *stub) answer(b []byte, m *wire.Message) []byte {
	if m.Kind != wire.Request {
		return b
	}
	e := legacy
	if wire.Modern(m) {
		e = modern
	}
	switch m.Method {
	case wire.MethodToolsCall:
		return s.call(b, m, e)
	case wire.MethodToolsList:
		result := append([]byte(`{"tools":`), s.tools...)
		if e == modern {
			result = append(result, `,"resultType":"complete","ttlMs":0,"cacheScope":"public"`...)
		}
		return append(b, wire.NewResult(m.ID, append(result, '}'))...)
	case wire.MethodInitialize:
		return append(b, wire.NewResult(m.ID, fmt.Appendf(nil,
			`{"protocolVersion":%s,"capabilities":{"tools":{}},"serverInfo":{"name":"stub","version":"1"}}`,
			m.Params.Get("protocolVersion").Raw()))...)
	case wire.MethodDiscover:
		return append(b, wire.NewResult(m.ID, fmt.Appendf(nil,
			`{"resultType":"complete","ttlMs":0,"cacheScope":"public","supportedVersions":[%q,%q],"capabilities":{"tools":{}}}`,
			wire.ModernVersion, legacyVersion))...)
	case wire.MethodPing:
		return append(b, wire.NewResult(m.ID, []byte(`{}`))...)
	}
	return append(b, wire.NewError(m.ID, wire.CodeMethodNotFound, "no such method", nil)...)
}

func (s *stub) call(b []byte, m *wire.Message, e era) []byte {
	arguments, name := m.Params.Get("arguments"), m.Params.Get("name").Text()
	if s.called != nil {
		defer s.called(name, arguments.Get("text").Text())()
	}
	name, _, _ = strings.Cut(name, "_") // there may be many of a kind
	switch name {
	case "echo":
		text := arguments.Get("text").Raw()
		if len(text) < 2 {
			break
		}
		return appendResultEnd(append(appendResult(b, m.ID), text[1:len(text)-1]...), e)
	case "page":
		mark, size := arguments.Get("mark").Raw(), 0
		if n, err := strconv.Atoi(string(arguments.Get("bytes").Raw())); err == nil {
			size = n - markBytes
		}
		if len(mark) < 2 || size <= 0 || size > 1<<20 {
			break
		}
		b = append(appendResult(b, m.ID), mark[1:len(mark)-1]...)
		return appendResultEnd(append(b, pageOf(size)...), e)
	}
	return append(b, wire.NewError(m.ID, wire.CodeInvalidParams, "no such tool or no such arguments", nil)...)
}

// pages keeps what textOf made, by size.
var pages sync.Map

func pageOf(size int) []byte {
	if made, ok := pages.Load(size); ok {
		return made.([]byte)
	}
	made, _ := pages.LoadOrStore(size, textOf(size))
	return made.([]byte)
}

// serveStdio answers lines until stdin ends.
func (s *stub) serveStdio(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxBody)
	var b []byte
	for lines.Scan() {
		m, err := wire.Parse(lines.Bytes(), wire.Limits{Bytes: maxBody})
		if err != nil {
			return err
		}
		if b = s.answer(b[:0], m); len(b) == 0 {
			continue
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}

// serveStubs serves two stubs, at /mcp and at /catalog, and says where.
func serveStubs(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return serve(ctx, listener, map[string]*stub{"/mcp": newStub([]byte(twoTools)), "/catalog": newStub(catalog())})
}

func serve(ctx context.Context, listener net.Listener, mounts map[string]*stub) error {
	context.AfterFunc(ctx, func() { listener.Close() })
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			err := serveConn(conn, mounts)
			gone := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) // a killed client resets
			if err != nil && !gone && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "stub:", err)
			}
		}()
	}
}

// connLife is how long a connection may last, so that none is left behind.
const connLife = 10 * time.Minute

func serveConn(conn net.Conn, mounts map[string]*stub) error {
	if err := conn.SetDeadline(time.Now().Add(connLife)); err != nil {
		return err
	}
	r := bufio.NewReaderSize(conn, 32<<10)
	var body, out []byte
	for {
		h, err := readHead(r)
		if err != nil {
			return err
		}
		if body, err = readBody(r, h, body); err != nil {
			return err
		}
		s := mounts[h.path]
		if s == nil {
			out = appendResponse(out[:0], 404, "", nil)
		} else {
			out = s.respond(out[:0], h, body)
		}
		if _, err := conn.Write(out); err != nil || h.closing {
			return err
		}
	}
}

// respond appends the whole response to one HTTP request.
func (s *stub) respond(out []byte, h head, body []byte) []byte {
	switch h.method {
	case "POST":
	case "DELETE":
		s.mu.Lock()
		delete(s.sessions, h.session)
		s.mu.Unlock()
		return appendResponse(out, 204, "", nil)
	default:
		return appendResponse(out, 405, "", nil)
	}
	m, err := wire.Parse(body, wire.Limits{Bytes: maxBody})
	if err != nil {
		return appendResponse(out, 400, "", []byte(err.Error()))
	}
	session := ""
	switch {
	case m.Method == wire.MethodInitialize:
		session = s.begin()
	case m.Method == wire.MethodDiscover || wire.Modern(m):
	case !s.knows(h.session):
		return appendResponse(out, 404, "", nil)
	}
	if m.Kind != wire.Request {
		return appendResponse(out, 202, "", nil)
	}
	return appendResponse(out, 200, session, s.answer(nil, m))
}

func (s *stub) begin() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := "stub-" + strconv.Itoa(s.last)
	s.sessions[id] = true
	return id
}

func (s *stub) knows(session string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sessions[session]
}

func appendResponse(out []byte, status int, session string, body []byte) []byte {
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, " stub\r\nContent-Type: application/json\r\n"...)
	if session != "" {
		out = append(append(append(out, "Mcp-Session-Id: "...), session...), "\r\n"...)
	}
	if status != 204 {
		out = strconv.AppendInt(append(out, "Content-Length: "...), int64(len(body)), 10)
		out = append(out, "\r\n"...)
	}
	return append(append(out, "\r\n"...), body...)
}
