// Package limit decides how much may be used: rates, requests at once, budgets of
// requests, bytes and money, and what a model does over and over. Everything that a
// quota bounds must leave room, or the request is refused and takes nothing.
package limit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/wire"
)

// Subject is what a request is counted by. The zero value of a field is a value
// like any other: whoever has no team shares the quotas of all without one.
type Subject struct {
	User   string   // id of the principal
	Teams  []string // sorted
	Client string   // OAuth client id
	Server string   // id; "" where it is about no single server
	Kind   string   // of Name: tool, prompt, resource
	Name   string   // as the server knows it
	Method string   // of MCP

	// Arguments are the member arguments of the parameters of a tool or prompt, and
	// the parameters of all other methods.
	Arguments wire.Value
	Answers   wire.Value // that a request brings to what was asked of its client
	Bytes     int        // of the request
}

// Limiter counts what is used. Its methods may be called from any goroutine.
type Limiter struct {
	store Store
	live  atomic.Pointer[plan]
	pool  sync.Pool // of *taken
}

// New counts by the quotas of a configuration; store is closed by the caller.
func New(c *config.Config, store Store) (*Limiter, error) {
	l := &Limiter{store: store}
	l.pool.New = func() any { return &taken{keys: make([]byte, 0, 2<<10)} }
	return l, l.Reload(c)
}

// Reload puts the quotas of another configuration in force. What was used under the
// name of a quota stays used.
func (l *Limiter) Reload(c *config.Config) error {
	p, err := newPlan(c)
	if err != nil {
		return fmt.Errorf("reading the quotas: %w", err)
	}
	l.live.Store(p)
	return nil
}

// maxTakes bounds the counters of one request. Only somebody in hundreds of teams
// that are counted one by one needs more, and each is work for every request.
const maxTakes = 1000

// Take takes what the request uses from every quota that is about it, or nothing:
// then the error is an *Exceeded. Any other error must refuse too. What was granted
// must be ended by Grant.Done.
func (l *Limiter) Take(ctx context.Context, s *Subject) (Grant, error) {
	p := l.live.Load()
	if len(p.quotas) == 0 {
		return Grant{}, nil
	}
	t := l.pool.Get().(*taken)
	grant, err := l.take(ctx, p, t, s)
	if grant.taken == nil {
		t.free(&l.pool)
	}
	return grant, err
}

func (l *Limiter) take(ctx context.Context, p *plan, t *taken, s *Subject) (Grant, error) {
	now := l.store.Now()
	ends := p.ends(now)
	var would []*Exceeded
	for i := range p.quotas {
		q := &p.quotas[i]
		if !q.about(s) {
			continue
		}
		if err := t.ask(q, s, now, ends); err != nil {
			if !q.Report {
				return Grant{}, err
			}
			would = append(would, err)
		}
	}
	if len(t.takes) == 0 {
		return Grant{Would: would}, nil
	}
	if len(t.takes) > maxTakes {
		return Grant{}, fmt.Errorf("counting a request: more than %d quotas are about it", maxTakes)
	}
	granted, err := l.store.Take(ctx, now, t.takes)
	if full, ok := errors.AsType[*crowdedError](err); ok {
		return Grant{}, &Exceeded{Quota: full.quota, Counter: crowded, RetryAfter: time.Minute}
	}
	if err != nil {
		return Grant{}, fmt.Errorf("counting a request: %w", err)
	}
	if !granted {
		return Grant{}, t.worst()
	}
	for i := range t.takes {
		if t.takes[i].Exceeded {
			would = append(would, t.exceeded(i))
		}
	}
	grant := Grant{Would: would}
	if t.open() {
		grant.limiter, grant.taken, grant.generation = l, t, t.generation.Load()
	}
	return grant, nil
}

// Grant is what Take granted. The zero Grant is nothing.
type Grant struct {
	Would []*Exceeded // of quotas that only report: what they would have refused

	limiter    *Limiter
	taken      *taken
	generation uint64
}

// Done ends the use: it gives back what is counted while it lasts, adds the bytes of
// the answer, and takes down whether the request failed. After an error nothing more
// is granted where it matters; it is for the log. A second call does nothing.
func (g Grant) Done(answerBytes int, failed bool) error {
	if g.taken == nil || !g.taken.generation.CompareAndSwap(g.generation, g.generation+1) {
		return nil
	}
	t, l := g.taken, g.limiter
	defer t.free(&l.pool)
	now := l.store.Now()
	ends := l.live.Load().ends(now)
	t.settle(now, ends, answerBytes, failed)
	if len(t.takes) == 0 {
		return nil
	}
	if err := l.store.Settle(context.Background(), now, t.takes); err != nil {
		return fmt.Errorf("counting an answer: %w", err)
	}
	return nil
}

