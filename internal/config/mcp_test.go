package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func loadMCP(t testing.TB, content string) *Config {
	t.Helper()
	c, err := LoadMCP(write(t, "mcp.json", content))
	if err != nil {
		t.Fatalf("LoadMCP: %v", err)
	}
	return c
}

func Test_the_shapes_of_client_files(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	files := map[string]string{
		"Claude Desktop":    `{"mcpServers": {"files": {"command": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}}}`,
		"VS Code":           `{"servers": {"files": {"type": "stdio", "command": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}}, "inputs": []}`,
		"VS Code settings":  `{"mcp": {"servers": {"files": {"command": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}}}}`,
		"OpenCode":          `{"mcp": {"files": {"type": "local", "command": ["npx", "-y", "srv"], "environment": {"A": "b"}, "enabled": true}}}`,
		"Zed":               `{"context_servers": {"files": {"command": {"path": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}}}}`,
		"Amp":               `{"amp.mcpServers": {"files": {"command": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}}}`,
		"flat":              `{"files": {"command": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}}`,
		"array":             `{"mcpServers": [{"name": "files", "command": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}]}`,
		"line":              `{"mcpServers": {"files": {"command": "npx -y srv", "env": {"A": "b"}}}}`,
		"comments":          "// mine\n{/* all */ \"mcpServers\": {\"files\": {\"command\": \"npx\", \"args\": [\"-y\", \"srv\",], \"env\": {\"A\": \"b\"},},},}",
		"byte order mark":   "\xef\xbb\xbf" + `{"mcpServers": {"files": {"command": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}}}`,
		"UTF-16":            "\xff\xfe" + encodeUTF16(`{"mcpServers": {"files": {"command": "npx", "args": ["-y", "srv"], "env": {"A": "b"}}}}`, false),
		"nothing in places": `{"mcpServers": {"files": {"command": "npx", "args": ["-y", "srv"], "env": {"A": "b", "N": null}, "url": null}}}`,
	}
	for name, content := range files {
		t.Run(name, func(t *testing.T) {
			path := write(t, "mcp.json", content)
			c, err := LoadMCP(path)
			if err != nil {
				t.Fatal(err)
			}
			want := []Server{{
				ID: "files", Name: "files", Dir: filepath.Dir(path), Command: []string{"npx", "-y", "srv"}, Env: map[string]Secret{"A": NewSecret("b")},
				Approve: "first-use", Era: "auto", Trust: "normal", Timeout: c.Limits.Timeout, Sandbox: packaged("node"),
			}}
			if diff := cmp.Diff(want, c.Servers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func Test_endpoints_in_client_files(t *testing.T) {
	f := func(entry, want string) {
		t.Helper()
		c := loadMCP(t, `{"mcpServers": {"a": `+entry+`}}`)
		if got := c.Servers[0].URL; got != want {
			t.Errorf("%s: URL %q, want %q", entry, got, want)
		}
	}
	t.Setenv("GATEHOUSE_TEST_HOST", "example.com")
	f(`{"url": "https://example.com/mcp"}`, "https://example.com/mcp")
	f(`{"type": "http", "url": "http://localhost:3000/mcp"}`, "http://localhost:3000/mcp")
	f(`{"serverUrl": "https://example.com/mcp"}`, "https://example.com/mcp")
	f(`{"url": "https://example.com/sse", "httpUrl": "https://example.com/mcp"}`, "https://example.com/mcp")
	f(`{"url": "https://${GATEHOUSE_TEST_HOST}/mcp"}`, "https://example.com/mcp")
	f(`{"url": "https://${GATEHOUSE_TEST_NONE:-other.example}/mcp"}`, "https://other.example/mcp")
}

func Test_entries_that_cannot_be_served_are_left_out_and_named(t *testing.T) {
	tests := []struct{ name, entry, want string }{
		{"no object", `7`, "left out: found a number, expected an object"},
		{"nothing", `{}`, "left out: expected either command or url"},
		{"both", `{"command": "x", "url": "https://example.com/"}`, "left out: expected either command or url"},
		{"disabled", `{"command": "x", "disabled": true}`, "left out: it is turned off in this file"},
		{"not enabled", `{"command": "x", "enabled": false}`, "left out: it is turned off"},
		{"not active", `{"command": "x", "isActive": false}`, "left out: it is turned off"},
		{"switch not understood", `{"command": "x", "disabled": "yes"}`, "left out: disabled is text"},
		{"sse", `{"type": "sse", "url": "https://example.com/"}`, "left out: it uses the HTTP+SSE transport"},
		{"type", `{"type": "carrier-pigeon", "command": "x"}`, "is not known here"},
		{"command type", `{"command": 7}`, "left out: expected command to be text or a list"},
		{"command empty", `{"command": " "}`, "expected command to name a program"},
		{"shell line", `{"command": "npx srv | tee 'log'"}`, "left out: command is a line for a shell"},
		{"args", `{"command": "x", "args": "y"}`, "left out: args is text, expected a list"},
		{"argument", `{"command": "x", "args": [{}]}`, "expected every argument to be text"},
		{"argument variable", `{"command": "x", "args": ["${GATEHOUSE_TEST_MISSING}"]}`, "left out: command: environment variable GATEHOUSE_TEST_MISSING is not set"},
		{"env", `{"command": "x", "env": ["A=b"]}`, "left out: env is a list"},
		{"env value", `{"command": "x", "env": {"A": []}}`, "left out: env.A is a list, expected text"},
		{"env name", `{"command": "x", "env": {"A=B": "c"}}`, "left out: env.A=B: expected a name"},
		{"env twice", `{"command": "x", "env": {}, "environment": {}}`, "two of the keys env, environment, envs are set"},
		{"input", `{"command": "x", "env": {"A": "${input:key}"}}`, "left out: env.A: ${input:…} asks the person"},
		{"cwd", `{"command": "x", "cwd": 7}`, "left out: expected cwd to be a path"},
		{"cwd missing", `{"command": "x", "cwd": "nowhere"}`, "left out: its cwd is not a folder"},
		{"url type", `{"url": 7}`, "left out: expected the URL to be text"},
		{"two urls", `{"url": "https://a.example/", "serverUrl": "https://b.example/"}`, "which one counts cannot be told"},
		{"plain http", `{"url": "http://example.com/"}`, "left out: its URL is plain http to another machine"},
		{"password", `{"url": "https://u:hunter2@example.com/"}`, "left out: its URL holds a user name or password"},
		{"headers", `{"url": "https://example.com/", "headers": "a"}`, "left out: headers is text"},
		{"header", `{"url": "https://example.com/", "headers": {"Host": "a"}}`, `left out: header "Host" is written by the gateway itself`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := loadMCP(t, "{\"mcpServers\": {\n\"good\": {\"command\": \"x\"},\n\"bad one\": "+test.entry+"}}")
			if len(c.Servers) != 1 || c.Servers[0].ID != "good" {
				t.Fatalf("served: %v", c.Servers)
			}
			wantWarnings(t, c, test.want)
			if got := c.Warnings()[0]; !strings.HasPrefix(got, "mcpServers.bad one (line 3): ") || strings.Contains(got, "hunter2") {
				t.Errorf("warning %q", got)
			}
		})
	}
}

func Test_client_files_that_are_refused(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"empty", ``, "this is not valid JSON"},
		{"syntax", "{\"mcpServers\":\n {]}", ":2:3: this is not valid JSON"},
		{"literal", `{"a": "\x ` + canary + `"}`, ":1:7: this is not valid JSON: invalid literal"},
		{"list", `[]`, "found a list, expected an object"},
		{"no servers", `{"theme": "dark"}`, "found no servers; expected mcpServers"},
		{"none", `{"mcpServers": {}}`, "mcpServers: there are no servers; expected for example"},
		{"all left out", `{"mcpServers": {"a": {"disabled": true, "command": "x"}}}`, "mcpServers.a (line 1): left out: it is turned off"},
		{"two places", `{"mcpServers": {"a": {"command": "x"}}, "servers": {"a": {"command": "y"}}}`, "found servers under both mcpServers and servers"},
		{"container", `{"mcpServers": "a"}`, "mcpServers: found text, expected an object of servers"},
		{"server twice", "{\"mcpServers\": {\"a\": {\"command\": \"x\"},\n\"a\": {\"command\": \"y\"}}}", `:2:1: the key "a" stands here a second time; the first is on line 1`},
		{"key twice by escape", `{"mcpServers": {"a": {"command": "x", "comman\u0064": "y"}}}`, `the key "command" stands here a second time`},
		{"name twice", `{"mcpServers": [{"name": "a", "command": "x"}, {"name": "a", "command": "y"}]}`, `the name "a" stands here a second time`},
		{"depth", strings.Repeat(`{"a":[`, 50), "nested more than 64 levels deep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := LoadMCP(write(t, "mcp.json", test.file))
			if err == nil {
				t.Fatalf("accepted: %+v", c.Servers)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

func Test_brackets_in_strings_and_comments_are_no_depth(t *testing.T) {
	many := strings.Repeat("[", 200)
	c := loadMCP(t, `{"mcpServers": {"a": {"command": "x", "args": ["\"`+many+`"]}} /* `+many+" */\n// "+many+"\n}")
	if len(c.Servers) != 1 {
		t.Errorf("%d servers", len(c.Servers))
	}
	hidden := `"]", `
	if _, why := unboundedJSON([]byte(strings.Repeat("["+hidden, 100))); why == "" {
		t.Error("closing brackets in strings hide the depth")
	}
}

func Test_keys_that_are_not_read_are_reported(t *testing.T) {
	c := loadMCP(t, `{"theme": "dark", "mcpServers": {"a": {"command": "x", "autoApprove": ["rm"], "envFile": ".env"}}}`)
	wantWarnings(t, c, "mcp.json (line 1): not read here: theme", "mcpServers.a (line 1): not read here: autoApprove, envFile")
}

func Test_names_become_ids_of_their_own_whatever_their_order(t *testing.T) {
	names := []string{"My Files", "my-files", "my_files", "MY  FILES!", "7zip", "日本", strings.Repeat("x", 40), strings.Repeat("x", 41), "a__b"}
	want := map[string]string{
		"my-files": "my-files", "MY  FILES!": "my-files-2", "My Files": "my-files-3", "my_files": "my-files-4", "7zip": "s-7zip", "日本": "server",
		strings.Repeat("x", 40): strings.Repeat("x", 32), strings.Repeat("x", 41): strings.Repeat("x", 30) + "-2", "a__b": "a-b",
	}
	var forward, backward []member
	for i := range names {
		forward = append(forward, member{name: names[i]})
		backward = append(backward, member{name: names[len(names)-1-i]})
	}
	if diff := cmp.Diff(want, assignIDs(forward)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, assignIDs(backward)); diff != "" {
		t.Errorf("backwards: %s", diff)
	}
	for _, id := range want {
		if !serverID.MatchString(id) {
			t.Errorf("%q is no id", id)
		}
	}
}

func Test_placeholders_in_client_files(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_A", "aaa")
	t.Setenv("HOME", "/home/someone")
	f := func(value, want string) {
		t.Helper()
		c := loadMCP(t, `{"mcpServers": {"s": {"command": "x", "env": {"A": "`+value+`"}}}}`)
		got, err := c.Servers[0].Env["A"].Resolve()
		if want = strings.ReplaceAll(want, "DIR", c.Dir); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", value, got, err, want)
		}
	}
	f("${GATEHOUSE_TEST_A}", "aaa")
	f("Bearer ${env:GATEHOUSE_TEST_A}.", "Bearer aaa.")
	f("${GATEHOUSE_TEST_MISSING:-x}", "x")
	f("${GATEHOUSE_TEST_MISSING:-}", "")
	f("${workspaceFolder}/a", "DIR/a")
	f("${userHome}", "/home/someone")
	f("${what is this}", "${what is this}")
	f("env:GATEHOUSE_TEST_A", "env:GATEHOUSE_TEST_A") // our form, not theirs

	c := loadMCP(t, `{"mcpServers": {"s": {"command": "x", "env": {"A": "${GATEHOUSE_TEST_MISSING}"}}}}`)
	if _, err := c.Servers[0].Environ(); err == nil || !strings.Contains(err.Error(), "mcpServers.s.env.A: environment variable GATEHOUSE_TEST_MISSING is not set") {
		t.Errorf("got %v", err)
	}
}

func Test_project_settings_speak_of_the_project(t *testing.T) {
	project := t.TempDir()
	settings := filepath.Join(project, ".vscode")
	if err := os.Mkdir(settings, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(settings, "mcp.json")
	if err := os.WriteFile(path, []byte(`{"servers": {"a": {"command": "x", "args": ["${workspaceFolder}"]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadMCP(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Servers[0]; s.Dir != project || s.Command[1] != project {
		t.Errorf("dir %q, command %q; want %q", s.Dir, s.Command, project)
	}
}

func Test_state_for_a_client_file_lies_elsewhere(t *testing.T) {
	state, home := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	for base, want := range map[string]string{state: state, "relative": filepath.Join(home, ".local", "state"), "": filepath.Join(home, ".local", "state")} {
		t.Setenv("XDG_STATE_HOME", base)
		one := loadMCP(t, `{"mcpServers": {"a": {"command": "x"}}}`)
		two := loadMCP(t, `{"mcpServers": {"a": {"command": "x"}}}`)
		if filepath.Dir(one.State) != filepath.Join(want, "gatehouse") || one.Lock != filepath.Join(one.State, "gatehouse.lock") {
			t.Errorf("state %q, lock %q; want under %q", one.State, one.Lock, want)
		}
		if one.State == two.State {
			t.Errorf("two files share %q", one.State)
		}
	}
}

func FuzzLoadMCP(f *testing.F) {
	f.Add(`{"mcpServers": {"files": {"command": "npx", "args": ["-y", "srv",], "env": {"A": "${B:-c}"}}}}`)
	f.Add(`{"servers": {"a": {"url": "https://example.com/", "headers": {"A": "${env:B}"}}}} // x`)
	f.Add(`{"context_servers": {"a": {"command": {"path": "x", "args": []}}}, "x": [[[]]]}`)
	f.Add(`{"mcp": [{"name": "a", "command": ["x"]}]}`)
	path := filepath.Join(f.TempDir(), "mcp.json")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadMCP(path)
		if (c == nil) != (err != nil) {
			t.Fatalf("configuration %v with error %v", c, err)
		}
		if err == nil {
			checkValid(t, c)
		}
	})
}
