package upstream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func events(t testing.TB, r io.Reader, limit int) (all []string, e *eventReader, err error) {
	t.Helper()
	e = newEventReader(r, limit)
	for {
		data, err := e.next()
		if err != nil {
			return all, e, err
		}
		all = append(all, string(data))
	}
}

func Test_event_streams(t *testing.T) {
	tests := []struct {
		name, stream string
		want         []string
		lastID       string
		retry        time.Duration
	}{
		{"one", "data: a\n\n", []string{"a"}, "", 0},
		{"no space after the colon", "data:a\n\n", []string{"a"}, "", 0},
		{"only one space is taken", "data:  a \n\n", []string{" a "}, "", 0},
		{"several lines", "data: a\ndata\ndata:b\n\n", []string{"a\n\nb"}, "", 0},
		{"CR LF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}, "", 0},
		{"CR", "data: a\r\rdata: b\r\r", []string{"a", "b"}, "", 0},
		{"mixed ends", "data: a\r\ndata: b\n\rdata: c\n\n", []string{"a\nb", "c"}, "", 0},
		{"comments", ": hello\n:\ndata: a\n: between\ndata: b\n\n", []string{"a\nb"}, "", 0},
		{"message events", "event: message\ndata: a\n\n", []string{"a"}, "", 0},
		{"an empty type is message", "event\ndata: a\n\nevent:\ndata: b\n\n", []string{"a", "b"}, "", 0},
		{"other events", "event: endpoint\ndata: a\n\ndata: b\n\n", []string{"b"}, "", 0},
		{"the last type counts", "event: x\nevent: message\ndata: a\n\n", []string{"a"}, "", 0},
		{"unknown fields", "foo: bar\ndata: a\nDATA: b\n\n", []string{"a"}, "", 0},
		{"events without data", "event: message\n\nid: 1\n\ndata:\n\ndata: a\n\n", []string{"a"}, "1", 0},
		{"an event that is not complete is none", "data: a\n\ndata: b\n", []string{"a"}, "", 0},
		{"a line that is not complete is none", "data: a\n\ndata: b", []string{"a"}, "", 0},
		{"id", "id: 7\ndata: a\n\n", []string{"a"}, "7", 0},
		{"an id stays", "id: 7\ndata: a\n\ndata: b\n\n", []string{"a", "b"}, "7", 0},
		{"an empty id", "id: 7\ndata: a\n\nid\ndata: b\n\n", []string{"a", "b"}, "", 0},
		{"an id of an event that is not complete", "id: 7\ndata: a\n\nid: 8\ndata: b\n", []string{"a"}, "7", 0},
		{"an id with NUL", "id: 7\ndata: a\n\nid: 8\x00\ndata: b\n\n", []string{"a", "b"}, "7", 0},
		{"a long id", "id: " + strings.Repeat("x", maxEventID+1) + "\ndata: a\n\n", []string{"a"}, "", 0},
		{"retry", "retry: 250\ndata: a\n\n", []string{"a"}, "", 250 * time.Millisecond},
		{"retry at once", "retry: 0\n\n", nil, "", -1},
		{"retry that is no number", "retry: 1.5\nretry: -1\nretry: +1\nretry: x\n\n", nil, "", firstRetry},
		{"retry of years", "retry: 999999999999\n\n", nil, "", lastRetry},
		{"retry beyond a duration", "retry: 18446744073709551615\n\n", nil, "", lastRetry},
		{"byte order mark", "\ufeffdata: a\n\ndata: \ufeffb\n\n", []string{"a", "\ufeffb"}, "", 0},
		{"empty", "", nil, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(tt.stream), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.stream))} {
				got, e, err := events(t, r, 1<<20)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
				if !errors.Is(err, ErrEnded) {
					t.Errorf("%s: ended with %v", name, err)
				}
				if e.lastID != tt.lastID {
					t.Errorf("%s: last id %q, want %q", name, e.lastID, tt.lastID)
				}
				want := tt.retry
				switch want {
				case 0:
					want = firstRetry
				case -1:
					want = 0
				}
				if e.retry != want {
					t.Errorf("%s: retry %s, want %s", name, e.retry, want)
				}
			}
		})
	}
}

