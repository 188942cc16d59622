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
	lastID string        // of the last event that had one
	retry  time.Duration // what the server asked for, firstRetry if nothing
}

const maxEventID = 1024 // bytes; a longer one is not remembered

func newEventReader(body io.Reader, limit int) *eventReader {
	return &eventReader{r: bufio.NewReader(body), limit: limit, retry: firstRetry}
}

// maxIdleLines bounds the lines between two events that carry data. Keep-alive
// comments come every few seconds at most, so this is months.
const maxIdleLines = 1_000_000

func (e *eventReader) next() ([]byte, error) {
	var data []byte
	named, lines := false, 0
	other := false
	for {
		line, err := readLine(e.r, e.limit+len("data: "))
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("%w: the stream stopped before the answer", ErrEnded)
			}
			if errors.Is(err, ErrTooLarge) {
				return nil, err
			}
			return nil, fmt.Errorf("%w: %w", ErrEnded, err)
		}
		if lines++; lines > maxIdleLines {
			return nil, fmt.Errorf("%w: a stream without events", ErrFlood)
		}
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			if named && len(data) > 0 && !other {
				return data, nil
			}
			data, named, other = nil, false, false
			continue
		}
		field, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(field) {
		case "data":
			if named {
				data = append(data, '\n')
			}
			if data = append(data, value...); len(data) > e.limit {
				return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, e.limit)
			}
			named = true
		case "event":
			other = string(value) != "message"
		case "id":
			if len(value) <= maxEventID && bytes.IndexByte(value, 0) < 0 {
				e.lastID = string(value)
			}
		case "retry":
			if ms, err := strconv.Atoi(string(value)); err == nil && ms >= 0 {
				e.retry = min(time.Duration(ms)*time.Millisecond, lastRetry)
			}
		}
	}
}
