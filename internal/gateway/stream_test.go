package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/identity"
)

func session(t *testing.T) *Session {
	t.Helper()
	s := newSession(&identity.Principal{ID: "local:test"}, "stub")
	t.Cleanup(s.close)
	return s
}

// cutter counts how often a connection was cut.
type cutter int

func (c *cutter) cut() { *c++ }

func never(t *testing.T) func() {
	return func() { t.Error("the connection was cut") }
}

// take is what a connection writes now.
func take(t *testing.T, c *Connection) (data []string, last string) {
	t.Helper()
	events, err := c.Take(nil)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	for _, e := range events {
		data, last = append(data, string(e.Data)), e.ID
	}
	return data, last
}

func wantData(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func emit(t *testing.T, st *Stream, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := st.Emit([]byte(m)); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
	}
}

func TestStream_resumes_behind_an_event_and_ends_with_the_answer(t *testing.T) {
	s := session(t)
	st := s.NewStream()
	st.Prime()
	c := st.Connect(never(t))
	emit(t, st, "one")
	data, last := take(t, c)
	wantData(t, "at first", data, "", "one")
	emit(t, st, "two") // written, but did it arrive?
	data, _ = take(t, c)
	wantData(t, "then", data, "two")
	c.Close()
	emit(t, st, "three") // the exchange goes on without a client

	c = s.Resume(last, never(t))
	if c == nil {
		t.Fatal("not resumed")
	}
	data, _ = take(t, c)
	wantData(t, "behind one", data, "two", "three")
	emit(t, st, "four") // live again
	st.Finish([]byte("answer"))
	data, last = take(t, c)
	wantData(t, "live", data, "four", "answer")
	if _, err := c.Take(nil); !errors.Is(err, io.EOF) {
		t.Errorf("after the answer: %v", err)
	}
	if err := st.Emit([]byte("late")); err == nil {
		t.Error("something was sent behind the answer")
	}
	c.Close()

	// The answer may have been lost on its way, too.
	c = s.Resume(strings.TrimSuffix(last, "5")+"4", never(t))
	if c == nil {
		t.Fatal("not resumed after the end")
	}
	data, _ = take(t, c)
	wantData(t, "after the end", data, "answer")
}

func TestResume_only_what_the_session_sent(t *testing.T) {
	s, other := session(t), session(t)
	c := s.NewStream().Connect(never(t))
	emit(t, c.stream, "secret")
	_, id := take(t, c)
	stream := c.stream.id
	for _, bad := range []string{"", "-", stream, stream + "-", stream + "-1", stream + "--1", stream + "-00", stream + "-+0", stream + "-0 ",
		strings.ToLower(stream) + "-0", stream[:15] + "-0", "-0", stream + "-99999999999999999999"} {
		if s.Resume(bad, never(t)) != nil {
			t.Errorf("%q was resumed", bad)
		}
	}
	if other.Resume(id, never(t)) != nil {
		t.Error("another session's event was resumed")
	}
	if len(stream) < 16 || stream == other.NewStream().id {
		t.Errorf("stream ids such as %q can be guessed", stream)
	}
}

func TestStream_replays_nothing_of_another_stream(t *testing.T) {
	s := session(t)
	a, b := s.NewStream(), s.NewStream()
	ca, cb := a.Connect(never(t)), b.Connect(never(t))
	emit(t, a, "a1")
	emit(t, b, "b1")
	_, first := take(t, ca)
	take(t, cb)
	ca.Close()
	cb.Close()
	emit(t, b, "b2")
	emit(t, a, "a2")
	if !s.push([]byte("news")) {
		t.Error("there was no place for news")
	}
	data, _ := take(t, s.Resume(first, never(t)))
	wantData(t, "a", data, "a2")
}

func TestStream_a_new_connection_takes_over(t *testing.T) {
	s := session(t)
	st := s.NewStream()
	var cut cutter
	old := st.Connect(cut.cut)
	emit(t, st, "one")
	_, first := take(t, old)
	emit(t, st, "two")
	now := s.Resume(first, never(t))
	if cut != 1 {
		t.Errorf("the old connection was cut %d times", cut)
	}
	if _, err := old.Take(nil); !errors.Is(err, ErrNoStream) {
		t.Errorf("the old connection goes on: %v", err)
	}
	old.Close() // and its end is not that of the new one
	data, _ := take(t, now)
	wantData(t, "the new one", data, "two")
}

func TestStream_without_a_client_that_can_come_back(t *testing.T) {
	t.Run("no session", func(t *testing.T) {
		st := NewStream()
		c := st.Connect(never(t))
		emit(t, st, "one")
		if events, err := c.Take(nil); err != nil || events[0].ID != "" {
			t.Errorf("%v %v", events, err)
		}
		c.Close()
		if st.Emit([]byte("two")) == nil {
			t.Error("the end of the connection is not noticed")
		}
		if len(st.events) > 0 {
			t.Errorf("%d events are kept", len(st.events))
		}
	})
	t.Run("gone before it knew an id", func(t *testing.T) {
		st := session(t).NewStream()
		st.Connect(never(t)).Close()
		if st.Emit([]byte("one")) == nil {
			t.Error("a client that knows no id could not ask for it")
		}
	})
}

