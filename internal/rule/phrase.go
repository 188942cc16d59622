package rule

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// Reach of a phrase around one of its triggers, in folded bytes, and how far
// apart two phrases may stand to support each other.
const (
	reachBefore = 80
	reachAfter  = 220
	reachWord   = 24  // how far a window is widened so as not to cut a word
	together    = 320 // between two phrases
	wholeReach  = 640 // from the first to the last
	// Enough is the weight at which evidence counts as recognised.
	Enough = 3
)

// Phrase is one way of saying something, with the weight that it has as
// evidence. A phrase of weight 3 is enough by itself; lighter ones must stand
// near others of another kind.
type Phrase struct {
	Kind     string   // phrases of one kind do not add up
	Detail   string   // for people
	Weight   int      // 1, 2 or 3
	Triggers []string // in folded form; the pattern is tried only near one of them
	// Needs are literals of which one must stand near a trigger that is common,
	// besides those that the pattern itself cannot match without.
	Needs   []string
	Pattern string // regular expression over folded text
	Before  int    // how far before a trigger the pattern may begin; 0 means reachBefore
	// Alone says of a phrase of weight 1 that it is worth a report where no other stands
	// near. Heavier ones always are.
	Alone bool
	// Unless is tried on the reach before the match and silences it.
	Unless string
}

// Phrases looks for many phrases in one pass. Regular expressions see only the
// surroundings of a trigger, and no byte twice for the same phrase, so the time
// is linear in the text whatever it holds.
type Phrases struct {
	// Literals stand in every text in which a phrase is found.
	Literals *Literals

	list  []compiled
	uses  []use      // of the literals
	brief [][]string // of each set: literals that are looked for in a window only
}

type compiled struct {
	Phrase
	pattern, unless func() *regexp.Regexp // made when a text first needs it; unless may be nil
	sequences       func() []sequence
	kind            int
	needs           []int // sets of literals; one of each must stand in a window
}

// use says what a literal is looked for.
type use struct {
	triggers []int // phrases
	needs    []int // sets
}

// maxKinds bounds the kinds of one list of phrases.
const maxKinds = 64

// NewPhrases makes phrases ready to be looked for. A wrong pattern panics when it is first
// needed: they are constants.
func NewPhrases(lists ...[]Phrase) *Phrases {
	p := &Phrases{}
	words := vocabulary{index: map[string]int{}}
	kinds := map[string]int{}
	for _, phrase := range slices.Concat(lists...) {
		c := compiled{Phrase: phrase, pattern: lazily(phrase.Pattern)}
		c.sequences = sync.OnceValue(func() []sequence { return sequences(parse(phrase.Pattern)) })
		if _, known := kinds[c.Kind]; !known {
			kinds[c.Kind] = len(kinds)
		}
		c.kind = kinds[c.Kind]
		if c.Before == 0 {
			c.Before = reachBefore
		}
		if phrase.Unless != "" {
			c.unless = lazily(phrase.silence())
		}
		for _, trigger := range phrase.Triggers {
			u := words.use(trigger)
			u.triggers = append(u.triggers, len(p.list))
		}
		p.list = append(p.list, c)
	}
	for i := range p.list {
		for _, set := range p.list[i].requirements() {
			p.list[i].needs = append(p.list[i].needs, words.set(set))
		}
		// What costs least is asked first.
		slices.SortStableFunc(p.list[i].needs, func(a, b int) int { return len(words.brief[a]) - len(words.brief[b]) })
	}
	if len(kinds) > maxKinds {
		panic("rule: internal error: too many kinds of phrases")
	}
	p.Literals, p.uses, p.brief = NewLiterals(Lowercase, words.literals...), words.uses, words.brief
	p.Literals.phrases = p
	return p
}

// vocabulary collects the literals of phrases, each once.
type vocabulary struct {
	literals []string
	uses     []use
	index    map[string]int
	brief    [][]string // of each set
}

func (v *vocabulary) use(literal string) *use {
	i, known := v.index[literal]
	if !known {
		i = len(v.literals)
		v.index[literal] = i
		v.literals, v.uses = append(v.literals, literal), append(v.uses, use{})
	}
	return &v.uses[i]
}

// briefNeed is the length below which a literal makes looking through all of a text
// dearer than looking for it in the windows that need it.
const briefNeed = 4

// set enters a set of literals and returns its number. Triggers have been entered.
func (v *vocabulary) set(literals []string) int {
	n := len(v.brief)
	v.brief = append(v.brief, nil)
	for _, literal := range literals {
		if _, known := v.index[literal]; !known && len(literal) < briefNeed {
			v.brief[n] = append(v.brief[n], literal)
			continue
		}
		u := v.use(literal)
		u.needs = append(u.needs, n)
	}
	return n
}

