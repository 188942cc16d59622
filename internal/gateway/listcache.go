package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash/maphash"
	"slices"
	"sync"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
	"gatehouse/internal/policy"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// page is one list as a server sent it, taken apart once. A list that is the same
// byte for byte is the same page, so an unchanged list costs one comparison. All
// but view is never changed.
type page struct {
	kind    approval.Kind // "": resources
	raw     []byte        // the list
	entries []entry
	items   map[string]*item // nil: a name that stands twice, or that nobody can approve

	mu    sync.Mutex
	view  *view
	views map[string]*view // what audiences see of view, by their keys
}

// entry is one element of a list.
type entry struct {
	value wire.Value
	name  string // or URI; "" if it has not the one name that every reader finds
}

// view is what clients may see of a page, as long as what decides that is the same.
type view struct {
	basis
	page  *page
	see   []bool         // for each entry
	left  int            // entries that are not approved as they stand
	whole bool           // the list may be shown as it was sent
	shown [][]byte       // entries as they may be shown, nil for those that may not
	of    *view          // what an audience sees is a part of this
	by    *policy.Engine // that says which
	list  []byte         // the list as it may be shown on the server's own mount, if not whole
}

// basis is what decides what may be seen of a page, besides its server.
type basis struct {
	live *live
	book uint64
}

// basisNow must be read before what is derived from it.
func (g *Gateway) basisNow() basis { return basis{g.live.Load(), g.book.Generation()} }

// definitions are all definitions of one kind that a server listed over one
// connection.
type definitions struct {
	pages []*page
	items map[string]*item
	hints hints
}

// hints are what a server says of keeping its list: 2026-07-28, ttlMs and
// cacheScope.
type hints struct {
	ttl    int64 // milliseconds
	public bool
}

// noHints are those of no list at all: whatever is joined to it stays.
var noHints = hints{ttl: 1<<63 - 1, public: true}

func (h hints) join(other hints) hints {
	return hints{min(h.ttl, other.ttl), h.public && other.public}
}

func hintsOf(result wire.Value) hints {
	ttl, ok := result.Get("ttlMs").Int()
	if !ok || ttl < 0 {
		ttl = 0
	}
	return hints{ttl, result.Get("cacheScope").Text() == "public"}
}

// lookup is the definition that the server gives now for a name, nil if it lists
// none, or several.
func (l *link) lookup(ctx context.Context, kind approval.Kind, name string) (*item, error) {
	defined, err := l.definitions(ctx, kind)
	if err != nil {
		return nil, err
	}
	return defined.items[name], nil
}

// readList reads all pages of one list.
func (l *link) readList(ctx context.Context, kind approval.Kind) (*definitions, error) {
	out := &definitions{items: map[string]*item{}, hints: noHints}
	count := 0
	err := l.pages(ctx, listMethod(kind), func(result wire.Value) error {
		list, err := listIn(result, listMember(kind))
		if err != nil {
			return err
		}
		p, err := l.server.page(kind, list)
		if err != nil {
			return err
		}
		if count += len(p.entries); count > l.server.limits().Tools {
			return decision.Refuse(decision.UpstreamTooLarge, "%s lists over %d definitions", l.server.id, l.server.limits().Tools)
		}
		out.pages = append(out.pages, p)
		out.hints = out.hints.join(hintsOf(result))
		for name, i := range p.items {
			if _, twice := out.items[name]; twice {
				i = nil // one name, two definitions: neither can be called
			}
			out.items[name] = i
		}
		return nil
	})
	return out, err
}

// listIn finds a list, and refuses one in a form in which some client would find
// another than the one that is filtered here.
func listIn(result wire.Value, name string) (list wire.Value, err error) {
	for member, value := range result.Members() { // once: the list is long
		if member == name {
			list = value
		} else if wire.IsLookalike(member, name, "nextCursor") {
			return wire.Value{}, decision.Refuse(decision.UpstreamInvalid, "a member named %s", printable(member))
		}
	}
	if list.Kind() != '[' {
		return wire.Value{}, decision.Refuse(decision.UpstreamInvalid, "%s is no list", name)
	}
	return list, nil
}

