package wire

import (
	"cmp"
	"slices"
	"sort"
)

// moved is the document that Scan would make of raw, which the edits made of d. It
// says false where an edit does more than to put one scalar in the place of another,
// and where Scan has to judge.
func (d *Document) moved(raw []byte, lim Limits, edits []Edit) (Document, bool) {
	lim = lim.orDefault()
	s := shift{document: d}
	for _, e := range slices.SortedFunc(slices.Values(edits), func(a, b Edit) int { return cmp.Compare(a.Start, b.Start) }) {
		if !s.replace(e) {
			return Document{}, false
		}
	}
	if len(raw) > lim.Bytes || len(d.Strings)+s.added() > lim.Strings {
		return Document{}, false
	}
	strings := make([]String, 0, len(d.Strings)+s.added()+len(d.top))
	next := 0
	for _, c := range s.changes {
		strings = s.append(strings, d.Strings[next:c.index])
		next = c.index + c.old
		strings = append(strings, c.fresh...)
	}
	strings = s.append(strings, d.Strings[next:])
	return newDocument(raw, Value{raw, s.place(d.Root.start), s.place(d.Root.end)}, strings, s.append(nil, d.top)), true
}

// shift says where the parts of a document stand after changes.
type shift struct {
	document *Document
	changes  []change
}

// change is one scalar in the place of another.
type change struct {
	Edit
	index int      // of the first string that does not stand before it
	old   int      // strings that go: one or none
	fresh []String // strings that come: one or none, where they will stand
}

// replace enters an edit that stands behind those before it. It is false for one that
// does not put one scalar in the place of another.
func (s *shift) replace(e Edit) bool {
	d := s.document
	fresh, err := Scan(e.New, Limits{Depth: 1})
	if err != nil || fresh.Root.start != 0 || fresh.Root.end != len(e.New) || fresh.Root.Kind() == '{' || fresh.Root.Kind() == '[' {
		return false
	}
	c := change{Edit: e, index: sort.Search(len(d.Strings), func(i int) bool { return int(d.Strings[i].Start) > e.Start })}
	key, ok := int32(0), false
	if c.index < len(d.Strings) && int(d.Strings[c.index].Start) == e.Start+1 {
		old := d.Strings[c.index]
		key, ok = old.Key, int(old.End) == e.End-1 && !old.IsKey
		c.old = 1
	} else {
		key, ok = d.memberLiteral(c.index-1, e)
	}
	if !ok || len(s.changes) > 0 && s.changes[len(s.changes)-1].End > e.Start {
		return false
	}
	start := int32(s.place(e.Start))
	for _, f := range fresh.Strings {
		f.Start, f.End, f.Key = f.Start+start, f.End+start, s.index(key)
		c.fresh = append(c.fresh, f)
	}
	s.changes = append(s.changes, c)
	return true
}

// memberLiteral says whether an edit replaces a whole number or literal that is the
// value of the member whose name is Strings[before].
func (d *Document) memberLiteral(before int, e Edit) (key int32, ok bool) {
	if before < 0 || !d.Strings[before].IsKey || e.Start >= e.End || e.End >= len(d.Raw) {
		return 0, false
	}
	colon := skipSpace(d.Raw, int(d.Strings[before].End)+1)
	if skipSpace(d.Raw, colon+1) != e.Start {
		return 0, false
	}
	switch d.Raw[e.Start] {
	case '"', '{', '[':
		return 0, false
	}
	return int32(before), skipLiteral(d.Raw, e.Start) == e.End
}

// added is how many more strings there are.
func (s *shift) added() (n int) {
	for _, c := range s.changes {
		n += len(c.fresh) - c.old
	}
	return n
}

// place is where a place of the document is moved. Changes that end there count.
func (s *shift) place(at int) int {
	moved := at
	for _, c := range s.changes {
		if c.End <= at {
			moved += len(c.New) - (c.End - c.Start)
		}
	}
	return moved
}

// index is where a string of the document is moved, -1 for none.
func (s *shift) index(i int32) int32 {
	moved := i
	for _, c := range s.changes {
		if int(i) >= c.index {
			moved += int32(len(c.fresh) - c.old)
		}
	}
	return moved
}

// append appends strings where they are moved.
func (s *shift) append(to, from []String) []String {
	for _, f := range from {
		f.Start, f.End, f.Key = int32(s.place(int(f.Start))), int32(s.place(int(f.End))), s.index(f.Key)
		to = append(to, f)
	}
	return to
}
