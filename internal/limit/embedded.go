package limit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/statefile"
)

const (
	// maxKeys bounds the counters of one quota. Whoever chooses what is counted by,
	// such as the value of an argument, could otherwise fill the memory. When as many
	// are in use, requests that would need another one are refused.
	maxKeys = 100_000
	// maxAllKeys bounds the counters of all quotas; each takes about 200 bytes.
	maxAllKeys = 500_000

	// shards are locked one by one, so that calls which count different things do not
	// wait for each other. A set of them fits into 64 bits.
	shards = 64

	// tidyEvery is how often what was written is put on disk, and counters that are
	// full again are forgotten.
	tidyEvery = time.Second

	// rateLag is how far the kept state of a rate may lie behind: writing less is
	// what makes rates cheap. After a crash nobody gets more than the rate gives in this
	// time, and nothing at all where the rate gives less than one.
	rateLag = int64(time.Second)
)

var (
	errCrowded = errors.New("too many different callers or values are counted")
	errClosed  = errors.New("the store of quotas is closed")
)

// crowdedError says that a quota has as many counters as it may.
type crowdedError struct{ quota string }

func (e *crowdedError) Error() string        { return "quota " + e.quota + ": " + errCrowded.Error() }
func (e *crowdedError) Is(target error) bool { return target == errCrowded }

// Embedded is a Store in the memory of one process, with a journal in a folder.
type Embedded struct {
	clock  clock
	seed   maphash.Seed
	unlock func()

	stop chan struct{}
	done sync.WaitGroup

	world      sync.RWMutex // held alone to write everything anew, and to end
	journal    *journal     // nil: in memory only
	closed     bool
	generation atomic.Int64 // of the journal
	shards     [shards]shard

	crowd struct {
		mu    sync.Mutex
		keys  map[string]int // by quota
		total int
		swept time.Time // when counters were last looked for that can be forgotten
	}
	tidied int // the shard that was tidied last; owned by tidy
}

type shard struct {
	mu    sync.Mutex
	cells map[string]*cell
	_     [48]byte // shards do not share a cache line
}

// cell is one counter.
type cell struct {
	at   int64 // as Counter.At
	kept int64 // of a Rate: at as the journal has it
	used Amount
	kind Kind
}

// idle tells a cell that is as good as a new one.
func (c *cell) idle(now Instant) bool {
	switch c.kind {
	case Rate:
		return c.at <= now.Rate
	case Concurrent:
		return c.used.isZero()
	}
	return c.at <= now.Wall
}

// InMemory is a Store that forgets everything when the process ends. now is the
// clock, nil for that of the system.
func InMemory(now func() time.Time) *Embedded {
	s := newEmbedded()
	s.clock.begin(orSystem(now), Instant{})
	return s
}

// Open is a Store whose state is in dir, which it makes. Only one process may have
// it open. If what is kept there was damaged, it refuses and says what to do. now is
// the clock, nil for that of the system.
func Open(dir string, now func() time.Time) (*Embedded, error) {
	s := newEmbedded()
	if err := s.open(dir, orSystem(now)); err != nil {
		return nil, fmt.Errorf("opening the quotas: %w", err)
	}
	s.done.Go(s.tidy)
	return s, nil
}

func orSystem(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

func newEmbedded() *Embedded {
	s := &Embedded{seed: maphash.MakeSeed(), stop: make(chan struct{})}
	s.crowd.keys = map[string]int{}
	for i := range s.shards {
		s.shards[i].cells = map[string]*cell{}
	}
	return s
}

func (s *Embedded) open(dir string, now func() time.Time) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if s.unlock, err = statefile.Lock(filepath.Join(dir, lockName)); err != nil {
		if errors.Is(err, statefile.ErrLocked) {
			return fmt.Errorf("%w: another gateway counts there; stop it, or give this one a state folder of its own", err)
		}
		return err
	}
	defer func() {
		if err != nil {
			s.unlock()
		}
	}()
	last, err := readJournal(filepath.Join(dir, journalName), func(c Counter) {
		s.restore(c)
	})
	if err != nil {
		return err
	}
	s.clock.begin(now, last)
	s.forget(s.clock.instant())
	s.journal, err = writeJournal(filepath.Join(dir, journalName), s.snapshot)
	return err
}