// taken is the working memory of one request, used again by others after it.
type taken struct {
	generation atomic.Uint64 // how many requests were ended
	keys       []byte        // what the keys are made in
	takes      []Take
	of         []*counter // the counter of each take
	digest     [sha256.Size]byte
	digested   bool
}

func (t *taken) free(pool *sync.Pool) {
	clear(t.takes)
	t.keys, t.takes, t.of, t.digested = t.keys[:0], t.takes[:0], t.of[:0], false
	pool.Put(t)
}

// ask adds what one quota bounds, once for each team if it counts by team.
func (t *taken) ask(q *quota, s *Subject, now Instant, ends periods) *Exceeded {
	var sum Amount
	if q.sum != nil {
		var err *Exceeded
		if sum, err = q.sumOf(s); err != nil {
			return err
		}
	}
	if !q.byTeam || len(s.Teams) == 0 {
		t.askFor(q, s, "", sum, now, ends)
		return nil
	}
	for i, team := range s.Teams {
		if i > 0 && s.Teams[i-1] == team || !config.Matches(q.When.Teams, team) {
			continue
		}
		t.askFor(q, s, team, sum, now, ends)
	}
	return nil
}

func (t *taken) askFor(q *quota, s *Subject, team string, sum Amount, now Instant, ends periods) {
	shared := len(t.keys)
	t.keys = q.appendDimensions(t.keys, s, team)
	end := len(t.keys)
	for i := range q.counters {
		c := &q.counters[i]
		start := len(t.keys)
		t.keys = append(append(t.keys, c.prefix...), t.keys[shared:end]...)
		take := Take{Kind: c.kind, Limit: c.limit, Interval: c.interval, Burst: c.burst, Report: q.Report, Amount: Count(1)}
		switch c.what {
		case perDay:
			take.Ends = ends.day
		case perMonth:
			take.Ends = ends.month
		case bytesPerDay:
			take.Amount, take.Ends = Count(int64(s.Bytes)), ends.day
		case bytesPerMonth:
			take.Amount, take.Ends = Count(int64(s.Bytes)), ends.month
		case sumPerDay:
			take.Amount, take.Ends = sum, ends.day
		case sumPerMonth:
			take.Amount, take.Ends = sum, ends.month
		case sameCall:
			t.keys = appendTarget(t.keys, s)
			t.keys = append(t.keys, t.argumentsDigest(s)...)
			take.Ends = now.Wall + int64(q.Loop.Within)
		case failures:
			t.keys = appendTarget(t.keys, s)
			take.Ends, take.Check = now.Wall+int64(q.Loop.Within), true
		}
		take.Key = t.keys[start:len(t.keys):len(t.keys)]
		t.takes, t.of = append(t.takes, take), append(t.of, c)
	}
}

// argumentsDigest is that of the arguments in canonical form, computed once.
func (t *taken) argumentsDigest(s *Subject) []byte {
	if !t.digested {
		t.digest, t.digested = digestArguments(s.Arguments), true
		if s.Answers.Exists() {
			t.digest = sha256.Sum256(append(t.digest[:], wire.Canonical(s.Answers.Raw())...))
		}
	}
	return t.digest[:16]
}

// digestArguments leaves out _meta, in which each try has a token of its own.
func digestArguments(v wire.Value) [sha256.Size]byte {
	if v.Kind() != '{' {
		return sha256.Sum256(v.Raw())
	}
	var members [][]byte
	for name, member := range v.Members() {
		if name != "_meta" {
			members = append(members, append(wire.AppendString(nil, name), wire.Canonical(member.Raw())...))
		}
	}
	slices.SortFunc(members, bytes.Compare)
	return sha256.Sum256(bytes.Join(members, []byte{','}))
}

// open reports whether something is to be settled when the request ends.
func (t *taken) open() bool {
	for i := range t.takes {
		if !t.takes[i].Exceeded && t.of[i].settles() {
			return true
		}
	}
	return false
}

// settle keeps those of the takes that end with the request.
func (t *taken) settle(now Instant, ends periods, answerBytes int, failed bool) {
	kept := t.takes[:0]
	for i, take := range t.takes {
		switch {
		case take.Exceeded || !t.of[i].settles():
			continue
		case t.of[i].what == failures:
			take.Ends, take.Amount = now.Wall+t.of[i].within, Amount{}
			if failed {
				take.Amount = Count(1)
			}
		case t.of[i].kind != Concurrent:
			if answerBytes <= 0 {
				continue
			}
			take.Amount, take.Ends = Count(int64(answerBytes)), ends.day
			if t.of[i].what == bytesPerMonth {
				take.Ends = ends.month
			}
		}
		kept = append(kept, take)
	}
	t.takes = kept
}

