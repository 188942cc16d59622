package limit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
	"gatehouse/internal/wire"
)

// fakeClock is a clock that a test sets.
type fakeClock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *fakeClock { return &fakeClock{at: time.Date(2026, 12, 14, 9, 0, 0, 0, time.UTC)} }

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// configOf is a configuration with the quotas of a file.
func configOf(t testing.TB, quotas string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	text := "servers: {pay: {command: [x]}, files: {command: [x]}}\n" + quotas
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newLimiter(t testing.TB, store Store, quotas string) *Limiter {
	t.Helper()
	l, err := New(configOf(t, quotas), store)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func arguments(t testing.TB, text string) wire.Value {
	t.Helper()
	doc, err := wire.Scan([]byte(text), wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root
}

// call is a call of a tool; edit changes it.
func call(edit func(*Subject)) *Subject {
	s := &Subject{User: "user:idp/ann", Teams: []string{"finance"}, Client: "ide", Server: "pay", Kind: "tool", Name: "pay_invoice", Method: "tools/call"}
	if edit != nil {
		edit(s)
	}
	return s
}

// take takes and ends at once.
func take(t testing.TB, l *Limiter, s *Subject) *Exceeded {
	t.Helper()
	g, err := l.Take(context.Background(), s)
	if err != nil {
		return exceeded(t, err)
	}
	if err := g.Done(0, false); err != nil {
		t.Fatal(err)
	}
	return nil
}

func exceeded(t testing.TB, err error) *Exceeded {
	t.Helper()
	var e *Exceeded
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want *Exceeded", err)
	}
	return e
}

// allowed counts how many of n calls pass.
func allowed(t testing.TB, l *Limiter, n int, s *Subject) (passed int) {
	t.Helper()
	for range n {
		if take(t, l, s) == nil {
			passed++
		}
	}
	return passed
}

func Test_a_rate_allows_its_burst_and_then_its_rate(t *testing.T) {
	clock := newClock()
	l := newLimiter(t, InMemory(clock.now), "quotas: {q: {by: [user], rate: 60/m, burst: 10}}")
	if got := allowed(t, l, 15, call(nil)); got != 10 {
		t.Errorf("%d at once, want the burst of 10", got)
	}
	e := take(t, l, call(nil))
	if e == nil || e.RetryAfter != time.Second || e.Quota != "q" || e.Counter != "rate" {
		t.Fatalf("got %+v", e)
	}
	if want := "it allows 60 requests a minute. Wait 1 second before you call again; every try before that is refused"; e.Sentence() != want {
		t.Errorf("the model reads %q", e.Sentence())
	}
	clock.advance(time.Second - 1)
	if take(t, l, call(nil)) == nil {
		t.Error("one nanosecond early, and it passed")
	}
	clock.advance(1)
	if e := take(t, l, call(nil)); e != nil {
		t.Errorf("after RetryAfter: %v", e)
	}
	if got := allowed(t, l, 15, call(func(s *Subject) { s.User = "user:idp/bob" })); got != 10 {
		t.Errorf("another user got %d, want 10", got)
	}
	clock.advance(time.Hour)
	if got := allowed(t, l, 15, call(nil)); got != 10 {
		t.Errorf("after an hour %d at once, want 10", got)
	}
}

func Test_a_refusal_takes_nothing_from_the_other_quotas(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {first: {per_day: 100}, second: {by: [user], per_day: 2, concurrent: 5}, third: {rate: 1000/s}}")
	if got := allowed(t, l, 50, call(nil)); got != 2 {
		t.Fatalf("%d passed, want 2", got)
	}
	for _, u := range usage(t, l) {
		if (u.Counter == perDay || u.Counter == rate) && u.Used != "2" {
			t.Errorf("%s %s: used %s, want 2", u.Quota, u.Counter, u.Used)
		}
	}
}

func usage(t testing.TB, l *Limiter) []Usage {
	t.Helper()
	list, err := l.Usage(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func Test_what_is_counted_together(t *testing.T) {
	base := `{"to":"a","order":{"id":7}}`
	tests := []struct {
		by       string
		together []func(*Subject)
		apart    []func(*Subject)
	}{
		{"[]", []func(*Subject){func(s *Subject) { s.User, s.Server = "x", "files" }}, nil},
		{"[user]", []func(*Subject){func(s *Subject) { s.Name = "x" }}, []func(*Subject){func(s *Subject) { s.User = "x" }}},
		{"[client]", []func(*Subject){func(s *Subject) { s.User = "x" }}, []func(*Subject){func(s *Subject) { s.Client = "x" }}},
		{"[server]", []func(*Subject){func(s *Subject) { s.Name = "x" }}, []func(*Subject){func(s *Subject) { s.Server = "files" }}},
		{"[tool]", []func(*Subject){func(s *Subject) { s.User = "x" }}, []func(*Subject){func(s *Subject) { s.Name = "x" }, func(s *Subject) { s.Server = "files" }}},
		{"[user, tool]", nil, []func(*Subject){func(s *Subject) { s.Name = "x" }, func(s *Subject) { s.User = "x" }, func(s *Subject) { s.User = "" }}},
		{"[team]", []func(*Subject){func(s *Subject) { s.User = "x" }, func(s *Subject) { s.Teams = []string{"a", "finance"} }}, []func(*Subject){func(s *Subject) { s.Teams = []string{"a"} }, func(s *Subject) { s.Teams = nil }}},
		{"[arguments.to]", []func(*Subject){func(s *Subject) { s.Arguments = arguments(t, `{"to":"\u0061"}`) }}, []func(*Subject){func(s *Subject) { s.Arguments = arguments(t, `{"to":["a"]}`) }, func(s *Subject) { s.Arguments = wire.Value{} }}},
		{"[arguments.order.id]", []func(*Subject){func(s *Subject) { s.Arguments = arguments(t, `{"order":{"id":7.0}}`) }, func(s *Subject) { s.Arguments = arguments(t, `{"order":{"id":70e-1}}`) }}, []func(*Subject){func(s *Subject) { s.Arguments = arguments(t, `{"order":{"id":"7"}}`) }}},
	}
	for _, test := range tests {
		try := func(edit func(*Subject)) bool {
			l := newLimiter(t, InMemory(newClock().now), "quotas: {q: {by: "+test.by+", per_day: 1}}")
			if e := take(t, l, call(func(s *Subject) { s.Arguments = arguments(t, base) })); e != nil {
				t.Fatal(e)
			}
			return take(t, l, call(func(s *Subject) { s.Arguments = arguments(t, base); edit(s) })) == nil
		}
		for i, edit := range test.together {
			if try(edit) {
				t.Errorf("by %s: together %d is counted apart", test.by, i)
			}
		}
		for i, edit := range test.apart {
			if !try(edit) {
				t.Errorf("by %s: apart %d is counted together", test.by, i)
			}
		}
	}
}

func Test_every_team_of_a_user_must_have_room(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {q: {by: [team], per_day: 1, when: {teams: [fin*, ops]}}}")
	both := call(func(s *Subject) { s.Teams = []string{"finance", "finance", "ops", "other"} })
	if e := take(t, l, both); e != nil {
		t.Fatal(e)
	}
	if len(usage(t, l)) != 2 {
		t.Errorf("counted %v, want once for finance and once for ops", usage(t, l))
	}
	for _, team := range []string{"finance", "ops"} {
		if take(t, l, call(func(s *Subject) { s.Teams = []string{team} })) == nil {
			t.Errorf("%s had room left", team)
		}
	}
	if got := allowed(t, l, 5, call(func(s *Subject) { s.Teams = []string{"other"} })); got != 5 {
		t.Errorf("a team that the quota is not about: %d of 5", got)
	}
}

func Test_what_a_quota_is_about(t *testing.T) {
	tests := []struct {
		when string
		edit func(*Subject)
		want bool
	}{
		{"{}", nil, true},
		{"{}", func(s *Subject) { s.Method, s.Kind, s.Name = "resources/read", "resource", "file:///a" }, true},
		{"{}", func(s *Subject) { s.Method = "tools/list" }, false},
		{"{methods: ['*']}", func(s *Subject) { s.Method = "tools/list" }, true},
		{"{methods: [sampling/createMessage]}", nil, false},
		{"{methods: [sampling/createMessage]}", func(s *Subject) { s.Method = "sampling/createMessage" }, true},
		{"{servers: [p*]}", nil, true},
		{"{servers: [files]}", nil, false},
		{"{tools: [pay_*]}", nil, true},
		{"{tools: [pay_*], methods: ['*']}", func(s *Subject) { s.Method, s.Kind = "prompts/get", "prompt" }, false},
		{"{users: ['user:idp/*']}", nil, true},
		{"{users: ['key:*']}", nil, false},
		{"{clients: [ide]}", nil, true},
		{"{clients: [cli]}", nil, false},
		{"{teams: [finance]}", nil, true},
		{"{teams: [finance]}", func(s *Subject) { s.Teams = nil }, false},
	}
	for _, test := range tests {
		l := newLimiter(t, InMemory(newClock().now), "quotas: {q: {per_day: 1, when: "+test.when+"}}")
		if got := allowed(t, l, 2, call(test.edit)) == 1; got != test.want {
			t.Errorf("%s: about it %v, want %v", test.when, got, test.want)
		}
	}
}

func Test_concurrent_requests(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {q: {by: [user], concurrent: 2}}")
	ctx := context.Background()
	first, err := l.Take(ctx, call(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Take(ctx, call(nil)); err != nil {
		t.Fatal(err)
	}
	_, err = l.Take(ctx, call(nil))
	if e := exceeded(t, err); e.Counter != concurrent || !strings.Contains(e.Sentence(), "it allows 2 requests at once. Wait until one") {
		t.Errorf("got %s", e.Sentence())
	}
	for range 3 { // only the first Done counts
		if err := first.Done(10, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Take(ctx, call(nil)); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	if _, err := l.Take(ctx, call(nil)); err == nil {
		t.Error("a second Done made room for another one")
	}
}

func Test_days_and_months_begin_in_the_time_zone(t *testing.T) {
	clock := newClock()
	clock.at = time.Date(2026, 10, 24, 21, 59, 0, 0, time.UTC) // 23:59 in Berlin, before the day of 25 hours
	l := newLimiter(t, InMemory(clock.now), "time_zone: Europe/Berlin\nquotas: {day: {per_day: 1}, month: {per_month: 3}}")
	if e := take(t, l, call(nil)); e != nil {
		t.Fatal(e)
	}
	e := take(t, l, call(nil))
	if e == nil || e.RetryAfter != time.Minute || e.Sentence() != "it allows 1 request a day; 0 requests left. Wait 60 seconds before you call again; every try before that is refused" {
		t.Errorf("got %v", e)
	}
	clock.advance(time.Minute)
	if e := take(t, l, call(nil)); e != nil {
		t.Errorf("a new day: %v", e)
	}
	clock.advance(25*time.Hour - 1)
	if take(t, l, call(nil)) == nil {
		t.Error("the day of 25 hours ended early")
	}
	clock.advance(1)
	if e := take(t, l, call(nil)); e != nil {
		t.Errorf("the third day: %v", e)
	}
	clock.advance(24 * time.Hour)
	if e := take(t, l, call(nil)); e == nil || e.Quota != "month" || !strings.Contains(e.Sentence(), "in 5 days; tell the user") {
		t.Errorf("got %v, want the month to be used up", e)
	}
	clock.advance(5 * 24 * time.Hour)
	if e := take(t, l, call(nil)); e != nil {
		t.Errorf("a new month: %v", e)
	}
}

func Test_bytes_of_requests_and_answers(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {q: {by: [user], bytes_per_day: 1000}}")
	sized := func(n int) *Subject { return call(func(s *Subject) { s.Bytes = n }) }
	g, err := l.Take(context.Background(), sized(400))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Done(500, false); err != nil {
		t.Fatal(err)
	}
	if e := take(t, l, sized(101)); e == nil || !strings.Contains(e.Sentence(), "1000 bytes a day; 100 bytes left; this asks for 101 bytes. Ask for less, or wait 15 hours") {
		t.Errorf("got %v", e)
	}
	g, err = l.Take(context.Background(), sized(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Done(1<<20, false); err != nil { // an answer may go beyond
		t.Fatal(err)
	}
	if take(t, l, sized(1)) == nil {
		t.Error("after the budget was used up one more passed")
	}
	if e := take(t, l, sized(1001)); e == nil || e.RetryAfter != 0 {
		t.Errorf("more than a whole day's: %+v, want that waiting does not help", e)
	}
}

func Test_sums_are_exact_and_need_a_number(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {q: {by: [user], sum: {argument: order.amount, per_day: 1}}}")
	pay := func(amount string) *Exceeded {
		return take(t, l, call(func(s *Subject) { s.Arguments = arguments(t, `{"order":{"amount":`+amount+`}}`) }))
	}
	for i := range 10 {
		if e := pay("0.1"); e != nil {
			t.Fatalf("tenth %d: %v", i+1, e)
		}
	}
	if e := pay("1e-18"); e == nil || !strings.Contains(e.Sentence(), "it allows 1 of order.amount a day; 0 of order.amount left") {
		t.Errorf("got %v", e)
	}
	if e := pay("0"); e != nil {
		t.Errorf("nothing: %v", e)
	}
	for _, wrong := range []string{"-0.5", `"0.5"`, "null", "true", "[1]", `{"a":1}`, "1e-19", "1e99"} {
		if e := pay(wrong); e == nil || e.RetryAfter != 0 || !strings.Contains(e.Sentence(), "the argument order.amount must be a number") {
			t.Errorf("%s: %v", wrong, e)
		}
	}
	for _, without := range []string{`{}`, `{"order":{}}`, `{"order":5}`, `{"order.amount":1}`, `{"Order":{"amount":1}}`} {
		if e := take(t, l, call(func(s *Subject) { s.Arguments = arguments(t, without) })); e == nil || !strings.Contains(e.Sentence(), "it is missing") {
			t.Errorf("%s: %v", without, e)
		}
	}
	if take(t, l, call(nil)) == nil {
		t.Error("no arguments at all, and it passed")
	}
}

func Test_sampling_is_counted_by_its_tokens(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {wallet: {by: [user, server], when: {methods: [sampling/createMessage]}, sum: {argument: maxTokens, per_day: 1000}}}")
	ask := func(tokens string) *Exceeded {
		return take(t, l, call(func(s *Subject) {
			s.Method, s.Kind, s.Name = "sampling/createMessage", "", ""
			s.Arguments = arguments(t, `{"messages":[],"maxTokens":`+tokens+`}`)
		}))
	}
	if e := ask("600"); e != nil {
		t.Fatal(e)
	}
	if e := ask("600"); e == nil || e.Quota != "wallet" {
		t.Errorf("got %v", e)
	}
	if e := ask("400"); e != nil {
		t.Errorf("what is left: %v", e)
	}
	if got := allowed(t, l, 3, call(nil)); got != 3 {
		t.Errorf("calls of tools: %d of 3", got)
	}
}

func Test_a_loop_of_the_same_call_ends(t *testing.T) {
	clock := newClock()
	l := newLimiter(t, InMemory(clock.now), "quotas: {q: {by: [user], loop: {same_call: 3, within: 1m}}}")
	same := []string{`{"a":1,"b":[2]}`, ` {"b":[2], "a":1}`, `{"a":1,"b":[2],"_meta":{"progressToken":7}}`}
	try := func(text string) *Exceeded {
		return take(t, l, call(func(s *Subject) { s.Arguments = arguments(t, text) }))
	}
	for _, text := range same {
		if e := try(text); e != nil {
			t.Fatal(e)
		}
	}
	clock.advance(20 * time.Second)
	e := try(same[0])
	if e == nil || e.RetryAfter != 40*time.Second || !strings.HasPrefix(e.Sentence(), "exactly this was asked 3 times within 60 seconds. Do not repeat it") {
		t.Fatalf("got %v", e)
	}
	if e := try(`{"a":2,"b":[2]}`); e != nil {
		t.Errorf("other arguments: %v", e)
	}
	if e := take(t, l, call(func(s *Subject) { s.Name, s.Arguments = "other", arguments(t, same[0]) })); e != nil {
		t.Errorf("another tool: %v", e)
	}
	clock.advance(40 * time.Second)
	if e := try(same[0]); e != nil {
		t.Errorf("after a minute: %v", e)
	}
}

func Test_a_run_of_failures_ends(t *testing.T) {
	clock := newClock()
	l := newLimiter(t, InMemory(clock.now), "quotas: {q: {by: [user], loop: {failures: 3, within: 1m}}}")
	n := 0
	try := func(failed bool) error {
		n++
		g, err := l.Take(context.Background(), call(func(s *Subject) { s.Arguments = arguments(t, fmt.Sprintf(`{"n":%d}`, n)) }))
		if err != nil {
			return err
		}
		return g.Done(0, failed)
	}
	for _, failed := range []bool{true, true, false, true, true, true} {
		if err := try(failed); err != nil {
			t.Fatal(err)
		}
	}
	e := exceeded(t, try(true))
	if e.RetryAfter != time.Minute || !strings.HasPrefix(e.Sentence(), "this failed 3 times in a row. Do not try it again") {
		t.Errorf("got %v", e)
	}
	clock.advance(time.Minute)
	if err := try(true); err != nil {
		t.Errorf("after a minute: %v", err)
	}
}

func Test_a_quota_that_reports_lets_pass_and_says_so(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {soft: {per_day: 1, mode: report}, money: {sum: {argument: n, per_day: 1}, mode: report}, hard: {per_day: 3}}")
	var would []string
	for range 3 {
		g, err := l.Take(context.Background(), call(nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range g.Would {
			would = append(would, e.Quota)
		}
	}
	if diff := cmp.Diff([]string{"money", "money", "soft", "money", "soft"}, would); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e := take(t, l, call(nil)); e == nil || e.Quota != "hard" {
		t.Errorf("got %v, want hard", e)
	}
}

func Test_the_longest_wait_is_told(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {short: {rate: 1/s}, long: {per_day: 1}, middle: {rate: 1/m}}")
	if e := take(t, l, call(nil)); e != nil {
		t.Fatal(e)
	}
	if e := take(t, l, call(nil)); e == nil || e.Quota != "long" || e.RetryAfter != 15*time.Hour || e.Seconds() != 15*3600 {
		t.Errorf("got %+v", e)
	}
}

func Test_setting_the_clock_back_gives_nothing_twice(t *testing.T) {
	clock := newClock()
	dir := t.TempDir()
	quotas := "quotas: {day: {by: [user], per_day: 3}, rate: {by: [user], rate: 3/h}}"
	store := open(t, dir, clock)
	l := newLimiter(t, store, quotas)
	if got := allowed(t, l, 5, call(nil)); got != 3 {
		t.Fatalf("%d, want 3", got)
	}
	clock.advance(25 * time.Hour) // the next day: everything is forgotten
	if got := allowed(t, l, 5, call(nil)); got != 3 {
		t.Fatalf("%d the next day, want 3", got)
	}
	clock.advance(-25 * time.Hour)
	if got := allowed(t, l, 5, call(nil)); got != 0 {
		t.Errorf("%d after the clock was set back", got)
	}
	if store.Behind() != 25*time.Hour {
		t.Errorf("behind by %v", store.Behind())
	}
	closeStore(t, store)
	l = newLimiter(t, open(t, dir, clock), quotas)
	if got := allowed(t, l, 5, call(nil)); got != 0 {
		t.Errorf("%d after a restart with the clock set back", got)
	}
	if got := allowed(t, l, 5, call(func(s *Subject) { s.User = "x" })); got != 3 {
		t.Errorf("somebody else got %d, want 3", got)
	}
}

func Test_a_reload_keeps_what_was_used(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {q: {by: [tool, user], per_day: 10}}")
	if got := allowed(t, l, 4, call(nil)); got != 4 {
		t.Fatal(got)
	}
	if err := l.Reload(configOf(t, "quotas: {q: {by: [user, tool], per_day: 5}}")); err != nil {
		t.Fatal(err)
	}
	if got := allowed(t, l, 4, call(nil)); got != 1 {
		t.Errorf("%d more, want 1", got)
	}
	if err := l.Reload(configOf(t, "")); err != nil {
		t.Fatal(err)
	}
	if got := allowed(t, l, 4, call(nil)); got != 4 {
		t.Errorf("without quotas %d of 4", got)
	}
}

func Test_too_many_keys_refuse_new_ones_and_keep_the_old(t *testing.T) {
	if testing.Short() {
		t.Skip("fills the bound")
	}
	clock := newClock()
	l := newLimiter(t, InMemory(clock.now), "quotas: {q: {by: [user], per_day: 2}, soft: {by: [user], per_day: 2, mode: report}, other: {per_day: 1000000}}")
	for i := range maxKeys {
		if e := take(t, l, call(func(s *Subject) { s.User = fmt.Sprint(i) })); e != nil {
			t.Fatal(e)
		}
	}
	e := take(t, l, call(func(s *Subject) { s.User = "new" }))
	if e == nil || e.Quota != "q" || e.RetryAfter == 0 || !strings.Contains(e.Sentence(), "too many different callers") {
		t.Fatalf("got %v", e)
	}
	if got := allowed(t, l, 3, call(func(s *Subject) { s.User = "5" })); got != 1 {
		t.Errorf("somebody who is counted already got %d, want 1", got)
	}
	clock.advance(24 * time.Hour)
	if e := take(t, l, call(func(s *Subject) { s.User = "new" })); e != nil {
		t.Errorf("when the others are full again: %v", e)
	}
}

func Test_a_store_that_fails_refuses(t *testing.T) {
	store := InMemory(newClock().now)
	l := newLimiter(t, store, "quotas: {q: {per_day: 5}}")
	closeStore(t, store)
	if _, err := l.Take(context.Background(), call(nil)); err == nil {
		t.Error("granted by a store that is closed")
	}
}

func Test_usage_says_whose_and_until_when(t *testing.T) {
	l := newLimiter(t, InMemory(newClock().now), "quotas: {q: {by: [user, tool, arguments.to], rate: 60/m, per_day: 5, sum: {argument: amount, per_month: 10.5}}}")
	if e := take(t, l, call(func(s *Subject) { s.Arguments = arguments(t, `{"to":"a","amount":2.25}`) })); e != nil {
		t.Fatal(e)
	}
	by := []Part{{"argument", "sha256:ac8d8342bbb2362d13f0a559a3621bb4"}, {"server", "pay"}, {"kind", "tool"}, {"name", "pay_invoice"}, {"user", "user:idp/ann"}}
	want := []Usage{
		{"q", perDay, by, "1", "5", time.Date(2026, 12, 15, 0, 0, 0, 0, time.UTC)},
		{"q", rate, by, "1", "60", time.Date(2026, 12, 14, 9, 0, 1, 0, time.UTC)},
		{"q", sumPerMonth, by, "2.25", "10.5", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	if diff := cmp.Diff(want, usage(t, l)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