func TestStanding_gets_what_waited_and_each_message_once(t *testing.T) {
	s := session(t)
	s.push([]byte("one"))
	s.push([]byte("two"))
	first := s.Standing(true, never(t))
	data, _ := take(t, first)
	wantData(t, "the first", data, "", "one", "two")
	second := s.Standing(false, never(t))
	s.push([]byte("three"))
	data, _ = take(t, first)
	wantData(t, "the first, beside a second", data)
	data, last := take(t, second)
	wantData(t, "the second", data, "three")
	second.Close()
	s.push([]byte("four"))
	data, _ = take(t, first)
	wantData(t, "the first, alone again", data, "four")
	first.Close()
	s.push([]byte("five"))
	data, _ = take(t, s.Resume(last, never(t)))
	wantData(t, "the second, resumed", data, "five")
}

func TestStanding_only_so_many_and_all_end_with_the_session(t *testing.T) {
	s := session(t)
	var cut cutter
	first := s.Standing(true, cut.cut)
	_, id := take(t, first)
	var rest []*Connection
	for range maxStanding {
		rest = append(rest, s.Standing(true, never(t)))
	}
	if cut != 1 || s.Resume(id, never(t)) != nil {
		t.Errorf("the oldest of too many was cut %d times", cut)
	}
	s.close()
	for _, c := range rest {
		take(t, c)
		if _, err := c.Take(nil); !errors.Is(err, io.EOF) {
			t.Errorf("a stream outlives its session: %v", err)
		}
	}
	if s.push([]byte("late")) {
		t.Error("there is a place after the end")
	}
}

func TestPush_bounds_what_waits(t *testing.T) {
	s := session(t)
	n := 0
	for ; n < 10*maxOutboxEvents && s.push([]byte("x")); n++ {
	}
	if n != maxOutboxEvents {
		t.Errorf("%d messages wait", n)
	}
	s = session(t)
	if !s.push(make([]byte, 2*maxOutboxBytes)) {
		t.Error("no place for one large message")
	}
	if s.push([]byte("x")) {
		t.Error("more waits than may")
	}
}

// A client that does not read loses its connection, not a message.
func TestStream_is_dropped_as_a_whole_when_too_much_waits(t *testing.T) {
	for name, message := range map[string][]byte{"many": []byte("x"), "large": make([]byte, maxQueuedBytes/10)} {
		t.Run(name, func(t *testing.T) {
			s := session(t)
			healthy := s.NewStream()
			h := healthy.Connect(never(t))
			var cut cutter
			slow := s.NewStream()
			c := slow.Connect(cut.cut)
			emit(t, slow, "first")
			_, first := take(t, c)
			n := 0
			for ; cut == 0; n++ {
				if n > 2*maxQueuedEvents {
					t.Fatal("it is never dropped")
				}
				if err := slow.Emit(message); err != nil {
					t.Fatal(err)
				}
			}
			emit(t, healthy, "still here")
			data, _ := take(t, h)
			wantData(t, "another stream of the session", data, "still here")
			slow.Finish([]byte("answer"))
			checkBounds(t, s.streams)
			events, err := s.Resume(first, never(t)).Take(nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range events {
				if i > 0 && e.n != events[i-1].n+1 {
					t.Fatalf("event %d behind %d", e.n, events[i-1].n)
				}
			}
			if string(events[len(events)-1].Data) != "answer" {
				t.Error("the answer is not the last")
			}
		})
	}
	t.Run("no session", func(t *testing.T) {
		var cut cutter
		st := NewStream()
		c := st.Connect(cut.cut)
		for n := 0; st.Emit([]byte("x")) == nil; n++ {
			if n > maxQueuedEvents {
				t.Fatal("it is never dropped")
			}
		}
		if _, err := c.Take(nil); cut != 1 || !errors.Is(err, ErrNoStream) {
			t.Errorf("cut %d times, %v", cut, err)
		}
	})
}

func TestStream_an_answer_too_large_to_keep_is_sent_but_not_resumed(t *testing.T) {
	s := session(t)
	st := s.NewStream()
	c := st.Connect(never(t))
	emit(t, st, "one")
	_, id := take(t, c)
	large := bytes.Repeat([]byte("x"), maxKeptBytes+1)
	st.Finish(large)
	if data, _ := take(t, c); len(data) != 1 || len(data[0]) != len(large) {
		t.Fatal("the answer was not sent")
	}
	take(t, c)
	c.Close()
	if s.Resume(id, never(t)) != nil {
		t.Error("a stream is resumed that can have no answer")
	}
	checkBounds(t, s.streams)
}

func TestStream_the_oldest_are_lost_first(t *testing.T) {
	s := session(t)
	st := s.NewStream()
	c := st.Connect(never(t))
	emit(t, st, "first")
	_, first := take(t, c)
	c.Close()
	for i := range 2 * maxKeptEvents {
		emit(t, st, fmt.Sprint(i))
	}
	st.Finish([]byte("answer"))
	again := s.Resume(first, never(t))
	data, _ := take(t, again)
	again.Close()
	if len(data) != maxKeptEvents || data[len(data)-1] != "answer" || data[0] != fmt.Sprint(maxKeptEvents+1) {
		t.Errorf("%d events, from %s to %s", len(data), data[0], data[len(data)-1])
	}
	// What is forgotten is forgotten whole.
	for range 3 {
		other := s.NewStream()
		take(t, other.Connect(never(t)))
		emit(t, other, "x")
		take(t, other.open)
		other.open.Close()
		for range maxKeptEvents {
			emit(t, other, "y")
		}
		other.Finish([]byte("z"))
	}
	if s.Resume(first, never(t)) != nil || len(s.streams.byID) > 1 {
		t.Errorf("%d streams are known", len(s.streams.byID))
	}
}

// checkBounds compares the counters of a session with what it holds.
func checkBounds(t *testing.T, s *streams) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	queued, queuedBytes, kept, keptBytes := 0, 0, 0, 0
	for _, st := range s.byID {
		for i, e := range st.events {
			if i > 0 && e.n <= st.events[i-1].n {
				t.Errorf("event %d behind %d", e.n, st.events[i-1].n)
			}
			if i < len(st.events)-st.waiting {
				kept++
				keptBytes += e.size()
			} else {
				queued++
				queuedBytes += e.size()
			}
		}
		if st.waiting > 0 && st.open == nil && st.given {
			t.Error("events wait for no connection")
		}
		if n := len(slices.DeleteFunc(slices.Clone(s.kept), func(o *Stream) bool { return o != st })); n != len(st.events)-st.waiting {
			t.Errorf("%d events are kept, and %d counted", len(st.events)-st.waiting, n)
		}
	}
	if queued != s.queued || queuedBytes != s.queuedBytes || kept != len(s.kept) || keptBytes != s.keptBytes {
		t.Errorf("counted %d/%d queued and %d/%d kept, found %d/%d and %d/%d",
			s.queued, s.queuedBytes, len(s.kept), s.keptBytes, queued, queuedBytes, kept, keptBytes)
	}
	if kept > maxKeptEvents || keptBytes > maxKeptBytes || queued > maxQueuedEvents+maxKeptEvents+1 || queuedBytes > maxQueuedBytes+maxKeptBytes {
		t.Errorf("%d/%d queued, %d/%d kept", queued, queuedBytes, kept, keptBytes)
	}
}

