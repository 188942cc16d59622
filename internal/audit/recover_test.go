package audit

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func details(list []*Record) (text string) {
	for _, r := range list {
		text += string(r.Kind) + " " + r.Detail + "\n"
	}
	return text
}

// crashedLog returns what a log was behind its third record, and behind its
// fifth; the head of the first is the one that a crash left while records four
// and five were on their way.
func crashedLog(t testing.TB, o Options) (before, after snapshot) {
	t.Helper()
	dir := memoryDir(t)
	l := openLog(t, dir, o)
	appendRecords(t, l, 3)
	before = take(t, dir)
	appendRecords(t, l, 2)
	return before, take(t, dir)
}

func Test_a_write_cut_at_any_byte_recovers_by_the_normal_path(t *testing.T) {
	before, after := crashedLog(t, Options{})
	dir, name := memoryDir(t), segmentName(1)
	ends := []int{len(before[name])}
	for i := len(before[name]); i < len(after[name]); i++ {
		if after[name][i] == '\n' {
			ends = append(ends, i+1)
		}
	}
	for size := ends[0]; size <= ends[2]; size++ {
		before.with(name, after[name][:size]).put(t, dir)
		whole := 0
		for ends[whole] < size && whole < 2 && ends[whole+1] <= size {
			whole++
		}
		torn := size - ends[whole]
		c := mustVerify(t, dir)
		if c.Last.Seq != uint64(3+whole) || c.Torn != int64(torn) || c.Signed != 3 || !c.Open {
			t.Fatalf("cut at %d: %+v, want %d records and %d torn bytes", size, c, 3+whole, torn)
		}
		l := openLog(t, dir, Options{})
		appendRecords(t, l, 1)
		closeLog(t, l)
		mustVerify(t, dir)
		got := readAll(t, dir, Filter{})
		recovered := 0
		if torn > 0 || whole > 0 {
			recovered = 1
		}
		if len(got) != 3+whole+recovered+1 {
			t.Fatalf("cut at %d: %d records\n%s", size, len(got), details(got))
		}
		if recovered == 1 && got[3+whole].Kind != Recovered {
			t.Errorf("cut at %d: no Recovered record\n%s", size, details(got))
		}
		aside, _ := filepath.Glob(filepath.Join(dir, "torn-*"))
		if (len(aside) == 1) != (torn > 0) {
			t.Fatalf("cut at %d: files %v", size, aside)
		}
		if torn > 0 {
			data, _ := os.ReadFile(aside[0])
			if diff := cmp.Diff(string(after[name][ends[whole]:size]), string(data)); diff != "" {
				t.Errorf("cut at %d: %s", size, diff)
			}
		}
	}
}

func Test_an_open_log_cut_before_its_head_is_damage(t *testing.T) {
	_, after := crashedLog(t, Options{})
	dir, name := memoryDir(t), segmentName(1)
	for size := range after[name] {
		after.with(name, after[name][:size]).put(t, dir)
		if !noticed(dir) {
			t.Errorf("cut at %d: not noticed", size)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: got %v, want ErrDamaged", size, err)
		}
	}
}

func Test_a_crash_while_a_segment_begins_recovers(t *testing.T) {
	before, after := crashedLog(t, Options{SegmentBytes: 600})
	next := segmentName(4)
	if before[next] != nil || after[next] == nil {
		t.Fatal("the fourth record was expected to begin a segment")
	}
	dir := memoryDir(t)
	for size := range after[next] {
		before.with(next, after[next][:size:size]).put(t, dir)
		mustVerify(t, dir)
		l := openLog(t, dir, Options{SegmentBytes: 600})
		appendRecords(t, l, 3)
		closeLog(t, l)
		mustVerify(t, dir)
	}
}

func Test_a_crash_in_the_first_start_recovers(t *testing.T) {
	dir := memoryDir(t)
	key, err := createKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	head := take(t, dir)[headName]
	line := appendHeader(nil, &position{})
	for name, state := range map[string]snapshot{
		"head only":        {headName: head},
		"head torn":        {headName: head[:100]},
		"key half written": {headName: head, keyName + ".new": encodeKey(key)[:9]},
		"key":              {headName: head, keyName: encodeKey(key)},
		"segment empty":    {headName: head, keyName: encodeKey(key), segmentName(1): nil},
		"segment torn":     {headName: head, keyName: encodeKey(key), segmentName(1): line[:50]},
		"segment":          {headName: head, keyName: encodeKey(key), segmentName(1): line},
	} {
		t.Run(name, func(t *testing.T) {
			state.put(t, dir)
			l := openLog(t, dir, Options{})
			appendRecords(t, l, 2)
			closeLog(t, l)
			mustVerify(t, dir)
		})
	}
}

