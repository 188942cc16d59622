package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"unsafe"
)

// headFile is the open head. Where the system can, it is memory that is shared with
// the file, so that a head is written by storing it, without a system call.
type headFile struct {
	file
	memory []byte // headSize bytes: what the file holds, or is to hold
	shared bool
	sign   *signer
}

// wordSize is what the processor stores at once, whatever happens.
const wordSize = 8

// image is a new head file: h and the one after it, which is in force.
func (s *signer) image(h head) []byte {
	f := &headFile{memory: make([]byte, headSize), sign: s}
	f.put(&h)
	h.count++
	f.put(&h)
	f.settleMark(&h)
	return f.memory
}

// openHead opens the head file of dir for writing. In an older version it is
// replaced first. h is the head in force and stays it.
func openHead(dir string, sign *signer, h *head, version uint64) (*headFile, error) {
	path := filepath.Join(dir, headName)
	if version != headVersion {
		if err := replaceFile(path, sign.image(*h)); err != nil {
			return nil, err
		}
		h.count++
	}
	f, err := os.OpenFile(path, os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	heads := &headFile{file: dataFile{f}, sign: sign}
	if heads.memory, err = share(f, headSize); err == nil {
		heads.shared = true
	} else {
		heads.memory = make([]byte, headSize) // not every file system can
		_, err = f.ReadAt(heads.memory, 0)
	}
	if err == nil {
		err = heads.change(func() { heads.settleMark(h) })
	}
	if err != nil {
		return nil, errors.Join(err, heads.Close())
	}
	return heads, nil
}

// write brings h into force.
func (f *headFile) write(h *head) error {
	return f.change(func() { f.put(h) })
}

// change brings what do stores into the file.
func (f *headFile) change(do func()) error {
	if f.shared {
		return guarded(do)
	}
	do()
	_, err := f.WriteAt(f.memory, 0) // one page: all of it or nothing
	return err
}

// guarded turns the fault of a store into an error: shared memory has no page any
// more when its file was cut, and gets none when the disk is full or broken.
func guarded(do func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = fmt.Errorf("the file gives no memory to write to (%v)", p)
		default:
			panic(p)
		}
	}()
	do()
	return nil
}

// put stores h as a line and then its mark.
func (f *headFile) put(h *head) {
	copy(f.memory[slotOf(h.count):], f.sign.line(h, headVersion))
	f.setMark(&f.sign.mac)
}

// setMark stores the mark word by word from the front: by stores that are neither
// split nor moved before the line.
func (f *headFile) setMark(mac *[sha256.Size]byte) {
	var mark [markSize]byte
	hex.Encode(mark[:], mac[:])
	for at := 0; at < markSize; at += wordSize {
		word := (*uint64)(unsafe.Pointer(&f.memory[at]))
		atomic.StoreUint64(word, binary.NativeEndian.Uint64(mark[at:]))
	}
}

// settleMark makes the whole mark that of h. A process that was killed may have
// left a half one, and the line of the other half is what is written over next.
func (f *headFile) settleMark(h *head) {
	f.sign.line(h, headVersion)
	f.setMark(&f.sign.mac)
	copy(f.memory[markSize:], pad(make([]byte, markSize, slotSize))[markSize:])
}

func (f *headFile) Sync() error {
	if f.shared {
		if err := flush(f.memory); err != nil {
			return err
		}
	}
	return f.file.Sync()
}

func (f *headFile) Close() error {
	err := f.file.Close()
	if f.shared {
		f.shared = false
		err = errors.Join(err, unshare(f.memory))
	}
	f.memory = nil
	return err
}

// replaceFile puts a new file in the place of an old one, of which there is always
// one or the other.
func replaceFile(path string, data []byte) error {
	draft := path + ".new"
	if err := writeNew(draft, data); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
