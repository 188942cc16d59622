package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/config"
)

// certificates identifies callers by the certificate of their connection. The chain
// is verified here, whatever the handshake did.
type certificates struct {
	conf  config.Certificates
	roots *x509.CertPool
	teams membership
	known *cache
}

func newCertificates(conf config.Certificates, roots *x509.CertPool, teams membership) *certificates {
	return &certificates{conf, roots, teams, newCache()}
}

// identify verifies the certificate. The work of that is spared for the next
// requests of the connection.
func (c *certificates) identify(state *tls.ConnectionState) (*Principal, error) {
	leaf, now := state.PeerCertificates[0], time.Now()
	sum := digest(sha256.Sum256(leaf.Raw))
	if v := c.known.get(sum, now); v != nil {
		return v.principal, nil
	}
	intermediates := x509.NewCertPool()
	for _, other := range state.PeerCertificates[1:] {
		intermediates.AddCert(other)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.roots, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, noGood("the client certificate is not valid here", err)
	}
	name, err := c.name(leaf)
	if err != nil {
		return nil, noGood("the client certificate does not name its holder", err)
	}
	p := &Principal{ID: "cert:" + name, Kind: Agent, Name: name, Means: ByCertificate, Expires: leaf.NotAfter}
	if c.conf.Name == config.ByEmail {
		p.Kind = User
	}
	var groups []string
	if c.conf.Teams == "ou" {
		groups = groupsOf(config.CertificateGroups, leaf.Subject.OrganizationalUnit)
	}
	p = c.teams.join(p, groups...)
	c.known.put(sum, &verified{principal: p, until: earlier(leaf.NotAfter, now.Add(knownFor))})
	return p, nil
}

// name is the one name of the configured form. With several of them it would not be
// clear which is meant, and two certificates of one holder could differ.
func (c *certificates) name(leaf *x509.Certificate) (string, error) {
	var names []string
	switch c.conf.Name {
	case config.ByEmail:
		names = leaf.EmailAddresses
	case config.ByDNS:
		names = leaf.DNSNames
	case config.ByCN:
		names = []string{leaf.Subject.CommonName}
	default:
		for _, u := range leaf.URIs {
			names = append(names, u.String())
		}
	}
	if len(names) != 1 {
		return "", fmt.Errorf("it has %d names of the form %s, not one", len(names), c.conf.Name)
	}
	if !isName(names[0]) {
		return "", errors.New("its name is empty, too long or not printable")
	}
	return names[0], nil
}

// thumbprint is x5t#S256 of RFC 8705, section 3.1, of the certificate of a
// connection; "" if it has none.
func thumbprint(state *tls.ConnectionState) string {
	if state == nil || len(state.PeerCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