// requirements are the sets of literals of which one each must stand in a window.
func (c *compiled) requirements() [][]string {
	sets := slices.DeleteFunc(slices.Clone(needsOf(c.Pattern)), func(set []string) bool {
		return allHold(c.Triggers, set) // nothing is left to be asked at a trigger
	})
	if len(c.Needs) > 0 {
		sets = append(sets, c.Needs)
	}
	return sets
}

// silence is the expression that silences the phrase before a match.
func (p *Phrase) silence() string { return "(?:" + p.Unless + ")$" }

// lazily compiles a pattern when it is first needed. Most are never,
// and compiling all of them would take longer than everything else at the start.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

func parse(pattern string) *syntax.Regexp {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic("rule: internal error: " + err.Error()) // patterns are constants
	}
	return parsed
}

// Said is one phrase that was found.
type Said struct {
	Start, End int // in folded bytes
	Phrase     *Phrase
}

// Evidence is one phrase that was found, or several that stand together.
type Evidence struct {
	Start, End int            // in folded bytes
	Weight     int            // of its kinds together
	Kinds      map[string]int // the weight of each
	Details    []string
}

// Find returns the phrases in the folded text of a subject, joined where they stand
// together, in order.
func (p *Phrases) Find(s *Subject) []Evidence { return Join(p.Said(s)) }

// Said returns the phrases in the folded text of a subject, in order. Rules that share
// phrases share the looking for them: the list must not be changed.
func (p *Phrases) Said(s *Subject) []Said {
	if !s.Holds(p.Literals) {
		return nil
	}
	reading := s.known()
	if said, known := reading.saidBy(p); known {
		return said
	}
	work := scratches.Get().(*scratch)
	defer work.end()
	work.look(p, s)
	said := p.single(reading.fold().Text, work)
	reading.said = append(reading.said, saying{p, said})
	return said
}

// saying is what was found of some phrases in one text.
type saying struct {
	phrases *Phrases
	said    []Said
}

func (r *reading) saidBy(p *Phrases) (said []Said, known bool) {
	for _, s := range r.said {
		if s.phrases == p {
			return s.said, true
		}
	}
	return nil, false
}

// window is a stretch of text around triggers of one phrase.
type window struct {
	owner      int // phrase
	first      int // where the first trigger starts
	last       int // where the last one ends
	start, end int // with the reach of the phrase
	failed     bool
}

// mention is a place of a literal that some phrase needs. There can be many.
type mention struct{ literal, start, end uint32 }

// maxAlone bounds how many patterns of one text are run for the sake of evidence that
// is not enough. It is more than an ordinary text of some pages asks for. A longer one may
// have one more for each aloneEvery bytes, so that its beginning does not use up what its
// end needs.
const (
	maxAlone   = 48
	aloneEvery = 1 << 10
)

func (p *Phrases) single(text []byte, work *scratch) []Said {
	windows, mentions := work.windows, work.mentions
	var all []Said
	alone, most := 0, maxAlone+len(text)/aloneEvery
	// A phrase of weight 3 is enough by itself. Lighter ones are tried, the heavier
	// first, where those around could still add up, and, up to a bound, where they are
	// worth a report.
	for weight := Enough; weight > 0; weight-- {
		for i := range windows {
			w := &windows[i]
			c := &p.list[w.owner]
			if c.Weight != weight {
				continue
			}
			lone := weight < Enough && p.potential(windows, i) < Enough
			if w.failed = lone && weight == 1 && !c.Alone; w.failed {
				continue
			}
			start, end := w.bounds(text)
			w.failed = !p.needed(c, mentions, text, start, end) || lone && alone == most
			if w.failed {
				continue
			}
			if lone {
				alone++
			}
			before := len(all)
			all = c.confirm(text, start, end, all)
			w.failed = len(all) == before
		}
	}
	slices.SortStableFunc(all, byStart)
	return all
}

func byStart(a, b Said) int { return a.Start - b.Start }

