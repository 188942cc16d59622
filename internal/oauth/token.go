package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse/internal/config"
	"gatehouse/internal/wire"
)

// How a client authenticates at the token endpoint, as RFC 7591 names it.
const (
	authNone  = "none"
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
	authKey   = "private_key_jwt"
)

const (
	grantCode     = "authorization_code"
	grantRefresh  = "refresh_token"
	grantClient   = "client_credentials"
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantBearer   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// maxTokenBytes of one token. It goes into a header, which servers bound too.
const maxTokenBytes = 16 << 10

// assertionLife is how long a signed assertion is good for; it is used at once.
const assertionLife = time.Minute

// identity is what the gateway is to one authorization server.
type identity struct {
	id     string
	secret config.Secret
	key    config.Secret // PEM
	method string
}

// tokens is the answer of a token endpoint.
type tokens struct {
	access, refresh config.Secret
	kind            string // issued_token_type of an exchange
	expires         time.Time
	scopes          []string // nil if the answer does not say
}

// tokenError is an error that the endpoint answered, RFC 6749, section 5.2.
type tokenError struct{ code string }

func (e *tokenError) Error() string {
	return fmt.Sprintf("the authorization server answered %.60q", e.code)
}

// final tells errors that trying again does not mend.
func (e *tokenError) final() bool {
	return slices.Contains([]string{"invalid_grant", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "access_denied"}, e.code)
}

// requestToken posts a form to a token endpoint.
func (c *Client) requestToken(ctx context.Context, s server, who identity, form url.Values) (tokens, error) {
	if err := c.checkURL(s.token); err != nil {
		return tokens{}, fmt.Errorf("the token endpoint: %w", err)
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if err := who.authenticate(s, form, header); err != nil {
		return tokens{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.token, strings.NewReader(form.Encode()))
	if err != nil {
		return tokens{}, err
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if err != nil {
		return tokens{}, fmt.Errorf("asking for a token: %w", err)
	}
	defer resp.Body.Close()
	doc, err := readJSON(resp)
	switch {
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && doc.Get("error").Text() != "":
		return tokens{}, &tokenError{doc.Get("error").Text()}
	case resp.StatusCode != http.StatusOK:
		return tokens{}, fmt.Errorf("asking for a token: HTTP status %d", resp.StatusCode)
	case err != nil:
		return tokens{}, fmt.Errorf("reading a token: %w", err)
	}
	return readTokens(doc, form.Get("grant_type"))
}

func readTokens(doc wire.Value, grant string) (tokens, error) {
	access, refresh := doc.Get("access_token").Text(), doc.Get("refresh_token").Text()
	if !isToken(access) || (refresh != "" && !isToken(refresh)) {
		return tokens{}, errors.New("reading a token: the answer holds none that can be used")
	}
	// RFC 6749, section 7.1: "The client MUST NOT use an access token if it does not
	// understand the token type." What an exchange issues is "N_A", no access token.
	if grant != grantExchange && !strings.EqualFold(doc.Get("token_type").Text(), "Bearer") {
		return tokens{}, fmt.Errorf("reading a token: its type is %.40q, want Bearer", doc.Get("token_type").Text())
	}
	t := tokens{access: seal(access), refresh: seal(refresh), kind: doc.Get("issued_token_type").Text()}
	const longest = 10 * 365 * 24 * 3600 // seconds; beyond it nothing expires
	if seconds, ok := doc.Get("expires_in").Int(); ok && seconds > 0 && seconds < longest {
		t.expires = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	if doc.Get("scope").Exists() {
		t.scopes = append([]string{}, scopesOf(doc.Get("scope").Text())...)
	}
	return t, nil
}

// isToken accepts what may stand in a header: RFC 6750, section 2.1, b64token, and
// what is printable besides, since not every server keeps to it.
func isToken(s string) bool {
	return s != "" && len(s) <= maxTokenBytes && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// chooseMethod picks how to authenticate with a secret: the way in which it stays
// out of the body, if the server does not say that it wants another one.
func chooseMethod(supported []string) string {
	if len(supported) > 0 && !slices.Contains(supported, authBasic) && slices.Contains(supported, authPost) {
		return authPost
	}
	return authBasic
}

// authenticate adds what says who the client is to a form or its header.
func (who identity) authenticate(s server, form url.Values, header http.Header) error {
	secret, err := who.secret.Resolve()
	if err != nil {
		return err
	}
	switch who.method {
	case authNone:
		form.Set("client_id", who.id)
	case authPost:
		form.Set("client_id", who.id)
		form.Set("client_secret", secret)
	case authBasic:
		// RFC 6749, section 2.3.1: encoded as a form first.
		req := http.Request{Header: header}
		req.SetBasicAuth(url.QueryEscape(who.id), url.QueryEscape(secret))
	case authKey:
		assertion, err := who.assertion(s)
		if err != nil {
			return fmt.Errorf("signing with the client key: %w", err)
		}
		form.Set("client_id", who.id)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	default:
		return fmt.Errorf("the authorization server wants the client to authenticate by %.60q, which is not supported", who.method)
	}
	return nil
}

// assertion is a JWT that says who the client is, RFC 7523, section 3. Its audience
// is the issuer alone, so that no other server can use it.
func (who identity) assertion(s server) (string, error) {
	text, err := who.key.Resolve()
	if err != nil {
		return "", err
	}
	key, method, err := parseKey(text)
	if err != nil {
		return "", err
	}
	now := time.Now()
	return jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": who.id, "sub": who.id, "aud": s.issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	}).SignedString(key)
}

// parseKey reads a private key in PEM; its kind decides how it signs. The error
// never repeats the key.
func parseKey(text string) (crypto.Signer, jwt.SigningMethod, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, nil, errors.New("it is not one private key in PEM")
	}
	key, err := parseDER(block)
	if err != nil {
		return nil, nil, errors.New("it is not a private key that can be used")
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return k, jwt.SigningMethodES256, nil
		case 384:
			return k, jwt.SigningMethodES384, nil
		}
	case *rsa.PrivateKey:
		if k.N.BitLen() >= 2048 {
			return k, jwt.SigningMethodRS256, nil
		}
	case ed25519.PrivateKey:
		return k, jwt.SigningMethodEdDSA, nil
	}
	return nil, nil, errors.New("want an ECDSA key of 256 or 384 bits, an RSA key of 2048 bits or more, or an Ed25519 key")
}

func parseDER(block *pem.Block) (any, error) {
	switch block.Type {
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}
