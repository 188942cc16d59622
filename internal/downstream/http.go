// Package downstream is where clients connect: one Streamable HTTP endpoint for
// all revisions, and stdio. It reads and writes bytes within bounds, checks what
// belongs to the transport, and leaves everything else to the gateway.
package downstream

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/gateway"
)

const headerSession = "Mcp-Session-Id"

// jsonType is the value of Content-Type, shared by all responses.
var jsonType = []string{"application/json"}

// HTTP serves /mcp, /mcp/{server} and /healthz.
type HTTP struct {
	Gateway *gateway.Gateway
	// Bytes bounds the body of a request. It is read before anything else is done
	// with it.
	Bytes func() int
	// Origins are browser origins allowed besides those of this machine.
	Origins func() []string
	// Bound is the address that is listened on. It, the names of this machine with its
	// port and the host of Resource may stand in Host.
	Bound netip.AddrPort
	// Resource is the address under which clients know the gateway; "" if there is no
	// other than Bound.
	Resource func() string
}

// Handler is the routes. Each checks Host and Origin first: a web page must not
// reach a local gateway, neither by DNS rebinding (CVE-2025-64443,
// CVE-2026-34742) nor from another site (CVE-2026-33252). "Servers MUST validate
// the Origin header on all incoming connections."
func (h *HTTP) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.ownHost(r) {
			h.refuse(w, r, "the Host header does not name this machine", http.StatusForbidden)
			return
		}
		if !h.knownOrigin(r.Header["Origin"]) {
			h.refuse(w, r, "this web origin is not allowed; add it to origins in the configuration", http.StatusForbidden)
			return
		}
		if r.URL.Path == "/healthz" {
			h.health(w, r)
			return
		}
		if doc, found := h.Gateway.Metadata(r.URL.Path); found {
			h.metadata(w, r, doc)
			return
		}
		mount, found := mountOf(r.URL.Path)
		if !found {
			h.nothing(w, r)
			return
		}
		h.serve(w, r, mount)
	})
}

// mountOf is the server in /mcp/{server}, "" in /mcp.
func mountOf(path string) (mount string, found bool) {
	if path == "/mcp" {
		return "", true
	}
	mount, found = strings.CutPrefix(path, "/mcp/")
	return mount, found && mount != "" && !strings.Contains(mount, "/")
}

