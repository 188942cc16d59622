package egress

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// names is a resolver that gives the next of its answers each time it is asked.
type names struct {
	answers [][]netip.Addr
	asked   int
}

func (n *names) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	answer := n.answers[min(n.asked, len(n.answers)-1)]
	n.asked++
	return answer, nil
}

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "223.255.255.255": true, "172.32.0.1": true, "100.128.0.1": true,
		"2606:4700::1111": true, "2a00:1450::1": true, "2400:cb00::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "100.100.100.200": false,
		"127.0.0.1": false, "127.255.0.1": false, "168.63.129.16": false, "169.254.169.254": false, "169.254.170.2": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false,
		"192.168.1.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:8.8.8.8": false, "::127.0.0.1": false, "::8.8.8.8": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::808:808": false, "64:ff9b:1::1": false, "100::1": false,
		"2001::1": false, "2001:2::1": false, "2001:10::1": false, "2001:20::1": false, "2001:db8::1": false,
		"2002:7f00:1::1": false, "2002:a9fe:a9fe::": false, "3fff::1": false, "5f00::1": false,
		"fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false,
		"2606:4700::1111%eth0": false, "4000::1": false, "8000::1": false,
	} {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("Public(%s) = %v, want %v", text, got, want)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("the zero address is public")
	}
}

func TestPlainHost_refuses_every_other_spelling_of_an_address(t *testing.T) {
	for _, host := range []string{"example.com", "a-b.example", "xn--bcher-kva.example", "localhost", "127.0.0.1", "::1", "1.example", "0x7f.example", "example.com."} {
		if !plainHost(host) {
			t.Errorf("%q is refused", host)
		}
	}
	for _, host := range []string{
		"", ".", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "127.0.1", "127.0.0.1.", "0x7F.0.0.0x1", "017700000001",
		"::ffff:127.0.0.1", "::ffff:7f00:1", "fe80::1%eth0", "::1%lo", "127.0.0.1%lo", "exa mple.com", "a\x00b", "exämple.com", "１２７.0.0.1",
		"a/b", "a@b", "[::1]", "a:1", strings.Repeat("a", 254), "127.0.0.1 ", "1.2.3.4.5", "host.0x1",
	} {
		if plainHost(host) {
			t.Errorf("%q passes", host)
		}
	}
}

func TestDialContext_checks_every_address_and_dials_only_what_it_checked(t *testing.T) {
	target := listen(t)
	_, targetPort, _ := net.SplitHostPort(target)
	// The unspecified address reaches this machine as well, and so does a mapped one.
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "localhost", "127.0.0.1."} {
		if err := dial(&Guard{}, net.JoinHostPort(host, targetPort)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want it refused", host, err)
		}
	}
	for _, answer := range [][]netip.Addr{
		addresses("10.0.0.1"), addresses("8.8.8.8", "10.0.0.1"), addresses("2606:4700::1", "fd00::1"),
		addresses("::ffff:10.0.0.1"), addresses("::ffff:127.0.0.1"), addresses("64:ff9b::a00:1"), addresses("2002:a00:1::"), addresses("fe80::1%eth0"),
	} {
		g := &Guard{Resolver: &names{answers: [][]netip.Addr{answer}}}
		if err := dial(g, "evil.example:80"); !errors.Is(err, ErrRefused) {
			t.Errorf("a name with %v: %v, want it refused", answer, err)
		}
	}
	for _, network := range []string{"udp", "unix", "ip"} {
		if _, err := (&Guard{}).DialContext(t.Context(), network, "8.8.8.8:53"); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want it refused", network, err)
		}
	}
	g := &Guard{UnsafePrefixes: prefixes("127.0.0.0/8"), Resolver: &names{answers: [][]netip.Addr{addresses("127.0.0.1")}}}
	if err := dial(g, "here.example:"+targetPort); err != nil {
		t.Errorf("an allowed address: %v", err)
	}
	g = &Guard{UnsafePrefixes: prefixes("127.0.0.0/8"), Resolver: &names{answers: [][]netip.Addr{addresses("::ffff:127.0.0.1")}}}
	if err := dial(g, "here.example:"+targetPort); err != nil {
		t.Errorf("an allowed address, as some resolvers write it: %v", err)
	}
	if err := dial(&Guard{Resolver: &names{answers: [][]netip.Addr{nil}}}, "none.example:80"); err == nil {
		t.Error("a name without an address was dialled")
	}
}

