package limit

import "testing"

func open(t testing.TB, dir string, clock *fakeClock) *Embedded {
	t.Helper()
	s, err := Open(dir, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s *Embedded) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
