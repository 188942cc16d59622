package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// certify writes a certificate for 127.0.0.1 and its key.
func certify(t *testing.T, cert, key string) *x509.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestTLS_serves_and_takes_over_a_renewed_certificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	shown := certify(t, cert, key)
	files := object{"tls": object{"cert": "cert.pem", "key": "key.pem"}}
	servers := object{"files": object{"command": hostile(t)}}
	g := serveIn(t, dir, servers, files)
	if !strings.HasPrefix(g.url, "https://") {
		t.Fatalf("the address is %s", g.url)
	}
	healthy := func(trusted *x509.Certificate) bool {
		roots := x509.NewCertPool()
		roots.AddCert(trusted)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get(g.url + "/healthz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK && response.ProtoMajor == 2
	}
	if !healthy(shown) {
		t.Error("it is not served over TLS and HTTP/2")
	}
	renewed := certify(t, cert, key)
	eventually(t, "the renewed certificate to be shown", func() bool { return healthy(renewed) })

	g.write(servers) // without tls
	g.command.Process.Signal(syscall.SIGHUP)
	eventually(t, "the change to be refused", func() bool {
		return strings.Contains(g.printed.String(), "cannot change while Gatehouse runs")
	})
	if !healthy(renewed) {
		t.Error("a refused configuration changes what is served")
	}
}
