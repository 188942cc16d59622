//go:build linux

package inside_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/internal/egress"
	"gatehouse/internal/egress/handover"
)

func at(host string, port uint16) string { return net.JoinHostPort(host, fmt.Sprint(port)) }

func TestSandbox_reaches_the_host_that_is_allowed(t *testing.T) {
	host, _ := listenTLS(t, "127.0.0.1:0")
	names := everywhere()
	s := start(t, []egress.Rule{host.rule(egress.TLS)}, egress.Options{Resolver: names})
	for _, args := range [][]string{
		{"tls", at(allowedName, host.port), allowedName},
		{"tls", at("API.Allowed.Example.", host.port), "API.allowed.example"},
		{"tls", at("198.18.0.2", host.port), allowedName},
		{"tls", at("fd67:6174:6568:6f75::2", host.port), allowedName},
		{"tls", at("::ffff:198.18.0.2", host.port), allowedName},
		{"segments", at(allowedName, host.port), allowedName},
	} {
		before := host.reached.Load()
		out := s.run(append([]string{"probe"}, args...)...)
		out.contains(t, "reached")
		if out.Code != 0 || host.reached.Load() == before {
			t.Errorf("%q: exit %d, the host was reached %d times", args, out.Code, host.reached.Load()-before)
		}
	}
	if !s.record.has(egress.Opened, "", allowedName) || !s.record.has(egress.Closed, "", allowedName) {
		t.Errorf("not on record: %v", s.record)
	}
}

func TestSandbox_reaches_nothing_else(t *testing.T) {
	host, _ := listenTLS(t, "127.0.0.1:0")
	other, _ := listenTLS(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{
		host.rule(egress.TLS),
		{Host: "api.github.com", Ports: []uint16{443}},
	}, egress.Options{Resolver: everywhere()})
	s.run("probe", "resolve", allowedName, "api.github.com") // so that they have addresses
	for name, test := range map[string]struct {
		args   []string
		reason egress.Reason // "" where it does not even come to the broker
	}{
		"an address":                         {[]string{"dial", "203.0.113.9:443"}, egress.AddressNotAllowed},
		"the host by its address":            {[]string{"tls", at("127.0.0.1", host.port), allowedName}, ""},
		"another server on the machine":      {[]string{"dial", at("127.0.0.1", other.port)}, ""},
		"this machine as 0.0.0.0":            {[]string{"dial", at("0.0.0.0", host.port)}, ""},
		"this machine as ::":                 {[]string{"dial", at("::", host.port)}, ""},
		"this machine as ::1":                {[]string{"dial", at("::1", host.port)}, ""},
		"another port":                       {[]string{"tls", at(allowedName, other.port), allowedName}, egress.PortNotAllowed},
		"another name":                       {[]string{"tls", at("other.example", host.port), "other.example"}, egress.NameNotAllowed},
		"a name below":                       {[]string{"tls", at("x."+allowedName, host.port), "x." + allowedName}, egress.NameNotAllowed},
		"another name in the ClientHello":    {[]string{"tls", at(allowedName, host.port), "other.example"}, egress.WrongName},
		"no name in the ClientHello":         {[]string{"tls", at(allowedName, host.port), ""}, egress.NoName},
		"no name on port 443":                {[]string{"tls", "api.github.com:443", ""}, egress.NoName},
		"an allowed name at another address": {[]string{"tls", "api.github.com:443", allowedName}, egress.WrongName},
		"no TLS":                             {[]string{"say", at(allowedName, host.port), "GET / HTTP/1.1\r\nHost: " + allowedName + "\r\n\r\n"}, egress.NotTLS},
		"a metadata service":                 {[]string{"dial", "169.254.169.254:80"}, egress.AddressNotAllowed},
		"a private address":                  {[]string{"dial", "10.0.0.1:443"}, egress.AddressNotAllowed},
		"IPv6":                               {[]string{"dial", "[2606:4700::1111]:443"}, egress.AddressNotAllowed},
		"IPv4 in IPv6":                       {[]string{"dial", "[::ffff:203.0.113.9]:443"}, egress.AddressNotAllowed},
		"this machine as IPv4 in IPv6":       {[]string{"dial", at("::ffff:127.0.0.1", host.port)}, ""},
		"NAT64":                              {[]string{"dial", at("64:ff9b::7f00:1", host.port)}, egress.AddressNotAllowed},
		"6to4":                               {[]string{"dial", at("2002:7f00:1::", host.port)}, egress.AddressNotAllowed},
		"an address that no name has":        {[]string{"tls", at("198.18.77.77", host.port), allowedName}, egress.AddressNotAllowed},
		"an IPv6 address that no name has":   {[]string{"tls", at("fd67:6174:6568:6f75:1::2", host.port), allowedName}, egress.AddressNotAllowed},
		"the broker's own socket":            {[]string{"back"}, egress.AddressNotAllowed},
		"QUIC":                               {[]string{"udp", at(allowedName, 443)}, ""},
		"UDP":                                {[]string{"udp", "203.0.113.9:123"}, ""},
		"UDP over IPv6":                      {[]string{"udp", "[2606:4700::1111]:443"}, ""},
		"UDP of a raw number":                {[]string{"socket", "2", "2", "136", "203.0.113.9"}, ""}, // UDP-Lite
		"SCTP":                               {[]string{"socket", "2", "5", "132", "203.0.113.9"}, ""},
		"ping":                               {[]string{"socket", "2", "2", "1", "203.0.113.9"}, ""},
		"ICMP by a raw socket":               {[]string{"socket", "2", "3", "1", "203.0.113.9"}, ""},
		"TCP by a raw socket":                {[]string{"socket", "2", "3", "6", "203.0.113.9"}, ""},
		"a packet socket":                    {[]string{"socket", "17", "3", "3"}, ""},
	} {
		s.record.forget()
		out := s.run(append([]string{"probe"}, test.args...)...)
		if strings.Contains(out.Output, "reached") || (out.Code == 0 && test.args[0] != "back") || out.Output == "" {
			t.Errorf("%s: exit %d, it printed %q", name, out.Code, out.Output)
		}
		if test.args[0] == "back" && strings.Count(out.Output, "trying") < 2 {
			t.Errorf("%s: it did not find the sockets: %q", name, out.Output)
		}
		if test.reason != "" && !s.record.has(egress.Refused, test.reason, "") && !s.record.has(egress.NameRefused, test.reason, "") {
			t.Errorf("%s: want %s on record, have %v", name, test.reason, s.record)
		}
		if s.record.has(egress.Opened, "", "") {
			t.Errorf("%s: a connection was opened: %v", name, s.record)
		}
	}
	if n := host.reached.Load() + other.reached.Load(); n != 0 {
		t.Errorf("hosts outside were reached %d times", n)
	}
}

