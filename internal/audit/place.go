package audit

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// placeEvery is how long Append relies on the last look at the names of the
// files. An open file can be written after its name is gone, so that a log that
// somebody moved away or removed would go on into nothing; what is acknowledged
// within this time after that may go with it. A look costs about 15 µs, which
// once in 50 ms is not measurable, and whoever takes the log away gets no more
// than the calls of that moment.
const placeEvery = 50 * time.Millisecond

// inPlace checks that the files of the log still stand under their names, as
// they were left. It never makes one anew: a log that begins in the middle of a
// run would hide that another one was taken away.
func (l *Log) inPlace() error {
	now := time.Now() // before the look, so that it counts as older than it is
	segment := segmentName(l.end.segment)
	for _, each := range []struct {
		name string
		open interface{ Stat() (fs.FileInfo, error) }
		size int64 // at least
	}{
		{lockName, l.lockFile, 0},
		{headName, l.heads, headSize},
		{segment, l.file, l.end.offset},
	} {
		open, err := each.open.Stat()
		if err != nil {
			return err
		}
		if err := named(filepath.Join(l.dir, each.name), open, each.size); err != nil {
			return err
		}
	}
	if err := l.holds(l.placed); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(l.dir, segment), err)
	}
	if err := l.keyInPlace(); err != nil {
		return err
	}
	l.placed, l.placedAt = l.end, now
	return nil
}

// named checks that path names the open file, which has at least size bytes.
func named(path string, open fs.FileInfo, size int64) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone(path)
	case err != nil:
		return err
	case !os.SameFile(open, info):
		return fmt.Errorf("%s is another file than the one that is written: it was replaced while the log was open; put the first one back, or restart", path)
	case info.Size() < size:
		return fmt.Errorf("%w: %s has %d bytes instead of %d: it was cut while the log was open", ErrDamaged, path, info.Size(), size)
	}
	return nil
}

func gone(path string) error {
	return fmt.Errorf("%s is gone: the file or its folder was moved or removed while the log was open; move it back, or restart", path)
}

// holds checks that the line that ends at p still ends with its hash. A segment
// that was cut and written again since has its old size, but holds nothing there.
func (l *Log) holds(p position) error {
	if p.segment != l.end.segment {
		return nil
	}
	want := append(hex.AppendEncode([]byte(hashStart), p.hash[:]), hashEnd...)
	got := make([]byte, hashTail)
	if _, err := l.file.ReadAt(got, p.offset-int64(hashTail)); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: the end of record %d was cut or changed while the log was open", ErrDamaged, p.seq)
	}
	return nil
}

// keyInPlace compares content: the writer holds no open file of the key, and a
// copy serves the next start and Verify as well.
func (l *Log) keyInPlace() error {
	path := filepath.Join(l.dir, keyName)
	key, err := readKey(l.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone(path)
	case err != nil:
		return err
	case !bytes.Equal(key, l.key):
		return fmt.Errorf("%s is another key than the one that signs: it was replaced while the log was open; put the first one back", path)
	}
	return nil
}
