package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/internal/profile"
)

var update = flag.Bool("update", false, "write generated files anew")

// write puts a file into a folder of the test and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, content string) *Config {
	t.Helper()
	c, err := Load(write(t, "gatehouse.yaml", content))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

const smallest = `listen: 127.0.0.1:8848
servers:
  everything:
    url: http://127.0.0.1:3902/
  files:
    command: [npx, -y, "@modelcontextprotocol/server-filesystem@2026.8.31", ./workspace]
`

func Test_the_smallest_configuration_gets_the_defaults(t *testing.T) {
	path := write(t, "gatehouse.yaml", smallest)
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	want := &Config{
		Path: path, Dir: dir,
		Listen:   "127.0.0.1:8848",
		Approve:  "first-use",
		Lock:     filepath.Join(dir, "gatehouse.lock"),
		State:    filepath.Join(dir, ".gatehouse"),
		Rules:    map[string]RulePolicy{},
		Audit:    Audit{Sync: "interval", Arguments: "redacted", Results: "redacted", MaxBytes: 8192},
		Joined:   Joined{Discovery: "full"},
		Policy:   Policy{Mode: "enforce"},
		Install:  Install{When: "first-start"},
		TimeZone: "UTC",
		Limits: Limits{
			RequestBytes: 4 << 20, ResultBytes: 16 << 20, Timeout: time.Minute, StartTimeout: 30 * time.Second, MaxTimeout: 10 * time.Minute,
			Sessions: 1000, SessionIdle: 30 * time.Minute, InFlight: 256, Events: 10000, Tools: 2000, Processes: 256,
			MediaBytes: 8 << 20, MediaPixels: 100_000_000, MediaTypes: []string{"image/*", "audio/*", "text/*", "application/pdf"},
		},
		Servers: []Server{
			{ID: "everything", Name: "everything", Dir: dir, URL: "http://127.0.0.1:3902/", Approve: "first-use", Era: "auto", Trust: "normal", Timeout: time.Minute},
			{
				ID: "files", Name: "files", Dir: dir, Approve: "first-use", Era: "auto", Trust: "normal", Timeout: time.Minute,
				Command: []string{"npx", "-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "./workspace"},
				Sandbox: packaged("node"),
			},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if warnings := got.Warnings(); len(warnings) > 0 {
		t.Errorf("warnings about nothing: %q", warnings)
	}
}

const everyKey = `
listen: "[::1]:9000"
tls: {cert: tls/cert.pem, key: /etc/gatehouse/key.pem}
approve: explicit
lock: team/gatehouse.lock
state: /var/lib/gatehouse
origins: [https://example.com, "http://localhost:5173"]
rules:
  hidden-text: report
  tool-poisoning: enforce
audit: {sync: each, arguments: none, results: none, max_bytes: 1KiB}
limits:
  request_bytes: 1 MiB
  result_bytes: 2097152
  timeout: 5s
  start_timeout: 1m30s
  max_timeout: 20s
  sessions: 5
  session_idle: 1h
  in_flight: 6
  events: 7
  tools: 8
  processes: 9
  media_bytes: 10KiB
  media_pixels: 11
  media_types: [image/png, video/*]
joined: {discovery: progressive, description_bytes: 32KiB}
policy: {files: [policies/*.cedar, /etc/gatehouse/team.cedar], ready: [read-only], mode: report}
install: {when: explicit, network: ["files.example.com:443"], unsafe_addresses: [10.1.0.0/16]}
time_zone: Europe/Berlin
quotas:
  all:
    by: [user, team, client, server, tool, arguments.order.id]
    when: {users: ["user:*"], teams: [finance], clients: [ide], servers: [z-*], tools: [pay_*], methods: [tools/call]}
    rate: 60/m
    burst: 10
    concurrent: 4
    per_day: 1000
    per_month: 10000
    bytes_per_day: 1GiB
    bytes_per_month: 2GiB
    sum: {argument: order.amount, per_day: 500.50, per_month: 5000}
    loop: {same_call: 5, failures: 3, within: 1m}
    mode: report
servers:
  z-last:
    url: http://mcp.example.com/mcp
    unsafe_plain_http: true
    headers:
      authorization: Bearer ${env:GATEHOUSE_TEST_TOKEN}
    approve: first-use
    era: modern
    timeout: 7s
    tools: {allow: ["get_*", search], deny: ["*_secret*"]}
    prompts: {deny: ["*"]}
    resources: {allow: ["docs://*"]}
  a1:
    command: [server, --port, 8080, true]
    dir: .
    env: {MODE: fast, N: 1, TOKEN: "env:GATEHOUSE_TEST_TOKEN", KEY: "file:key"}
    pass_env: [SSH_AUTH_SOCK]
    era: legacy
    trust: low
    idle_stop: 10m
    labels: [team:data, read]
    tool_labels: {delete_*: [write, "needs care"], "*": [any]}
    environment: production
request_state_key: env:GATEHOUSE_TEST_TOKEN
`

func Test_every_key_is_read(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_TOKEN", "value")
	path := write(t, "gatehouse.yaml", everyKey)
	dir := filepath.Dir(path)
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path: path, Dir: dir, Listen: "[::1]:9000", Approve: "explicit",
		TLS:  TLS{Cert: filepath.Join(dir, "tls", "cert.pem"), Key: "/etc/gatehouse/key.pem"},
		Lock: filepath.Join(dir, "team/gatehouse.lock"), State: "/var/lib/gatehouse",
		Origins:         []string{"https://example.com", "http://localhost:5173"},
		Rules:           map[string]RulePolicy{"hidden-text": {Action: "report"}, "tool-poisoning": {Action: "enforce"}},
		RequestStateKey: seal(&secret{parts: []part{{source: fromEnv, text: "GATEHOUSE_TEST_TOKEN"}}}),
		Audit:           Audit{"each", "none", "none", 1024},
		Limits:          Limits{1 << 20, 2 << 20, 5 * time.Second, 90 * time.Second, 20 * time.Second, 5, time.Hour, 6, 7, 8, 9, 10 << 10, 11, []string{"image/png", "video/*"}},
		Joined:          Joined{"progressive", 32 << 10},
		Policy:          Policy{true, []string{filepath.Join(dir, "policies/*.cedar"), "/etc/gatehouse/team.cedar"}, []string{"read-only"}, "report"},
		Install:         Install{"explicit", []profile.Destination{{Host: "files.example.com", Ports: []int{443}}}, []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
		TimeZone:        "Europe/Berlin",
		Quotas: []Quota{{
			Name: "all", By: []string{"user", "team", "client", "server", "tool", "arguments.order.id"},
			When: QuotaFilter{[]string{"user:*"}, []string{"finance"}, []string{"ide"}, []string{"z-*"}, []string{"pay_*"}, []string{"tools/call"}},
			Rate: Rate{60, time.Minute, 10}, Concurrent: 4, PerDay: 1000, PerMonth: 10000, BytesPerDay: 1 << 30, BytesPerMonth: 2 << 30,
			Sum: Sum{"order.amount", "500.50", "5000"}, Loop: Loop{5, 3, time.Minute}, Report: true,
		}},
		Servers: []Server{
			{
				ID: "a1", Name: "a1", Command: []string{"server", "--port", "8080", "true"}, Dir: dir,
				Env: map[string]Secret{
					"MODE": NewSecret("fast"), "N": NewSecret("1"),
					"TOKEN": seal(&secret{parts: []part{{source: fromEnv, text: "GATEHOUSE_TEST_TOKEN"}}}),
					"KEY":   seal(&secret{parts: []part{{source: fromFile, text: filepath.Join(dir, "key")}}}),
				},
				PassEnv: []string{"SSH_AUTH_SOCK"}, Approve: "explicit", Era: "legacy", Trust: "low", Timeout: 5 * time.Second, IdleStop: 10 * time.Minute,
				Labels:      []string{"team:data", "read"},
				ToolLabels:  []ToolLabels{{"delete_*", []string{"write", "needs care"}}, {"*", []string{"any"}}},
				Environment: "production",
			},
			{
				ID: "z-last", Name: "z-last", Dir: dir, URL: "http://mcp.example.com/mcp", UnsafePlainHTTP: true,
				Headers: map[string]Secret{"Authorization": seal(&secret{parts: []part{{text: "Bearer "}, {source: fromEnv, text: "GATEHOUSE_TEST_TOKEN"}}})},
				Approve: "first-use", Era: "modern", Trust: "normal", Timeout: 7 * time.Second,
				Tools: Filter{Allow: []string{"get_*", "search"}, Deny: []string{"*_secret*"}}, Prompts: Filter{Deny: []string{"*"}}, Resources: Filter{Allow: []string{"docs://*"}},
			},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	wantWarnings(t, got, "rules.hidden-text (line 9): the rule only reports", "policy.mode (line 28): policies only report", "install.unsafe_addresses (line 29): names that are reached may lead", "quotas.all (line 32): the quota only reports", "servers.z-last.unsafe_plain_http (line 48): requests and answers cross")
	if s, ok := got.Server("z-last"); !ok || s.URL != "http://mcp.example.com/mcp" {
		t.Errorf("Server(z-last) = %v, %v", s, ok)
	}
	if _, ok := got.Server("none"); ok {
		t.Error("Server(none) was found")
	}
}

// wantWarnings checks that there is one warning for each beginning.
func wantWarnings(t *testing.T, c *Config, beginnings ...string) {
	t.Helper()
	got := c.Warnings()
	if len(got) != len(beginnings) {
		t.Fatalf("%d warnings, want %d:\n%s", len(got), len(beginnings), strings.Join(got, "\n"))
	}
	for i, beginning := range beginnings {
		if !strings.Contains(got[i], beginning) {
			t.Errorf("warning %q, want %q", got[i], beginning)
		}
	}
}

// server puts lines into the smallest configuration with one process.
func server(lines string) string {
	return "servers:\n  files:\n    command: [server]\n" + lines + "\n"
}

// remote puts lines into the smallest configuration with one endpoint.
func remote(lines string) string {
	return "servers:\n  docs:\n    url: https://example.com/mcp\n" + lines + "\n"
}

// top puts lines before a server.
func top(lines string) string { return lines + "\nservers: {files: {command: [server]}}\n" }

func Test_one_wrong_value_in_each_field_is_refused(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"empty", "", "the file is empty; write at least one"},
		{"only comments", "# nothing\n", "write at least one"},
		{"no servers", "listen: 127.0.0.1:1\n", "servers: there are no servers; write at least one"},
		{"empty servers", "servers:\n", "servers: there are no servers"},
		{"empty server mapping", "servers: {}\n", "servers: there are no servers"},
		{"a list", "- a\n", ":1:1: found a list, expected a mapping"},
		{"servers as list", "servers: [a]\n", ":1:10: servers: found a list"},
		{"syntax", "servers: [\n", "this is not valid YAML"},
		{"two documents", top("") + "---\nservers: {}\n", "a second document begins here"},
		{"duplicate key", "listen: localhost:1\nlisten: localhost:2\nservers: {a: {command: [x]}}\n", `:2:1: the key "listen" stands here a second time; the first is on line 1`},
		{"duplicate server", "servers:\n  a: {command: [x]}\n  a: {command: [y]}\n", `:3:3: the key "a" stands here a second time`},
		{"merge key", "servers:\n  a: &a {command: [x]}\n  b:\n    <<: *a\n", ":4:5: a key is plain text"},
		{"tag", top("approve: !!str explicit"), ":1:10: Tag is not used in this file"},
		{"unknown alias", top("approve: *x"), `alias "x" names nothing above it`},
		{"unknown key", top("lisen: localhost:1"), `:1:1: lisen: unknown key; did you mean "listen"?`},
		{"unknown key, no guess", top("colour: red"), ":1:1: colour: unknown key; known here: listen, tls, approve"},
		{"unknown key of a client", server("    args: [a]"), ":4:5: servers.files.args: unknown key; the arguments stand behind the program"},

		{"listen type", top("listen: 8848"), ":1:9: listen: found 8848, expected host:port"},
		{"listen form", top("listen: localhost"), ":1:9: listen: found \"localhost\", expected host:port"},
		{"listen everywhere", top("listen: :8848"), ":1:9: listen: found \":8848\", expected host:port with an address of this machine"},
		{"listen any", top("listen: 0.0.0.0:8848"), "only a loopback address"},
		{"listen lan", top("listen: 192.168.1.4:8848"), "only a loopback address"},
		{"listen name", top("listen: myhost.local:8848"), "expected host:port with an address of this machine"},
		{"listen name like localhost", top("listen: localhost.evil.example:8848"), "expected host:port with an address of this machine"},
		{"listen port", top("listen: localhost:99999"), "listen: found \"localhost:99999\", expected host:port"},
		{"listen port sign", top("listen: localhost:+80"), "expected host:port"},
		{"listen v6 without brackets", top(`listen: "::1:80"`), "expected host:port"},
		{"tls", top("tls: yes"), ":1:6: tls: found "},
		{"tls without key", top("tls: {cert: a}"), "tls: cert and key belong together"},
		{"tls without cert", top("tls: {key: a}"), "tls: cert and key belong together"},
		{"tls cert", top("tls: {cert: 7, key: a}"), "tls.cert: found 7, expected a path"},
		{"tls key", top("tls: {cert: a, key: ''}"), "tls.key: found \"\", expected a path"},
		{"tls version", top("tls: {cert: a, key: b, min_version: 1.0}"), "tls.min_version: unknown key"},
		{"approve", top("approve: frist-use"), ":1:10: approve: found \"frist-use\", expected first-use or explicit"},
		{"approve type", top("approve: [explicit]"), ":1:10: approve: found a list, expected first-use or explicit"},
		{"lock", top("lock: 7"), ":1:7: lock: found 7, expected a path"},
		{"lock is the configuration", top("lock: gatehouse.yaml"), ":1:7: lock: "},
		{"state", top("state: ''"), ":1:8: state: found \"\", expected a path"},
		{"state holds the configuration", top("state: ."), ":1:8: state: "},
		{"state above the configuration", top("state: .."), ":1:8: state: "},
		{"origins", top("origins: https://example.com"), ":1:10: origins: found text, expected a list of origins"},
		{"origin any", top(`origins: ["*"]`), `:1:11: origins[0]: found "*", expected an exact origin`},
		{"origin wildcard", top(`origins: ["https://*.example.com"]`), "origins[0]: found"},
		{"origin path", top(`origins: ["https://example.com/"]`), "expected an exact origin"},
		{"origin user", top(`origins: ["https://u@example.com"]`), "expected an exact origin"},
		{"origin null", top(`origins: ["null"]`), "expected an exact origin"},
		{"origin case", top(`origins: ["https://Example.com"]`), "in lower case"},
		{"origin port", top(`origins: ["https://example.com:443"]`), "leaves out the port"},
		{"origin twice", top(`origins: ["https://a.example", "https://a.example"]`), "origins[1]: \"https://a.example\" stands in the list twice"},
		{"rules", top("rules: [a]"), ":1:8: rules: found a list"},
		{"rule id", top("rules: {Hidden_Text: report}"), ":1:9: rules.Hidden_Text: expected the id of a rule"},
		{"rule value", top("rules: {hidden-text: off}"), `:1:22: rules.hidden-text: found "off", expected enforce or report or annotate or redact or cut or refuse`},
		{"rule confidence", top("rules: {hidden-text: {confidence: 2}}"), "rules.hidden-text.confidence: found 2, expected a number above 0 and up to 1"},
		{"rule severity", top("rules: {hidden-text: {severity: bad}}"), "rules.hidden-text.severity: found \"bad\", expected info or low"},
		{"rule key", top("rules: {hidden-text: {act: cut}}"), "rules.hidden-text.act: unknown key"},
		{"suppressions", top("suppressions: {a: b}"), "suppressions: found a mapping"},
		{"suppression", top("suppressions: [a]"), "suppressions.0: found"},
		{"suppression without a reason", top("suppressions: [{rule: hidden-text, digest: \"sha256:" + strings.Repeat("0", 64) + "\", until: 2026-12-01}]"), "suppressions.0: reason is missing"},
		{"suppression of no text", top("suppressions: [{rule: hidden-text, digest: all, reason: r, until: 2026-12-01}]"), "suppressions.0.digest: found"},
		{"suppression for ever", top("suppressions: [{rule: hidden-text, digest: \"sha256:" + strings.Repeat("0", 64) + "\", reason: r, until: 2999-12-01}]"), "suppressions.0.until: found"},

		{"audit", top("audit: each"), ":1:8: audit: found text, expected a mapping with the keys sync, arguments"},
		{"audit key", top("audit: {synch: each}"), `:1:9: audit.synch: unknown key; did you mean "sync"?`},
		{"audit.sync", top("audit: {sync: never}"), `audit.sync: found "never", expected interval or each`},
		{"audit.arguments", top("audit: {arguments: all}"), `audit.arguments: found "all", expected redacted or none`},
		{"audit.results", top("audit: {results: full}"), `audit.results: found "full", expected redacted or none`},
		{"audit.max_bytes", top("audit: {max_bytes: 8 kB}"), `audit.max_bytes: found "8 kB", expected a size from 0 to 64KiB`},
		{"limits", top("limits: 3"), "limits: found a number, expected a mapping"},
		{"limits.request_bytes", top("limits: {request_bytes: 0}"), ":1:25: limits.request_bytes: found 0, expected a size from 1KiB to 1GiB"},
		{"limits.request_bytes large", top("limits: {request_bytes: 9999999999GiB}"), "limits.request_bytes: found"},
		{"limits.result_bytes", top("limits: {result_bytes: -1}"), "limits.result_bytes: found -1, expected a size"},
		{"limits.timeout", top("limits: {timeout: 60}"), "limits.timeout: found 60, expected a duration from 10ms to 24h, such as 30s"},
		{"limits.timeout negative", top("limits: {timeout: -1s}"), `limits.timeout: found "-1s", expected a duration`},
		{"limits.timeout too long", top("limits: {timeout: 11m}"), ":1:19: limits.timeout: 11m0s is longer than limits.max_timeout"},
		{"limits.start_timeout", top("limits: {start_timeout: soon}"), `limits.start_timeout: found "soon", expected a duration`},
		{"limits.max_timeout", top("limits: {max_timeout: 1000h}"), `limits.max_timeout: found "1000h", expected a duration`},
		{"limits.sessions", top("limits: {sessions: 0}"), "limits.sessions: found 0, expected a whole number from 1"},
		{"limits.session_idle", top("limits: {session_idle: true}"), "limits.session_idle: found true, expected a duration"},
		{"limits.in_flight", top("limits: {in_flight: 1.5}"), "limits.in_flight: found 1.5, expected a whole number"},
		{"limits.events", top("limits: {events: many}"), `limits.events: found "many", expected a whole number`},
		{"limits.tools", top(`limits: {tools: "5"}`), `limits.tools: found "5", expected a whole number`},

		{"limits.media_bytes", top("limits: {media_bytes: 10}"), "limits.media_bytes: found 10, expected a size from 1KiB to 1GiB"},
		{"limits.media_pixels", top("limits: {media_pixels: 1e6}"), `limits.media_pixels: found "1e6", expected a whole number from 1 to 2000000000`},
		{"limits.media_types", top("limits: {media_types: image/png}"), "limits.media_types: found"},
		{"limits.media_types any", top("limits: {media_types: ['*/*']}"), `found "*/*", expected a media type in lower case`},
		{"limits.media_types case", top("limits: {media_types: [Image/PNG]}"), "expected a media type in lower case"},
		{"limits.media_types twice", top("limits: {media_types: [image/png, image/png]}"), "stands in the list twice"},

		{"joined", top("joined: progressive"), ":1:9: joined: found text, expected a mapping with the keys discovery, description_bytes"},
		{"joined.discovery", top("joined: {discovery: lazy}"), `joined.discovery: found "lazy", expected full or progressive`},
		{"joined.description_bytes", top("joined: {description_bytes: 10}"), "joined.description_bytes: found 10, expected a size from 1KiB to 16MiB"},

		{"server id", "servers:\n  My Files:\n    command: [x]\n", `:2:3: servers.My Files: expected an id`},
		{"server id suggestion", "servers:\n  My Files:\n    command: [x]\n", `such as "my-files"`},
		{"server id with separator", "servers:\n  a__b:\n    command: [x]\n", ":2:3: servers.a__b: expected an id"},
		{"server id long", "servers:\n  " + strings.Repeat("a", 33) + ":\n    command: [x]\n", "expected an id of up to 32"},
		{"server as text", "servers:\n  a: npx\n", ":2:3: servers.a: found text, expected command"},
		{"server as nothing", "servers:\n  a:\n", ":2:3: servers.a: found nothing, expected command"},
		{"neither", "servers:\n  a: {era: auto}\n", ":2:3: servers.a: has neither command nor url"},
		{"both", server("    url: https://example.com/"), ":2:3: servers.files: has both command and url"},
		{"command text", "servers:\n  a:\n    command: npx -y some-server ./work\n", ":3:14: servers.a.command: found one text, expected a list; write command: [npx, -y, some-server, ./work]"},
		{"command in one element", "servers:\n  a:\n    command: [npx -y server]\n", "servers.a.command[0]: expected the program alone; write command: [npx, -y, server]"},
		{"command empty", "servers:\n  a:\n    command: []\n", "servers.a.command: found a list, expected a list with the program"},
		{"command empty program", "servers:\n  a:\n    command: [\"\"]\n", "servers.a.command[0]: expected the name or path of a program"},
		{"command argument", "servers:\n  a:\n    command: [x, [y]]\n", ":3:18: servers.a.command[1]: found a list, expected text"},
		{"command argument nothing", "servers:\n  a:\n    command: [x, ~]\n", "servers.a.command[1]: found nothing, expected text"},
		{"command NUL", "servers:\n  a:\n    command: [x, \"\\0\"]\n", "servers.a.command[1]: found a NUL character"},
		{"dir", server("    dir: [a]"), ":4:10: servers.files.dir: found a list, expected a path"},
		{"dir missing", server("    dir: nowhere"), ":4:10: servers.files.dir: "},
		{"env", server("    env: [A=b]"), ":4:10: servers.files.env: found a list, expected a mapping of variable names"},
		{"env name", server("    env: {A=B: c}"), "servers.files.env.A=B: expected the name of an environment variable"},
		{"env value", server("    env: {A: [b]}"), ":4:14: servers.files.env.A: found a list, expected text"},
		{"env nothing", server("    env: {A: }"), "servers.files.env.A: found nothing, expected text"},
		{"env reference", server("    env: {A: 'env:'}"), "servers.files.env.A: env: must be followed by the name of an environment variable"},
		{"env file reference", server("    env: {A: 'file:'}"), "servers.files.env.A: file: must be followed by a path"},
		{"env placeholder", server("    env: {A: 'x ${B}'}"), "servers.files.env.A: expected ${env:NAME}, ${file:PATH}"},
		{"env open placeholder", server("    env: {A: 'x ${B'}"), "servers.files.env.A: a ${ without }"},
		{"pass_env", server("    pass_env: HOME"), ":4:15: servers.files.pass_env: found text, expected a list of variable names"},
		{"pass_env name", server("    pass_env: ['A*']"), `servers.files.pass_env[0]: found "A*", expected the name`},
		{"pass_env and env", server("    pass_env: [A]\n    env: {A: b}"), "servers.files.pass_env: \"A\" is set under env as well"},
		{"headers on a process", server("    headers: {A: b}"), ":4:5: servers.files.headers: belongs to a server with url"},
		{"unsafe on a process", server("    unsafe_plain_http: true"), "servers.files.unsafe_plain_http: belongs to a server with url"},
		{"server approve", server("    approve: always"), `servers.files.approve: found "always", expected first-use or explicit`},
		{"era", server("    era: new"), `servers.files.era: found "new", expected auto or legacy or modern`},
		{"server timeout", server("    timeout: 0s"), `servers.files.timeout: found "0s", expected a duration`},
		{"server timeout too long", server("    timeout: 1h"), ":4:14: servers.files.timeout: 1h0m0s is longer than limits.max_timeout"},

		{"tools", server("    tools: [a]"), "servers.files.tools: found a list, expected a mapping with the keys allow, deny"},
		{"tools key", server("    tools: {alow: [a]}"), `servers.files.tools.alow: unknown key; did you mean "allow"?`},
		{"tools.allow", server("    tools: {allow: a}"), "servers.files.tools.allow: found text, expected a list of patterns"},
		{"tools.allow empty", server("    tools: {allow: []}"), "servers.files.tools.allow: an empty list says nothing"},
		{"tools.deny pattern", server("    tools: {deny: ['a?']}"), `servers.files.tools.deny[0]: found "a?", only * has a meaning in a pattern`},
		{"tools.deny class", server("    tools: {deny: ['[ab]']}"), "only * has a meaning in a pattern"},
		{"tools.deny empty text", server("    tools: {deny: ['']}"), "expected a name in which * stands for any characters"},
		{"tools.deny twice", server("    tools: {deny: [a, a]}"), `servers.files.tools.deny[1]: "a" stands in the list twice`},
		{"prompts", server("    prompts: {allow: [7]}"), "servers.files.prompts.allow[0]: found a number, expected the text of one pattern"},
		{"resources", server("    resources: {deny: ['file:///{x}']}"), "servers.files.resources.deny[0]: found"},

		{"url type", "servers:\n  a:\n    url: [x]\n", ":3:10: servers.a.url: found a list, expected an http or https URL"},
		{"url scheme", "servers:\n  a:\n    url: ftp://example.com/\n", ":3:10: servers.a.url: expected an http or https URL"},
		{"url without host", "servers:\n  a:\n    url: http:///mcp\n", "servers.a.url: expected an http or https URL with a host"},
		{"url not absolute", "servers:\n  a:\n    url: example.com/mcp\n", "servers.a.url: expected an http or https URL"},
		{"url user", "servers:\n  a:\n    url: https://u:hunter2@example.com/\n", "servers.a.url: holds a user name or password; send it under headers, for example Authorization: env:NAME"},
		{"url fragment", "servers:\n  a:\n    url: https://example.com/#x\n", "servers.a.url: holds a fragment"},
		{"url placeholder", "servers:\n  a:\n    url: https://example.com/?k=${env:K}\n", "servers.a.url: holds a placeholder"},
		{"url port", "servers:\n  a:\n    url: https://example.com:99999/\n", "servers.a.url: expected a port"},
		{"url plain", "servers:\n  a:\n    url: http://example.com/mcp\n", "servers.a.url: is plain http to another machine"},
		{"url plain, name like loopback", "servers:\n  a:\n    url: http://127.0.0.1.evil.example/mcp\n", "servers.a.url: is plain http to another machine"},
		{"unsafe_plain_http", remote("    unsafe_plain_http: yes please"), "servers.docs.unsafe_plain_http: found \"yes please\", expected true or false"},
		{"dir on an endpoint", remote("    dir: ."), "servers.docs.dir: belongs to a server with command"},
		{"env on an endpoint", remote("    env: {A: b}"), "servers.docs.env: belongs to a server with command"},
		{"pass_env on an endpoint", remote("    pass_env: [A]"), "servers.docs.pass_env: belongs to a server with command"},
		{"headers", remote("    headers: a"), "servers.docs.headers: found text, expected a mapping of header names"},
		{"header name", remote("    headers: {'a b': c}"), "servers.docs.headers.a b: expected the name of an HTTP header"},
		{"header of ours", remote("    headers: {mcp-session-id: c}"), "servers.docs.headers.mcp-session-id: is written by the gateway itself"},
		{"header framing", remote("    headers: {Transfer-Encoding: chunked}"), "is written by the gateway itself"},
		{"header twice", remote("    headers: {X-A: b, x-a: c}"), "servers.docs.headers.x-a: stands here a second time, in other letters"},
		{"policy", top("policy: [a]"), ":1:9: policy: found a list, expected a mapping"},
		{"policy files", top("policy: {files: policies}"), ":1:17: policy.files: found text, expected a list"},
		{"policy file", top("policy: {files: [policies]}"), `policy.files[0]: found "policies", expected the name of a file that ends in .cedar`},
		{"policy ready", top("policy: {ready: [Read_Only]}"), `policy.ready[0]: found "Read_Only", expected the name of a ready policy`},
		{"policy mode", top("policy: {mode: warn}"), `policy.mode: found "warn", expected enforce or report`},
		{"zone of the machine", top("time_zone: Local"), `time_zone: found "Local", expected`},
		{"policy key", top("policy: {moed: report}"), `policy.moed: unknown key; did you mean "mode"?`},
		{"labels", server("    labels: read"), "servers.files.labels: found text, expected a list of labels"},
		{"label", server("    labels: ['*']"), `servers.files.labels[0]: found "*", expected letters`},
		{"tool labels", server("    tool_labels: [a]"), "servers.files.tool_labels: found a list, expected a mapping"},
		{"tool label pattern", server("    tool_labels: {'a?': [b]}"), "servers.files.tool_labels.a?: only * has a meaning"},
		{"tool label", server("    tool_labels: {a: ['']}"), "servers.files.tool_labels.a[0]: found"},
		{"environment", server("    environment: Production"), `servers.files.environment: found "Production", expected a word`},
		{"too many keys", strings.Repeat("a: b\n", maxTokens/3+1), "more than 50000 words and signs of YAML"},
		{"depth", strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested more than 64 levels deep"},
		{"depth in one line", strings.Repeat("- ", 100) + "a", "nested more than 64 levels deep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := Load(write(t, "gatehouse.yaml", test.file))
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
			var problems *Error
			if !errors.As(err, &problems) || len(problems.Problems) == 0 {
				t.Errorf("%T holds no problems", err)
			}
		})
	}
}

func Test_all_problems_are_reported_at_once_in_order(t *testing.T) {
	path := write(t, "gatehouse.yaml", "approve: x\nlimits: {tools: 0}\nservers:\n  a: {url: 'ftp://x'}\n  b: {era: x, command: [y]}\n")
	_, err := Load(path)
	var got *Error
	if !errors.As(err, &got) {
		t.Fatal(err)
	}
	var fields []string
	for _, p := range got.Problems {
		fields = append(fields, fmt.Sprintf("%d %s", p.Line, p.Field))
	}
	want := []string{"1 approve", "2 limits.tools", "4 servers.a.url", "5 servers.b.era"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
	if first := strings.SplitN(err.Error(), "\n", 2)[0]; first != path+`:1:10: approve: found "x", expected first-use or explicit` {
		t.Errorf("first line %q", first)
	}
}

func Test_aliases_are_counted_as_written_out(t *testing.T) {
	bomb := "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		ref := fmt.Sprintf("*a%d", i)
		bomb += fmt.Sprintf("b%d: &a%d [%s]\n", i, i+1, strings.Repeat(ref+", ", 9)+ref)
	}
	_, err := Load(write(t, "gatehouse.yaml", top(bomb)))
	if err == nil || !strings.Contains(err.Error(), "values with the aliases written out") {
		t.Errorf("got %v", err)
	}
	c := load(t, "servers:\n  a: {command: &c [npx, x]}\n  b: {command: *c}\n")
	if diff := cmp.Diff(c.Servers[0].Command, c.Servers[1].Command); diff != "" {
		t.Error(diff)
	}
	_, err = Load(write(t, "gatehouse.yaml", top("lock: &l [*l]")))
	if err == nil || !strings.Contains(err.Error(), "names nothing above it") {
		t.Errorf("a value that holds itself: %v", err)
	}
}

func Test_files_that_are_no_text_are_refused(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"too large", strings.Repeat("#", maxConfigBytes+1), "is larger than"},
		{"not UTF-8", "lock: \xff\n", "neither UTF-8"},
		{"NUL", "lock: \x00\n", "NUL"},
		{"odd UTF-16", "\xff\xfea", "neither UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Load(write(t, "gatehouse.yaml", test.content)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func Test_byte_order_marks_and_UTF_16(t *testing.T) {
	for name, content := range map[string]string{
		"UTF-8": "\xef\xbb\xbf" + smallest,
		"LE":    "\xff\xfe" + encodeUTF16(smallest, false),
		"BE":    "\xfe\xff" + encodeUTF16(smallest, true),
	} {
		t.Run(name, func(t *testing.T) {
			if c := load(t, content); len(c.Servers) != 2 {
				t.Errorf("%d servers", len(c.Servers))
			}
		})
	}
}

func encodeUTF16(s string, big bool) string {
	var out bytes.Buffer
	for _, unit := range utf16.Encode([]rune(s)) {
		low, high := byte(unit), byte(unit>>8)
		if big {
			low, high = high, low
		}
		out.Write([]byte{low, high})
	}
	return out.String()
}

func Test_unknown_rules_are_named_with_their_line(t *testing.T) {
	c := load(t, top("rules:\n  hiden-text: report\n  tool-poisoning: report"))
	err := c.CheckRules([]string{"hidden-text", "tool-poisoning"})
	if err == nil || !strings.HasSuffix(err.Error(), `:2:3: rules.hiden-text: there is no such rule; did you mean "hidden-text"?`) {
		t.Errorf("got %v", err)
	}
	if err := c.CheckRules([]string{"hiden-text", "tool-poisoning"}); err != nil {
		t.Error(err)
	}
}

// A mistyped rule is no later news than anything else that is wrong.
func Test_unknown_rules_are_reported_with_everything_else(t *testing.T) {
	path := write(t, "gatehouse.yaml", "rules:\n  hiden-text: report\nsuppressions:\n  - {rule: 1}\n  - {rule: no-such-rule, digest: \"sha256:"+strings.Repeat("0", 64)+"\", reason: x, until: 2999-01-01}\nlisten: nowhere\nservers: {a: {command: [x]}}\n")
	_, err := Load(path, "hidden-text")
	if err == nil || !strings.Contains(err.Error(), "rules.hiden-text: there is no such rule") || !strings.Contains(err.Error(), "listen") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(path); err == nil || strings.Contains(err.Error(), "no such rule") {
		t.Errorf("without rules: got %v", err)
	}
}

func Test_commented_out_sections_are_as_good_as_absent(t *testing.T) {
	c := load(t, "audit:\nlimits:\n  # tools: 5\nrules:\nservers:\n  a:\n    command: [x]\n    env:\n")
	if !cmp.Equal(c.Limits, Default(c.Path).Limits) || c.Audit != Default(c.Path).Audit {
		t.Errorf("limits %+v, audit %+v", c.Limits, c.Audit)
	}
}

func Test_open_files_warn(t *testing.T) {
	path := write(t, "gatehouse.yaml", smallest)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, c, "has mode 0666: others can change what Gatehouse starts")
}

func Test_the_state_folder_is_private_and_ignored(t *testing.T) {
	c := load(t, smallest)
	for range 2 { // the second time everything is there already
		if err := c.EnsureState(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(c.State); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if ignore, err := os.ReadFile(filepath.Join(c.State, ".gitignore")); err != nil || string(ignore) != "*\n" {
			t.Errorf(".gitignore %q, %v", ignore, err)
		}
		if err := os.Chmod(c.State, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func Test_a_folder_with_other_files_is_not_made_the_state_folder(t *testing.T) {
	c := load(t, smallest)
	if err := os.MkdirAll(c.State, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.State, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.EnsureState(); err == nil || !strings.Contains(err.Error(), "holds files that are not Gatehouse's") {
		t.Errorf("got %v", err)
	}
	if info, err := os.Stat(c.State); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(c.State, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.EnsureState(); err != nil {
		t.Errorf("a folder that is private already: %v", err)
	}
}

func Test_schema_is_fresh(t *testing.T) {
	const path = "../../docs/gatehouse.schema.json"
	if *update {
		if err := os.WriteFile(path, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(Schema()), string(got)); diff != "" {
		t.Errorf("run go generate ./internal/config:\n%s", diff)
	}
}

func Test_every_key_is_documented_with_its_default(t *testing.T) {
	raw, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			rows[strings.Trim(cells[1], " `")] = cells[2]
		}
	}
	var check func(prefix string, s schema)
	check = func(prefix string, s schema) {
		properties, _ := s["properties"].(schema)
		for name, value := range properties {
			value := value.(schema)
			check(prefix+name+".", value)
			if _, isSection := value["properties"]; isSection || value["propertyNames"] != nil {
				continue
			}
			row, found := rows[prefix+name]
			if !found {
				t.Errorf("%s%s is not documented", prefix, name)
			}
			standard, has := value["default"]
			if list, is := standard.([]string); is {
				standard = "[" + strings.Join(list, ", ") + "]"
			}
			if has && !strings.Contains(row, fmt.Sprint(standard)) {
				t.Errorf("%s%s: documented default %q, really %v", prefix, name, strings.TrimSpace(row), standard)
			}
		}
	}
	var servers *node
	c := Default("/gatehouse.yaml")
	check("", objectSchema("", configKeys(c, &servers)))
	check("identity.issuers.NAME.", objectSchema("", issuerKeys(new(defaultIssuer()))))
	check("identity.proxies.NAME.", objectSchema("", proxyKeys(&Proxy{})))
	check("teams.NAME.", objectSchema("", teamKeys(&Team{})))
	check("servers.ID.", objectSchema("", serverKeys(&Server{Approve: c.Approve, Era: Auto, Trust: Normal, Timeout: c.Limits.Timeout})))
}

func FuzzLoad(f *testing.F) {
	f.Add(smallest)
	f.Add(everyKey)
	f.Add("servers: {a: &a {command: [x]}, b: *a}")
	f.Add("? [a]\n: b\n")
	f.Add("a: |\n  x\nb: >-\n  y\n--- \n...\n%YAML 1.2\n")
	path := filepath.Join(f.TempDir(), "gatehouse.yaml")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path)
		if (c == nil) != (err != nil) {
			t.Fatalf("configuration %v with error %v", c, err)
		}
		if err == nil {
			checkValid(t, c)
		}
	})
}

// checkValid holds for every configuration that was accepted, whatever the
// file says.
func checkValid(t *testing.T, c *Config) {
	t.Helper()
	var r reader
	var listen string
	r.listen(&node{kind: text, text: c.Listen}, "listen", &listen)
	if len(r.problems) > 0 {
		t.Errorf("listens on %q", c.Listen)
	}
	if len(c.Servers) == 0 {
		t.Error("no servers")
	}
	for i, s := range c.Servers {
		if !serverID.MatchString(s.ID) || (i > 0 && c.Servers[i-1].ID >= s.ID) {
			t.Errorf("id %q", s.ID)
		}
		if (len(s.Command) > 0) == (s.URL != "") {
			t.Errorf("server %q is not exactly one of command and url", s.ID)
		}
		if s.URL != "" && checkURL(s.URL, s.UnsafePlainHTTP) != "" {
			t.Errorf("URL %q", s.URL)
		}
		if s.Timeout <= 0 || s.Timeout > c.Limits.MaxTimeout || !filepath.IsAbs(s.Dir) {
			t.Errorf("server %+v", s)
		}
	}
	if c.Limits.RequestBytes <= 0 || c.Limits.ResultBytes <= 0 || c.Limits.Tools <= 0 || c.Limits.Timeout > c.Limits.MaxTimeout {
		t.Errorf("limits %+v", c.Limits)
	}
	if !filepath.IsAbs(c.Lock) || !filepath.IsAbs(c.State) || within(c.State, c.Path) {
		t.Errorf("lock %q, state %q", c.Lock, c.State)
	}
}

func Test_rules_and_suppressions(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	soon := time.Now().AddDate(0, 3, 0).Format(time.DateOnly)
	c := load(t, top("rules:\n  personal-data: {action: redact, severity: medium, confidence: 0.8}\n  hidden-text: annotate\nsuppressions:\n"+
		"- {rule: hidden-text, server: a, digest: \""+digest+"\", reason: our handbook quotes attacks, until: "+soon+"}\n"+
		"- {rule: hidden-text, digest: \""+digest+"\", reason: r, until: 2020-01-01}"))
	want := map[string]RulePolicy{"personal-data": {Redact, 0.8, "medium"}, "hidden-text": {Action: Annotate}}
	if diff := cmp.Diff(want, c.Rules); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	until, _ := time.Parse(time.DateOnly, soon)
	suppressions := []Suppression{
		{"hidden-text", "a", digest, "our handbook quotes attacks", until},
		{"hidden-text", "", digest, "r", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	if diff := cmp.Diff(suppressions, c.Suppressions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantWarnings(t, c, "rules.hidden-text (line 3): what the rule finds passes, behind a warning", "suppressions.1 (line 6): it ended on 2020-01-01")
	if err := c.CheckRules([]string{"personal-data"}); err == nil || !strings.Contains(err.Error(), "suppressions.0.rule") {
		t.Errorf("a suppression of no rule: %v", err)
	}
}
