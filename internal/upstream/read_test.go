package upstream

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func Test_reading_a_whole_body(t *testing.T) {
	const limit = 3 << 20
	broken := errors.New("reset")
	for _, size := range []int{0, 1, 200, blockSize - 1, blockSize, blockSize + 1, 3*blockSize + 7, maxBelieved, maxBelieved + 1, limit} {
		text := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for name, length := range map[string]int64{"announced": int64(size), "not announced": -1} {
			for how, r := range map[string]io.Reader{
				"at once": bytes.NewReader(text), "in halves": iotest.HalfReader(bytes.NewReader(text)), "early end": iotest.DataErrReader(bytes.NewReader(text)),
			} {
				got, err := readAll(r, length, limit)
				if err != nil || !bytes.Equal(got, text) || cap(got) > size+size/4+1024 {
					t.Errorf("%d bytes, %s, %s: got %d in %d, %v", size, name, how, len(got), cap(got), err)
				}
			}
			if size > 0 {
				if _, err := readAll(io.MultiReader(bytes.NewReader(text[:size-1]), iotest.ErrReader(broken)), length, limit); !errors.Is(err, ErrEnded) || !errors.Is(err, broken) {
					t.Errorf("%d bytes, %s, broken off: %v", size, name, err)
				}
				// What our own client says of a body that was cut off.
				if _, err := readAll(io.MultiReader(bytes.NewReader(text[:size-1]), iotest.ErrReader(io.ErrUnexpectedEOF)), length, limit); !errors.Is(err, ErrEnded) {
					t.Errorf("%d bytes, %s, cut off: %v", size, name, err)
				}
			}
		}
	}
	for name, length := range map[string]int64{"announced": limit + 1, "not announced": -1} {
		if _, err := readAll(strings.NewReader(strings.Repeat("x", limit+1)), length, limit); !errors.Is(err, ErrTooLarge) {
			t.Errorf("over the bound, %s: %v", name, err)
		}
	}
}

// What is only announced takes no memory.
func Test_an_announced_length_is_not_believed(t *testing.T) {
	const limit = 1 << 30
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readAll(strings.NewReader("x"), limit, limit)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 2*maxBelieved {
		t.Errorf("%d bytes were set aside (%v)", used, err)
	}
}

// A large answer is held at most about twice while it is read, as JSON or as an
// event.
func Test_large_answers_take_little_memory(t *testing.T) {
	const size = 1 << 20
	text := strings.Repeat("x", size)
	for name, read := range map[string]func() (int, error){
		"JSON": func() (int, error) {
			raw, err := readAll(struct{ io.Reader }{strings.NewReader(text)}, -1, 2*size)
			return len(raw), err
		},
		"JSON of a known length": func() (int, error) {
			raw, err := readAll(strings.NewReader(text), size, 2*size)
			return len(raw), err
		},
	} {
		if n, err := read(); n != size || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		const rounds = 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			_, _ = read()
		}
		runtime.ReadMemStats(&after)
		// The blocks are used again, so over several answers it is one copy each; the
		// race detector makes the pool forget some.
		if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 2*size+size/4 {
			t.Errorf("%s: %d bytes for %d", name, each, size)
		}
	}
	var events int
	stream := messageEvent(text)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	e := newEventReader(strings.NewReader(stream), 2*size)
	for {
		data, err := e.next()
		if err != nil {
			break
		}
		events += len(data)
	}
	runtime.ReadMemStats(&after)
	// A line that grows by a quarter each time leaves some garbage behind, but no two
	// large pieces live at once besides the last two.
	if used := after.TotalAlloc - before.TotalAlloc; events != size || used > 7*size {
		t.Errorf("an event: %d bytes for %d", used, events)
	}
}
