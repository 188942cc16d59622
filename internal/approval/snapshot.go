package approval

import "iter"

// snapshot is what Check reads. It is never changed after it was published.
type snapshot struct {
	servers    map[string]*view
	generation uint64
}

type view struct {
	state State // Approved, Quarantined or Drift
	items map[key]standing
}

// standing is what is known of one name.
type standing struct {
	approved  string // digest; "" if nothing of this name is approved
	pending   string // digest of the version that waits
	saturated bool   // so many versions waited that no further one is kept
	ambiguous bool   // the server has several definitions of this name
}

// Check says whether an item of the server may be used in the form that has this
// digest. It takes no lock and allocates nothing.
func (b *Book) Check(server string, kind Kind, name, digest string) State {
	v := b.current.Load().servers[server]
	if v == nil {
		return Unknown
	}
	// Of a server that is reached in another way, only the question whether this
	// source is the approved one has an answer, so that it can go back.
	if v.state != Approved && (v.state != Drift || kind != KindSource) {
		return v.state
	}
	s := v.items[key{kind, name}]
	switch {
	case s.approved == "":
		return New
	case s.approved != digest || s.ambiguous:
		return Drift
	}
	return Approved
}

// Server is the state of the server itself: Approved, Unknown, Quarantined, or
// Drift if it was last observed to be reached in another way than approved.
func (b *Book) Server(server string) State {
	v := b.current.Load().servers[server]
	if v == nil {
		return Unknown
	}
	return v.state
}

// Approved yields what is approved of a server by kind and name, in no order.
func (b *Book) Approved(server string) iter.Seq2[Kind, string] {
	return func(yield func(Kind, string) bool) {
		v := b.current.Load().servers[server]
		if v == nil {
			return
		}
		for k, s := range v.items {
			if s.approved != "" && !yield(k.kind, k.name) {
				return
			}
		}
	}
}

// Generation changes whenever an answer of Check or Server may have changed. What
// was derived from answers given after a Generation was read may be used for as
// long as Generation is still the same.
func (b *Book) Generation() uint64 { return b.current.Load().generation }

// pends reports whether nothing is to be done about the item: it is approved, or
// it waits already.
func (s *snapshot) pends(server string, item Item) bool {
	v := s.servers[server]
	if v == nil {
		return false
	}
	known := v.items[item.key()]
	return item.Digest != "" && (known.approved == item.Digest || known.pending == item.Digest || known.saturated || known.ambiguous)
}

// publish makes what the Book knows visible to Check; the caller holds mu.
func (b *Book) publish() {
	servers := make(map[string]*view, len(b.lock)+len(b.pending))
	for server := range b.lock {
		servers[server] = &view{state: Approved, items: map[key]standing{}}
	}
	for server := range b.pending {
		if servers[server] == nil {
			servers[server] = &view{state: Quarantined, items: map[key]standing{}}
		}
	}
	for server, v := range servers {
		v.fill(b.lock[server], b.pending[server], b.seen[server])
	}
	next := &snapshot{servers: servers, generation: 1}
	if before := b.current.Load(); before != nil {
		next.generation = before.generation + 1
	}
	b.current.Store(next)
}

func (v *view) fill(set approvals, w *waiting, seen sighting) {
	for k, a := range set {
		v.items[k] = standing{approved: a.Digest}
	}
	if w != nil {
		for _, item := range w.items {
			s := v.items[item.key()]
			s.pending = item.Digest
			s.saturated = item.versions >= maxVersions
			s.ambiguous = s.ambiguous || item.duplicate
			v.items[item.key()] = s
		}
	}
	for k := range seen.duplicates {
		s := v.items[k]
		s.ambiguous = true
		v.items[k] = s
	}
	source := set[key{KindSource, ""}].Digest
	if v.state == Approved && seen.source != "" && seen.source != source {
		v.state = Drift
	}
}