// restore takes over a counter of the journal; a later record of a key replaces an
// earlier one.
func (s *Embedded) restore(c Counter) {
	sh := &s.shards[s.shardOf(c.Key)]
	found := sh.cells[string(c.Key)]
	if found == nil {
		found = &cell{}
		sh.cells[string(c.Key)] = found
		s.crowd.keys[quotaOf(c.Key)]++
		s.crowd.total++
	}
	*found = cell{at: c.At, kept: c.At, used: c.Used, kind: c.Kind}
}

// snapshot writes what must be kept; nobody else uses the store meanwhile.
func (s *Embedded) snapshot(write func(Counter)) {
	now := s.clock.instant()
	write(clockRecord(now))
	for i := range s.shards {
		for key, c := range s.shards[i].cells {
			if c.kind.kept() && !c.idle(now) {
				write(Counter{[]byte(key), c.kind, c.at, c.used})
				c.kept = c.at
			}
		}
	}
}

// Now implements Store.
func (s *Embedded) Now() Instant { return s.clock.instant() }

// Behind is how far the system's clock is before a time that the store has seen:
// that long no new day begins.
func (s *Embedded) Behind() time.Duration { return s.clock.behind() }

func (s *Embedded) shardOf(key []byte) int { return int(maphash.Bytes(s.seed, key) % shards) }

// Take implements Store.
func (s *Embedded) Take(_ context.Context, now Instant, takes []Take) (granted bool, err error) {
	return s.change(now, takes, (*Embedded).take)
}

// Settle implements Store.
func (s *Embedded) Settle(_ context.Context, now Instant, takes []Take) error {
	_, err := s.change(now, takes, (*Embedded).settle)
	if err != nil {
		// What is in use now stands in no journal. If it were not given back either, a
		// disk that was full for a moment would keep it taken until the next start.
		_, again := s.locked(now, inUse(takes), (*Embedded).settle)
		err = errors.Join(err, again)
	}
	return err
}

func inUse(takes []Take) []Take {
	return slices.DeleteFunc(slices.Clone(takes), func(t Take) bool { return t.Kind != Concurrent })
}

// change does something with the counters of takes while nobody else does, and
// does it again when the journal or the memory had to be made room in.
func (s *Embedded) change(now Instant, takes []Take, do func(*Embedded, Instant, []Take) (bool, error)) (bool, error) {
	generation := s.generation.Load()
	ok, err := s.locked(now, takes, do)
	switch {
	case errors.Is(err, errFull):
		err = s.compact(generation)
	case errors.Is(err, errCrowded) && s.maySweep():
		s.world.Lock()
		s.forget(now)
		s.world.Unlock()
		err = nil
	default:
		return ok, err
	}
	if err != nil {
		return false, err
	}
	return s.locked(now, takes, do)
}

// locked holds the shards of all keys, in the order of their numbers, so that two
// calls never wait for each other.
func (s *Embedded) locked(now Instant, takes []Take, do func(*Embedded, Instant, []Take) (bool, error)) (bool, error) {
	s.world.RLock()
	defer s.world.RUnlock()
	if s.closed {
		return false, errClosed
	}
	var set uint64
	for i := range takes {
		takes[i].shard = s.shardOf(takes[i].Key)
		set |= 1 << takes[i].shard
	}
	for left := set; left != 0; left &= left - 1 {
		s.shards[bits.TrailingZeros64(left)].mu.Lock()
	}
	ok, err := do(s, now, takes)
	for left := set; left != 0; left &= left - 1 {
		s.shards[bits.TrailingZeros64(left)].mu.Unlock()
	}
	return ok, err
}