// The first answer is public and the second one is not: what was checked and what
// is dialled must be one and the same answer.
func TestDialContext_asks_once_so_that_rebinding_has_no_effect(t *testing.T) {
	target := listen(t)
	_, targetPort, _ := net.SplitHostPort(target)
	// 198.51.100.1 answers nowhere; it is allowed here to stand for a public address
	// without leaving the machine.
	rebinding := &names{answers: [][]netip.Addr{addresses("198.51.100.1"), addresses("127.0.0.1")}}
	g := &Guard{UnsafePrefixes: prefixes("198.51.100.0/24"), Resolver: rebinding}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing is sent to the network; the check comes first
	if _, err := g.DialContext(ctx, "tcp", "rebind.example:"+targetPort); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("the first dial: %v, want that it was not refused and not made", err)
	}
	if rebinding.asked != 1 {
		t.Errorf("the name was looked up %d times for one dial, want once", rebinding.asked)
	}
	if err := dial(g, "rebind.example:"+targetPort); !errors.Is(err, ErrRefused) {
		t.Errorf("the second dial, to the other address: %v, want it refused", err)
	}
}

func TestAllowances_by_name_never_reach_metadata(t *testing.T) {
	for address, want := range map[string]bool{
		"10.1.2.3": true, "192.168.0.1": true, "127.0.0.1": true, "fd12::1": true, "100.64.0.9": true, "8.8.8.8": true,
		"169.254.169.254": false, "fd00:ec2::254": false, "100.100.100.200": false, "0.0.0.0": false, "224.0.0.1": false, "fe80::1": false, "64:ff9b::a00:1": false,
	} {
		g := &Guard{UnsafeHosts: []string{"sso.corp.example"}, Resolver: &names{answers: [][]netip.Addr{addresses(address)}}}
		if _, err := g.check(t.Context(), "SSO.corp.example."); (err == nil) != want {
			t.Errorf("the named host at %s: %v, want allowed %v", address, err, want)
		}
		if _, err := g.check(t.Context(), "other.corp.example"); (err == nil) != (address == "8.8.8.8") {
			t.Errorf("another host at %s: %v", address, err)
		}
	}
}

func TestClient_speaks_https_only(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	defer server.Close()
	loopback := &Guard{UnsafePrefixes: prefixes("127.0.0.0/8")}
	for _, test := range []struct {
		guard *Guard
		url   string
		want  bool
	}{
		{loopback, server.URL, true},
		{loopback, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), false}, // ::1 is not among the allowed
		{&Guard{}, server.URL, false},
		{&Guard{}, "http://example.com/", false},
		{loopback, "http://example.com/", false},
		{&Guard{}, "https://user@example.com/", false},
		{&Guard{}, "https://0x7f.1/", false},
		{&Guard{}, "https://[::ffff:127.0.0.1]/", false},
		{&Guard{}, "https://169.254.169.254/latest/meta-data/", false},
		{&Guard{}, "https://[fd00:ec2::254]/", false},
		{&Guard{}, "file:///etc/passwd", false},
		{&Guard{}, "gopher://example.com/", false},
		{&Guard{}, "ftp://example.com/", false},
	} {
		resp, err := Client(test.guard, nil).Get(test.url)
		if err == nil {
			resp.Body.Close()
		}
		if strings.Contains(test.url, "localhost") && err == nil {
			continue // a machine without ::1
		}
		if (err == nil) != test.want || (err != nil && !errors.Is(err, ErrRefused)) {
			t.Errorf("%s: %v, want success %v", test.url, err, test.want)
		}
	}
}

