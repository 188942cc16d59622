package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Filter selects records. Empty fields select everything.
type Filter struct {
	Server    string
	Tool      string // target of the record, alone or as server__target
	Principal string
	Reason    string
	Decision  string
	Exchange  string
	Kinds     []Kind
	Since     time.Time // inclusive
	Until     time.Time // exclusive
	Limit     int       // the newest so many; 0 means all
}

func (f *Filter) match(r *Record) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	return same(f.Server, r.Server) && same(f.Principal, r.Principal) && same(f.Reason, r.Reason) &&
		same(f.Decision, r.Decision) && same(f.Exchange, r.Exchange) &&
		(f.Tool == "" || f.Tool == r.Target || f.Tool == r.Server+"__"+r.Target) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, r.Kind)) &&
		(f.Since.IsZero() || !r.Time.Before(f.Since)) &&
		(f.Until.IsZero() || r.Time.Before(f.Until))
}

// ParseTime reads a point in time as people give it to a filter: RFC 3339, a date
// (its first moment in UTC), or how long before now, such as 90s, 15m, 24h, 7d.
func ParseTime(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		const maxDays = 100 * 366 // keeps the product within a time.Duration
		if n, err := strconv.ParseUint(days, 10, 32); err == nil && n <= maxDays {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time: expected a duration such as 15m, 24h or 7d, a date, or RFC 3339", text)
}

// Read calls fn for every record of the log in dir and of the logs in its
// subdirectories that f selects, in the order of their times. It does not check
// the chain; Verify does. An incomplete last line is not a record yet. The
// record is fn's to keep.
func Read(dir string, f Filter, fn func(*Record) error) error {
	t, err := openTrail(dir)
	if err != nil {
		return err
	}
	defer t.close()
	return t.newest(f, fn)
}

// followEvery is how often Follow looks for new records: soon enough for a
// person, seldom enough to cost nothing.
const followEvery = 200 * time.Millisecond

// Follow is Read that goes on with new records, also those of logs that begin
// later, until ctx ends; then it returns nil.
func Follow(ctx context.Context, dir string, f Filter, fn func(*Record) error) error {
	t, err := openTrail(dir)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.newest(f, fn); err != nil {
		return err
	}
	f.Limit = 0
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := t.discover(); err != nil {
			return err
		}
		if err := t.newest(f, fn); err != nil {
			return err
		}
	}
}

// trail reads all logs below a directory as one.
type trail struct {
	dir     string
	cursors []*cursor
}

func openTrail(dir string) (*trail, error) {
	t := &trail{dir: dir}
	return t, t.discover()
}

// discover adds the logs that are not read yet.
func (t *trail) discover() error {
	list, err := chains(t.dir)
	if err != nil {
		return err
	}
	for _, dir := range list {
		if !slices.ContainsFunc(t.cursors, func(c *cursor) bool { return c.dir == dir }) {
			t.cursors = append(t.cursors, &cursor{dir: dir})
		}
	}
	return nil
}

func (t *trail) close() {
	for _, c := range t.cursors {
		c.close()
	}
}

// newest calls fn for the records that are there now; with a limit for the last
// ones only.
func (t *trail) newest(f Filter, fn func(*Record) error) error {
	if f.Limit <= 0 {
		return t.drain(f, fn)
	}
	var ring []*Record
	next := 0
	err := t.drain(f, func(r *Record) error {
		if len(ring) < f.Limit {
			ring = append(ring, r)
			return nil
		}
		ring[next] = r
		next = (next + 1) % f.Limit
		return nil
	})
	if err != nil {
		return err
	}
	for i := range ring {
		if err := fn(ring[(next+i)%len(ring)]); err != nil {
			return err
		}
	}
	return nil
}

func (t *trail) drain(f Filter, fn func(*Record) error) error {
	for {
		c, err := t.earliest()
		if c == nil || err != nil {
			return err
		}
		r := c.pending
		c.pending = nil
		if !f.match(r) {
			continue
		}
		if err := fn(r); err != nil {
			return err
		}
	}
}

