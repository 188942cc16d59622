//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/test/program"
)

// patience is how long a test waits for what should come at once. The machine
// that runs it may be busy with other things.
const patience = 20 * time.Second

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !yes() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("waited %v for this: %s", patience, what)
		}
	}
}

// listen starts a server that prints its URL to standard error, and returns both.
func listen(t *testing.T, command []string, env ...string) (string, *exec.Cmd) {
	t.Helper()
	server := exec.Command(command[0], command[1:]...)
	server.Env = append(os.Environ(), env...)
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	url := regexp.MustCompile(`http://\S+`).FindString(line)
	if url == "" {
		t.Fatalf("%s printed %q and no URL: %v", command[0], line, err)
	}
	go io.Copy(io.Discard, lines) // ends with the server
	return url, server
}

// lines are those of a record file; none if there is no file.
func lines(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(raw), "\n"), func(line string) bool { return line == "" })
}

// needProc skips where processes cannot be looked at.
func needProc(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("this system has no /proc")
	}
}

// stat is the parent of a process and whether it is alive (proc(5)).
func stat(pid int) (parent int, alive bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return 0, false
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent, fields[0] != "Z"
}

func alive(pid int) bool { _, alive := stat(pid); return alive }

// descendants are all living processes below pid.
func descendants(pid int) []int {
	names, _ := filepath.Glob("/proc/[0-9]*")
	children := map[int][]int{}
	for _, name := range names {
		id, _ := strconv.Atoi(filepath.Base(name))
		if parent, alive := stat(id); alive {
			children[parent] = append(children[parent], id)
		}
	}
	var found []int
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		found = append(found, children[next[0]]...)
		next = append(next, children[next[0]]...)
	}
	return found
}

// peakMemory is the most memory that a process held, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if peak == nil {
		t.Fatalf("no VmHWM in %s", text)
	}
	kilobytes, _ := strconv.Atoi(string(peak[1]))
	return kilobytes << 10
}

// end sends SIGTERM and returns when the process is gone, which must be within
// the bound.
func end(t *testing.T, command *exec.Cmd, bound time.Duration) {
	t.Helper()
	if took := program.End(command, 2*bound); took > bound {
		t.Errorf("ending took %v, want at most %v", took, bound)
	}
}

func mustRemove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// compressed is the text as gzip packs it.
func compressed(t *testing.T, text string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}
