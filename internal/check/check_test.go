package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

func Test_sets_are_what_a_client_has_at_once(t *testing.T) {
	entry := func(name, file string, clients []string, path ...string) client.Entry {
		return client.Entry{Name: name, File: file, Clients: clients, Words: []string{name}, Path: append(path, name)}
	}
	off := entry("off", "/home/a.json", []string{"a"})
	off.Disabled = true
	scene := &Scene{
		Files: []client.File{{Path: "/home/a.json"}, {Path: "/p/a.json", Project: "/p"}},
		Servers: inventory.Servers([]client.Entry{
			entry("own", "/home/a.json", []string{"a"}, "mcpServers"), off,
			entry("remembered", "/home/a.json", []string{"a"}, "projects", "/q", "mcpServers"),
			entry("brought", "/p/a.json", []string{"a", "b"}, "mcpServers"),
		}),
	}
	var got []string
	for _, set := range scene.Sets() {
		line := set.Client + " " + set.Project + ":"
		for _, m := range set.Members {
			line += " " + m.Entry.Name
		}
		got = append(got, line)
	}
	want := []string{"a : own", "a /p: own brought", "a /q: own remembered", "b /p: brought"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func Test_a_finding_is_signed_by_its_check(t *testing.T) {
	c := Check{ID: "c", Severity: rule.Low, Run: func(s *Scene) Result {
		return Result{
			Findings:  []Finding{AboutFile(client.File{Path: "/f"}).Says(rule.Unrated, "w", "f", "a", "b"), Finding{}.Says(rule.High, "w", "f", "ab")},
			Unchecked: []Unchecked{{Why: "w"}},
		}
	}}
	r := c.Judge(&Scene{})
	if got := fmt.Sprint(r.Findings[0].Check, r.Findings[0].Severity, r.Findings[1].Severity, r.Unchecked[0].Check); strings.ReplaceAll(got, " ", "") != "clowhighc" {
		t.Error(got)
	}
	if r.Findings[0].Evidence == r.Findings[1].Evidence {
		t.Error("facts run into each other")
	}
}

func Test_a_file_is_in_the_home_that_names_it(t *testing.T) {
	home := (&Scene{Home: "/home/ada", Files: []client.File{{Path: "/mnt/c/b.json", Home: "/mnt/c/Users/ada"}, {Path: "/p/a.json"}}}).Homes()
	if got := []string{home("/mnt/c/b.json"), home("/p/a.json"), home("/elsewhere")}; !cmp.Equal(got, []string{"/mnt/c/Users/ada", "/home/ada", "/home/ada"}) {
		t.Errorf("%q", got)
	}
}

func Test_a_sentence_bears_few_names(t *testing.T) {
	f := func(want string, names ...string) {
		t.Helper()
		if got := Few(names); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("")
	f("a", "a")
	f("a and b", "a", "b")
	f("a, b, c and d", "a", "b", "c", "d")
	f("a, b, c, d and 2 more", "a", "b", "c", "d", "e", "f")
}

func Test_only_the_beginning_of_a_text_is_shown(t *testing.T) {
	if got := Shown(strings.Repeat("é", maxShown)); got != strings.Repeat("é", maxShown/2)+"…" {
		t.Errorf("%q", got)
	}
	if got := Shown("short"); got != "short" {
		t.Errorf("%q", got)
	}
}

func Test_a_server_meets_itself_once(t *testing.T) {
	entry := func(name string) client.Entry {
		return client.Entry{Name: name, File: "/home/a.json", Clients: []string{"a"}, Words: []string{"own-server"}}
	}
	scene := &Scene{Servers: inventory.Servers([]client.Entry{entry("one"), entry("two")})}
	scene.Facts.Definitions = func(string) ([]Tool, error) { return nil, nil }
	scene.Together(func(all Together) ([]Finding, error) {
		if len(all.Servers) != 1 {
			t.Errorf("%d servers", len(all.Servers))
		}
		return nil, nil
	})
}
