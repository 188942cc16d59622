package audit

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Open opens the log in dir for writing, or begins one. It makes the directory.
//
// Only one process writes a directory; for a second one the error is ErrLocked
// and names the first. The last segment is checked up to the signed head; Verify
// checks all of them. Lines behind the head that continue the chain were written
// just before a crash and stay. What else stands there was never acknowledged:
// it is moved into a file named torn-…, and a record of kind Recovered says so.
// When acknowledged records are missing or changed the error is ErrDamaged, and
// Open changes nothing.
func Open(dir string, o Options) (*Log, error) {
	if o.Sync == "" {
		o.Sync = SyncInterval
	}
	if o.Sync != SyncInterval && o.Sync != SyncEach {
		return nil, fmt.Errorf("audit log: sync is %q, expected %q or %q", o.Sync, SyncInterval, SyncEach)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.SegmentBytes < 0 {
		return nil, fmt.Errorf("audit log: a segment cannot have %d bytes", o.SegmentBytes)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	lockFile, err := lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	l := &Log{
		dir: dir, each: o.Sync == SyncEach, segment: o.SegmentBytes, lockFile: lockFile,
		dirty: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	l.entries.New = func() any { return newEntry() }
	if err := l.open(); err != nil {
		if l.file != nil {
			l.file.Close()
		}
		if l.heads != nil {
			l.heads.Close()
		}
		lockFile.Close()
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	return l, nil
}

func (l *Log) open() error {
	list, err := segments(l.dir)
	if err != nil {
		return err
	}
	key, err := readKey(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if len(list) > 0 {
			return fmt.Errorf("%w: %s holds records but no %s; put the key back, or keep the directory and begin in another one", ErrNoLog, l.dir, keyName)
		}
		key, err = createKey(l.dir)
	}
	if err != nil {
		return err
	}
	sign := newSigner(key)
	found, err := inspect(l.dir, sign, list)
	if err != nil {
		return err
	}
	moved, err := moveAside(l.dir, list, found.end)
	if err != nil {
		return fmt.Errorf("moving a torn end aside: %w", err)
	}
	if l.heads, err = openHead(l.dir, sign, &found.head, found.version); err != nil {
		return err
	}
	l.key, l.head, l.end, l.durable = key, found.head, found.end, found.end
	l.head.boot = bootID()
	if err := l.openFiles(); err != nil {
		return err
	}
	go l.syncing()
	note := strings.Join(append(found.notes, moved...), "; ")
	if note == "" {
		return nil
	}
	if err := l.Append(&Record{Kind: Recovered, Detail: note}); err != nil {
		close(l.stop)
		<-l.done
		return err
	}
	return nil
}

func (l *Log) openFiles() (err error) {
	if l.end.segment == 0 {
		err = l.nextSegment()
	} else {
		err = l.openSegment()
	}
	if err != nil {
		return err
	}
	return l.settleHead(false)
}

func (l *Log) openSegment() error {
	f, err := os.OpenFile(filepath.Join(l.dir, segmentName(l.end.segment)), os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	l.file = dataFile{f}
	return l.file.Sync()
}

// found is the state of a log before it is opened.
type found struct {
	head    head
	version uint64   // of the head file
	end     position // where the next record goes
	notes   []string // what a reader of the log must know
}

// inspect compares the end of the log with its head.
func inspect(dir string, sign *signer, list []uint64) (found, error) {
	h, version, other, err := sign.read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return found{}, damaged(dir, "the head is missing")
	}
	if err != nil {
		return found{}, err
	}
	if other != nil && !h.crashed() {
		return found{}, damaged(dir, other.Error())
	}
	start, last, err := headSegment(dir, list, h)
	if err != nil {
		return found{}, err
	}
	reached := h.segment == 0
	end, stop, err := walk(dir, last, start, func(p position) { reached = reached || p == h.position })
	if err != nil {
		return found{}, err
	}
	f := found{head: h, version: version, end: end}
	switch {
	case reached && h.shut:
		f.end = h.position
	case reached && end.seq > h.seq:
		f.notes = append(f.notes, fmt.Sprintf("records %d to %d were written just before a crash and were not yet signed", h.seq+1, end.seq))
	case reached:
	case h.crashed() && h.durable <= end.seq && end.seq < h.seq:
		f.notes = append(f.notes, fmt.Sprintf("a crash of the machine took records %d to %d, which were not yet on disk; their numbers are used again", end.seq+1, h.seq))
	default:
		return found{}, damaged(dir, missing(h, end, stop))
	}
	return f, nil
}

// crashed says that the machine was started again since the log was last
// written, without closing it: what was not yet on disk may be gone.
func (h *head) crashed() bool {
	now := bootID()
	return !h.shut && h.boot != "" && now != "" && h.boot != now
}

// headSegment returns the segments from the one of the head on, and the position
// before them. The first header is believed here: the signed head that the walk
// must reach depends on it.
func headSegment(dir string, list []uint64, h head) (position, []uint64, error) {
	if h.segment == 0 {
		return position{}, list, nil
	}
	for i, first := range list {
		if i == 0 && first != 1 {
			return position{}, nil, damaged(dir, "the first segment is missing")
		}
		if first != h.segment {
			continue
		}
		hash, err := previousHash(filepath.Join(dir, segmentName(first)))
		if err != nil {
			return position{}, nil, damaged(dir, fmt.Sprintf("%s: %v", segmentName(first), err))
		}
		return position{seq: first - 1, hash: hash}, list[i:], nil
	}
	return position{}, nil, damaged(dir, segmentName(h.segment)+" is missing")
}

func previousHash(path string) (hash [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return hash, err
	}
	defer f.Close()
	line, err := newLineReader(f).next()
	if err != nil && err != io.EOF {
		return hash, err
	}
	_, rest, ok := bytes.Cut(line, []byte(`,"previous":"`))
	digits := hex.EncodedLen(len(hash))
	if !ok || len(rest) < digits {
		return hash, errors.New("the header is damaged")
	}
	if _, err := hex.Decode(hash[:], rest[:digits]); err != nil {
		return hash, errors.New("the header is damaged")
	}
	return hash, nil
}

// missing describes why the walk that ended at end did not meet the head.
func missing(h head, end position, stop *fault) string {
	if stop != nil {
		return fmt.Sprintf("%s, line %d, byte %d: %s", segmentName(stop.segment), stop.line, stop.offset, stop.reason)
	}
	if end.seq < h.seq {
		return fmt.Sprintf("it ends with record %d, but record %d was acknowledged", end.seq, h.seq)
	}
	return fmt.Sprintf("record %d is not the one that was signed", h.seq)
}

func damaged(dir, what string) error {
	return fmt.Errorf("%w: %s: %s; nothing was changed. Look with `gatehouse log verify --dir %s`, keep that directory, and begin in another one", ErrDamaged, dir, what, dir)
}

// moveAside moves everything behind end into files named torn-… and returns a
// sentence for each.
func moveAside(dir string, list []uint64, end position) (notes []string, err error) {
	for _, first := range list {
		from := int64(0)
		if first < end.segment {
			continue
		}
		if first == end.segment {
			from = end.offset
		}
		moved, name, err := moveTail(dir, first, from)
		if err != nil {
			return nil, err
		}
		if name != "" {
			notes = append(notes, fmt.Sprintf("%d bytes behind record %d were never acknowledged and were moved to %s", moved, end.seq, name))
		}
	}
	return notes, nil
}

// moveTail moves the bytes of a segment from offset on, the whole file when that
// is 0. It returns no name when there are none.
func moveTail(dir string, first uint64, offset int64) (moved int64, name string, err error) {
	path := filepath.Join(dir, segmentName(first))
	source, err := os.OpenFile(path, os.O_RDWR, fileMode)
	if err != nil {
		return 0, "", err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil || offset > 0 && info.Size() <= offset {
		return 0, "", err
	}
	name = fmt.Sprintf("torn-%0*d-%s", segmentDigits, first, time.Now().UTC().Format("20060102T150405.000000000"))
	target, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return 0, "", err
	}
	moved, err = io.Copy(target, io.NewSectionReader(source, offset, info.Size()-offset))
	if err := errors.Join(err, target.Sync(), target.Close()); err != nil {
		return 0, "", err
	}
	if offset == 0 {
		err = errors.Join(source.Close(), os.Remove(path))
	} else {
		err = errors.Join(source.Truncate(offset), source.Sync())
	}
	return moved, name, errors.Join(err, syncDir(dir))
}

// appendRecovered appends the record that says for how long the log could not be
// written.
func (l *Log) appendRecovered(b []byte, p *position, now time.Time) []byte {
	body, err := appendBody(nil, &Record{Kind: Recovered, Detail: fmt.Sprintf(
		"the log could not be written since %s; %d records were refused", l.brokenAt.Format(time.RFC3339), l.refused)})
	if err != nil {
		panic("audit: internal error: " + err.Error())
	}
	return appendRecord(b, p, l.clock.stamp(now), body)
}
