package rule

// Scanner finds every occurrence of many literals in one pass over a text
// (Aho and Corasick's automaton as a dense table). Letters of ASCII match in
// both cases.
type Scanner struct {
	class  [256]uint8 // bytes that no literal holds share class 0
	shift  uint
	next   []uint16 // state<<shift | class → state, with the top bit set where a literal ends
	found  [][]uint16
	length []int
}

const literalEnds = 1 << 15

// NewScanner makes a scanner. It panics where the literals need more states
// than a table can hold: they are constants of this program.
func NewScanner(literals []string) *Scanner {
	s := &Scanner{}
	classes := 1
	for _, literal := range literals {
		s.length = append(s.length, len(literal))
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

// Scan calls found for each occurrence, in order of their ends: text[start:end]
// is the literal with that index.
func Scan[T string | []byte](s *Scanner, text T, found func(literal, start, end int)) {
	state := 0
	for i := 0; i < len(text); i++ {
		n := s.next[state<<s.shift|int(s.class[text[i]])]
		state = int(n &^ literalEnds)
		if n&literalEnds != 0 {
			for _, id := range s.found[state] {
				found(int(id), i+1-s.length[id], i+1)
			}
		}
	}
}
