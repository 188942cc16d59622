//go:build unix

package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustRename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// copyAside leaves a copy of the file under its name and moves the file itself.
func copyAside(t testing.TB, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mustRename(t, path, path+".away")
	if err := os.WriteFile(path, data, fileMode); err != nil {
		t.Fatal(err)
	}
}

// refuses checks that the next record is refused, and why.
func refuses(t testing.TB, l *Log, why string) {
	t.Helper()
	err := l.Append(&Record{Kind: Decided})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), why) {
		t.Fatalf("got %v, want ErrUnavailable because of %q", err, why)
	}
}

// tree is what stands below dir, nil when it is not there.
func tree(t testing.TB, dir string) snapshot {
	t.Helper()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return take(t, dir)
}

func Test_a_log_that_was_taken_away_refuses_until_it_is_back(t *testing.T) {
	moved := func(name string) (away, back func(t testing.TB, dir string)) {
		return func(t testing.TB, dir string) {
				mustRename(t, filepath.Join(dir, name), filepath.Join(dir, name)+".away")
			},
			func(t testing.TB, dir string) {
				mustRename(t, filepath.Join(dir, name)+".away", filepath.Join(dir, name))
			}
	}
	copied := func(name string) (away, back func(t testing.TB, dir string)) {
		_, back = moved(name)
		return func(t testing.TB, dir string) { copyAside(t, filepath.Join(dir, name)) }, back
	}
	type test struct {
		name, why  string
		away, back func(t testing.TB, dir string)
	}
	folder := test{name: "folder moved", why: "lock is gone"}
	folder.away, folder.back = moved("")
	empty := test{name: "folder replaced by an empty one", why: "lock is gone"}
	empty.away = func(t testing.TB, dir string) {
		mustRename(t, dir, dir+".away")
		if err := os.Mkdir(dir, dirMode); err != nil {
			t.Fatal(err)
		}
	}
	empty.back = func(t testing.TB, dir string) {
		if err := os.Remove(dir); err != nil { // works only as long as it is empty
			t.Fatal(err)
		}
		mustRename(t, dir+".away", dir)
	}
	tests := []test{folder, empty}
	for _, name := range []string{segmentName(1), headName, lockName, keyName} {
		gone := test{name: name + " moved", why: name + " is gone"}
		gone.away, gone.back = moved(name)
		tests = append(tests, gone)
	}
	for _, name := range []string{segmentName(1), headName, lockName} {
		other := test{name: name + " replaced by a copy", why: name + " is another file"}
		other.away, other.back = copied(name)
		tests = append(tests, other)
	}
	key := test{name: "key replaced", why: "is another key"}
	_, key.back = moved(keyName)
	key.away = func(t testing.TB, dir string) {
		path := filepath.Join(dir, keyName)
		mustRename(t, path, path+".away")
		if err := os.WriteFile(path, encodeKey(make([]byte, keyBytes)), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	tests = append(tests, key)
	for _, sync := range []Sync{SyncInterval, SyncEach} {
		for _, tt := range tests {
			t.Run(string(sync)+"/"+tt.name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "audit")
				synctest.Test(t, func(t *testing.T) {
					l := openLog(t, dir, Options{Sync: sync})
					appendRecords(t, l, 2)
					tt.away(t, dir)
					left := tree(t, dir)
					time.Sleep(placeEvery)
					refuses(t, l, tt.why)
					refuses(t, l, tt.why)
					if diff := cmp.Diff(left, tree(t, dir)); diff != "" {
						t.Errorf("the writer changed what it had not opened:\n%s", diff)
					}
					tt.back(t, dir)
					appendRecords(t, l, 1)
					closeLog(t, l)
				})
				mustVerify(t, dir)
				var kinds []Kind
				for _, r := range readAll(t, dir, Filter{}) {
					kinds = append(kinds, r.Kind)
				}
				if diff := cmp.Diff([]Kind{Decided, Decided, Recovered, Decided}, kinds); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func Test_a_removed_log_is_not_begun_anew_by_its_writer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, dir, Options{})
		appendRecords(t, l, 1)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(placeEvery)
		refuses(t, l, "is gone")
		refuses(t, l, "is gone")
		if err := l.Close(); err == nil {
			t.Error("Close says that a removed log is on disk")
		}
	})
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v: the folder was made again", err)
	}
}

