package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// askedFor is how long an answer of the issuer is believed: so long, at most, a
	// token lives on that was revoked.
	askedFor = time.Minute
	// refusedFor is how long a token that is no good is not asked about again.
	refusedFor = 10 * time.Second
	// maxAsking questions are under way at once: whoever sends tokens that nobody
	// knows makes the gateway ask, and must not make it ask without end.
	maxAsking = 16
)

// endpoint is where tokens are asked about. It is read from the metadata once.
type endpoint struct {
	mu    sync.Mutex // guards what follows
	url   string     // empty: not known yet
	tried time.Time
	err   error // of the last try
}

// introspect asks the issuer about a token, RFC 7662.
func (s *issuer) introspect(ctx context.Context, token string, now time.Time) (*verified, error) {
	sum := digest(sha256.Sum256([]byte(token)))
	if s.inactive.get(sum, now) != nil {
		return nil, noGood("the issuer "+s.Name+" says that the token is not valid", nil)
	}
	v, err := s.ask(ctx, token, now)
	var refused *Challenge
	switch {
	case errors.As(err, &refused):
		s.inactive.put(sum, &verified{until: now.Add(refusedFor)})
		return nil, err
	case err != nil:
		return nil, unavailable("the issuer "+s.Name+" cannot be asked about its tokens; try again later", err)
	}
	return v, nil
}

// ask makes the request and reads the answer. An error that is no *Challenge says
// that there is no answer.
func (s *issuer) ask(ctx context.Context, token string, now time.Time) (*verified, error) {
	ctx, stop := context.WithTimeout(ctx, askTimeout)
	defer stop()
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	place, err := s.endpoint.get(func() (string, error) {
		// The caller that is first to need the address may be gone before it is found.
		return s.endpointOf(context.WithoutCancel(ctx), s.Introspection.URL, "introspection_endpoint")
	})
	if err != nil {
		return nil, err
	}
	secret, err := s.Introspection.ClientSecret.Resolve()
	if err != nil {
		return nil, err
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, place, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("an address of the metadata cannot be read")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// RFC 6749, section 2.3.1: both are form-encoded first.
	req.SetBasicAuth(url.QueryEscape(s.Introspection.ClientID), url.QueryEscape(secret))
	answer, err := s.send(req)
	if err != nil {
		return nil, err
	}
	// RFC 7662, section 2.2: active is REQUIRED, a boolean. "Note that to avoid
	// disclosing too much of the authorization server's state", nothing else is said of
	// a token that is not.
	if !answer.Get("active").IsTrue() {
		return nil, noGood("the issuer "+s.Name+" says that the token is not valid", nil)
	}
	if named := answer.Get("iss"); named.Exists() && named.Text() != s.URL {
		return nil, noGood("the token's issuer is not one of this gateway's", fmt.Errorf("it is %.200q", named.Text()))
	}
	if kind := answer.Get("token_type"); kind.Exists() && !strings.EqualFold(kind.Text(), "Bearer") {
		return nil, noGood("the token is no bearer's", fmt.Errorf("its type is %.40q", kind.Text()))
	}
	expires, err := lifetime(answer, now)
	if err != nil {
		return nil, err
	}
	v, err := s.read(answer, ByOpaque, expires)
	if err != nil {
		return nil, err
	}
	v.until = now.Add(askedFor)
	if !expires.IsZero() {
		v.until = earlier(v.until, expires)
	}
	return v, nil
}

// get is the address, found once. While it cannot be found, that is not tried again
// for every token.
func (e *endpoint) get(find func() (string, error)) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.url == "" && time.Since(e.tried) >= retryAfter {
		e.tried = time.Now()
		e.url, e.err = find()
	}
	return e.url, e.err
}
