package gateway

import (
	"bufio"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/egress/inside"
	"gatehouse/internal/sandbox"
	"gatehouse/internal/wire"
)

var cycles = flag.Int("cycles", 20, "sessions that the soak test opens and ends; make chaos takes a thousand")

// serveVariable makes this very test program the server of the soak test.
const serveVariable = "GATEHOUSE_TEST_SERVE"

func TestMain(m *testing.M) {
	sandbox.Inside(inside.Setup)
	if os.Getenv(serveVariable) != "" {
		serveStub()
		return
	}
	os.Exit(m.Run())
}

// serveStub is the stub of the other tests on standard input and output.
func serveStub() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if m, err := wire.Parse(lines.Bytes(), wire.Limits{}); err == nil && m.Kind == wire.Request {
			fmt.Printf("%s\n", wire.NewResult(m.ID, []byte((&stub{}).plain(m))))
		}
	}
}

// Sessions of both eras come and go, each with a process; nothing of them stays.
func TestSoak_nothing_is_left_of_sessions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "gatehouse.yaml")
	text := fmt.Sprintf("servers:\n  stub:\n    command: [%q]\n    env: {%s: \"1\"}\n    era: legacy\n", os.Args[0], serveVariable)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	trail, err := audit.Open(filepath.Join(dir, "audit"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer trail.Close()
	book, err := approval.Open(c.Lock, filepath.Join(dir, "pending"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{Config: c, Book: book, Audit: trail, Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	h := &house{t: t, g: g, trail: trail, dir: dir}
	cycle := func(client int) {
		s := h.open(`{}`)
		h.passed(h.call(s, "hello"))
		g.EndSession(s)
		// A modern client of its own has a session in the pool.
		h.passed(h.try("hello", "", fmt.Sprintf(`,"io.modelcontextprotocol/clientInfo":{"name":"c%d","version":"1"}`, client), nil))
		g.live.Load().servers["stub"].pool.sweep(time.Now().Add(time.Hour))
	}
	cycle(0)
	goroutines, files := settled(t, 0, 0)
	for i := range *cycles {
		cycle(i + 1)
	}
	settled(t, goroutines, files)
}

// slack is how many files and goroutines the runtime and the log may have opened
// meanwhile. What is left of each session would be several times that.
const slack = 5

// settled waits until there are about as many goroutines and open files as before.
func settled(t *testing.T, goroutines, files int) (int, int) {
	t.Helper()
	deadline := time.After(time.Minute) // the machine may be busy with other things
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last := [2]int{-1, -1}
	for {
		now := [2]int{runtime.NumGoroutine(), openFiles()}
		if goroutines == 0 && now == last || goroutines > 0 && now[0] <= goroutines+slack && now[1] <= files+slack {
			return now[0], now[1]
		}
		last = now
		select {
		case <-tick.C:
		case <-deadline:
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines and %d files are open, %d and %d were:\n%s", now[0], now[1], goroutines, files, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// openFiles counts them where the system tells; elsewhere it is zero.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
