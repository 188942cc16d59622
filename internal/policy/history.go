package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// Past is one exchange of the log as a request, with what the log does not hold.
type Past struct {
	Request *Request
	Allowed bool // it was let through
	Record  *audit.Record
	without unknown
}

// Reader turns records of the log into requests, in the order of the log.
type Reader struct {
	claims   map[thingKey]Claims
	sessions map[string]*identity.Principal // by session: whose client a server asks
	people   map[string]*identity.Principal // made once, so that the engine knows them again

	Skipped int       // records of exchanges that cannot be told apart from the log alone
	First   time.Time // of the first record
}

// NewReader needs what the lock knows of tools, because the log does not have it.
func NewReader(inventory []Item) *Reader {
	r := &Reader{claims: map[thingKey]Claims{}, sessions: map[string]*identity.Principal{}, people: map[string]*identity.Principal{}}
	for _, i := range inventory {
		r.claims[thingKey{kind: i.Kind, server: i.Server, name: i.Name}] = i.Claims
	}
	return r
}

// Read is the request of a record; false if the record decides none, or if it was
// refused for a reason that policies have no part in.
func (d *Reader) Read(r *audit.Record) (Past, bool) {
	if d.First.IsZero() {
		d.First = r.Time
	}
	allowed := r.Kind == audit.Decided && r.Decision == audit.Allow
	denied := r.Kind == audit.Ended && r.Reason == string(decision.Denied)
	if !allowed && !denied {
		return Past{}, false
	}
	p := d.principal(r)
	kind, name, ok := about(r)
	if p == nil || !ok {
		d.Skipped++
		return Past{}, false
	}
	past := Past{Allowed: allowed, Record: r, without: noAddress | noState, Request: &Request{
		Principal: p, ClientName: r.Client, Method: r.Method, Server: r.Server, Kind: kind, Name: name, Time: r.Time,
		Claims: d.claims[thingKey{kind: kind, server: r.Server, name: name}],
	}}
	switch {
	case r.Asked != nil:
		past.Request.Principal = d.asked(p, r.Asked)
		if past.recall(r.Asked) {
			past.without = 0
		}
	case p.Kind != identity.Local:
		past.without |= noCredential | noName
	}
	if !past.readArguments(r) {
		past.without |= noArguments
	}
	return past, true
}

// readArguments reports whether the log holds the arguments whole.
func (p *Past) readArguments(r *audit.Record) bool {
	if r.ArgumentsDigest == "" {
		return true // there were none
	}
	if r.Arguments == nil || r.ArgumentsCut {
		return false
	}
	if p.Request.Kind != KindTool && p.Request.Kind != KindPrompt {
		return true // params, not arguments
	}
	doc, err := wire.Scan(r.Arguments, wire.DefaultLimits)
	if err != nil || digestOf(r.Arguments) != r.ArgumentsDigest {
		return false // a secret in them was replaced
	}
	if doc.Root.Get("name").Text() == r.Target {
		return false // these are the params of a call without arguments, or arguments that look like that
	}
	p.Request.Arguments = doc.Root
	return true
}

