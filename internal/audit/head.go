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
	// slotSize is one disk sector, so that a crash of the machine tears at most
	// the slot that was being written.
	slotSize = 512
	fileMode = 0o600
	dirMode  = 0o700
)

// head says where the chain ends. The file holds two slots that are written in
// turn, so that one of them is whole at any time; the one with the greater count
// holds.
//
// The slot is a line of text, padded with spaces:
//
//	gatehouse-head 1 COUNT open|shut SEGMENT OFFSET SEQ HASH DURABLE BOOT MAC
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

// signer makes and checks the authentication codes of a head.
type signer struct {
	mac hash.Hash
	buf []byte
}

func newSigner(key []byte) *signer { return &signer{mac: hmac.New(sha256.New, key)} }

// slot renders h. The result is valid until the next call.
func (s *signer) slot(h *head) []byte {
	b := append(s.buf[:0], "gatehouse-head 1 "...)
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
	s.mac.Reset()
	s.mac.Write(b)
	var sum [sha256.Size]byte
	b = hex.AppendEncode(b, s.mac.Sum(sum[:0]))
	for len(b) < slotSize-1 {
		b = append(b, ' ')
	}
	s.buf = append(b, '\n')
	return s.buf
}

var errSlot = errors.New("the slot is damaged or signed with another key")

// parse reads one slot. It accepts exactly the bytes that slot renders.
func (s *signer) parse(slot []byte) (head, error) {
	fields := strings.Fields(string(slot))
	if len(fields) != 11 {
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
	if !hmac.Equal(s.slot(&h), slot) {
		return head{}, errSlot
	}
	return h, nil
}

// read returns what the head file of dir says: the slot that holds, and the
// error of the other slot, nil when both are whole.
func (s *signer) read(dir string) (h head, other error, err error) {
	path := filepath.Join(dir, headName)
	// A slot that is being written at this moment may be read in parts. The
	// writer then writes the other one, so another look finds them whole.
	const looks = 4
	for range looks {
		h, other, err = s.readOnce(path)
		if err == nil && other == nil {
			break
		}
	}
	return h, other, err
}

func (s *signer) readOnce(path string) (head, error, error) {
	file, err := os.Open(path)
	if err != nil {
		return head{}, nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, 2*slotSize+1))
	if err != nil {
		return head{}, nil, err
	}
	if len(data) != 2*slotSize {
		return head{}, nil, fmt.Errorf("%w: %s has %d bytes instead of %d", ErrDamaged, path, len(data), 2*slotSize)
	}
	a, errA := s.parse(data[:slotSize])
	b, errB := s.parse(data[slotSize:])
	switch {
	case errA != nil && errB != nil:
		return head{}, nil, fmt.Errorf("%w: %s is damaged or signed with another key", ErrDamaged, path)
	case errA != nil:
		return b, fmt.Errorf("first slot of %s: %w", headName, errA), nil
	case errB != nil:
		return a, fmt.Errorf("second slot of %s: %w", headName, errB), nil
	case a.count > b.count:
		return a, nil, nil
	}
	return b, nil, nil
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
	sign := newSigner(key)
	first := append([]byte(nil), sign.slot(&head{count: 1, boot: bootID()})...)
	second := sign.slot(&head{count: 2, boot: bootID()})
	if err := writeNew(filepath.Join(dir, headName), append(first, second...)); err != nil {
		return nil, err
	}
	draft := filepath.Join(dir, keyName+".new")
	if err := writeNew(draft, encodeKey(key)); err != nil {
		return nil, err
	}
	if err := os.Rename(draft, filepath.Join(dir, keyName)); err != nil {
		return nil, err
	}
	return key, syncDir(dir)
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

// bootID names this run of the machine, empty where the system does not tell.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id := strings.TrimSpace(string(text))
	if err != nil || len(id) > 64 || len(strings.Fields(id)) != 1 {
		return ""
	}
	return id
}
