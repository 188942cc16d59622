// Package connect starts servers in a sandbox and asks them what they have: tools,
// prompts, resources, instructions. A server sees no file of the person, no secret and no
// network; folders that it is meant to work on are replaced by an empty one. Where the
// sandbox does not hold, nothing is started.
package connect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/command"
	"gatehouse/internal/facts/installed"
	"gatehouse/internal/install"
	"gatehouse/internal/inventory"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

const (
	// serverTime is how long one server may take to start and to list everything, unless
	// Options say otherwise. Those in Node or Python need a second or two.
	serverTime = 10 * time.Second
	// atOnce is how many servers run at the same time.
	atOnce = 6
	// maxMessage, maxEvents, maxPages, maxItems and maxTotal bound what one server says.
	maxMessage = 8 << 20
	maxEvents  = 1000
	maxPages   = 100
	maxItems   = 2000
	maxTotal   = 16 << 20
	// writeTime is how long a server may leave unread what was written to it.
	writeTime = 5 * time.Second
)

// ErrNotStarted says that a server is of a kind that is not started.
var ErrNotStarted = errors.New("it was not started")

// Plan is a server as it would be started or reached.
type Plan struct {
	Server inventory.Server
	// Command is what is started, empty for a URL. It may hold secrets; Shown does not.
	Command []string
	Shown   []string
	URL     string
	Err     error // why it is not started; everything but Server is empty then

	dir   string
	env   []string
	files []string // among the arguments, that it may read
	place string   // of what Gatehouse installed of it, absolute; empty if nothing
	kind  string   // the preset
}

// Definition is what a server said.
type Definition struct {
	Tools  []check.Tool
	Others []check.Item
	Err    error // why nothing, or not everything, is known; then both are empty
}

// Options say how servers are started.
type Options struct {
	Store  install.Store // what Gatehouse installed
	Looker installed.Looker
	Remote bool          // reach servers with a URL as well
	Hidden []string      // folders that no server sees, such as our state
	Time   time.Duration // for each server; 0 is ten seconds
	// Progress is told of each server that is done; nil for silence.
	Progress func(done, all int, name string, err error)
	Log      *slog.Logger
}

// Plans says for each server what would be started. Nothing is.
func Plans(servers []inventory.Server, o Options) []Plan {
	var out []Plan
	for _, s := range servers {
		if s.Disabled || s.Kind == inventory.BuiltIn {
			continue
		}
		out = append(out, o.plan(s))
	}
	return out
}

func (o Options) plan(s inventory.Server) Plan {
	e := s.Entries[0]
	for _, other := range s.Entries {
		if !other.Disabled {
			e = other
			break
		}
	}
	p := Plan{Server: s, dir: "/"}
	if s.Kind == inventory.Remote {
		if p.URL = e.URL; !o.Remote {
			p.URL, p.Err = "", fmt.Errorf("%w: it has a URL; --remote asks such servers too", ErrNotStarted)
		}
		return p
	}
	if filepath.IsAbs(e.Dir) {
		p.dir = e.Dir
	}
	if p.Err = o.command(&p, e, inventory.Of(e)); p.Err != nil {
		return p
	}
	p.env = environment(e)
	p.kind = preset(p.Command[0])
	for i, word := range p.Command[1:] {
		path := absolute(p.dir, word)
		// The program of an interpreter may lie in a hidden folder. Keys and tokens, which
		// arguments name too, mostly do.
		if strings.HasPrefix(word, "-") || hidden(path) && !(i == 0 && interprets(p.Command[0])) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			p.files = append(p.files, path)
		}
	}
	return p
}

