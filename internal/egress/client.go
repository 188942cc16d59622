package egress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxRedirects of one request. Metadata moves once or twice, not more.
	maxRedirects = 3
	// MaxBodyBytes of an answer: OAuth metadata, registrations and tokens are a few
	// KiB, a document is never a stream.
	MaxBodyBytes = 1 << 20
	// requestTimeout bounds one request with its redirects and its whole body.
	requestTimeout = 15 * time.Second
	// maxHeaderBytes of an answer.
	maxHeaderBytes = 64 << 10
)

// ErrTooLarge says that an answer is larger than MaxBodyBytes.
var ErrTooLarge = errors.New("the answer is too large")

// Client makes requests to URLs that came from outside. It speaks https, and http
// only within this machine where the guard allows that. Every hop of a redirect is
// checked and no credential follows it; a request with a body is not redirected at
// all. Nothing is read from the environment: a proxy is used only if it is given,
// and then the proxy, which resolves the names, decides about addresses behind
// names.
func Client(g *Guard, proxy *url.URL) *http.Client {
	t := &http.Transport{
		DialContext:            g.DialContext,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{RootCAs: g.Roots},
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  requestTimeout,
		IdleConnTimeout:        time.Minute,
		MaxIdleConns:           16,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // a small body must not unfold into a large one
	}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
		t.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext // to the proxy and nothing else
	}
	return &http.Client{
		Transport:     &transport{guard: g, base: t},
		CheckRedirect: checkRedirect,
		Timeout:       requestTimeout,
	}
}

// checkRedirect runs before each further hop; the transport then checks its URL as
// it does the first one's.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: over %d redirects", ErrRefused, maxRedirects)
	case first.Method != http.MethodGet && first.Method != http.MethodHead:
		// A code, a refresh token or a client's secret stands in the body.
		return fmt.Errorf("%w: a redirect of a request with a body", ErrRefused)
	case last.URL.Scheme == "https" && next.URL.Scheme != "https":
		return fmt.Errorf("%w: a redirect from https to %s", ErrRefused, next.URL.Scheme)
	}
	next.Header.Del("Referer")
	if !SameOrigin(first.URL, next.URL) {
		// net/http takes them away between unrelated names, but not for a subdomain
		// or another port.
		for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
			next.Header.Del(name)
		}
	}
	return nil
}

// SameOrigin compares scheme, host and port; the port that goes with the scheme
// may be left out.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Hostname() != "" && equalFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// equalFold compares host names, which are ASCII here: two letters that only
// Unicode takes for the same stay different.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	switch u.Scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// CheckURL reports what forbids a request to a URL before anything is resolved,
// nil if nothing does.
func (g *Guard) CheckURL(u *url.URL) error {
	switch {
	case u.Scheme != "https" && !(u.Scheme == "http" && g.mayBePlain(u.Hostname())):
		return fmt.Errorf("%w: %s is not https", ErrRefused, origin(u))
	case u.User != nil:
		return fmt.Errorf("%w: %s with a user name", ErrRefused, origin(u))
	case u.Opaque != "" || !plainHost(u.Hostname()):
		return fmt.Errorf("%w: %q is neither a name nor an address in its usual form", ErrRefused, u.Hostname())
	}
	return nil
}

// origin is what an error may repeat of a URL: its path and query may hold
// anything.
func origin(u *url.URL) string { return fmt.Sprintf("%.16s://%.128s", u.Scheme, u.Host) }

// transport checks the URL of every hop and bounds every answer.
type transport struct {
	guard *Guard
	base  http.RoundTripper
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	err := t.guard.CheckURL(req.URL)
	if err == nil {
		// Behind a proxy nothing is dialled by us, so an address that stands in the
		// URL itself is looked at here.
		err = t.guard.checkLiteral(req.URL.Hostname())
	}
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > MaxBodyBytes {
		resp.Body.Close()
		return nil, ErrTooLarge
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: MaxBodyBytes}
	return resp, nil
}

// boundedBody ends with ErrTooLarge, not as if the answer ended there.
type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	if b.left < 0 {
		return n - 1, ErrTooLarge
	}
	return n, err
}