func TestSandbox_without_rules_reaches_nothing(t *testing.T) {
	host, _ := listenTLS(t, "127.0.0.1:0")
	s := start(t, nil, egress.Options{Resolver: everywhere()})
	s.run("probe", "tls", at(allowedName, host.port), allowedName).contains(t, "no such host")
	s.run("probe", "dial", "8.8.8.8:443").contains(t, "reset")
	if host.reached.Load() != 0 || !s.record.has(egress.NameRefused, egress.NameNotAllowed, allowedName) {
		t.Errorf("reached %d times; on record: %v", host.reached.Load(), s.record)
	}
}

func TestSandbox_names_carry_nothing_out(t *testing.T) {
	names := everywhere()
	s := start(t, []egress.Rule{
		{Host: allowedName, Ports: []uint16{443}},
		{Host: "*.wild.example", Ports: []uint16{443}},
	}, egress.Options{Resolver: names})
	const none, success = "RCodeNameError 0 answers", "RCodeSuccess 0 answers"
	long := strings.Repeat(strings.Repeat("a", 60)+".", 3)
	tests := []struct{ server, kind, name, want string }{
		{"8.8.8.8:53", "1", allowedName, "[4]byte{198, 18, 0, "},
		{"127.0.0.53:53", "1", allowedName, "[4]byte{198, 18, 0, "},
		{"[2001:4860:4860::8888]:53", "1", allowedName, "[4]byte{198, 18, 0, "},
		{"[::1]:53", "28", allowedName, "AAAAResource"},
		{"8.8.8.8:53", "1", "API.allowed.EXAMPLE", "[4]byte{198, 18, 0, "},
		{"8.8.8.8:53", "1", "deep.wild.example", "[4]byte{198, 18, 0, "},
		{"8.8.8.8:53", "16", allowedName, success},  // TXT
		{"8.8.8.8:53", "65", allowedName, success},  // HTTPS: no ECH, no HTTP/3
		{"8.8.8.8:53", "64", allowedName, success},  // SVCB
		{"8.8.8.8:53", "255", allowedName, success}, // ANY
		{"8.8.8.8:53", "10", allowedName, success},  // NULL
		{"8.8.8.8:53", "15", allowedName, success},  // MX
		{"8.8.8.8:53", "1", "c2VjcmV0.tunnel.example", none},
		{"8.8.8.8:53", "16", "c2VjcmV0.tunnel.example", none},
		{"8.8.8.8:53", "1", "c2VjcmV0." + allowedName, none},
		{"8.8.8.8:53", "1", "wild.example", none},
		{"8.8.8.8:53", "1", long + "wild.example", none},
		{"8.8.8.8:53", "1", "sp ace.wild.example", none},
		{"8.8.8.8:53", "12", "9.113.0.203.in-addr.arpa", none},
		{"8.8.8.8:53", "1", "localhost", "[4]byte{127, 0, 0, 1}"},
		{"8.8.8.8:53", "1", ".", none},
	}
	for _, network := range []string{"udp", "tcp"} {
		args := []string{"probe", "queries", network}
		for _, test := range tests {
			args = append(args, test.server, test.kind, strings.TrimSuffix(test.name, ".")+".")
		}
		answers := strings.Split(s.run(args...).Output, "\n")
		for i, test := range tests {
			if len(answers) <= i || !strings.Contains(answers[i], test.want) {
				t.Fatalf("%s to %s for %s, type %s: %q, want %q there", network, test.server, test.name, test.kind, answers[min(i, len(answers)-1):], test.want)
			}
		}
	}
	if n := names.count(); n != 0 {
		t.Errorf("names of the server were asked %d times outside: %q", n, names.asked)
	}
	if !s.record.has(egress.NameRefused, egress.NameNotAllowed, "c2vjcmv0.tunnel.example") {
		t.Errorf("on record: %v", s.record)
	}
}

