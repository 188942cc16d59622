package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// A hundred users in ten teams, each with two programs, call fifty tools.
const (
	userCount   = 100
	teamCount   = 10
	programs    = 2
	usersInTeam = userCount / teamCount
)

// share is a group of tools and the quotas about them.
type share struct {
	name   string
	tools  int
	quotas []quota
	// passes is how many calls pass in all once everybody has been refused everywhere.
	passes int
}

// quota is one quota of a share.
type quota struct {
	by    string // as the configuration has it, between brackets
	bound string // as the configuration has it
	unit  int    // hundredths that a call takes of its counter; 0: it cannot be told afterwards
}

// shares are fifty tools in all; size makes the bounds larger for longer runs. Where
// three quotas bound the same tools, the least of their sums is reached: a call fits
// until every tool is full or everybody is, by the user's quota or by the team's.
func shares(size int, rate string) []share {
	perDay := func(by string, n int) quota { return quota{by, fmt.Sprintf("per_day: %d", n*size), 100} }
	return []share{
		{"user", 10, []quota{perDay("user", 8)}, userCount * 8 * size},
		{"team", 10, []quota{perDay("team", 100)}, teamCount * 100 * size},
		{"tool", 10, []quota{perDay("tool", 90)}, 10 * 90 * size},
		{"pair", 5, []quota{perDay("user, tool", 1)}, userCount * 5 * size},
		{"all", 5, []quota{perDay("user", 5), perDay("team", 40), perDay("tool", 70)}, min(userCount*5, teamCount*40, 5*70) * size},
		{"money", 5, []quota{{"team", fmt.Sprintf("sum: {argument: amount, per_day: %d.%d}", 42*size/10, 42*size%10), 10}}, teamCount * 42 * size},
		{"rate", 5, []quota{{"user", fmt.Sprintf("rate: %s, burst: 6", rate), 0}}, userCount * 6},
	}
}

// load is one run.
type load struct {
	dir, binary string
	shares      []share
	perSecond   float64 // what comes back of the rate
	tools       []string
	progress    func(attempts int64) float64 // 1 and more: enough
	restarts    []restart

	// Set before the first call.
	address, stub string // of the gateway and of the server
	keys          []string
	launch        func() error // starts the gateway

	gateway *child // owned by whoever restarts it

	stage    atomic.Int64 // the restart that comes next
	attempts atomic.Int64
	refused  atomic.Int64
	broken   atomic.Int64 // calls that were sent and not answered

	mu           sync.Mutex // guards what follows
	arrived      map[string]int
	held         map[string]*held  // by the text that is sent
	first, final map[int]time.Time // calls of each user that the rate is about
}

// restart is one in the middle of the run.
type restart struct {
	at   float64 // of the progress
	kill bool
}

// amount is what each call pays; no binary fraction is it.
const amount = "0.1"

func newLoad(dir string, size int, rate string, perSecond float64, progress func(int64) float64) *load {
	l := &load{
		dir: dir, shares: shares(size, rate), perSecond: perSecond, progress: progress, restarts: []restart{{1. / 3, false}, {2. / 3, true}},
		arrived: map[string]int{}, held: map[string]*held{}, first: map[int]time.Time{}, final: map[int]time.Time{},
	}
	for _, s := range l.shares {
		for i := range s.tools {
			l.tools = append(l.tools, fmt.Sprintf("echo_%s_%d", s.name, i))
		}
	}
	return l
}

// shareOf is the share that a tool is in.
func shareOf(tool string) string { return strings.Split(tool, "_")[1] }

// called is what the server sees of a call.
func (l *load) called(tool, text string) func() {
	l.mu.Lock()
	l.arrived[shareOf(tool)]++
	h := l.held[text]
	delete(l.held, text)
	l.mu.Unlock()
	if h != nil {
		close(h.arrived)
		<-h.release
	}
	return func() {}
}

// held is a call that the server keeps.
type held struct{ arrived, release chan struct{} }

// configure writes the configuration, the policy and the keys.
func (l *load) configure() error {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: %s\ntime_zone: %s\nidentity: {keys: {file: keys}}\npolicy: {files: [all.cedar]}\nservers:\n  stub: {url: \"http://%s/mcp\"}\nquotas:\n", l.address, awayFromMidnight(time.Now()), l.stub)
	b.WriteString("  at-once: {by: [user], concurrent: 1}\n")
	for _, s := range l.shares {
		for i, q := range s.quotas {
			fmt.Fprintf(&b, "  %s-%d: {by: [%s], when: {tools: [\"echo_%s_*\"]}, %s}\n", s.name, i, q.by, s.name, q.bound)
		}
	}
	const everything = `permit (principal, action in Action::"use", resource);`
	if err := errors.Join(os.WriteFile(l.config(), []byte(b.String()), 0o600), os.WriteFile(filepath.Join(l.dir, "all.cedar"), []byte(everything), 0o600)); err != nil {
		return err
	}
	for user := range userCount {
		key, _, err := identity.CreateKey(filepath.Join(l.dir, "keys"), identity.Key{
			Name: fmt.Sprintf("user-%02d", user), Teams: []string{fmt.Sprintf("team-%d", user/usersInTeam)}, Expires: time.Now().Add(24 * time.Hour),
		})
		if err != nil {
			return err
		}
		l.keys = append(l.keys, key)
	}
	return nil
}

