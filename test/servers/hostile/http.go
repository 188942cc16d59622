package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// maxBody bounds a request, so that a test with a mistake does not fill memory.
const maxBody = 64 << 20

const sessionHeader = "Mcp-Session-Id"

// httpPeer answers one POST, or feeds one GET stream. The first message decides
// the form: an answer alone is JSON, anything before it makes an event stream.
type httpPeer struct {
	mu        sync.Mutex
	w         http.ResponseWriter
	streaming bool
	closed    bool
}

func (p *httpPeer) message(raw []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream()
	return p.event(func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}

func (p *httpPeer) last(fill func(io.Writer) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streaming {
		return p.event(fill)
	}
	p.w.Header().Set("Content-Type", "application/json")
	return fill(p.w)
}

// stream begins an event stream, once.
func (p *httpPeer) stream() {
	if p.streaming {
		return
	}
	p.streaming = true
	p.w.Header().Set("Content-Type", "text/event-stream")
	p.w.WriteHeader(http.StatusOK)
	flush(p.w)
}

func (p *httpPeer) event(fill func(io.Writer) error) error {
	if p.closed {
		return net.ErrClosed
	}
	if _, err := io.WriteString(p.w, "data: "); err != nil {
		return err
	}
	if err := fill(p.w); err != nil {
		return err
	}
	_, err := io.WriteString(p.w, "\n\n")
	flush(p.w)
	return err
}

// close keeps a broadcast from writing after the handler has returned.
func (p *httpPeer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// flush sends what an HTTP response holds back; other writers hold back nothing.
func flush(w io.Writer) {
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
}

// front is the HTTP side: sessions for the legacy era, nothing for the modern.
type front struct {
	server   *server
	mu       sync.Mutex
	sessions map[string]bool
}

func newFront(s *server) *front { return &front{server: s, sessions: map[string]bool{}} }

func serveHTTP(s *server, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on http://%s/mcp\n", listener.Addr())
	server := &http.Server{Handler: newFront(s), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.server.opt.mode == redirect.name {
		http.Redirect(w, r, f.server.opt.target, http.StatusTemporaryRedirect)
		return
	}
	switch r.Method {
	case http.MethodPost:
		f.post(w, r)
	case http.MethodGet:
		f.get(w, r)
	case http.MethodDelete:
		f.forget(r.Header.Get(sessionHeader))
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "POST, GET or DELETE", http.StatusMethodNotAllowed)
	}
}

func (f *front) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if e.Method == "initialize" {
		w.Header().Set(sessionHeader, f.open())
	} else if !e.modern() && !f.knows(r.Header.Get(sessionHeader)) {
		http.Error(w, "no such session", http.StatusNotFound)
		return
	}
	p := &httpPeer{w: w}
	defer p.close()
	if !e.isRequest() {
		f.server.handle(r.Context(), e, p)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	f.server.handle(r.Context(), e, p)
	if f.server.losesSession() {
		f.forget(r.Header.Get(sessionHeader))
	}
}

// get is the legacy stream for what belongs to no request.
func (f *front) get(w http.ResponseWriter, r *http.Request) {
	if !f.knows(r.Header.Get(sessionHeader)) {
		http.Error(w, "a stream without a request needs a session", http.StatusMethodNotAllowed)
		return
	}
	p := &httpPeer{w: w}
	defer p.close()
	p.stream()
	l := &listener{peer: p}
	f.server.listen(l)
	defer f.server.unlisten(l)
	<-r.Context().Done()
}

func (f *front) open() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := rand.Text()
	f.sessions[id] = true
	return id
}

func (f *front) knows(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions[id]
}

func (f *front) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, id)
}