const (
	// maxRememberedPages of lists are known by their bytes, so that an unchanged list
	// is not taken apart again. Sixteen cover servers that answer a few kinds of
	// client differently.
	maxRememberedPages = 16
	// maxRememberedBytes bounds the lists and definitions that are kept for the next
	// list. An honest server has one set of them, a fraction of this.
	maxRememberedBytes = 32 << 20
)

var pageSeed = maphash.MakeSeed()

// page is the list taken apart, if it was not before.
func (s *server) page(kind approval.Kind, list wire.Value) (*page, error) {
	hash := maphash.Bytes(pageSeed, list.Raw())
	s.mu.Lock()
	p := s.pages[hash]
	s.mu.Unlock()
	if p != nil && p.kind == kind && bytes.Equal(p.raw, list.Raw()) {
		return p, nil
	}
	p, err := s.take(kind, bytes.Clone(list.Raw()))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(len(p.raw))
	if len(s.pages) >= maxRememberedPages {
		clear(s.pages)
	}
	s.pages[hash] = p
	return p, nil
}

// take makes entries of a list and items of its definitions. Equal definitions are
// one item.
func (s *server) take(kind approval.Kind, raw []byte) (*page, error) {
	doc, err := wire.Scan(raw, ownLimits)
	if err != nil {
		return nil, err
	}
	p := &page{kind: kind, raw: raw, items: map[string]*item{}}
	for value := range doc.Root.Items() {
		e := entry{value: value}
		if properEntry(kind, value) {
			e.name = itemName(kind, value)
		}
		p.entries = append(p.entries, e)
		if e.name == "" || kind == "" {
			continue
		}
		made := s.item(kind, e)
		if _, twice := p.items[e.name]; twice {
			made = nil
		}
		p.items[e.name] = made
	}
	return p, nil
}

