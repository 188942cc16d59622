package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/config"
)

func Test_shells_complete_halts_and_quotas(t *testing.T) {
	folder(t, "quotas: {each-user: {by: [user], per_day: 5}}\nteams: {data: {keys: [ci]}}\nidentity: {keys: {}}")
	c, err := config.Load("gatehouse.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"halt", "tool", "files", "write_file", "--reason", "r"},
		{"halt", "server", "pay", "--reason", "r"},
		{"halt", "principal", "user:corp/ann", "--reason", "r"},
	} {
		if code, _, stderr := program(args...); code != 0 {
			t.Fatal(stderr)
		}
	}
	for line, want := range map[string][]string{
		"halt ":                 {"all", "list", "principal", "prompt", "resource", "server", "team", "tool"},
		"halt server ":          {"files", "pay"},
		"halt tool ":            {"files", "pay"},
		"halt team ":            {"data"},
		"halt principal ":       nil,
		"resume ":               {"principal", "server", "tool"},
		"resume server ":        {"pay"},
		"resume tool ":          {"files"},
		"resume tool files ":    {"write_file"},
		"resume principal ":     {"user:corp/ann"},
		"resume prompt ":        nil,
		"quota show ":           {"each-user"},
		"quota show each-user ": nil,
	} {
		words := append([]string{"__complete"}, strings.Fields(line)...)
		_, stdout, _ := program(append(words, "")...)
		var got []string
		for each := range strings.Lines(stdout) {
			if word, _, _ := strings.Cut(strings.TrimSpace(each), "\t"); word != "" && word[0] != ':' {
				got = append(got, word)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	// What cannot be read offers nothing.
	if err := os.WriteFile(c.Path, []byte("servers: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stdout, _ := program("__complete", "halt", "server", ""); strings.Contains(stdout, "files") {
		t.Errorf("a broken configuration offers %s", stdout)
	}
}
