package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func Test_filters_select(t *testing.T) {
	dir := memoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, dir, Options{})
		for i, r := range []*Record{
			{Kind: Start},
			{Kind: Decided, Exchange: "e1", Principal: "ann", Server: "files", Target: "read", Decision: Allow},
			{Kind: Ended, Exchange: "e1", Principal: "ann", Server: "files", Target: "read"},
			{Kind: Decided, Exchange: "e2", Principal: "bob", Server: "mail", Target: "send", Decision: Deny, Reason: "rule-matched"},
			{Kind: Stop},
		} {
			if i > 0 {
				time.Sleep(time.Minute)
			}
			if err := l.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now().Add(-4 * time.Minute)
		for _, c := range []struct {
			name string
			f    Filter
			want []uint64
		}{
			{"all", Filter{}, []uint64{1, 2, 3, 4, 5}},
			{"server", Filter{Server: "files"}, []uint64{2, 3}},
			{"tool", Filter{Tool: "send"}, []uint64{4}},
			{"tool as the client calls it", Filter{Tool: "files__read"}, []uint64{2, 3}},
			{"principal", Filter{Principal: "bob"}, []uint64{4}},
			{"decision", Filter{Decision: Allow}, []uint64{2}},
			{"reason", Filter{Reason: "rule-matched"}, []uint64{4}},
			{"exchange", Filter{Exchange: "e1"}, []uint64{2, 3}},
			{"kinds", Filter{Kinds: []Kind{Start, Stop}}, []uint64{1, 5}},
			{"since", Filter{Since: start.Add(3 * time.Minute)}, []uint64{4, 5}},
			{"until", Filter{Until: start.Add(time.Minute)}, []uint64{1}},
			{"limit", Filter{Limit: 2}, []uint64{4, 5}},
			{"limit after the filter", Filter{Server: "files", Limit: 1}, []uint64{3}},
			{"several", Filter{Server: "files", Decision: Deny}, nil},
		} {
			var got []uint64
			for _, r := range readAll(t, dir, c.f) {
				got = append(got, r.Seq)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
	})
}

