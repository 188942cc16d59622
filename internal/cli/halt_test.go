package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/limit"
)

// shellWords splits a line of a page as a shell would: words, and texts in quotes.
func shellWords(line string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2])
	}
	return words
}

// fenced are the blocks of a language in a page.
func fenced(t *testing.T, page, language string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(raw, -1) {
		blocks = append(blocks, string(m[1]))
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no %s", page, language)
	}
	return blocks
}

// folder is the working folder of a test, with a configuration.
func folder(t *testing.T, quotas string) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	text := "servers: {files: {command: [x]}, pay: {command: [x]}}\n" + quotas
	if err := os.WriteFile("gatehouse.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func program(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// Every command that the pages show works as it stands, one after the other.
func Test_commands_in_the_docs_run(t *testing.T) {
	for page, quotas := range map[string]string{"halt.md": "", "limits.md": "quotas: {each-user: {by: [user], per_day: 5}}"} {
		blocks := fenced(t, page, "sh")
		t.Run(page, func(t *testing.T) {
			folder(t, quotas)
			for _, block := range blocks {
				for line := range strings.Lines(block) {
					words := shellWords(line)
					if code, _, stderr := program(words[1:]...); words[0] != "gatehouse" || code != 0 || stderr != "" {
						t.Errorf("%s ends with %d: %s", strings.TrimSpace(line), code, stderr)
					}
				}
			}
		})
	}
}

// The configurations of the page load, and every quota in them can be counted.
func Test_quotas_in_the_docs_load(t *testing.T) {
	for i, block := range fenced(t, "limits.md", "yaml") {
		path := filepath.Join(t.TempDir(), "gatehouse.yaml")
		if err := os.WriteFile(path, []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		if err != nil {
			t.Errorf("configuration %d: %v", i+1, err)
			continue
		}
		if _, err := limit.New(c, limit.InMemory(nil)); err != nil || len(c.Quotas) == 0 {
			t.Errorf("configuration %d: %d quotas, %v", i+1, len(c.Quotas), err)
		}
	}
}

func Test_halting_and_resuming_is_recorded(t *testing.T) {
	dir := folder(t, "")
	for _, args := range [][]string{
		{"halt", "server", "files", "--reason", "incident 42"},
		{"halt", "tool", "pay", "refund", "--reason", "under review", "--for", "2h"},
		{"resume", "server", "files"},
	} {
		if code, _, stderr := program(args...); code != 0 || stderr != "" {
			t.Fatalf("%v: %d, %s", args, code, stderr)
		}
	}
	var got []string
	err := audit.Read(filepath.Join(dir, ".gatehouse", "audit"), audit.Filter{}, func(r *audit.Record) error {
		if !strings.HasPrefix(r.Principal, "local:") {
			t.Errorf("by %q", r.Principal)
		}
		got = append(got, string(r.Kind)+" "+r.Detail)
		return nil
	})
	want := []string{"halted server files: incident 42", "halted tool refund of server pay: under review", "resumed server files"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("recorded %q, %v; want %q", got, err, want)
	}
	code, stdout, _ := program("halt", "list")
	if code != 0 || !strings.Contains(stdout, "tool refund of server pay") || strings.Contains(stdout, "server files") {
		t.Errorf("%d: %s", code, stdout)
	}
}

func Test_exit_codes_of_halts(t *testing.T) {
	dir := folder(t, "")
	tests := []struct {
		args string
		code int
		want string
	}{
		{"halt", 2, "requires at least 1 arg"},
		{"halt nothing --reason r", 2, `"nothing" cannot be halted; expected one of [all server tool`},
		{"halt all", 2, "--reason: say why"},
		{"halt all now --reason r", 2, "expected all"},
		{"halt server --reason r", 2, "expected server ID"},
		{"halt server fils --reason r", 2, `has no server "fils"; its servers are [files pay]`},
		{"halt tool files --reason r", 2, "expected tool SERVER NAME"},
		{"halt resource files --reason r", 2, "expected resource SERVER URI-PREFIX"},
		{"halt team --reason r", 2, "expected team NAME"},
		{"halt all --reason r --for -1h", 2, "--for: found \"-1h\""},
		{"halt all --reason r --config none.yaml", 2, "none.yaml"},
		{"resume server files", 1, "server files is not halted"},
		{"quota list --config none.yaml", 2, "none.yaml"},
		{"quota show x", 2, `has no quota "x"`},
	}
	for _, test := range tests {
		code, _, stderr := program(strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: %d, %s; want %d, %s", test.args, code, stderr, test.code, test.want)
		}
	}
	path := filepath.Join(dir, ".gatehouse", "halts.json")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("one of them halted something: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"halt", "list"}, {"halt", "all", "--reason", "r"}, {"resume", "all"}} {
		if code, _, stderr := program(args...); code != 3 || !strings.Contains(stderr, "halts.json") {
			t.Errorf("%v with a damaged file: %d, %s", args, code, stderr)
		}
	}
}

// Pulling the switch must work when the log cannot be written; letting go must not.
func Test_a_log_that_cannot_be_written_does_not_keep_from_halting(t *testing.T) {
	dir := folder(t, "")
	state := filepath.Join(dir, ".gatehouse")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "audit"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := program("halt", "all", "--reason", "r")
	if code != 3 || !strings.Contains(stdout, "Halted: everything") || !strings.Contains(stderr, "halted, but not recorded") {
		t.Errorf("%d, %s, %s", code, stdout, stderr)
	}
	if code, _, _ := program("resume", "all"); code != 3 {
		t.Errorf("resumed without a record: %d", code)
	}
	if code, stdout, _ := program("halt", "list"); code != 0 || !strings.Contains(stdout, "everything") {
		t.Errorf("%d, %s", code, stdout)
	}
}

func Test_quota_list_shows_what_is_used(t *testing.T) {
	dir := folder(t, "quotas: {each-user: {by: [user], per_day: 5}, all: {per_month: 100}}")
	if _, stdout, _ := program("quota", "list"); stdout != "Nothing is used.\n" {
		t.Errorf("at first: %s", stdout)
	}
	c, err := config.Load("gatehouse.yaml")
	if err != nil {
		t.Fatal(err)
	}
	store, err := limit.Open(filepath.Join(dir, ".gatehouse", "quotas"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	limiter, err := limit.New(c, store)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"user:corp/ann", "user:corp/ann", "user:corp/bob"} {
		if _, err := limiter.Take(context.Background(), &limit.Subject{User: user, Server: "files", Kind: "tool", Name: "read", Method: "tools/call"}); err != nil {
			t.Fatal(err)
		}
	}
	// While the store is open, as by a running gateway.
	code, stdout, stderr := program("quota", "list")
	for _, want := range []string{`(?m)^all +per_month +everybody +3 +100 +20`, `(?m)^each-user +per_day +user=user:corp/ann +2 +5 +20`, `(?m)^each-user +per_day +user=user:corp/bob +1 +5 +20`} {
		if !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("%d, %s%s; want %s", code, stdout, stderr, want)
		}
	}
	if _, stdout, _ := program("quota", "show", "each-user", "--by", "user:corp/ann", "--json"); !strings.Contains(stdout, `"used": "2"`) || strings.Contains(stdout, "bob") || strings.Contains(stdout, `"all"`) {
		t.Errorf("show: %s", stdout)
	}
	journal := filepath.Join(dir, ".gatehouse", "quotas", "journal")
	if err := errors.Join(os.Remove(journal), os.WriteFile(journal, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := program("quota", "list"); code != 3 || !strings.Contains(stderr, "journal is damaged") {
		t.Errorf("damaged: %d, %s", code, stderr)
	}
}
