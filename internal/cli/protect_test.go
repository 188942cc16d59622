package cli

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/client"
	"gatehouse/internal/clients"
	"gatehouse/internal/command"
	"gatehouse/internal/install"
	"gatehouse/internal/protect"
)

// asked is the plan after a person has answered, and what they were asked.
func asked(t *testing.T, answers string) (plan protect.Plan, questions string) {
	t.Helper()
	home := t.TempDir()
	for name, text := range map[string]string{
		".cursor/mcp.json": `{"mcpServers": {"all": {"command": "npx", "args": ["a@1.0.0", "/"]}, "api": {"command": "npx", "args": ["b@1.0.0"], "env": {"API_TOKEN": "abcdefgh1234"}}}}`,
		"notes/x":          "",
	} {
		if err := os.MkdirAll(filepath.Join(home, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := client.Machine{Root: home, System: client.Linux, Homes: []client.Home{{Dir: home, System: client.Linux, Own: true}}}
	files := clients.Discover(m, client.NewFingerprints(nil)).Files
	o := protectOptions{Options: protect.Options{Program: "/opt/gatehouse", Home: home, State: filepath.Join(home, "state"), Narrow: map[string]string{}, Extra: map[string]protect.Grants{}}}
	cmd := newProtectCommand()
	var out bytes.Buffer
	cmd.SetErr(&out)
	answers = strings.ReplaceAll(answers, "HOME", home)
	plan = o.ask(cmd, bufio.NewReader(strings.NewReader(answers)), files, protect.New(files, o.Options))
	for i, s := range plan.Files[0].Servers {
		for k := range s.After {
			plan.Files[0].Servers[i].After[k] = strings.ReplaceAll(s.After[k], home, "HOME")
		}
	}
	return plan, out.String()
}

func Test_what_cannot_be_decided_is_asked(t *testing.T) {
	plan, questions := asked(t, "HOME/notes\napi.example.com:443 nonsense b.example.com:443\n")
	if !strings.Contains(questions, "all is given /.") || !strings.Contains(questions, "api holds a credential") || !strings.Contains(questions, "nonsense is left out") {
		t.Errorf("asked: %s", questions)
	}
	servers := plan.Files[0].Servers
	if s := servers[0]; s.What != protect.Change || !slices.Contains(s.After, "HOME/notes") || slices.Contains(s.After, "/") {
		t.Errorf("%+v", s)
	}
	if s := servers[1]; s.Grants == nil || !slices.Equal(s.Grants.Network, []string{"api.example.com:443", "b.example.com:443"}) {
		t.Errorf("%+v", s.Grants)
	}
}

func Test_what_is_not_installed_yet_is_named(t *testing.T) {
	plan, _ := asked(t, "\n\n")
	servers := plan.Files[0].Servers
	if servers[0].What != protect.Left || servers[0].Request == nil {
		t.Fatalf("%+v", servers[0]) // what stays as it is needs nothing
	}
	nothing := func(command.Request) (install.Record, error) { return install.Record{}, install.ErrNotInstalled }
	everything := func(command.Request) (install.Record, error) { return install.Record{}, nil }
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"npx", "b@1.0.0"}, "npm:b@1.0.0"},
		{[]string{"uvx", "--python", "3.12", "c==1.0.0"}, "-- uvx --python 3.12 c==1.0.0"},
		{[]string{"uvx", "--with", "mcp<2", "c==1.0.0"}, "-- uvx --with 'mcp<2' c==1.0.0"},
	} {
		request, _, err := command.Launches(c.words)
		if err != nil {
			t.Fatal(err)
		}
		servers[1].Request, servers[1].After = &request, append([]string{"gatehouse", "run", "--"}, c.words...)
		if got, want := installs(plan, "/state", nothing), []string{"gatehouse install --state /state " + c.want}; !slices.Equal(got, want) {
			t.Errorf("have %q, want %q", got, want)
		}
		if got := installs(plan, "/state", everything); len(got) > 0 {
			t.Errorf("%q is there already", got)
		}
	}
}

func Test_no_answer_leaves_it(t *testing.T) {
	for _, answers := range []string{"", "\n\n", "/not/there\n\n", "HOME/notes/x\n\n", "HOME\n\n"} {
		plan, _ := asked(t, answers)
		servers := plan.Files[0].Servers
		if servers[0].What != protect.Left || len(servers[1].Grants.Network) > 0 {
			t.Errorf("%q: %+v", answers, servers)
		}
	}
}

func Test_only_yes_is_yes(t *testing.T) {
	for said, want := range map[string]bool{"y\n": true, "YES\n": true, " yes \n": true, "": false, "\n": false, "n\n": false, "yep\n": false, "no yes\n": false} {
		cmd := newProtectCommand()
		cmd.SetErr(&bytes.Buffer{})
		if got := confirmed(cmd, bufio.NewReader(strings.NewReader(said)), "?"); got != want {
			t.Errorf("%q is %v", said, got)
		}
	}
}

func Test_nobody_sits_at_a_pipe_or_the_null_device(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isPerson(null) || isPerson(strings.NewReader("y\n")) {
		t.Error("nobody is taken for a person")
	}
}