func (h *HTTP) health(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.refuse(w, r, "health can only be read", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"status":"ok"}`+"\n")
}

// metadata are public: whoever has no token yet must read them, pages of browser
// clients included.
func (h *HTTP) metadata(w http.ResponseWriter, r *http.Request, doc []byte) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.refuse(w, r, "metadata can only be read", http.StatusMethodNotAllowed)
		return
	}
	head := w.Header()
	head["Content-Type"] = jsonType
	head.Set("Cache-Control", "max-age=300")
	head.Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(doc)
}

func (h *HTTP) nothing(w http.ResponseWriter, r *http.Request) {
	h.refuse(w, r, "there is nothing at this path; use /mcp or /mcp/{server}", http.StatusNotFound)
}

// refuse answers what is refused before it is a message, and records it.
func (h *HTTP) refuse(w http.ResponseWriter, r *http.Request, why string, status int) {
	h.Gateway.TurnedAway(r.Method, r.URL.Path, why)
	http.Error(w, "Gatehouse: "+why, status)
}

// ownHost checks Host, or :authority in HTTP/2.
func (h *HTTP) ownHost(r *http.Request) bool {
	name, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		name, port = strings.Trim(r.Host, "[]"), "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	if h.Resource != nil {
		if u, err := url.Parse(h.Resource()); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
			return true // clients that come through a proxy name the address they know
		}
	}
	if address, err := netip.ParseAddr(name); err == nil && address.Unmap() == h.Bound.Addr().Unmap() && !address.IsUnspecified() {
		return strconv.Itoa(int(h.Bound.Port())) == port
	}
	var own [5]byte
	return port == string(strconv.AppendUint(own[:0], uint64(h.Bound.Port()), 10)) && localName(name)
}

func localName(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

func (h *HTTP) knownOrigin(origins []string) bool {
	if len(origins) == 0 {
		return true // no browser sent this
	}
	if len(origins) > 1 {
		return false
	}
	if slices.Contains(h.Origins(), origins[0]) {
		return true
	}
	u, err := url.Parse(origins[0])
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && localName(u.Hostname())
}

func (h *HTTP) serve(w http.ResponseWriter, r *http.Request, mount string) {
	peer := peerOf(r, mount)
	switch r.Method {
	case http.MethodPost:
		h.post(w, r, peer)
	case http.MethodGet:
		h.stream(w, r, peer)
	case http.MethodDelete:
		h.end(w, r, peer)
	default:
		w.Header().Set("Allow", "POST, GET, DELETE")
		h.refuse(w, r, "this method is not used by MCP", http.StatusMethodNotAllowed)
	}
}

// peerOf is what a request says of its sender.
func peerOf(r *http.Request, mount string) *gateway.Peer {
	peer := &gateway.Peer{
		Mount: mount, SessionID: r.Header.Get(headerSession), Header: r.Header, TLS: r.TLS, Query: r.URL.RawQuery,
	}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer.Remote = a.Addr().Unmap()
		peer.Local = peer.Remote.IsLoopback()
	}
	return peer
}

func (h *HTTP) post(w http.ResponseWriter, r *http.Request, peer *gateway.Peer) {
	// Any other type would let a page of another site post without a preflight.
	if !isJSON(r.Header["Content-Type"]) {
		h.refuse(w, r, "Content-Type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	raw, err := h.read(w, r)
	if err != nil {
		status := http.StatusBadRequest
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		h.refuse(w, r, "the body cannot be read or is too large", status)
		return
	}
	ctx, stop := lifetime(r, peer)
	defer stop()
	out := &answer{http: h, w: w, r: r, raw: raw, peer: peer, cancel: stop}
	peer.Emit = out.emit
	out.hurry()
	out.finish(h.Gateway.Handle(ctx, raw, peer))
}

// isJSON tells the one media type that messages have. Types compare without
// regard to case (RFC 9110 section 8.3.1).
func isJSON(types []string) bool {
	if len(types) != 1 {
		return false
	}
	if types[0] == jsonType[0] {
		return true
	}
	t, _, err := mime.ParseMediaType(types[0])
	return err == nil && t == jsonType[0]
}

// read reads the body, within the bound. The result belongs to the message.
func (h *HTTP) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := h.Bytes()
	if body, ok := r.Body.(*wholeBody); ok && len(body.text) <= limit {
		return body.text, nil
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
}

// lifetime is how long a request may run. "Disconnection SHOULD NOT be
// interpreted as the client cancelling its request" up to 2025-11-25; since
// 2026-07-28 closing the stream cancels.
func lifetime(r *http.Request, p *gateway.Peer) (context.Context, context.CancelFunc) {
	if p.SessionID == "" || gateway.ModernHeader(r.Header) {
		return context.WithCancel(r.Context())
	}
	return context.Background(), func() {}
}

func acceptsStream(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return strings.Contains(accept, "text/event-stream") || strings.Contains(accept, "*/*")
}

// stream is the standing stream of a session, on which servers send what belongs
// to no call.
func (h *HTTP) stream(w http.ResponseWriter, r *http.Request, peer *gateway.Peer) {
	if peer.SessionID == "" || gateway.ModernHeader(r.Header) {
		w.Header().Set("Allow", "POST")
		h.refuse(w, r, "there is no stream without a session", http.StatusMethodNotAllowed)
		return
	}
	session := h.session(w, r, peer)
	if session == nil {
		return
	}
	if !acceptsStream(r) {
		h.refuse(w, r, "Accept must allow text/event-stream", http.StatusNotAcceptable)
		return
	}
	defer session.Attach()()
	out := response{w: w, control: http.NewResponseController(w)}
	if last := r.Header.Get(headerLastEvent); last != "" {
		out.stream = session.Resume(last, out.cut)
	} else {
		out.stream = session.Standing(primes(r.Header), out.cut)
	}
	if out.stream == nil {
		// Not 404: that would tell the client that its session is gone.
		h.refuse(w, r, "there is nothing to resume behind this Last-Event-ID", http.StatusBadRequest)
		return
	}
	ctx, stop := h.Gateway.WhileKnown(r.Context(), peer)
	defer stop()
	_ = out.run(ctx) // the client that is gone comes back, or does not
}

func (h *HTTP) end(w http.ResponseWriter, r *http.Request, peer *gateway.Peer) {
	if peer.SessionID == "" || gateway.ModernHeader(r.Header) {
		w.Header().Set("Allow", "POST")
		h.refuse(w, r, "there is no session to end", http.StatusMethodNotAllowed)
		return
	}
	session := h.session(w, r, peer)
	if session == nil {
		return
	}
	h.Gateway.EndSession(session)
	w.WriteHeader(http.StatusNoContent)
}

// session finds the session of a request that is no message; nil if the request was
// answered instead.
func (h *HTTP) session(w http.ResponseWriter, r *http.Request, peer *gateway.Peer) *gateway.Session {
	session, reply := h.Gateway.Session(r.Context(), peer)
	switch {
	case session != nil:
	case reply.Body != nil:
		writeReply(w, reply)
	default:
		h.refuse(w, r, "there is no such session", http.StatusNotFound)
	}
	return session
}

func oneLine(raw []byte) []byte {
	if slices.ContainsFunc(raw, lineBreak) {
		raw = slices.Clone(raw)
		for i, c := range raw {
			if lineBreak(c) {
				raw[i] = ' '
			}
		}
	}
	return raw
}

func lineBreak(c byte) bool { return c == '\n' || c == '\r' }