// worst is the quota that makes the caller wait longest: whoever waited for another
// one would be refused again.
func (t *taken) worst() *Exceeded {
	var worst *Exceeded
	for i := range t.takes {
		if !t.takes[i].Exceeded || t.takes[i].Report {
			continue
		}
		if e := t.exceeded(i); worst == nil || worst.RetryAfter != 0 && (e.RetryAfter == 0 || e.RetryAfter > worst.RetryAfter) {
			worst = e
		}
	}
	return worst
}

func (t *taken) exceeded(i int) *Exceeded {
	take, c := &t.takes[i], t.of[i]
	e := &Exceeded{Quota: c.quota, Counter: c.what, RetryAfter: take.Wait, counter: c, used: take.Used, asked: take.Amount}
	switch {
	case c.kind == Concurrent:
		e.RetryAfter = time.Second // somebody's request may end at any time
	case c.kind != Rate && take.Limit.less(take.Amount):
		e.RetryAfter = 0
	}
	return e
}

// plan is the quotas of one configuration.
type plan struct {
	quotas   []quota
	zone     *time.Location
	calendar atomic.Pointer[calendar]
}

// periods says when the day and the month end, as Instant.Wall.
type periods struct{ day, month int64 }

// calendar is the periods of one day.
type calendar struct {
	begins int64
	periods
}

// ends is computed once a day.
func (p *plan) ends(now Instant) periods {
	if c := p.calendar.Load(); c != nil && c.begins <= now.Wall && now.Wall < c.day {
		return c.periods
	}
	t := time.Unix(0, now.Wall).In(p.zone)
	year, month, day := t.Date()
	c := &calendar{
		begins:  time.Date(year, month, day, 0, 0, 0, 0, p.zone).UnixNano(),
		periods: periods{time.Date(year, month, day+1, 0, 0, 0, 0, p.zone).UnixNano(), time.Date(year, month+1, 1, 0, 0, 0, 0, p.zone).UnixNano()},
	}
	p.calendar.Store(c)
	return c.periods
}

func newPlan(c *config.Config) (*plan, error) {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil, err
	}
	p := &plan{zone: zone}
	for _, each := range c.Quotas {
		q, err := newQuota(each)
		if err != nil {
			return nil, fmt.Errorf("quota %s: %w", each.Name, err)
		}
		p.quotas = append(p.quotas, q)
	}
	return p, nil
}

// quota is a quota of the configuration with what it counts.
type quota struct {
	config.Quota
	byTeam   bool
	by       []dimension
	sum      []string // path of the argument that is summed up
	counters []counter
}

// dimension is one of Quota.By.
type dimension struct {
	tag  byte
	path []string // of an argument
}

// counter is one thing that a quota bounds.
type counter struct {
	quota           string
	what            What
	kind            Kind
	prefix          []byte // of its keys
	limit           Amount
	interval, burst int64
	per             time.Duration // of a rate
	rate            int
	within          int64
	argument        string // of a sum
}

// settles tells the counters that change when a request ends.
func (c *counter) settles() bool {
	return c.kind == Concurrent || c.what == bytesPerDay || c.what == bytesPerMonth || c.what == failures
}

// What names what is bounded, as in the configuration.
type What string

const (
	rate          What = "rate"
	concurrent    What = "concurrent"
	perDay        What = "per_day"
	perMonth      What = "per_month"
	bytesPerDay   What = "bytes_per_day"
	bytesPerMonth What = "bytes_per_month"
	sumPerDay     What = "sum.per_day"
	sumPerMonth   What = "sum.per_month"
	sameCall      What = "loop.same_call"
	failures      What = "loop.failures"
	crowded       What = "keys"
)