func Test_a_writer_says_at_its_end_that_the_log_is_gone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openLog(t, dir, Options{})
	appendRecords(t, l, 1)
	mustRename(t, dir, dir+".away")
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("got %v, want an error that says what is gone", err)
	}
	mustRename(t, dir+".away", dir)
	again := openLog(t, dir, Options{})
	appendRecords(t, again, 1)
	closeLog(t, again)
	if c := mustVerify(t, dir); c.Last.Seq != 2 {
		t.Errorf("the log ends with record %d, want 2", c.Last.Seq)
	}
}

func Test_under_load_a_log_that_is_gone_is_noticed_within_the_bound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, dir, Options{})
		appendRecords(t, l, 1)
		mustRename(t, dir, dir+".away")
		since := time.Now()
		accepted := 0
		for ; l.Append(&Record{Kind: Decided}) == nil; accepted++ {
			time.Sleep(time.Millisecond)
		}
		if got := time.Since(since); got > placeEvery || accepted == 0 {
			t.Errorf("noticed after %v and %d records, want some records and at most %v", got, accepted, placeEvery)
		}
		mustRename(t, dir+".away", dir)
		appendRecords(t, l, 1)
		closeLog(t, l)
		if got := len(readAll(t, dir, Filter{Kinds: []Kind{Decided}})); got != accepted+2 {
			t.Errorf("%d records, want all %d that were acknowledged", got, accepted+2)
		}
	})
}

func Test_the_next_segment_is_not_made_in_another_folder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	full := Options{SegmentBytes: 300}    // less than a header and one record
	synctest.Test(t, func(t *testing.T) { // in which no time passes
		l := openLog(t, dir, full)
		appendRecords(t, l, 1)
		mustRename(t, dir, dir+".away")
		other := openLog(t, dir, full)
		appendRecords(t, other, 3)
		closeLog(t, other)
		before := take(t, dir)
		refuses(t, l, "another file")
		if diff := cmp.Diff(before, take(t, dir)); diff != "" {
			t.Errorf("the log of another writer was changed:\n%s", diff)
		}
	})
}

func Test_a_segment_that_was_cut_in_place_refuses(t *testing.T) {
	for name, within := range map[string]int{"in a pause": 0, "under load": 3} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, segmentName(1))
			synctest.Test(t, func(t *testing.T) {
				l := openLog(t, dir, Options{})
				appendRecords(t, l, 2)
				if err := os.Truncate(path, 0); err != nil {
					t.Fatal(err)
				}
				appendRecords(t, l, within) // so near to the last look that it is not noticed
				left := take(t, dir)
				time.Sleep(placeEvery)
				for range 3 {
					refuses(t, l, "was cut")
				}
				if diff := cmp.Diff(left[segmentName(1)], take(t, dir)[segmentName(1)]); diff != "" {
					t.Errorf("the evidence was changed:\n%s", diff)
				}
			})
			if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
				t.Errorf("the next start: got %v, want ErrDamaged", err)
			}
		})
	}
}

// A store into memory that has lost its file must not end the gateway.
func Test_a_head_that_was_cut_in_place_refuses_until_it_is_long_again(t *testing.T) {
	for name, put := range map[string]func(path string, whole []byte) error{
		"written back": func(path string, whole []byte) error { return os.WriteFile(path, whole, fileMode) },
		"made long":    func(path string, whole []byte) error { return os.Truncate(path, int64(len(whole))) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, headName)
			l := openLog(t, dir, Options{})
			appendRecords(t, l, 2)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				l.own(func() { l.placedAt = time.Time{} }) // as after a pause
				refuses(t, l, "was cut")
			}
			l.own(func() { l.broken = nil }) // as if nobody had looked
			if err := l.Append(&Record{Kind: Decided}); l.heads.shared && !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			if err := put(path, whole); err != nil {
				t.Fatal(err)
			}
			appendRecords(t, l, 2)
			mustVerify(t, dir)
			closeLog(t, l)
			mustVerify(t, dir)
		})
	}
}
