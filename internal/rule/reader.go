package rule

import (
	"cmp"
	"slices"
	"sync"

	"gatehouse/internal/rule/undo"
)

// Search is the looking for the literals of rules, each of which may be read by several
// Readers. What it needs is made when it is first needed.
type Search struct {
	literals []*Literals
	passes   [forms]pass
}

// pass is the one search for the literals of all rules in one form of a text.
type pass struct {
	scanner func() *Scanner // nil if there is nothing to look for
	origin  []origin        // of the scanner's literals
}

// origin says whose literal it is: the index of the Literals, and in them.
type origin struct{ owner, literal uint16 }

// NewSearch makes the Search of some rules.
func NewSearch(rules []Rule) *Search {
	s := &Search{}
	for _, one := range rules {
		for _, l := range one.Literals {
			if !slices.Contains(s.literals, l) {
				s.literals = append(s.literals, l)
			}
		}
	}
	if slices.ContainsFunc(rules, decodes) {
		s.literals = append(s.literals, disguises)
	}
	for form := range forms {
		s.passes[form] = s.pass(form)
	}
	return s
}

func (s *Search) pass(form Form) (p pass) {
	var words []string
	for owner, l := range s.literals {
		if l.form != form || len(l.words) == 0 {
			continue
		}
		if p.scanner = l.alone; len(words) > 0 {
			p.scanner = nil // there are several
		}
		words = append(words, l.words...)
		for i := range l.words {
			p.origin = append(p.origin, origin{uint16(owner), uint16(i)})
		}
	}
	if p.scanner == nil && len(words) > 0 {
		p.scanner = LazyScanner(words...)
	}
	return p
}

// Reader shows texts to rules and does once for all of them what each would have to
// do for itself: it folds a text and looks for everything that their Literals name.
// It is safe for concurrent use.
type Reader struct {
	rules    []Rule
	search   *Search
	reads    []bool // of the literals of the search, those that a rule asks for
	decodes  bool
	readings sync.Pool
}

// NewReader makes a Reader for rules that read the same surfaces.
func NewReader(rules []Rule) *Reader { return NewSearch(rules).Reader(rules) }

// Reader makes a Reader for some of the rules of the Search.
func (s *Search) Reader(rules []Rule) *Reader {
	r := &Reader{rules: rules, search: s, reads: make([]bool, len(s.literals)), decodes: slices.ContainsFunc(rules, decodes)}
	for i, l := range s.literals {
		r.reads[i] = l == disguises && r.decodes || slices.ContainsFunc(rules, func(one Rule) bool { return slices.Contains(one.Literals, l) })
	}
	r.readings.New = func() any { return &reading{reader: r, found: make([][]hit, len(s.literals))} }
	return r
}

// decodes says whether a rule is shown what encoded parts of a text say.
func decodes(r Rule) bool { return !r.AsWritten }

// Found is a match and the rule that made it.
type Found struct {
	Rule string // ID
	Match
	// Hidden says of evidence that needs company that markup hides a part of it from
	// people.
	Hidden bool
}

// Rated is a match of the rule with the severity and the confidence that it has.
func (r *Rule) Rated(m Match) Match {
	m.Severity = cmp.Or(m.Severity, r.Severity)
	m.Confidence = cmp.Or(m.Confidence, r.Confidence, 1)
	return m
}

// Detect shows a text to each rule, and what its encoded parts say, and appends what
// they find, rated. A long text is read in windows, as a Stream does. It fails where a
// rule fails, or says something about a text that cannot be.
func (r *Reader) Detect(subject Subject, all []Found) ([]Found, error) {
	switch {
	case len(r.rules) == 0:
		return all, nil
	case len(subject.Text) <= maxWindow:
		return r.whole(subject, all)
	}
	s := r.Stream(subject)
	s.found = all
	feed(s, subject.Text)
	if err := s.Close(); err != nil {
		return nil, err
	}
	return s.found, nil
}

// whole shows a text to each rule at once.
func (r *Reader) whole(subject Subject, all []Found) ([]Found, error) {
	l := look{reader: r, found: all, most: maxUndone*len(subject.Text) + maxUndoneShort}
	if err := l.show(subject); err != nil {
		return nil, err
	}
	return l.all(), nil
}

// begin is a reading of the text of a subject.
func (r *Reader) begin(subject *Subject) *reading {
	subject.reading = r.readings.Get().(*reading)
	subject.reading.text = subject.Text
	return subject.reading
}

const (
	// maxFound bounds what is kept of one text. Where more is found, each rule looks
	// by itself: looking again costs time, keeping it all would cost a hostile text's
	// size many times over.
	maxFound = 1 << 14
	// maxKept is the size, in bytes of folded text, up to which memory is kept for the
	// next text.
	maxKept = 1 << 20
)

// reading is what is known of one text.
type reading struct {
	reader   *Reader // nil if the rule looks by itself
	text     string
	folded   Folded
	isFolded bool
	passed   [forms]bool
	tooMany  [forms]bool
	found    [][]hit // by the index of the Literals
	said     []saying
	above    *layer // the text in which this one was encoded; nil if it is as sent
	views    []*undo.View
	isViewed bool
	hidden   []HiddenPart
	covered  []int // how far the hidden parts up to that index reach
	isHiding bool
}

// end makes the reading ready for the next text.
func (r *reading) end() {
	if cap(r.folded.Text) > maxKept {
		r.folded.Text = nil
	}
	for i := range r.found {
		r.found[i] = r.found[i][:0]
	}
	if cap(r.hidden) > maxFound {
		r.hidden, r.covered = nil, nil
	}
	clear(r.said) // nothing of a text is kept
	*r = reading{reader: r.reader, folded: Folded{Text: r.folded.Text[:0]}, found: r.found, said: r.said[:0], hidden: r.hidden[:0], covered: r.covered[:0]}
	r.reader.readings.Put(r)
}

// read is what is known of the subject's text, nil if nothing is. A rule may look at
// another text under the same subject.
func (s *Subject) read() *reading {
	if s.reading == nil || s.reading.text != s.Text {
		return nil
	}
	return s.reading
}

func (r *reading) fold() *Folded {
	if !r.isFolded {
		f := folder{src: r.text, out: slices.Grow(r.folded.Text[:0], len(r.text)+8)}
		f.run()
		r.folded, r.isFolded = Folded{Text: f.out, src: r.text}, true
	}
	return &r.folded
}

// hits are the places of literals that a rule has declared; they are not known if
// it has not, or if there are too many.
func (r *reading) hits(l *Literals) (hits []hit, known bool) {
	if r == nil || r.reader == nil {
		return nil, false
	}
	owner := slices.Index(r.reader.search.literals, l)
	if owner < 0 || !r.reader.reads[owner] {
		return nil, false
	}
	if !r.passed[l.form] {
		r.pass(l.form)
	}
	return r.found[owner], !r.tooMany[l.form]
}

// pass looks for the literals of all rules in one form of the text.
func (r *reading) pass(form Form) {
	r.passed[form] = true
	count, p := 0, &r.reader.search.passes[form]
	if p.scanner == nil {
		return
	}
	keep := func(literal, start, end int) {
		o := p.origin[literal]
		if !r.reader.reads[o.owner] {
			return
		}
		if count++; count <= maxFound {
			r.found[o.owner] = append(r.found[o.owner], hit{o.literal, uint32(start), uint32(end)})
		}
	}
	if form == Lowercase {
		p.scanner().Scan(r.fold().view(), keep)
	} else {
		p.scanner().Scan(r.text, keep)
	}
	r.tooMany[form] = count > maxFound
}