// rebooted gives both slots of the head the name of another run of the machine.
func (s snapshot) rebooted(t testing.TB, dir string) snapshot {
	t.Helper()
	if bootID() == "" {
		t.Skip("the system does not name its runs")
	}
	s.put(t, dir)
	key, err := readKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	sign := newSigner(key)
	var data []byte
	for at := 0; at < 2*slotSize; at += slotSize {
		h, err := sign.parse(s[headName][at : at+slotSize])
		if err != nil {
			t.Fatal(err)
		}
		h.boot = "another-run"
		data = append(data, sign.slot(&h)...)
	}
	return s.with(headName, data)
}

func Test_a_crash_of_the_machine_may_take_only_what_was_not_on_disk(t *testing.T) {
	dir := memoryDir(t)
	l := openLog(t, dir, Options{})
	appendRecords(t, l, 3)
	l.syncOnce()
	durable := int(l.end.offset)
	appendRecords(t, l, 2)
	after := take(t, dir).rebooted(t, memoryDir(t))
	name := segmentName(1)
	for size := range after[name] {
		zeros := make([]byte, len(after[name])-size)
		for _, tail := range [][]byte{nil, zeros} { // file systems leave either
			after.with(name, append(after[name][:size:size], tail...)).put(t, dir)
			if !noticed(dir) {
				t.Errorf("cut at %d: missing records were not noticed", size)
			}
			l, err := Open(dir, Options{})
			if size < durable {
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("cut at %d: got %v, want ErrDamaged: record 3 was on disk", size, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("cut at %d: %v", size, err)
			}
			closeLog(t, l)
			mustVerify(t, dir)
			got := readAll(t, dir, Filter{Kinds: []Kind{Recovered}})
			if len(got) != 1 || !strings.Contains(got[0].Detail, "to 5, which were not yet on disk") {
				t.Errorf("cut at %d: the loss is not recorded\n%s", size, details(got))
			}
		}
	}
}

func Test_a_crash_of_the_machine_explains_nothing_about_a_closed_log(t *testing.T) {
	dir := memoryDir(t)
	l := openLog(t, dir, Options{})
	appendRecords(t, l, 3)
	l.durable = position{} // as if the last sync had not been noted
	closeLog(t, l)
	whole := take(t, dir).rebooted(t, memoryDir(t))
	h, _, err := l.sign.read(dir)
	if err != nil || h.durable != 3 {
		t.Fatalf("durable up to %d, %v; a closed log is on disk", h.durable, err)
	}
	name := segmentName(1)
	for size := range whole[name] {
		whole.with(name, whole[name][:size]).put(t, dir)
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: got %v, want ErrDamaged", size, err)
		}
	}
	data := append([]byte(nil), whole[headName]...)
	data[10]++
	whole.with(headName, data).put(t, dir)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) || !noticed(dir) {
		t.Errorf("a damaged slot of a closed log: got %v, want ErrDamaged", err)
	}
}

func Test_a_torn_slot_is_forgiven_only_after_a_crash_of_the_machine(t *testing.T) {
	dir := memoryDir(t)
	_, after := crashedLog(t, Options{})
	for _, at := range []int{10, slotSize + 10} {
		broken := after
		tear := func() {
			data := append([]byte(nil), broken[headName]...)
			data[at]++
			broken.with(headName, data).put(t, dir)
		}
		tear()
		if !noticed(dir) {
			t.Errorf("byte %d: not noticed", at)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d: got %v, want ErrDamaged", at, err)
		}
		broken = after.rebooted(t, dir)
		tear()
		mustVerify(t, dir)
		closeLog(t, openLog(t, dir, Options{}))
		mustVerify(t, dir)
	}
}

const childDir = "GATEHOUSE_AUDIT_TEST_DIR"

// Test_child is the process that the tests below start. It appends for ever.
func Test_child(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("runs as a child of other tests only")
	}
	l, err := Open(dir, Options{SegmentBytes: 20000})
	if err != nil {
		t.Fatal(err)
	}
	for {
		r := sample()
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
		fmt.Println("seq", r.Seq)
	}
}

func Test_a_killed_process_loses_nothing_that_was_acknowledged(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^Test_child$", "-test.v")
		child.Env = append(os.Environ(), childDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var acknowledged uint64
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); {
			if _, err := fmt.Sscanf(lines.Text(), "seq %d", &acknowledged); err == nil {
				n++
			}
			if n == 100 {
				child.Process.Kill()
			}
		}
		child.Wait()
		c := mustVerify(t, dir)
		if acknowledged < 100 || c.Last.Seq < acknowledged {
			t.Fatalf("round %d: %d records, %d were acknowledged", round, c.Last.Seq, acknowledged)
		}
	}
	closeLog(t, openLog(t, dir, Options{}))
	mustVerify(t, dir)
}
