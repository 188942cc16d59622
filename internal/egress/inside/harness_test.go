//go:build linux

package inside_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/internal/egress"
	"gatehouse/internal/egress/handover"
	"gatehouse/internal/egress/inside"
)

// roleVariable makes this test binary another program when it starts itself.
const roleVariable = "GATEHOUSE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "first": // the first process of a sandbox
		os.Exit(first())
	case "crowded": // the first process where there is another interface
		os.Exit(crowded())
	case "server": // what drops its capabilities and becomes a server
		os.Exit(server(os.Args[1:]))
	case "probe": // a server of ours
		os.Exit(probe(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// order is a program to run inside, one line of JSON to the first process.
type order struct {
	Args  []string
	Env   []string
	Stdin string
}

// outcome is what it came to.
type outcome struct {
	Code   int
	Output string // of both streams
}

// first makes the network as the first process of a sandbox does, runs what it is
// told, and reports each outcome.
func first() int {
	broker, err := handover.Inherit(os.NewFile(3, "egress"))
	if err == nil {
		_, err = inside.Setup(broker)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	defer runtime.KeepAlive(broker) // as long as it is open, the sandbox counts as running
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			fmt.Println(err)
			return 1
		}
		cmd := exec.Command("/proc/self/exe", o.Args...)
		cmd.Env = append(os.Environ(), o.Env...)
		cmd.Env = append(cmd.Env, roleVariable+"=server")
		cmd.Stdin = strings.NewReader(o.Stdin)
		out, err := cmd.CombinedOutput()
		code := cmd.ProcessState.ExitCode()
		if err != nil && code == -1 {
			out = append(out, err.Error()...)
		}
		line, _ := json.Marshal(outcome{Code: code, Output: string(out)})
		fmt.Println(string(line))
	}
	return 0
}

// crowded calls Setup in a namespace with a second interface.
func crowded() int {
	broker, err := handover.Inherit(os.NewFile(3, "egress"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "one"}, PeerName: "two"}
	if err := netlink.LinkAdd(pair); err != nil {
		fmt.Println("adding an interface:", err)
		return 1
	}
	if err := netlink.LinkSetUp(pair); err != nil {
		fmt.Println("starting an interface:", err)
		return 1
	}
	_, err = inside.Setup(broker)
	fmt.Println("setup:", err)
	return 0
}

// server gives up every capability for good, as a sandbox does before it starts a
// server, and becomes the program.
func server(args []string) int {
	runtime.LockOSThread()
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			fmt.Println("dropping capabilities:", err)
			return 1
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		fmt.Println("dropping capabilities:", err)
		return 1
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		fmt.Println("no new privileges:", err)
		return 1
	}
	program, role := args[0], "none"
	if program == "probe" {
		program, role = "/proc/self/exe", "probe"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		fmt.Println(err)
		return 127
	}
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, roleVariable+"=") })
	fmt.Println(syscall.Exec(path, args, append(env, roleVariable+"="+role)))
	return 1
}

// sandbox is a running one, with the network only.
type sandbox struct {
	t      testing.TB
	broker *egress.Broker
	cmd    *exec.Cmd
	orders io.WriteCloser
	lines  *bufio.Scanner
	served chan error
	record *record
	ended  sync.Once
}

// record keeps the events of a broker.
type record struct {
	mu     sync.Mutex
	events []egress.Event
	fail   atomic.Bool
}

func (r *record) add(e egress.Event) error {
	if r.fail.Load() {
		return fmt.Errorf("the disk is full")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return nil
}

func (r *record) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// has reports whether an event of a kind with a reason is there, for a name if one
// is given.
func (r *record) has(kind egress.Kind, reason egress.Reason, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.events, func(e egress.Event) bool {
		return e.Kind == kind && e.Reason == reason && (name == "" || e.Name == name)
	})
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		fmt.Fprintf(&b, "\n  %s %s:%d %s %v %s %q up %d down %d", e.Kind, e.Name, e.Port, e.Protocol, e.Address, e.Reason, e.Detail, e.Up, e.Down)
	}
	return b.String()
}

// start makes a sandbox with the rules. It ends with the test.
func start(t testing.TB, rules []egress.Rule, options egress.Options) *sandbox {
	t.Helper()
	r := &record{}
	b, err := egress.NewBroker(rules, r.add, options)
	if err != nil {
		t.Fatal(err)
	}
	conn, file, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	s := &sandbox{t: t, broker: b, served: make(chan error, 1), record: r}
	go func() { s.served <- b.Serve(context.Background(), conn) }()
	s.cmd = inNamespace("first", file)
	s.orders, _ = s.cmd.StdinPipe()
	out, _ := s.cmd.StdoutPipe()
	s.lines = bufio.NewScanner(out)
	s.lines.Buffer(nil, 1<<22)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	t.Cleanup(s.end)
	if !s.lines.Scan() || s.lines.Text() != "ready" {
		t.Fatalf("the sandbox did not start: %q, %v", s.lines.Text(), s.lines.Err())
	}
	return s
}

