package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
)

// A segment is a file of lines. Its name is the number of its first record and
// its first line is a header:
//
//	{"gatehouseAudit":1,"first":N,"previous":"HASH","hash":"HASH"}
//	{"seq":N,"time":"…","kind":"…",…,"hash":"HASH"}
//
// The hash of a line is SHA-256 over the 32 bytes of the hash before it and the
// exact bytes of the line up to `,"hash":`. The first header follows 32 zero
// bytes, every other line the line before, over the borders of segments too.
const (
	segmentSuffix = ".jsonl"
	segmentDigits = 20 // of the largest uint64, so that names sort as numbers
	hashStart     = `,"hash":"`
	hashEnd       = "\"}\n"
	hashTail      = len(hashStart) + 2*sha256.Size + len(hashEnd)
)

// position is a place between two lines and the state of the chain there.
type position struct {
	segment uint64 // number of the segment's first record; 0 before the first segment
	offset  int64  // bytes of the segment up to here
	seq     uint64 // last record before this place
	hash    [sha256.Size]byte
}

func segmentName(first uint64) string {
	return fmt.Sprintf("%0*d%s", segmentDigits, first, segmentSuffix)
}

// segments lists the numbers of the segments in dir, ascending.
func segments(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []uint64
	for _, e := range entries {
		digits, ok := bytes.CutSuffix([]byte(e.Name()), []byte(segmentSuffix))
		if !ok || len(digits) != segmentDigits {
			continue
		}
		if first, err := strconv.ParseUint(string(digits), 10, 64); err == nil {
			list = append(list, first)
		}
	}
	slices.Sort(list)
	return list, nil
}

// appendHeader appends the header of the segment that begins at p and moves p
// behind it.
func appendHeader(b []byte, p *position) []byte {
	p.segment, p.offset = p.seq+1, 0
	start := len(b)
	b = append(b, `{"gatehouseAudit":1,"first":`...)
	b = strconv.AppendUint(b, p.segment, 10)
	b = append(b, `,"previous":"`...)
	b = hex.AppendEncode(b, p.hash[:])
	b = append(b, '"')
	return p.seal(b, start)
}

// appendRecord appends the line of the next record and moves p behind it. The
// time is given in the form that the log has it.
func appendRecord(b []byte, p *position, stamp, body []byte) []byte {
	p.seq++
	start := len(b)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, p.seq, 10)
	b = append(b, `,"time":"`...)
	b = append(b, stamp...)
	b = append(b, '"', ',')
	b = append(b, body...)
	return p.seal(b, start)
}

// lineOverhead bounds what appendRecord adds to a body.
const lineOverhead = 64 + hashTail

// seal ends the line that begins at start with its hash.
func (p *position) seal(b []byte, start int) []byte {
	p.hash = link(&p.hash, b[start:])
	b = append(b, hashStart...)
	b = hex.AppendEncode(b, p.hash[:])
	b = append(b, hashEnd...)
	p.offset += int64(len(b) - start)
	return b
}

// digest is what link works with; it is kept because it would not stay on the
// stack.
type digest struct {
	hash hash.Hash
	sum  [sha256.Size]byte
}

var digests = sync.Pool{New: func() any { return &digest{hash: sha256.New()} }}

func link(previous *[sha256.Size]byte, line []byte) [sha256.Size]byte {
	d := digests.Get().(*digest)
	defer digests.Put(d)
	d.hash.Reset()
	d.sum = *previous
	d.hash.Write(d.sum[:])
	d.hash.Write(line)
	d.hash.Sum(d.sum[:0])
	return d.sum
}

// follow checks that line, with its line break, is the one that follows p, and
// moves p behind it. It leaves p alone when it returns an error.
func (p *position) follow(line []byte) error {
	if len(line) < hashTail || !bytes.HasSuffix(line, []byte(hashEnd)) {
		return errors.New("the line does not end with a hash")
	}
	content, tail := line[:len(line)-hashTail], line[len(line)-hashTail:]
	sum := link(&p.hash, content)
	want := append(hex.AppendEncode([]byte(hashStart), sum[:]), hashEnd...)
	if !bytes.Equal(tail, want) {
		return errors.New("the hash does not fit the line and the line before it")
	}
	number := append(strconv.AppendUint([]byte(`{"seq":`), p.seq+1, 10), ',')
	if !bytes.HasPrefix(content, number) {
		return fmt.Errorf("record %d is expected here", p.seq+1)
	}
	p.seq, p.hash = p.seq+1, sum
	p.offset += int64(len(line))
	return nil
}

// enter checks that line is the header of the segment that follows p.
func (p *position) enter(line []byte) error {
	next := *p
	if want := appendHeader(nil, &next); !bytes.Equal(line, want) {
		return errors.New("the header does not continue the segment before it")
	}
	*p = next
	return nil
}

// fault is where a walk stopped before the end, and why.
type fault struct {
	segment uint64
	line    int // from 1
	offset  int64
	reason  string
	// partial says that the line is the last one of the last segment and has no
	// line break: what a write looks like that was cut short.
	partial bool
}

// walk follows the chain from p, which stands between two segments, through the
// segments of dir in list. It calls visit behind every line. It returns the last
// good position and the fault behind it, nil when everything fits; the error is
// for what could not be read.
func walk(dir string, list []uint64, p position, visit func(position)) (position, *fault, error) {
	for i, first := range list {
		if first != p.seq+1 {
			return p, &fault{segment: first, line: 1, reason: fmt.Sprintf("a segment that begins with record %d is expected, this one begins with %d", p.seq+1, first)}, nil
		}
		f, err := walkSegment(filepath.Join(dir, segmentName(first)), &p, visit)
		if f != nil {
			f.segment = first
			f.partial = f.partial && i == len(list)-1
		}
		if f != nil || err != nil {
			return p, f, err
		}
	}
	return p, nil, nil
}

func walkSegment(path string, p *position, visit func(position)) (*fault, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := newLineReader(file)
	var offset int64
	for number := 1; ; number++ {
		line, err := lines.next()
		if err == io.EOF && len(line) == 0 && number > 1 {
			return nil, nil
		}
		switch {
		case err == io.EOF:
			return &fault{line: number, offset: offset, reason: "the line is not complete", partial: true}, nil
		case errors.Is(err, errLongLine):
			return &fault{line: number, offset: offset, reason: err.Error()}, nil
		case err != nil:
			return nil, err
		}
		check := p.follow
		if number == 1 {
			check = p.enter
		}
		if err := check(line); err != nil {
			return &fault{line: number, offset: offset, reason: err.Error()}, nil
		}
		offset = p.offset
		visit(*p)
	}
}

var errLongLine = fmt.Errorf("the line is longer than %d bytes", MaxRecord)

// lineReader reads lines of at most MaxRecord bytes.
type lineReader struct {
	r    *bufio.Reader
	line []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 32<<10)}
}

func (l *lineReader) reset(r io.Reader) { l.r.Reset(r) }

// next returns the next line with its line break, valid until the next call. At
// the end it returns io.EOF together with what there is of an incomplete line.
func (l *lineReader) next() ([]byte, error) {
	l.line = l.line[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.line = append(l.line, part...)
		if len(l.line) > MaxRecord {
			return nil, errLongLine
		}
		if err != bufio.ErrBufferFull {
			return l.line, err
		}
	}
}
