package limit

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/statefile"
)

func open(t testing.TB, dir string, clock *fakeClock) *Embedded {
	t.Helper()
	s, err := Open(dir, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s *Embedded) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// crash is a folder with what a process that was killed at this moment leaves.
func crash(t testing.TB, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	return folderWith(t, raw)
}

func folderWith(t testing.TB, journal []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalName), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

const keptQuotas = "quotas: {day: {by: [user], per_day: 1000}, bytes: {by: [user], bytes_per_day: 1MiB}, money: {by: [user], sum: {argument: amount, per_month: 100}}, slow: {by: [user], rate: 30/m}, fast: {by: [user], rate: 100/s}}"

func Test_a_crash_loses_nothing_of_quotas_and_sums(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	l := newLimiter(t, open(t, dir, clock), keptQuotas)
	pay := call(func(s *Subject) { s.Bytes, s.Arguments = 100, arguments(t, `{"amount":0.3}`) })
	for n := range 30 {
		g, err := l.Take(context.Background(), pay)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Done(11, false); err != nil {
			t.Fatal(err)
		}
		again := newLimiter(t, open(t, crash(t, dir), clock), keptQuotas)
		used := map[string]string{}
		for _, u := range usage(t, again) {
			used[u.Quota] = u.Used
		}
		sum := fmt.Sprintf("%d.%d", (n+1)*3/10, (n+1)*3%10)
		want := map[string]string{"day": fmt.Sprint(n + 1), "bytes": fmt.Sprint((n + 1) * 111), "money": strings.TrimSuffix(sum, ".0"), "slow": fmt.Sprint(n + 1)}
		for quota, want := range want {
			if used[quota] != want {
				t.Fatalf("after %d calls and a crash %s has used %s, want %s", n+1, quota, used[quota], want)
			}
		}
	}
}

// A rate of more than one a second may lag behind by what it gives in a second.
func Test_a_crash_gives_back_at_most_a_second_of_a_rate(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	l := newLimiter(t, open(t, dir, clock), "quotas: {q: {rate: 10/s, burst: 100}}")
	if got := allowed(t, l, 200, call(nil)); got != 100 {
		t.Fatal(got)
	}
	again := newLimiter(t, open(t, crash(t, dir), clock), "quotas: {q: {rate: 10/s, burst: 100}}")
	if got := allowed(t, again, 200, call(nil)); got > 10 {
		t.Errorf("%d more after a crash, want at most 10", got)
	}
}

func Test_an_orderly_restart_is_exact(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	quotas := "quotas: {q: {rate: 10/s, burst: 100}, d: {per_day: 150}}"
	store := open(t, dir, clock)
	if got := allowed(t, newLimiter(t, store, quotas), 95, call(nil)); got != 95 {
		t.Fatal(got)
	}
	closeStore(t, store)
	l := newLimiter(t, open(t, dir, clock), quotas)
	if got := allowed(t, l, 200, call(nil)); got != 5 {
		t.Errorf("%d more after a restart, want 5", got)
	}
	clock.advance(time.Minute)
	if got := allowed(t, l, 200, call(nil)); got != 50 {
		t.Errorf("%d more a minute later, want 50 of the day", got)
	}
}

// A record that a crash tore was not granted; what stands before it counts.
func Test_a_torn_tail_is_recovered_at_every_byte(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	quotas := "quotas: {day: {by: [user], per_day: 1000}}"
	store := open(t, dir, clock)
	l := newLimiter(t, store, quotas)
	if got := allowed(t, l, 4, call(nil)); got != 4 {
		t.Fatal(got)
	}
	before := store.journal.end
	if got := allowed(t, l, 1, call(nil)); got != 1 {
		t.Fatal(got)
	}
	raw, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	end := store.journal.end
	for cut := before; cut <= end; cut++ {
		for name, journal := range map[string][]byte{
			"cut":   raw[:cut],
			"zeros": append(append([]byte{}, raw[:cut]...), make([]byte, 100)...),
			"junk":  append(append([]byte{}, raw[:cut]...), []byte("\x20\x00 a piece of something else that stood there")...),
		} {
			list, err := ReadUsage(folderWith(t, journal), configOf(t, quotas), clock.now())
			want := "4"
			if cut == end {
				want = "5"
			}
			if err != nil || len(list) != 1 || list[0].Used != want {
				t.Fatalf("%s after %d of %d bytes: %v, %v; want %s used", name, cut-before, end-before, list, err, want)
			}
		}
	}
	again := newLimiter(t, open(t, folderWith(t, raw[:end-1]), clock), quotas)
	if e := take(t, again, call(nil)); e != nil || usage(t, again)[0].Used != "5" {
		t.Errorf("after recovery: %v, %v", e, usage(t, again))
	}
}

// What is on disk for sure must be what was written there, or nobody knows what
// was used.
func Test_a_damaged_journal_refuses_to_open(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	store := open(t, dir, clock)
	if got := allowed(t, newLimiter(t, store, "quotas: {day: {by: [user], per_day: 1000}}"), 3, call(nil)); got != 3 {
		t.Fatal(got)
	}
	closeStore(t, store)
	raw, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	end := int(binary.LittleEndian.Uint32(raw[markAt:]))
	refused := func(name string, journal []byte) {
		t.Helper()
		dir := folderWith(t, journal)
		s, err := Open(dir, clock.now)
		if err == nil {
			closeStore(t, s)
			t.Fatalf("%s: opened", name)
		}
		for _, want := range []string{filepath.Join(dir, journalName), "is damaged at byte", "move the file away"} {
			if !strings.Contains(err.Error(), want) {
				t.Fatalf("%s: %v, want %q", name, err, want)
			}
		}
		if after, err := os.ReadFile(filepath.Join(dir, journalName)); err != nil || string(after) != string(journal) {
			t.Fatalf("%s: the file was changed", name)
		}
	}
	for i := range end {
		changed := append([]byte{}, raw...)
		changed[i] ^= 1
		refused(fmt.Sprintf("byte %d changed", i), changed)
		refused(fmt.Sprintf("cut to %d bytes", i), raw[:i])
	}
}

func Test_two_gateways_do_not_count_in_one_folder(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	first := open(t, dir, clock)
	if _, err := Open(dir, clock.now); !errors.Is(err, statefile.ErrLocked) || !strings.Contains(err.Error(), "another gateway counts there") {
		t.Errorf("got %v", err)
	}
	closeStore(t, first)
	open(t, dir, clock)
}

func Test_the_journal_stays_small(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	store := open(t, dir, clock)
	l := newLimiter(t, store, "quotas: {day: {by: [user], per_day: 1000000}}")
	calls := 2 * minJournal / 80
	for i := range calls {
		if e := take(t, l, call(func(s *Subject) { s.User = users[i%len(users)] })); e != nil {
			t.Fatal(e)
		}
	}
	if store.generation.Load() == 0 {
		t.Error("it was never written anew")
	}
	info, err := os.Stat(filepath.Join(dir, journalName))
	if err != nil || info.Size() > minJournal {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	total := 0
	for _, u := range usage(t, newLimiter(t, open(t, crash(t, dir), clock), "quotas: {day: {by: [user], per_day: 1000000}}")) {
		n, _ := strconv.Atoi(u.Used)
		total += n
	}
	if total != calls {
		t.Errorf("%d calls are kept, want %d", total, calls)
	}
}

// A journal that somebody moves away is written anew within a second of use.
func Test_a_journal_that_is_moved_away_comes_back(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	store := open(t, dir, clock)
	l := newLimiter(t, store, "quotas: {day: {per_day: 10}}")
	if e := take(t, l, call(nil)); e != nil {
		t.Fatal(e)
	}
	path := filepath.Join(dir, journalName)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := store.journal.sync(store.Now()); err != nil {
		t.Fatal(err)
	}
	if e := take(t, l, call(nil)); e != nil {
		t.Fatal(e)
	}
	list, err := ReadUsage(dir, configOf(t, "quotas: {day: {per_day: 10}}"), clock.now())
	if err != nil || len(list) != 1 || list[0].Used != "2" {
		t.Errorf("%v, %v", list, err)
	}
}

// If not even a new journal can be written, nothing is granted.
func Test_what_cannot_be_kept_is_not_granted(t *testing.T) {
	clock, dir := newClock(), filepath.Join(t.TempDir(), "quotas")
	store, err := Open(dir, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	l := newLimiter(t, store, "quotas: {day: {per_day: 10}}")
	if e := take(t, l, call(nil)); e != nil {
		t.Fatal(e)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := store.journal.sync(store.Now()); err != nil { // nothing to sync yet
		t.Fatal(err)
	}
	if _, err := l.Take(context.Background(), call(nil)); err == nil {
		t.Error("granted without a place to keep it")
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if e := take(t, l, call(nil)); e != nil {
		t.Errorf("when it is back: %v", e)
	}
}

// Where files cannot be mapped the journal is written with system calls.
func Test_a_journal_that_is_not_mapped(t *testing.T) {
	clock, dir := newClock(), t.TempDir()
	store := open(t, dir, clock)
	if err := statefile.Unmap(store.journal.memory); err != nil {
		t.Fatal(err)
	}
	store.journal.memory = nil
	l := newLimiter(t, store, keptQuotas)
	pay := call(func(s *Subject) { s.Arguments = arguments(t, `{"amount":1}`) })
	if got := allowed(t, l, 7, pay); got != 7 {
		t.Fatal(got)
	}
	if err := store.journal.sync(store.Now()); err != nil {
		t.Fatal(err)
	}
	if got := allowed(t, l, 2, pay); got != 2 {
		t.Fatal(got)
	}
	list, err := ReadUsage(crash(t, dir), configOf(t, keptQuotas), clock.now())
	if err != nil || len(list) < 3 || list[0].Quota != "day" || list[0].Used != "9" {
		t.Errorf("%v, %v", list, err)
	}
}

// The test starts itself again as a process that grants and says so, and kills it.
func Test_a_process_that_is_killed_loses_nothing_that_it_granted(t *testing.T) {
	if dir := os.Getenv("GATEHOUSE_TEST_QUOTAS"); dir != "" {
		grantUntilKilled(t, dir)
		return
	}
	for range 3 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "GATEHOUSE_TEST_QUOTAS="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		granted, lines := 0, bufio.NewScanner(out)
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				if granted = n; n == 500+rand.IntN(500) || n > 1500 {
					break
				}
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				granted = n
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
		list, err := ReadUsage(dir, configOf(t, "quotas: {day: {per_day: 1000000}}"), time.Now())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if used, _ := strconv.Atoi(list[0].Used); granted == 0 || used < granted || used > granted+1 {
			t.Errorf("it said that %d were granted, %d are kept", granted, used)
		}
	}
}

func grantUntilKilled(t *testing.T, dir string) {
	store, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newLimiter(t, store, "quotas: {day: {per_day: 1000000}}")
	for n := 1; ; n++ {
		if _, err := l.Take(context.Background(), call(nil)); err != nil {
			t.Fatal(err)
		}
		fmt.Println(n)
	}
}

// mixed is the load of a team: everybody has a rate and a budget for each tool, and
// all of them share a rate, a budget and money.
const mixed = `quotas:
  each: {by: [user, tool], rate: 6/m, burst: 2}
  budget: {by: [user, tool], per_day: 7}
  all: {rate: 300/s, burst: 300}
  month: {per_month: 17000}
  money: {by: [tool], sum: {argument: amount, per_day: 40}}
  busy: {by: [user], concurrent: 2}
`

// 100 users × 50 tools × a minute: what passes is what the quotas say, and no
// restart in the middle, orderly or not, gives anything twice.
func Test_a_minute_of_mixed_load_is_exact_over_restarts(t *testing.T) {
	dir := t.TempDir()
	c := configOf(t, mixed)
	subjects := make([]*Subject, 0, 5000)
	for u := range 100 {
		for tool := range 50 {
			subjects = append(subjects, call(func(s *Subject) {
				s.User, s.Name, s.Arguments = users[u], fmt.Sprintf("tool_%d", tool), arguments(t, `{"amount":0.125}`)
			}))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		passed := map[string]int{}
		total := 0
		for part := range 6 { // ten seconds each, then a restart
			store, err := Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			l, err := New(c, store)
			if err != nil {
				t.Fatal(err)
			}
			var workers sync.WaitGroup
			for w := range 8 {
				workers.Go(func() {
					random := rand.New(rand.NewPCG(uint64(part), uint64(w)))
					for range 1000 {
						s := subjects[random.IntN(len(subjects))]
						g, err := l.Take(context.Background(), s)
						time.Sleep(5 * time.Millisecond)
						if err == nil {
							if err := g.Done(10, false); err != nil {
								t.Error(err)
							}
							mu.Lock()
							passed[s.User+" "+s.Name]++
							passed[s.Name]++
							total++
							mu.Unlock()
						} else if !errors.As(err, new(*Exceeded)) {
							t.Error(err)
						}
						time.Sleep(5 * time.Millisecond)
					}
				})
			}
			workers.Wait()
			if part%2 == 0 {
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
				continue
			}
			dir = crash(t, dir)
			store.Close()
		}
		elapsed := time.Since(start)
		if elapsed != time.Minute {
			t.Fatalf("it took %v", elapsed)
		}
		most := 0
		for key, n := range passed {
			if strings.Contains(key, " ") {
				most = max(most, n)
			} else if n > 320 { // 40 of money in eighths
				t.Errorf("%s paid %d times, want at most 320", key, n)
			}
		}
		if most > 7 {
			t.Errorf("somebody called a tool %d times, want at most 7", most)
		}
		// 800 tries a second of 300 that may pass: money ends it at 50 × 320 calls.
		if want := 16_000; total < want-want/100 || total > want {
			t.Errorf("%d passed, want %d within 1 %%", total, want)
		}
	})
}

// A steady stream far above the rate gets the rate and the burst, neither more nor
// less, whoever else calls at the same time.
func Test_a_rate_is_exact_under_load(t *testing.T) {
	c := configOf(t, "quotas: {each: {by: [user], rate: 600/m, burst: 20}}")
	synctest.Test(t, func(t *testing.T) {
		l, err := New(c, InMemory(nil))
		if err != nil {
			t.Fatal(err)
		}
		passed := make([]int, 100)
		var workers sync.WaitGroup
		for u := range passed {
			workers.Go(func() {
				s := call(func(s *Subject) { s.User = users[u] })
				for range 6000 {
					if g, err := l.Take(context.Background(), s); err == nil {
						passed[u]++
						if err := g.Done(0, false); err != nil {
							t.Error(err)
						}
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		workers.Wait()
		for u, n := range passed {
			if want := 620; n < want-want/100 || n > want {
				t.Errorf("user %d: %d passed in a minute, want %d within 1 %%", u, n, want)
			}
		}
	})
}