// take looks whether there is room everywhere before it takes anything.
func (s *Embedded) take(now Instant, takes []Take) (bool, error) {
	granted, missing := true, 0
	for i := range takes {
		t := &takes[i]
		t.cell = s.shards[t.shard].cells[string(t.Key)]
		t.look(now)
		if t.Exceeded && !t.Report {
			granted = false
		}
		if t.cell == nil && t.takes() {
			missing++
		}
	}
	if !granted {
		return false, nil
	}
	if missing > 0 {
		if err := s.room(takes); err != nil {
			return false, err
		}
	}
	for i := range takes {
		if t := &takes[i]; t.takes() {
			t.next = t.after(now)
		}
	}
	return s.commit(takes)
}

// takes reports whether the counter changes once everything is granted.
func (t *Take) takes() bool { return !t.Check && !t.Exceeded }

// look says whether there is room.
func (t *Take) look(now Instant) {
	t.Exceeded, t.Wait, t.Used = false, 0, Amount{}
	if t.Kind == Rate {
		full := now.Rate
		if t.cell != nil {
			full = max(full, t.cell.at)
		}
		// "The burst is there again at full": taking one more must not move that
		// further away than a whole burst takes.
		if t.Wait = time.Duration(full + t.Interval - now.Rate - t.Burst*t.Interval); t.Wait > 0 {
			t.Exceeded = true
		}
		return
	}
	if t.cell != nil && !t.cell.idle(now) {
		t.Used = t.cell.used
		if t.Kind != Concurrent {
			t.Wait = time.Duration(t.cell.at - now.Wall)
		}
	}
	t.Exceeded = t.Limit.less(t.Used.plus(t.Amount))
}

// after is the counter once the take is granted.
func (t *Take) after(now Instant) cell {
	next := cell{kind: t.Kind, at: t.Ends}
	if t.cell != nil && !t.cell.idle(now) {
		next = *t.cell
	}
	if t.Kind != Rate {
		next.used = next.used.plus(t.Amount)
		return next
	}
	if t.cell != nil {
		next.kept = t.cell.kept
	}
	next.at = max(now.Rate, next.at) + t.Interval
	if t.mustKeep(next) {
		next.kept = next.at
	}
	return next
}

// mustKeep tells states that the journal must have before they are granted.
func (t *Take) mustKeep(next cell) bool {
	return t.Kind == Window || t.Kind == Rate && next.at-next.kept > rateLag
}

// room makes sure that counters which are missing may be added.
func (s *Embedded) room(takes []Take) error {
	s.crowd.mu.Lock()
	defer s.crowd.mu.Unlock()
	added := 0
	for i := range takes {
		if t := &takes[i]; t.cell == nil && t.takes() {
			added++
			if s.crowd.keys[quotaOf(t.Key)]+added <= maxKeys && s.crowd.total+added <= maxAllKeys {
				continue
			}
			if !t.Report {
				return &crowdedError{quotaOf(t.Key)}
			}
			t.Exceeded, added = true, added-1
		}
	}
	return nil
}

// add makes a new cell; the shard is held.
func (s *Embedded) add(t *Take) *cell {
	s.crowd.mu.Lock()
	s.crowd.keys[quotaOf(t.Key)]++
	s.crowd.total++
	s.crowd.mu.Unlock()
	c := &cell{kind: t.Kind}
	s.shards[t.shard].cells[string(t.Key)] = c
	return c
}

// settle adds and gives back; there is no room to look for.
func (s *Embedded) settle(now Instant, takes []Take) (bool, error) {
	for i := range takes {
		t := &takes[i]
		t.cell, t.Check, t.Exceeded = s.shards[t.shard].cells[string(t.Key)], false, false
		// What is to be emptied or given back, and is not there, is done already.
		t.Check = t.cell == nil && (t.Kind == Concurrent || t.Amount.isZero())
	}
	for i := range takes {
		switch t := &takes[i]; {
		case t.Check:
		case t.Kind == Concurrent:
			t.next = *t.cell
			t.next.used = t.next.used.minus(Count(1))
		case t.Amount.isZero():
			t.next = cell{at: t.cell.at, kind: t.Kind}
		default:
			t.next = t.after(now)
		}
	}
	return s.commit(takes)
}

