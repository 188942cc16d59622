package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Log is the writer of one audit log. Its methods may be called by several
// goroutines at once.
type Log struct {
	dir      string
	each     bool  // SyncEach
	segment  int64 // Options.SegmentBytes
	lockFile *os.File
	key      []byte

	queue
	entries sync.Pool // of *entry

	// Only the owner of the files uses what follows, see queue.
	file    file // the last segment
	heads   *headFile
	head    head     // as last written
	end     position // behind the last accepted record
	durable position // behind the last record that is on disk
	// placed and placedAt are the end and the time at which all files were last
	// seen in their places.
	placed   position
	placedAt time.Time
	out      []byte
	clock    clock
	closed   bool
	unsynced bool // syncing was told that something waits for it
	// broken is why the last write or sync went wrong, nil when all is well.
	// While it is set, refused counts the records turned away since brokenAt.
	broken   error
	brokenAt time.Time
	refused  int

	dirty chan struct{} // something waits for a sync
	stop  chan struct{}
	done  chan struct{} // the syncing goroutine has ended
}

// file is what Log needs of a file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

// dataFile is a file whose Sync does not wait for times.
type dataFile struct{ *os.File }

func (f dataFile) Sync() error { return syncData(f.File) }

// keepBytes is the largest buffer kept for the next record: a rare large record
// shall not hold its memory for ever.
const keepBytes = 64 << 10

// Append writes one record. It sets r.Seq and r.Time and returns when the record
// is accepted by the operating system, or on disk with SyncEach. After an error
// that is ErrUnavailable the record may be missing, and nothing that depends on
// it may happen; the next Append tries to bring the log back first. That the
// files were moved, removed or replaced meanwhile is noticed within 50 ms, and
// always by the first Append after as long a pause; they must then be put back,
// or the log opened anew. r must not be changed by others during the call; it is
// not kept.
func (l *Log) Append(r *Record) error {
	if !r.Kind.known() {
		return fmt.Errorf("%w: there is no kind %q", ErrRefused, r.Kind)
	}
	e := l.entries.Get().(*entry)
	err := l.append(e, r)
	e.record, e.err = nil, nil
	if cap(e.body) > keepBytes {
		e.body = nil
	}
	l.entries.Put(e)
	return err
}

func (l *Log) append(e *entry, r *Record) error {
	var err error
	if e.body, err = appendBody(e.body[:0], r); err != nil {
		return err
	}
	if len(e.body)+lineOverhead > MaxRecord {
		return fmt.Errorf("%w: it has %d bytes, more than %d", ErrRefused, len(e.body)+lineOverhead, MaxRecord)
	}
	e.record = r
	l.submit(e)
	return e.err
}

// write brings the records of a batch to the file, with one write. It is called by
// the owner of the files, as are all functions below.
func (l *Log) write(batch []*entry, records int) error {
	if l.closed {
		return fmt.Errorf("%w: it is closed", ErrUnavailable)
	}
	now := time.Now()
	if err := l.ready(now); err != nil {
		l.refused += records
		return l.fail(err)
	}
	now = now.UTC().Truncate(time.Microsecond)
	out, end := l.out[:0], l.end
	if l.refused > 0 {
		out = l.appendRecovered(out, &end, now)
	}
	seq := end.seq
	stamp := l.clock.stamp(now)
	for _, e := range batch {
		if e.record != nil {
			out = appendRecord(out, &end, stamp, e.body)
		}
	}
	if l.out = out; cap(out) > keepBytes*4 {
		l.out = nil
	}
	if err := l.accept(out, end); err != nil {
		// Cuts off what may have been written of a refused record. If this goes
		// wrong too, reopen does it again.
		_ = l.file.Truncate(l.end.offset)
		l.refused += records
		return l.fail(err)
	}
	l.refused = 0
	for _, e := range batch {
		if e.record != nil {
			seq++
			e.record.Seq, e.record.Time = seq, now
		}
	}
	return nil
}

// ready makes the file such that the next line can follow.
func (l *Log) ready(now time.Time) error {
	full := l.end.offset >= l.segment
	switch {
	case l.broken != nil:
		if err := l.reopen(); err != nil {
			return err
		}
		l.broken = nil
	case full || now.Sub(l.placedAt) >= placeEvery:
		// A full segment always: the next one must not be made in a folder that
		// has taken the place of this log's.
		if err := l.inPlace(); err != nil {
			return err
		}
	}
	if !full {
		return nil
	}
	return l.nextSegment()
}

// accept writes the lines from l.end to end and the head behind them.
func (l *Log) accept(lines []byte, end position) error {
	if _, err := l.file.WriteAt(lines, l.end.offset); err != nil {
		return err
	}
	if l.each {
		if err := l.file.Sync(); err != nil {
			return err
		}
		l.durable = end
	}
	// From here on the lines stay, also if the head cannot be written: it may
	// have been written although there was an error, and must not be ahead.
	l.end = end
	if err := l.writeHead(); err != nil {
		return err
	}
	if !l.each && !l.unsynced {
		l.unsynced = true
		select {
		case l.dirty <- struct{}{}:
		default: // it was told before and has not looked yet
		}
	}
	return nil
}

