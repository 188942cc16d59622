package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

var (
	errTooManyBytes = errors.New("the bytes that a server may send or get in a day are used up")
)

const (
	// chunk is what one direction of one connection takes of the budget at a time,
	// and how far what is counted lags behind. Smaller ones cost throughput.
	chunk = 256 << 10
	// idleTimeout ends a connection on which nothing moves either way. Long enough
	// for a client that waits for a long answer.
	idleTimeout = 15 * time.Minute
	// tick is how often what moved is counted on a connection too slow for a chunk.
	tick = time.Minute
)

// flow is one direction of one connection.
type flow struct {
	budget *budget
	pace   *pace
	life   *life
	count  *atomic.Int64 // bytes
}

// life is what both directions of a connection share.
type life struct {
	moved     atomic.Int64 // when either last did, in Unix nanoseconds
	exhausted atomic.Bool  // a budget has ended the connection
	idled     atomic.Bool  // it ended because nothing moved
}

// grant takes from the budget, or ends the connection.
func (f flow) grant(n int64) (int64, error) {
	granted := f.budget.take(min(n, f.pace.piece()))
	if granted == 0 {
		f.life.exhausted.Store(true)
		return 0, errTooManyBytes
	}
	return granted, nil
}

// moved settles what was granted and counts what was moved of it.
func (f flow) moved(granted, n int64) {
	f.budget.giveBack(granted - n)
	f.count.Add(n)
	if n > 0 {
		f.life.moved.Store(time.Now().UnixNano())
	}
}

// copy moves bytes until src ends, and then ends dst in that direction. Between TCP
// connections the kernel moves them (splice) and they never enter this process.
func (f flow) copy(ctx context.Context, dst, src *net.TCPConn) error {
	for {
		granted, err := f.grant(chunk)
		if err != nil {
			return err
		}
		// Only reading has a deadline. One for writing could end between the two halves
		// of a splice, and what is between them would be lost.
		if err := src.SetReadDeadline(time.Now().Add(tick)); err != nil {
			return err
		}
		n, err := io.CopyN(dst, src, granted)
		f.moved(granted, n)
		switch {
		case errors.Is(err, io.EOF):
			return dst.CloseWrite()
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		if err := f.pace.wait(ctx, n); err != nil {
			return err
		}
	}
}

// piece is how much to move before waiting again: not more than a tenth of a second
// allows, so that a slow connection is slow and not jerky.
func (p *pace) piece() int64 {
	if p.perSecond == 0 {
		return chunk
	}
	return max(1, min(chunk, p.perSecond/10))
}

// relay moves bytes both ways until both ends are done or one fails.
func relay(ctx context.Context, client, upstream *net.TCPConn, up, down flow) error {
	end := func() {
		upstream.Close()
		client.Close()
	}
	over := make(chan struct{})
	defer close(over)
	go up.life.watch(over, end)
	done := make(chan error, 1)
	go func() {
		err := up.copy(ctx, upstream, client)
		if err != nil {
			end() // wakes the other direction
		}
		done <- err
	}()
	err := down.copy(ctx, client, upstream)
	if err != nil {
		end()
	}
	return errors.Join(err, <-done)
}

// watch calls end when nothing has moved for idleTimeout, unless the relay is over.
func (l *life) watch(over <-chan struct{}, end func()) {
	for left := idleTimeout; left > 0; left = idleTimeout - time.Since(time.Unix(0, l.moved.Load())) {
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-over:
			timer.Stop()
			return
		}
	}
	l.idled.Store(true)
	end()
}

// counted is a connection to a host whose bytes are counted and bounded as those of
// a relay. It is for protocols that are read here.
type counted struct {
	net.Conn
	ctx      context.Context
	up, down flow
}

func (c *counted) Read(p []byte) (int, error) {
	return c.down.pass(c.ctx, p, c.Conn.Read)
}

func (c *counted) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := c.up.pass(c.ctx, p[written:], c.Conn.Write)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (f flow) pass(ctx context.Context, p []byte, move func([]byte) (int, error)) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	granted, err := f.grant(int64(len(p)))
	if err != nil {
		return 0, err
	}
	n, err := move(p[:granted])
	f.moved(granted, int64(n))
	if waitErr := f.pace.wait(ctx, int64(n)); err == nil {
		err = waitErr
	}
	return n, err
}