// scratch is the memory for looking at one text.
type scratch struct {
	windows  []window
	mentions []mention // in order of their ends
	latest   []int32   // phrase → its last window, plus one
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is how many windows or mentions wait, as memory, for the next text.
const maxScratch = 1 << 14

func (w *scratch) end() {
	if cap(w.windows) <= maxScratch && cap(w.mentions) <= maxScratch {
		scratches.Put(w)
	}
}

// look finds the triggers and joins those of one phrase whose reach overlaps, so
// that a phrase sees no byte twice. Windows come in the order of their starts.
func (w *scratch) look(p *Phrases, s *Subject) {
	w.windows, w.mentions = w.windows[:0], w.mentions[:0]
	w.latest = slices.Grow(w.latest[:0], len(p.list))[:len(p.list)]
	clear(w.latest)
	s.Each(p.Literals, func(literal, start, end int) {
		use := &p.uses[literal]
		if len(use.needs) > 0 {
			w.mentions = append(w.mentions, mention{uint32(literal), uint32(start), uint32(end)})
		}
		for _, owner := range use.triggers {
			w.trigger(owner, start, end, start-p.list[owner].Before)
		}
	})
	slices.SortStableFunc(w.windows, func(a, b window) int { return a.start - b.start })
}

func (w *scratch) trigger(owner, start, end, reach int) {
	if n := w.latest[owner]; n > 0 && reach <= w.windows[n-1].end {
		last := &w.windows[n-1]
		last.last, last.end = end, end+reachAfter
		return
	}
	w.windows = append(w.windows, window{owner: owner, first: start, last: end, start: reach, end: end + reachAfter})
	w.latest[owner] = int32(len(w.windows))
}

// potential is the weight that the light phrases around a window would have if
// all were found.
func (p *Phrases) potential(windows []window, i int) int {
	var kinds [maxKinds]uint8
	sum := 0
	count := func(w window) {
		c := &p.list[w.owner]
		if w.failed || c.Weight >= Enough {
			return
		}
		if weight := uint8(c.Weight); weight > kinds[c.kind] {
			sum += int(weight - kinds[c.kind])
			kinds[c.kind] = weight
		}
	}
	for j := i; j >= 0 && windows[j].start > windows[i].start-wholeReach && sum < Enough; j-- {
		count(windows[j])
	}
	for j := i + 1; j < len(windows) && windows[j].start < windows[i].end+wholeReach && sum < Enough; j++ {
		count(windows[j])
	}
	return sum
}

// bounds are what a pattern sees of a window. No pattern crosses a blank line, so the
// window ends at one.
func (w *window) bounds(text []byte) (start, end int) {
	start, end = max(w.start, 0), min(w.end, len(text))
	for limit := max(start-reachWord, 0); start > limit && text[start-1] != ' '; {
		start--
	}
	for limit := min(end+reachWord, len(text)); end < limit && text[end] != ' '; {
		end++
	}
	if n := bytes.LastIndexByte(text[start:w.first], '\n'); n > 0 {
		start += n // with the line feed itself, for patterns that begin a paragraph
	}
	if n := bytes.IndexByte(text[w.last:end], '\n'); n >= 0 {
		end = w.last + n
	}
	return start, end
}

// confirm runs the pattern over text[start:end].
func (c *compiled) confirm(text []byte, start, end int, all []Said) []Said {
	for _, at := range c.pattern().FindAllIndex(text[start:end], -1) {
		from, to := start+at[0], start+at[1]
		if from == to || c.unless != nil && c.unless().Match(text[max(from-reachBefore, 0):from]) {
			continue
		}
		all = append(all, Said{from, to, &c.Phrase})
	}
	return all
}

// needed says whether text[start:end] holds a literal of each set that a phrase
// needs.
func (p *Phrases) needed(c *compiled, mentions []mention, text []byte, start, end int) bool {
	byEnd := func(m mention, at int) int { return int(m.end) - at }
	from, _ := slices.BinarySearchFunc(mentions, start+1, byEnd)
	to, _ := slices.BinarySearchFunc(mentions, end+1, byEnd)
	window := unsafe.String(unsafe.SliceData(text[start:end]), end-start)
	for _, set := range c.needs {
		if !slices.ContainsFunc(mentions[from:to], func(m mention) bool {
			return int(m.start) >= start && slices.Contains(p.uses[m.literal].needs, set)
		}) && !slices.ContainsFunc(p.brief[set], func(literal string) bool {
			return strings.Contains(window, literal)
		}) {
			return false
		}
	}
	return anyHeldBy(window, c.sequences())
}

// Join adds up phrases that stand together, each kind once.
func Join(lists ...[]Said) []Evidence {
	said := lists[0]
	if len(lists) > 1 {
		said = slices.Concat(lists...)
		slices.SortStableFunc(said, byStart)
	}
	var joined []Evidence
	for _, one := range said {
		n := len(joined)
		if n == 0 || one.Start-joined[n-1].End > together || one.Start-joined[n-1].Start > wholeReach {
			joined = append(joined, Evidence{one.Start, one.End, one.Phrase.Weight, map[string]int{one.Phrase.Kind: one.Phrase.Weight}, []string{one.Phrase.Detail}})
			continue
		}
		last := &joined[n-1]
		last.End = max(last.End, one.End)
		if more := one.Phrase.Weight - last.Kinds[one.Phrase.Kind]; more > 0 {
			last.Weight += more
			last.Kinds[one.Phrase.Kind] = one.Phrase.Weight
		}
		if !slices.Contains(last.Details, one.Phrase.Detail) {
			last.Details = append(last.Details, one.Phrase.Detail)
		}
	}
	return joined
}
