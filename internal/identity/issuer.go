package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/egress"
	"gatehouse/internal/wire"
)

// documentLimits bound a JSON document of an issuer. The largest in use are OpenID
// configurations with some hundred strings, and key sets with certificates.
var documentLimits = wire.Limits{Bytes: egress.MaxBodyBytes, Depth: 16, Items: 5000, Members: 500, Strings: 10_000}

// askTimeout bounds the requests to an issuer that one caller waits for.
const askTimeout = 10 * time.Second

// issuer checks the tokens of one authorization server.
type issuer struct {
	config.Issuer
	resource string // of the gateway
	teams    membership
	http     *http.Client
	keys     keySet
	inactive *cache        // tokens that the issuer said are no good
	asking   chan struct{} // holds one value for each question under way
	endpoint endpoint      // where to ask
}

func newIssuer(conf config.Issuer, resource string, teams membership) (*issuer, error) {
	guard, err := guardOf(conf)
	if err != nil {
		return nil, err
	}
	s := &issuer{
		Issuer: conf, resource: resource, teams: teams, http: egress.Client(guard, nil),
		inactive: newCache(), asking: make(chan struct{}, maxAsking),
	}
	s.keys.load = s.loadKeys
	return s, nil
}

// guardOf lets the issuer be reached where the configuration says it is, also inside
// a private network. What its metadata names beyond that must be public.
func guardOf(conf config.Issuer) (*egress.Guard, error) {
	guard := &egress.Guard{}
	for _, raw := range []string{conf.URL, conf.JWKSURL, conf.Introspection.URL} {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, errors.New("an address cannot be read")
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil {
			guard.UnsafePrefixes = append(guard.UnsafePrefixes, netip.PrefixFrom(a, a.BitLen()))
		} else if u.Hostname() != "" {
			guard.UnsafeHosts = append(guard.UnsafeHosts, strings.ToLower(u.Hostname()))
		}
	}
	if conf.CA != "" {
		roots, err := readRoots(conf.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		guard.Roots = roots
	}
	return guard, nil
}

// errNothing says that a document does not exist.
var errNothing = errors.New("there is no such document")

// metadata reads what the issuer says about itself: as an OAuth authorization server
// (RFC 8414) or an OpenID provider, from the places in the order that MCP names.
func (s *issuer) metadata(ctx context.Context) (wire.Value, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return wire.Value{}, errors.New("the issuer is no URL")
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	places := []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + "/.well-known/openid-configuration" + path,
		origin + path + "/.well-known/openid-configuration",
	}
	if path == "" {
		places = places[:2]
	}
	for _, place := range places {
		doc, err := s.document(ctx, place)
		if errors.Is(err, errNothing) {
			continue
		}
		if err != nil {
			return wire.Value{}, err
		}
		// RFC 8414, section 3.3: "The issuer value returned MUST be identical to the
		// authorization server's issuer identifier value". Nothing of the document is
		// used otherwise.
		if named := doc.Get("issuer").Text(); named != s.URL {
			return wire.Value{}, fmt.Errorf("the metadata says that it is of %.200q", named)
		}
		return doc, nil
	}
	return wire.Value{}, fmt.Errorf("the metadata: %w", errNothing)
}

// endpointOf is an address that the metadata names, or the configured one.
func (s *issuer) endpointOf(ctx context.Context, configured, name string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	doc, err := s.metadata(ctx)
	if err != nil {
		return "", err
	}
	if address := doc.Get(name).Text(); address != "" {
		return address, nil
	}
	return "", fmt.Errorf("the metadata names no %s", name)
}

// document reads a JSON object; errNothing stands for any 4xx status.
func (s *issuer) document(ctx context.Context, place string) (wire.Value, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return wire.Value{}, errors.New("an address of the metadata cannot be read")
	}
	return s.send(req)
}

func (s *issuer) send(req *http.Request) (wire.Value, error) {
	req.Header.Set("Accept", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return wire.Value{}, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		return wire.Value{}, fmt.Errorf("%w (HTTP status %d)", errNothing, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return wire.Value{}, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || (kind != "application/json" && !strings.HasSuffix(kind, "+json")) {
		return wire.Value{}, fmt.Errorf("content type %.100q", resp.Header.Get("Content-Type"))
	}
	raw, err := io.ReadAll(resp.Body) // bounded by the egress client
	if err != nil {
		return wire.Value{}, err
	}
	doc, err := wire.Scan(raw, documentLimits)
	if err != nil {
		return wire.Value{}, err
	}
	if doc.Root.Kind() != '{' {
		return wire.Value{}, errors.New("the document is no JSON object")
	}
	return doc.Root, nil
}
