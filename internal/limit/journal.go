package limit

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"gatehouse/internal/statefile"
)

// The journal is a header and records, each the state of one counter after a
// change: the last one of a key counts. It is as long as it may become, and zero
// behind the last record. Where the system allows it, it is memory that is shared
// with the kernel, so that a record is kept once it is stored there, however the
// process ends; a system call for each would cost more than all the counting.
//
//	header  "GATEHOUSE-QUOTA1", 8 bytes: how far it is on disk, and a checksum of that
//	record  4 bytes: checksum (CRC-32C) of what follows
//	        2 bytes: length of what follows; a key has at most some thousand bytes,
//	        because a digest stands for each part that is long
//	        1 byte kind, 8 bytes Counter.At, 16 bytes Counter.Used, the key
//
// All numbers are little-endian.
const (
	journalName = "journal"
	lockName    = "lock"

	magic      = "GATEHOUSE-QUOTA1"
	markAt     = len(magic)
	headerSize = markAt + 8
	frameSize  = 4 + 2
	stateSize  = 1 + 8 + 16

	// minJournal is the room for at least some ten thousand changes between two times
	// that everything is written anew.
	minJournal = 4 << 20
	// maxJournal is above what the bounds on counters and keys allow, and below what
	// the mark can say.
	maxJournal = 1 << 30

	// clockKind marks the record of an Instant.
	clockKind Kind = 255
)

var (
	errFull    = errors.New("the journal is full")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// damaged says what a person can do about a journal that cannot be trusted.
func damaged(path string, at int, why string) error {
	return fmt.Errorf("%s is damaged at byte %d: %s. What was used of the quotas is not known, so nothing may pass. "+
		"Put a copy from before in its place, or move the file away: then everything that was used is forgotten and all quotas begin anew", path, at, why)
}

type journal struct {
	path string
	file *os.File

	mu      sync.Mutex
	memory  []byte // the whole file; nil where it cannot be mapped
	scratch []byte // for what cannot be mapped
	size    int    // of the file
	end     int    // of the last record
	synced  int    // end, as the mark says
	broken  bool   // it cannot be relied on; the next record needs a new file
}

func clockRecord(now Instant) Counter {
	return Counter{Kind: clockKind, At: now.Wall, Used: Amount{lo: uint64(now.Rate)}}
}

// appendRecord writes one record behind to.
func appendRecord(to []byte, c Counter) []byte {
	start := len(to)
	to = append(to, 0, 0, 0, 0)
	to = binary.LittleEndian.AppendUint16(to, uint16(stateSize+len(c.Key)))
	to = append(to, byte(c.Kind))
	to = binary.LittleEndian.AppendUint64(to, uint64(c.At))
	to = binary.LittleEndian.AppendUint64(to, c.Used.hi)
	to = binary.LittleEndian.AppendUint64(to, c.Used.lo)
	to = append(to, c.Key...)
	binary.LittleEndian.PutUint32(to[start:], crc32.Checksum(to[start+4:], castagnoli))
	return to
}

// readRecord reads the record at the beginning of raw; size 0 if none is there.
func readRecord(raw []byte) (c Counter, size int) {
	if len(raw) < frameSize+stateSize {
		return c, 0
	}
	size = frameSize + int(binary.LittleEndian.Uint16(raw[4:]))
	if size < frameSize+stateSize || size > len(raw) || binary.LittleEndian.Uint32(raw) != crc32.Checksum(raw[4:size], castagnoli) {
		return c, 0
	}
	state := raw[frameSize:size]
	c = Counter{
		Kind: Kind(state[0]),
		At:   int64(binary.LittleEndian.Uint64(state[1:])),
		Used: Amount{binary.LittleEndian.Uint64(state[9:]), binary.LittleEndian.Uint64(state[17:])},
		Key:  state[stateSize:],
	}
	return c, size
}

// mark says that the first n bytes are on disk. It is written in one store, which
// is done or not done.
func mark(n int) uint64 {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(n))
	return uint64(crc32.Checksum(b[:], castagnoli))<<32 | uint64(uint32(n))
}

// readJournal shows every counter that is kept, oldest first, and tells the last
// Instant. A file that is not there has none.
//
// What is on disk, as the mark says, must be as it was written. Behind the mark
// there may be a record that a crash tore: it was never granted, and nor was
// anything behind it.
func readJournal(path string, visit func(Counter)) (last Instant, err error) {
	raw, err := statefile.Read(path, maxJournal)
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	if err != nil {
		return last, err
	}
	if len(raw) < headerSize || string(raw[:markAt]) != magic {
		return last, damaged(path, 0, "it does not begin as one of ours")
	}
	written := binary.LittleEndian.Uint64(raw[markAt:])
	synced := int(uint32(written))
	if written != mark(synced) || synced < headerSize || synced > len(raw) {
		return last, damaged(path, markAt, "it does not say how far it was written, or it was cut")
	}
	at := headerSize
	for {
		c, size := readRecord(raw[at:])
		if size == 0 {
			break
		}
		switch {
		case c.Kind == clockKind:
			last = Instant{Rate: max(last.Rate, int64(c.Used.lo)), Wall: max(last.Wall, c.At)}
		case c.Kind.kept():
			visit(c)
		default:
			return last, damaged(path, at, "a record of an unknown kind")
		}
		at += size
	}
	if at < synced {
		return last, damaged(path, at, "a record was changed")
	}
	return last, nil
}