func (l *load) config() string { return filepath.Join(l.dir, "gatehouse.yaml") }

// awayFromMidnight is a time zone in which the day does not end during the run.
func awayFromMidnight(now time.Time) string {
	if now.UTC().Hour() == 23 {
		return "Etc/GMT+12"
	}
	return "UTC"
}

// run sees that no user calls twice at once, lets all programs call, restarts the gateway twice meanwhile, and then lets every
// user call every tool until that is refused.
func (l *load) run(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := newStub(manyTools(l.tools))
	s.called = l.called
	go func() { _ = serve(ctx, listener, map[string]*stub{"/mcp": s}) }() // ends with the context
	l.stub = listener.Addr().String()
	if l.address, err = freeAddress(); err != nil {
		return err
	}
	if err := l.configure(); err != nil {
		return err
	}
	l.launch = func() (err error) {
		l.gateway, _, err = start(ctx, false, gatehouse, l.binary, "serve", "--config", l.config())
		return err
	}
	if err := l.launch(); err != nil {
		return err
	}
	defer func() { l.gateway.close() }()
	for _, part := range []struct {
		programs int
		work     func(context.Context, *caller) error
	}{{1, l.together}, {programs, l.mixed}, {1, l.sweep}} {
		if err := l.all(ctx, part.programs, part.work); err != nil {
			return fmt.Errorf("%w\n%s", err, l.gateway.stderr)
		}
	}
	return nil
}

