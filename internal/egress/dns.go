package egress

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxQuery is what a plain UDP query holds (RFC 1035, section 4.2.1); ours has
	// one question.
	maxQuery = 512
	// answerSeconds is how long a client may keep an answer. An address never
	// changes its name.
	answerSeconds = 60
)

var errNotAQuery = errors.New("not a query of one question")

// query reads a DNS query. What is not exactly one question of the class IN is not
// answered as a query.
func query(message []byte) (dnsmessage.Header, dnsmessage.Question, error) {
	var p dnsmessage.Parser
	if len(message) > maxQuery {
		return dnsmessage.Header{}, dnsmessage.Question{}, errNotAQuery
	}
	header, err := p.Start(message)
	if err != nil || header.Response || header.OpCode != 0 {
		return dnsmessage.Header{}, dnsmessage.Question{}, errNotAQuery
	}
	question, err := p.Question()
	if err != nil || question.Class != dnsmessage.ClassINET {
		return dnsmessage.Header{}, dnsmessage.Question{}, errNotAQuery
	}
	if _, err := p.Question(); !errors.Is(err, dnsmessage.ErrSectionDone) {
		return dnsmessage.Header{}, dnsmessage.Question{}, errNotAQuery
	}
	return header, question, nil
}

// answer makes the answer to a query. Names that may be reached have an address;
// all others do not exist. No query goes further than here, so labels carry nothing
// out. Only A and AAAA have content: an HTTPS record (RFC 9460) would offer HTTP/3
// and an encrypted ClientHello, TXT and others are no way to a host. nil means that
// there is nothing to answer.
func (b *Broker) answer(message []byte) []byte {
	header, question, err := query(message)
	if err != nil {
		b.refuseName("", BadQuery)
		return nil
	}
	reply := dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true}
	name := canonicalName(question.Name.String())
	v4, v6, reason := b.addresses(name)
	if reason != "" {
		b.refuseName(name, reason)
		reply.RCode = dnsmessage.RCodeNameError
	}
	builder := dnsmessage.NewBuilder(make([]byte, 0, maxQuery), reply)
	err = errors.Join(builder.StartQuestions(), builder.Question(question), builder.StartAnswers())
	resource := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: answerSeconds}
	switch {
	case err != nil || reason != "":
	case question.Type == dnsmessage.TypeA:
		err = builder.AResource(resource, dnsmessage.AResource{A: v4})
	case question.Type == dnsmessage.TypeAAAA && b.v6.Load():
		err = builder.AAAAResource(resource, dnsmessage.AAAAResource{AAAA: v6})
	}
	out, finishErr := builder.Finish()
	if err != nil || finishErr != nil {
		return nil
	}
	return out
}

// addresses are what a name has inside. "localhost" is the sandbox itself, also
// where no file says so: resolvers "SHOULD generate immediate, positive responses"
// for it (RFC 6761, section 6.3).
func (b *Broker) addresses(name string) (v4 [4]byte, v6 [16]byte, reason Reason) {
	if name == localhost {
		return loopbackHosts[0].As4(), loopbackHosts[1].As16(), ""
	}
	number, reason := b.nameAllowed(name)
	return address4(number), address6(number), reason
}

// nameAllowed returns the number of a name that a rule allows on some port, or why
// there is none.
func (b *Broker) nameAllowed(name string) (uint32, Reason) {
	if !properName(name) {
		return 0, NameNotAllowed
	}
	_, _, known := find(b.sites, 0, func(s site) bool { return s.names(name) && (!s.wildcard() || len(name) <= maxWildcardName) })
	if !known {
		return 0, NameNotAllowed
	}
	number, ok := b.names.number(name)
	if !ok {
		return 0, TooManyNames
	}
	return number, ""
}

// refuseName records a name that was asked for in vain. Each name is recorded once,
// within a bound: a server that asks for thousands of them must not fill the log.
func (b *Broker) refuseName(name string, reason Reason) {
	name = printable(name)
	b.mu.Lock()
	known := b.refusedNames[name] || len(b.refusedNames) >= maxRefusedNames
	if !known {
		b.refusedNames[name] = true
	}
	b.mu.Unlock()
	if !known {
		// The name is refused whether or not that can be recorded.
		_ = b.log(Event{Kind: NameRefused, Name: name, Reason: reason})
	}
}

// printable is a name as it may stand in a log: whoever asked for it chose its
// bytes.
func printable(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return '?'
	}, name)
	return clean[:min(len(clean), maxName)]
}

// decide says what an address that was connected to stands for, a name or the
// address itself, and which rule allows that, or why none does. An address that is
// not valid, because the kernel did not say what was connected to, is held by no
// rule.
func (b *Broker) decide(to netip.AddrPort) (host string, found site, reason Reason) {
	name, named := b.names.name(to.Addr())
	if !named {
		name = to.Addr().String()
	}
	found, allowed, known := find(b.sites, to.Port(), func(s site) bool {
		return named && s.names(name) || !named && s.holds(to.Addr())
	})
	switch {
	case allowed:
		return name, found, ""
	case known:
		return name, site{}, PortNotAllowed
	}
	return name, site{}, AddressNotAllowed
}