// writeJournal replaces the file by one that holds what snapshot writes.
func writeJournal(path string, snapshot func(write func(Counter))) (*journal, error) {
	j := &journal{path: path, end: headerSize}
	err := statefile.ReplaceWith(path, func(f *os.File) error {
		out := bufio.NewWriterSize(f, 64<<10)
		var record []byte
		_, err := out.Write(append([]byte(magic), make([]byte, 8)...))
		snapshot(func(c Counter) {
			record = appendRecord(record[:0], c)
			_, failure := out.Write(record)
			err = errors.Join(err, failure)
			j.end += len(record)
		})
		j.synced, j.size = j.end, max(minJournal, 4*j.end)
		if j.size > maxJournal {
			return fmt.Errorf("more than %d bytes", maxJournal)
		}
		return errors.Join(err, out.Flush(), j.remark(f), statefile.Grow(f, int64(j.size)))
	})
	if err != nil {
		return nil, err
	}
	if j.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	j.memory, err = statefile.Map(j.file, j.size)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, errors.Join(err, j.file.Close())
	}
	return j, nil
}

// remark writes the mark to a file that is not mapped.
func (j *journal) remark(f *os.File) error {
	_, err := f.WriteAt(binary.LittleEndian.AppendUint64(nil, mark(j.end)), int64(markAt))
	return err
}

// append keeps what the takes lead to. After a crash in the middle some records may
// stand there without those that belong to them: then more is counted than was
// granted, never less.
func (j *journal) append(takes []Take) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	needed := 0
	for i := range takes {
		if takes[i].Kind.kept() {
			needed += frameSize + stateSize + len(takes[i].Key)
		}
	}
	if needed == 0 {
		return nil
	}
	if j.broken || needed > j.size-j.end {
		return errFull
	}
	for i := range takes {
		t := &takes[i]
		if !t.Kind.kept() || !t.takes() {
			continue
		}
		if t.Kind == Rate && t.next.kept != t.next.at {
			continue
		}
		if err := j.put(Counter{t.Key, t.Kind, t.next.at, t.next.used}); err != nil {
			return err
		}
	}
	return nil
}

// put writes one record, for which there is room.
func (j *journal) put(c Counter) error {
	if j.memory != nil {
		appendRecord(j.memory[j.end:j.end], c)
	} else {
		j.scratch = appendRecord(j.scratch[:0], c)
		if _, err := j.file.WriteAt(j.scratch, int64(j.end)); err != nil {
			j.broken = true
			return fmt.Errorf("writing %s: %w", j.path, err)
		}
	}
	j.end += frameSize + stateSize + len(c.Key)
	return nil
}

// sync puts what was written on disk and marks it so.
func (j *journal) sync(now Instant) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.end == j.synced || j.broken {
		return nil
	}
	if j.moved() {
		j.broken = true
		return nil
	}
	if frameSize+stateSize <= j.size-j.end {
		if err := j.put(clockRecord(now)); err != nil {
			return err
		}
	}
	err := j.flush()
	if err == nil {
		j.synced = j.end
		if j.memory != nil {
			atomic.StoreUint64((*uint64)(unsafe.Pointer(&j.memory[markAt])), nativeEndian(mark(j.end)))
		} else {
			err = j.remark(j.file)
		}
	}
	if err != nil {
		j.broken = true
		return fmt.Errorf("writing %s: %w", j.path, err)
	}
	return nil
}

// nativeEndian is the number whose bytes in memory are those of n in little-endian.
func nativeEndian(n uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return binary.NativeEndian.Uint64(b[:])
}

func (j *journal) flush() error {
	if j.memory != nil {
		return statefile.Flush(j.memory)
	}
	return j.file.Sync()
}

// moved reports that the file is no longer as it was made under its name: what is
// written to it would be lost with this process.
//
// BUG(gatehouse): a file that somebody cuts while it is mapped ends the gateway at
// the next record, if that comes before this look. Nothing passes then either.
func (j *journal) moved() bool {
	open, err := j.file.Stat()
	if err != nil {
		return true
	}
	named, err := os.Stat(j.path)
	return err != nil || !os.SameFile(open, named) || named.Size() != int64(j.size)
}

func (j *journal) close() error {
	var err error
	if j.memory != nil {
		err = statefile.Unmap(j.memory)
		j.memory = nil
	}
	return errors.Join(err, j.file.Close())
}
