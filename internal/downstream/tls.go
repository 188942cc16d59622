package downstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync/atomic"
)

// Certificate is the gateway's own certificate. Its files may be replaced while
// the gateway runs.
type Certificate struct {
	cert, key string // files
	current   atomic.Pointer[tls.Certificate]
}

// LoadCertificate reads a certificate and its key from PEM files.
func LoadCertificate(cert, key string) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. If they cannot be used, or do not belong together
// because only one was replaced yet, the certificate from before stays.
func (c *Certificate) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	c.current.Store(&pair)
	return nil
}

// Config serves the certificate as it is at each handshake. Sessions are not
// resumed: a resumed one would live on after its certificate was replaced. A client
// may show a certificate of one of the authorities, if there are any; who it is and
// whether it may come in is decided with each request.
func (c *Certificate) Config(authorities func() *x509.CertPool) *tls.Config {
	config := tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2", "http/1.1"},
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
	asking := config.Clone()
	asking.ClientAuth = tls.RequestClientCert
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pool := authorities()
		if pool == nil {
			return nil, nil
		}
		now := asking.Clone()
		now.ClientCAs = pool
		return now, nil
	}
	return &config
}
