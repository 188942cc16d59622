package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

// rebooted gives the head the name of another run of the machine.
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
	f := &headFile{memory: make([]byte, headSize), sign: newSigner(key)}
	lines := []head{parseLine(t, f.sign, s[headName], 0), parseLine(t, f.sign, s[headName], 1)}
	if lines[0].count > lines[1].count {
		lines[0], lines[1] = lines[1], lines[0]
	}
	for _, h := range lines {
		h.boot = "another-run"
		f.put(&h)
		f.settleMark(&h)
	}
	return s.with(headName, f.memory)
}

func parseLine(t testing.TB, sign *signer, data []byte, odd uint64) head {
	t.Helper()
	line := sign.slot(data, odd)
	if line.err != nil {
		t.Fatal(line.err)
	}
	return line.head
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
	h, _, _, err := newSigner(l.key).read(dir)
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

func Test_damage_of_the_head_in_force_is_forgiven_only_after_a_crash_of_the_machine(t *testing.T) {
	dir := memoryDir(t)
	_, after := crashedLog(t, Options{})
	inForce := slotOf(parseInForce(t, after, dir).count)
	for _, at := range []int{10, markSize + 10, inForce + 10, inForce + slotSize - 1} {
		broken := after
		tear := func() {
			data := bytes.Clone(broken[headName])
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

// parseInForce returns the head in force.
func parseInForce(t testing.TB, s snapshot, dir string) head {
	t.Helper()
	s.put(t, dir)
	key, err := readKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := newSigner(key).judge(s[headName])
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// stores returns what a head file holds before each store with which h comes into
// force, and behind the last: a line may be stored in pieces of any size, from
// either end.
func stores(sign *signer, before []byte, h head) (states [][]byte) {
	f := &headFile{memory: bytes.Clone(before), sign: sign}
	f.put(&h)
	at := slotOf(h.count)
	for n := range slotSize + 1 {
		front, back := bytes.Clone(before), bytes.Clone(before)
		copy(front[at:at+n], f.memory[at:])
		copy(back[at+slotSize-n:at+slotSize], f.memory[at+slotSize-n:])
		states = append(states, front, back)
	}
	state := states[len(states)-1]
	for at := 0; at <= markSize; at += wordSize {
		copy(state, f.memory[:at])
		states = append(states, bytes.Clone(state))
	}
	return states
}

func Test_a_process_killed_between_any_two_stores_leaves_one_head_in_force(t *testing.T) {
	dir := memoryDir(t)
	before, after := crashedLog(t, Options{})
	for name, from := range map[string]head{"records": {}, "closing": {shut: true}} {
		t.Run(name, func(t *testing.T) {
			now, next := parseInForce(t, before, dir), parseInForce(t, after, dir)
			next.count, next.shut = now.count+1, from.shut
			key, err := readKey(dir)
			if err != nil {
				t.Fatal(err)
			}
			for i, state := range stores(newSigner(key), before[headName], next) {
				after.with(headName, state).put(t, dir)
				c := mustVerify(t, dir)
				if c.Signed != now.seq && c.Signed != next.seq {
					t.Fatalf("store %d: signed up to record %d", i, c.Signed)
				}
				if i%16 != 0 && i < 2*slotSize {
					continue // each start waits for the disk
				}
				l := openLog(t, dir, Options{})
				appendRecords(t, l, 1)
				mustVerify(t, dir)
				closeLog(t, l)
				if got := mustVerify(t, dir).Last.Seq; got < 6 {
					t.Fatalf("store %d: the log ends with record %d", i, got)
				}
			}
		})
	}
}

// What is half written is judged with what was there before, so a start must
// settle it before it writes over that.
func Test_a_process_killed_again_while_it_recovers_leaves_one_head_in_force(t *testing.T) {
	dir := memoryDir(t)
	before, after := crashedLog(t, Options{})
	now, next := parseInForce(t, before, dir), parseInForce(t, after, dir)
	next.count = now.count + 1
	key, err := readKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	sign := newSigner(key)
	for _, state := range stores(sign, before[headName], next)[2*slotSize:] {
		h, _, err := sign.judge(state)
		if err != nil {
			t.Fatal(err)
		}
		f := &headFile{memory: bytes.Clone(state), sign: sign}
		f.settleMark(&h)
		settling := bytes.Clone(state)
		for at := 0; at <= markSize; at += wordSize {
			copy(settling, f.memory[:at])
			if got, _, err := sign.judge(settling); err != nil || got != h {
				t.Fatalf("settling byte %d: got %+v, %v, want %+v", at, got, err, h)
			}
		}
		later := h
		later.count++
		for i, state := range stores(sign, f.memory, later) {
			if got, _, err := sign.judge(state); err != nil || got != h && got != later {
				t.Fatalf("store %d: got %+v, %v", i, got, err)
			}
		}
	}
}

func Test_a_line_of_the_head_that_was_in_force_cannot_be_brought_back(t *testing.T) {
	dir := memoryDir(t)
	before, after := crashedLog(t, Options{})
	now, next := parseInForce(t, before, dir), parseInForce(t, after, dir)
	old, held := slotOf(now.count), slotOf(next.count)
	if now.count+2 != next.count || old != held {
		t.Fatalf("counts %d and %d: two records were expected to write two heads", now.count, next.count)
	}
	whole := after[headName]
	other := slotOf(next.count + 1)
	check := func(line []byte) []byte { // where the MAC of version 1 was
		return bytes.Fields(line)[10]
	}
	for name, change := range map[string]func(data []byte){
		"the line in force is removed":  func(d []byte) { copy(d[held:], bytes.Repeat([]byte{' '}, slotSize-1)) },
		"the other line in place of it": func(d []byte) { copy(d[held:held+slotSize], d[other:]) },
		"the lines change places": func(d []byte) {
			copy(d[held:], whole[other:other+slotSize])
			copy(d[other:], whole[held:held+slotSize])
		},
		"the check of the other line as mark": func(d []byte) { copy(d, check(d[other:other+slotSize])) },
		"no mark":                             func(d []byte) { copy(d, bytes.Repeat([]byte{' '}, markSize)) },
		"one word of the mark is removed":     func(d []byte) { copy(d, bytes.Repeat([]byte{' '}, wordSize)) },
		"the last word of the mark is other":  func(d []byte) { copy(d[markSize-wordSize:], "01234567") },
	} {
		data := bytes.Clone(whole)
		change(data)
		shorter := after[segmentName(1)]
		shorter = shorter[:bytes.LastIndexByte(shorter[:len(shorter)-1], '\n')+1]
		after.with(headName, data).with(segmentName(1), shorter).put(t, dir)
		if !noticed(dir) {
			t.Errorf("%s: the last record was hidden", name)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", name, err)
		}
	}
}

// inVersion1 gives the log the head that version 1 would have written.
func (s snapshot) inVersion1(t testing.TB, dir string) snapshot {
	t.Helper()
	h := parseInForce(t, s, dir)
	key, err := readKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	sign := newSigner(key)
	data := bytes.Clone(sign.line(&h, firstVersion))
	h.count++
	return s.with(headName, append(data, sign.line(&h, firstVersion)...))
}

func Test_a_log_of_the_first_version_is_read_and_goes_on(t *testing.T) {
	_, open := crashedLog(t, Options{})
	for name, log := range map[string]snapshot{"open": open, "closed": shutLog(t)} {
		t.Run(name, func(t *testing.T) {
			dir := memoryDir(t)
			old := log.inVersion1(t, dir)
			old.put(t, dir)
			before := mustVerify(t, dir)
			if len(readAll(t, dir, Filter{})) != int(before.Last.Seq) || before.Open != (name == "open") {
				t.Errorf("got %+v", before)
			}
			for i := range old[headName] {
				data := bytes.Clone(old[headName])
				data[i] ^= 1
				old.with(headName, data).put(t, dir)
				if !noticed(dir) {
					t.Errorf("byte %d: not noticed", i)
				}
			}
			// A start that was interrupted while it replaced the head.
			old.with(headName+".new", []byte("half")).put(t, dir)
			mustVerify(t, dir)
			l := openLog(t, dir, Options{})
			appendRecords(t, l, 1)
			if c := mustVerify(t, dir); c.Last.Seq != before.Last.Seq+1 || c.Signed != c.Last.Seq || !c.Open {
				t.Errorf("got %+v", c)
			}
			if got := len(take(t, dir)[headName]); got != headSize {
				t.Errorf("the head has %d bytes, want %d", got, headSize)
			}
			closeLog(t, l)
			mustVerify(t, dir)
		})
	}
}

const childDir = "GATEHOUSE_AUDIT_TEST_DIR"

// Test_child is the process that the test below starts. It appends for ever.
func Test_child(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("runs as a child of another test only")
	}
	l, err := Open(dir, Options{SegmentBytes: 20000})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for n := 0; ; n++ {
				r := sample()
				if err := l.Append(r); err != nil {
					t.Error(err)
					return
				}
				if n%8 == 0 { // most of the time it shall be busy with the log
					fmt.Println("seq", r.Seq)
				}
			}
		})
	}
	wg.Wait()
}

// Where the signal meets the process is left to chance.
func Test_a_killed_process_loses_nothing_that_was_acknowledged(t *testing.T) {
	dir := memoryDir(t)
	for round := range 20 {
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
		for n, last := 0, 20+rand.IntN(50); lines.Scan(); {
			var seq uint64
			if _, err := fmt.Sscanf(lines.Text(), "seq %d", &seq); err == nil {
				n++
				acknowledged = max(acknowledged, seq)
			}
			if n == last {
				child.Process.Kill()
			}
		}
		child.Wait()
		c := mustVerify(t, dir)
		if acknowledged < 20 || c.Last.Seq < acknowledged || c.Signed < acknowledged {
			t.Fatalf("round %d: %d records, %d of them signed, %d were acknowledged", round, c.Last.Seq, c.Signed, acknowledged)
		}
	}
	closeLog(t, openLog(t, dir, Options{}))
	mustVerify(t, dir)
}
