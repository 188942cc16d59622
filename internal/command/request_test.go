package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func Test_what_a_launcher_fetches_is_told(t *testing.T) {
	for line, want := range map[string]Request{
		"npx -y @scope/server@1.2.3 /srv --flag":            {Kind: NPM, Specs: []string{"@scope/server@1.2.3"}, Args: []string{"/srv", "--flag"}},
		"npx server":                                        {Kind: NPM, Specs: []string{"server"}},
		"npx --package=a@1.0.0 -p b start x":                {Kind: NPM, Specs: []string{"a@1.0.0", "b"}, Program: "start", Args: []string{"x"}},
		"npm exec -y -- server@2.0.0 ~/x":                   {Kind: NPM, Specs: []string{"server@2.0.0"}, Args: []string{"~/x"}},
		"npm exec server@2.0.0 -- --flag":                   {Kind: NPM, Specs: []string{"server@2.0.0"}, Args: []string{"--flag"}},
		"pnpm dlx server@^1":                                {Kind: NPM, Specs: []string{"server@^1"}},
		"bunx server@latest":                                {Kind: NPM, Specs: []string{"server@latest"}},
		"uvx mcp-server-fetch==2025.4.7 --x":                {Kind: PyPI, Specs: []string{"mcp-server-fetch==2025.4.7"}, Args: []string{"--x"}},
		"uvx mcp-server-fetch@2025.4.7":                     {Kind: PyPI, Specs: []string{"mcp-server-fetch==2025.4.7"}},
		"uvx mcp-server-fetch@latest":                       {Kind: PyPI, Specs: []string{"mcp-server-fetch"}},
		"uvx --python 3.12 --from mcp[cli]>=1 --with a,b m": {Kind: PyPI, Specs: []string{"mcp[cli]>=1", "a", "b"}, Program: "m", Python: "3.12"},
		"uv tool run server":                                {Kind: PyPI, Specs: []string{"server"}},
		"pipx run --spec server==1.0 start":                 {Kind: PyPI, Specs: []string{"server==1.0"}, Program: "start"},
	} {
		got, launches, err := Launches(strings.Fields(line))
		if diff := cmp.Diff(want, got, cmp.Transformer("none", func(l []string) string { return strings.Join(l, "\x00") })); diff != "" || !launches || err != nil {
			t.Errorf("%s: launches %v, %v\n%s", line, launches, err, diff)
		}
	}
}

func Test_what_cannot_be_installed_apart_is_an_error(t *testing.T) {
	for line, want := range map[string]string{
		"sudo npx server":                     "through sudo",
		"env A=b uvx server":                  "through env",
		"npx -y github:a/b":                   "no registry keeps",
		"uvx --from git+https://h/a/b server": "no registry keeps",
		"npx -c x":                            "cannot be told",
		"npx":                                 "cannot be told",
		"npx --registry=https://h.example x":  "the option --registry of npx",
		"bunx --bun x":                        "the option --bun",
		"npm exec server --flag":              "write -- before them",
		"npx x@npm:y":                         "not a package of a registry",
		"npx x@../y":                          "not a package of a registry",
		"npx x@file:y":                        "not a package of a registry",
		"npx -p -x server":                    "not a package of a registry",
		"uvx ./server":                        "not a package of an index",
		"uvx server@../x":                     "not a package of an index",
		"uvx --index https://h.example x":     "the option --index of uvx",
		"uvx --python /bin/sh x":              "not a version of Python",
		"uvx --from server":                   "which program",
	} {
		if _, launches, err := Launches(strings.Fields(line)); !launches || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: launches %v, %v; want %q", line, launches, err, want)
		}
	}
}

func Test_other_commands_launch_nothing(t *testing.T) {
	for _, line := range []string{"node server.js", "python -m server", "docker run x", "go run h.example/x@v1", "./npx-server", "npx ./local", "pnpm exec x", "deno run npm:x", "gatehouse run -- npx x"} {
		if _, launches, _ := Launches(strings.Fields(line)); launches {
			t.Errorf("%s launches something", line)
		}
	}
}

func Test_references_name_packages(t *testing.T) {
	for reference, want := range map[string]string{"npm:@a/b@1.0.0": "@a/b exact", "npm:b": "b newest", "pypi:A_b[c]==1.0": "a-b exact", "pypi:b>=2": "b range"} {
		r, err := NewRequest(reference)
		if got := r.Name() + " " + string(r.Pin()); err != nil || got != want || r.String() != reference {
			t.Errorf("%s: %s, %q, %v", reference, got, r, err)
		}
	}
	for _, reference := range []string{"", "b", "oci:x", "npm:", "npm:--x", "npm:a@git+ssh://x", "pypi:-r", "pypi:a @ file:///x", "npm:" + strings.Repeat("x", 400)} {
		if r, err := NewRequest(reference); err == nil {
			t.Errorf("%q is %+v", reference, r)
		}
	}
}

// Nothing that npm or pip could take for an option, a path or a URL comes out.
func FuzzLaunches(f *testing.F) {
	f.Add("npx -y @scope/server@1.2.3 /srv")
	f.Add("uvx --from mcp[cli]>=1 --with a,b m")
	f.Fuzz(func(t *testing.T, line string) {
		r, launches, err := Launches(strings.Fields(line))
		if !launches || err != nil {
			return
		}
		if len(r.Specs) == 0 || r.Name() == "" {
			t.Errorf("%q names nothing: %+v", line, r)
		}
		for _, spec := range r.Specs {
			if strings.HasPrefix(spec, "-") || strings.HasPrefix(spec, ".") || strings.HasPrefix(spec, "/") || strings.ContainsAny(spec, ":\\\x00;#") {
				t.Errorf("%q asks for %q", line, spec)
			}
		}
	})
}
