//go:build unix

package matrix

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/COMPATIBILITY.md anew")

var page = filepath.Join("..", "..", "docs", "COMPATIBILITY.md")

// gap is something that ought to work and does not. A gap that is closed fails the
// test, so that the list stays true.
type gap struct {
	client string      // id; "" for those of eras
	eras   []era       // of the clients
	server string      // mount; "" for all
	ops    []operation // nil for all
	why    string

	sometimes bool // it works or not by chance, so nothing is learnt when it works
}

var gaps = []gap{
	sharedSession("inspector-auto"), sharedSession("inspector-modern"),
}

// sharedSession is what happens to two programs of the same user that call themselves
// the same and declare the same, at the same time.
func sharedSession(client string) gap {
	return gap{
		client: client, server: "/mcp/everything", ops: []operation{opSubscribe}, sometimes: true,
		why: "two programs of the same name share their sessions with a server on a pipe; when both call at the same time, one of them may call " +
			"in another session, and so in another process, than it has subscribed in",
	}
}

func (k gap) covers(c client, s server, op operation) bool {
	if k.client != "" && k.client != c.id || k.client == "" && !slices.Contains(k.eras, c.era) {
		return false
	}
	return (k.server == "" || k.server == s.mount()) && (k.ops == nil || slices.Contains(k.ops, op))
}

// The marks of the table.
const (
	works      = "yes"
	notOffered = "–"
	cannot     = "no"
)

// cell is what a client can do with a server; why is empty where it works or there
// is nothing to do.
type cell struct{ mark, why string }

// table is the whole result.
type table struct {
	mu    sync.Mutex // guards cells while the clients run
	cells map[string]cell
}

func key(c client, s server, op operation) string { return fmt.Sprint(c.id, " ", s.mount(), " ", op) }

func (tb *table) set(c client, s server, op operation, is cell) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.cells[key(c, s, op)] = is
}

func TestMatrix(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	behind := servers(t, trace)
	all := clients(t)
	g := serve(t, behind, trace)
	found := &table{cells: map[string]cell{}}
	t.Run("clients", func(t *testing.T) {
		for _, c := range all {
			t.Run(c.id, func(t *testing.T) {
				t.Parallel()
				c.fill(t, g, behind, found)
			})
		}
	})
	if t.Failed() {
		return
	}
	text := found.page(all, behind)
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(read(t, page), text); diff != "" {
		t.Errorf("%s is out of date; `make matrix` writes it (-page +found):\n%s", page, diff)
	}
}

// fill runs the client against all servers and judges what came of it.
func (c client) fill(t *testing.T, g *gateway, behind []server, found *table) {
	var targets []target
	for _, s := range behind {
		to := target{server: s}
		for _, op := range operations {
			todo, offered := s.step(op, c.era)
			switch {
			case !offered:
				found.set(c, s, op, cell{mark: notOffered})
			case c.lacks[op] != "":
				found.set(c, s, op, cell{mark: cannot, why: c.lacks[op]})
			default:
				to.steps = append(to.steps, todo.withToken(token(c, s)))
			}
		}
		targets = append(targets, to)
	}
	came := c.run(t, g, c, targets)
	for _, to := range targets {
		for _, done := range to.steps {
			err := judge(g, c, to.server, done, came[to.server.mount()][done.Op])
			is, err := expect(c, to.server, done.Op, err)
			if err != nil {
				t.Errorf("%s %s: %v", to.server.mount(), done.Op, err)
			}
			found.set(c, to.server, done.Op, is)
		}
	}
}

// judge says why a step did not do what it should.
func judge(g *gateway, c client, s server, done step, came result) error {
	if came.Error != "" {
		return errors.New(came.Error)
	}
	if done.Op == opCancel {
		if came.Text != "cancelled" {
			return fmt.Errorf("it said %q", came.Text)
		}
		return g.sawCancelled(c, s, done)
	}
	if !strings.Contains(came.Text, done.want) {
		return fmt.Errorf("it said %.300q, want %q in it", came.Text, done.want)
	}
	return nil
}

// expect turns what came of a step into a cell. It fails where something that
// should work does not, and where something works that is said not to.
func expect(c client, s server, op operation, came error) (cell, error) {
	known, isGap := gapOf(c, s, op)
	switch {
	case came == nil && isGap && !known.sometimes:
		return cell{mark: works}, fmt.Errorf("works, but is said not to: %s", known.why)
	case came != nil && !isGap:
		return cell{mark: cannot, why: "does not work"}, came
	case isGap:
		return cell{mark: cannot, why: known.why}, nil
	}
	return cell{mark: works}, nil
}

// gapOf finds the gap that an operation falls into.
func gapOf(c client, s server, op operation) (gap, bool) {
	for _, known := range gaps {
		if known.covers(c, s, op) {
			return known, true
		}
	}
	return gap{}, false
}
