package advisory

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/rule"
)

func Test_which_versions_are_affected(t *testing.T) {
	ranges := func(list ...Range) Advisory { return Advisory{ID: "X-1", Ranges: list} }
	for _, c := range []struct {
		e       Ecosystem
		a       Advisory
		version string
		want    bool
		fixed   string
	}{
		{NPM, ranges(Range{"0.0.5", "0.1.16", ""}), "0.0.4", false, "0.1.16"},
		{NPM, ranges(Range{"0.0.5", "0.1.16", ""}), "0.0.5", true, "0.1.16"},
		{NPM, ranges(Range{"0.0.5", "0.1.16", ""}), "0.1.9", true, "0.1.16"}, // not in the order of the letters
		{NPM, ranges(Range{"0.0.5", "0.1.16", ""}), "0.1.16-beta.1", true, "0.1.16"},
		{NPM, ranges(Range{"0.0.5", "0.1.16", ""}), "0.1.16", false, ""},
		{NPM, ranges(Range{"", "0.6.4", ""}, Range{"2025.0.0", "2025.7.1", ""}), "0.6.4", false, "2025.7.1"},
		{NPM, ranges(Range{"", "0.6.4", ""}, Range{"2025.0.0", "2025.7.1", ""}), "2025.3.28", true, "2025.7.1"},
		{NPM, ranges(Range{"1.0.16", "", ""}), "1.0.15", false, ""},
		{NPM, ranges(Range{"1.0.16", "", ""}), "9.0.0", true, ""},
		{NPM, ranges(Range{"", "", "1.2.3"}), "1.2.3", true, ""},
		{NPM, ranges(Range{"", "", "1.2.3"}), "1.2.4", false, ""},
		{NPM, Advisory{Versions: []string{"1.14.1"}}, "v1.14.1", true, ""},
		{NPM, Advisory{Versions: []string{"1.14.1"}}, "1.14.2", false, ""},
		{PyPI, ranges(Range{"", "2025.9.25", ""}), "2025.9.25.post1", false, ""},
		{PyPI, ranges(Range{"", "2025.9.25", ""}), "2025.9.25rc1", true, "2025.9.25"},
		{PyPI, ranges(Range{"", "1.10", ""}), "1.9.4", true, "1.10"},
		{PyPI, ranges(Range{"", "1.10", ""}), "1!1.0", false, ""},
		{PyPI, Advisory{Versions: []string{"1.0"}}, "1.0.0", true, ""},
		{NPM, ranges(Range{"", "1.2.0", ""}, Range{"", "1.3.0", ""}), "1.1.0", true, "1.3.0"}, // two accounts
		{NPM, ranges(Range{"", "1.2.0", ""}, Range{"", "", ""}), "1.1.0", true, ""},
		{Go, ranges(Range{"", "1.3.1", ""}), "v1.3.0", true, "1.3.1"},
		{Go, ranges(Range{"", "1.3.1", ""}), "v1.3.1-0.20260101000000-aaaaaaaaaaaa", true, "1.3.1"},
		{Go, ranges(Range{"0.21.0", "0.42.2", ""}), "0.20.9", false, "0.42.2"},
	} {
		got, err := c.a.Affects(c.e, c.version)
		if err != nil || got != c.want {
			t.Errorf("%s %v at %s: %v, %v, want %v", c.e, c.a.Ranges, c.version, got, err, c.want)
		}
		if fixed := c.a.FixedFor(c.e, c.version); fixed != c.fixed {
			t.Errorf("%s %v at %s is fixed in %q, want %q", c.e, c.a.Ranges, c.version, fixed, c.fixed)
		}
	}
}

func Test_a_version_that_cannot_be_compared_is_an_error(t *testing.T) {
	a := Advisory{ID: "X-1", Ranges: []Range{{Introduced: "1.0.0"}}}
	for _, version := range []string{"", "latest", "not a version", strings.Repeat("1.", 300)} {
		if affected, err := a.Affects(NPM, version); err == nil {
			t.Errorf("%q: %v without an error", version, affected)
		}
	}
	if all, err := (Advisory{Ranges: []Range{{}}}).Affects(NPM, "latest"); err != nil || !all {
		t.Errorf("what every version has: %v, %v", all, err)
	}
}

