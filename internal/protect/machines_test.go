package protect

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/internal/client"
	"gatehouse/internal/client/clienttest"
	"gatehouse/internal/clients"
	"gatehouse/internal/inventory"
	"gatehouse/internal/secret"
)

var prints = client.NewFingerprints([]byte("tests"))

var everywhere = []client.Scope{client.User, client.Project, client.Plugin, client.Managed}

// memory is a store without a disk.
type memory map[string]string

func (memory) Reference(name string) string { return "keyring:" + name }
func (m memory) Get(name string) (string, error) {
	value, there := m[name]
	if !there {
		return "", secret.ErrNotFound
	}
	return value, nil
}
func (m memory) Set(name, value string) error { m[name] = value; return nil }
func (m memory) Delete(name string) error     { delete(m, name); return nil }

const program = "/opt/gatehouse/bin/gatehouse"

// setup is a state folder and options to begin with.
func setup(t *testing.T, home string) (Journal, Options, memory) {
	t.Helper()
	state := t.TempDir()
	store := memory{}
	j := Journal{Dir: filepath.Join(state, "protect"), Stores: map[string]secret.Store{"memory": store}, Default: "memory"}
	return j, Options{Program: program, Home: home, State: state, Scopes: everywhere, Store: store}, store
}

// snapshot is every file below a folder, with its mode.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		info, err := os.Lstat(name)
		out[name] = info.Mode().String() + "\n" + string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every client of every system: found, read, protected, and put back byte for byte.
func Test_files_of_every_client_are_protected_and_put_back(t *testing.T) {
	cases, err := filepath.Glob("../clients/*/testdata/*.txtar")
	if err != nil || len(cases) < 3*len(clients.All()) {
		t.Fatalf("%d cases for %d clients: %v", len(cases), len(clients.All()), err)
	}
	protected := map[string]int{}
	for _, name := range cases {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(name)))+"/"+filepath.Base(name), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			for i, file := range archive.Files {
				if file.Name != "want" {
					write(t, filepath.Join(root, filepath.FromSlash(file.Name)), file.Data, []os.FileMode{0o600, 0o644, 0o640}[i%3])
				}
			}
			m := clienttest.Machine(root, strings.TrimSuffix(filepath.Base(name), ".txtar"))
			for id, n := range roundTrip(t, m, filepath.Join(root, "home")) {
				protected[id] += n
			}
		})
	}
	for _, c := range clients.All() {
		runsNothing := []string{"docker-mcp"} // its own gateway runs the servers
		if protected[c.ID] == 0 && !slices.Contains(runsNothing, c.ID) {
			t.Errorf("no server of %s was protected in any case", c.ID)
		}
	}
}

// Windows editors write UTF-16, with lines that end in CRLF.
func Test_other_encodings_stay_what_they_are(t *testing.T) {
	text := strings.ReplaceAll("{\n  // für mich\n  \"mcpServers\": {\"s\": {\"command\": \"npx\", \"args\": [\"-y\", \"a@1.0.0\"], \"env\": {\"API_TOKEN\": \"secret-ü-12345\"}}}\n}\n", "\n", "\r\n")
	little := []byte{0xFF, 0xFE}
	for _, unit := range utf16.Encode([]rune(text)) {
		little = append(little, byte(unit), byte(unit>>8))
	}
	for name, raw := range map[string][]byte{"UTF-16": little, "byte order mark": append([]byte{0xEF, 0xBB, 0xBF}, text...), "CRLF": []byte(text)} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			write(t, filepath.Join(home, ".cursor", "mcp.json"), raw, 0o600)
			m := client.Machine{Root: home, System: client.Linux, Homes: []client.Home{{Dir: home, System: client.Linux, Own: true}}}
			if n := roundTrip(t, m, home)["cursor"]; n != 1 {
				t.Errorf("%d servers were protected", n)
			}
		})
	}
}

