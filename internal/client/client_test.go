package client

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
)

var (
	prints = NewFingerprints([]byte("tests"))
	place  = Place{Scope: User, Path: "~/mcp.json", Servers: MCPServers}
)

func readText(t *testing.T, text string) File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read("test", Found{Path: name, Place: place}, prints)
}

func Test_one_bad_entry_loses_only_itself(t *testing.T) {
	f := readText(t, `{"mcpServers": {
		"good": {"command": "a"}, "number": 1, "both": {"command": "a", "url": "http://b.example"}, "neither": {},
		"switch": {"command": "a", "disabled": "yes"}, "args": {"command": "a", "args": [{}]}, "sk-abcdefghijklmnopqrstuvwx": {},
		"other": {"url": "https://c.example/mcp"}}}`)
	var names []string
	for _, e := range f.Entries {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"good", "other"}, names); diff != "" {
		t.Error(diff)
	}
	if f.State != Partial || len(f.Problems) != 6 {
		t.Errorf("state %s with %q", f.State, f.Problems)
	}
	if strings.Contains(strings.Join(f.Problems, ""), "abcdefgh") {
		t.Error("a problem repeats what looks like a secret")
	}
}

// Which of two spellings a client reads cannot be told: neither hides the other.
func Test_spellings_that_say_different_things_are_not_chosen_from(t *testing.T) {
	f := readText(t, `{"mcpServers": {
		"commands": {"command": "a", "cmd": "b"}, "args": {"command": "a", "args": ["x"], "arguments": ["y"]}, "urls": {"url": "https://a.example", "serverUrl": "https://b.example"},
		"equal": {"url": "https://a.example", "serverUrl": "https://a.example"}, "gemini": {"url": "https://a.example", "httpUrl": "https://b.example"},
		"null": {"command": null, "cmd": "b"},
		"all": {"command": "a", "env": {"A": "1"}, "environment": {"B": "2"}, "autoApprove": [], "alwaysAllow": ["x"], "autoAllow": "y", "autoapprove": true}}}`)
	got := map[string]Entry{}
	for _, e := range f.Entries {
		got[e.Name] = e
	}
	if len(got) != 4 || len(f.Problems) != 3 || got["gemini"].URL != "https://b.example" || got["null"].Words[0] != "b" {
		t.Errorf("%v, problems %q", got, f.Problems)
	}
	if all := got["all"]; len(all.Env) != 2 || !slices.Equal(all.Approved, []string{"x", "y", "*"}) {
		t.Errorf("variables %v, unasked %q", all.Env, all.Approved)
	}
}

// A project must not hide a server from a scan by a switch that its client does not know.
func Test_a_switch_that_the_client_does_not_know_hides_nothing(t *testing.T) {
	text := []byte(`{"mcpServers": {"a": {"command": "x", "disabled": true}, "b": {"command": "x", "enabled": false}, "c": {"command": "x", "isActive": 0}}}`)
	d, err := config.ParseDocument("f", text, config.JSON)
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := File{Path: "f", place: place}, File{Path: "f", place: Place{Servers: MCPServers, NoSwitch: true}}
	known.take(d, prints)
	unknown.take(d, prints)
	if len(known.Entries) != 2 || !known.Entries[0].Disabled || !known.Entries[1].Disabled || known.State != Partial {
		t.Errorf("%+v", known)
	}
	if len(unknown.Entries) != 3 || slices.ContainsFunc(unknown.Entries, func(e Entry) bool { return e.Disabled }) {
		t.Errorf("%+v", unknown)
	}
}

func Test_headers_in_the_options_of_a_request(t *testing.T) {
	f := readText(t, `{"mcpServers": {"a": {"url": "https://h.example", "headers": {"A": "1"}, "requestInit": {"mode": "cors", "signal": [], "headers": {"B": "2"}}}}}`)
	if len(f.Entries) != 1 || len(f.Entries[0].Headers) != 2 {
		t.Errorf("%+v, %q", f.Entries, f.Problems)
	}
}