func TestClient_checks_every_hop(t *testing.T) {
	var seen http.Header
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Clone() }))
	defer other.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	var location string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			seen = r.Header.Clone()
			return
		}
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer server.Close()

	for to, want := range map[string]bool{
		server.URL + "/end": true, other.URL: true,
		"https://10.0.0.1/": false, "https://169.254.169.254/": false, "https://[::ffff:10.0.0.1]/": false, "https://[64:ff9b::a00:1]/": false,
		"https://0x0a.1/": false, plain.URL: false, "http://10.0.0.1/": false, "file:///etc/passwd": false, "javascript:alert(1)": false, server.URL + "/again": false,
	} {
		location, seen = to, nil
		req, _ := http.NewRequest(http.MethodGet, server.URL, nil)
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := trusting(server, other).Do(req)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != want || (err != nil && !errors.Is(err, ErrRefused)) {
			t.Errorf("a redirect to %s: %v, want success %v", to, err, want)
		}
		if to == other.URL && seen.Get("Authorization") != "" {
			t.Error("the credential followed the redirect to another origin")
		}
		if to == server.URL+"/end" && seen.Get("Authorization") == "" {
			t.Error("the credential was lost within one origin")
		}
		if seen.Get("Referer") != "" {
			t.Errorf("the redirect to %s carried a Referer", to)
		}
	}

	location = other.URL
	if _, err := trusting(server, other).Post(server.URL, "application/x-www-form-urlencoded", strings.NewReader("code=secret")); !errors.Is(err, ErrRefused) {
		t.Errorf("a redirect of a POST: %v, want it refused", err)
	}
}

// trusting is a client for servers of this test, with their certificates.
func trusting(servers ...*httptest.Server) *http.Client {
	c := Client(&Guard{UnsafePrefixes: prefixes("127.0.0.0/8")}, nil)
	pool := servers[0].Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	for _, s := range servers[1:] {
		pool.RootCAs.AddCert(s.Certificate())
	}
	c.Transport.(*transport).base.(*http.Transport).TLSClientConfig = pool
	return c
}

func TestClient_bounds_answers(t *testing.T) {
	for _, size := range []int{0, 1, MaxBodyBytes, MaxBodyBytes + 1, 3 * MaxBodyBytes} {
		for _, chunked := range []bool{false, true} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if chunked {
					w.(http.Flusher).Flush()
				} else {
					w.Header().Set("Content-Length", fmt.Sprint(size))
				}
				w.Write(make([]byte, size))
			}))
			resp, err := Client(&Guard{UnsafePrefixes: prefixes("127.0.0.0/8")}, nil).Get(server.URL)
			var got []byte
			if size > MaxBodyBytes && !chunked && err == nil {
				t.Errorf("%d bytes were announced and awaited", size)
			}
			if err == nil {
				got, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if want := size <= MaxBodyBytes; (err == nil) != want || (!want && !errors.Is(err, ErrTooLarge)) || len(got) > MaxBodyBytes || (want && len(got) != size) {
				t.Errorf("%d bytes, chunked %v: read %d, %v", size, chunked, len(got), err)
			}
			server.Close()
		}
	}
}

func TestClient_uses_a_proxy_only_if_it_is_given(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var connected string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connected = r.Method + " " + r.Host
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	at, _ := url.Parse(proxy.URL)
	if _, err := Client(&Guard{}, at).Get("https://example.com/"); err == nil || connected != "CONNECT example.com:443" {
		t.Errorf("through the proxy: %v, it saw %q", err, connected)
	}
	if _, err := Client(&Guard{}, at).Get("https://10.0.0.1/"); !errors.Is(err, ErrRefused) {
		t.Errorf("an address in the URL, through the proxy: %v, want it refused", err)
	}
	if Client(&Guard{}, nil).Transport.(*transport).base.(*http.Transport).Proxy != nil {
		t.Error("a proxy is taken from the environment")
	}
}