func write(t *testing.T, name string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// roundTrip protects everything on a machine, looks whether that holds, and takes it back.
// It counts the servers that were protected, by client.
func roundTrip(t *testing.T, m client.Machine, home string) map[string]int {
	t.Helper()
	before := snapshot(t, m.Root)
	j, o, store := setup(t, home)
	found := clients.Discover(m, prints)
	plan := New(found.Files, o)
	if outcomes, err := j.Apply(plan, "memory"); err != nil || slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Problem != "" }) {
		t.Fatalf("applying: %+v, %v", outcomes, err)
	}
	count := map[string]int{}
	again := clients.Discover(m, prints)
	for _, f := range plan.Files {
		for _, s := range f.Servers {
			if s.What == Change {
				look(t, again, f, s, store)
				for _, id := range f.Clients {
					count[id]++
				}
			} else if s.Why == "" && s.What == Left {
				t.Errorf("%s: %s is left without a reason", f.Path, s.Name)
			}
		}
	}
	nothingElse(t, found, again)
	if second := New(again.Files, o); second.Changes() != 0 {
		t.Errorf("a second run would change %d servers more", second.Changes())
	}
	back, err := j.Unprotect(Selection{})
	if plan.Changes() > 0 && err != nil {
		t.Fatal(err)
	}
	for _, b := range back {
		if !b.Exact {
			t.Errorf("%s is not put back exactly", b.Path)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, m.Root)); diff != "" {
		t.Errorf("the machine is not what it was:\n%s", diff)
	}
	if delete(store, keyName); len(store) > 0 {
		t.Errorf("secrets are left in the store: %v", slices.Collect(maps.Keys(store)))
	}
	return count
}

// look checks one server in its file as it is now.
func look(t *testing.T, now clients.Discovery, f FilePlan, s Server, store memory) {
	t.Helper()
	i := slices.IndexFunc(now.Files, func(n client.File) bool { return n.Path == f.Path })
	raw, err := os.ReadFile(f.Path)
	if i < 0 || err != nil {
		t.Fatalf("%s is no longer found: %v", f.Path, err)
	}
	at := slices.IndexFunc(now.Files[i].Entries, func(e client.Entry) bool { return slices.Equal(e.Path, s.Keys) })
	if at < 0 {
		t.Errorf("%s: %s is no longer there", f.Path, s.Name)
		return
	}
	e := now.Files[i].Entries[at]
	if source := inventory.Of(e); !source.Protected || e.Words[0] != program || source.Package != s.source.Package {
		t.Errorf("%s: %s runs %q", f.Path, s.Name, e.Words)
	}
	for _, m := range s.Moved {
		value := store[m.name]
		if value == "" || bytes.Contains(raw, []byte(value)) {
			t.Errorf("%s: the secret %s of %s stands in the file, or is not in the store", f.Path, m.Variable, s.Name)
		}
	}
	for _, note := range append(s.Notes, s.Why, strings.Join(s.After, " ")) {
		for _, value := range s.secrets {
			if strings.Contains(note, value) {
				t.Errorf("the plan repeats a secret: %s", note)
			}
		}
	}
}

// nothingElse checks that nothing but commands and moved secrets changed in what files say.
func nothingElse(t *testing.T, before, after clients.Discovery) {
	t.Helper()
	if len(before.Files) != len(after.Files) {
		t.Fatalf("%d files became %d", len(before.Files), len(after.Files))
	}
	for i, f := range before.Files {
		g := after.Files[i]
		if f.Path != g.Path || f.State != g.State || len(f.Entries) != len(g.Entries) || !slices.EqualFunc(f.Settings, g.Settings, func(a, b client.Set) bool {
			return a.Key == b.Key && slices.Equal(a.Value, b.Value)
		}) {
			t.Errorf("%s says something else: %s", f.Path, cmp.Diff(f.Problems, g.Problems))
			continue
		}
		for k, e := range f.Entries {
			if was := g.Entries[k]; e.Name != was.Name || e.URL != was.URL || e.Disabled != was.Disabled || len(e.Env) != len(was.Env) || e.Dir != was.Dir {
				t.Errorf("%s: %s is another server", f.Path, e.Name)
			}
		}
	}
}
