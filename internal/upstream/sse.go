package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// eventReader reads a text/event-stream (WHATWG HTML, 9.2.6) and yields the data
// of its message events. Comments and events of other types are passed over; so
// are events without data, such as the priming event, but for what they say of
// resuming.
type eventReader struct {
	r      *bufio.Reader
	limit  int           // bytes of data in one event
	lastID string        // of the last event that was complete and had one
	retry  time.Duration // what the server asked for, firstRetry if nothing
	begun  bool          // a line was read
	afterR bool          // the last line ended in a carriage return
}

const (
	maxEventID = 1024 // bytes; a longer one is not remembered
	// maxIdleLines bounds the lines between two events that carry data. Keep-alive
	// comments come every few seconds at most, so this is months.
	maxIdleLines = 1_000_000
)

func newEventReader(body io.Reader, limit int) *eventReader {
	return &eventReader{r: bufio.NewReader(body), limit: limit, retry: firstRetry}
}

// event is one that is being read.
type event struct {
	data  []byte
	named bool   // a data field was there
	other bool   // it is no message
	id    string // the last event id, once the event is complete
}

// next is the data of the next message event. The result is the caller's own.
func (e *eventReader) next() ([]byte, error) {
	now := event{id: e.lastID}
	for range maxIdleLines {
		line, err := e.line()
		switch {
		case errors.Is(err, io.EOF):
			// "Once the end of the file is reached, any pending data must be discarded."
			return nil, fmt.Errorf("%w: the stream stopped before the answer", ErrEnded)
		case errors.Is(err, ErrTooLarge):
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrEnded, err)
		}
		if !e.begun { // "One leading U+FEFF BYTE ORDER MARK character must be ignored"
			e.begun, line = true, bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) > 0 {
			if err := e.field(&now, line); err != nil {
				return nil, err
			}
			continue
		}
		e.lastID = now.id
		if len(now.data) > 0 && !now.other {
			return now.data, nil
		}
		now = event{id: e.lastID}
	}
	return nil, fmt.Errorf("%w: a stream without events", ErrFlood)
}

func (e *eventReader) field(now *event, line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "data":
		if now.named {
			now.data = append(now.data, '\n')
		}
		now.named = true
		if now.data = append(now.data, value...); len(now.data) > e.limit {
			return fmt.Errorf("%w of %d bytes", ErrTooLarge, e.limit)
		}
	case "event":
		now.other = len(value) > 0 && string(value) != "message"
	case "id":
		if len(value) <= maxEventID && bytes.IndexByte(value, 0) < 0 {
			now.id = string(value)
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 64); err == nil {
			e.retry = time.Duration(min(ms, uint64(lastRetry.Milliseconds()))) * time.Millisecond
		}
	}
	return nil
}

// line is the next line without its end: CR LF, LF or CR. The end of the last one
// may be missing; then it is no line.
func (e *eventReader) line() ([]byte, error) {
	var line []byte
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
		if len(line)+end > e.limit+len("data: ") {
			return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, e.limit)
		}
		line = append(line, part[:end]...)
		if end < len(part) {
			e.afterR = part[end] == '\r'
			_, _ = e.r.Discard(end + 1)
			return line, nil
		}
		_, _ = e.r.Discard(end)
	}
}

// part is at least one byte of what was received and not taken yet.
func (e *eventReader) part() ([]byte, error) {
	if _, err := e.r.Peek(1); err != nil {
		return nil, err
	}
	return e.r.Peek(e.r.Buffered())
}
