//go:build unix

package integration

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"gatehouse/internal/clients"
)

// action is action.yml, as far as this test runs it.
type action struct {
	Inputs map[string]struct {
		Description string
		Default     string
	}
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []struct {
			ID, Shell, Run string
			Uses           string
			Env            map[string]string
		}
	}
}

func readAction(t *testing.T) action {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var a action
	if err := yaml.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

var expression = regexp.MustCompile(`\$\{\{ *([a-z.-]+) *\}\}`)

// What a workflow passes in may come from a pull request: it reaches the shell in
// variables, never as part of a script. Nothing of somebody else runs.
func Test_the_action_puts_no_input_into_a_script(t *testing.T) {
	a := readAction(t)
	if a.Runs.Using != "composite" || len(a.Runs.Steps) != 2 {
		t.Fatalf("%+v", a.Runs)
	}
	for _, s := range a.Runs.Steps {
		if strings.Contains(s.Run, "${{") || s.Uses != "" || s.Shell != "bash" || !strings.HasPrefix(s.Run, "set -euo pipefail\n") {
			t.Errorf("step %s: %+v", s.ID, s)
		}
		for name, value := range s.Env {
			m := expression.FindStringSubmatch(value)
			if m == nil {
				t.Errorf("%s is %s", name, value)
				continue
			}
			if input, ok := strings.CutPrefix(m[1], "inputs."); ok && a.Inputs[input].Description == "" {
				t.Errorf("%s is no input", input)
			}
		}
	}
}

// runAction runs the steps as a runner does, and answers the outputs and the exit code.
func runAction(t *testing.T, folder string, inputs map[string]string) (outputs map[string]string, log string, code int) {
	t.Helper()
	a := readAction(t)
	temp := t.TempDir()
	// What the machine of the runner has is not of the project.
	if err := os.WriteFile(filepath.Join(temp, ".claude.json"), []byte(`{"mcpServers": {"of-the-runner": {"command": "sudo", "args": ["server"]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for name, input := range a.Inputs {
		known["inputs."+name] = input.Default
	}
	for name, value := range inputs {
		known["inputs."+name] = value
	}
	for _, s := range a.Runs.Steps {
		file := filepath.Join(temp, s.ID)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		command := exec.Command("bash", "-c", s.Run)
		command.Dir = folder
		command.Env = append(os.Environ(), "RUNNER_TEMP="+temp, "GITHUB_OUTPUT="+file, "HOME="+temp, "XDG_STATE_HOME="+temp, "XDG_CONFIG_HOME=")
		for name, value := range s.Env {
			command.Env = append(command.Env, name+"="+expression.ReplaceAllStringFunc(value, func(e string) string { return known[expression.FindStringSubmatch(e)[1]] }))
		}
		printed, err := command.CombinedOutput()
		log += string(printed)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("step %s has no outputs: %v\n%s", s.ID, err, log)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
			name, value, _ := strings.Cut(line, "=")
			known["steps."+s.ID+".outputs."+name] = value
		}
	}
	outputs = map[string]string{}
	for name, output := range a.Outputs {
		outputs[name] = expression.ReplaceAllStringFunc(output.Value, func(e string) string { return known[expression.FindStringSubmatch(e)[1]] })
	}
	return outputs, log, code
}

func project(t *testing.T, servers string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{".mcp.json": servers, ".git/HEAD": "ref: refs/heads/main\n"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// silenced is a log whose lines are no orders from the first to the last.
var silenced = regexp.MustCompile(`(?s)^::stop-commands::([0-9a-f]{32})\n(.*)\n::([0-9a-f]{32})::\n$`)

func Test_the_action_reports_and_fails_as_it_is_told(t *testing.T) {
	dir := project(t, `{"mcpServers": {"a\n::error::b": {"command": "npx", "args": ["-y", "some-server"]}}}`)
	for _, c := range []struct {
		failOn string
		code   int
	}{{"medium", 1}, {"never", 0}, {"nonsense", 2}} {
		outputs, log, code := runAction(t, dir, map[string]string{"gatehouse": gatehouse, "fail-on": c.failOn})
		if code != c.code || outputs["exit-code"] != map[int]string{0: "0", 1: "1", 2: "2"}[c.code] {
			t.Errorf("fail-on %s: code %d, outputs %v\n%s", c.failOn, code, outputs, log)
		}
		if m := silenced.FindStringSubmatch(log); m == nil || m[1] != m[3] || strings.Contains(m[2], "::"+m[1]) {
			t.Errorf("the log obeys what is between these lines: %s", log)
		} else if c.code != 2 && !strings.Contains(m[2], "::error::b") {
			t.Errorf("the report stands elsewhere: %s", log)
		}
		if strings.Contains(log, "of-the-runner") {
			t.Errorf("the home of the runner counts: %s", log)
		}
		if c.code == 2 {
			if outputs["report"] != "" {
				t.Errorf("a report that was not written is named: %v", outputs)
			}
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, outputs["report"]))
		if err != nil {
			t.Fatal(err)
		}
		var report struct {
			Runs []struct{ Results []json.RawMessage }
		}
		if err := json.Unmarshal(raw, &report); err != nil || len(report.Runs) != 1 || len(report.Runs[0].Results) == 0 {
			t.Errorf("%v: %s", err, raw)
		}
	}
}

// The outputs of a step are lines of a file: a name of a report that has two could say
// that nothing was found.
func Test_an_input_of_the_action_is_no_output(t *testing.T) {
	dir := project(t, `{"mcpServers": {}}`)
	outputs, log, code := runAction(t, dir, map[string]string{"gatehouse": gatehouse, "output": "x\nexit-code=0"})
	if code != 2 || outputs["exit-code"] != "" {
		t.Errorf("code %d, outputs %v\n%s", code, outputs, log)
	}
}

func Test_an_input_of_the_action_is_no_shell(t *testing.T) {
	dir := project(t, `{"mcpServers": {}}`)
	_, log, code := runAction(t, dir, map[string]string{"gatehouse": gatehouse, "path": "$(touch pwned); touch pwned", "fail-on": "--help"})
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil || code != 2 {
		t.Errorf("code %d\n%s", code, log)
	}
}

func Test_the_action_passes_every_input_on(t *testing.T) {
	dir := project(t, `{"mcpServers": {"a": {"command": "npx", "args": ["-y", "some-server"]}}}`)
	for _, c := range []struct {
		input, value string
		code         int
	}{
		{"path", "--help", 3}, {"baseline", "nowhere.yaml", 2}, {"require-complete", "true", 3}, {"require-complete", "false", 0},
	} {
		inputs := map[string]string{"gatehouse": gatehouse, "fail-on": "never", c.input: c.value}
		if _, log, code := runAction(t, dir, inputs); code != c.code {
			t.Errorf("%s %s: code %d, want %d\n%s", c.input, c.value, code, c.code, log)
		}
	}
}

func Test_the_hook_runs_where_a_project_names_servers(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", ".pre-commit-hooks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		ID, Name, Entry, Language, Files, Description string
		Pass                                          *bool `yaml:"pass_filenames"`
	}
	if err := yaml.Unmarshal(raw, &hooks); err != nil || len(hooks) != 2 {
		t.Fatalf("%d hooks, %v", len(hooks), err)
	}
	for _, h := range hooks {
		files, err := regexp.Compile(h.Files)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range clients.All() {
			for _, p := range c.Places {
				if path, ok := strings.CutPrefix(p.Path, "./"); ok && !files.MatchString(strings.ReplaceAll(path, "*", "x")) {
					t.Errorf("%s: a change of %s starts no scan", h.ID, path)
				}
			}
		}
		for _, other := range []string{"main.go", "package.json", "src/config.json", ".github/workflows/ci.yml"} {
			if files.MatchString(other) {
				t.Errorf("%s: a change of %s starts a scan", h.ID, other)
			}
		}
		words := strings.Fields(h.Entry)
		if h.Pass == nil || *h.Pass || words[0] != "gatehouse" {
			t.Errorf("%+v", h)
		}
		for servers, want := range map[string]int{`{"mcpServers": {}}`: 0, `{`: 3} {
			command := exec.Command(gatehouse, words[1:]...)
			command.Dir = project(t, servers)
			command.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
			if printed, _ := command.CombinedOutput(); command.ProcessState.ExitCode() != want {
				t.Errorf("%s: %v, want %d\n%s", h.ID, command.ProcessState, want, printed)
			}
		}
	}
}