// digestOf is the digest that the log has of arguments.
func digestOf(arguments []byte) string {
	sum := sha256.Sum256(wire.Canonical(arguments))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// recall puts into the request what policies were told then. It reports whether all of
// it could be read.
func (p *Past) recall(a *audit.Asked) bool {
	p.Request.Score, p.Request.Conversation = a.Score, a.Conversation
	if a.Address == "" {
		return true
	}
	address, err := netip.ParseAddr(a.Address)
	p.Request.Address = address
	return err == nil
}

// asked is a principal with what policies were told of it, made once.
func (d *Reader) asked(p *identity.Principal, a *audit.Asked) *identity.Principal {
	key := fmt.Sprintf("%q", []any{p.ID, p.Teams, a.Name, a.Means, a.Issuer, a.TokenClient, a.Scopes})
	known := d.people[key]
	if known == nil {
		whole := *p
		whole.Name, whole.Means, whole.Issuer, whole.Client, whole.Scopes = a.Name, identity.Means(a.Means), a.Issuer, a.TokenClient, a.Scopes
		known = &whole
		d.people[key] = known
	}
	return known
}

// Beginnings of the ids of principals.
var kindsOfIDs = []struct {
	prefix, means string
	kind          identity.Kind
}{
	{"local:", "local", identity.Local}, {"key:", "key", identity.Agent}, {"cert:", "certificate", identity.Agent},
	{"user:", "", identity.User}, {"agent:", "", identity.Agent}, {"proxy:", "proxy", identity.User},
}

// PrincipalOf makes a principal of its id, as the log has it; nil if it is none.
func PrincipalOf(id string, teams []string) *identity.Principal {
	for _, k := range kindsOfIDs {
		if name, ok := strings.CutPrefix(id, k.prefix); ok && name != "" {
			return &identity.Principal{ID: id, Kind: k.kind, Name: name[strings.LastIndexByte(name, '/')+1:], Teams: teams, Means: identity.Means(k.means)}
		}
	}
	return nil
}

// principal is who made a request, or whose client a server asked.
func (d *Reader) principal(r *audit.Record) *identity.Principal {
	if r.Direction == audit.ServerToClient {
		return d.sessions[r.Session]
	}
	key := r.Principal + "\x00" + strings.Join(r.Teams, "\x00")
	p := d.people[key]
	if p == nil {
		if p = PrincipalOf(r.Principal, r.Teams); p == nil {
			return nil
		}
		d.people[key] = p
	}
	if r.Session != "" {
		d.sessions[r.Session] = p
	}
	return p
}

// about is the kind and name of what a record is about.
func about(r *audit.Record) (kind, name string, ok bool) {
	bit := words().action(r.Method).bit
	switch r.Method {
	case "tools/call":
		kind = KindTool
	case "prompts/get":
		kind = KindPrompt
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		kind = KindResource
	case "completion/complete":
		return "", "", false // of a prompt or of a template: the log does not say
	}
	switch {
	case kind != "":
		return kind, r.Target, r.Server != "" && r.Target != ""
	case r.Server != "":
		return KindServer, "", true
	}
	return KindGateway, "", bit&words().implied != 0
}

// Difference is what other policies would do to exchanges of the log.
type Difference struct {
	Principal string   `json:"principal"`
	Method    string   `json:"method"`
	Server    string   `json:"server,omitempty"`
	Target    string   `json:"target,omitempty"`
	Was       string   `json:"was"`      // allow or deny
	Now       string   `json:"now"`      // allow, deny, or unclear: the log does not hold what decides
	Policies  []string `json:"policies"` // that decide now
	Reason    string   `json:"reason,omitempty"`
	Would     []string `json:"would,omitempty"` // policies in report mode that would refuse
	Exchange  string   `json:"exchange"`        // the last one
	Count     int      `json:"count"`
}

// Replay decides the exchanges of a log again.
type Replay struct {
	Engine *Engine
	Total  int
	Same   int

	found map[string]*Difference
}

// Unclear is what a decision is that depends on what the log does not hold.
const Unclear = "unclear"

// Add decides one exchange again.
func (p *Replay) Add(past Past) {
	p.Total++
	d, allow, deny := p.Engine.again(past)
	now := audit.Deny
	switch {
	case allow && deny:
		now = Unclear
	case allow:
		now = audit.Allow
	}
	was := audit.Deny
	if past.Allowed {
		was = audit.Allow
	}
	if now == was && len(d.Would) == 0 {
		p.Same++
		return
	}
	r := past.Request
	key := fmt.Sprintf("%q", []any{r.Principal.ID, r.Method, r.Server, r.Name, was, now, d.Policies, d.Would})
	if p.found == nil {
		p.found = map[string]*Difference{}
	}
	f := p.found[key]
	if f == nil {
		f = &Difference{Principal: r.Principal.ID, Method: r.Method, Server: r.Server, Target: r.Name, Was: was, Now: now, Policies: d.Policies, Reason: d.Reason, Would: d.Would}
		p.found[key] = f
	}
	f.Count++
	f.Exchange = past.Record.Exchange
}

// again decides a past exchange. What would be decided if everything that the log
// does not hold were empty comes with what could be decided whatever it was.
func (e *Engine) again(past Past) (d Decision, allow, deny bool) {
	d = e.Decide(past.Request)
	if e.report {
		return d, true, false
	}
	w, err := e.world(past.Request)
	if err != nil {
		return d, false, true
	}
	allow, deny = w.possible(w.candidates(), past.without)
	return d, allow, deny
}

// Differences are sorted, the most frequent first.
func (p *Replay) Differences() []Difference {
	list := make([]Difference, 0, len(p.found))
	for _, d := range p.found {
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Server, b.Server), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Now, b.Now))
	})
	return list
}