func Test_settings_are_repeated_without_secrets(t *testing.T) {
	d, err := config.ParseDocument("f", []byte(`{"a": "sk-abcdefghijklmnop1234", "b": ["x", "sk-abcdefghijklmnop1234"], "c": true}`), config.JSON)
	if err != nil {
		t.Fatal(err)
	}
	f := File{Path: "f", place: Place{Settings: [][]string{Keys("a"), Keys("b"), Keys("c")}}}
	f.take(d, prints)
	want := []Set{{"a", []string{"[redacted]"}, 1}, {"b", []string{"x", "[redacted]"}, 1}, {"c", []string{"true"}, 1}}
	if diff := cmp.Diff(want, f.Settings); diff != "" {
		t.Error(diff)
	}
}

func Test_not_every_problem_is_said(t *testing.T) {
	f := readText(t, `{"mcpServers": {`+strings.Repeat(`"x": {},`, maxFileProblems+5)+`}}`)
	if f.State != Partial || len(f.Problems) != maxFileProblems {
		t.Errorf("state %s, %d problems", f.State, len(f.Problems))
	}
}

func Test_files_that_say_nothing_of_servers(t *testing.T) {
	for text, want := range map[string]State{
		"": Parsed, " \n": Parsed, "{}": Parsed, "null": Failed, "[]": Failed, `"x"`: Failed, `{"mcpServers"`: Failed, "{}{}": Failed,
		`{"mcpServers": "x"}`: Partial, `{"mcpServers": null}`: Parsed, "{\x00}": Failed, "\xff": Failed, "{\x00}\x00": Failed,
	} {
		if f := readText(t, text); f.State != want || (want == Parsed) != (len(f.Problems) == 0) {
			t.Errorf("%q is %s: %q", text, f.State, f.Problems)
		}
	}
}