func TestSandbox_wildcards_mean_names_below(t *testing.T) {
	host, _ := listenTLS(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{{Host: "*.wild.example", Ports: []uint16{host.port}, Protocol: egress.TLS, UnsafePrefixes: onThisHost}}, egress.Options{Resolver: everywhere()})
	for name, want := range map[string]bool{"deep.wild.example": true, "a.deep.wild.example": true, "wild.example": false, allowedName: false} {
		out := s.run("probe", "tls", at(name, host.port), name)
		if got := strings.Contains(out.Output, "reached"); got != want {
			t.Errorf("%s: %q, want reached %v", name, out.Output, want)
		}
	}
	// One name of a wildcard is not another.
	s.run("probe", "resolve", "deep.wild.example", "a.deep.wild.example")
	s.run("probe", "tls", at("deep.wild.example", host.port), "a.deep.wild.example").contains(t, "unrecognized name")
}

func TestSandbox_processes_inside_reach_each_other(t *testing.T) {
	s := start(t, nil, egress.Options{})
	s.run("probe", "local").contains(t, "reached itself")
	if s.record.String() != "" {
		t.Errorf("what stays inside is on record: %v", s.record)
	}
}

func TestSandbox_addresses_on_this_machine_that_a_rule_names(t *testing.T) {
	database := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	secret := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	local := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	s := start(t, []egress.Rule{
		{Host: "127.0.0.1", Ports: []uint16{database.port}},
		{Host: "localhost", Ports: []uint16{local.port}},
	}, egress.Options{})
	s.run("probe", "dial", at("127.0.0.1", database.port)).contains(t, "reached")
	s.run("probe", "dial", at("127.0.0.1", local.port)).contains(t, "reached")
	for _, address := range []string{at("127.0.0.1", secret.port), at("127.0.0.2", database.port), at("::1", database.port), at("10.0.0.1", database.port)} {
		if out := s.run("probe", "dial", address); strings.Contains(out.Output, "reached") {
			t.Errorf("%s was reached", address)
		}
	}
	if secret.reached.Load() != 0 {
		t.Error("a server that no rule names was reached")
	}
	if s.record.has(egress.Refused, egress.AddressNotAllowed, "127.0.0.2") || s.record.has(egress.Refused, egress.PortNotAllowed, "") {
		t.Errorf("another address of loopback was led out: %v", s.record)
	}
	s.run("probe", "local").contains(t, "reached itself")
}

