package rule

// Scanner finds every occurrence of many literals in one pass over a text
// (Aho and Corasick's automaton as a dense table). Letters of ASCII match in
// both cases.
type Scanner struct {
	class   [256]uint8 // bytes that no literal holds share class 0
	shift   uint
	next    []uint16 // state<<shift | class → state, with the top bit set where a literal ends
	found   [][]uint16
	length  []int
	longest int
}

const literalEnds = 1 << 15

// NewScanner makes a scanner. It panics where the literals need more states
// than a table can hold: they are constants of this program.
func NewScanner(literals []string) *Scanner {
	s := &Scanner{}
	classes := 1
	for _, literal := range literals {
		s.length = append(s.length, len(literal))
		s.longest = max(s.longest, len(literal))
		for i := 0; i < len(literal); i++ {
			b := lower(literal[i])
			if s.class[b] == 0 {
				s.class[b] = uint8(classes)
				classes++
			}
			if letter(b) {
				s.class[b&^0x20] = s.class[b]
			}
		}
	}
	for 1<<s.shift < classes {
		s.shift++
	}
	s.link(s.trie(literals))
	return s
}

// trie enters the literals; each state is a row of next.
func (s *Scanner) trie(literals []string) int {
	s.grow()
	for id, literal := range literals {
		state := 0
		for i := 0; i < len(literal); i++ {
			cell := state<<s.shift | int(s.class[literal[i]])
			if s.next[cell] == 0 {
				fresh := s.grow()
				s.next[cell] = uint16(fresh)
			}
			state = int(s.next[cell])
		}
		s.found[state] = append(s.found[state], uint16(id))
	}
	return len(s.found)
}

func (s *Scanner) grow() int {
	if len(s.found) == literalEnds {
		panic("rule: internal error: too many literals for one scanner")
	}
	s.next = append(s.next, make([]uint16, 1<<s.shift)...)
	s.found = append(s.found, nil)
	return len(s.found) - 1
}

// link turns the trie into an automaton without failure steps: breadth first, a
// missing edge becomes the edge of the longest proper suffix.
func (s *Scanner) link(states int) {
	suffix := make([]int, states)
	queue := make([]int, 0, states)
	width := 1 << s.shift
	for c := range width {
		if child := int(s.next[c]); child != 0 {
			queue = append(queue, child)
		}
	}
	for at := 0; at < len(queue); at++ {
		state := queue[at]
		s.found[state] = append(s.found[state], s.found[suffix[state]]...)
		for c := range width {
			cell, other := state<<s.shift|c, s.next[suffix[state]<<s.shift|c]
			if child := int(s.next[cell]); child != 0 {
				suffix[child] = int(other)
				queue = append(queue, child)
			} else {
				s.next[cell] = other
			}
		}
	}
	for i, state := range s.next {
		if len(s.found[state]) > 0 {
			s.next[i] |= literalEnds
		}
	}
}

// A step of the automaton waits for the one before, and a processor has nothing
// else to do meanwhile. Scan therefore reads four stretches of a text side by
// side, each of at most longStretch bytes, so that the hits to be kept stay few.
// Below shortStretch finding the states to start from costs more than it saves.
const (
	longStretch  = 1 << 10
	shortStretch = 1 << 6
)

// hit is where at least one literal ends, seen in one of the four stretches.
type hit struct {
	state, end uint32
	stretch    uint8
}

// Scan calls found for each occurrence, in order of their ends: text[start:end]
// is the literal with that index.
func Scan[T string | []byte](s *Scanner, text T, found func(literal, start, end int)) {
	var hits []hit
	state, done := 0, 0
	for {
		size := min(len(text)-done, 4*longStretch) / 4
		if size < shortStretch {
			break
		}
		hits, state = scanFour(s, text, done, size, state, hits[:0])
		for stretch := uint8(0); stretch < 4 && len(hits) > 0; stretch++ {
			for _, h := range hits {
				if h.stretch == stretch {
					s.report(int(h.state), int(h.end), found)
				}
			}
		}
		done += 4 * size
	}
	for i := done; i < len(text); i++ {
		n := s.next[state<<s.shift|int(s.class[text[i]])]
		state = int(n &^ literalEnds)
		if n&literalEnds != 0 {
			s.report(state, i+1, found)
		}
	}
}

func (s *Scanner) report(state, end int, found func(literal, start, end int)) {
	for _, id := range s.found[state] {
		found(int(id), end-s.length[id], end)
	}
}

// stateAt is the state in which the automaton reaches a place. A state stands for
// the longest end of what was read that begins a literal, so nothing before the
// length of the longest literal matters.
func stateAt[T string | []byte](s *Scanner, text T, at int) int {
	state := 0
	for i := max(0, at-s.longest); i < at; i++ {
		state = int(s.next[state<<s.shift|int(s.class[text[i]])] &^ literalEnds)
	}
	return state
}

// scanFour reads four stretches of a text side by side. They begin at start, the
// first of them in the given state. It appends what it hits, for each stretch in
// order, and returns the state in which the last one ends.
func scanFour[T string | []byte](s *Scanner, text T, start, size, state int, hits []hit) ([]hit, int) {
	next, class, shift := s.next, &s.class, s.shift&31
	second, third, fourth := start+size, start+2*size, start+3*size
	a, b, c, d := text[start:second], text[second:third], text[third:fourth], text[fourth:fourth+size]
	i, j, k, l := uint(state), uint(stateAt(s, text, second)), uint(stateAt(s, text, third)), uint(stateAt(s, text, fourth))
	for at := 0; at < len(a) && at < len(b) && at < len(c) && at < len(d); at++ {
		p, q := next[i<<shift|uint(class[a[at]])], next[j<<shift|uint(class[b[at]])]
		r, t := next[k<<shift|uint(class[c[at]])], next[l<<shift|uint(class[d[at]])]
		i, j, k, l = uint(p&^literalEnds), uint(q&^literalEnds), uint(r&^literalEnds), uint(t&^literalEnds)
		if (p|q|r|t)&literalEnds == 0 {
			continue
		}
		for n, entry := range [4]uint16{p, q, r, t} {
			if entry&literalEnds != 0 {
				hits = append(hits, hit{uint32(entry &^ literalEnds), uint32(start + n*size + at + 1), uint8(n)})
			}
		}
	}
	return hits, int(l)
}
