package wire

import "sync"

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// keptStrings is the most that Valid keeps room for: a rare large text shall not
// hold its memory for ever.
const keptStrings = 4096

// Valid reports whether Scan would accept raw with the default limits. It keeps
// nothing of it.
func Valid(raw []byte) bool {
	s := scanners.Get().(*scanner)
	*s = scanner{raw: raw, lim: DefaultLimits, strings: s.strings[:0], names: s.names[:0], top: s.top[:0]}
	ok := len(raw) <= s.lim.Bytes && s.only()
	if s.raw = nil; cap(s.strings) <= keptStrings && cap(s.top) <= keptStrings {
		scanners.Put(s)
	}
	return ok
}

// only scans one value and nothing else.
func (s *scanner) only() bool {
	s.space()
	if s.value(-1) != nil {
		return false
	}
	s.space()
	return s.pos == len(s.raw)
}
