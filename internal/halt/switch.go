package halt

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/statefile"
)

// Unreadable is who halts everything while the file cannot be read.
const Unreadable = "gatehouse"

// pollEvery is how often the file is looked at: a look costs some microseconds,
// and who pulls the switch waits no longer than this.
const pollEvery = 250 * time.Millisecond

// Switch is what is halted now. Refuses may be called from any goroutine and costs
// one load while nothing is halted.
type Switch struct {
	path string
	now  func() time.Time
	live atomic.Pointer[state] // nil: nothing is halted

	mu      sync.Mutex
	stamp   statefile.Stamp
	file    []Halt // as last read, or the one that says that it could not be read
	own     []Halt // ordered in this process and not in the file, because it cannot be written
	told    []Halt // what the watchers know
	watches []func(Change)
}

// state is the halts by what they are about.
type state struct {
	all     []Halt
	server  map[string][]Halt // with those of tools, prompts and resources
	whom    map[string][]Halt // principals
	team    map[string][]Halt
	list    []Halt
	changes time.Time // when the next one ends; zero: none
}

// Change is what began and what ended to be halted.
type Change struct {
	Began, Ended []Halt
}

// Stops reports whether something that began is about the call.
func (c Change) Stops(call *Call) (Halt, bool) {
	for _, h := range c.Began {
		if h.Stops(call) {
			return h, true
		}
	}
	return Halt{}, false
}

// Open reads the halts in the file at path; a file that is not there has none. If it
// cannot be read, everything is halted until it can. now is the clock, nil for that
// of the system. Run keeps the Switch up to date.
func Open(path string, now func() time.Time) *Switch {
	if now == nil {
		now = time.Now
	}
	s := &Switch{path: path, now: now}
	s.Reload()
	return s
}

// Reload reads the file now.
func (s *Switch) Reload() { s.update(s.read) }

// read takes over the file; mu is held.
func (s *Switch) read() {
	s.stamp = statefile.Stamp{}
	if stamp, err := statefile.StampOf(s.path); err == nil {
		s.stamp = stamp // before the content: what changes in between is seen at the next look
	}
	list, err := read(s.path)
	if err != nil {
		list = []Halt{{
			Target: Target{What: All}, By: Unreadable, Since: s.now(),
			Reason: "the halts cannot be read; a person must mend or remove the file, see `gatehouse halt list`",
		}}
	}
	s.file = list
}

// Run looks for changes of the file and for halts that end, until ctx ends.
func (s *Switch) Run(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.poll()
		}
	}
}

func (s *Switch) poll() {
	stamp, err := statefile.StampOf(s.path)
	s.mu.Lock()
	same := err == nil && stamp.Same(s.stamp)
	s.mu.Unlock()
	live := s.live.Load()
	switch {
	case !same:
		s.Reload()
	case live != nil && !live.changes.IsZero() && !s.now().Before(live.changes):
		s.update(func() {}) // a halt ends
	}
}

// update changes file and own, makes them what is in force and tells the watchers.
func (s *Switch) update(edit func()) {
	s.mu.Lock()
	edit()
	now := s.now()
	list := slices.DeleteFunc(slices.Concat(s.file, s.own), func(h Halt) bool { return h.ended(now) })
	s.live.Store(newState(list))
	change := Change{Began: without(list, s.told), Ended: without(s.told, list)}
	s.told = list
	watches := slices.Clone(s.watches)
	s.mu.Unlock()
	if len(change.Began)+len(change.Ended) == 0 {
		return
	}
	for _, watch := range watches {
		watch(change)
	}
}

// without are the halts of a whose targets are not in b.
func without(a, b []Halt) []Halt {
	var list []Halt
	for _, h := range a {
		if !slices.ContainsFunc(b, func(other Halt) bool { return other.Target == h.Target }) {
			list = append(list, h)
		}
	}
	return list
}

func newState(list []Halt) *state {
	if len(list) == 0 {
		return nil
	}
	st := &state{server: map[string][]Halt{}, whom: map[string][]Halt{}, team: map[string][]Halt{}, list: list}
	for _, h := range list {
		switch h.What {
		case All:
			st.all = append(st.all, h)
		case Principal:
			st.whom[h.Name] = append(st.whom[h.Name], h)
		case Team:
			st.team[h.Name] = append(st.team[h.Name], h)
		default:
			st.server[h.Server] = append(st.server[h.Server], h)
		}
		if !h.Until.IsZero() && (st.changes.IsZero() || h.Until.Before(st.changes)) {
			st.changes = h.Until
		}
	}
	return st
}

// Refuses says whether the call is halted, and by which halt. With an empty Kind it
// is asked about the server as a whole.
func (s *Switch) Refuses(c *Call) (Halt, bool) {
	live := s.live.Load()
	if live == nil {
		return Halt{}, false
	}
	return live.refuses(c, s.now)
}

func (st *state) refuses(c *Call, now func() time.Time) (Halt, bool) {
	find := func(list []Halt) (Halt, bool) {
		for _, h := range list {
			if h.Stops(c) && (h.Until.IsZero() || !h.ended(now())) {
				return h, true
			}
		}
		return Halt{}, false
	}
	if h, found := find(st.all); found {
		return h, true
	}
	if h, found := find(st.server[c.Server]); found {
		return h, true
	}
	if h, found := find(st.whom[c.Principal]); found {
		return h, true
	}
	if len(st.team) > 0 {
		for _, team := range c.Teams {
			if h, found := find(st.team[team]); found {
				return h, true
			}
		}
	}
	return Halt{}, false
}

// Halts lists what is halted now.
func (s *Switch) Halts() []Halt {
	live := s.live.Load()
	if live == nil {
		return nil
	}
	now := s.now()
	return slices.DeleteFunc(slices.Clone(live.list), func(h Halt) bool { return h.ended(now) })
}

// Watch calls changed for every change from now on, and at once with what is halted
// already. Calls come from whoever changes something: the goroutine of Run, Reload,
// Halt or Resume.
func (s *Switch) Watch(changed func(Change)) {
	s.mu.Lock()
	s.watches = append(s.watches, changed)
	told := slices.Clone(s.told)
	s.mu.Unlock()
	if len(told) > 0 {
		changed(Change{Began: told})
	}
}

// Halt stops something in this process at once, and in the file. After an error it
// is halted all the same, until this process ends.
func (s *Switch) Halt(h Halt) error {
	if h.Since.IsZero() {
		h.Since = s.now()
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("halting %s: %w", h.Target, err)
	}
	s.update(func() { s.own = append(s.own, h) })
	if err := Add(s.path, h); err != nil {
		return err
	}
	s.update(func() { s.forgetOwn(h.Target); s.read() })
	return nil
}

// forgetOwn is called with mu held.
func (s *Switch) forgetOwn(t Target) {
	s.own = slices.DeleteFunc(s.own, func(h Halt) bool { return h.Target == t })
}

// Resume ends the halt of exactly the target, in the file and in this process.
func (s *Switch) Resume(t Target) error {
	s.mu.Lock()
	isOwn := slices.ContainsFunc(s.own, func(h Halt) bool { return h.Target == t })
	s.mu.Unlock()
	if _, err := Remove(s.path, t, s.now()); err != nil && !isOwn {
		return err
	}
	s.update(func() { s.forgetOwn(t); s.read() })
	return nil
}