func newQuota(c config.Quota) (quota, error) {
	q := quota{Quota: c, byTeam: slices.Contains(c.By, config.ByTeam)}
	for _, by := range c.By {
		d := dimension{tag: tags[by]}
		if name, ok := strings.CutPrefix(by, config.ByArgument); ok {
			d = dimension{tag: argumentTag, path: strings.Split(name, ".")}
		}
		q.by = append(q.by, d)
	}
	// One order whatever the file has, so that turning it round forgets nothing.
	slices.SortFunc(q.by, func(a, b dimension) int {
		return cmp.Or(cmp.Compare(a.tag, b.tag), slices.Compare(a.path, b.path))
	})
	add := func(what What, kind Kind, limit Amount) {
		if limit.isZero() {
			return
		}
		prefix := append(append([]byte(c.Name), 0), what...)
		q.counters = append(q.counters, counter{quota: c.Name, what: what, kind: kind, prefix: append(prefix, 0), limit: limit, within: int64(c.Loop.Within)})
	}
	if c.Rate.Count > 0 {
		add(rate, Rate, Count(int64(c.Rate.Count)))
		r := &q.counters[0]
		r.rate, r.per, r.burst = c.Rate.Count, c.Rate.Per, int64(c.Rate.Burst)
		r.interval = max(1, int64(c.Rate.Per)/int64(c.Rate.Count))
	}
	add(concurrent, Concurrent, Count(int64(c.Concurrent)))
	add(perDay, Window, Count(c.PerDay))
	add(perMonth, Window, Count(c.PerMonth))
	add(bytesPerDay, Window, Count(c.BytesPerDay))
	add(bytesPerMonth, Window, Count(c.BytesPerMonth))
	if c.Sum.Argument != "" {
		q.sum = strings.Split(c.Sum.Argument, ".")
		for _, each := range []struct {
			what What
			text string
		}{{sumPerDay, c.Sum.PerDay}, {sumPerMonth, c.Sum.PerMonth}} {
			if each.text == "" {
				continue
			}
			most, err := parseAmount(each.text)
			if err != nil {
				return q, fmt.Errorf("%s: %w", each.what, err)
			}
			add(each.what, Window, most)
			q.counters[len(q.counters)-1].argument = c.Sum.Argument
		}
	}
	add(sameCall, Passing, Count(int64(c.Loop.SameCall)))
	add(failures, Passing, Count(int64(c.Loop.Failures)))
	return q, nil
}

// about reports whether the quota is about the request.
func (q *quota) about(s *Subject) bool {
	w := &q.When
	if !config.Matches(w.Methods, s.Method) || !config.Matches(w.Servers, s.Server) || !config.Matches(w.Users, s.User) || !config.Matches(w.Clients, s.Client) {
		return false
	}
	if len(w.Tools) > 0 && (s.Kind != kindTool || !config.Matches(w.Tools, s.Name)) {
		return false
	}
	return len(w.Teams) == 0 || slices.ContainsFunc(s.Teams, func(team string) bool { return config.Matches(w.Teams, team) })
}

const kindTool = "tool"

// sumOf is the number that the request adds. One that has none could stand for any
// amount.
func (q *quota) sumOf(s *Subject) (Amount, *Exceeded) {
	v := s.Arguments.At(q.sum...)
	why := "it is missing"
	if v.Exists() {
		why = errNumber.Error()
	}
	if v.Kind() == '0' {
		a, err := parseAmount(v.Raw())
		if err == nil {
			return a, nil
		}
		why = err.Error()
	}
	what := sumPerDay
	if q.Sum.PerDay == "" {
		what = sumPerMonth
	}
	return Amount{}, &Exceeded{Quota: q.Name, Counter: what, unreadable: fmt.Sprintf("the argument %s must be a number, and %s", q.Sum.Argument, why)}
}

// tags stand before the parts of a key, so that a client is never taken for a user
// of the same name.
var tags = map[string]byte{config.ByUser: 'u', config.ByTeam: 't', config.ByClient: 'c', config.ByServer: 's', config.ByTool: 'n'}

const argumentTag = 'a'

// maxPart bounds a part of a key that is kept as it is; of a longer one a digest is.
const maxPart = 200

func (q *quota) appendDimensions(key []byte, s *Subject, team string) []byte {
	for _, d := range q.by {
		switch d.tag {
		case 'u':
			key = appendPart(key, 'u', s.User)
		case 't':
			key = appendPart(key, 't', team)
		case 'c':
			key = appendPart(key, 'c', s.Client)
		case 's':
			key = appendPart(key, 's', s.Server)
		case 'n':
			key = appendTarget(key, s)
		default:
			key = appendArgument(key, s.Arguments.At(d.path...))
		}
	}
	return key
}

// appendTarget is what is used: a tool of one server is not that of another one.
func appendTarget(key []byte, s *Subject) []byte {
	key = appendPart(key, 's', s.Server)
	kind := s.Kind
	if kind == "" {
		kind = s.Method
	}
	return appendPart(appendPart(key, 'k', kind), 'n', s.Name)
}

func appendPart(key []byte, tag byte, part string) []byte {
	if len(part) > maxPart {
		sum := sha256.Sum256([]byte(part))
		part = fmt.Sprintf("sha256:%x", sum)
	}
	return append(append(append(key, tag), byte(len(part))), part...)
}

