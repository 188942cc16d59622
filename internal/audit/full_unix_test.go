//go:build unix

package audit

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

const fullDir = "GATEHOUSE_AUDIT_TEST_FULL"

// A limit on the size of files stands for a full disk: the kernel writes a part
// of a record and refuses the rest, and no privilege is needed.
func Test_child_on_a_full_disk(t *testing.T) {
	dir := os.Getenv(fullDir)
	if dir == "" {
		t.Skip("runs as a child of another test only")
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(size uint64) {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
			t.Fatal(err)
		}
		now.Cur = size
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
			t.Fatal(err)
		}
	}
	l := openLog(t, dir, Options{})
	accepted := 0
	for room := uint64(2000); room <= 6000; room += 1333 {
		limit(room)
		for {
			err := l.Append(&Record{Kind: Decided})
			if errors.Is(err, ErrUnavailable) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			accepted++
		}
		if err := l.Append(&Record{Kind: Decided}); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		mustVerify(t, dir)
	}
	limit(1 << 30)
	appendRecords(t, l, 1)
	closeLog(t, l)
	mustVerify(t, dir)
	if got := len(readAll(t, dir, Filter{Kinds: []Kind{Decided}})); got != accepted+1 || accepted < 10 {
		t.Errorf("%d decided records, %d were accepted", got, accepted+1)
	}
	if got := len(readAll(t, dir, Filter{Kinds: []Kind{Recovered}})); got != 4 {
		t.Errorf("%d recovered records, want one for each of the 4 times", got)
	}
}

func Test_a_full_disk_refuses_and_recovers(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=^Test_child_on_a_full_disk$", "-test.v")
	child.Env = append(os.Environ(), fullDir+"="+t.TempDir())
	out, err := child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: Test_child_on_a_full_disk")) {
		t.Errorf("%v\n%s", err, out)
	}
}
