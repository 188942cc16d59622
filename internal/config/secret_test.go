package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

const canary = "correct-horse-battery-staple"

func Test_secrets_are_never_printed(t *testing.T) {
	plain := NewSecret(canary)
	mixed, err := ParseReference(canary+" ${env:A} "+canary, "servers.a.env.B", "/")
	if err != nil {
		t.Fatal(err)
	}
	fallback := canary
	type hidden struct{ s Secret } // fmt cannot call methods in here
	values := []any{
		plain, &plain, mixed, []Secret{plain}, map[string]Secret{"A": mixed}, hidden{plain}, &hidden{mixed},
		Server{ID: "a", Env: map[string]Secret{"A": plain}, Headers: map[string]Secret{"B": mixed}},
		Config{Servers: []Server{{Env: map[string]Secret{"A": plain}}}},
		seal(&secret{parts: []part{{source: fromEnv, text: "A", fallback: &fallback}}}),
	}
	for i, value := range values {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", value)
		if err := json.NewEncoder(&out).Encode(value); err != nil {
			t.Errorf("JSON of %d: %v", i, err)
		}
		inYAML, err := yaml.Marshal(value)
		if err != nil {
			t.Errorf("YAML of %d: %v", i, err)
		}
		out.Write(inYAML)
		if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
			t.Errorf("value %d shows the secret:\n%s", i, out.String())
		}
	}
}

func Test_references_are_shown(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		s, err := ParseReference(value, "", "/etc")
		if err != nil || s.String() != want {
			t.Errorf("%q is shown as %q (%v), want %q", value, s, err, want)
		}
	}
	f("env:A", "env:A")
	f("file:key", "file:/etc/key")
	f("Bearer ${env:A}", "[redacted]${env:A}")
	f("text", "[redacted]")
	f("", "[redacted]")
}

func Test_secrets_resolve(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_A", "aaa")
	t.Setenv("GATEHOUSE_TEST_EMPTY", "")
	file := write(t, "key", "kkk\r\n")
	f := func(value, want, wantErr string) {
		t.Helper()
		s, err := ParseReference(value, "servers.s.env.K", filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Resolve()
		if got != want || (err == nil) != (wantErr == "") || (err != nil && !strings.Contains(err.Error(), wantErr)) {
			t.Errorf("%q resolves to %q, %v; want %q, %q", value, got, err, want, wantErr)
		}
	}
	f("text", "text", "")
	f("", "", "")
	f("env:GATEHOUSE_TEST_A", "aaa", "")
	f("file:key", "kkk", "")
	f("Bearer ${env:GATEHOUSE_TEST_A}/${file:key}!", "Bearer aaa/kkk!", "")
	f("$${env:GATEHOUSE_TEST_A} $5", "${env:GATEHOUSE_TEST_A} $5", "")
	f("a$${b${env:GATEHOUSE_TEST_A}", "a${baaa", "")
	f("env:GATEHOUSE_TEST_MISSING", "", "servers.s.env.K: environment variable GATEHOUSE_TEST_MISSING is not set")
	f("x${env:GATEHOUSE_TEST_EMPTY}", "", "servers.s.env.K: environment variable GATEHOUSE_TEST_EMPTY is not set, or empty")
	f("file:missing", "", "servers.s.env.K: reading a secret: ")
	f("file:.", "", "is not a regular file")
	if value, err := (Secret{}).Resolve(); value != "" || err != nil {
		t.Errorf("the zero value resolves to %q, %v", value, err)
	}
}

func Test_errors_and_warnings_show_no_secret(t *testing.T) {
	token := "ghp_" + strings.Repeat("a1B2", 9)
	files := []string{
		"servers:\n  a:\n    command: npx server --token " + canary + "\n",
		"servers:\n  a:\n    command: npx server --token=" + canary + "\n",
		"servers:\n  a:\n    command: [npx, --api-key, " + canary + ", '" + token + "']\n",
		"servers:\n  a:\n    command: [x]\n    env: {API_KEY: " + canary + ", B: " + token + "}\n",
		"servers:\n  a:\n    command: [x]\n    env: " + canary + "\n",
		"servers:\n  a:\n    command: [x]\n    env: {A: \"" + canary + "\n",
		"servers:\n  a:\n    command: [x]\n    env: {A: '" + canary + " ${x}'}\n",
		"servers:\n  a:\n    url: https://u:" + canary + "@example.com/\n",
		"servers:\n  a:\n    url: https://example.com/?token=" + canary + "\n",
		"servers:\n  a:\n    url: https://example.com/\n    headers: {Authorization: Bearer " + canary + "}\n",
		"approve: " + token + "\nservers: {a: {command: [x]}}\n",
		token + ": x\n",
		"servers:\n  " + token + ": {command: [x]}\n",
	}
	for _, content := range files {
		c, err := Load(write(t, "gatehouse.yaml", content))
		said := fmt.Sprint(err)
		if err == nil {
			said = strings.Join(c.Warnings(), "\n")
			if said == "" {
				t.Errorf("nothing is said about\n%s", content)
			}
		}
		if strings.Contains(said, canary) || strings.Contains(said, token) {
			t.Errorf("shows the secret:\n%s", said)
		}
	}
}

func Test_what_looks_like_a_secret_warns(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_A", "x")
	token := "ghp_" + strings.Repeat("a1B2", 9)
	tests := []struct{ name, file, want string }{
		{"by its form", server("    env: {A: " + token + "}"), "servers.files.env.A (line 4): looks like a secret"},
		{"by its name", server("    env: {DB_PASSWORD: hunter22}"), "servers.files.env.DB_PASSWORD (line 4): looks like a secret"},
		{"database URL", server("    env: {DSN: 'postgres://u:pw@db/x'}"), "servers.files.env.DSN (line 4): looks like"},
		{"argument", "servers:\n  a:\n    command: [x, --token, hunter22]\n", "servers.a.command[2] (line 3): looks like a secret"},
		{"header", remote("    headers: {Authorization: Bearer hunter22}"), "servers.docs.headers.Authorization (line 4): looks like"},
		{"query", "servers:\n  a:\n    url: https://example.com/?api_key=hunter22\n", "servers.a.url (line 3): holds something like a secret"},
		{"missing variable", server("    env: {A: 'env:GATEHOUSE_TEST_MISSING'}"), "servers.files.env.A (line 4): environment variable GATEHOUSE_TEST_MISSING is not set"},
		{"missing file", server("    env: {A: 'file:missing'}"), "no such file"},
		{"a switch", server("    env: {TOKEN: no, MODE: production, A: 'env:GATEHOUSE_TEST_A', TOKEN2: 'env:GATEHOUSE_TEST_A'}"), ""},
		{"ordinary arguments", "servers:\n  a:\n    command: [uv, run, --with, 'git+https://example.com/a/some-long-repository-name@v1.2.3', serve, /home/me/projects/2026/notes]\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := load(t, test.file)
			if test.want == "" {
				wantWarnings(t, c)
				return
			}
			wantWarnings(t, c, test.want)
		})
	}
}

