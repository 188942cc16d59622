package identity

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// Challenge is why a caller was not identified, and what it is told. Its text, but
// for Err, may be shown to the caller; none of it holds a credential.
type Challenge struct {
	// Status is the HTTP status: 400 for a request that can be read in two ways, 401
	// for a credential that is missing or no good, 403 for one that is good for less,
	// 503 where an issuer or a file could not be asked about it.
	Status       int
	Authenticate string   // value of WWW-Authenticate; empty: no such header
	Code         string   // error code of RFC 6750, section 3.1; empty without a credential
	Detail       string   // a sentence for people
	Scopes       []string // that the request needs, with status 403
	Err          error    // for the log only
}

// Error codes of RFC 6750, section 3.1.
const (
	invalidRequest    = "invalid_request"
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
)

func (c *Challenge) Error() string {
	if c.Err == nil {
		return c.Detail
	}
	return c.Detail + ": " + c.Err.Error()
}

// Unwrap is the refusal that the exchange ends with.
func (c *Challenge) Unwrap() error {
	return &decision.Refusal{Reason: decision.Unidentified, Detail: c.Detail, Err: c.Err}
}

func malformed(format string, args ...any) *Challenge {
	return &Challenge{Status: http.StatusBadRequest, Code: invalidRequest, Detail: fmt.Sprintf(format, args...)}
}

func noCredential(detail string) *Challenge {
	return &Challenge{Status: http.StatusUnauthorized, Detail: detail}
}

// noGood refuses a credential. detail is one of our own sentences; what the
// credential says goes to the log with err.
func noGood(detail string, err error) *Challenge {
	return &Challenge{Status: http.StatusUnauthorized, Code: invalidToken, Detail: detail, Err: err}
}

func unavailable(detail string, err error) *Challenge {
	return &Challenge{Status: http.StatusServiceUnavailable, Detail: detail, Err: err}
}

func tooLittle(scopes []string) *Challenge {
	return &Challenge{
		Status: http.StatusForbidden, Code: insufficientScope, Scopes: scopes,
		Detail: "the token lacks a scope; needed are " + strings.Join(scopes, " "),
	}
}

// challenge adds what only the mount knows. An error that is none of ours refuses
// too.
func (i *Identifier) challenge(mount string, err error) *Challenge {
	var c *Challenge
	if !errors.As(err, &c) {
		c = unavailable("the credential could not be checked", err)
	}
	if c.Err != nil {
		i.log.Info("a caller was not identified", "status", c.Status, "why", c.Detail, "error", c.Err)
	}
	if c.Status != http.StatusServiceUnavailable {
		c.Authenticate = i.authenticate(mount, c)
	}
	return c
}

// StepUp is the challenge to a principal whose token lacks some of the scopes that
// an operation needs, nil if it has them all. "Servers SHOULD include all the scopes
// required … in a single challenge" (2026-07-28, Authorization), which are those of
// the operation and those that every token needs. A principal without a token has no
// scopes and cannot get any: for it there is no header.
func (i *Identifier) StepUp(p *Principal, mount string, scopes []string) *Challenge {
	if !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(p.Scopes, s) }) {
		return nil
	}
	var always []string
	for _, s := range i.issuers {
		if s.Name == p.Issuer {
			always = s.Scopes
		}
	}
	c := tooLittle(union(always, scopes))
	if p.Means == ByJWT || p.Means == ByOpaque {
		c.Authenticate = i.authenticate(mount, c)
	}
	return c
}

// authenticate writes WWW-Authenticate as RFC 6750, section 3, and RFC 9728, section
// 5.1, have it. All values are ours or checked: none needs escaping.
func (i *Identifier) authenticate(mount string, c *Challenge) string {
	var out strings.Builder
	out.WriteString("Bearer")
	separator := " "
	add := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&out, `%s%s="%s"`, separator, name, value)
			separator = ", "
		}
	}
	scopes := c.Scopes
	if len(scopes) == 0 {
		scopes = i.scopes
	}
	add("realm", "gatehouse")
	add("error", c.Code)
	if c.Code != "" {
		add("error_description", quotable(c.Detail))
	}
	add("scope", strings.Join(scopes, " "))
	if len(i.issuers) > 0 {
		add("resource_metadata", i.metadataURL(mount))
	}
	return out.String()
}

// quotable keeps to what an error_description may hold: "%x20-21 / %x23-5B /
// %x5D-7E".
func quotable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, text)
}

// wellKnown is where metadata of protected resources lie, RFC 9728, section 3.
const wellKnown = "/.well-known/oauth-protected-resource"

// resource is the address of a mount.
func (i *Identifier) resource(mount string) string {
	if mount == "" {
		return i.conf.Resource + "/mcp"
	}
	return i.conf.Resource + "/mcp/" + url.PathEscape(mount)
}

// metadataURL: "inserting … the well-known URI path suffix between the host
// component and the path".
func (i *Identifier) metadataURL(mount string) string {
	origin, path := splitOrigin(i.resource(mount))
	return origin + wellKnown + path
}

func splitOrigin(address string) (origin, path string) {
	host := strings.Index(address, "://") + len("://")
	if slash := strings.IndexByte(address[host:], '/'); slash >= 0 {
		return address[:host+slash], address[host+slash:]
	}
	return address, ""
}

// Metadata is the metadata document of a mount, RFC 9728, as JSON; nil if there is
// no issuer that a client could get a token from. It is the same for all callers and
// does not tell whether there is such a server.
func (i *Identifier) Metadata(mount string) []byte { return i.metadata(i.resource(mount)) }

// MetadataAt is the document at a path of the gateway: of /mcp, of /mcp/{server}, or
// of the whole gateway. ok is false for every other path.
func (i *Identifier) MetadataAt(path string) (doc []byte, ok bool) {
	about, found := strings.CutPrefix(path, wellKnown)
	if !found || len(i.issuers) == 0 {
		return nil, false
	}
	_, base := splitOrigin(i.conf.Resource)
	about = strings.TrimPrefix(about, base)
	mount, isServer := strings.CutPrefix(about, "/mcp/")
	switch {
	case about == "" || about == "/":
		return i.metadata(i.conf.Resource), true
	case about == "/mcp":
		return i.Metadata(""), true
	case isServer && mount != "" && !strings.Contains(mount, "/"):
		return i.Metadata(mount), true
	}
	return nil, false
}

func (i *Identifier) metadata(resource string) []byte {
	if len(i.issuers) == 0 {
		return nil
	}
	var issuers []string
	for _, conf := range i.conf.Issuers { // sorted, unlike the map
		if conf.Header == "" {
			issuers = append(issuers, conf.URL)
		}
	}
	out := wire.AppendString([]byte(`{"resource":`), resource)
	out = appendStrings(append(out, `,"authorization_servers":`...), issuers)
	if len(i.scopes) > 0 {
		out = appendStrings(append(out, `,"scopes_supported":`...), i.scopes)
	}
	return append(out, `,"bearer_methods_supported":["header"],"resource_name":"Gatehouse"}`...)
}

func appendStrings(out []byte, list []string) []byte {
	out = append(out, '[')
	for n, text := range list {
		if n > 0 {
			out = append(out, ',')
		}
		out = wire.AppendString(out, text)
	}
	return append(out, ']')
}
