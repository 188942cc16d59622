package protect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/client"
	"gatehouse/internal/clients"
	"gatehouse/internal/inventory"
)

// cursor is a home with one file of one client, in which {HOME} is the home.
func cursor(t *testing.T, text string) (home string, files func() []client.File) {
	t.Helper()
	home = t.TempDir()
	write(t, filepath.Join(home, ".cursor", "mcp.json"), []byte(strings.ReplaceAll(text, "{HOME}", home)), 0o640)
	m := client.Machine{Root: home, System: client.Linux, Homes: []client.Home{{Dir: home, System: client.Linux, Own: true}}}
	return home, func() []client.File { return clients.Discover(m, prints).Files }
}

func folder(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// planned is the plan of the one server that a file holds.
func planned(t *testing.T, entry string, change func(home string, o *Options)) Server {
	t.Helper()
	home, files := cursor(t, `{"mcpServers": {"s": `+entry+`}}`)
	folder(t, filepath.Join(home, "notes"))
	write(t, filepath.Join(home, "data.csv"), []byte("x"), 0o644)
	write(t, filepath.Join(home, "data.db"), []byte("x"), 0o644)
	_, o, _ := setup(t, home)
	if change != nil {
		change(home, &o)
	}
	plan := New(files(), o)
	if len(plan.Files) != 1 || len(plan.Files[0].Servers) != 1 {
		t.Fatalf("the plan has %+v", plan.Files)
	}
	s := plan.Files[0].Servers[0]
	for i := range s.After {
		s.After[i] = strings.ReplaceAll(s.After[i], home, "{HOME}")
	}
	return s
}

func Test_how_servers_are_started(t *testing.T) {
	run := program + " run --id s "
	for entry, want := range map[string]string{
		`{"command": "npx", "args": ["-y", "some-server@1.2.3", "{HOME}/notes"]}`:                                           run + "--sandbox node --write {HOME}/notes -- npx -y some-server@1.2.3 {HOME}/notes",
		`{"command": "npx", "args": ["-y", "some-server@1.2.3", "~/notes"]}`:                                                run + "--sandbox node --write {HOME}/notes -- npx -y some-server@1.2.3 ~/notes",
		`{"command": "npx", "args": ["-y", "some-server@1.2.3", "--root={HOME}/notes"]}`:                                    run + "--sandbox node --write {HOME}/notes -- npx -y some-server@1.2.3 --root={HOME}/notes",
		`{"command": "npx", "args": ["-y", "some-server@1.2.3", "${workspaceFolder}"]}`:                                     run + "--sandbox node --write ${workspaceFolder} -- npx -y some-server@1.2.3 ${workspaceFolder}",
		`{"command": "uvx", "args": ["some-server@1.2.3", "--db", "{HOME}/data.db"]}`:                                       run + "--sandbox python --write {HOME}/data.db -- uvx some-server@1.2.3 --db {HOME}/data.db",
		`{"command": "python3", "args": ["server.py", "{HOME}/data.csv"]}`:                                                  run + "--sandbox python --read {HOME}/data.csv -- python3 server.py {HOME}/data.csv",
		`{"command": "/usr/bin/server", "args": ["{HOME}/gone"]}`:                                                           run + "--sandbox nothing -- /usr/bin/server {HOME}/gone",
		`{"command": "uvx", "args": ["mcp-server-fetch@2025.4.7"]}`:                                                         run + "--sandbox web-reader -- uvx mcp-server-fetch@2025.4.7",
		`{"command": "npx", "args": ["@modelcontextprotocol/server-github@2025.4.8"]}`:                                      run + "--sandbox node --network api.github.com:443 -- npx @modelcontextprotocol/server-github@2025.4.8",
		`{"command": "npx", "args": ["pg@1.0.0", "postgres://db.example.com/shop"]}`:                                        run + "--sandbox node --network db.example.com:5432 -- npx pg@1.0.0 postgres://db.example.com/shop",
		`{"command": "npx", "args": ["mcp-remote@1.0.0", "https://mcp.example.com:8443/x"]}`:                                run + "--sandbox node --network mcp.example.com:8443 -- npx mcp-remote@1.0.0 https://mcp.example.com:8443/x",
		`{"command": "docker", "args": ["run", "-i", "img@sha256:` + strings.Repeat("a", 64) + `"]}`:                        run + "-- docker run -i img@sha256:" + strings.Repeat("a", 64),
		`{"command": "npx", "args": ["a@1.0.0"], "env": {"A_TOKEN": "keyring:a/A_TOKEN", "B": "age:b.age", "C": "file:c"}}`: run + "--sandbox node --resolve-env A_TOKEN --resolve-env B --pass-env C -- npx a@1.0.0",
		`{"command": "npx", "args": ["a@1.0.0"], "env": {"LOG": "x", "T": "${env:T}", "EMPTY": ""}}`:                        run + "--sandbox node --pass-env LOG --pass-env T --pass-env EMPTY -- npx a@1.0.0",
	} {
		if s := planned(t, entry, nil); s.What != Change || strings.Join(s.After, " ") != want {
			t.Errorf("%s\n is %s %s\nhave %s\nwant %s", entry, s.What, s.Why, strings.Join(s.After, " "), want)
		}
	}
}

func Test_what_is_left_says_why(t *testing.T) {
	for entry, why := range map[string]string{
		`{"url": "https://example.com/mcp"}`:                                       "over HTTP",
		`{"command": "sh", "args": ["-c", "a | b"]}`:                               "a shell reads its command",
		`{"command": "sudo", "args": ["npx", "a@1.0.0"]}`:                          "rights of the administrator",
		`{"command": "env", "args": ["A=1", "npx", "a@1.0.0"]}`:                    "started through env",
		`{"command": "cmd", "args": ["/c", "npx", "a@1.0.0"]}`:                     "started through cmd",
		`{"command": "npx", "args": ["github:someone/server"]}`:                    "no registry keeps",
		`{"command": "npx", "args": ["--registry=https://r.example", "a@1.0.0"]}`:  "--registry",
		`{"command": "npx", "args": ["a@1.0.0", "/"]}`:                             "--narrow s=FOLDER",
		`{"command": "npx", "args": ["a@1.0.0", "~"]}`:                             "--narrow s=FOLDER",
		`{"command": "npx", "args": ["a@1.0.0", "{HOME}"]}`:                        "--narrow s=FOLDER",
		`{"command": "npx", "args": ["a@1.0.0", "{HOME}/../"]}`:                    "--narrow s=FOLDER",
		`{"command": "npx", "args": ["a@1.0.0", "{HOME}/.ssh/keys"]}`:              "--narrow s=FOLDER",
		`{"command": "npx", "args": ["a@1.0.0", "--key={HOME}/.aws/credentials"]}`: "--narrow s=FOLDER",
	} {
		if s := planned(t, entry, nil); s.What != Left || !strings.Contains(s.Why, why) || len(s.After) > 0 && s.Broad != nil {
			t.Errorf("%s is %s: %s", entry, s.What, s.Why)
		}
	}
	// What guards the server is not for the server.
	s := planned(t, `{"command": "npx", "args": ["a@1.0.0", "{HOME}/notes"]}`, func(home string, o *Options) { o.State = filepath.Join(home, "notes", "state") })
	if s.What != Left || len(s.Broad) != 1 {
		t.Errorf("the folder with the state of Gatehouse is granted: %q", s.After)
	}
}

func Test_links_do_not_hide_the_home_and_its_secrets(t *testing.T) {
	for name, c := range map[string]struct {
		word    string
		arrange func(home string, o *Options) error
	}{
		"a link to the home": {"{HOME}/notes/all", func(home string, o *Options) error { return os.Symlink(home, filepath.Join(home, "notes", "all")) }},
		"a home that is a link": {"{HOME}", func(home string, o *Options) error {
			o.Home = filepath.Join(t.TempDir(), "ada")
			return os.Symlink(home, o.Home)
		}},
		"secrets that lie elsewhere": {"{HOME}/notes", func(home string, o *Options) error {
			return errors.Join(os.Mkdir(filepath.Join(home, "notes", "ssh"), 0o700), os.Symlink("notes/ssh", filepath.Join(home, ".ssh")))
		}},
		"a state that is a link": {"{HOME}/notes", func(home string, o *Options) error {
			o.State = filepath.Join(home, "state")
			return os.Symlink("notes", o.State)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := planned(t, `{"command": "npx", "args": ["a@1.0.0", "`+c.word+`"]}`, func(home string, o *Options) {
				if err := c.arrange(home, o); err != nil {
					t.Fatal(err)
				}
			})
			if s.What != Left || len(s.Broad) != 1 {
				t.Errorf("granted: %q", s.After)
			}
		})
	}
}

func Test_what_people_decide(t *testing.T) {
	everything := `{"command": "npx", "args": ["-y", "a@1.0.0", "/"]}`
	s := planned(t, everything, func(home string, o *Options) { o.Narrow = map[string]string{"s": filepath.Join(home, "notes")} })
	if want := "--write {HOME}/notes -- npx -y a@1.0.0 {HOME}/notes"; s.What != Change || !strings.HasSuffix(strings.Join(s.After, " "), want) {
		t.Errorf("narrowed it is %s %q, %s", s.What, s.After, s.Why)
	}
	if s := planned(t, everything, func(home string, o *Options) { o.Narrow = map[string]string{"s": home} }); s.What != Left {
		t.Errorf("narrowed to the home it is %q", s.After)
	}
	notes := `{"command": "npx", "args": ["-y", "a@1.0.0", "{HOME}/notes"], "env": {"API_TOKEN": "abcdefgh12345678"}}`
	s = planned(t, notes, func(_ string, o *Options) {
		o.Read = []string{"s"}
		o.Extra = map[string]Grants{"s": {Network: []string{"api.example.com:443"}}, "other": {Network: []string{"evil.example:443"}}}
	})
	if want := "--read {HOME}/notes --network api.example.com:443 --resolve-env API_TOKEN -- npx"; !strings.Contains(strings.Join(s.After, " "), want) || s.Unknown {
		t.Errorf("%q", s.After)
	}
	if s := planned(t, notes, nil); !s.Unknown || !strings.Contains(strings.Join(s.Notes, "\n"), "--network s=HOST:443") {
		t.Errorf("nothing is said of the network: %q", s.Notes)
	}
	for entry, want := range map[string]string{
		everything: "--unsafe-no-sandbox -- npx -y a@1.0.0 /", // which gatehouse run confines otherwise
		`{"command": "env", "args": ["A=1", "uvx", "a@1.0.0"]}`: "--unsafe-no-sandbox -- env A=1 uvx a@1.0.0",
		`{"command": "node", "args": ["x.js"]}`:                 "--id s -- node x.js",
	} {
		s := planned(t, entry, func(_ string, o *Options) { o.UnsafeNoSandbox = true })
		if s.What != Change || s.Grants != nil || s.Request != nil || !strings.HasSuffix(strings.Join(s.After, " "), want) || !strings.Contains(strings.Join(s.Notes, "\n"), "without a sandbox") {
			t.Errorf("without a sandbox: %q, %q", s.After, s.Notes)
		}
	}
	s = planned(t, notes, func(_ string, o *Options) { o.Store = nil })
	if len(s.Moved) > 0 || !slices.Contains(s.After, "--pass-env") || !strings.Contains(strings.Join(s.Notes, "\n"), "stays in the file") {
		t.Errorf("secrets that stay: %q, %q", s.After, s.Notes)
	}
}

func Test_paths_in_variables_are_granted_unless_they_hold_too_much(t *testing.T) {
	s := planned(t, `{"command": "node", "args": ["x.js"], "env": {"MEMORY": "{HOME}/data.db", "TABLE": "~/data.csv", "KEYS": "~/.ssh/id", "NEW": "{HOME}/new.db", "WORD": "notes", "ALL": "{HOME}"}}`, nil)
	if s.Grants == nil || len(s.Grants.Write) != 1 || filepath.Base(s.Grants.Write[0]) != "data.db" || len(s.Grants.Read) != 1 || filepath.Base(s.Grants.Read[0]) != "data.csv" {
		t.Errorf("%+v", s.Grants)
	}
	notes := strings.Join(s.Notes, "\n")
	for _, want := range []string{"KEYS names ~/.ssh/id", "ALL names", "new.db is not there"} {
		if !strings.Contains(notes, want) {
			t.Errorf("nothing says %q: %s", want, notes)
		}
	}
}

func Test_what_is_granted_besides(t *testing.T) {
	entry := `{"command": "npx", "args": ["a@1.0.0"]}`
	s := planned(t, entry, func(home string, o *Options) {
		o.Extra = map[string]Grants{"s": {Read: []string{home + "/data.csv"}, Write: []string{home + "/notes"}, Execute: []string{"/usr/bin/git"}}}
	})
	if want := "--sandbox node --read {HOME}/data.csv --write {HOME}/notes --execute /usr/bin/git -- npx a@1.0.0"; !strings.HasSuffix(strings.Join(s.After, " "), want) {
		t.Errorf("%q", s.After)
	}
	for _, path := range []string{"", "/.ssh", "/.."} {
		s := planned(t, entry, func(home string, o *Options) { o.Extra = map[string]Grants{"s": {Read: []string{home + path}}} })
		if s.What != Left {
			t.Errorf("%s is granted: %q", path, s.After)
		}
	}
}

func Test_secrets_that_cannot_be_moved_stay_and_are_named(t *testing.T) {
	for entry, note := range map[string]string{
		`{"command": "a", "env": {"API_TOKEN": "prefix-$SUFFIX-abcdefgh"}}`:                 "may fill in",
		`{"command": "a", "env": ["API_TOKEN=ghp_abcdefghijklmnopqrstuvwxyz0123"]}`:         "one name with one value",
		`{"command": "a", "args": ["--token", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"]}`: "an argument looks like a secret",
	} {
		s := planned(t, entry, nil)
		if s.What != Change || len(s.Moved) > 0 || !strings.Contains(strings.Join(s.Notes, "\n"), note) {
			t.Errorf("%s: %s %s, %q", entry, s.What, s.Why, s.Notes)
		}
		if strings.Contains(fmt.Sprintf("%q %q", s.Before, s.After), "abcdefgh") {
			t.Errorf("a secret is repeated: %q", s.After)
		}
	}
}

func Test_versions_are_fixed_where_they_are_known(t *testing.T) {
	version := func(client.Entry, inventory.Source) (string, string) { return "4.5.6", "told" }
	for entry, want := range map[string]string{
		`{"command": "npx", "args": ["-y", "a-server"]}`:                      "npx -y a-server@4.5.6",
		`{"command": "npx", "args": ["-y", "@scope/a-server@latest", "x"]}`:   "npx -y @scope/a-server@4.5.6 x",
		`{"command": "npx", "args": ["--package=a-server", "run-it"]}`:        "npx --package=a-server@4.5.6 run-it",
		`{"command": "npx", "args": ["-p", "a-server", "a-server"]}`:          "npx -p a-server@4.5.6 a-server",
		`{"command": "uvx", "args": ["mcp-server-x"]}`:                        "uvx mcp-server-x@4.5.6",
		`{"command": "uvx", "args": ["mcp_server.x@latest"]}`:                 "uvx mcp_server.x@4.5.6",
		`{"command": "uvx", "args": ["--from", "mcp-server-x[cli]>=1", "x"]}`: "uvx --from mcp-server-x[cli]==4.5.6 x",
		`{"command": "uvx", "args": ["--from=mcp-server-x", "x"]}`:            "uvx --from=mcp-server-x==4.5.6 x",
		`{"command": "pipx", "args": ["run", "mcp-server-x"]}`:                "pipx run mcp-server-x==4.5.6",
		`{"command": "deno", "args": ["run", "npm:@scope/x"]}`:                "deno run npm:@scope/x@4.5.6",
	} {
		s := planned(t, entry, func(_ string, o *Options) { o.Version = version })
		if s.Pinned == nil || !strings.HasSuffix(strings.Join(s.After, " "), "-- "+want) {
			t.Errorf("%s is %q: %q", entry, s.After, s.Notes)
		}
	}
	wrapped := planned(t, `{"command": "cmd", "args": ["/c", "npx", "-y", "a-server"]}`, func(_ string, o *Options) { o.Version, o.UnsafeNoSandbox = version, true })
	if !strings.HasSuffix(strings.Join(wrapped.After, " "), "-- cmd /c npx -y a-server@4.5.6") {
		t.Errorf("%q: %q", wrapped.After, wrapped.Notes)
	}
	for _, entry := range []string{`{"command": "npx", "args": ["a@1.0.0"]}`, `{"command": "node", "args": ["x.js"]}`} {
		if s := planned(t, entry, func(_ string, o *Options) { o.Version = version }); s.Pinned != nil {
			t.Errorf("%s is fixed although it was: %q", entry, s.After)
		}
	}
	s := planned(t, `{"command": "npx", "args": ["a-server"]}`, nil)
	if s.Pinned != nil || !strings.Contains(strings.Join(s.Notes, "\n"), "--pin a-server=VERSION") {
		t.Errorf("a version that is not known: %q, %q", s.After, s.Notes)
	}
	s = planned(t, `{"command": "npx", "args": ["a-server"]}`, func(_ string, o *Options) {
		o.Version, o.Pins = version, map[string]string{"a-server": "7.0.0"}
	})
	if s.Pinned == nil || s.Pinned.Version != "7.0.0" {
		t.Errorf("what a person says does not count: %+v", s.Pinned)
	}
	image := `{"command": "docker", "args": ["run", "-i", "ghcr.io/x/server:v1"]}`
	if s := planned(t, image, func(_ string, o *Options) { o.Version = version }); s.Pinned != nil {
		t.Errorf("an image is fixed to what is no digest: %q", s.After)
	}
	hash := "sha256:" + strings.Repeat("0", 64)
	s = planned(t, image, func(_ string, o *Options) { o.Pins = map[string]string{"ghcr.io/x/server": hash} })
	if s.Pinned == nil || !slices.Contains(s.After, "ghcr.io/x/server@"+hash) {
		t.Errorf("%q", s.After)
	}
}

func Test_what_is_no_version_is_not_written_into_a_command(t *testing.T) {
	for _, version := range []string{"", "1", "latest", "1.2.3; rm -rf /", "1.2.3 --registry=x", "../1.2.3", "^1.2.3", "1.2.3@evil", "1.2.3\n"} {
		for _, command := range []string{`"npx", "args": ["a-server"]`, `"uvx", "args": ["a-server"]`, `"uvx", "args": ["--from", "a-server", "x"]`, `"docker", "args": ["run", "a-server"]`} {
			s := planned(t, `{"command": `+command+`}`, func(_ string, o *Options) {
				o.Version = func(client.Entry, inventory.Source) (string, string) { return version, "told" }
			})
			if s.Pinned != nil || s.What != Change || version != "" && strings.Contains(strings.Join(s.After[1:], " "), version) && version != "1" {
				t.Errorf("%q: %q %s", version, s.After, s.Why)
			}
		}
	}
}

func Test_ids_are_shared_by_servers_that_do_the_same(t *testing.T) {
	home, files := cursor(t, `{"mcpServers": {"My Files": {"command": "npx", "args": ["a@1.0.0", "x"]}, "my-files": {"command": "npx", "args": ["b@1.0.0"]}, "42": {"command": "x"}}}`)
	write(t, filepath.Join(home, ".kiro", "settings", "mcp.json"), []byte(`{"mcpServers": {"My Files": {"command": "npx", "args": ["-y", "a@2.0.0", "x"]}}}`), 0o600)
	_, o, _ := setup(t, home)
	ids := map[string]int{}
	for _, f := range New(files(), o).Files {
		for _, s := range f.Servers {
			ids[s.After[3]]++
		}
	}
	if len(ids) != 3 || ids["my-files"] != 2 || ids["s-42"] != 1 {
		t.Errorf("ids %v", ids)
	}
}

func Test_only_what_was_named_is_planned(t *testing.T) {
	home, files := cursor(t, `{"mcpServers": {"a": {"command": "x"}, "b": {"command": "y"}}}`)
	write(t, filepath.Join(home, ".kiro", "settings", "mcp.json"), []byte(`{"mcpServers": {"a": {"command": "x"}}}`), 0o600)
	_, o, _ := setup(t, home)
	for want, change := range map[int]func(*Options){
		3: func(*Options) {},
		2: func(o *Options) { o.Clients = []string{"cursor"} },
		1: func(o *Options) { o.Servers = []string{"b"} },
		0: func(o *Options) { o.Scopes = []client.Scope{client.Project} },
	} {
		limited := o
		change(&limited)
		if got := New(files(), limited).Changes(); got != want {
			t.Errorf("%d servers are planned, want %d", got, want)
		}
	}
	o.Scopes = nil
	if got := New(files(), o).Changes(); got != 3 {
		t.Errorf("without scopes %d servers of users are planned", got)
	}
}

func Test_paths_with_commas_are_one_path(t *testing.T) {
	home, files := cursor(t, `{"mcpServers": {"s": {"command": "x", "args": ["{HOME}/a,b\"c"]}}}`)
	folder(t, filepath.Join(home, `a,b"c`))
	_, o, _ := setup(t, home)
	s := New(files(), o).Files[0].Servers[0]
	if i := slices.Index(s.After, "--write"); i < 0 || s.After[i+1] != `"`+home+`/a,b""c"` {
		t.Errorf("%q", s.After)
	}
}

func Test_what_runs_through_gatehouse_stays(t *testing.T) {
	for _, entry := range []string{
		`{"command": "gatehouse", "args": ["run", "--", "npx", "a"]}`,
		`{"command": "/usr/local/bin/gatehouse", "args": ["run", "npx", "a"]}`,
		`{"command": "C:\\tools\\Gatehouse.exe", "args": ["serve", "--stdio"]}`,
		`{"command": "` + program + `", "args": ["run", "x"]}`,
	} {
		if s := planned(t, entry, nil); s.What != Already {
			t.Errorf("%s is %s: %q", entry, s.What, s.After)
		}
	}
}
