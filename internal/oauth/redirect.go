package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// redirectPath is where on this machine a person comes back to.
const redirectPath = "/callback"

// visitTimeout is how long a person may take to log in.
const visitTimeout = 10 * time.Minute

// Loopback is a Browser for a person on this machine: the authorization server sends
// them back to a port of it (RFC 8252, section 7.3).
type Loopback struct {
	// Show puts the URL before the person.
	Show func(authorizationURL string)

	listener net.Listener
}

// Listen makes a Loopback on a port of 127.0.0.1, any free one if port is 0. Close
// ends it.
func Listen(port int) (*Loopback, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listening for the browser: %w", err)
	}
	return &Loopback{listener: listener, Show: func(string) {}}, nil
}

// Close stops listening.
func (l *Loopback) Close() { l.listener.Close() }

// RedirectURI names the address and not localhost, which may be something else.
func (l *Loopback) RedirectURI() string { return "http://" + l.listener.Addr().String() + redirectPath }

// Visit waits for the browser to come back.
func (l *Loopback) Visit(ctx context.Context, authorizationURL string, right func(url.Values) bool) (url.Values, error) {
	ctx, stop := context.WithTimeoutCause(ctx, visitTimeout, errors.New("nobody came back from the authorization server in time"))
	defer stop()
	answers := make(chan url.Values, 1)
	server := &http.Server{
		Handler:           l.handler(right, answers),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      5 * time.Second,
		MaxHeaderBytes:    64 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l.listener) }()
	l.Show(authorizationURL)
	select {
	case answer := <-answers:
		// The browser gets its page before the listener goes.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
		return answer, nil
	case err := <-failed:
		return nil, fmt.Errorf("listening for the browser: %w", err)
	case <-ctx.Done():
		server.Close()
		return nil, context.Cause(ctx)
	}
}

// handler takes the first answer that is right. Everybody on this machine, and every
// page in its browser, can send others.
func (l *Loopback) handler(right func(url.Values) bool, answers chan<- url.Values) http.Handler {
	host := l.listener.Addr().String()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "no-referrer") // the code stands in the URL
		query, err := url.ParseQuery(r.URL.RawQuery)
		// Another Host is a name that was bent to this machine.
		if r.Host != host || r.Method != http.MethodGet || r.URL.Path != redirectPath || err != nil || !right(query) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, "This is not the answer that Gatehouse waits for.\n")
			return
		}
		select {
		case answers <- query:
			io.WriteString(w, "Gatehouse has the answer. You can close this window and go back to the terminal.\n")
		default:
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, "Gatehouse has its answer already.\n")
		}
	})
}

// Pasted is a Browser for a person on another machine: they paste the address that
// their browser ends at, which this machine does not listen on.
type Pasted struct {
	Port int // in the redirect URI; 0 for a usual one
	// Ask shows the URL and returns what the person pasted.
	Ask func(ctx context.Context, authorizationURL string) (string, error)
}

// pastedPort stands in the redirect URI when none is configured. Nothing listens.
const pastedPort = 8849

// RedirectURI is an address at which the browser finds nothing.
func (p *Pasted) RedirectURI() string {
	port := p.Port
	if port == 0 {
		port = pastedPort
	}
	return "http://127.0.0.1:" + strconv.Itoa(port) + redirectPath
}

// Visit reads the answer out of what was pasted.
func (p *Pasted) Visit(ctx context.Context, authorizationURL string, right func(url.Values) bool) (url.Values, error) {
	pasted, err := p.Ask(ctx, authorizationURL)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(pasted)
	if err != nil {
		return nil, errors.New("what was pasted is no address")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || !right(query) {
		return nil, errors.New("what was pasted is not the answer to this login; paste the whole address from the browser")
	}
	return query, nil
}
