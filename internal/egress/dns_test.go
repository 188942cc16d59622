package egress

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// ask makes a query of several questions.
func ask(t testing.TB, header dnsmessage.Header, questions ...dnsmessage.Question) []byte {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, header)
	err := b.StartQuestions()
	for _, q := range questions {
		err = errors.Join(err, b.Question(q))
	}
	message, finishErr := b.Finish()
	if err := errors.Join(err, finishErr); err != nil {
		t.Fatal(err)
	}
	return message
}

func question(name string, kind dnsmessage.Type) dnsmessage.Question {
	return dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}
}

func dnsBroker(t testing.TB) *Broker {
	t.Helper()
	b, err := NewBroker([]Rule{{Host: "api.example.com", Ports: []uint16{443}}, {Host: "*.example.net", Ports: []uint16{443}}}, quietLog, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnswer_says_nothing_to_what_is_no_query(t *testing.T) {
	good := question("api.example.com.", dnsmessage.TypeA)
	chaos := good
	chaos.Class = dnsmessage.ClassCHAOS
	for name, message := range map[string][]byte{
		"nothing":           nil,
		"half a header":     make([]byte, 6),
		"no question":       ask(t, dnsmessage.Header{}),
		"two questions":     ask(t, dnsmessage.Header{}, good, good),
		"an answer":         ask(t, dnsmessage.Header{Response: true}, good),
		"an update":         ask(t, dnsmessage.Header{OpCode: 5}, good),
		"another class":     ask(t, dnsmessage.Header{}, chaos),
		"a cut question":    ask(t, dnsmessage.Header{}, good)[:20],
		"a long message":    append(ask(t, dnsmessage.Header{}, good), make([]byte, maxQuery)...),
		"a compressed loop": append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 0xc0, 12, 0, 1, 0, 1),
	} {
		if reply := dnsBroker(t).answer(message); reply != nil {
			t.Errorf("%s: answered %x", name, reply)
		}
	}
}

func TestAnswer_has_no_IPv6_where_there_is_none(t *testing.T) {
	b := dnsBroker(t)
	message := ask(t, dnsmessage.Header{ID: 1}, question("api.example.com.", dnsmessage.TypeAAAA))
	for _, v6 := range []bool{true, false} {
		b.v6.Store(v6)
		var parsed dnsmessage.Message
		if err := parsed.Unpack(b.answer(message)); err != nil {
			t.Fatal(err)
		}
		if (len(parsed.Answers) == 1) != v6 || parsed.RCode != dnsmessage.RCodeSuccess {
			t.Errorf("IPv6 %v: %v", v6, parsed.GoString())
		}
	}
}

// Whatever is asked, an answer is to the question, small, and holds only an address
// of ours for a name that a rule allows.
func FuzzAnswer(f *testing.F) {
	f.Add(ask(f, dnsmessage.Header{ID: 9, RecursionDesired: true}, question("api.example.com.", dnsmessage.TypeA)))
	f.Add(ask(f, dnsmessage.Header{ID: 9}, question("Deep.Example.net.", dnsmessage.TypeAAAA)))
	f.Add(ask(f, dnsmessage.Header{ID: 9}, question("secret.tunnel.example.", dnsmessage.TypeTXT)))
	b := dnsBroker(f)
	b.v6.Store(true)
	f.Fuzz(func(t *testing.T, message []byte) {
		reply := b.answer(message)
		if reply == nil {
			return
		}
		var asked, parsed dnsmessage.Message
		if err := parsed.Unpack(reply); err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}
		header, q, err := query(message)
		if err != nil || len(parsed.Questions) != 1 || parsed.Questions[0] != q || parsed.ID != header.ID || !parsed.Response || len(reply) > maxQuery {
			t.Fatalf("%v, %v: answered %v", asked, err, parsed.GoString())
		}
		name := canonicalName(q.Name.String())
		allowed := name == "api.example.com" || strings.HasSuffix(name, ".example.net") || name == localhost
		if len(parsed.Answers) > 0 && !allowed || len(parsed.Authorities)+len(parsed.Additionals) > 0 {
			t.Fatalf("%q: answered %v", name, parsed.GoString())
		}
		if name == localhost {
			return
		}
		for _, a := range parsed.Answers {
			var address netip.Addr
			switch body := a.Body.(type) {
			case *dnsmessage.AResource:
				address = netip.AddrFrom4(body.A)
			case *dnsmessage.AAAAResource:
				address = netip.AddrFrom16(body.AAAA)
			}
			if got, ok := b.names.name(address); !ok || got != name {
				t.Fatalf("%q: answered %v, which is %q", name, address, got)
			}
		}
	})
}