func Test_a_secret_file_that_others_can_read_warns(t *testing.T) {
	key := write(t, "key", "k")
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, load(t, server("    env: {A: 'file:"+key+"'}")), "has mode 0640 and can be used by others; run chmod 600")
}

func Test_a_process_gets_the_listed_variables_only(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_PASSED", "p")
	t.Setenv("GATEHOUSE_TEST_OTHER", "never")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "never")
	c := load(t, server("    pass_env: [GATEHOUSE_TEST_PASSED, GATEHOUSE_TEST_UNSET]\n    env: {A: b, HOME: /elsewhere}"))
	for _, name := range BaseEnv() {
		t.Setenv(name, "base-"+name)
	}
	got, err := c.Servers[0].Environ()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"A=b", "GATEHOUSE_TEST_PASSED=p", "HOME=/elsewhere", "LANG=base-LANG", "LOGNAME=base-LOGNAME", "PATH=base-PATH", "SHELL=base-SHELL",
		"TERM=base-TERM", "TMPDIR=base-TMPDIR", "TZ=base-TZ", "USER=base-USER",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	unset, err := ParseReference("env:GATEHOUSE_TEST_UNSET", "servers.files.env.A", "/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Server{Env: map[string]Secret{"A": unset}}).Environ(); err == nil || !strings.Contains(err.Error(), "servers.files.env.A: environment variable GATEHOUSE_TEST_UNSET") {
		t.Errorf("got %v", err)
	}
}

func Test_resolved_headers_hold_no_line_breaks(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_A", "x\r\nHost: evil.example")
	t.Setenv("GATEHOUSE_TEST_B", "good")
	c := load(t, remote("    headers: {x-a: 'env:GATEHOUSE_TEST_B'}"))
	got, err := c.Servers[0].ResolvedHeaders()
	if diff := cmp.Diff(map[string]string{"X-A": "good"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	c = load(t, remote("    headers: {x-a: 'env:GATEHOUSE_TEST_A'}"))
	if got, err := c.Servers[0].ResolvedHeaders(); err == nil || strings.Contains(err.Error(), "evil") {
		t.Errorf("got %v, %v", got, err)
	}
}
