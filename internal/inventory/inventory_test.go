package inventory

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/client"
)

func entry(line string) client.Entry {
	return client.Entry{Name: "s", Clients: []string{"test"}, Transport: client.Stdio, Words: strings.Split(line, " ")}
}

func Test_commands_are_taken_apart(t *testing.T) {
	hash := strings.Repeat("ab", 20)
	for line, want := range map[string]string{
		"npx -y @scope/server@1.2.3 /srv":                          "npm @scope/server 1.2.3 exact /srv",
		"npx @scope/server":                                        "npm @scope/server  newest",
		"npx -y server@^1.2":                                       "npm server ^1.2 range",
		"npx -y server@latest":                                     "npm server latest newest",
		"npx -y server@next":                                       "npm server next tag",
		"npx --package=server@1.0.0 start":                         "npm server 1.0.0 exact",
		"cmd /c npx -y server@1.0.0":                               "npm server 1.0.0 exact",
		`C:\nodejs\npx.cmd -y server@1.0.0 C:\Users\ada`:           `npm server 1.0.0 exact C:\Users\ada`,
		"pnpm dlx server@1.0.0":                                    "npm server 1.0.0 exact",
		"yarn dlx server":                                          "npm server  newest",
		"bunx server":                                              "npm server  newest",
		"npm exec -- server@2.0.0 ~/x":                             "npm server 2.0.0 exact ~/x",
		"npx -y github:a/b":                                        "git github:a/b  newest",
		"uvx MCP_Server.fetch==1.2.3":                              "pypi mcp-server-fetch 1.2.3 exact",
		"uvx mcp-server-fetch@latest":                              "pypi mcp-server-fetch latest newest",
		"uvx --from mcp[cli]>=1 mcp":                               "pypi mcp >=1 range",
		"uv tool run server":                                       "pypi server  newest",
		"uvx --from git+https://h.example/a/b@" + hash + " x":      "git git+https://h.example/a/b " + hash + " digest",
		"pipx run server==1.0":                                     "pypi server 1.0 exact",
		"docker run -i --rm -e A -v /srv:/data:ro mcp/x:1.0 --all": "oci mcp/x 1.0 tag",
		"podman run --network none r.example:5000/x@sha256:abc":    "oci r.example:5000/x sha256:abc digest",
		"docker run x":                                             "oci x  newest",
		"go run h.example/x/cmd@v1.2.3 .":                          "go h.example/x/cmd v1.2.3 exact .",
		"go run ./cmd/x":                                           "script ./cmd/x  without",
		"node --inspect ./x.js --root=/srv":                        "script ./x.js  without /srv",
		"python -m server":                                         "script -m server  without",
		"deno run --allow-net npm:server@1.0.0":                    "npm server 1.0.0 exact",
		"env A=b sudo -u x /usr/bin/server --stdio":                "binary /usr/bin/server  without",
		"gatehouse run --sandbox -- npx -y server@1.0.0":           "npm server 1.0.0 exact",
	} {
		s := Of(entry(line))
		got := strings.TrimSpace(strings.Join([]string{string(s.Kind), s.Package, s.Version, string(s.Pin), strings.Join(s.Roots, ",")}, " "))
		if got != want {
			t.Errorf("%s\n is %s\nwant %s", line, got, want)
		}
	}
}

func Test_a_line_for_a_shell_is_not_guessed_at(t *testing.T) {
	for _, words := range [][]string{{"sh", "-c", "curl h.example | sh"}, {"curl h.example | sh"}, {"npx", "-c", "a && b"}, {"cmd", "/c"}} {
		if s := Of(client.Entry{Words: words}); s.Kind != Shell || s.Pinned() {
			t.Errorf("%q is %+v", words, s)
		}
	}
}

func Test_wrappers_and_mounts_are_told(t *testing.T) {
	s := Of(entry("sudo docker run -v /a:/b --mount type=bind,src=/c,dst=/d,readonly -v C:\\x:/e:ro image"))
	want := []Mount{{Source: "/a", Target: "/b"}, {Source: "/c", Target: "/d", ReadOnly: true}, {Source: `C:\x`, Target: "/e", ReadOnly: true}}
	if diff := cmp.Diff(want, s.Mounts); diff != "" || len(s.Wrappers) != 1 {
		t.Errorf("wrappers %q, mounts %s", s.Wrappers, diff)
	}
	if !Of(entry("gatehouse run -- x")).Protected || Of(entry("x")).Protected {
		t.Error("what runs through Gatehouse is not told from what does not")
	}
}

func Test_the_same_server_is_there_once(t *testing.T) {
	one, two, other := entry("npx -y server@1.0.0 /srv"), entry("cmd /c npx -y server /srv"), entry("npx -y server /etc")
	two.Clients = []string{"second"}
	one.Env = []client.Value{{Name: "A"}}
	servers := Servers([]client.Entry{one, two, other})
	if len(servers) != 2 {
		t.Fatalf("%d servers, want 2: other roots make another server", len(servers))
	}
	s := servers[0]
	if diff := cmp.Diff([]string{"second", "test"}, s.Clients); diff != "" {
		t.Error(diff)
	}
	if s.Pin != Newest || len(s.Versions) != 1 || len(s.Env) != 1 || len(s.Entries) != 2 {
		t.Errorf("pinned %s, versions %q, variables %q, %d entries", s.Pin, s.Versions, s.Env, len(s.Entries))
	}
}

func Test_secrets_in_commands_are_not_shown(t *testing.T) {
	s := Of(entry("docker run -e TOKEN=hunter22 image --api-key hunter22 postgresql://u:hunter22@h/d"))
	if all := strings.Join(append(s.Options, s.Args...), " "); strings.Contains(all, "hunter22") {
		t.Error(all)
	}
}

// A server is off, or protected, only if it is so everywhere.
func Test_what_holds_for_one_entry_holds_not_for_all(t *testing.T) {
	off, on := entry("gatehouse run -- npx -y server"), entry("npx -y server")
	off.Disabled = true
	for _, entries := range [][]client.Entry{{off, on}, {on, off}} {
		if s := Servers(entries); len(s) != 1 || s[0].Disabled || s[0].Protected {
			t.Errorf("%+v", s)
		}
	}
	if s := Servers([]client.Entry{off, off}); len(s) != 1 || !s[0].Disabled || !s[0].Protected {
		t.Errorf("%+v", s)
	}
}
