package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/config"
)

const (
	// signedFor is how old a signature may be, and how far ahead of our clock. Within
	// that time a signature that was seen on the way can be used again, as every
	// bearer's credential can.
	signedFor = time.Minute
	// minProxySecret keeps a secret from being guessed.
	minProxySecret = 32
)

// proxy believes a proxy in front of the gateway. The same headers from anybody else
// have no meaning.
type proxy struct {
	config.Proxy
	secret []byte // nil: it does not sign
	teams  membership
}

func newProxy(conf config.Proxy, teams membership) (*proxy, error) {
	p := &proxy{Proxy: conf, teams: teams}
	if conf.SignatureHeader == "" {
		return p, nil
	}
	secret, err := conf.SignatureSecret.Resolve()
	if err != nil {
		return nil, err
	}
	if len(secret) < minProxySecret {
		return nil, errors.New("signature.secret is shorter than " + strconv.Itoa(minProxySecret) + " characters")
	}
	p.secret = []byte(secret)
	return p, nil
}

// vouches reports whether a request comes from the proxy, as far as its place tells,
// and names a caller. Of a proxy that only signs, it tells whether there is a
// signature.
func (p *proxy) vouches(r *Request) bool {
	if len(r.Header[p.User]) == 0 {
		return false
	}
	if len(p.From) > 0 {
		remote := r.Remote.Unmap()
		return slices.ContainsFunc(p.From, func(from netip.Prefix) bool { return from.Contains(remote) })
	}
	return p.secret != nil && len(r.Header[p.SignatureHeader]) > 0
}

func (p *proxy) identify(h http.Header) (*Principal, error) {
	user, once := one(h, p.User)
	groups, alsoOnce := "", true
	if p.Teams != "" {
		groups, alsoOnce = one(h, p.Teams)
	}
	// A proxy that adds its header to the one that the caller sent would let the
	// caller choose.
	if !once || !alsoOnce || strings.Contains(user, ",") {
		return nil, malformed("the proxy %s sends a header twice; it must replace what callers send", p.Name)
	}
	if p.secret != nil {
		signature, _ := one(h, p.SignatureHeader)
		if err := p.verify(signature, user, groups); err != nil {
			return nil, noGood("the signature of the proxy "+p.Name+" is not valid", err)
		}
	}
	if !isName(user) {
		return nil, noGood("the proxy "+p.Name+" names nobody", nil)
	}
	principal := &Principal{ID: "proxy:" + p.Name + "/" + user, Kind: User, Name: user, Means: ByProxy, Issuer: p.Name}
	return p.teams.join(principal, groupsOf(p.Name, splitList(groups))...), nil
}

// verify checks a signature: t=SECONDS,v1=HEX, where HEX is the HMAC-SHA256 of the
// time and the values of the two headers, each with a line feed behind it.
func (p *proxy) verify(signature, user, groups string) error {
	at, mac, _ := strings.Cut(signature, ",v1=")
	at, ok := strings.CutPrefix(at, "t=")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil {
		return errors.New("it is not of the form t=SECONDS,v1=HEX")
	}
	if age := time.Since(time.Unix(seconds, 0)).Abs(); age > signedFor {
		return errors.New("it is too old, or the clocks differ")
	}
	sum := hmac.New(sha256.New, p.secret)
	sum.Write([]byte(at + "\n" + user + "\n" + groups + "\n"))
	given, err := hex.DecodeString(mac)
	if err != nil || !hmac.Equal(given, sum.Sum(nil)) {
		return errors.New("it was made with another secret, or of other headers")
	}
	return nil
}

func splitList(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}