func TestSandbox_an_address_has_no_other_name(t *testing.T) {
	secure, _ := listenTLS(t, "127.0.0.1:0")
	local, _ := listenTLS(t, "127.0.0.1:0")
	plain := listenHTTP(t, "127.0.0.1:0")
	six := listenTCP(t, "tcp", "[::1]:0", echo)
	s := start(t, []egress.Rule{
		{Host: "127.0.0.1", Ports: []uint16{secure.port}, Protocol: egress.TLS},
		{Host: "localhost", Ports: []uint16{local.port}, Protocol: egress.TLS},
		{Host: "127.0.0.1", Ports: []uint16{plain.port}, Protocol: egress.HTTP},
		{Host: "::1", Ports: []uint16{six.port}},
	}, egress.Options{})
	s.run("probe", "tls", at("127.0.0.1", secure.port), "").contains(t, "reached")
	s.run("probe", "tls", at("127.0.0.1", secure.port), "other.example").contains(t, "unrecognized name")
	s.run("probe", "tls", at("127.0.0.1", local.port), "").contains(t, "reached")
	s.run("probe", "tls", at("127.0.0.1", local.port), "localhost").contains(t, "reached")
	s.run("probe", "tls", at("127.0.0.1", local.port), "other.example").contains(t, "unrecognized name")
	s.run("probe", "http", at("127.0.0.1", plain.port), at("127.0.0.1", plain.port)).contains(t, "200 hello")
	s.run("probe", "http", at("127.0.0.1", plain.port), at("localhost", plain.port)).contains(t, "403")
	s.run("probe", "dial", at("::1", six.port)).contains(t, "reached")
	if out := s.run("probe", "dial", at("127.0.0.1", six.port)); strings.Contains(out.Output, "reached") {
		t.Error("a rule for ::1 allows 127.0.0.1")
	}
}

func TestSandbox_a_name_leads_only_to_addresses_that_are_checked(t *testing.T) {
	host := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	trap := listenTCP(t, "tcp", at("127.0.0.2", host.port), echo)
	names := everywhere()
	address := func(text string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(text)} }
	pinned := egress.Rule{Host: allowedName, Ports: []uint16{host.port}, Protocol: egress.TCP, UnsafePrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	s := start(t, []egress.Rule{pinned, {Host: "other.example", Ports: []uint16{host.port}, Protocol: egress.TCP}}, egress.Options{Resolver: names})

	// A resolver that gives another answer each time: what was checked is dialled.
	// (By address, because a client that is refused tries the name's other address.)
	s.run("probe", "resolve", allowedName, "other.example")
	here, there := at("198.18.0.2", host.port), at("198.18.0.3", host.port)
	names.set(allowedName, []netip.Addr{loopback}, address("127.0.0.2"), []netip.Addr{loopback})
	s.run("probe", "dial", here).contains(t, "reached")
	s.run("probe", "dial", here).contains(t, "reset")
	s.run("probe", "dial", here).contains(t, "reached")
	names.set(allowedName, []netip.Addr{loopback, netip.MustParseAddr("169.254.169.254")})
	s.run("probe", "dial", here).contains(t, "reset")
	if names.count() != 4 {
		t.Errorf("names were asked %d times for 4 connections", names.count())
	}
	for _, text := range []string{
		"127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "198.18.0.2",
		"::1", "::", "fe80::1", "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "2001::1", "ff02::1",
	} {
		names.set("other.example", address(text))
		s.record.forget()
		if out := s.run("probe", "dial", there); strings.Contains(out.Output, "reached") {
			t.Errorf("%s was reached", text)
		}
		if !s.record.has(egress.Refused, egress.NotPublic, "other.example") || s.record.has(egress.Opened, "", "") {
			t.Errorf("%s: on record: %v", text, s.record)
		}
	}
	if trap.reached.Load() != 0 {
		t.Error("an address was reached that the rule does not hold")
	}
}

