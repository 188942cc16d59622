//go:build linux

package inside_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/egress"
)

func count(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

func TestBounds_connections_at_once(t *testing.T) {
	host := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	s := start(t, []egress.Rule{host.rule(egress.TCP)}, egress.Options{Resolver: everywhere(), Limits: egress.Limits{Connections: 4}})
	s.run("probe", "flood", at(allowedName, host.port), "20").contains(t, "alive 4\n")
	if host.reached.Load() != 4 || !s.record.has(egress.Refused, egress.TooManyConnections, "") {
		t.Errorf("the host was reached %d times; on record: %v", host.reached.Load(), s.record)
	}
	// What has ended makes room.
	s.run("probe", "dial", at(allowedName, host.port)).contains(t, "reached")
}

func TestBounds_bytes(t *testing.T) {
	host := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	web := listenHTTP(t, "127.0.0.1:0")
	rules := []egress.Rule{{Host: allowedName, Ports: []uint16{host.port}, Protocol: egress.TCP, UnsafePrefixes: onThisHost}, {Host: allowedName, Ports: []uint16{web.port}, Protocol: egress.HTTP, UnsafePrefixes: onThisHost}}
	for name, limits := range map[string]egress.Limits{"up": {BytesUp: 100_000}, "down": {BytesDown: 100_000}} {
		s := start(t, rules, egress.Options{Resolver: everywhere(), Limits: limits})
		if out := s.run("probe", "upload", at(allowedName, host.port), "90000"); !strings.HasPrefix(out.Output, "got 90000 <nil>") {
			t.Errorf("%s: %q, want all that is allowed", name, out.Output)
		}
		if out := s.run("probe", "upload", at(allowedName, host.port), "90000"); strings.HasPrefix(out.Output, "got 90000") {
			t.Errorf("%s: more went through than is allowed", name)
		}
		if !s.record.has(egress.Closed, egress.TooManyBytes, allowedName) {
			t.Errorf("%s: on record: %v", name, s.record)
		}
		out := s.run("probe", "http", at(allowedName, web.port), at(allowedName, web.port))
		if strings.Contains(out.Output, "200") {
			t.Errorf("%s: plain HTTP goes on: %q", name, out.Output)
		}
	}
}

func TestBounds_bytes_are_counted(t *testing.T) {
	host := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	s := start(t, []egress.Rule{host.rule(egress.TCP)}, egress.Options{Resolver: everywhere()})
	const size = 3_000_001
	s.run("probe", "upload", at(allowedName, host.port), "3000001").contains(t, "got 3000001 <nil>")
	s.end()
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	last := s.record.events[len(s.record.events)-1]
	if last.Kind != egress.Closed || last.Up != size || last.Down != size || last.Address.Port() != host.port || last.Address.Addr() != loopback || last.Duration <= 0 {
		t.Errorf("on record at the end: %+v", last)
	}
}

func TestBounds_first_packets(t *testing.T) {
	host, _ := listenTLS(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{host.rule(egress.TLS)}, egress.Options{Resolver: everywhere()})
	record := append([]byte{22, 3, 1, 0x40, 0}, bytes.Repeat([]byte{1, 0, 0xff, 0xff}, 0x1000)...)
	for name, input := range map[string][]byte{
		"nothing":                     nil,
		"zeros":                       make([]byte, 1<<18),
		"a record that never ends":    bytes.Repeat(record, 20),
		"a hello that is none":        append([]byte{22, 3, 1, 0, 10, 1, 0, 0, 6}, "abcdef"...),
		"SSL 2":                       append([]byte{0x80, 0x2e, 1, 3, 1}, make([]byte, 50)...),
		"half a hello, and the end":   {22, 3, 1, 0, 200, 1, 0},
		"an alert instead of a hello": {21, 3, 1, 0, 2, 2, 40},
	} {
		s.record.forget()
		out := s.runWith(order{Args: []string{"probe", "raw", at(allowedName, host.port)}, Stdin: hex.EncodeToString(input)})
		if !strings.Contains(out.Output, "read 0") && !strings.Contains(out.Output, "reset") {
			t.Errorf("%s: %q, want no answer", name, out.Output)
		}
		if !s.record.has(egress.Refused, egress.NotTLS, allowedName) {
			t.Errorf("%s: on record: %v", name, s.record)
		}
	}
	if host.reached.Load() != 0 {
		t.Errorf("the host was reached %d times", host.reached.Load())
	}
	s.run("probe", "tls", at(allowedName, host.port), allowedName).contains(t, "reached")
}

func TestBounds_a_client_that_does_not_say_its_host(t *testing.T) {
	t.Parallel()
	host, _ := listenTLS(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{host.rule(egress.TLS)}, egress.Options{Resolver: everywhere()})
	s.run("probe", "slow", at(allowedName, host.port)).contains(t, "ended after 10s")
	if host.reached.Load() != 0 || !s.record.has(egress.Refused, egress.NotTLS, allowedName) {
		t.Errorf("reached %d times; on record: %v", host.reached.Load(), s.record)
	}
}

// What a server does in a loop makes it wait, not the machine work.
func TestBounds_pace(t *testing.T) {
	t.Parallel()
	host := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	for name, test := range map[string]struct {
		args  []string
		least time.Duration
	}{
		// Of each, a second's worth passes at once.
		"names":       {[]string{"loop", "names", "1500"}, 1500 * time.Millisecond},
		"connections": {[]string{"loop", "connections", "500"}, time.Second},
		"bytes":       {[]string{"upload", at("198.18.0.2", host.port), "3000000"}, 1500 * time.Millisecond},
	} {
		s := start(t, []egress.Rule{host.rule(egress.TCP)}, egress.Options{Resolver: everywhere(), Limits: egress.Limits{BytesPerSecond: 1_000_000}})
		s.run("probe", "resolve", allowedName)
		begin := time.Now()
		out := s.run(append([]string{"probe"}, test.args...)...)
		if took := time.Since(begin); took < test.least || out.Code != 0 {
			t.Errorf("%s: %v, exit %d, %q", name, took, out.Code, out.Output)
		}
	}
}

func TestBroker_leaves_no_socket_behind(t *testing.T) {
	host := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	once := func() {
		s := start(t, []egress.Rule{host.rule(egress.TCP)}, egress.Options{Resolver: everywhere()})
		s.run("probe", "flood", at(allowedName, host.port), "10").contains(t, "alive 10")
		s.end()
	}
	once()
	before := openSockets(t)
	for range 3 {
		once()
	}
	if after := openSockets(t); after != before {
		t.Errorf("%d sockets, %d before", after, before)
	}
}

// openSockets leaves out other descriptors: the runtime keeps pipes for splice until
// it collects garbage.
func openSockets(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		if to, _ := os.Readlink("/proc/self/fd/" + entry.Name()); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
