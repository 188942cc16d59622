package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func Test_only_one_holds_a_lock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	time.AfterFunc(20*time.Millisecond, unlock)
	again, err := LockWait(path)
	if err != nil {
		t.Fatalf("waiting: %v", err)
	}
	again()
}

func Test_a_lock_does_not_follow_links(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need rights there")
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if unlock, err := Lock(filepath.Join(dir, "lock")); err == nil {
		unlock()
		t.Error("it locked another file")
	}
}

func Test_a_file_is_replaced_whole_or_not_at_all(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := Replace(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no more room")
	err := ReplaceWith(path, func(f *os.File) error {
		if _, err := f.Write([]byte("sec")); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	raw, err := Read(path, 5)
	if err != nil || string(raw) != "first" {
		t.Errorf("%q, %v", raw, err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("something is left: %v, %v", entries, err)
	}
}

func Test_reading_is_bounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if _, err := Read(path, 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none there: %v", err)
	}
	if err := Replace(path, []byte("123456")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, 5); err == nil || !strings.Contains(err.Error(), "larger than 5 bytes") {
		t.Errorf("got %v", err)
	}
	if _, err := Read(filepath.Dir(path), 5); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

func Test_a_replaced_file_has_another_stamp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	stamp := func() Stamp {
		s, err := StampOf(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	none := stamp()
	if !none.Same(stamp()) {
		t.Error("a file that is not there changed")
	}
	if err := Replace(path, []byte("a")); err != nil {
		t.Fatal(err)
	}
	first := stamp()
	if none.Same(first) || first.Same(none) || !first.Same(stamp()) {
		t.Error("it does not show that the file is there")
	}
	// The same size, and perhaps the same moment.
	if err := Replace(path, []byte("b")); err != nil {
		t.Fatal(err)
	}
	if first.Same(stamp()) {
		t.Error("a replaced file has the same stamp")
	}
}

func Test_what_is_mapped_is_in_the_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Replace(path, []byte("head")); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const size = 100_000
	if err := Grow(file, size); err != nil {
		t.Fatal(err)
	}
	memory, err := Map(file, size)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system does not share files as memory")
	}
	if err != nil {
		t.Fatal(err)
	}
	memory[size-1] = 'x'
	raw, err := Read(path, size)
	if err != nil || len(raw) != size || string(raw[:4]) != "head" || raw[size-1] != 'x' {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	if err := errors.Join(Flush(memory), Unmap(memory)); err != nil {
		t.Error(err)
	}
}