// FuzzStreams plays a client that loses connections anywhere and comes back with
// the last id it saw. It must see every message of each stream, in order, once.
func FuzzStreams(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 0, 3, 0, 1, 4, 1, 2, 3, 1})
	f.Add([]byte{10, 11, 12, 10, 13, 11, 5, 5, 14, 13, 11, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > maxKeptEvents/2 {
			ops = ops[:maxKeptEvents/2] // below the bounds nothing may be lost
		}
		s := newSession(&identity.Principal{ID: "local:test"}, "stub")
		defer s.close()
		type client struct {
			st   *Stream
			c    *Connection
			held []Event // taken and not yet written
			seen []string
			sent []string
			last string
			done bool
		}
		var all []*client
		for range 3 {
			cl := &client{st: s.NewStream()}
			cl.st.Prime()
			cl.c = cl.st.Connect(func() {})
			all = append(all, cl)
		}
		see := func(cl *client, events []Event) {
			for _, e := range events {
				if cl.last = e.ID; e.Data != nil {
					cl.seen = append(cl.seen, string(e.Data))
				}
			}
		}
		read := func(cl *client) {
			if cl.c != nil {
				see(cl, cl.held)
				cl.held, _ = cl.c.Take(nil)
			}
		}
		resume := func(cl *client) {
			if cl.last != "" {
				cl.held = nil
				if cl.c = s.Resume(cl.last, func() {}); cl.c == nil {
					t.Fatalf("%s is not resumed", cl.last)
				}
			}
		}
		for i, op := range ops {
			cl := all[int(op/10)%len(all)]
			switch op % 10 {
			case 0, 1:
				m := fmt.Sprint(i)
				if cl.st.Emit([]byte(m)) == nil {
					cl.sent = append(cl.sent, m)
				}
			case 2:
				read(cl)
			case 3: // the connection breaks in the middle of what was being written
				if cl.c != nil && cl.last != "" {
					see(cl, cl.held[:len(cl.held)/2])
					cl.c.Close()
					cl.c, cl.held = nil, nil
				}
			case 4:
				resume(cl) // also while the old connection seems to live
			case 5:
				if !cl.done && (cl.c != nil || cl.st.given) {
					cl.done = true
					cl.st.Finish([]byte("answer"))
					cl.sent = append(cl.sent, "answer")
				}
			}
			checkBounds(t, s.streams)
		}
		for _, cl := range all {
			if cl.c == nil {
				resume(cl)
			}
			for range 3 {
				read(cl)
			}
			if diff := cmp.Diff(cl.sent, cl.seen); diff != "" {
				t.Errorf("stream (-sent +seen):\n%s", diff)
			}
		}
	})
}
