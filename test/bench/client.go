package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/wire"
)

// target is one way to the stub.
type target struct {
	name    string
	address string // host:port
	path    string
	prefix  string // of tool names
	key     string // an API key; "" where nobody has to show one
	process *child // what stands in between; nil for the direct way
}

// work is what each call does.
type work struct {
	era  era
	tool string // echo, page or list
	size int    // bytes of text: there and back for echo, back for page
}

// listTool is the name under which tools/list stands among the tools.
const listTool = "list"

// session is one client: one connection and the goroutine that uses it.
type session struct {
	target *target
	work   work
	number int
	id     string // Mcp-Session-Id
	calls  int

	conn net.Conn
	r    *bufio.Reader
	head []byte // of every request, but for its Content-Length
	text []byte // what follows the mark of an echo, or is expected after that of a page
	list []byte // what is expected after the id of a list

	body, out, in, want []byte // scratch
}

const dialTimeout = 5 * time.Second

// connect makes a session ready to call.
func connect(t *target, w work, number int) (*session, error) {
	conn, err := net.DialTimeout("tcp", t.address, dialTimeout)
	if err != nil {
		return nil, err
	}
	s := &session{target: t, work: w, number: number, conn: conn, r: bufio.NewReaderSize(conn, 32<<10)}
	s.text = pageOf(w.size - markBytes)
	s.setHead(method(w.tool))
	if err := conn.SetDeadline(time.Now().Add(overtime)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if w.era == legacy {
		if err := s.initialize(); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: beginning a session: %w", t.name, err), conn.Close())
		}
	}
	return s, nil
}

func method(tool string) string {
	if tool == listTool {
		return wire.MethodToolsList
	}
	return wire.MethodToolsCall
}

func (s *session) setHead(method string) {
	b := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n",
		s.target.path, s.target.address)
	if s.target.key != "" {
		b = fmt.Appendf(b, "Authorization: Bearer %s\r\n", s.target.key)
	}
	switch {
	case s.work.era == modern:
		b = fmt.Appendf(b, "Mcp-Protocol-Version: %s\r\nMcp-Method: %s\r\n", wire.ModernVersion, method)
		if method == wire.MethodToolsCall {
			b = fmt.Appendf(b, "Mcp-Name: %s\r\n", s.target.prefix+s.work.tool)
		}
	case s.id != "":
		b = fmt.Appendf(b, "Mcp-Protocol-Version: %s\r\nMcp-Session-Id: %s\r\n", legacyVersion, s.id)
	}
	s.head = append(b, "Content-Length: "...)
}

func (s *session) initialize() error {
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":%q,"capabilities":{},"clientInfo":%s}}`, legacyVersion, clientInfo)
	h, answer, err := s.post(body)
	if err != nil {
		return err
	}
	if h.status != 200 || h.session == "" {
		return unexpected(h, answer)
	}
	s.id = h.session
	s.setHead(method(s.work.tool))
	if h, answer, err = s.post([]byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)); err != nil {
		return err
	}
	if h.status != 202 {
		return unexpected(h, answer)
	}
	return nil
}

// errUnexpected is an answer that is not the right one.
var errUnexpected = errors.New("unexpected answer")

func unexpected(h head, body []byte) error {
	const most = 300
	return fmt.Errorf("%w: status %d: %.*s", errUnexpected, h.status, most, body)
}

// post sends a body and reads the answer, which is valid until the next post.
func (s *session) post(body []byte) (head, []byte, error) {
	s.out = append(s.out[:0], s.head...)
	s.out = strconv.AppendInt(s.out, int64(len(body)), 10)
	s.out = append(append(s.out, "\r\n\r\n"...), body...)
	if _, err := s.conn.Write(s.out); err != nil {
		return head{}, nil, err
	}
	h, err := readHead(s.r)
	if err != nil {
		return h, nil, err
	}
	if s.in, err = readBody(s.r, h, s.in); h.stream {
		h.json = true
		return h, answerOf(s.in), err
	}
	return h, s.in, err
}

// call makes one call and compares the whole answer with what it must be.
func (s *session) call() error {
	s.calls++
	s.body = s.appendRequest(s.body[:0])
	h, answer, err := s.post(s.body)
	if err != nil {
		return fmt.Errorf("%s: %w", s.target.name, err)
	}
	if s.work.tool == listTool && s.list == nil {
		return s.learnList(h, answer)
	}
	s.want = s.appendAnswer(s.want[:0])
	if h.status != 200 || !h.json || !bytes.Equal(answer, s.want) {
		return fmt.Errorf("%s: session %d, call %d: %w", s.target.name, s.number, s.calls, unexpected(h, answer))
	}
	return nil
}

func (s *session) appendRequest(b []byte) []byte {
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = strconv.AppendInt(b, int64(s.calls), 10)
	b = append(append(b, `,"method":"`...), method(s.work.tool)...)
	b = append(append(b, `","params":{`...), metaOf(s.work.era)...)
	if s.work.tool == listTool {
		return append(bytes.TrimSuffix(b, []byte{','}), "}}"...)
	}
	b = append(append(append(b, `"name":"`...), s.target.prefix...), s.work.tool...)
	if s.work.tool == "page" {
		b = appendMark(append(b, `","arguments":{"mark":"`...), s.number, s.calls)
		b = strconv.AppendInt(append(b, `","bytes":`...), int64(s.work.size), 10)
		return append(b, "}}}"...)
	}
	b = appendMark(append(b, `","arguments":{"text":"`...), s.number, s.calls)
	return append(append(b, s.text...), `"}}}`...)
}

func (s *session) appendAnswer(b []byte) []byte {
	if s.work.tool == listTool {
		b = strconv.AppendInt(append(b, `{"jsonrpc":"2.0","id":`...), int64(s.calls), 10)
		return append(b, s.list...)
	}
	b = appendResult(b, wire.ID(strconv.Itoa(s.calls)))
	return appendResultEnd(append(appendMark(b, s.number, s.calls), s.text...), s.work.era)
}

// learnList takes the first list as the one to expect, if it has all the tools.
func (s *session) learnList(h head, answer []byte) error {
	m, err := wire.Parse(answer, wire.Limits{Bytes: maxBody, Items: 1 << 20})
	if err != nil || h.status != 200 || m.ID != wire.ID(strconv.Itoa(s.calls)) {
		return unexpected(h, answer)
	}
	count := 0
	for tool := range m.Result.Get("tools").Items() {
		if name, ours := strings.CutPrefix(tool.Get("name").Text(), s.target.prefix); ours && strings.Count(name, "_") == 2 {
			count++
		}
	}
	if count != catalogSize {
		return fmt.Errorf("%s: %w: a list with %d tools of %d", s.target.name, errUnexpected, count, catalogSize)
	}
	begin := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d`, s.calls)
	rest, ok := bytes.CutPrefix(answer, []byte(begin))
	if !ok {
		return unexpected(h, answer)
	}
	s.list = bytes.Clone(rest)
	return nil
}

// close ends the session.
func (s *session) close() error {
	defer s.conn.Close()
	if s.id == "" {
		return nil
	}
	if err := s.conn.SetDeadline(time.Now().Add(overtime)); err != nil {
		return err
	}
	request := fmt.Sprintf("DELETE %s HTTP/1.1\r\nHost: %s\r\nMcp-Session-Id: %s\r\n\r\n", s.target.path, s.target.address, s.id)
	if _, err := s.conn.Write([]byte(request)); err != nil {
		return err
	}
	h, err := readHead(s.r)
	if err == nil && h.status != 204 {
		return unexpected(h, nil)
	}
	return err
}