func Test_folders_are_looked_through_to_a_depth(t *testing.T) {
	home := t.TempDir()
	var want []string
	dir := filepath.Join(home, "plugins")
	for level := range maxLevels + 2 {
		for _, d := range []string{dir, filepath.Join(dir, "node_modules", "x")} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(d, "mcp.json"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if level <= maxLevels {
			want = append(want, filepath.Join(dir, "mcp.json"))
		}
		dir = filepath.Join(dir, "d")
	}
	found, err := glob(home, "plugins/**/mcp.json")
	slices.Sort(want)
	if diff := cmp.Diff(want, found); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func Test_a_text_in_place_of_a_server(t *testing.T) {
	f := readText(t, `{"mcpServers": {"a": "npx mcp-remote https://h.example/mcp", "b": "https://h.example/mcp"}}`)
	if len(f.Entries) != 2 || len(f.Entries[0].Words) != 3 || f.Entries[1].URL == "" {
		t.Errorf("%+v", f.Entries)
	}
}

func Test_placeholders_are_told_from_what_stands_in_the_file(t *testing.T) {
	f := readText(t, `{"mcpServers": {"a": {"command": "x", "cwd": "/srv/sk-abcdefghijklmnop1234", "env": {
		"A": "${A}", "B_TOKEN": "${B:-hunter22}", "C_TOKEN": "$uperhunter22", "D": "$D_D", "E": "Bearer ${env:E}", "F": "${F:-}", "G": "${input:g}"}}}}`)
	if len(f.Entries) != 1 {
		t.Fatal(f.Problems)
	}
	for _, v := range f.Entries[0].Env {
		literal := strings.HasSuffix(v.Name, "_TOKEN")
		if (v.Kind == Literal) != literal || v.Secret != literal || strings.Contains(v.Reference, "hunter22") {
			t.Errorf("%+v", v)
		}
	}
	if f.Entries[0].Dir != "[redacted]" {
		t.Errorf("folder %s", f.Entries[0].Dir)
	}
}

func Test_one_member_that_is_a_server_makes_a_flat_file(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.WriteFile(name, []byte(`{"$schema": "https://h.example/s", "a": {"command": "x"}, "b": {"commands": "y"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	flat := place
	flat.Flat = true
	f := Read("test", Found{Path: name, Place: flat}, prints)
	if len(f.Entries) != 1 || f.State != Partial || len(f.Problems) != 1 {
		t.Errorf("state %s, %q, %d entries", f.State, f.Problems, len(f.Entries))
	}
}

// What goes beyond a bound is left out, and the file says that something is.
func Test_files_beyond_bounds_are_partial(t *testing.T) {
	list := func(n int) string { return `["x"` + strings.Repeat(`, "x"`, n) + `]` }
	var servers, projects strings.Builder
	for i := range maxEntries + 2 {
		fmt.Fprintf(&servers, `"s%d": {"command": "x"},`, i)
	}
	for i := range maxProjects + 1 {
		fmt.Fprintf(&projects, `"/p%d": {},`, i)
	}
	many := place
	many.Servers = append(slices.Clone(many.Servers), Keys("projects", "*", "mcpServers"))
	many.Settings = [][]string{Keys("allow")}
	for what, text := range map[string]string{
		"servers":  `{"mcpServers": {` + servers.String() + `}}`,
		"projects": `{"projects": {` + projects.String() + `}}`,
		"settings": `{"allow": ` + list(maxSettingValues) + `}`,
		"words":    `{"mcpServers": {"a": {"command": "x", "args": ` + list(maxWords) + `}}}`,
		"values":   `{"mcpServers": {"a": {"command": "x", "env": ` + list(maxValues) + `}}}`,
		"unasked":  `{"mcpServers": {"a": {"command": "x", "autoApprove": ` + list(maxSettingValues) + `}}}`,
	} {
		d, err := config.ParseDocument("f", []byte(text), config.JSON)
		if err != nil {
			t.Fatal(err)
		}
		f := File{Path: "f", place: many}
		f.take(d, prints)
		if f.State != Partial || len(f.Problems) != 1 || len(f.Entries) > maxEntries || len(f.Projects) > maxProjects {
			t.Errorf("%s: state %s, %q, %d servers, %d projects", what, f.State, f.Problems, len(f.Entries), len(f.Projects))
		}
	}
}

func Test_the_files_of_one_folder_are_bounded(t *testing.T) {
	home := t.TempDir()
	for i := range maxFound + 1 {
		if err := os.WriteFile(filepath.Join(home, fmt.Sprintf("%d.json", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := glob(home, "*.json"); len(found) != maxFound || !errors.Is(err, errTooMany) {
		t.Errorf("%d files, %v", len(found), err)
	}
}

func Test_links_to_folders_are_followed_once(t *testing.T) {
	home := t.TempDir()
	for _, dir := range []string{"plugins/a", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, dir, "mcp.json"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"linked": "elsewhere", "circle": "plugins", "a/up": "plugins", "nowhere": "missing"} {
		if err := os.Symlink(filepath.Join(home, to), filepath.Join(home, "plugins", name)); err != nil {
			t.Skip(err)
		}
	}
	found, err := glob(home, "plugins/**/mcp.json")
	want := []string{filepath.Join(home, "plugins/a/mcp.json"), filepath.Join(home, "plugins/linked/mcp.json")}
	if diff := cmp.Diff(want, found); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func Test_a_key_that_stands_twice_is_reported(t *testing.T) {
	f := readText(t, `{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}`)
	if f.State != Partial || len(f.Problems) != 1 || len(f.Entries) != 1 {
		t.Errorf("state %s, %q, %d entries", f.State, f.Problems, len(f.Entries))
	}
}

func Test_files_that_are_none_are_reported_and_not_waited_for(t *testing.T) {
	dir := t.TempDir()
	link := func(name, to string) string {
		name = filepath.Join(dir, name)
		if err := os.Symlink(to, name); err != nil {
			t.Skip(err)
		}
		return name
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 17<<20); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]State{
		fifo(t, dir): Skipped, link("device", "/dev/zero"): Skipped, large: Skipped,
		link("loop", "loop"): Failed, link("nowhere", "missing"): Failed,
	} {
		f := Read("test", Found{Path: name, Place: place}, prints)
		if f.State != want || len(f.Problems) != 1 {
			t.Errorf("%s: state %s with %q, want %s", filepath.Base(name), f.State, f.Problems, want)
		}
	}
}

func Test_values_are_never_repeated(t *testing.T) {
	f := readText(t, `{"mcpServers": {"a": {"command": "x", "args": ["--token=hunter22", "--key", "hunter22", "postgresql://u:hunter22@h/d", "--header", "Authorization: Bearer hunter22"], "env": {"TOKEN": "hunter22"}},
		"b": {"url": "https://u:hunter22@h.example/mcp?api_key=hunter22&q=1", "headers": {"Authorization": "Bearer hunter22"}}}}`)
	if len(f.Entries) != 2 {
		t.Fatal(f.Problems)
	}
	for _, e := range f.Entries {
		if shown := strings.Join(append(e.Shown, e.ShownURL), " "); strings.Contains(shown, "hunter22") {
			t.Errorf("shown: %s", shown)
		}
	}
	if printed := fmt.Sprintf("%v %+v %#v %q", f.Entries[1].Headers, f.Entries[0].Env, f.Entries[0].Env, f.Entries[0].Env[0].Raw); strings.Contains(printed, "hunter22") {
		t.Errorf("printed: %s", printed)
	}
	env, header := f.Entries[0].Env[0], f.Entries[1].Headers[0]
	if !env.Secret || env.Fingerprint == "" || env.Fingerprint != header.Fingerprint {
		t.Errorf("the same secret has %+v and %+v", env, header)
	}
}

func Test_places_beyond_bounds_are_reported(t *testing.T) {
	home := t.TempDir()
	deep := home
	for range maxLevels + 2 {
		deep = filepath.Join(deep, "d")
	}
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range maxFolders + 1 {
		if err := os.Mkdir(filepath.Join(home, "d", strings.Repeat("x", i%50+1)+string(rune('a'+i/50%26))+string(rune('a'+i/1300))), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := Machine{System: Linux, Homes: []Home{{Dir: home, System: Linux}}}
	found := m.Find(Place{Path: "~/**/mcp.json", Servers: MCPServers})
	if len(found) != 1 || !errors.Is(found[0].Err, errTooMany) {
		t.Errorf("found %v", found)
	}
}

func Test_what_stands_in_config_may_have_been_moved(t *testing.T) {
	home, moved := t.TempDir(), t.TempDir()
	write := func(dir string) string {
		name := filepath.Join(dir, "zed", "settings.json")
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	usual, other := write(filepath.Join(home, ".config")), write(moved)
	t.Chdir(t.TempDir())
	write("relative") // to what, who set it knows
	if err := os.MkdirAll(filepath.Join(home, ".config", "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if found := (Machine{System: Linux, Homes: []Home{{Dir: home, System: Linux}}}).Find(Place{Path: "~/.config/folder"}); len(found) != 0 {
		t.Errorf("a folder is taken for a file: %v", found)
	}
	for folder, want := range map[string][]string{moved: {usual, other}, filepath.Join(home, ".config") + "/": {usual}, "relative": {usual}, "": {usual}} {
		for _, own := range []bool{true, false} {
			m := Machine{System: Linux, Homes: []Home{{Dir: home, System: Linux, Own: own}}, Getenv: func(string) string { return folder }}
			var got []string
			for _, f := range m.Find(Place{Path: "~/.config/zed/settings.json"}) {
				got = append(got, f.Path)
			}
			if !own {
				want = []string{usual} // whose environment is not known
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("XDG_CONFIG_HOME=%s, own %v: %s", folder, own, diff)
			}
		}
	}
}

func Test_a_patch_fits_its_file_only(t *testing.T) {
	text := `{"mcpServers": {"a": {"command": "x"}}}`
	f := readText(t, text)
	p, err := f.Rewrite([]byte(text), []Change{{Path: f.Entries[0].Path, Command: []string{"gatehouse", "run", "--", "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	after, err := p.Apply([]byte(text))
	if err != nil || string(after) != `{"mcpServers": {"a": {"command": "gatehouse", "args": ["run", "--", "x"]}}}` {
		t.Fatalf("%s, %v", after, err)
	}
	if _, err := p.Apply([]byte(text + " ")); !errors.Is(err, ErrChanged) {
		t.Errorf("applied to another file: %v", err)
	}
	if _, err := p.Revert(append(bytes.Clone(after), ' ')); !errors.Is(err, ErrChanged) {
		t.Errorf("taken back in another file: %v", err)
	}
	if _, err := p.RevertIn(f, bytes.Replace(after, []byte("run"), []byte("walk"), 1)); !errors.Is(err, ErrChanged) {
		t.Errorf("taken back although it was changed: %v", err)
	}
	grown := bytes.Replace(after, []byte(`{"mcp`), []byte(`{"new": 1, "mcp`), 1)
	if back, err := p.RevertIn(f, grown); err != nil || string(back) != `{"new": 1, "mcpServers": {"a": {"command": "x"}}}` {
		t.Errorf("taken back in a file that grew: %s, %v", back, err)
	}
}

func Test_variables_and_headers_are_changed_in_place(t *testing.T) {
	text := `{"mcpServers": {"a": {"command": "x", "env": {"T": "hunter22", /* two */ "U": "v"}}, "b": {"url": "https://b.example", "headers": {"K": "hunter22"}}}}`
	f := readText(t, text)
	p, err := f.Rewrite([]byte(text), []Change{
		{Path: []string{"mcpServers", "a"}, Env: map[string]string{"T": "keyring:t"}}, {Path: []string{"mcpServers", "b"}, Headers: map[string]string{"K": "keyring:t"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	after, _ := p.Apply([]byte(text))
	if want := strings.ReplaceAll(text, "hunter22", "keyring:t"); string(after) != want {
		t.Errorf("%s, want %s", after, want)
	}
}

func Test_what_two_entries_share_is_not_changed_for_one(t *testing.T) {
	text := "mcpServers:\n  a: &a\n    command: x\n    args: []\n  b: *a\n"
	yaml := Place{Scope: User, Path: "~/c.yaml", Format: config.YAML, Servers: MCPServers}
	name := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := Read("test", Found{Path: name, Place: yaml}, prints)
	if len(f.Entries) != 2 {
		t.Fatal(f.Problems)
	}
	if _, err := f.Rewrite([]byte(text), []Change{{Path: f.Entries[1].Path, Command: []string{"gatehouse"}}}); err == nil {
		t.Error("changing one changed the other, and that was let pass")
	}
}

func rewriteAs(t *testing.T, text string, format config.Format) (string, error) {
	t.Helper()
	f := File{Path: "f", place: Place{Format: format, Servers: MCPServers}}
	p, err := f.Rewrite([]byte(text), []Change{{Path: []string{"mcpServers", "a"}, Command: []string{"gatehouse", "x"}}})
	if err != nil {
		return "", err
	}
	after, err := p.Apply([]byte(text))
	return string(after), err
}

func Test_a_change_leaves_everything_else_as_it_says(t *testing.T) {
	for text, format := range map[string]config.Format{
		// A list that something else in the file refers to.
		"mcpServers:\n  a:\n    command: x\n    args: &shared [\"-y\"]\nother: *shared\n": config.YAML,
		// Keys that stand twice: clients run the second.
		`{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}`:         config.JSON,
		`{"mcpServers": {"a": {"command": "x"}}, "mcpServers": {"a": {"b": 1}}}`: config.JSON,
		"mcpServers.a.command = \"x\"\n":                                         config.TOML,
	} {
		if after, err := rewriteAs(t, text, format); err == nil {
			t.Errorf("%q became %q", text, after)
		}
	}
	for text, want := range map[string]string{
		"mcpServers:\n  a:\n    command: x # y\n    args:\n    - z\n": "mcpServers:\n  a:\n    command: \"gatehouse\" # y\n    args: [\"x\"]\n",
		"mcpServers:\n  a:\n    command: x # y\n":                     "mcpServers:\n  a:\n    args: [\"x\"]\n    command: \"gatehouse\" # y\n",
		"mcpServers:\r\n  a:\r\n    command: x\r\n":                   "mcpServers:\r\n  a:\r\n    args: [\"x\"]\r\n    command: \"gatehouse\"\r\n",
		"x: &x y\nmcpServers:\n  a:\n    command: *x\n":               "", // it stands elsewhere
	} {
		if after, err := rewriteAs(t, text, config.YAML); after != want || (err != nil) != (want == "") {
			t.Errorf("%q became %q: %v", text, after, err)
		}
	}
	if _, err := rewriteAs(t, `{"mcpServers": {"a": {"command": "x"}}, "b": 1, "b": 2}`, config.JSON); !errors.Is(err, errDoubt) {
		t.Errorf("a file that clients read in different ways: %v", err)
	}
	after, err := rewriteAs(t, `{"mcpServers": {"a": {"command": "x", "args": null}}}`, config.JSON)
	if want := `{"mcpServers": {"a": {"command": "gatehouse", "args": ["x"]}}}`; err != nil || after != want {
		t.Errorf("%s, %v", after, err)
	}
}

func Test_a_patch_without_a_place_is_not_taken_back(t *testing.T) {
	p := Patch{Edits: []Edit{{Old: []byte("a"), New: []byte("b")}}}
	if _, err := p.RevertIn(File{Path: "f"}, []byte(`{}`)); !errors.Is(err, ErrChanged) {
		t.Errorf("%v", err)
	}
}

// Fuzz_reading: no bytes make a reader panic or point outside the file, and every
// change that is made can be taken back to the same bytes.
func Fuzz_reading(f *testing.F) {
	for _, text := range []string{
		`{"mcpServers": {"a": {"command": "x", "args": ["y"]}, "b": {"url": "https://b.example"},},}`,
		"mcpServers:\n- name: a\n  command: x\n  args:\n  - y\n- name: b\n  url: https://b.example\n",
		"[mcpServers.a]\ncommand = 'x'\nargs = [\"y\", # c\n]\n[mcpServers.b]\nurl = \"\"\"https://b.example\"\"\"\n[[mcpServers.c]]\nx = {a.b = 1}\n",
		"mcpServers: {a: {command: x y}, b: &b {url: z}, c: *b}\r\n",
	} {
		for format := range 3 {
			f.Add([]byte(text), byte(format))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, format byte) {
		p := place
		p.Format, p.Flat = config.Format(format%3), true
		d, err := config.ParseDocument("f", raw, p.Format)
		if err != nil {
			return
		}
		file := File{Path: "f", Clients: []string{"test"}, place: p}
		file.take(d, prints)
		for _, e := range file.Entries {
			if e.Span.Known() && (e.Span.Start < 0 || e.Span.End > len(raw)) {
				t.Fatalf("%q stands at %v of %d bytes", e.Name, e.Span, len(raw))
			}
			change := Change{Path: e.Path, Command: []string{"gatehouse", "run", "--", e.Name}}
			if len(e.Words) == 0 {
				change = Change{Path: e.Path, URL: "http://127.0.0.1/" + e.Name}
			}
			patch, err := file.Rewrite(raw, []Change{change})
			if err != nil {
				continue
			}
			after, err := patch.Apply(raw)
			if err != nil {
				t.Fatal(err)
			}
			if said, ok := file.Said(after, e.Path); !ok || change.Command != nil && !slices.Equal(said.Words, change.Command) || said.URL != change.URL {
				t.Fatalf("%q became %q, which says %q %q", raw, after, said.Words, said.URL)
			}
			if back, err := patch.Revert(after); err != nil || !bytes.Equal(back, raw) {
				t.Fatalf("%q came back as %q: %v", raw, back, err)
			}
		}
	})
}

func Test_every_character_is_written_as_every_format_reads_it(t *testing.T) {
	word := "\"\\\b\t\n\x1b\x7f\u0085\u2028é😀$%{}#: "
	for format, text := range map[config.Format]string{
		config.JSON: `{"mcpServers": {"a": {"command": "x", "args": []}}}`,
		config.YAML: "mcpServers:\n  a:\n    command: x\n    args: []\n",
		config.TOML: "[mcpServers.a]\ncommand = \"x\"\nargs = []\n",
	} {
		f := File{Path: "f", place: Place{Format: format, Servers: MCPServers}}
		if _, err := f.Rewrite([]byte(text), []Change{{Path: []string{"mcpServers", "a"}, Command: []string{"gatehouse", word}}}); err != nil {
			t.Errorf("%v: %v", format, err)
		}
	}
}

func Test_what_cannot_be_written_is_not_changed(t *testing.T) {
	text := []byte(`{"mcpServers": {"a": {"command": "x", "args": [], "env": {"E": ""}}, "b": {"url": "https://h.example", "headers": {"H": ""}}}}`)
	f := File{Path: "f", place: place}
	a, b, bad := []string{"mcpServers", "a"}, []string{"mcpServers", "b"}, "\xff"
	for _, c := range []Change{
		{Path: a, Command: []string{"gatehouse", bad}}, {Path: a, Env: map[string]string{"E": bad}},
		{Path: b, URL: "https://" + bad}, {Path: b, Headers: map[string]string{"H": bad}},
	} {
		if _, err := f.Rewrite(text, []Change{c}); !errors.Is(err, errPlace) {
			t.Errorf("%q: %v", c, err)
		}
	}
}
