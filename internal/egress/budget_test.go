package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget_grants_no_more_than_there_is(t *testing.T) {
	b := budget{full: 1000}
	var granted atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for {
				n := b.take(7)
				if n == 0 {
					return
				}
				b.giveBack(n - n/2)
				granted.Add(n / 2)
				if n == 1 {
					return
				}
			}
		})
	}
	all.Wait()
	if got := granted.Load() + b.left; got != 1000 {
		t.Errorf("%d of 1000 are left or granted", got)
	}
}

func TestBudget_is_for_a_day(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{full: 10}
		if b.take(7) != 7 || b.take(7) != 3 || b.take(7) != 0 {
			t.Error("more was granted than there was")
		}
		time.Sleep(day - time.Second)
		if b.take(1) != 0 {
			t.Error("the day ended too soon")
		}
		time.Sleep(time.Second)
		if b.take(4) != 4 {
			t.Error("a new day has nothing")
		}
		b.giveBack(9) // granted yesterday
		if b.take(20) != 10 {
			t.Error("yesterday's bytes were kept")
		}
	})
}

func TestPace_lets_so_many_pass_in_a_second(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{perSecond: 1000}
		start := time.Now()
		for range 5000 {
			if err := p.wait(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		// One second's worth at once, the rest in four.
		if took := time.Since(start).Round(time.Millisecond); took != 4*time.Second {
			t.Errorf("5000 took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.wait(ctx, 10_000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for too many: %v", err)
		}
		var free pace
		start = time.Now()
		if err := free.wait(t.Context(), 1<<40); err != nil || time.Since(start) != 0 {
			t.Errorf("what has no pace waited: %v", err)
		}
	})
}

func TestWatch_ends_what_does_not_move(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l life
		l.moved.Store(time.Now().UnixNano())
		start, ended := time.Now(), make(chan time.Duration, 1)
		go l.watch(make(chan struct{}), func() { ended <- time.Since(start) })
		time.Sleep(idleTimeout / 2)
		l.moved.Store(time.Now().UnixNano())
		if after := <-ended; after != idleTimeout*3/2 || !l.idled.Load() {
			t.Errorf("it ended after %v", after)
		}
		over := make(chan struct{})
		close(over)
		l.watch(over, func() { t.Error("what was over was ended") })
	})
}

// connectedPair is two ends of a TCP connection.
func connectedPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	two, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close(); two.Close() })
	return one.(*net.TCPConn), two.(*net.TCPConn)
}

func TestRelay_one_side_may_end_before_the_other(t *testing.T) {
	client, inner := connectedPair(t)
	outer, host := connectedPair(t)
	b, err := NewBroker(nil, quietLog, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := b.connection(inner, netip.AddrPort{})
	done := make(chan error, 1)
	go func() { done <- relay(t.Context(), inner, outer, c.up, c.down) }()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	client.CloseWrite()
	got := make([]byte, 100)
	if n, err := host.Read(got); err != nil || string(got[:n]) != "question" {
		t.Fatalf("%q, %v", got[:n], err)
	}
	if n, err := host.Read(got); n != 0 || err == nil {
		t.Fatal("the host does not see the end of what the client sends")
	}
	if _, err := host.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	host.CloseWrite()
	if n, err := client.Read(got); err != nil || string(got[:n]) != "answer" {
		t.Fatalf("%q, %v", got[:n], err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c.up.count.Load() != 8 || c.down.count.Load() != 6 || b.up.left != defaultBytesUp-8 {
		t.Errorf("counted %d up, %d down, %d left", c.up.count.Load(), c.down.count.Load(), b.up.left)
	}
}
