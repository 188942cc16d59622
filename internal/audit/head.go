package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

const (
	keyName  = "audit.key"
	headName = "head"
	lockName = "lock"
	keyBytes = 32
	fileMode = 0o600
	dirMode  = 0o700
)

// head says where the chain ends.
type head struct {
	count uint64
	// shut says that the log was closed in order: nothing may follow.
	shut bool
	position
	// durable is the last record that is known to be on disk.
	durable uint64
	// boot names the run of the machine, because only a crash of the machine may
	// take records between durable and seq away. Empty where the system has no
	// such name; then nothing may be missing.
	boot string
}

// The head is a file of three lines of text, each padded to a sector with spaces,
// so that a crash of the machine tears at most what was being written:
//
//	MARK
//	gatehouse-head 2 COUNT open|shut SEGMENT OFFSET SEQ HASH DURABLE BOOT CHECK
//	gatehouse-head 2 COUNT open|shut SEGMENT OFFSET SEQ HASH DURABLE BOOT CHECK
//
// The MAC of a line is over everything before CHECK, and CHECK is the hash of the
// MAC. The line whose MAC stands as MARK is in force. The next head is written
// over the other line and then comes into force by its mark, so there is one in
// force at any time, wherever the process is killed. Its mark is known from the
// key alone: nobody else can bring a line back that was in force before.
//
// Version 1, which is read and replaced, has no mark, and its lines end with their
// MAC. Both had to be whole, and the one with the greater COUNT held.
const (
	slotSize = 512 // a disk sector
	markSize = 2 * sha256.Size
	headSize = 3 * slotSize

	firstVersion = 1
	headVersion  = 2
	firstSize    = 2 * slotSize // of the file in version 1
)

// slotOf is where the line of a head with this count begins.
func slotOf(count uint64) int { return slotSize * (1 + int(count%2)) }

// signer makes and checks the authentication codes of a head.
type signer struct {
	hmac hash.Hash
	buf  []byte
	mac  [sha256.Size]byte // of the last line
}

func newSigner(key []byte) *signer { return &signer{hmac: hmac.New(sha256.New, key)} }

// line renders h and leaves its MAC in s.mac. The result is valid until the next
// call.
func (s *signer) line(h *head, version uint64) []byte {
	b := append(s.buf[:0], "gatehouse-head "...)
	b = append(strconv.AppendUint(b, version, 10), ' ')
	b = strconv.AppendUint(b, h.count, 10)
	if h.shut {
		b = append(b, " shut "...)
	} else {
		b = append(b, " open "...)
	}
	b = append(strconv.AppendUint(b, h.segment, 10), ' ')
	b = append(strconv.AppendInt(b, h.offset, 10), ' ')
	b = append(strconv.AppendUint(b, h.seq, 10), ' ')
	b = append(hex.AppendEncode(b, h.hash[:]), ' ')
	b = append(strconv.AppendUint(b, h.durable, 10), ' ')
	boot := h.boot
	if boot == "" {
		boot = "-"
	}
	b = append(append(b, boot...), ' ')
	s.hmac.Reset()
	s.hmac.Write(b)
	s.hmac.Sum(s.mac[:0])
	last := s.mac
	if version != firstVersion {
		last = sha256.Sum256(last[:])
	}
	s.buf = pad(hex.AppendEncode(b, last[:]))
	return s.buf
}

// pad makes b a line of slotSize bytes.
func pad(b []byte) []byte {
	b = append(b, spaces[:slotSize-1-len(b)]...)
	return append(b, '\n')
}

var spaces = bytes.Repeat([]byte{' '}, slotSize)

var (
	errSlot = errors.New("the line is damaged or signed with another key")
	errMark = errors.New("the mark belongs to none of the lines")
)

// parse reads one line and leaves its MAC in s.mac. It accepts exactly the bytes
// that line renders.
func (s *signer) parse(line []byte, version uint64) (head, error) {
	fields := strings.Fields(string(line))
	if len(fields) != 11 || len(fields[9]) > maxBootID {
		return head{}, errSlot
	}
	h := head{shut: fields[3] == "shut", boot: strings.TrimPrefix(fields[9], "-")}
	var errs [5]error
	h.count, errs[0] = strconv.ParseUint(fields[2], 10, 64)
	h.segment, errs[1] = strconv.ParseUint(fields[4], 10, 64)
	h.offset, errs[2] = strconv.ParseInt(fields[5], 10, 64)
	h.seq, errs[3] = strconv.ParseUint(fields[6], 10, 64)
	h.durable, errs[4] = strconv.ParseUint(fields[8], 10, 64)
	sum, err := hex.DecodeString(fields[7])
	if errors.Join(errs[:]...) != nil || err != nil || copy(h.hash[:], sum) != sha256.Size {
		return head{}, errSlot
	}
	if !hmac.Equal(s.line(&h, version), line) {
		return head{}, errSlot
	}
	return h, nil
}

// marked is a line that was read, with the mark that brings it into force.
type marked struct {
	head
	mark []byte
	err  error // why there is no such line
}

