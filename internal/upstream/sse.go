package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// eventReader reads a text/event-stream (WHATWG HTML, 9.2.6) and yields the data
// of its message events. Comments and events of other types are passed over; so
// are events without data, such as the priming event, but for what they say of
// resuming.
type eventReader struct {
	r      *bufio.Reader
	long   []byte        // a line that is not in r as a whole
	limit  int           // bytes of data in one event
	lastID string        // of the last event that was complete and had one
	retry  time.Duration // what the server asked for, firstRetry if nothing
	paced  bool          // the server asked for it
	begun  bool          // a line was read
	afterR bool          // the last line ended in a carriage return
	idle   int           // lines since the last message
}

const (
	maxEventID = 1024 // bytes; a longer one is not remembered
	// maxIdleLines bounds the lines between two events that carry data. Keep-alive
	// comments come every few seconds at most, so this is months.
	maxIdleLines = 1_000_000
	// maxKeptLine is the largest line whose memory is kept for the next one.
	maxKeptLine = 64 << 10
)

// eventReaders holds *eventReader, for their memory.
var eventReaders = sync.Pool{New: func() any { return &eventReader{r: bufio.NewReader(nil)} }}

// newEventReader reads the events of body. An event may have limit bytes of data.
func newEventReader(body io.Reader, limit int) *eventReader {
	e := eventReaders.Get().(*eventReader)
	e.r.Reset(body)
	*e = eventReader{r: e.r, long: e.long, limit: limit, retry: firstRetry}
	return e
}

// release gives the reader's memory back. It is not used after that.
func (e *eventReader) release() {
	e.r.Reset(nil)
	if cap(e.long) > maxKeptLine {
		e.long = nil
	}
	eventReaders.Put(e)
}

// event is one that is being read.
type event struct {
	kind  string // "" for a message
	data  []byte
	named bool   // a data field was there
	id    string // the last event id, once the event is complete
}

// next is the data of the next message event. The result is the caller's own.
func (e *eventReader) next() ([]byte, error) {
	for e.idle = 0; ; {
		now, err := e.event()
		if err != nil || now.kind == "" {
			return now.data, err
		}
	}
}

// event is the next event that has data.
func (e *eventReader) event() (event, error) {
	now := event{id: e.lastID}
	for ; e.idle < maxIdleLines; e.idle++ {
		line, err := e.line()
		switch {
		case errors.Is(err, io.EOF):
			// "Once the end of the file is reached, any pending data must be discarded."
			return event{}, fmt.Errorf("%w: the stream stopped before the answer", ErrEnded)
		case errors.Is(err, ErrTooLarge):
			return event{}, err
		case err != nil:
			return event{}, fmt.Errorf("%w: %w", ErrEnded, err)
		}
		if !e.begun { // "One leading U+FEFF BYTE ORDER MARK character must be ignored"
			e.begun, line = true, bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) > 0 {
			if err := e.field(&now, line); err != nil {
				return event{}, err
			}
			continue
		}
		e.lastID = now.id
		if len(now.data) > 0 {
			return now, nil
		}
		now = event{id: e.lastID}
	}
	return event{}, fmt.Errorf("%w: a stream without events", ErrFlood)
}

func (e *eventReader) field(now *event, line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "data":
		e.data(now, value)
		if len(now.data) > e.limit {
			return fmt.Errorf("%w of %d bytes", ErrTooLarge, e.limit)
		}
	case "event":
		if now.kind = string(value[:min(len(value), maxEventID)]); now.kind == "message" {
			now.kind = ""
		}
	case "id":
		if len(value) <= maxEventID && bytes.IndexByte(value, 0) < 0 {
			now.id = string(value)
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 64); err == nil {
			e.retry, e.paced = time.Duration(min(ms, uint64(lastRetry.Milliseconds())))*time.Millisecond, true
		}
	}
	return nil
}

// data adds to the data of an event. A large line is taken over, not copied.
func (e *eventReader) data(now *event, value []byte) {
	if !now.named && len(value) > maxKeptLine {
		now.named, now.data, e.long = true, value[:len(value):len(value)], nil
		return
	}
	if now.named {
		now.data = append(now.data, '\n')
	}
	now.named, now.data = true, append(now.data, value...)
}

// line is the next line without its end: CR LF, LF or CR. The end of the last one
// may be missing; then it is no line. It is valid until the next line is read.
func (e *eventReader) line() ([]byte, error) {
	e.long = e.long[:0]
	for {
		part, err := e.part()
		if err != nil {
			return nil, err
		}
		if e.afterR && part[0] == '\n' {
			part = part[1:]
			_, _ = e.r.Discard(1)
		}
		e.afterR = false
		end := bytes.IndexByte(part, '\n')
		if end < 0 {
			end = len(part)
		}
		if cr := bytes.IndexByte(part[:end], '\r'); cr >= 0 {
			end = cr
		}
		if len(e.long)+end > e.limit+len("data: ") {
			return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, e.limit)
		}
		whole := end < len(part)
		if whole {
			e.afterR = part[end] == '\r'
			_, _ = e.r.Discard(end + 1)
		} else {
			_, _ = e.r.Discard(end)
		}
		if whole && len(e.long) == 0 {
			return part[:end], nil
		}
		if e.long = append(e.long, part[:end]...); whole {
			return e.long, nil
		}
	}
}

// part is at least one byte of what was received and not taken yet.
func (e *eventReader) part() ([]byte, error) {
	if _, err := e.r.Peek(1); err != nil {
		return nil, err
	}
	return e.r.Peek(e.r.Buffered())
}
