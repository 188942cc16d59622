package identity

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"net/url"
)

type Request struct {
	Header http.Header
	TLS    *tls.ConnectionState
	Remote netip.Addr
	Local  bool
	Mount  string
	Query  url.Values
}

type Identifier struct{}

type Challenge struct {
	Status int
	Header string
	Reason string
}

func (c *Challenge) Error() string { return c.Reason }

func (*Identifier) Identify(context.Context, *Request) (*Principal, error) { return nil, nil }