func Test_event_streams_are_bounded(t *testing.T) {
	const limit = 1000
	for _, tt := range []struct {
		name, start, forever string
		want                 error
	}{
		{"one line", "data: ", "x", ErrTooLarge},
		{"many lines", "", "data: xxxxxxxxx\n", ErrTooLarge},
		{"many empty lines of data", "", "data\n", ErrTooLarge},
		{"a comment", ":", "x", ErrTooLarge},
		{"comments", "", ":\n", ErrFlood},
		{"events of another kind", "", "event: x\ndata: y\n\n", ErrFlood},
		{"blank lines", "", "\r", ErrFlood},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var read counter
			_, _, err := events(t, io.TeeReader(io.MultiReader(strings.NewReader(tt.start), &forever{text: tt.forever}), &read), limit)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
			if tt.want == ErrTooLarge && read > 64<<10 {
				t.Errorf("%d bytes were read for a bound of %d", read, limit)
			}
		})
	}
	if got, _, _ := events(t, strings.NewReader("data: "+strings.Repeat("x", limit)+"\n\n"), limit); len(got) != 1 {
		t.Error("an event of exactly the bound is refused")
	}
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// forever repeats a text without end.
type forever struct {
	text string
	at   int
}

func (f *forever) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = f.text[f.at]
		f.at = (f.at + 1) % len(f.text)
	}
	return len(b), nil
}

func Test_a_stream_that_breaks(t *testing.T) {
	broken := errors.New("reset")
	got, _, err := events(t, io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(broken)), 100)
	if !errors.Is(err, ErrEnded) || !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("got %q, %v", got, err)
	}
}

// simpleEvents reads a whole stream at once, in another way than eventReader: it
// splits first and interprets then.
func simpleEvents(stream []byte) (all []string, lastID string) {
	stream = bytes.TrimPrefix(stream, []byte("\ufeff"))
	text := strings.ReplaceAll(strings.ReplaceAll(string(stream), "\r\n", "\n"), "\r", "\n")
	list := strings.Split(text, "\n")
	list = list[:len(list)-1] // the last one has no end
	var block []string
	for _, line := range list {
		if line != "" {
			block = append(block, line)
			continue
		}
		var data []string
		kind := ""
		for _, line := range block {
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case name == "data":
				data = append(data, value)
			case name == "event":
				kind = value
			case name == "id" && !strings.Contains(value, "\x00") && len(value) <= maxEventID:
				lastID = value
			}
		}
		if joined := strings.Join(data, "\n"); joined != "" && (kind == "" || kind == "message") {
			all = append(all, joined)
		}
		block = nil
	}
	return all, lastID
}

func FuzzEventStream(f *testing.F) {
	f.Add([]byte("id: 1\r\ndata: a\rdata:b\n\n: c\nevent: x\ndata: y\n\n"), 100)
	f.Add([]byte("\ufeffdata: a\r\n\r\nretry: 5\ndata"), 5)
	f.Fuzz(func(t *testing.T, stream []byte, limit int) {
		if limit < 0 || limit > 1<<16 {
			return
		}
		want, lastID := simpleEvents(stream)
		got, e, err := events(t, iotest.HalfReader(bytes.NewReader(stream)), limit)
		for _, data := range got {
			if len(data) > limit {
				t.Fatalf("%d bytes with a bound of %d", len(data), limit)
			}
		}
		if e.retry < 0 || e.retry > lastRetry {
			t.Fatalf("retry %s", e.retry)
		}
		if !errors.Is(err, ErrEnded) { // a bound was exceeded
			want, lastID = want[:min(len(got), len(want))], e.lastID
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-simple +got):\n%s", diff)
		}
		if e.lastID != lastID {
			t.Fatalf("last id %q, want %q", e.lastID, lastID)
		}
	})
}
