package wire

// Valid reports whether Scan would accept raw with the default limits. It keeps
// nothing of it.
func Valid(raw []byte) bool {
	s := scanners.Get().(*scanner)
	s.raw, s.lim = raw, DefaultLimits
	ok := len(raw) <= s.lim.Bytes && s.only()
	s.free(s.strings)
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