// inNamespace is this test binary in a user and a network namespace of its own.
func inNamespace(role string, broker *os.File) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.ExtraFiles = []*os.File{broker}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return cmd
}

// end stops the sandbox and waits for the broker, which ends with it.
func (s *sandbox) end() { s.ended.Do(s.endOnce) }

func (s *sandbox) endOnce() {
	s.orders.Close()
	_ = s.cmd.Wait()
	select {
	case err := <-s.served:
		if err != nil {
			s.t.Errorf("the broker: %v", err)
		}
	case <-time.After(10 * time.Second):
		s.t.Error("the broker did not end with its sandbox")
	}
}

// run runs a program inside, with nothing on its standard input.
func (s *sandbox) run(args ...string) outcome { s.t.Helper(); return s.runWith(order{Args: args}) }

func (s *sandbox) runWith(o order) outcome {
	s.t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.orders.Write(append(line, '\n')); err != nil {
		s.t.Fatal(err)
	}
	var out outcome
	if !s.lines.Scan() {
		s.t.Fatalf("the sandbox ended: %v", s.lines.Err())
	}
	if err := json.Unmarshal(s.lines.Bytes(), &out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// resolver has answers for names, in turn; the last stays. Names come to it absolute.
type resolver struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr
	asked   []string
}

func (r *resolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, host)
	name := strings.TrimSuffix(host, ".")
	answers := r.answers[name]
	if len(answers) == 0 || name == host {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(answers) > 1 {
		r.answers[name] = answers[1:]
	}
	return slices.Clone(answers[0]), nil
}

func (r *resolver) set(name string, answers ...[]netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[name] = answers
}

func (r *resolver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// everywhere resolves the names of these tests to this machine.
func everywhere() *resolver {
	r := &resolver{answers: map[string][][]netip.Addr{}}
	for _, name := range []string{allowedName, "other.example", "deep.wild.example", "a.deep.wild.example", "wild.example"} {
		r.set(name, []netip.Addr{loopback})
	}
	return r
}

var (
	loopback    = netip.MustParseAddr("127.0.0.1")
	onThisHost  = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	allowedName = "api.allowed.example"
)

// outside is a host on this machine that counts who reaches it.
type outside struct {
	port    uint16
	reached atomic.Int64
	names   sync.Map // server names that were sent
}

func (o *outside) rule(protocol egress.Protocol) egress.Rule {
	return egress.Rule{Host: allowedName, Ports: []uint16{o.port}, Protocol: protocol, UnsafePrefixes: onThisHost}
}

// listenTCP serves each connection by a function.
func listenTCP(t testing.TB, network, address string, serve func(net.Conn)) *outside {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	o := &outside{port: uint16(l.Addr().(*net.TCPAddr).Port)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			o.reached.Add(1)
			go func() { defer conn.Close(); serve(conn) }()
		}
	}()
	return o
}

// echo answers each byte with itself.
func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

// identity is a certificate for the names of these tests, and a file with it.
func identity(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gatehouse test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{allowedName, "other.example", "*.wild.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// listenTLS serves HTTPS that says which host was asked for.
func listenTLS(t testing.TB, address string) (*outside, string) {
	t.Helper()
	certificate, file := identity(t)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	host := &outside{port: uint16(l.Addr().(*net.TCPAddr).Port)}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello from %s", r.TLS.ServerName) }),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{certificate},
			GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				host.names.Store(h.ServerName, true)
				return nil, nil
			},
		},
		ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				host.reached.Add(1)
			}
		},
	}
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { server.Close() })
	return host, file
}

// listenHTTP serves plain HTTP that says which host was asked for.
func listenHTTP(t testing.TB, address string) *outside {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	host := &outside{port: uint16(l.Addr().(*net.TCPAddr).Port)}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host.reached.Add(1)
			fmt.Fprintf(w, "hello %s %s\n", r.Host, r.URL.Path)
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return host
}

// contains fails the test unless an output holds a text.
func (o outcome) contains(t testing.TB, want string) {
	t.Helper()
	if !strings.Contains(o.Output, want) {
		t.Errorf("it printed %q (exit %d), want %q in it", bytes.TrimSpace([]byte(o.Output)), o.Code, want)
	}
}