// writeHead writes where the chain ends.
func (l *Log) writeHead() error {
	next := l.head
	next.count++
	next.position, next.durable = l.end, l.durable.seq
	if err := l.heads.write(&next); err != nil {
		return fmt.Errorf("writing the head: %w", err)
	}
	l.head = next
	return nil
}

// settleHead writes both lines, so that neither is old, and puts them on disk.
func (l *Log) settleHead(shut bool) error {
	l.head.shut = shut
	return errors.Join(l.writeHead(), l.writeHead(), l.heads.Sync())
}

// fail remembers that the log cannot be written.
func (l *Log) fail(err error) error {
	if l.broken == nil {
		l.brokenAt = time.Now().UTC()
	}
	l.broken = err
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// reopen brings the log back after an error: the file is opened again, what
// stands behind the last accepted record is cut off, and what was accepted but
// not yet on disk is written again. It touches no file but those that the log was
// opened with.
func (l *Log) reopen() error {
	if err := l.inPlace(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.dir, segmentName(l.end.segment)), os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	if err := l.restore(f); err != nil {
		f.Close()
		return err
	}
	l.file.Close()
	l.file = dataFile{f}
	if err := l.writeHead(); err != nil {
		return err
	}
	return l.heads.change(func() { l.heads.settleMark(&l.head) })
}

// restore writes everything since the last sync again. After an error of fsync
// the kernel may call pages clean that never reached the disk, so that another
// fsync alone would prove nothing.
func (l *Log) restore(f *os.File) error {
	if err := f.Truncate(l.end.offset); err != nil {
		return err
	}
	from := l.durable
	if from.segment != l.end.segment {
		return fmt.Errorf("internal error: segment %d was left before it was on disk", from.segment)
	}
	tail := make([]byte, l.end.offset-from.offset)
	if _, err := f.ReadAt(tail, from.offset); err != nil {
		return err
	}
	check := from
	for rest := tail; len(rest) > 0; {
		line := rest[:bytes.IndexByte(rest, '\n')+1]
		if err := check.follow(line); err != nil {
			return fmt.Errorf("%w behind record %d: %w", ErrDamaged, check.seq, err)
		}
		rest = rest[len(line):]
	}
	if check != l.end {
		return fmt.Errorf("%w behind record %d", ErrDamaged, from.seq)
	}
	if _, err := f.WriteAt(tail, from.offset); err != nil {
		return err
	}
	if err := syncData(f); err != nil {
		return err
	}
	l.durable = l.end
	return nil
}

// nextSegment closes the segment and begins the one that follows l.end. The old
// segment and the new header are on disk before anything follows.
func (l *Log) nextSegment() error {
	if l.file != nil {
		if err := l.file.Sync(); err != nil {
			return err
		}
		l.durable = l.end
	}
	next := l.end
	header := appendHeader(nil, &next)
	path := filepath.Join(l.dir, segmentName(next.segment))
	// A file of this name can only be what an attempt before left: every
	// accepted record has a smaller number.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(header, 0)
	if err == nil {
		err = errors.Join(f.Sync(), syncDir(l.dir))
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.end, l.durable = dataFile{f}, next, next
	return nil
}

// syncing puts accepted records on disk, at most SyncEvery after the first of
// them, until Close.
func (l *Log) syncing() {
	defer close(l.done)
	timer := time.NewTimer(SyncEvery)
	defer timer.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.dirty:
		}
		timer.Reset(SyncEvery)
		select {
		case <-l.stop:
			return
		case <-timer.C:
		}
		l.syncOnce()
	}
}

// syncOnce does not own the files while it waits for the disk.
func (l *Log) syncOnce() {
	var f file
	var at position
	l.own(func() {
		l.unsynced = false
		if !l.closed && l.broken == nil && l.durable != l.end {
			f, at = l.file, l.end
		}
	})
	if f == nil {
		return
	}
	err := f.Sync()
	l.own(func() {
		if l.closed || l.broken != nil || l.file != f {
			return // closed, restored or left meanwhile, each of which synced it
		}
		if err == nil {
			l.durable = at
			err = l.writeHead()
		}
		if err != nil {
			_ = l.fail(fmt.Errorf("syncing: %w", err))
		}
	})
}

// Close puts everything on disk and writes a head behind which nothing may
// follow. Every later Append fails. A second Close does nothing.
func (l *Log) Close() error {
	var err error
	closes := false
	l.own(func() {
		if l.closed {
			return
		}
		closes, l.closed = true, true
		err = errors.Join(l.finish(), l.file.Close(), l.heads.Close(), l.lockFile.Close())
	})
	if !closes {
		return nil
	}
	close(l.stop)
	<-l.done
	if err != nil {
		return fmt.Errorf("closing the audit log: %w", err)
	}
	return nil
}

func (l *Log) finish() error {
	restore := l.inPlace
	if l.broken != nil {
		restore = l.reopen
	}
	if err := restore(); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.durable = l.end
	return l.settleHead(true)
}

// Head is where the chain ends now. A copy kept elsewhere shows later that
// nothing up to here was taken away or written anew.
func (l *Log) Head() (p Position) {
	l.own(func() { p = l.end.export() })
	return p
}