// manyTools is a list of tools that return the text that they are given.
func manyTools(names []string) []byte {
	b := []byte{'['}
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"name":%q,"description":"Returns the text it is given.","inputSchema":{"type":"object",`+
			`"properties":{"text":{"type":"string"},"amount":{"type":"number"}},"required":["text"],"additionalProperties":false}}`, name)
	}
	return append(b, ']')
}

// all lets each user do something with so many programs at a time.
func (l *load) all(ctx context.Context, programs int, work func(context.Context, *caller) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for user := range userCount {
		for program := range programs {
			all.Go(func() {
				c := &caller{load: l, user: user, era: []era{legacy, modern}[(user+program)%2], random: rand.New(rand.NewPCG(uint64(user), uint64(program)))}
				defer c.leave()
				if err := work(ctx, c); err != nil {
					stop(err) // the first says enough
				}
			})
		}
	}
	all.Wait()
	return context.Cause(ctx)
}

// together makes a call while another one of the same user is at the server, which must
// be refused.
func (l *load) together(ctx context.Context, c *caller) error {
	h := &held{make(chan struct{}), make(chan struct{})}
	l.mu.Lock()
	l.held[c.text(1)] = h
	l.mu.Unlock()
	first := make(chan error, 1)
	go func() { // ends when the call is released
		passed, err := c.call(ctx, "echo_user_0")
		if err == nil && !passed {
			err = fmt.Errorf("the only call of user %d was refused", c.user)
		}
		first <- err
	}()
	select {
	case <-h.arrived:
	case err := <-first:
		return err
	}
	other := &caller{load: l, user: c.user, era: c.era}
	other.calls = 1 // its texts are its own
	defer other.leave()
	passed, err := other.call(ctx, "echo_user_1")
	close(h.release)
	if err == nil && passed {
		err = fmt.Errorf("user %d made two calls at once", c.user)
	}
	return errors.Join(err, <-first)
}

// mixed calls tools in any order until that is enough. Whoever sees that a restart is
// due makes it; the others go on.
func (l *load) mixed(ctx context.Context, c *caller) error {
	for {
		for _, i := range c.random.Perm(len(l.tools)) {
			done := l.progress(l.attempts.Add(1))
			if done >= 1 {
				return nil
			}
			if n := l.stage.Load(); int(n) < len(l.restarts) && done >= l.restarts[n].at && l.stage.CompareAndSwap(n, n+1) {
				if err := l.again(l.restarts[n].kill); err != nil {
					return err
				}
			}
			if _, err := c.call(ctx, l.tools[i]); err != nil {
				return err
			}
		}
	}
}

// sweep calls each tool until it is refused.
func (l *load) sweep(ctx context.Context, c *caller) error {
	for _, tool := range l.tools {
		for passed := true; passed; {
			var err error
			if passed, err = c.call(ctx, tool); err != nil {
				return err
			}
		}
	}
	return nil
}

// again restarts the gateway, by asking it to end or by killing it.
func (l *load) again(kill bool) error {
	if kill {
		if err := l.gateway.cmd.Process.Kill(); err != nil {
			return err
		}
		<-l.gateway.ended
	}
	l.gateway.close()
	if !kill && l.gateway.cmd.ProcessState.ExitCode() != 0 {
		return fmt.Errorf("the gateway ended with %v", l.gateway.cmd.ProcessState)
	}
	return l.launch()
}

// caller is one program of a user.
type caller struct {
	load    *load
	user    int
	era     era
	random  *rand.Rand
	session *session // nil while there is none
	calls   int
	broke   int // connections, during a call
}

// leave hangs up. It ends no session: a gateway that has been restarted knows none.
func (c *caller) leave() {
	if c.session != nil {
		_ = c.session.conn.Close() // nothing is lost with it
		c.session = nil
	}
}

// mostBroken is how many connections of a program may break: one in use for each
// restart, and those that the kernel took for a gateway that was about to end.
const mostBroken = 10

// call calls a tool and reports whether that passed. A connection that breaks is made
// anew; what became of the call on it is not known.
func (c *caller) call(ctx context.Context, tool string) (passed bool, err error) {
	c.rated(tool)
	for {
		if c.session == nil {
			if err := c.connect(ctx); err != nil {
				return false, err
			}
		}
		h, answer, err := c.send(tool)
		switch {
		case err != nil:
			c.leave()
			c.load.broken.Add(1)
			if c.broke++; c.broke > mostBroken {
				return false, fmt.Errorf("user %d lost too many connections: %w", c.user, err)
			}
		case h.status == 404: // a session from before the restart
			c.leave()
		case h.closing:
			defer c.leave()
			fallthrough
		default:
			return c.judge(h, answer)
		}
	}
}

// rated notes when the user first and last asked for what the rate is about.
func (c *caller) rated(tool string) {
	if shareOf(tool) != "rate" {
		return
	}
	l, now := c.load, time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first[c.user].IsZero() {
		l.first[c.user] = now
	}
	l.final[c.user] = now
}

// connect tries until the gateway is there.
func (c *caller) connect(ctx context.Context) error {
	ctx, stop := context.WithTimeoutCause(ctx, startTimeout, errors.New("nobody answers"))
	defer stop()
	t := &target{name: gatehouse, address: c.load.address, path: "/mcp/stub", key: c.load.keys[c.user]}
	for {
		s, err := connect(t, work{c.era, "echo", markBytes}, c.user)
		if err == nil {
			c.session = s
			return nil
		}
		if errors.Is(err, errUnexpected) {
			return err
		}
		if late := sleepUntil(ctx, time.Now().Add(10*time.Millisecond)); late != nil {
			return fmt.Errorf("%w: %w", late, err)
		}
	}
}

// text is what the n-th call sends.
func (c *caller) text(n int) string { return string(append(appendMark(nil, c.user, n), padding...)) }

// padding makes calls of an ordinary size.
const padding = "Both gauges were read at noon, and neither had moved since the evening before; the harbour office noted that."

func (c *caller) send(tool string) (head, []byte, error) {
	c.calls++
	s := c.session
	s.work.tool = tool
	s.setHead(wire.MethodToolsCall)
	s.body = fmt.Appendf(s.body[:0], `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{%s"name":%q,"arguments":{"text":"`, c.calls, metaOf(c.era), tool)
	s.body = append(append(s.body, c.text(c.calls)...), `","amount":`+amount+`}}}`...)
	if err := s.conn.SetDeadline(time.Now().Add(overtime)); err != nil {
		return head{}, nil, err
	}
	return s.post(s.body)
}

// judge tells a call that passed from one that a quota refused. Everything else is
// wrong.
func (c *caller) judge(h head, answer []byte) (passed bool, err error) {
	m, err := wire.Parse(answer, wire.Limits{Bytes: maxBody})
	if err != nil || h.status != 200 || m.ID != wire.ID(strconv.Itoa(c.calls)) {
		return false, unexpected(h, answer)
	}
	if m.Result.At("_meta", "gatehouse/refusal", "reason").Text() == "quota-exceeded" {
		c.load.refused.Add(1)
		return false, nil
	}
	for block := range m.Result.Get("content").Items() {
		if block.Get("text").Text() == c.text(c.calls) {
			return true, nil
		}
	}
	return false, unexpected(h, answer)
}

// tally is what came of one share.
type tally struct {
	name                   string
	want, counted, arrived int  // counted is by the gateway, arrived by the server
	countedTold            bool // whether the gateway can tell
}

// tallies compares what was counted and what arrived with what must have passed.
func (l *load) tallies(ctx context.Context) ([]tally, error) {
	list := exec.CommandContext(ctx, l.binary, "quota", "list", "--config", l.config(), "--json")
	raw, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("gatehouse quota list: %w", err)
	}
	var usage []struct{ Quota, Used string }
	if err := json.Unmarshal(raw, &usage); err != nil {
		return nil, err
	}
	hundredths := map[string]int{}
	for _, u := range usage {
		f, err := strconv.ParseFloat(u.Used, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is used %q", u.Quota, u.Used)
		}
		hundredths[u.Quota] += int(f*100 + 0.5)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []tally
	for _, s := range l.shares {
		t := tally{name: s.name, want: s.passes, arrived: l.arrived[s.name]}
		if s.name == "rate" {
			t.want += l.cameBack()
		}
		for i, q := range s.quotas {
			if q.unit == 0 {
				continue
			}
			n := hundredths[fmt.Sprintf("%s-%d", s.name, i)] / q.unit
			if t.countedTold && n != t.counted {
				return nil, fmt.Errorf("the quotas of %s counted %d and %d calls", s.name, t.counted, n)
			}
			t.counted, t.countedTold = n, true
		}
		all = append(all, t)
	}
	return all, nil
}

// cameBack is how many calls became possible since each user used up the burst.
func (l *load) cameBack() int {
	n := 0
	for user, first := range l.first {
		n += int(l.final[user].Sub(first).Seconds() * l.perSecond)
	}
	return n
}

// check reports everything that is not as it must be, to the call; a rate of which
// something comes back during the run, within 1 %. A call whose connection broke
// may have been counted without reaching the server, and nothing else may.
func (l *load) check(all []tally) error {
	var errs []error
	lost := 0
	for _, t := range all {
		wrong := max(t.arrived-t.want, t.want-t.arrived) * 100
		switch {
		case t.countedTold && t.counted != t.want:
			errs = append(errs, fmt.Errorf("%s: %d calls were counted, want %d", t.name, t.counted, t.want))
		case t.countedTold && t.arrived > t.counted:
			errs = append(errs, fmt.Errorf("%s: %d calls reached the server, and %d were counted", t.name, t.arrived, t.counted))
		case !t.countedTold && l.perSecond > 0 && wrong > t.want:
			errs = append(errs, fmt.Errorf("%s: %d calls passed, want %d within 1 %%", t.name, t.arrived, t.want))
		case !t.countedTold && l.perSecond == 0 && t.arrived > t.want:
			errs = append(errs, fmt.Errorf("%s: %d calls passed, want %d", t.name, t.arrived, t.want))
		}
		if t.countedTold || l.perSecond == 0 { // it is known to the call what must have passed
			lost += max(0, t.want-t.arrived)
		}
	}
	if lost > int(l.broken.Load()) {
		errs = append(errs, fmt.Errorf("%d calls were counted and not made, and only %d connections broke", lost, l.broken.Load()))
	}
	if int(l.stage.Load()) != len(l.restarts) {
		errs = append(errs, fmt.Errorf("%d restarts, want %d", l.stage.Load(), len(l.restarts)))
	}
	return errors.Join(errs...)
}

// quotasFor is a long run.
func (o options) quotasFor(ctx context.Context, dir string, out io.Writer) error {
	f := &field{dir: dir, binary: o.binary}
	if err := f.build(ctx); err != nil {
		return err
	}
	began := time.Now()
	size := max(1, int(o.quotas.Seconds()/3)) // so that the bounds are reached towards the end
	l := newLoad(dir, size, "60/m", 1, func(int64) float64 { return time.Since(began).Seconds() / o.quotas.Seconds() })
	l.binary = f.binary
	fmt.Fprintf(out, "%d users in %d teams call %d tools for %v; the gateway is restarted once and killed once\n\n", userCount, teamCount, len(l.tools), o.quotas)
	if err := l.run(ctx); err != nil {
		return err
	}
	all, err := l.tallies(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "quota by\tallowed\tcounted\treached the server\toff\t")
	for _, t := range all {
		counted := "–"
		if t.countedTold {
			counted = strconv.Itoa(t.counted)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%.2f %%\t\n", t.name, t.want, counted, t.arrived, 100*float64(t.arrived-t.want)/float64(t.want))
	}
	fmt.Fprintf(w, "\n%d calls were refused; %d connections broke during a call.\n", l.refused.Load(), l.broken.Load())
	return errors.Join(w.Flush(), l.check(all))
}
