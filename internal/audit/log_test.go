package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/finding"
	"gatehouse/internal/rule"

	"github.com/google/go-cmp/cmp"
)

func openLog(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func appendRecords(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if err := l.Append(&Record{Kind: Decided, Server: "files", Target: fmt.Sprintf("tool-%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// mustVerify returns the state of the only log in dir, which must be intact.
func mustVerify(t testing.TB, dir string) Chain {
	t.Helper()
	report, err := Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Chains) != 1 {
		t.Fatalf("%d logs, want 1", len(report.Chains))
	}
	if p := report.Chains[0].Problem; p != nil {
		t.Fatalf("tampered: %v", p)
	}
	return report.Chains[0]
}

func readAll(t testing.TB, dir string, f Filter) (list []*Record) {
	t.Helper()
	if err := Read(dir, f, func(r *Record) error { list = append(list, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

func fullRecord() *Record {
	return &Record{
		Kind: Ended, Exchange: "e1", Principal: "local:ann", Teams: []string{"data", `o"ps`}, Client: "client 1.0", Session: "s1", Mount: "/mcp",
		Server: "files", Method: "tools/call", Target: "read_file", Direction: ClientToServer,
		Decision: Deny, Reason: "rule-matched", Rule: "secret-exposed", Detail: "quote \" backslash \\ tab \t bell \a esc \x1b del \x7f c1 \u009b ok ä 漢",
		Findings:        []finding.Finding{{Rule: "secret-exposed", Severity: rule.High, Surface: "tool-result", Effect: "redacted"}},
		Asked:           &Asked{Name: "Ann", Means: "jwt", Issuer: "corp", TokenClient: "app", Scopes: []string{"a", "b"}, Address: "10.0.0.1", Score: 0.25, Conversation: []string{"untrusted"}},
		ArgumentsDigest: "sha256:00", ResultDigest: "sha256:11",
		Arguments: json.RawMessage(`{"path":"a"}`), Result: json.RawMessage(`{"n":123456789012345678901234567890}`),
		ArgumentsCut: true, ResultCut: true, BytesIn: 12, BytesOut: 34, Micros: 56,
	}
}

func Test_asked_without_anything_is_not_nothing(t *testing.T) {
	for want, asked := range map[string]*Asked{`"kind":"decided"`: nil, `"kind":"decided","asked":{}`: {}, `"kind":"decided","asked":{"score":0.5}`: {Score: 0.5}} {
		if got, err := appendBody(nil, &Record{Kind: Decided, Asked: asked}); err != nil || string(got) != want {
			t.Errorf("got %s (%v), want %s", got, err, want)
		}
	}
}

func Test_a_record_reads_back_as_written(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	want := fullRecord()
	if err := l.Append(want); err != nil {
		t.Fatal(err)
	}
	if want.Seq != 1 || want.Time.IsZero() {
		t.Errorf("seq %d, time %v: Append must set both", want.Seq, want.Time)
	}
	head := l.Head()
	closeLog(t, l)
	want.Hash = head.Hash
	want.Arguments = json.RawMessage(`"{\"path\":\"a\"}"`) // a part of a text is a text
	want.Result = json.RawMessage(`"{\"n\":123456789012345678901234567890}"`)
	if diff := cmp.Diff([]*Record{want}, readAll(t, dir, Filter{})); diff != "" {
		t.Error(diff)
	}
}

func Test_no_text_can_break_a_line(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	records := []*Record{
		{Kind: Decided, Detail: "two\nlines\r\n", Server: "bad \xff utf-8 \xc3"},
		{Kind: Decided, Arguments: json.RawMessage("{\n \"pretty\":\n 1}")},
		{Kind: Decided, Arguments: json.RawMessage("{\"cut in the mid\ndle")},
		{Kind: Decided, Result: json.RawMessage("1}\n{\"seq\":9")},
	}
	for _, r := range records {
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	mustVerify(t, dir)
	got := readAll(t, dir, Filter{})
	if len(got) != len(records) {
		t.Fatalf("%d records, want %d", len(got), len(records))
	}
	if want := "bad \ufffd utf-8 \ufffd"; got[0].Server != want || got[0].Detail != "two\nlines\r\n" {
		t.Errorf("got %q, %q", got[0].Server, got[0].Detail)
	}
	if want := "{  \"pretty\":  1}"; string(got[1].Arguments) != want {
		t.Errorf("got %s, want %s", got[1].Arguments, want)
	}
	if want := `"{\"cut in the mid\ndle"`; string(got[2].Arguments) != want {
		t.Errorf("got %s, want %s", got[2].Arguments, want)
	}
}

func Test_refused_records_leave_the_log_alone(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	for name, r := range map[string]*Record{
		"unknown kind": {Kind: "other"},
		"no kind":      {},
		"too large":    {Kind: Decided, Detail: strings.Repeat("x", MaxRecord)},
	} {
		if err := l.Append(r); !errors.Is(err, ErrRefused) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrRefused", name, err)
		}
	}
	largest := &Record{Kind: Decided, Detail: strings.Repeat("x", MaxRecord-lineOverhead-len(`"kind":"decided","detail":""`))}
	if err := l.Append(largest); err != nil {
		t.Errorf("largest record: %v", err)
	}
	closeLog(t, l)
	if c := mustVerify(t, dir); c.Last.Seq != 1 {
		t.Errorf("%d records, want 1", c.Last.Seq)
	}
	if got := readAll(t, dir, Filter{}); len(got) != 1 || got[0].Detail != largest.Detail {
		t.Error("the largest record does not read back")
	}
}

func Test_every_kind_of_the_list_is_taken(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{})
	for _, k := range Kinds() {
		if err := l.Append(&Record{Kind: k}); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}

func Test_every_kind_and_field_is_documented(t *testing.T) {
	page, err := os.ReadFile("../../docs/audit-log.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	for field := range reflect.TypeFor[Record]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	for _, name := range names {
		if !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("%s is not in docs/audit-log.md", name)
		}
	}
}

func Test_files_are_for_the_owner_only(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openLog(t, dir, Options{})
	appendRecords(t, l, 1)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if err := os.Chmod(filepath.Join(dir, keyName), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("a key that others can read was accepted")
	}
}

func Test_a_second_writer_is_told_who_holds_the_log(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	_, err := Open(dir, Options{})
	if want := fmt.Sprintf("process %d", os.Getpid()); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want ErrLocked that names %s", err, want)
	}
	closeLog(t, l)
	closeLog(t, openLog(t, dir, Options{}))
}

func Test_bad_options_are_refused(t *testing.T) {
	for _, o := range []Options{{Sync: "sometimes"}, {SegmentBytes: -1}} {
		if _, err := Open(t.TempDir(), o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func Test_the_chain_goes_on_over_segments_and_starts(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		l := openLog(t, dir, Options{SegmentBytes: 1000})
		appendRecords(t, l, 10)
		closeLog(t, l)
	}
	c := mustVerify(t, dir)
	if c.Last.Seq != 30 || c.Segments < 4 || c.Open || c.Signed != 30 {
		t.Errorf("got %+v", c)
	}
	for i, r := range readAll(t, dir, Filter{}) {
		if r.Seq != uint64(i+1) {
			t.Fatalf("record %d has seq %d", i, r.Seq)
		}
	}
}

func Test_concurrent_records_are_all_there_once(t *testing.T) {
	for _, mode := range []Sync{SyncInterval, SyncEach} {
		t.Run(string(mode), func(t *testing.T) {
			dir := t.TempDir()
			l := openLog(t, dir, Options{Sync: mode, SegmentBytes: 4000})
			const writers, each = 16, 20
			seen := make([][]uint64, writers)
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for range each {
						r := &Record{Kind: Decided, Exchange: fmt.Sprint(w)}
						if err := l.Append(r); err != nil {
							t.Error(err)
						}
						seen[w] = append(seen[w], r.Seq)
					}
				})
			}
			wg.Wait()
			closeLog(t, l)
			mustVerify(t, dir)
			got := make([][]uint64, writers)
			for _, r := range readAll(t, dir, Filter{}) {
				var w int
				fmt.Sscan(r.Exchange, &w)
				got[w] = append(got[w], r.Seq)
			}
			if diff := cmp.Diff(seen, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// gate is a file whose writes and syncs can be held, counted and made to fail.
type gate struct {
	file
	mu       sync.Mutex
	writes   int
	syncs    int
	short    int   // bytes that a failing write still writes
	failure  error // of WriteAt
	syncFail error
	entered  chan struct{}
	release  chan struct{}
}

func (g *gate) WriteAt(p []byte, off int64) (int, error) {
	g.mu.Lock()
	g.writes++
	failure, short := g.failure, g.short
	g.mu.Unlock()
	if g.entered != nil {
		g.entered <- struct{}{}
		<-g.release
	}
	if failure != nil {
		n, _ := g.file.WriteAt(p[:min(short, len(p))], off)
		return n, failure
	}
	return g.file.WriteAt(p, off)
}

func (g *gate) Sync() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.syncs++
	if g.syncFail != nil {
		return g.syncFail
	}
	return g.file.Sync()
}

func Test_records_that_wait_share_a_write(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{Sync: SyncEach})
	g := &gate{file: l.file, entered: make(chan struct{}), release: make(chan struct{})}
	l.file = g
	var wg sync.WaitGroup
	add := func() {
		wg.Go(func() {
			if err := l.Append(&Record{Kind: Decided}); err != nil {
				t.Error(err)
			}
		})
	}
	add()
	<-g.entered // the first holds the file; all others must gather behind it
	const others = 40
	for range others {
		add()
	}
	for waiting := 0; waiting < others; {
		l.mu.Lock()
		waiting = len(l.waiting)
		l.mu.Unlock()
	}
	g.release <- struct{}{}
	<-g.entered
	g.release <- struct{}{}
	wg.Wait()
	if g.writes != 2 || g.syncs != 2 {
		t.Errorf("%d writes and %d syncs for %d records, want 2 and 2", g.writes, g.syncs, others+1)
	}
	g.entered = nil
	closeLog(t, l)
	if c := mustVerify(t, dir); c.Last.Seq != others+1 {
		t.Errorf("%d records, want %d", c.Last.Seq, others+1)
	}
}

var errDisk = errors.New("no space left")

func Test_after_a_write_error_nothing_is_accepted_until_the_disk_is_back(t *testing.T) {
	for _, short := range []int{0, 1, 60, 1 << 20} {
		t.Run(fmt.Sprint(short), func(t *testing.T) {
			dir := t.TempDir()
			l := openLog(t, dir, Options{})
			appendRecords(t, l, 3)
			path := filepath.Join(dir, segmentName(1))
			l.file = &gate{file: l.file, failure: errDisk, short: short}
			if err := l.Append(&Record{Kind: Decided}); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errDisk) {
				t.Fatalf("got %v, want ErrUnavailable with its cause", err)
			}
			if c := mustVerify(t, dir); c.Last.Seq != 3 || c.Torn != 0 {
				t.Errorf("%+v: the refused record was not cut off", c)
			}
			// The disk stays away: opening the segment again does not work.
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := l.Append(&Record{Kind: Decided}); !errors.Is(err, ErrUnavailable) {
					t.Fatalf("got %v, want ErrUnavailable", err)
				}
			}
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
			appendRecords(t, l, 1)
			closeLog(t, l)
			mustVerify(t, dir)
			var kinds []Kind
			for _, r := range readAll(t, dir, Filter{}) {
				kinds = append(kinds, r.Kind)
			}
			if diff := cmp.Diff([]Kind{Decided, Decided, Decided, Recovered, Decided}, kinds); diff != "" {
				t.Error(diff)
			}
			if detail := readAll(t, dir, Filter{Kinds: []Kind{Recovered}})[0].Detail; !strings.Contains(detail, "3 records were refused") {
				t.Errorf("detail %q does not count the refused records", detail)
			}
		})
	}
}

func Test_a_head_that_cannot_be_written_makes_the_log_unavailable(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	whole := l.heads
	l.heads = &headFile{file: &gate{file: whole.file, failure: errDisk}, memory: bytes.Clone(whole.memory), sign: whole.sign}
	for range 2 {
		if err := l.Append(&Record{Kind: Decided}); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
	}
	l.heads = whole
	appendRecords(t, l, 1)
	closeLog(t, l)
	mustVerify(t, dir)
}

func Test_a_head_without_shared_memory_is_written_as_well(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	g := &gate{file: l.heads.file}
	l.heads = &headFile{file: g, memory: bytes.Clone(l.heads.memory), sign: l.heads.sign}
	for range 3 {
		appendRecords(t, l, 1)
		if c := mustVerify(t, dir); c.Signed != c.Last.Seq {
			t.Errorf("signed up to record %d of %d", c.Signed, c.Last.Seq)
		}
	}
	if g.writes != 3 {
		t.Errorf("%d writes of the head for 3 records", g.writes)
	}
	closeLog(t, l)
	mustVerify(t, dir)
	l = openLog(t, dir, Options{})
	appendRecords(t, l, 1)
	closeLog(t, l)
	mustVerify(t, dir)
}

func Test_a_failed_sync_is_an_error_and_the_data_is_written_again(t *testing.T) {
	t.Run("each", func(t *testing.T) {
		dir := t.TempDir()
		l := openLog(t, dir, Options{Sync: SyncEach})
		appendRecords(t, l, 2)
		l.file = &gate{file: l.file, syncFail: errDisk}
		if err := l.Append(&Record{Kind: Decided}); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		if c := mustVerify(t, dir); c.Last.Seq != 2 {
			t.Errorf("%d records, want 2: the third was refused", c.Last.Seq)
		}
		appendRecords(t, l, 1)
		closeLog(t, l)
		mustVerify(t, dir)
	})
	t.Run("interval", func(t *testing.T) {
		dir := t.TempDir()
		l := openLog(t, dir, Options{})
		appendRecords(t, l, 2)
		l.own(func() { l.file = &gate{file: l.file, syncFail: errDisk} })
		appendRecords(t, l, 1)
		l.syncOnce()
		if l.broken == nil {
			t.Fatal("a failed sync in the background was forgotten")
		}
		appendRecords(t, l, 1)
		if l.durable.seq < 3 {
			t.Errorf("durable up to %d: the three records were not written again", l.durable.seq)
		}
		closeLog(t, l)
		mustVerify(t, dir)
	})
}

func Test_data_changed_behind_the_writers_back_is_not_written_again(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	appendRecords(t, l, 1)
	l.syncOnce()
	appendRecords(t, l, 2)
	l.file = &gate{file: l.file, failure: errDisk}
	_ = l.Append(&Record{Kind: Decided})
	flip(t, filepath.Join(dir, segmentName(1)), l.end.offset-int64(hashTail)-3)
	if err := l.Append(&Record{Kind: Decided}); !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrUnavailable because of ErrDamaged", err)
	}
}

func Test_accepted_records_reach_the_disk_without_another_append(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, dir, Options{})
		appendRecords(t, l, 1)
		time.Sleep(SyncEvery)
		synctest.Wait()
		if l.durable != l.end || l.head.durable != 1 {
			t.Errorf("durable up to record %d, want 1", l.durable.seq)
		}
	})
}

func Test_a_closed_log_takes_nothing(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{})
	closeLog(t, l)
	closeLog(t, l)
	if err := l.Append(&Record{Kind: Stop}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func flip(t testing.TB, path string, offset int64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[offset] ^= 1
	if err := os.WriteFile(path, data, fileMode); err != nil {
		t.Fatal(err)
	}
}

func sample() *Record {
	return &Record{
		Kind: Decided, Exchange: "01J9Z3K8Q2", Principal: "local:ann", Client: "inspector 0.17.2", Session: "0f9c2d1e7b6a", Mount: "/mcp",
		Server: "files", Method: "tools/call", Target: "read_file", Direction: ClientToServer, Decision: Allow,
		ArgumentsDigest: "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
		Arguments:       json.RawMessage(`{"path":"workspace/reports/2026/november/summary.md","head":200}`), BytesIn: 214,
	}
}

func Benchmark_append(b *testing.B) {
	for _, mode := range []Sync{SyncInterval, SyncEach} {
		for _, writers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", mode, writers), func(b *testing.B) {
				l := openLog(b, b.TempDir(), Options{Sync: mode, SegmentBytes: 256 << 20})
				counter := &gate{file: l.file}
				l.file = counter
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						r := sample()
						for i := w; i < b.N; i += writers {
							if err := l.Append(r); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(counter.writes)/float64(b.N), "writes/record")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

func Benchmark_append_result(b *testing.B) {
	for _, size := range []int{10 << 10, 100 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l := openLog(b, b.TempDir(), Options{SegmentBytes: 1 << 30})
			r := sample()
			text, _ := json.Marshal(strings.Repeat("some text, ", size/11))
			r.Result = text
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if err := l.Append(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A start checks the last segment, so that costs what a full one costs.
func Benchmark_open(b *testing.B) {
	dir := b.TempDir()
	l := openLog(b, dir, Options{})
	for l.Head().Seq*700 < defaultSegmentBytes {
		if err := l.Append(sample()); err != nil {
			b.Fatal(err)
		}
	}
	closeLog(b, l)
	for b.Loop() {
		l, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		closeLog(b, l)
	}
}