// earliest returns the cursor whose next record is the oldest, nil when all are
// at their ends.
func (t *trail) earliest() (*cursor, error) {
	var first *cursor
	for _, c := range t.cursors {
		if err := c.peek(); err != nil {
			return nil, err
		}
		if c.pending != nil && (first == nil || c.pending.Time.Before(first.pending.Time)) {
			first = c
		}
	}
	return first, nil
}

// cursor reads one log from the beginning and can go on when it has grown.
type cursor struct {
	dir     string
	pending *Record // read but not handed out

	file    *os.File // open segment, nil before the first
	segment uint64   // its number
	lines   *lineReader
	line    int   // number of the last complete line
	offset  int64 // behind it
	seq     uint64
}

func (c *cursor) close() {
	if c.file != nil {
		c.file.Close()
	}
}

// peek fills pending unless the log ends here for now.
func (c *cursor) peek() error {
	for c.pending == nil {
		if c.file == nil {
			if opened, err := c.enter(1); !opened || err != nil {
				return err
			}
		}
		line, err := c.lines.next()
		if err == io.EOF {
			more, err := c.atEnd(len(line))
			if !more || err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return c.fail(err)
		}
		c.line++
		c.offset += int64(len(line))
		if c.line == 1 && bytes.HasPrefix(line, []byte(`{"gatehouseAudit":`)) {
			continue
		}
		if err := c.decode(line); err != nil {
			return c.fail(err)
		}
	}
	return nil
}

func (c *cursor) decode(line []byte) error {
	r := new(Record)
	if err := json.Unmarshal(line, r); err != nil {
		return fmt.Errorf("the line is not a record: %w", err)
	}
	if r.Seq != c.seq+1 {
		return fmt.Errorf("record %d is expected here, this one is %d", c.seq+1, r.Seq)
	}
	c.seq, c.pending = r.Seq, r
	return nil
}

// atEnd goes on to the next segment when the writer did, and otherwise back to
// the beginning of an incomplete line, which is read again when it has grown.
func (c *cursor) atEnd(partial int) (more bool, err error) {
	list, err := segments(c.dir)
	if err != nil {
		return false, err
	}
	if len(list) == 0 || list[len(list)-1] <= c.segment {
		return false, c.rewind()
	}
	// The writer has left this segment, so it is complete by now.
	info, err := c.file.Stat()
	switch {
	case err != nil:
		return false, err
	case info.Size() > c.offset+int64(partial):
		return true, c.rewind()
	case partial > 0:
		return false, c.fail(fmt.Errorf("%w: the line is not complete", ErrDamaged))
	}
	return c.enter(c.seq + 1)
}

func (c *cursor) rewind() error {
	if _, err := c.file.Seek(c.offset, io.SeekStart); err != nil {
		return c.fail(err)
	}
	c.lines.reset(c.file)
	return nil
}

// enter opens the segment that begins with record first. Another segment without
// this one is an error, so that records are never left out in silence.
func (c *cursor) enter(first uint64) (bool, error) {
	list, err := segments(c.dir)
	if err != nil || len(list) == 0 {
		return false, err
	}
	// A segment without a record has no other behind it.
	if first == c.segment || !slices.Contains(list, first) {
		return false, fmt.Errorf("%w: %s is missing in %s", ErrDamaged, segmentName(first), c.dir)
	}
	file, err := os.Open(filepath.Join(c.dir, segmentName(first)))
	if err != nil {
		return false, err
	}
	c.close()
	c.file, c.lines = file, newLineReader(file)
	c.segment, c.line, c.offset = first, 0, 0
	return true, nil
}

func (c *cursor) fail(err error) error {
	name := c.dir
	if c.file != nil {
		name = c.file.Name()
	}
	return fmt.Errorf("%s, line %d: %w; `gatehouse log verify` tells more", name, c.line+1, err)
}
