package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// snapshot is the files of a log.
// stamp is the time of records that the tests make themselves.
var stamp = []byte("2026-01-02T03:04:05.678901Z")

type snapshot map[string][]byte

// memoryDir is a directory in memory where the system has one: the tests that go
// through every byte start a log thousands of times, and each start waits for the
// disk.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "gatehouse-audit-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func take(t testing.TB, dir string) snapshot {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := snapshot{}
	for _, e := range entries {
		if s[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// put writes the files to dir, in place of what is there.
func (s snapshot) put(t testing.TB, dir string) {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range s {
		if err := os.WriteFile(filepath.Join(dir, name), data, fileMode); err != nil {
			t.Fatal(err)
		}
	}
}

func (s snapshot) with(name string, data []byte) snapshot {
	changed := snapshot{}
	for n, d := range s {
		changed[n] = d
	}
	if changed[name] = data; data == nil {
		delete(changed, name)
	}
	return changed
}

// shutLog makes a log of three segments that was closed in order.
func shutLog(t testing.TB) snapshot {
	t.Helper()
	dir := memoryDir(t)
	l := openLog(t, dir, Options{SegmentBytes: 600})
	appendRecords(t, l, 7)
	closeLog(t, l)
	if c := mustVerify(t, dir); c.Segments != 3 {
		t.Fatalf("%d segments, want 3", c.Segments)
	}
	return take(t, dir)
}

// evidence lists the files whose bytes Verify vouches for.
func (s snapshot) evidence() (names []string) {
	for name := range s {
		if name == keyName || name == headName || strings.HasSuffix(name, segmentSuffix) {
			names = append(names, name)
		}
	}
	return names
}

// noticed says that Verify does not call the log in dir intact.
func noticed(dir string) bool {
	report, err := Verify(dir)
	return err != nil || report.Tampered()
}

func Test_every_changed_byte_is_found(t *testing.T) {
	whole, dir := shutLog(t), memoryDir(t)
	for _, name := range whole.evidence() {
		for i := range whole[name] {
			for _, bit := range []byte{1, 0x20, 0x80} {
				data := append([]byte(nil), whole[name]...)
				data[i] ^= bit
				whole.with(name, data).put(t, dir)
				if !noticed(dir) {
					t.Errorf("%s: byte %d with bit %#x changed was not noticed", name, i, bit)
				}
			}
		}
	}
}

func Test_every_truncation_is_found_and_refused(t *testing.T) {
	whole, dir := shutLog(t), memoryDir(t)
	last := segmentName(7)
	for _, name := range whole.evidence() {
		for size := range whole[name] {
			whole.with(name, whole[name][:size]).put(t, dir)
			if !noticed(dir) {
				t.Errorf("%s: truncation to %d bytes was not noticed", name, size)
			}
			if name != last && strings.HasSuffix(name, segmentSuffix) {
				continue // Open looks at the last segment; Verify at all
			}
			if l, err := Open(dir, Options{}); err == nil {
				l.Close()
				t.Errorf("%s: Open went on with %d bytes", name, size)
			}
		}
	}
}

func Test_deleted_files_are_found_and_refused(t *testing.T) {
	whole, dir := shutLog(t), memoryDir(t)
	emptied := whole
	for _, name := range whole.evidence() {
		whole.with(name, nil).put(t, dir)
		if !noticed(dir) {
			t.Errorf("without %s: not noticed", name)
		}
		if name != segmentName(4) {
			if _, err := Open(dir, Options{}); err == nil {
				t.Errorf("without %s: Open went on", name)
			}
		}
		if strings.HasSuffix(name, segmentSuffix) {
			emptied = emptied.with(name, nil)
		}
	}
	emptied.put(t, dir)
	report, err := Verify(dir)
	if err != nil || !report.Tampered() {
		t.Errorf("without all segments: tampered %v, error %v", report.Tampered(), err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "log verify") {
		t.Errorf("without all segments: got %v, want ErrDamaged that says what to do", err)
	}
}

func Test_damage_leaves_the_files_as_they_are(t *testing.T) {
	whole, dir := shutLog(t), memoryDir(t)
	cut := whole.with(segmentName(7), whole[segmentName(7)][:200])
	cut.put(t, dir)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("got %v, want ErrDamaged", err)
	}
	for name, data := range take(t, dir) {
		if name != "lock" && string(data) != string(cut[name]) {
			t.Errorf("%s was changed", name)
		}
	}
}

func Test_the_first_bad_position_is_named(t *testing.T) {
	whole, dir := shutLog(t), memoryDir(t)
	name := segmentName(4)
	lines := strings.SplitAfter(string(whole[name]), "\n")
	changed := lines[0] + lines[1] + strings.Replace(lines[2], "tool-4", "tool-9", 1) + lines[3]
	whole.with(name, []byte(changed)).put(t, dir)
	report, err := Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := report.Chains[0].Problem
	if p == nil || p.File != name || p.Line != 3 || p.Offset != int64(len(lines[0]+lines[1])) || p.Seq != 4 {
		t.Errorf("got %v, want %s, line 3, behind record 4", p, name)
	}
}

func Test_lines_behind_a_closed_log_are_found_and_moved_aside(t *testing.T) {
	whole, dir := shutLog(t), memoryDir(t)
	whole.put(t, dir)
	list, _ := segments(dir)
	end, _, err := walk(dir, list, position{}, func(position) {})
	if err != nil {
		t.Fatal(err)
	}
	name := segmentName(end.segment)
	// Anybody can compute the chain; only who has the key can sign its end.
	body, _ := appendBody(nil, &Record{Kind: Approved, Detail: "forged"})
	forged := appendRecord(append([]byte(nil), whole[name]...), &end, stamp, body)
	for _, data := range [][]byte{forged, append(append([]byte(nil), whole[name]...), "x"...)} {
		whole.with(name, data).put(t, dir)
		if !noticed(dir) {
			t.Error("not noticed")
		}
		closeLog(t, openLog(t, dir, Options{}))
		mustVerify(t, dir)
		got := readAll(t, dir, Filter{})
		if last := got[len(got)-1]; len(got) != 8 || last.Kind != Recovered || !strings.Contains(last.Detail, "torn-") {
			t.Errorf("%d records, the last one %+v; want Recovered as the eighth", len(got), last)
		}
	}
}

func Test_a_missing_log_or_key_is_never_intact(t *testing.T) {
	dir := memoryDir(t)
	for _, c := range []struct{ name, path string }{
		{"no directory", filepath.Join(dir, "none")},
		{"empty directory", dir},
	} {
		if _, err := Verify(c.path); !errors.Is(err, ErrNoLog) {
			t.Errorf("%s: got %v, want ErrNoLog", c.name, err)
		}
		if err := Read(c.path, Filter{}, func(*Record) error { return nil }); !errors.Is(err, ErrNoLog) {
			t.Errorf("%s: reading gave %v, want ErrNoLog", c.name, err)
		}
	}
	whole := shutLog(t)
	whole.with(keyName, nil).put(t, dir)
	if _, err := Verify(dir); !errors.Is(err, ErrNoLog) {
		t.Errorf("no key: got %v, want ErrNoLog", err)
	}
}

func Test_a_noted_head_finds_an_older_copy_and_a_new_chain(t *testing.T) {
	dir := memoryDir(t)
	l := openLog(t, dir, Options{})
	appendRecords(t, l, 2)
	closeLog(t, l)
	older := take(t, dir)
	l = openLog(t, dir, Options{SegmentBytes: 10})
	appendRecords(t, l, 2)
	noted, err := ParsePosition(l.Head().String())
	if err != nil {
		t.Fatal(err)
	}
	appendRecords(t, l, 2)
	closeLog(t, l)
	verifyHead := func() bool {
		report, err := VerifyHead(dir, noted)
		if err != nil {
			t.Fatal(err)
		}
		return report.Tampered()
	}
	if verifyHead() {
		t.Error("the log holds the noted head and was called tampered")
	}
	older.put(t, dir)
	mustVerify(t, dir)
	if !verifyHead() {
		t.Error("an older copy was not noticed")
	}
	snapshot{}.put(t, dir)
	l = openLog(t, dir, Options{})
	appendRecords(t, l, 9)
	closeLog(t, l)
	mustVerify(t, dir)
	if !verifyHead() {
		t.Error("a log written anew was not noticed")
	}
}

func Test_bad_heads_are_refused(t *testing.T) {
	for _, text := range []string{"", "1", "1:", "1:zz", "x:" + strings.Repeat("0", 64), "1:" + strings.Repeat("0", 63), "1:" + strings.Repeat("0", 66)} {
		if _, err := ParsePosition(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func Test_subdirectories_are_logs_of_their_own(t *testing.T) {
	dir := memoryDir(t)
	for _, name := range []string{"b", "a"} {
		l := openLog(t, filepath.Join(dir, name), Options{})
		appendRecords(t, l, 3)
		closeLog(t, l)
	}
	report, err := Verify(dir)
	if err != nil || report.Tampered() || len(report.Chains) != 2 {
		t.Fatalf("report %+v, error %v", report, err)
	}
	if got := readAll(t, dir, Filter{}); len(got) != 6 {
		t.Errorf("%d records, want 6", len(got))
	}
	if _, err := VerifyHead(dir, Position{Seq: 1}); !errors.Is(err, ErrNoLog) {
		t.Errorf("a noted head for two logs: got %v, want ErrNoLog", err)
	}
	flip(t, filepath.Join(dir, "b", segmentName(1)), 300)
	if report, _ = Verify(dir); !report.Tampered() {
		t.Error("damage in a subdirectory was not noticed")
	}
	if err := os.Mkdir(filepath.Join(dir, "c"), dirMode); err != nil {
		t.Fatal(err)
	}
	if report, err = Verify(dir); err == nil || !report.Tampered() {
		t.Errorf("an empty subdirectory must be an error and must not hide the damage: %v", err)
	}
}

func Test_verify_while_the_log_is_written(t *testing.T) {
	dir := memoryDir(t)
	l := openLog(t, dir, Options{SegmentBytes: 5000})
	done := make(chan error, 1)
	go func() {
		for range 3000 {
			if err := l.Append(sample()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		if c := mustVerify(t, dir); !c.Open {
			t.Error("a log that is being written was called closed")
		}
		readAll(t, dir, Filter{Limit: 1})
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

func Fuzz_any_change_of_a_log_is_found(f *testing.F) {
	whole := shutLog(f)
	names := []string{segmentName(1), segmentName(4), segmentName(7), headName}
	f.Add(uint8(0), uint16(0), []byte{}, false)
	f.Add(uint8(1), uint16(100), []byte("x"), false)
	f.Add(uint8(2), uint16(400), []byte("\n"), true)
	f.Add(uint8(3), uint16(511), []byte("\n\n"), false)
	f.Add(uint8(0), uint16(5), []byte("{\"gatehouseAudit\":1,\"previous\":\"\n"), true)
	dir := memoryDir(f)
	f.Fuzz(func(t *testing.T, file uint8, at uint16, data []byte, insert bool) {
		name := names[int(file)%len(names)]
		old := whole[name]
		offset := int(at) % (len(old) + 1)
		changed := append(append([]byte(nil), old[:offset]...), data...)
		if insert {
			changed = append(changed, old[offset:]...)
		}
		whole.with(name, changed).put(t, dir)
		if same := string(changed) == string(old); noticed(dir) == same {
			t.Errorf("%s: the same bytes: %v, noticed: %v", name, same, !same == false)
		}
		// Reading must end, whatever is there.
		_ = Read(dir, Filter{Limit: 2}, func(*Record) error { return nil })
	})
}

func Fuzz_reading_any_bytes_ends(f *testing.F) {
	whole := shutLog(f)
	f.Add([]byte("{\"seq\":1}\n{\"seq\":2}\n"))
	f.Add([]byte("{\"seq\":1,\"time\":\"x\"}\n"))
	f.Add([]byte(strings.Repeat("[", 20000) + "\n"))
	f.Add(whole[segmentName(1)])
	dir := memoryDir(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		snapshot{segmentName(1): data, keyName: whole[keyName], headName: whole[headName]}.put(t, dir)
		var last uint64
		err := Read(dir, Filter{}, func(r *Record) error {
			if r.Seq != last+1 {
				return fmt.Errorf("record %d follows record %d", r.Seq, last)
			}
			last = r.Seq
			return WriteLine(discard{}, r)
		})
		if err != nil && strings.Contains(err.Error(), "follows") {
			t.Error(err)
		}
		if !noticed(dir) {
			t.Error("a log without its end was called intact")
		}
	})
}

// discard refuses lines that a terminal must not be shown.
type discard struct{}

func (discard) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	if strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x202e }) {
		return 0, fmt.Errorf("the line follows a control character: %q", text)
	}
	return len(line), nil
}

func Test_a_renamed_segment_is_found(t *testing.T) {
	whole, dir := shutLog(t), memoryDir(t)
	name := segmentName(4)
	whole.with(name, nil).with(segmentName(5), whole[name]).put(t, dir)
	if report, err := Verify(dir); err != nil || !report.Tampered() {
		t.Errorf("not noticed: %+v, %v", report, err)
	}
}

func Test_a_line_with_a_right_hash_and_a_wrong_number_is_refused(t *testing.T) {
	at := position{segment: 1, seq: 4}
	other := position{segment: 1, seq: 5}
	line := appendRecord(nil, &other, stamp, []byte(`"kind":"stop"`))
	before := at
	if err := at.follow(line); err == nil || at != before {
		t.Errorf("record 6 was taken behind record 4")
	}
	right := at
	line = appendRecord(nil, &right, stamp, []byte(`"kind":"stop"`))
	if err := at.follow(line); err != nil || at != right {
		t.Errorf("record 5 was not taken behind record 4: %v", err)
	}
}