// item is the item of one definition, nil if it is too large to be approved.
func (s *server) item(kind approval.Kind, e entry) *item {
	made := approval.NewItem(kind, e.name, e.value.Raw())
	if len(made.Definition) > approval.MaxItemBytes {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if shared := s.items[made.Digest]; shared != nil && shared.Kind == kind {
		return shared
	}
	i := &item{Item: made, claims: claimsOf(kind, e)}
	s.makeRoom(len(made.Definition))
	s.items[made.Digest] = i
	return i
}

// claimsOf are the annotations of a tool: "clients MUST consider tool annotations to
// be untrusted unless they come from trusted servers", and so must policies.
func claimsOf(kind approval.Kind, e entry) policy.Claims {
	if kind != approval.KindTool {
		return policy.Claims{}
	}
	return policy.ClaimsOf(e.value)
}

// makeRoom counts what is remembered and forgets everything when it is too much;
// the caller holds mu.
func (s *server) makeRoom(size int) {
	s.itemBytes += size
	if s.itemBytes > maxRememberedBytes {
		clear(s.items)
		clear(s.pages) // they hold items too
		clear(s.parts)
		s.itemBytes = size
	}
}

// viewOf says what clients may see of a page now. It is worked out again when an
// approval, a drift or the configuration may have changed it.
func (s *server) viewOf(p *page) (*view, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.view != nil && p.view.left > 0 {
		s.gateway.refreshBook() // a person may have approved it this moment
	}
	now := s.gateway.basisNow()
	if p.view != nil && p.view.basis == now {
		return p.view, nil
	}
	v, err := s.judgePage(p, now)
	if err == nil {
		p.view = v
	}
	return v, err
}

func (s *server) judgePage(p *page, now basis) (*view, error) {
	v := &view{basis: now, page: p, see: make([]bool, len(p.entries)), shown: make([][]byte, len(p.entries))}
	filter := s.filterOf(p.kind)
	v.whole = true
	for i, e := range p.entries {
		if e.name != "" && !passes(filter, p.kind, e.name) {
			v.whole = false
			continue
		}
		ok, err := s.mayShow(p, e, now.live)
		if err != nil {
			return nil, err
		}
		if !ok {
			v.whole = false
			v.left++
			continue
		}
		v.see[i] = true
		raw := e.value.Raw()
		if edits := keepOnly(nil, e.value.Get("icons"), properIcon); len(edits) > 0 {
			v.whole = false
			raw = spliceValue(e.value, edits)
		}
		v.shown[i] = raw
	}
	v.write()
	return v, nil
}

// write makes the list of what is shown.
func (v *view) write() {
	if !v.whole {
		v.list = joinArray(slices.DeleteFunc(slices.Clone(v.shown), func(raw []byte) bool { return raw == nil }))
	}
}

// maxAudiences of one page, one part or one joined list are remembered. More are
// worked out again.
const maxAudiences = 256

// viewFor is what one audience may see of a page. It depends on nothing that changes
// as long as what everybody may see is the same, and the policies are: a request that
// began before a reload must not leave its view to those that come after it.
func (s *server) viewFor(a *audience, p *page) (*view, error) {
	all, err := s.viewOf(p)
	if err != nil || a == nil {
		return all, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := p.views[a.key]; last != nil && last.of == all && last.by == a.engine {
		return last, nil
	}
	v := &view{basis: all.basis, page: p, of: all, by: a.engine, see: make([]bool, len(all.see)), shown: make([][]byte, len(all.see)), left: all.left, whole: all.whole}
	for i, e := range p.entries {
		switch {
		case !all.see[i]:
		case a.sees(s, p.kind, e.name, claimsOf(p.kind, e)):
			v.see[i], v.shown[i] = true, all.shown[i]
		default:
			v.whole = false
		}
	}
	v.write()
	if len(p.views) >= maxAudiences || p.views == nil {
		p.views = map[string]*view{}
	}
	p.views[a.key] = v
	return v, nil
}

// mayShow reports whether an entry is approved as it stands. Resources come and go
// with the data of a server, so none is approved by itself; each is judged by the
// rules instead.
func (s *server) mayShow(p *page, e entry, live *live) (bool, error) {
	switch {
	case e.name == "":
		return false, nil
	case p.kind == "":
		return s.cleanResource(e, live)
	}
	i := p.items[e.name]
	return i != nil && s.approved(i) == nil, nil
}

// judged are the resources that the rules of one configuration have seen.
type judged struct {
	live  *live
	clean map[[sha256.Size]byte]bool
}

// maxJudged resources of a server are remembered. More are judged again.
const maxJudged = 10_000

// cleanResource reports whether the rules let a resource be shown. The same bytes
// are judged once.
func (s *server) cleanResource(e entry, live *live) (bool, error) {
	hash := sha256.Sum256(e.value.Raw())
	s.mu.Lock()
	if s.judged.live != live || len(s.judged.clean) > maxJudged {
		s.judged = judged{live, map[[sha256.Size]byte]bool{}}
	}
	clean, known := s.judged.clean[hash]
	s.mu.Unlock()
	if known {
		return clean, nil
	}
	doc, err := wire.Scan(e.value.Raw(), wire.Limits{})
	if err != nil {
		return false, err
	}
	out, err := live.inspector.Message(&doc, doc.Root, live.subject(s, rule.ResourceDefinition, e.name))
	if err != nil {
		return false, err
	}
	objections := live.objections(out.Findings)
	if len(objections) > 0 {
		s.withheldResource(objections)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.judged.live == live {
		s.judged.clean[hash] = len(objections) == 0
	}
	return len(objections) == 0, nil
}

// withheldResource records a resource that is not shown, once for each form of it.
func (s *server) withheldResource(findings []finding.Finding) {
	if s.firstTime(digest([]byte(findings[0].Name + " " + findings[0].Rule))) {
		s.gateway.note(&audit.Record{Kind: audit.Quarantined, Server: s.id, Target: findings[0].Name, Decision: audit.Deny,
			Reason: string(decision.RuleMatched), Rule: findings[0].Rule, Findings: asFindings(findings, "withheld")})
	}
}