// commit keeps what the takes lead to, and then makes it so.
func (s *Embedded) commit(takes []Take) (bool, error) {
	if s.journal != nil {
		if err := s.journal.append(takes); err != nil {
			return false, err
		}
	}
	for i := range takes {
		t := &takes[i]
		if !t.takes() {
			continue
		}
		if t.cell == nil {
			t.cell = s.add(t)
		}
		*t.cell = t.next
	}
	return true, nil
}

// maySweep keeps what fills the store from also keeping it busy.
func (s *Embedded) maySweep() bool {
	s.crowd.mu.Lock()
	defer s.crowd.mu.Unlock()
	if now := s.clock.now(); now.Sub(s.crowd.swept).Abs() >= tidyEvery {
		s.crowd.swept = now
		return true
	}
	return false
}

// forget drops all idle counters; nobody else uses the store meanwhile.
func (s *Embedded) forget(now Instant) {
	for i := range s.shards {
		s.forgetShard(i, now)
	}
}

// forgetShard is forget for one shard, which is held.
func (s *Embedded) forgetShard(i int, now Instant) {
	for key, c := range s.shards[i].cells {
		if c.idle(now) {
			delete(s.shards[i].cells, key)
			s.gone([]byte(key))
		}
	}
}

func (s *Embedded) gone(key []byte) {
	s.crowd.mu.Lock()
	defer s.crowd.mu.Unlock()
	s.crowd.total--
	quota := quotaOf(key)
	if s.crowd.keys[quota]--; s.crowd.keys[quota] == 0 {
		delete(s.crowd.keys, quota)
	}
}

// compact writes a new journal with nothing but the state of now, unless somebody
// did since the journal of that generation.
func (s *Embedded) compact(generation int64) error {
	s.world.Lock()
	defer s.world.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.generation.Load() != generation:
		return nil
	}
	s.forget(s.clock.instant())
	next, err := writeJournal(s.journal.path, s.snapshot)
	if err != nil {
		return fmt.Errorf("writing the quotas anew: %w", err)
	}
	old := s.journal
	s.journal = next
	s.generation.Add(1)
	return old.close()
}

// tidy puts the journal on disk and forgets idle counters, one shard at a time.
func (s *Embedded) tidy() {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		s.world.RLock()
		if !s.closed {
			s.tidied = (s.tidied + 1) % shards
			sh := &s.shards[s.tidied]
			sh.mu.Lock()
			s.forgetShard(s.tidied, s.clock.instant())
			sh.mu.Unlock()
			// An error is met by the next request that must be kept.
			_ = s.journal.sync(s.clock.instant())
		}
		s.world.RUnlock()
	}
}

// Counters implements Store.
func (s *Embedded) Counters(_ context.Context, visit func(Counter)) error {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for key, c := range sh.cells {
			visit(Counter{[]byte(key), c.kind, c.at, c.used})
		}
		sh.mu.Unlock()
	}
	return nil
}

// Close implements Store.
func (s *Embedded) Close() error {
	s.world.Lock()
	if s.closed {
		s.world.Unlock()
		return nil
	}
	s.closed = true
	close(s.stop)
	s.world.Unlock()
	s.done.Wait()
	if s.journal == nil {
		return nil
	}
	defer s.unlock()
	next, err := writeJournal(s.journal.path, s.snapshot) // exact, rates included
	if err != nil {
		// What is there already lacks nothing but the lag of rates.
		return errors.Join(err, s.journal.sync(s.clock.instant()), s.journal.close())
	}
	return errors.Join(s.journal.close(), next.close())
}

// quotaOf is the name of the quota that a key begins with.
func quotaOf(key []byte) string {
	name, _, _ := bytes.Cut(key, []byte{0})
	return string(name)
}