// appendArgument adds a digest of the value, because it may be a secret. Numbers
// that are equal are one value, however they are written.
func appendArgument(key []byte, v wire.Value) []byte {
	var sum [sha256.Size]byte
	switch v.Kind() {
	case 0:
		return append(key, argumentTag, 0) // all that leave it out share one counter
	case '0':
		a, err := parseAmount(v.Raw())
		if err != nil {
			sum = sha256.Sum256(v.Raw())
			break
		}
		number := [17]byte{'#'}
		binary.BigEndian.PutUint64(number[1:], a.hi)
		binary.BigEndian.PutUint64(number[9:], a.lo)
		sum = sha256.Sum256(number[:])
	default:
		sum = sha256.Sum256(wire.Canonical(v.Raw()))
	}
	return append(append(key, argumentTag, 16), sum[:16]...)
}

// Exceeded is why a request is refused.
type Exceeded struct {
	Quota   string // name
	Counter What   // what of the quota leaves no room
	// RetryAfter is how long to wait; 0 if waiting does not help.
	RetryAfter time.Duration

	counter     *counter
	used, asked Amount
	unreadable  string // the number to sum up is none
}

// Seconds is RetryAfter as HTTP wants it, in whole seconds, rounded up.
func (e *Exceeded) Seconds() int {
	return int(math.Ceil(e.RetryAfter.Seconds()))
}

func (e *Exceeded) Error() string { return "quota " + e.Quota + ": " + e.Sentence() }

// Sentence tells the model what the bound is and what to do. It holds nothing of the
// request.
func (e *Exceeded) Sentence() string {
	if e.unreadable != "" {
		return e.unreadable + ". Give it and call again"
	}
	if e.Counter == crowded {
		return "too many different callers or values are counted at this moment. " + e.wait()
	}
	c := e.counter
	switch c.what {
	case rate:
		return fmt.Sprintf("it allows %d requests a %s. %s", c.rate, perWords[c.per], e.wait())
	case concurrent:
		return fmt.Sprintf("it allows %s at once. Wait until one that you began has ended, then call again", requests(c.limit))
	case sameCall:
		return fmt.Sprintf("exactly this was asked %s times within %s. Do not repeat it: change the arguments, use what you have, or ask the user. It is allowed again in %s", c.limit.digits(), short(time.Duration(c.within)), short(e.RetryAfter))
	case failures:
		return fmt.Sprintf("this failed %s times in a row. Do not try it again: find out why, or tell the user. It is allowed again in %s", c.limit.digits(), short(e.RetryAfter))
	}
	most, left := c.amount(c.limit), c.amount(c.limit.minus(e.used))
	text := fmt.Sprintf("it allows %s a %s; %s left", most, period(c.what), left)
	if e.RetryAfter == 0 {
		return text + "; this asks for " + c.amount(e.asked) + ". Ask for less, or tell the user"
	}
	if !e.used.less(c.limit) {
		return text + ". " + e.wait()
	}
	return text + "; this asks for " + c.amount(e.asked) + ". Ask for less, or wait " + short(e.RetryAfter)
}

var perWords = map[time.Duration]string{time.Second: "second", time.Minute: "minute", time.Hour: "hour", 24 * time.Hour: "day"}

func period(w What) string {
	if strings.HasSuffix(string(w), "month") {
		return "month"
	}
	return "day"
}

func requests(a Amount) string {
	if a == Count(1) {
		return "1 request"
	}
	return a.digits() + " requests"
}

// amount writes an amount in the unit of the counter.
func (c *counter) amount(a Amount) string {
	switch c.what {
	case bytesPerDay, bytesPerMonth:
		return a.digits() + " bytes"
	case sumPerDay, sumPerMonth:
		return a.decimal() + " of " + c.argument
	}
	return requests(a)
}

// wait says how long, and that it is of no use to try before.
func (e *Exceeded) wait() string {
	if e.RetryAfter > time.Hour {
		return "It is allowed again in " + short(e.RetryAfter) + "; tell the user"
	}
	return "Wait " + short(e.RetryAfter) + " before you call again; every try before that is refused"
}

// short writes a duration in the units that people use, rounded up.
func short(d time.Duration) string {
	seconds := int64(math.Ceil(d.Seconds()))
	unit := func(n int64, name string) string {
		if n == 1 {
			return "1 " + name
		}
		return fmt.Sprintf("%d %ss", n, name)
	}
	switch {
	case seconds < 120:
		return unit(seconds, "second")
	case seconds < 2*3600:
		return unit((seconds+59)/60, "minute")
	case seconds < 2*86400:
		return unit((seconds+3599)/3600, "hour")
	}
	return unit((seconds+86399)/86400, "day")
}
