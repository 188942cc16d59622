package upstream

import (
	"fmt"
	"io"
	"sync"
)

// maxBelieved is how much of an announced length is set aside before it came.
const maxBelieved = 1 << 20

// blocks holds *[blockSize]byte.
var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

const blockSize = 64 << 10

// readAll reads a body of at most limit bytes. length is what was announced, -1 if
// nothing was. The result is exactly as large as the body, and while it is put
// together there are no more than two copies of it.
func readAll(body io.Reader, length int64, limit int) ([]byte, error) {
	if length > int64(limit) {
		return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)
	}
	if length >= 0 && length <= maxBelieved {
		raw := make([]byte, length)
		if _, err := io.ReadFull(body, raw); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEnded, err)
		}
		return raw, nil
	}
	var parts []*[blockSize]byte
	defer func() {
		for _, part := range parts {
			blocks.Put(part)
		}
	}()
	size := 0
	for ended := false; !ended; {
		part := blocks.Get().(*[blockSize]byte)
		parts = append(parts, part)
		n, err := fill(part[:], body)
		if size += n; size > limit {
			return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)
		}
		if ended = err == io.EOF; err != nil && !ended {
			return nil, fmt.Errorf("%w: %w", ErrEnded, err)
		}
	}
	raw := make([]byte, 0, size)
	for _, part := range parts {
		raw = append(raw, part[:min(blockSize, size-len(raw))]...)
	}
	return raw, nil
}

// fill is io.ReadFull for which the end is io.EOF: any other error means that the
// body was cut off.
func fill(part []byte, body io.Reader) (n int, err error) {
	for n < len(part) && err == nil {
		var more int
		more, err = body.Read(part[n:])
		n += more
	}
	return n, err
}
