// Package identity finds out who makes a request: by an access token of a
// configured issuer, an API key, a client certificate, a proxy in front of the
// gateway, or because the caller is on this machine. It looks at every request by
// itself; a session or a connection never stands for a caller.
//
// A credential that is presented must be good. There is no falling back from one
// that is not to another way, nor to the local user.
package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"slices"
	"time"

	"gatehouse/internal/config"
)

// Principal is who makes a request. It does not change once made and may be shared
// between goroutines.
type Principal struct {
	// ID is unique and stable over all issuers and kinds: "local:USER",
	// "user:ISSUER/SUBJECT", "agent:ISSUER/SUBJECT", "key:NAME", "cert:NAME" or
	// "proxy:PROXY/USER". It is printable and holds no line break.
	ID      string
	Kind    Kind
	Name    string    // for people; may be anybody's choice
	Teams   []string  // sorted: teams of the configuration, and groups as "ISSUER/GROUP"
	Client  string    // OAuth client of the token; empty: unknown
	Scopes  []string  // of the token or key, sorted
	Means   Means     // how it was identified
	Issuer  string    // configured name of the issuer or proxy; empty: none
	Expires time.Time // of the credential; zero: it does not expire
}

// Kind tells people from programs.
type Kind string

// Values of Kind.
const (
	User  Kind = "user"  // a person
	Agent Kind = "agent" // a program with a credential of its own
	Local Kind = "local" // whoever started the gateway, or a program of that person
)

// Means is how a principal was identified.
type Means string

// Values of Means.
const (
	ByLocal       Means = "local"
	ByJWT         Means = "jwt"
	ByOpaque      Means = "opaque"
	ByKey         Means = "key"
	ByCertificate Means = "certificate"
	ByProxy       Means = "proxy"
)

// AllMeans are the values of Means.
var AllMeans = []Means{ByLocal, ByJWT, ByOpaque, ByKey, ByCertificate, ByProxy}

// Request is what a request says about its sender.
type Request struct {
	Header http.Header // with canonical names; nil on stdio
	Query  url.Values
	TLS    *tls.ConnectionState // nil without TLS
	Remote netip.Addr           // of the connection; the zero Addr on stdio
	Local  bool                 // connected over loopback, or over stdio
	Mount  string               // id of the server in /mcp/{server}; "" for /mcp
}

// Identifier identifies callers. Its methods may be called from any goroutine.
type Identifier struct {
	conf         config.Identity
	localUser    *Principal // nil: a caller of this machine needs a credential
	teams        membership
	issuers      map[string]*issuer // by the URL as it stands in a token
	byHeader     []*issuer          // that send their token in a header of their own
	asked        *issuer            // about tokens that cannot be read here; nil: none
	keys         *keyRing           // nil: there are none
	certificates *certificates      // nil: none are taken
	proxies      []*proxy
	known        *cache
	scopes       []string // that a token needs at any of the issuers
	log          *slog.Logger
}

// New makes the Identifier of a configuration. It reads the files that the section
// names and makes no connection; that is left to the first token.
func New(c *config.Config, log *slog.Logger) (*Identifier, error) {
	i := &Identifier{conf: c.Identity, teams: newMembership(c.Teams), issuers: map[string]*issuer{}, known: newCache(), log: log}
	if c.Identity.LocalAllowed() {
		i.localUser = i.teams.join(&Principal{ID: LocalUser(), Kind: Local, Name: LocalUser()[len("local:"):], Means: ByLocal})
	}
	for _, conf := range c.Identity.Issuers {
		if err := i.addIssuer(conf); err != nil {
			return nil, fmt.Errorf("identity.issuers.%s: %w", conf.Name, err)
		}
	}
	if c.Identity.Keys != "" {
		i.keys = &keyRing{path: c.Identity.Keys, teams: i.teams, log: log}
	}
	if c.Identity.Certificates.CA != "" {
		roots, err := readRoots(c.Identity.Certificates.CA)
		if err != nil {
			return nil, fmt.Errorf("identity.certificates.ca: %w", err)
		}
		i.certificates = newCertificates(c.Identity.Certificates, roots, i.teams)
	}
	for _, conf := range c.Identity.Proxies {
		p, err := newProxy(conf, i.teams)
		if err != nil {
			return nil, fmt.Errorf("identity.proxies.%s: %w", conf.Name, err)
		}
		i.proxies = append(i.proxies, p)
	}
	return i, nil
}

func (i *Identifier) addIssuer(conf config.Issuer) error {
	s, err := newIssuer(conf, i.conf.Resource, i.teams)
	if err != nil {
		return err
	}
	if conf.Header != "" {
		i.byHeader = append(i.byHeader, s)
		return nil
	}
	i.issuers[conf.URL] = s
	i.scopes = union(i.scopes, conf.Scopes)
	if conf.Introspection.ClientID != "" {
		i.asked = s
	}
	return nil
}

// LocalUser is the ID of the user of this process.
func LocalUser() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return "local:" + name
}

// ClientCAs are the authorities of client certificates, for the handshake, which
// should ask for a certificate and not insist on one; nil if none are taken.
func (i *Identifier) ClientCAs() *x509.CertPool {
	if i.certificates == nil {
		return nil
	}
	return i.certificates.roots
}

// Identify finds out who makes a request. The error is a *Challenge.
func (i *Identifier) Identify(ctx context.Context, r *Request) (*Principal, error) {
	if !i.conf.Configured() {
		return i.local(r)
	}
	p, err := i.identify(ctx, r)
	if err != nil {
		return nil, i.challenge(r.Mount, err)
	}
	return p, nil
}

func (i *Identifier) identify(ctx context.Context, r *Request) (*Principal, error) {
	if name := credentialInQuery(r.Query); name != "" {
		// RFC 9700, section 2: "Clients MUST NOT pass access tokens in a URI query
		// parameter"; addresses end up in logs.
		return nil, malformed("a credential stands in the address (%s); it belongs into the Authorization header", name)
	}
	c, err := i.credential(r)
	if err != nil {
		return nil, err
	}
	switch c.kind {
	case bearer:
		return i.token(ctx, r, c)
	case apiKey:
		return i.keys.identify(c.text)
	case certificate:
		return i.certificates.identify(r.TLS)
	case forwarded:
		return c.proxy.identify(r.Header)
	}
	return i.local(r)
}

// local takes a caller of this machine for the local user, if that is allowed.
func (i *Identifier) local(r *Request) (*Principal, error) {
	switch {
	case i.localUser != nil && r.Local && !wasForwarded(r.Header):
		return i.localUser, nil
	case !i.conf.Configured():
		return nil, &Challenge{Status: http.StatusForbidden, Detail: "only this machine may connect while there is no identity section"}
	case r.Header == nil:
		return nil, noCredential("a client on stdio can show no credential; identity.local: allow makes it the local user")
	}
	return nil, noCredential("the request has no credential")
}

// proxied are headers by which a proxy or a tunnel shows itself.
var proxied = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via", "Cf-Connecting-Ip", "True-Client-Ip",
}

// wasForwarded reports whether a proxy of this machine sent the request on for
// somebody who may be anywhere.
func wasForwarded(h http.Header) bool {
	for _, name := range proxied {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// readRoots reads certificates of authorities, PEM.
func readRoots(path string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, errors.New("the file holds no certificate in PEM")
	}
	return pool, nil
}

// union keeps the order in which texts are first named.
func union(lists ...[]string) []string {
	var out []string
	for _, list := range lists {
		for _, text := range list {
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}