// hidden reports whether a path leads through a name that begins with a dot.
func hidden(path string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return strings.Contains(filepath.ToSlash(path), "/.")
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// command is what runs once launchers have done their work: they fetch packages, which
// cannot be done without a network and must not be done unasked.
func (o Options) command(p *Plan, e client.Entry, s inventory.Source) error {
	switch s.Kind {
	case inventory.NPM, inventory.PyPI:
		if err := o.fromPackage(p, e, s); err != nil {
			return fmt.Errorf("%w: %w", ErrNotStarted, err)
		}
		return nil
	case inventory.Script, inventory.Binary:
		p.Command = inventory.Command(e)
		p.Shown = shownWords(e, p.Command)
		return nil
	case inventory.OCI:
		return fmt.Errorf("%w: it is a container", ErrNotStarted)
	}
	return fmt.Errorf("%w: what %s runs cannot be told", ErrNotStarted, s.Kind)
}

// fromPackage starts what Gatehouse installed, which is compared with what it was then, or
// what a launcher left here.
func (o Options) fromPackage(p *Plan, e client.Entry, s inventory.Source) error {
	r, launches, unfit := command.Launches(inventory.Command(e))
	if launches && unfit == nil {
		start, err := o.Store.Start(r)
		if err == nil {
			program := len(start.Command) - len(r.Args)
			p.Command, p.place = start.Command, start.Folder
			p.Shown = append(slices.Clone(start.Command[:program]), s.Args[len(s.Args)-len(r.Args):]...)
			return nil
		}
		if !errors.Is(err, install.ErrNotInstalled) {
			return fmt.Errorf("%w; this installs it anew: %s", err, o.Store.Advice(r))
		}
	}
	found, err := o.Looker.Find(e, s)
	args, shownArgs, name := inventory.Arguments(e), s.Args, ""
	if apart(s.Options) && len(args) > 0 {
		name, args, shownArgs = args[0], args[1:], shownArgs[1:]
	}
	var start []string
	if err == nil {
		start, err = found.Start(name)
	}
	switch {
	case err == nil:
		p.Command, p.Shown = slices.Concat(start, args), slices.Concat(start, shownArgs)
		return nil
	case launches && unfit == nil:
		return fmt.Errorf("%w; this installs it: %s", err, o.Store.Advice(r))
	case unfit != nil:
		return fmt.Errorf("%w, and Gatehouse cannot install it: %w", err, unfit)
	}
	return err
}

// apart reports whether the package is named apart from the command in it.
func apart(options []string) bool {
	return slices.ContainsFunc(options, func(w string) bool {
		name, _, _ := strings.Cut(w, "=")
		return slices.Contains([]string{"-p", "--package", "--from", "--spec"}, name)
	})
}

// shownWords are the words without secrets: the end of what is shown of the entry.
func shownWords(e client.Entry, words []string) []string {
	if n := len(e.Shown) - len(words); n >= 0 && len(e.Shown) == len(e.Words) {
		return e.Shown[n:]
	}
	return []string{words[0], "…"}
}

// ordinary are variables whose value is more than a secret or a setting: a placeholder
// would keep the server from starting.
var ordinary = regexp.MustCompile(`(?i)^(PATH|HOME|USER|SHELL|TMPDIR|TEMP|TMP|LANG|LC_.*|NODE_.*|PYTHON.*|LD_.*|DYLD_.*|UV_.*|NPM_.*|DEBUG|LOG.*|PORT|TZ)$`)

// placeholder stands for every value of the environment: many servers look whether a
// token is there before they say what they have, and none needs it for that.
const placeholder = "placeholder"

func environment(e client.Entry) []string {
	env := []string{"PATH=" + os.Getenv("PATH")}
	for _, v := range e.Env {
		if !ordinary.MatchString(v.Name) && v.Name != "" && !strings.ContainsAny(v.Name, "=\x00") {
			env = append(env, v.Name+"="+placeholder)
		}
	}
	return env
}

func preset(program string) string {
	switch {
	case strings.HasPrefix(base(program), "python"), strings.Contains(program, "/bin/") && isVenv(program):
		return "python"
	case interprets(program):
		return "node"
	}
	return "offline-files"
}

// interprets reports whether the first argument of a program is a program too.
func interprets(program string) bool {
	name := base(program)
	return strings.HasPrefix(name, "node") || strings.HasPrefix(name, "python") || name == "bun" || name == "deno"
}

func base(program string) string { return strings.ToLower(filepath.Base(program)) }

func isVenv(program string) bool {
	_, err := os.Stat(filepath.Join(filepath.Dir(filepath.Dir(program)), "pyvenv.cfg"))
	return err == nil
}

// Run starts and asks everything that is planned, several at once, and returns what each
// said, by the ID of the server. An error means that nothing was started.
func Run(ctx context.Context, plans []Plan, o Options) (map[string]Definition, error) {
	if slices.ContainsFunc(plans, func(p Plan) bool { return len(p.Command) > 0 }) {
		if report, err := sandbox.Available(); err != nil {
			return nil, fmt.Errorf("no server is started without a sandbox: %w", err)
		} else if err := report.Err(nil); err != nil {
			return nil, fmt.Errorf("no server is started without a whole sandbox: %w", err)
		}
	}
	empty, err := os.MkdirTemp("", "gatehouse-empty-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(empty)
	if err := os.Chmod(empty, 0o755); err != nil { // the server is another user
		return nil, err
	}
	out := map[string]Definition{}
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, p := range plans {
		all.Go(func() {
			slots <- struct{}{}
			d := o.one(ctx, p, empty, func() { <-slots })
			mu.Lock()
			defer mu.Unlock()
			out[p.Server.ID] = d
			if o.Progress != nil {
				o.Progress(len(out), len(plans), p.Server.Name, d.Err)
			}
		})
	}
	all.Wait()
	return out, nil
}

// one asks one server. The slot is given back before the server is ended, which may take
// it a while.
func (o Options) one(ctx context.Context, p Plan, empty string, giveBack func()) (d Definition) {
	var conn upstream.Conn
	defer func() {
		giveBack()
		if conn != nil {
			conn.Close()
		}
	}()
	if p.Err != nil {
		return Definition{Err: p.Err}
	}
	limit := o.Time
	if limit == 0 {
		limit = serverTime
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	conn, err := o.open(p, empty)
	if err != nil {
		return Definition{Err: err}
	}
	d, err = read(ctx, conn)
	if err != nil {
		if process, ok := conn.(*upstream.Process); ok {
			err = process.Explain(err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("it did not answer within %s", limit)
		}
		return Definition{Err: err}
	}
	return d
}

func (o Options) open(p Plan, empty string) (upstream.Conn, error) {
	limits := upstream.Limits{MessageBytes: maxMessage, Events: maxEvents, WriteTimeout: writeTime}
	silent := func(*wire.Message, any) {}
	if p.URL != "" {
		return upstream.Dial(upstream.Endpoint{URL: p.URL, Header: http.Header{}}, upstream.NewTransport(), limits, o.Log, silent), nil
	}
	rights, err := profile.FromPreset(p.kind)
	if err != nil {
		return nil, err
	}
	command := emptied(p, empty)
	read := append([]string{empty}, p.files...)
	if p.place != "" {
		read = append(read, p.place)
	}
	rights = rights.With(profile.Profile{Read: read})
	box, err := sandbox.New(rights, sandbox.Command{Args: command, Dir: p.dir, Env: p.env, Hidden: o.Hidden})
	if err != nil {
		return nil, err
	}
	return upstream.Start(upstream.Command{Args: command, Dir: p.dir, Env: p.env, Confine: box}, limits, o.Log, silent)
}

// emptied is the command with an empty folder in the place of each folder that it names.
func emptied(p Plan, empty string) []string {
	out := slices.Clone(p.Command)
	for i, word := range out[1:] {
		name, value, option := strings.Cut(word, "=")
		if !option || !strings.HasPrefix(name, "-") {
			value = word
		}
		if !strings.ContainsAny(value, `/\`) && value != "." && value != "~" && value != ".." {
			continue
		}
		if info, err := os.Stat(absolute(p.dir, value)); err == nil && info.IsDir() {
			out[i+1] = strings.TrimSuffix(word, value) + empty
		}
	}
	return out
}