func Test_the_snapshot_that_comes_with_the_program(t *testing.T) {
	s, err := BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		e                 Ecosystem
		name, version, id string
	}{
		{NPM, "mcp-remote", "0.1.15", "CVE-2025-6514"},
		{NPM, "@modelcontextprotocol/server-filesystem", "2025.3.28", "CVE-2025-53109"},
		{NPM, "mcp-server-kubernetes", "2.9.7", "CVE-2025-66404"},
		{NPM, "postmark-mcp", "1.0.16", "MAL-2025-47604"},
		{PyPI, "MCP_Server.Git", "2025.9.24", "CVE-2025-68143"},
		{Go, "github.com/github/github-mcp-server", "v0.22.0", "CVE-2026-48529"},
	} {
		list, err := s.Find(c.e, c.name)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, a := range list {
			if in, err := a.Affects(c.e, c.version); err != nil || in {
				ids = append(ids, a.ID)
			}
		}
		if !strings.Contains(strings.Join(ids, " "), c.id) {
			t.Errorf("%s %s: %v, want %s", c.name, c.version, ids, c.id)
		}
	}
	if _, all := s.Of(NPM); all {
		t.Error("it claims to have everything of npm")
	}
	if page, err := os.ReadFile("../../docs/advisories.md"); err != nil || !strings.Contains(string(page), fmt.Sprintf(" %d faults ", s.Advisories)) {
		t.Errorf("the page about advisories says not that there are %d: %v", s.Advisories, err)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(s.body), []byte("\n")) {
		e, name, _ := strings.Cut(keyOf(line), "/")
		list, err := s.Find(Ecosystem(e), name)
		if err != nil || len(list) == 0 {
			t.Errorf("%s is not found in its own snapshot: %v", keyOf(line), err)
		}
		for _, a := range list {
			if a.Severity == rule.Unrated || a.Summary == "" || len(a.Ranges)+len(a.Versions) == 0 {
				t.Errorf("%s says not enough of %s", a.ID, name)
			}
			for _, r := range a.Ranges {
				for _, v := range []string{r.Introduced, r.Fixed, r.Last} {
					if _, err := parse(Ecosystem(e), v); v != "" && err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
}

func Test_what_is_in_no_snapshot_is_not_found(t *testing.T) {
	s, err := BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a", "mcp-remot", "mcp-remote2", "zzzz", "mcp-remote\t", "mcp\n"} {
		if list, err := s.Find(NPM, name); err != nil || len(list) > 0 {
			t.Errorf("%q: %v, %v", name, list, err)
		}
	}
}

// archiveFile writes an archive as OSV publishes it.
func archiveFile(t *testing.T, entries ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i, e := range entries {
		w, err := z.Create(fmt.Sprintf("X-%d.json", i))
		if err == nil {
			_, err = w.Write([]byte(e))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func entry(id, name, modified, events string) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,"aliases":["CVE-%s"],"summary":"s","database_specific":{"severity":"HIGH"},
		"affected":[{"package":{"ecosystem":"npm","name":%q},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]},{"type":"SEMVER","events":%s}],"versions":["1.0.0"]}]}`, id, modified, id, name, events)
}

// server publishes archives and snapshots.
func server(t *testing.T, files map[string][]byte) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if content, there := files[r.URL.Path]; there {
			_, _ = w.Write(content)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func Test_archives_become_a_snapshot(t *testing.T) {
	files := map[string][]byte{"/npm/all.zip": archiveFile(t,
		entry("GHSA-1", "one", "2026-05-01T00:00:00Z", `[{"fixed":"2.0.0"},{"introduced":"3.0.0"},{"introduced":"0"},{"last_affected":"3.1.0"}]`),
		entry("GHSA-2", "two", "2026-05-02T00:00:00Z", `[{"introduced":"1.0.0"}]`),
		strings.Replace(entry("GHSA-3", "withdrawn", "2026-05-03T00:00:00Z", `[{"introduced":"0"}]`), `"summary"`, `"withdrawn":"2026-05-04T00:00:00Z","summary"`, 1),
		`{"id":"MAL-2026-9","modified":"2026-05-01T00:00:00Z","details":"steals\nmore","affected":[{"package":{"ecosystem":"npm","name":"bad"},"versions":["1.0.0"]}]}`,
		`not JSON`,
	)}
	path := filepath.Join(t.TempDir(), "state", "advisories")
	made, err := Update{From: server(t, files), Ecosystems: []Ecosystem{NPM}, Now: now}.Run(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if f := made.Sources[0]; f.Advisories != 3 || f.Skipped != 1 || f.SHA256 == "" || len(made.Sources) != 1 || f.Ecosystem != NPM {
		t.Errorf("%+v", made.Header)
	}
	if want := time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC); !made.Newest.Equal(want) {
		t.Errorf("newest %v, want %v", made.Newest, want)
	}
	read, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := read.Find(NPM, "one")
	want := []Advisory{{ID: "GHSA-1", Aliases: []string{"CVE-GHSA-1"}, Summary: "s", Severity: rule.High, Ranges: []Range{{"", "2.0.0", ""}, {"3.0.0", "", "3.1.0"}}}}
	if diff := cmp.Diff(want, one); diff != "" {
		t.Error(diff)
	}
	if bad, _ := read.Find(NPM, "bad"); len(bad) != 1 || !bad[0].Malware || bad[0].Severity != rule.Critical || bad[0].Summary != "steals" {
		t.Errorf("%+v", bad)
	}
	if w, _ := read.Find(NPM, "withdrawn"); len(w) > 0 {
		t.Errorf("withdrawn advisories count: %+v", w)
	}
}

func Test_archives_that_are_mostly_not_understood(t *testing.T) {
	good := entry("A-1", "one", "2026-05-01T00:00:00Z", `[{"introduced":"0"}]`)
	large := strings.Replace(good, `"summary"`, `"details":"`+strings.Repeat("x", maxEntryBytes)+`","summary"`, 1)
	for name, c := range map[string]struct {
		entries []string
		ok      bool
	}{"one is not": {[]string{good, "x"}, true}, "one is large": {[]string{good, large}, true}, "two are not": {[]string{good, "x", large}, false}, "none is": {[]string{"x"}, false}} {
		made, err := Update{From: server(t, map[string][]byte{"/npm/all.zip": archiveFile(t, c.entries...)}), Ecosystems: []Ecosystem{NPM}, Now: now}.Run(context.Background(), filepath.Join(t.TempDir(), "advisories"))
		if (err == nil) != c.ok || err == nil && (made.Advisories != 1 || made.Sources[0].Skipped != 1) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func Test_an_older_or_smaller_snapshot_is_refused(t *testing.T) {
	large := archiveFile(t, entry("A-1", "one", "2026-05-01T00:00:00Z", `[{"introduced":"0"}]`), entry("A-2", "two", "2026-05-01T00:00:00Z", `[{"introduced":"0"}]`), entry("A-3", "three", "2026-05-01T00:00:00Z", `[{"introduced":"0"}]`))
	small := archiveFile(t, entry("A-1", "one", "2026-05-02T00:00:00Z", `[{"introduced":"0"}]`))
	older := archiveFile(t, entry("A-1", "one", "2026-04-01T00:00:00Z", `[{"introduced":"0"}]`), entry("A-2", "two", "2026-04-01T00:00:00Z", `[{"introduced":"0"}]`))
	for name, second := range map[string][]byte{"smaller": small, "older": older, "broken": []byte("PK nothing"), "empty": archiveFile(t), "not understood": archiveFile(t, "x", "y", entry("A-1", "one", "2026-05-02T00:00:00Z", `[{"introduced":"0"}]`))} {
		path := filepath.Join(t.TempDir(), "advisories")
		for i, zipped := range [][]byte{large, second} {
			file := filepath.Join(t.TempDir(), "npm.zip")
			if err := os.WriteFile(file, zipped, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Update{From: file, Now: now}.Run(context.Background(), path)
			if (i == 1) != (err != nil) {
				t.Errorf("%s, file %d: %v", name, i+1, err)
			}
			if i == 1 && (name == "smaller" || name == "older") {
				if _, err := (Update{From: file, Now: now, Force: true}).Run(context.Background(), path); err != nil {
					t.Errorf("%s, with force: %v", name, err)
				}
			} else if s, err := Open(path); err != nil || s.Advisories != 3 {
				t.Errorf("%s, file %d: the old snapshot did not stay: %v", name, i+1, err)
			}
		}
	}
}

// One ecosystem must not hide behind another that is fresh and large.
func Test_each_ecosystem_is_compared(t *testing.T) {
	at := func(s string) time.Time {
		day, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return day
	}
	snapshot := func(npm, pypi From) *Snapshot {
		npm.Ecosystem, pypi.Ecosystem = NPM, PyPI
		h := Header{Schema: Schema, Newest: at("2026-06-01"), Sources: []From{npm, pypi}}
		raw, err := write(h, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	fresh := From{Newest: at("2026-06-01"), Advisories: 100}
	path := filepath.Join(t.TempDir(), "advisories")
	raw, err := write(Header{Newest: fresh.Newest, Sources: []From{{Ecosystem: NPM, Newest: fresh.Newest, Advisories: 100}, {Ecosystem: PyPI, Newest: fresh.Newest, Advisories: 100}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		npm, pypi From
		ok        bool
	}{
		"the same":    {fresh, fresh, true},
		"older PyPI":  {fresh, From{Newest: at("2026-05-01"), Advisories: 100}, false},
		"little PyPI": {From{Newest: fresh.Newest, Advisories: 1000}, From{Newest: fresh.Newest, Advisories: 49}, false},
	} {
		if err := (Update{}).compare(path, snapshot(c.npm, c.pypi)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for days, old := range map[int]bool{0: false, 13: false, 15: true} {
		h := Header{Sources: []From{{Newest: now}, {Newest: now.AddDate(0, 0, -days)}}}
		if h.Old(now) != old {
			t.Errorf("%d days: %v", days, !old)
		}
	}
	if !(Header{}).Old(now) {
		t.Error("what covers nothing is not fresh")
	}
}

func Test_errors_do_not_repeat_secrets(t *testing.T) {
	for _, from := range []string{"http://user:hunter22@127.0.0.1:1/npm.advisories?token=hunter22", "https://127.0.0.1:1/%zz/npm.advisories?token=hunter22"} {
		_, err := Update{From: from, Now: now}.Run(context.Background(), filepath.Join(t.TempDir(), "advisories"))
		if err == nil || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%v", err)
		}
	}
}

func Test_a_signed_snapshot(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := write(Header{Made: now, Newest: now, Sources: []From{{Ecosystem: NPM}}}, map[string][]Advisory{"npm/x": {{ID: "X-1", Ranges: []Range{{}}}}})
	if err != nil {
		t.Fatal(err)
	}
	signature := ed25519.Sign(private, raw)
	place := server(t, map[string][]byte{
		"/team.advisories": raw, "/team.advisories.sig": []byte(base64.StdEncoding.EncodeToString(signature) + "\n"),
		"/unsigned.advisories": raw,
		"/changed.advisories":  bytes.Replace(raw, []byte("X-1"), []byte("X-2"), 1), "/changed.advisories.sig": signature,
	})
	for _, c := range []struct {
		name string
		key  ed25519.PublicKey
		ok   bool
	}{{"team", public, true}, {"team", nil, true}, {"team", other, false}, {"unsigned", public, false}, {"unsigned", nil, true}, {"changed", public, false}, {"changed", nil, false}} {
		u := Update{From: place + "/" + c.name + ".advisories", Now: now}
		if c.key != nil {
			u.Key = keyFile(t, c.key)
		}
		_, err := u.Run(context.Background(), filepath.Join(t.TempDir(), "advisories"))
		if (err == nil) != c.ok {
			t.Errorf("%s, key %v: %v", c.name, c.key != nil, err)
		}
	}
}

func keyFile(t *testing.T, key ed25519.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func Test_a_damaged_snapshot_is_an_error(t *testing.T) {
	raw, err := write(Header{Made: now}, map[string][]Advisory{"npm/x": {{ID: "X-1"}}, "npm/y": {{ID: "Y-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	for end := range raw {
		if _, err := Parse(raw[:end]); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for whole", end, len(raw))
		}
	}
	if _, err := Parse(bytes.Replace(raw, []byte("Y-1"), []byte("Y-2"), 1)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a change was not seen: %v", err)
	}
}

// Whoever makes a snapshot makes its checksum too: a package must not hide behind lines
// that are out of order.
func Test_lines_out_of_order_are_damage(t *testing.T) {
	for _, body := range []string{"npm/b\t[]\nnpm/a\t[]\n", "npm/a\t[]\nnpm/a\t[]\n", "npm/\n", "npm/a\t[]", "\t[]\n", "\n"} {
		sum := sha256.Sum256([]byte(body))
		head, err := json.Marshal(Header{Schema: Schema, SHA256: hex.EncodeToString(sum[:])})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(append(append(head, '\n'), body...)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func Test_the_same_fault_under_two_names_is_one(t *testing.T) {
	a := Advisory{ID: "GHSA-1", Aliases: []string{"CVE-1"}, Severity: rule.High, Ranges: []Range{{Fixed: "1.2.0"}}}
	b := Advisory{ID: "PYSEC-1", Aliases: []string{"CVE-1"}, Ranges: []Range{{Fixed: "1.3.0"}}}
	want := []Advisory{{ID: "GHSA-1", Aliases: []string{"CVE-1", "PYSEC-1"}, Severity: rule.High, Ranges: []Range{{Fixed: "1.2.0"}, {Fixed: "1.3.0"}}}}
	for _, lists := range [][]Advisory{{a, b}, {b, a}, {a, b, a}} {
		if diff := cmp.Diff(want, merge(lists)); diff != "" {
			t.Error(diff)
		}
	}
}

// Fuzz_osv: no archive entry makes a range that holds a version before its own
// beginning, and nothing panics.
func Fuzz_osv(f *testing.F) {
	f.Add([]byte(entry("A-1", "one", "2026-05-01T00:00:00Z", `[{"introduced":"1.0.0"},{"fixed":"2.0.0"}]`)), "1.5.0")
	f.Add([]byte(`{"id":"A","affected":[{"package":{"ecosystem":"npm","name":"x"},"ranges":[{"events":[{"introduced":"0"},{"introduced":"0"},{"fixed":""}]}]}]}`), "x")
	f.Fuzz(func(t *testing.T, raw []byte, version string) {
		var o osv
		if json.Unmarshal(raw, &o) != nil {
			return
		}
		c := &collection{packages: map[string][]Advisory{}, from: From{Ecosystem: NPM}}
		_ = c.add(o)
		written, err := write(Header{}, c.packages)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(written)
		if err != nil {
			t.Fatal(err)
		}
		for at := range c.packages {
			list, err := s.Find(NPM, strings.TrimPrefix(at, "npm/"))
			if err != nil || len(list) == 0 {
				t.Fatalf("%q is not found: %v", at, err)
			}
			for _, a := range list {
				in, err := a.Affects(NPM, version)
				if err == nil && in && !a.AffectsAll() && len(a.Versions) == 0 && len(a.Ranges) == 1 && a.Ranges[0].Introduced != "" {
					if v, _ := parse(NPM, version); v != nil {
						if from, _ := parse(NPM, a.Ranges[0].Introduced); from != nil && v.Compare(from) < 0 {
							t.Fatalf("%s is in %v", version, a.Ranges)
						}
					}
				}
			}
		}
	})
}

// Fuzz_find: whatever stands in a snapshot, a package is found only under its own name.
func Fuzz_find(f *testing.F) {
	f.Add([]byte("npm/a\t[{\"id\":\"A\"}]\nnpm/b\t[{\"id\":\"B\"}]\n"), "a")
	f.Add([]byte("\n\n\t\nnpm/a"), "")
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		if ordered(body) != nil {
			return
		}
		s := &Snapshot{body: body}
		list, err := s.Find(NPM, name)
		if err == nil && len(list) > 0 && !bytes.Contains(body, []byte("npm/"+name+"\t")) {
			t.Fatalf("%q is found in %q", name, body)
		}
	})
}
