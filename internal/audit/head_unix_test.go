//go:build unix

package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const busyDir = "GATEHOUSE_AUDIT_TEST_BUSY"

// Test_busy_child is the process that the test below stops. It does nothing but
// append.
func Test_busy_child(t *testing.T) {
	dir := os.Getenv(busyDir)
	if dir == "" {
		t.Skip("runs as a child of another test only")
	}
	l := openLog(t, dir, Options{})
	fmt.Println("begins")
	for {
		if err := l.Append(&Record{Kind: Decided}); err != nil {
			t.Fatal(err)
		}
	}
}

// A stopped process leaves what a killed one leaves, and can be stopped again. So
// this looks at the head between its stores, where they are made.
func Test_one_head_is_in_force_wherever_the_writer_is_stopped(t *testing.T) {
	dir := memoryDir(t)
	child := exec.Command(os.Args[0], "-test.run=^Test_busy_child$", "-test.v")
	child.Env = append(os.Environ(), busyDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		child.Process.Kill()
		child.Wait()
		mustVerify(t, dir)
	}()
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "begins"; {
	}
	key, err := readKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	sign, pid := newSigner(key), child.Process.Pid
	path := filepath.Join(dir, headName)
	for range 400 {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Fatalf("the child did not stop: %v, %v", status, err)
		}
		h, _, other, err := sign.readOnce(path)
		if err != nil || other != nil {
			t.Fatalf("%v, %v", err, other)
		}
		info, err := os.Stat(filepath.Join(dir, segmentName(h.segment)))
		if err != nil || info.Size() < h.offset {
			t.Fatalf("the head is ahead of the records: %+v, %v", h.position, err)
		}
		left, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		for now := left; bytes.Equal(now, left); {
			if now, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}
