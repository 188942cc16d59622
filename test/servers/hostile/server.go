package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// object is a JSON object that we build.
type object = map[string]any

// peer is the way back to the client for one exchange.
type peer interface {
	// message sends one message, verbatim, and keeps the exchange open.
	message(raw []byte) error
	// last sends the message that fill writes and ends the exchange.
	last(fill func(io.Writer) error) error
}

// exchange is one request and the way to answer it.
type exchange struct {
	id     json.RawMessage
	method string
	params json.RawMessage
	modern bool // the request carries the _meta of 2026-07-28
	peer   peer
}

// server is the state that the modes share.
type server struct {
	mode    mode
	opt     options
	surface surface       // inject: where the text stands
	linger  time.Duration // how long to stay after the input has ended

	mu           sync.Mutex
	instructions string
	tools        []tool
	calls        int // tools/call so far
	listeners    map[*listener]bool
	waiting      map[string]chan json.RawMessage // our own requests, by id
	asked        int
	fromFile     int  // raw: requests answered from the file
	lost         bool // session-lost: it has happened
}

// listener hears what belongs to no exchange.
type listener struct {
	peer         peer
	subscription json.RawMessage // id of subscriptions/listen; nil in the legacy era
}

func newServer(opt options) (*server, error) {
	m, err := findMode(opt.mode)
	if err != nil {
		return nil, err
	}
	s := &server{
		mode:      m,
		opt:       opt,
		tools:     plainTools(),
		listeners: map[*listener]bool{},
		waiting:   map[string]chan json.RawMessage{},
	}
	if m.start != nil {
		if err := m.start(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// envelope is what we look at in a message of the client.
type envelope struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

func (e envelope) isRequest() bool { return e.Method != "" && e.ID != nil }

// modern reports whether the message is of 2026-07-28: "Every request carries
// the protocol version in _meta" is what tells the eras apart.
func (e envelope) modern() bool {
	var params struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	}
	if json.Unmarshal(e.Params, &params) != nil {
		return false
	}
	return params.Meta["io.modelcontextprotocol/protocolVersion"] != nil
}

// handle carries out one message.
func (s *server) handle(ctx context.Context, e envelope, p peer) {
	if s.mode.heard != nil {
		s.mode.heard(s, e)
	}
	if e.Method == "" {
		s.answered(e)
		return
	}
	if !e.isRequest() {
		return
	}
	ex := &exchange{id: e.ID, method: e.Method, params: e.Params, modern: e.modern(), peer: p}
	if ex.method == "tools/call" {
		s.mu.Lock()
		s.calls++
		s.mu.Unlock()
	}
	if s.mode.request != nil && s.mode.request(ctx, s, ex) {
		return
	}
	s.plain(ctx, ex)
}

// ask sends a request to the client on the exchange's stream and waits for the
// answer: the whole message, result or error.
func (s *server) ask(ctx context.Context, ex *exchange, method string, params object) (json.RawMessage, error) {
	answer := make(chan json.RawMessage, 1)
	s.mu.Lock()
	s.asked++
	id := fmt.Sprintf("hostile-%d", s.asked)
	s.waiting[id] = answer
	s.mu.Unlock()

	request := encode(object{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err := ex.peer.message(request); err != nil {
		return nil, err
	}
	select {
	case raw := <-answer:
		return raw, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *server) answered(e envelope) {
	var id string
	if json.Unmarshal(e.ID, &id) != nil {
		return
	}
	s.mu.Lock()
	answer := s.waiting[id]
	delete(s.waiting, id)
	s.mu.Unlock()
	if answer == nil {
		return
	}
	if e.Error != nil {
		answer <- encode(object{"error": e.Error})
		return
	}
	answer <- encode(object{"result": e.Result})
}

func (s *server) listen(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[l] = true
}

func (s *server) unlisten(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// broadcast sends a notification to everyone who listens.
func (s *server) broadcast(method string, params object) {
	s.mu.Lock()
	listeners := make([]*listener, 0, len(s.listeners))
	for l := range s.listeners {
		listeners = append(listeners, l)
	}
	s.mu.Unlock()
	for _, l := range listeners {
		params := maps.Clone(params)
		if l.subscription != nil {
			params["_meta"] = object{"io.modelcontextprotocol/subscriptionId": l.subscription}
		}
		l.peer.message(encode(object{"jsonrpc": "2.0", "method": method, "params": params}))
	}
}

// currentTools is a copy that a mode may not change under the reader.
func (s *server) currentTools() []tool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tools)
}

// tell appends a line to the record file, if there is one.
func (s *server) tell(line string) error {
	if s.opt.record == "" {
		return nil
	}
	file, err := os.OpenFile(s.opt.record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, line)
	return errors.Join(err, file.Close())
}

// result answers the request.
func (ex *exchange) result(result object) error {
	if ex.modern {
		result["resultType"] = "complete"
		if cacheable[ex.method] {
			result["ttlMs"], result["cacheScope"] = 0, "private"
		}
	}
	return ex.raw(encode(object{"jsonrpc": "2.0", "id": ex.id, "result": result}))
}

// cacheable are the methods whose complete results must carry ttlMs and
// cacheScope.
var cacheable = map[string]bool{
	"server/discover": true, "tools/list": true, "prompts/list": true, "resources/list": true,
	"resources/templates/list": true, "resources/read": true,
}

// fail answers with a JSON-RPC error; data may be nil.
func (ex *exchange) fail(code int, message string, data any) error {
	problem := object{"code": code, "message": message}
	if data != nil {
		problem["data"] = data
	}
	return ex.raw(encode(object{"jsonrpc": "2.0", "id": ex.id, "error": problem}))
}

// raw answers with these bytes.
func (ex *exchange) raw(message []byte) error {
	return ex.peer.last(func(w io.Writer) error {
		_, err := w.Write(message)
		return err
	})
}

// rawf answers with a message written as a format.
func (ex *exchange) rawf(format string, args ...any) error {
	return ex.raw(fmt.Appendf(nil, format, args...))
}

// notify sends a notification on the exchange's stream.
func (ex *exchange) notify(method string, params object) error {
	return ex.peer.message(encode(object{"jsonrpc": "2.0", "method": method, "params": params}))
}

// calls reports whether the exchange is a tools/call; most modes misbehave there
// and are well-behaved until then.
func (ex *exchange) calls() bool { return ex.method == "tools/call" }

// encode writes what we built ourselves.
func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("hostile: internal error: " + err.Error())
	}
	return raw
}

func textContent(text string) []object { return []object{{"type": "text", "text": text}} }