func TestSameOrigin(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"https://a.example/x", "https://A.example:443/y?z", true},
		{"http://a.example", "http://a.example:80", true},
		{"https://a.example", "http://a.example", false},
		{"https://a.example", "https://a.example:8443", false},
		{"https://a.example", "https://b.a.example", false},
		{"https://a.example", "https://a.example.", false},
		{"https://\u212a.example", "https://k.example", false},
		{"https:///x", "https:///x", false},
	} {
		a, _ := url.Parse(test.a)
		b, _ := url.Parse(test.b)
		if got := SameOrigin(a, b); got != test.want || SameOrigin(b, a) != test.want {
			t.Errorf("%s and %s: %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

// An IPv4 address that is not public must not pass as itself, nor inside any of
// the forms in which IPv6 carries one.
func FuzzPublic_no_special_address_passes_in_any_form(f *testing.F) {
	for _, text := range []string{"10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.0.1", "8.8.8.8", "100.64.0.1"} {
		a := netip.MustParseAddr(text).As4()
		f.Add(binary.BigEndian.Uint32(a[:]), uint64(1))
	}
	registry := prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")
	f.Fuzz(func(t *testing.T, n uint32, low uint64) {
		var v4 [4]byte
		binary.BigEndian.PutUint32(v4[:], n)
		a := netip.AddrFrom4(v4)
		if within(registry, a) && Public(a) {
			t.Fatalf("%v passes", a)
		}
		for _, prefix := range []string{"::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::", "fe80::", "fc00::", "fd00::", "ff02::", "fec0::", "2001:0:", "2002:", "100::", "2001:db8::", "3fff::", "5f00::"} {
			for _, form := range carriers(prefix, v4, low) {
				if Public(form) {
					t.Fatalf("%v passes", form)
				}
				if err := dial(&Guard{}, net.JoinHostPort(form.String(), "1")); !errors.Is(err, ErrRefused) {
					t.Fatalf("%v: %v, want it refused", form, err)
				}
			}
		}
		for _, text := range []string{fmt.Sprint(n), fmt.Sprintf("0x%x", n), fmt.Sprintf("%#o", n), fmt.Sprintf("0x%x.%d", v4[0], n&0xffffff), fmt.Sprintf("%d.%d", v4[0], n&0xffffff)} {
			if plainHost(text) {
				t.Fatalf("%q passes as a host", text)
			}
		}
	})
}

// carriers put an IPv4 address behind a prefix of IPv6, right after it and at the
// end.
func carriers(prefix string, v4 [4]byte, low uint64) []netip.Addr {
	whole := prefix
	if strings.Count(prefix, ":") < 7 && !strings.Contains(prefix, "::") {
		whole += ":"
	}
	base, err := netip.ParseAddr(whole)
	if err != nil {
		panic(err)
	}
	end, after := base.As16(), base.As16()
	copy(end[12:], v4[:])
	binary.BigEndian.PutUint64(after[8:], low)
	if prefix == "2002:" || prefix == "2001:0:" {
		at := 2
		if prefix == "2001:0:" {
			at = 12
		}
		copy(after[at:], v4[:])
		return []netip.Addr{netip.AddrFrom16(after)}
	}
	return []netip.Addr{netip.AddrFrom16(end)}
}

// listen accepts connections until the test ends.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func dial(g *Guard, address string) error {
	conn, err := g.DialContext(context.Background(), "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err
}

func Test_roots_vouch_for_a_place(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	allowed := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	if _, err := Client(&Guard{UnsafePrefixes: allowed}, nil).Get(server.URL); err == nil {
		t.Error("a certificate of nobody was taken")
	}
	resp, err := Client(&Guard{UnsafePrefixes: allowed, Roots: roots}, nil).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	// They vouch, and open nothing.
	if _, err := Client(&Guard{Roots: roots}, nil).Get(server.URL); !errors.Is(err, ErrRefused) {
		t.Errorf("reached a place that is not allowed: %v", err)
	}
}