func Test_logs_are_read_in_the_order_of_their_times(t *testing.T) {
	dir := memoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		a := openLog(t, filepath.Join(dir, "a"), Options{SegmentBytes: 300})
		b := openLog(t, filepath.Join(dir, "b"), Options{})
		var want []string
		for i := range 12 {
			l := a
			if i%3 == 0 {
				l = b
			}
			time.Sleep(time.Millisecond)
			r := &Record{Kind: Session, Detail: fmt.Sprint(i)}
			if err := l.Append(r); err != nil {
				t.Fatal(err)
			}
			want = append(want, r.Detail)
		}
		var got []string
		for _, r := range readAll(t, dir, Filter{}) {
			got = append(got, r.Detail)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func Test_follow_goes_on_over_segments_and_new_logs(t *testing.T) {
	dir := memoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, filepath.Join(dir, "a"), Options{SegmentBytes: 300})
		appendRecords(t, l, 4)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan error, 1)
		go func() {
			done <- Follow(ctx, dir, Filter{Limit: 1}, func(r *Record) error {
				got = append(got, r.Target)
				return nil
			})
		}()
		synctest.Wait()
		appendRecords(t, l, 3)
		time.Sleep(2 * followEvery)
		appendRecords(t, openLog(t, filepath.Join(dir, "b"), Options{}), 1)
		time.Sleep(2 * followEvery)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := []string{"tool-3", "tool-0", "tool-1", "tool-2", "tool-0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func Test_follow_waits_for_the_rest_of_a_line(t *testing.T) {
	whole := shutLog(t)
	dir, name := memoryDir(t), segmentName(1)
	whole.put(t, dir)
	path := filepath.Join(dir, name)
	for _, first := range []string{segmentName(4), segmentName(7)} {
		if err := os.Remove(filepath.Join(dir, first)); err != nil {
			t.Fatal(err)
		}
	}
	c := &cursor{dir: dir}
	defer c.close()
	count := 0
	for size := range whole[name] {
		if err := os.WriteFile(path, whole[name][:size+1], fileMode); err != nil {
			t.Fatal(err)
		}
		if err := c.peek(); err != nil {
			t.Fatalf("at %d: %v", size, err)
		}
		if c.pending != nil {
			count, c.pending = count+1, nil
		}
	}
	if count != 3 {
		t.Errorf("%d records, want 3", count)
	}
}

func Test_records_are_not_left_out_in_silence(t *testing.T) {
	whole, dir := shutLog(t), memoryDir(t)
	for _, name := range []string{segmentName(1), segmentName(4)} {
		for what, data := range map[string][]byte{"missing": nil, "cut": whole[name][:300]} {
			whole.with(name, data).put(t, dir)
			if err := Read(dir, Filter{}, func(*Record) error { return nil }); err == nil {
				t.Errorf("%s %s: read without an error", name, what)
			}
		}
	}
	lines := bytes.SplitAfter(whole[segmentName(7)], []byte("\n"))
	again := append(append([]byte(nil), whole[segmentName(7)]...), lines[1]...)
	whole.with(segmentName(7), again).put(t, dir)
	if err := Read(dir, Filter{}, func(*Record) error { return nil }); err == nil || !strings.Contains(err.Error(), "record 8 is expected") {
		t.Errorf("a record twice: got %v, want an error that names record 8", err)
	}
	long := append([]byte(nil), whole[segmentName(7)]...)
	whole.with(segmentName(7), append(long, bytes.Repeat([]byte("x"), MaxRecord+1)...)).put(t, dir)
	if err := Read(dir, Filter{}, func(*Record) error { return nil }); !errors.Is(err, errLongLine) {
		t.Errorf("got %v, want errLongLine", err)
	}
}

func Test_an_error_of_the_caller_ends_reading(t *testing.T) {
	dir := memoryDir(t)
	shutLog(t).put(t, dir)
	stop := errors.New("stop")
	for _, f := range []Filter{{}, {Limit: 3}} {
		calls := 0
		if err := Read(dir, f, func(*Record) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
			t.Errorf("got %v after %d calls, want the caller's error after one", err, calls)
		}
	}
}

func Test_parse_time(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"90s": "2026-11-20T11:58:30Z", "1h30m": "2026-11-20T10:30:00Z", "7d": "2026-11-13T12:00:00Z", "0s": "2026-11-20T12:00:00Z",
		"2026-11-01": "2026-11-01T00:00:00Z", "2026-11-01T05:00:00+02:00": "2026-11-01T03:00:00Z",
		"": "", "yesterday": "", "-1h": "", "-1d": "", "1.5d": "", "99999999d": "", "2026-13-01": "", "12": "",
	} {
		got, err := ParseTime(text, now)
		if (err != nil) != (want == "") || err == nil && got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: got %v, %v; want %q", text, got, err, want)
		}
	}
}

func Test_a_line_for_people(t *testing.T) {
	at := time.Date(2026, 11, 20, 14, 3, 5, 999999000, time.FixedZone("", 3600))
	for _, c := range []struct {
		name string
		r    Record
		want string
	}{
		{"full", func() Record { r := *fullRecord(); r.Detail = ""; return r }(),
			"2026-11-20T13:03:05Z ended           deny  local:ann    files__read_file               0.1 ms rule-matched (secret-expo…"},
		{"short", Record{Kind: Start, Detail: "version 1"},
			"2026-11-20T13:03:05Z start                                                             version 1"},
		{"hostile", Record{Kind: Decided, Server: "a\x1b[2J\nb", Target: "\u202etxt\U000E0041", Method: "m"},
			`2026-11-20T13:03:05Z decided                            a\u{1b}[2J\u{a}b__\u{202e}txt…`},
	} {
		c.r.Time = at
		var out strings.Builder
		if err := WriteLine(&out, &c.r); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(out.String(), "\n"); got != c.want || utf8.RuneCountInString(got) > 120 {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func Test_a_line_of_JSON_is_safe_to_show_and_reads_back(t *testing.T) {
	want := &Record{
		Seq: 1, Time: sample().Time, Kind: Decided, Detail: "a\x1b[2J \u009b \u202e \U000E0041 <ä> \x7f",
		Arguments: json.RawMessage(`{"x":"\u0001"}`),
	}
	var out strings.Builder
	if err := WriteJSON(&out, want); err != nil {
		t.Fatal(err)
	}
	if _, err := (discard{}).Write([]byte(out.String())); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%v: %q", err, out.String())
	}
	got := new(Record)
	if err := json.Unmarshal([]byte(out.String()), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
