//go:build unix

package integration

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// kills is how many server processes the chaos test kills; `make chaos` kills a
// thousand.
var kills = flag.Int("chaos", 60, "server processes to kill in the chaos test")

const (
	chaosClients = 12
	// callsBetween is how many calls succeed between two kills: without progress
	// there would be nothing to lose.
	callsBetween = 6
)

// storm is the load of the chaos test and what it has seen.
type storm struct {
	t       *testing.T
	g       *gateway
	servers []string
	over    atomic.Bool
	calls   atomic.Int64 // all that were made; numbers them
	done    atomic.Int64 // that succeeded
	left    atomic.Int64 // that a client gave up

	mu       sync.Mutex
	answered map[string]bool // calls that succeeded
}

// Servers are killed, clients hang up in mid-call and the configuration changes,
// all at the same time. Whatever is answered must be the answer to this very call,
// nothing may be carried out twice, and when it is over nothing is left behind.
func TestChaos(t *testing.T) {
	needProc(t)
	dir := t.TempDir()
	servers, names := object{}, []string{"both", "legacy", "modern"}
	for _, name := range names {
		era := map[string]string{"both": "auto"}[name]
		if era == "" {
			era = name
		}
		servers[name] = object{"command": hostile(t, "-mode", "post", "-record", filepath.Join(dir, name)), "era": era}
	}
	g := serve(t, servers)
	g.unended = 1 << 30 // calls of clients that hung up may end with the gateway
	s := &storm{t: t, g: g, servers: names, answered: map[string]bool{}}
	clients := s.clients()
	s.calm(clients)
	before := s.openFiles()

	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() { s.load(c, rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	s.rage(servers)
	s.over.Store(true)
	all.Wait()

	s.calm(clients)
	s.checkLedger(dir)
	eventually(t, "files and sockets to be closed", func() bool { return s.openFiles() <= before+20 })
	t.Logf("%d kills, %d calls, %d answered, %d given up by their clients", *kills, s.calls.Load(), s.done.Load(), s.left.Load())
}

// clients are of both eras, on mounts of their own and on the joined one.
func (s *storm) clients() []*client {
	var list []*client
	for i := range chaosClients {
		mount := append(s.servers, "")[i%4]
		if i < chaosClients/2 {
			list = append(list, s.g.legacy(mount))
		} else {
			list = append(list, s.g.modern(mount))
		}
	}
	return list
}

// target is a server that the client reaches and the tool's name there.
func (s *storm) target(c *client, dice *rand.Rand) string {
	if strings.HasSuffix(c.wire.(*overHTTP).url, "/mcp") {
		return s.servers[dice.IntN(len(s.servers))] + "__send_message"
	}
	return "send_message"
}

// load calls until the storm is over.
func (s *storm) load(c *client, dice *rand.Rand) {
	for !s.over.Load() {
		ctx, stop := context.WithTimeout(s.t.Context(), patience)
		hangUp := dice.IntN(10) == 0
		if hangUp {
			ctx, stop = context.WithTimeout(s.t.Context(), time.Duration(dice.IntN(5000))*time.Microsecond)
		}
		s.call(ctx, c, dice, hangUp)
		stop()
	}
}

// call makes one call, which no other is like, and checks its answer.
func (s *storm) call(ctx context.Context, c *client, dice *rand.Rand, hangUp bool) bool {
	to := fmt.Sprintf("call-%d", s.calls.Add(1))
	params := object{"name": s.target(c, dice), "arguments": object{"to": to, "text": "x"}}
	header := c.modernHeader("tools/call", params)
	if c.era == modernVersion {
		params["_meta"] = c.meta()
	}
	id := c.nextID()
	r, err := c.try(ctx, string(encode(s.t, object{"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})), header)
	switch {
	case err != nil && !hangUp:
		s.t.Errorf("%s got no answer: %v", to, err)
	case err != nil:
		s.left.Add(1)
	case r.body["id"] != float64(id):
		s.t.Errorf("%s got an answer for another request: %s", to, r.raw)
	case r.text() == "sent to "+to:
		s.done.Add(1)
		s.mu.Lock()
		s.answered[to] = true
		s.mu.Unlock()
		return true
	case !slices.Contains([]string{"upstream-unavailable", "upstream-timeout", "cancelled", "upstream-invalid"}, r.reason()):
		s.t.Errorf("%s was answered %d %s", to, r.status, r.raw)
	}
	return false
}

// rage kills servers and reloads the configuration.
func (s *storm) rage(servers object) {
	dice := rand.New(rand.NewPCG(2, 2))
	next := s.done.Load() + callsBetween
	for killed := 0; killed < *kills && !s.t.Failed(); {
		eventually(s.t, "calls to succeed", func() bool { return s.done.Load() >= next || s.t.Failed() })
		found := descendants(s.g.command.Process.Pid)
		if len(found) == 0 {
			continue
		}
		if syscall.Kill(found[dice.IntN(len(found))], syscall.SIGKILL) != nil {
			continue
		}
		killed++
		next = s.done.Load() + callsBetween
		if killed%10 == 0 {
			// Every second reload changes a server, which then starts anew.
			servers["both"].(object)["timeout"] = strconv.Itoa(30+killed/20) + "s"
			s.g.write(servers, object{"limits": object{"events": 1000 + killed}})
		}
	}
}

// calm makes one call for each client, which must succeed soon.
func (s *storm) calm(clients []*client) {
	s.t.Helper()
	dice := rand.New(rand.NewPCG(3, 3))
	for _, c := range clients {
		eventually(s.t, "the session to work", func() bool { return s.call(s.t.Context(), c, dice, false) })
	}
}

// checkLedger compares what clients were told with what servers did.
func (s *storm) checkLedger(dir string) {
	did := map[string]int{}
	for _, name := range s.servers {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			did[strings.Fields(line)[0]]++
		}
	}
	for call, times := range did {
		if times > 1 {
			s.t.Errorf("%s was carried out %d times", call, times)
		}
	}
	for call := range s.answered {
		if did[call] == 0 {
			s.t.Errorf("%s was answered and never carried out", call)
		}
	}
}

func (s *storm) openFiles() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.g.command.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(entries)
}
