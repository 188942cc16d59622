package oauth

import (
	"fmt"
	"io"
	"maps"
	"net/http"

	"gatehouse/internal/egress"
)

const (
	// maxRounds is how often one request is sent again: once for a token that has
	// expired and once for rights that it lacks.
	maxRounds = 2
	// maxRefused of a refusal's body are read, so that its connection can be used
	// again.
	maxRefused = 64 << 10
)

// Transport adds the token to requests for exactly the server's origin.
func (c *Client) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{client: c, base: base}
}

type transport struct {
	client *Client
	base   http.RoundTripper
}

// RoundTrip sends a request with the token of the principal. When the server refuses
// it for want of a token or of rights, another token is got without a person, if that
// can be done, and the request is sent again; the server did not run it. The error
// otherwise is a *decision.Refusal that says what to do.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := t.client
	if !egress.SameOrigin(req.URL, c.url) || req.Header.Get("Authorization") != "" {
		return t.base.RoundTrip(req)
	}
	for round := 0; ; round++ {
		token, err := c.token()
		if err != nil {
			closeBody(req)
			return nil, c.refusal(err, "the stored tokens cannot be used; run `gatehouse login %s`", c.server.ID)
		}
		resp, err := t.send(req, token, round)
		if err != nil {
			return nil, err
		}
		ch, refused := challengeOf(resp)
		if !refused {
			return resp, nil
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxRefused))
		resp.Body.Close()
		switch {
		case round == maxRounds && ch.more:
			return nil, c.refusal(nil, "it refuses this with the rights that were granted")
		case round == maxRounds:
			c.gaveUp()
			return nil, c.needLogin(nil)
		}
		if err := c.answer(req.Context(), ch, token); err != nil {
			return nil, err
		}
	}
}

// send sends the request, or, where anything is added to it, a copy of it: a
// RoundTripper "should not modify the request".
func (t *transport) send(req *http.Request, token string, round int) (*http.Response, error) {
	if token == "" && round == 0 {
		return t.base.RoundTrip(req)
	}
	attempt := *req
	attempt.Header = maps.Clone(req.Header)
	if round > 0 && req.Body != nil {
		if req.GetBody == nil {
			return nil, t.client.refusal(nil, "the request cannot be sent twice")
		}
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("sending the request again: %w", err)
		}
		attempt.Body = body
	}
	if token != "" {
		attempt.Header.Set("Authorization", "Bearer "+token)
	}
	return t.base.RoundTrip(&attempt)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
