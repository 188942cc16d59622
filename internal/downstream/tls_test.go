package downstream

import (
	"bufio"
	"context"
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
	"testing"
	"time"
)

// certify writes a new certificate for this machine over the files.
func certify(t *testing.T, cert, key string) *x509.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
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

// newSecureFront is newFront behind a certificate of its own, with HTTP/2 or
// without.
func newSecureFront(t *testing.T, h2 bool) (*front, *Certificate) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	trusted := certify(t, certFile, keyFile)
	certificate, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(t)
	server := &http.Server{Handler: f.http.Handler(), TLSConfig: certificate.Config(func() *x509.CertPool { return nil })}
	f.listen(t, "https://", func(l net.Listener) error { return server.ServeTLS(l, "", "") }, server)
	roots := x509.NewCertPool()
	roots.AddCert(trusted)
	f.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: h2}}
	t.Cleanup(f.client.CloseIdleConnections)
	return f, certificate
}

func Test_over_TLS_the_same_endpoint_with_HTTP_1_and_2(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			f, _ := newSecureFront(t, h2)
			id := f.session(t)
			r := f.send(t, "POST", "/mcp/files", callOf("1", "echo"), headerSession, id)
			if body := bodyOf(t, r); r.Proto != name || r.StatusCode != 200 || !strings.Contains(body, `"id":1`) {
				t.Errorf("%s %d %s", r.Proto, r.StatusCode, body)
			}
			if v := r.TLS.Version; v != tls.VersionTLS13 {
				t.Errorf("TLS version %x", v)
			}
			for host, want := range map[string]int{"evil.example.com:" + f.port(): 403, "evil.example.com": 403, "localhost": 403, "127.0.0.1:" + f.port(): 200} {
				if r := f.send(t, "GET", "/healthz", "", "Host", host); r.StatusCode != want {
					t.Errorf("Host %s: %d", host, r.StatusCode)
				}
			}
			if r := f.send(t, "POST", "/mcp/files", hello, "Origin", "https://evil.example.com"); r.StatusCode != 403 {
				t.Errorf("another origin: %d", r.StatusCode)
			}

			head := []string{headerSession, id, headerVersion, newest}
			call, leave := f.open(t, "POST", callOf("5", "talks"), head...)
			call.want(t, "")
			last := call.want(t, noteOf("one"))
			<-f.backend.held
			leave() // of a legacy call; it goes on
			close(f.backend.hold)
			again, _ := f.open(t, "GET", "", append(head, "Last-Event-ID", last)...)
			again.want(t, noteOf("two"))
			again.want(t, `{"jsonrpc":"2.0","id":5,"result"`)
			again.wantEnd(t)
		})
	}
}

func Test_over_HTTP_2_the_end_of_a_modern_stream_cancels(t *testing.T) {
	f, _ := newSecureFront(t, true)
	call, leave := modernCall(t, f, "talks")
	call.want(t, noteOf("one"))
	<-f.backend.held
	leave()
	select {
	case <-f.backend.gone:
	case <-time.After(soon):
		t.Error("the server was not told")
	}
}

func Test_older_TLS_is_refused(t *testing.T) {
	f, _ := newSecureFront(t, false)
	config := f.client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.MaxVersion = tls.VersionTLS12
	dialer := tls.Dialer{Config: config}
	if conn, err := dialer.DialContext(context.Background(), "tcp", "localhost:"+f.port()); err == nil {
		conn.Close()
		t.Error("TLS 1.2 is spoken")
	}
}

func Test_a_certificate_is_replaced_while_clients_are_served(t *testing.T) {
	f, certificate := newSecureFront(t, true)
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	serial := func() string {
		conn, err := dialer.DialContext(t.Context(), "tcp", "localhost:"+f.port())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	open := f.send(t, "GET", "/mcp/files", "", headerSession, f.session(t))
	next := certify(t, certificate.cert, certificate.key)
	if err := certificate.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got == first || got != next.SerialNumber.String() {
		t.Errorf("the certificate %s is shown, not %s", got, next.SerialNumber)
	}
	f.backend.news <- noteOf("later")
	(&streamed{Response: open, r: bufio.NewReader(open.Body)}).want(t, noteOf("starting"))

	if err := os.WriteFile(certificate.key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if certificate.Reload() == nil {
		t.Error("half a key is taken")
	}
	if got := serial(); got != next.SerialNumber.String() {
		t.Error("a bad reload does not keep the certificate")
	}
}

func Test_a_certificate_that_cannot_be_used(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	certify(t, a, b)
	other := filepath.Join(dir, "other")
	certify(t, filepath.Join(dir, "c"), other)
	for name, pair := range map[string][2]string{"not there": {a, filepath.Join(dir, "none")}, "another's key": {a, other}, "turned around": {b, a}} {
		if _, err := LoadCertificate(pair[0], pair[1]); err == nil || !strings.HasPrefix(err.Error(), "reading the certificate: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadCertificate(a, b); err != nil {
		t.Error(err)
	}
}
