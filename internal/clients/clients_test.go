package clients

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/client"
)

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var prints = client.NewFingerprints([]byte("tests"))

func machine(home string, projects ...string) client.Machine {
	return client.Machine{Root: home, System: client.Linux, Homes: []client.Home{{Dir: home, System: client.Linux}}, Projects: projects}
}

func Test_identifiers_are_unique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		if got, found := ByID(c.ID); !found || got.Name != c.Name {
			t.Errorf("ByID(%s) finds %q", c.ID, got.Name)
		}
	}
	if _, found := ByID("nobody"); found {
		t.Error("found a client that is not there")
	}
}

func Test_a_file_of_several_clients_is_read_once(t *testing.T) {
	home := t.TempDir()
	project := filepath.Join(home, "shop")
	write(t, filepath.Join(project, ".mcp.json"), `{"mcpServers": {"a": {"command": "x"}}}`)
	d := Discover(machine(home, project, project+"/."), prints)
	if len(d.Files) != 1 || len(d.Entries()) != 1 {
		t.Fatalf("%d files, %d entries", len(d.Files), len(d.Entries()))
	}
	want := []string{"claude-code", "copilot-cli", "deepagents"}
	if got := slices.Sorted(slices.Values(d.Entries()[0].Clients)); !slices.Equal(got, want) {
		t.Errorf("clients %q, want %q", got, want)
	}
}

func Test_projects_that_a_client_remembers_are_looked_at(t *testing.T) {
	home := t.TempDir()
	project := filepath.Join(home, "far", "shop")
	write(t, filepath.Join(home, ".claude.json"), fmt.Sprintf(`{"projects": {%q: {}, "relative": {}, %q: {}}}`, project, filepath.Join(home, "gone")))
	write(t, filepath.Join(project, ".cursor", "mcp.json"), `{"mcpServers": {"a": {"command": "x"}}}`)
	d := Discover(machine(home), prints)
	if len(d.Files) != 2 || len(d.Entries()) != 1 || !d.Complete() {
		t.Errorf("%d files, %d entries", len(d.Files), len(d.Entries()))
	}
	// As a client of Windows names them, seen from WSL.
	write(t, filepath.Join(home, ".claude.json"), `{"projects": {"C:\\work\\shop": {}}}`)
	write(t, filepath.Join(home, "mnt", "c", "work", "shop", ".cursor", "mcp.json"), `{"mcpServers": {"a": {"command": "x"}}}`)
	if d := Discover(machine(home), prints); len(d.Files) != 2 || len(d.Entries()) != 1 {
		t.Errorf("in WSL %d files, %d entries", len(d.Files), len(d.Entries()))
	}
}

// In WSL a home of Windows lies beside that of Linux and is laid out otherwise.
func Test_homes_of_several_systems(t *testing.T) {
	home, windows := t.TempDir(), t.TempDir()
	text := `{"mcpServers": {"a": {"command": "x"}}}`
	write(t, filepath.Join(home, ".config", "Claude", "claude_desktop_config.json"), text)
	write(t, filepath.Join(windows, "AppData", "Roaming", "Claude", "claude_desktop_config.json"), text)
	m := machine(home)
	m.Homes = append(m.Homes, client.Home{Dir: windows, System: client.Windows})
	var homes []string
	for _, f := range Discover(m, prints).Files {
		homes = append(homes, f.Home)
	}
	want := []string{home, windows}
	slices.Sort(want)
	if diff := cmp.Diff(want, homes); diff != "" {
		t.Error(diff)
	}
	if layout(windows, client.Linux) != client.Windows || layout(home, client.MacOS) != client.Linux || layout(t.TempDir(), client.MacOS) != client.MacOS {
		t.Error("the layout of a home is not told by what lies in it")
	}
}

func Test_what_cannot_be_read_is_not_complete(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, ".cursor", "mcp.json"), `{"mcpServers"`)
	if d := Discover(machine(home), prints); d.Complete() || len(d.Files) != 1 || d.Files[0].State != client.Failed {
		t.Errorf("%+v", d.Files)
	}
}

// longUsed is a home with twenty-one servers in six clients, one of them beside a history
// of some megabytes.
func longUsed(t testing.TB) string {
	home := t.TempDir()
	for i, name := range []string{".cursor/mcp.json", ".gemini/settings.json", ".junie/mcp/mcp.json", ".kiro/settings/mcp.json", ".lmstudio/mcp.json"} {
		text := `{"mcpServers": {`
		for j := range 4 {
			text += fmt.Sprintf(`"s%d-%d": {"command": "npx", "args": ["-y", "server-%d-%d"]},`, i, j, i, j)
		}
		write(t, filepath.Join(home, filepath.FromSlash(name)), text+"}}")
	}
	history := strings.Repeat(`"a line that was typed a long time ago, and that nobody needs any more",`+"\n", 20_000)
	write(t, filepath.Join(home, ".claude.json"), `{"history": [`+history+`], "mcpServers": {"own": {"url": "https://own.example/mcp"}}}`)
	return home
}

func Test_servers_beside_a_long_history_are_found(t *testing.T) {
	if d := Discover(machine(longUsed(t)), prints); len(d.Entries()) != 21 || len(d.Files) != 6 || !d.Complete() {
		t.Errorf("%d servers in %d files", len(d.Entries()), len(d.Files))
	}
}

// Benchmark_discovery is to stay far below a second, so that people scan often.
func Benchmark_discovery(b *testing.B) {
	m := machine(longUsed(b))
	for b.Loop() {
		Discover(m, prints)
	}
}

func Test_the_page_is_fresh(t *testing.T) {
	have, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), string(Page(All()))); diff != "" {
		t.Errorf("go generate ./internal/clients writes docs/clients.md (-have +want):\n%s", diff)
	}
}

func Test_everybodys_homes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"ada/AppData", "Public", "bob/AppData"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "desktop.ini"), "")
	link := filepath.Join(dir, "eve", "AppData") // leads to itself: what lies in it cannot be told
	if err := errors.Join(os.Mkdir(filepath.Dir(link), 0o755), os.Symlink("AppData", link)); err != nil {
		t.Skip(err)
	}
	all := filepath.Join(dir, "*")
	for system, want := range map[client.System]string{client.Windows: "ada bob eve", client.Linux: "Public ada bob eve"} {
		m, err := addAll(client.Machine{}, system, all, filepath.Join(dir, "nowhere"), filepath.Join(dir, "nowhere", "*"))
		var got []string
		for _, home := range m.Homes {
			got = append(got, filepath.Base(home.Dir))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%v: %q, %v", system, got, err)
		}
	}
	if _, err := addAll(client.Machine{}, client.Linux, filepath.Join(link, "*")); err == nil {
		t.Error("homes that cannot be listed are taken for none")
	}
}

func Test_only_projects_are_looked_at_where_only_they_are_wanted(t *testing.T) {
	home := t.TempDir()
	project, other := filepath.Join(home, "shop"), filepath.Join(home, "other")
	text := `{"mcpServers": {"a": {"command": "x"}}}`
	for _, dir := range []string{home, project, other} {
		write(t, filepath.Join(dir, ".cursor", "mcp.json"), text)
	}
	write(t, filepath.Join(home, ".claude.json"), fmt.Sprintf(`{"projects": {%q: {}}}`, other))
	m := machine(home, project)
	m.ProjectsOnly = true
	if d := Discover(m, prints); len(d.Files) != 1 || d.Files[0].Project != project {
		t.Errorf("%+v", d.Files)
	}
}