func (s *signer) slot(data []byte, odd uint64) marked {
	at := slotOf(odd)
	h, err := s.parse(data[at:at+slotSize], headVersion)
	if err == nil && h.count%2 != odd {
		err = errSlot // a copy of the other line
	}
	return marked{h, hex.AppendEncode(nil, s.mac[:]), err}
}

// judge says what a head file holds: the head in force, and an error when
// something else in it is not whole that must be, which is the case for a log that
// was closed. Without a head in force there is only the error.
func (s *signer) judge(data []byte) (h head, other, err error) {
	newer, older := s.slot(data, 0), s.slot(data, 1)
	if newer.err != nil || older.err == nil && older.count > newer.count {
		newer, older = older, newer
	}
	if newer.err != nil {
		return head{}, nil, errSlot
	}
	line := data[:slotSize]
	full := hmac.Equal(pad(bytes.Clone(newer.mark)), line)
	switch {
	case full && newer.shut:
		return newer.head, older.err, nil
	case full:
		return newer.head, nil, nil // the other line may be half written
	case older.err == nil && !newer.crashed() && hmac.Equal(pad(bytes.Clone(older.mark)), line):
		return older.head, nil, nil // the mark would have come next
	case older.err == nil && marking(line, older.mark, newer.mark):
		return newer.head, nil, nil
	case newer.crashed():
		return newer.head, errMark, nil // the disk took the sectors in another order
	}
	return head{}, nil, errMark
}

// marking says that the mark was being replaced, which begins at the front and
// goes by words.
func marking(line, from, to []byte) bool {
	for n := wordSize; n < markSize; n += wordSize {
		mix := append(bytes.Clone(to[:n]), from[n:]...)
		if hmac.Equal(pad(mix), line) {
			return true
		}
	}
	return false
}

// judgeFirst is judge for version 1, in which the writer was never killed between
// the bytes of a line: both lines are whole, or somebody changed one.
func (s *signer) judgeFirst(data []byte) (h head, other, err error) {
	a, errA := s.parse(data[:slotSize], firstVersion)
	b, errB := s.parse(data[slotSize:], firstVersion)
	switch {
	case errA != nil && errB != nil:
		return head{}, nil, errSlot
	case errA != nil:
		return b, fmt.Errorf("first line of %s: %w", headName, errA), nil
	case errB != nil:
		return a, fmt.Errorf("second line of %s: %w", headName, errB), nil
	case a.count > b.count:
		return a, nil, nil
	}
	return b, nil, nil
}

// read returns what the head file of dir says, see judge, and in which version.
func (s *signer) read(dir string) (h head, version uint64, other, err error) {
	path := filepath.Join(dir, headName)
	// A head that is being written at this moment may be read in parts, of which
	// each is of another time. Another look finds it whole: what the writer leaves
	// at any time is, and the looks are short.
	const looks = 32
	for range looks {
		h, version, other, err = s.readOnce(path)
		if err == nil && other == nil || errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return h, version, other, err
}

func (s *signer) readOnce(path string) (h head, version uint64, other, err error) {
	file, err := os.Open(path)
	if err != nil {
		return head{}, 0, nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, headSize+1))
	if err != nil {
		return head{}, 0, nil, err
	}
	switch len(data) {
	case headSize:
		version = headVersion
		h, other, err = s.judge(data)
	case firstSize:
		version = firstVersion
		h, other, err = s.judgeFirst(data)
	default:
		err = fmt.Errorf("it has %d bytes instead of %d", len(data), headSize)
	}
	if err != nil {
		return head{}, 0, nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return h, version, other, nil
}

// readKey reads the key of the log in dir.
func readKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, keyName)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others; run chmod 600 on it, and treat the log as unproven if others use this machine", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(bytes.TrimSuffix(text, []byte("\n"))))
	if err != nil || len(key) != keyBytes || !bytes.Equal(text, encodeKey(key)) {
		return nil, fmt.Errorf("%s is not a line of %d hexadecimal digits", path, 2*keyBytes)
	}
	return key, nil
}

func encodeKey(key []byte) []byte { return append(hex.AppendEncode(nil, key), '\n') }

// createKey makes a key and a head for a new log. The key gets its name last:
// where there is a key there must be a head, so that a deleted head is noticed.
func createKey(dir string) ([]byte, error) {
	key := make([]byte, keyBytes)
	rand.Read(key)
	first := newSigner(key).image(head{count: 1, boot: bootID()})
	if err := writeNew(filepath.Join(dir, headName), first); err != nil {
		return nil, err
	}
	return key, replaceFile(filepath.Join(dir, keyName), encodeKey(key))
}

// writeNew writes a file, in place of one left by an interrupted first start,
// and puts it on disk.
func writeNew(path string, data []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

const maxBootID = 64

// bootID names this run of the machine, empty where the system does not tell.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id := strings.TrimSpace(string(text))
	if err != nil || len(id) > maxBootID || len(strings.Fields(id)) != 1 {
		return ""
	}
	return id
}
