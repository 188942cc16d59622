package limit

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
)

// What is in use at this moment is in no journal: a disk that cannot be written must
// not keep it taken for ever.
func Test_what_is_in_use_is_given_back_without_a_journal(t *testing.T) {
	s, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	take := func() []Take {
		return []Take{
			{Key: []byte("q\x00concurrent\x00"), Kind: Concurrent, Amount: Count(1), Limit: Count(1)},
			{Key: []byte("q\x00bytes_per_day\x00"), Kind: Window, Amount: Count(1), Limit: Count(100), Ends: math.MaxInt64},
		}
	}
	if ok, err := s.Take(context.Background(), s.Now(), take()); !ok || err != nil {
		t.Fatal(ok, err)
	}
	path := s.journal.path
	s.journal.broken, s.journal.path = true, t.TempDir()+"/gone/journal"
	if err := s.Settle(context.Background(), s.Now(), take()); err == nil {
		t.Fatal("the journal cannot be written, and nobody says so")
	}
	s.journal.path = path
	if ok, err := s.Take(context.Background(), s.Now(), take()[:1]); !ok || err != nil {
		t.Errorf("it is still taken: %v, %v", ok, err)
	}
}

func Test_exactly_the_limit_passes_however_many_ask_at_once(t *testing.T) {
	s := InMemory(nil)
	var granted atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 200 {
				ok, err := s.Take(context.Background(), s.Now(), []Take{
					{Key: []byte("a\x00per_day\x00"), Kind: Window, Amount: Count(1), Limit: Count(1000), Ends: math.MaxInt64},
					{Key: []byte("b\x00per_day\x00"), Kind: Window, Amount: Count(1), Limit: Count(1500), Ends: math.MaxInt64},
				})
				if err != nil && !errors.Is(err, errCrowded) {
					t.Error(err)
				}
				if ok {
					granted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got := granted.Load(); got != 1000 {
		t.Errorf("%d passed a limit of 1000", got)
	}
}