func TestSandbox_every_plain_request_names_the_host(t *testing.T) {
	host := listenHTTP(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{host.rule(egress.HTTP)}, egress.Options{Resolver: everywhere()})
	here := at(allowedName, host.port)
	const refused = "403 Gatehouse does not let this server reach this host."
	for name, test := range map[string]struct {
		requests []string
		want     []string
	}{
		"three on one connection":    {[]string{here, here, here}, []string{"200 hello " + here, "200 hello " + here, "200 hello " + here}},
		"the second for another":     {[]string{here, "other.example"}, []string{"200 hello", refused}},
		"another port":               {[]string{allowedName}, []string{refused}},
		"no host":                    {[]string{""}, []string{refused}},
		"a URL of another host":      {[]string{"http://other.example/|" + here}, []string{refused}},
		"a URL of this host":         {[]string{"http://" + here + "/|other.example"}, []string{"200 hello " + here}},
		"an address":                 {[]string{at("127.0.0.1", host.port)}, []string{refused}},
		"two hosts":                  {[]string{here + "\r\nHost: other.example"}, []string{"400"}},
		"one inside another":         {[]string{here + "\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: other.example", here}, []string{"200 hello", refused}},
		"a header that is no header": {[]string{here + "\r\nbad header"}, []string{"400"}},
	} {
		before := host.reached.Load()
		out := s.run(append([]string{"probe", "http", here}, test.requests...)...)
		lines := strings.Split(strings.TrimSpace(out.Output), "\n")
		good := 0
		for i, want := range test.want {
			if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: it printed %q, want line %d to begin with %q", name, out.Output, i+1, want)
			}
			if strings.HasPrefix(want, "200") {
				good++
			}
		}
		if got := int(host.reached.Load() - before); got != good {
			t.Errorf("%s: %d requests came to the host, want %d", name, got, good)
		}
	}
	out := s.runWith(order{Args: []string{"probe", "raw", here}, Stdin: hex.EncodeToString([]byte("CONNECT other.example:443 HTTP/1.1\r\nHost: " + here + "\r\n\r\n"))})
	out.contains(t, "sent")
	s.run("probe", "say", here, "CONNECT "+here+" HTTP/1.1\r\nHost: "+here+"\r\n\r\n").contains(t, "403 Forbidden")
	out = s.runWith(order{Args: []string{"probe", "raw", here}, Stdin: hex.EncodeToString([]byte("\x16\x03\x01 not a request"))})
	out.contains(t, "sent")
	for _, want := range []egress.Reason{egress.WrongName, egress.NotHTTP} {
		if !s.record.has(egress.Refused, want, allowedName) {
			t.Errorf("%s is not on record: %v", want, s.record)
		}
	}
}

func TestSandbox_on_other_ports_whoever_speaks_first_decides(t *testing.T) {
	greets := listenTCP(t, "tcp", "127.0.0.1:0", func(c net.Conn) { fmt.Fprint(c, "220 welcome"); echo(c) })
	echoes := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	secure, _ := listenTLS(t, "127.0.0.1:0")
	plain := listenHTTP(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{{Host: allowedName, Ports: []uint16{greets.port, echoes.port, secure.port, plain.port}, UnsafePrefixes: onThisHost}}, egress.Options{Resolver: everywhere()})
	s.run("probe", "say", at(allowedName, echoes.port), "hello", "again").contains(t, `reached: "again"`)
	s.run("probe", "tls", at(allowedName, secure.port), allowedName).contains(t, "reached")
	s.run("probe", "tls", at(allowedName, secure.port), "other.example").contains(t, "unrecognized name")
	s.run("probe", "tls", at(allowedName, secure.port), "").contains(t, "unrecognized name")
	s.run("probe", "http", at(allowedName, plain.port), at(allowedName, plain.port)).contains(t, "200 hello")
	s.run("probe", "http", at(allowedName, plain.port), "other.example").contains(t, "403")
	// The host speaks first: it is heard though the client says nothing.
	s.run("probe", "hear", at(allowedName, greets.port)).contains(t, `reached: "220 welcome"`)
	if names := count(&secure.names); names != 1 {
		t.Errorf("the TLS host saw %d names, want the allowed one", names)
	}
}

func TestSandbox_has_no_sockets_of_the_machine(t *testing.T) {
	name := fmt.Sprintf("gatehouse-test-%d", listenTCP(t, "tcp", "127.0.0.1:0", echo).port)
	l, err := net.Listen("unix", "@"+name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := start(t, nil, egress.Options{})
	s.run("probe", "abstract", name).contains(t, "connection refused")
}

func TestSandbox_what_cannot_be_recorded_is_refused(t *testing.T) {
	host, _ := listenTLS(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{host.rule(egress.TLS)}, egress.Options{Resolver: everywhere()})
	s.record.fail.Store(true)
	s.run("probe", "tls", at(allowedName, host.port), allowedName).contains(t, "error")
	if host.reached.Load() != 0 {
		t.Error("a connection left that is not on record")
	}
	s.record.fail.Store(false)
	s.run("probe", "tls", at(allowedName, host.port), allowedName).contains(t, "reached")
}

func TestSetup_refuses_a_namespace_with_other_interfaces(t *testing.T) {
	conn, file, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b, err := egress.NewBroker(nil, (&record{}).add, egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, conn) }()
	out, err := inNamespace("crowded", file).Output()
	if err != nil || !strings.Contains(string(out), `has the interface "one"`) {
		t.Errorf("it printed %q, %v", out, err)
	}
	cancel()
	if <-served == nil {
		t.Error("the broker served a sandbox without a network")
	}
}
