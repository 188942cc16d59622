//go:build unix

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/config"
	"gatehouse/test/program"
)

// inspect runs the command line of MCP Inspector, a real client.
func inspect(t *testing.T, args ...string) string {
	t.Helper()
	script := installed(t, filepath.Join("..", "node", "node_modules", ".bin", "mcp-inspector"))
	output, err := exec.Command(node(t), append([]string{script, "--cli"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("inspector %v: %v\n%s", args, err, output)
	}
	return string(output)
}

// quickstart is what `make run` starts, in a folder of its own.
func quickstart(t *testing.T) *gateway {
	t.Helper()
	installed(t, filepath.Join("..", "node", "node_modules", ".bin", "mcp-server-filesystem"))
	dir := t.TempDir()
	tests, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Symlink(tests, filepath.Join(dir, "test")),
		os.Mkdir(filepath.Join(dir, "examples"), 0o755),
		os.Mkdir(filepath.Join(dir, "workspace"), 0o755),
		copyFile(filepath.Join(dir, "examples", "quickstart.yaml"), filepath.Join(tests, "..", "examples", "quickstart.yaml")),
		copyFile(filepath.Join(dir, "workspace", "welcome.txt"), filepath.Join(tests, "..", "examples", "welcome.txt")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	g := &gateway{t: t, config: filepath.Join(dir, "examples", "quickstart.yaml"), printed: &program.Output{}}
	g.audit = filepath.Join(dir, "examples", ".gatehouse", "audit")
	g.launch("--listen", "127.0.0.1:0")
	return g
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

func TestExamples_quickstart_with_inspector(t *testing.T) {
	t.Parallel()
	g := quickstart(t)
	if got := inspect(t, g.url+"/mcp", "--transport", "http", "--method", "tools/list"); !strings.Contains(got, `"everything__echo"`) || !strings.Contains(got, `"files__read_text_file"`) {
		t.Errorf("listed %.500s", got)
	}
	echo := []string{"--method", "tools/call", "--tool-name", "everything__echo", "--tool-arg", "message=hello"}
	if got := inspect(t, append([]string{g.url + "/mcp", "--transport", "http"}, echo...)...); !strings.Contains(got, "Echo: hello") {
		t.Errorf("answered %s", got)
	}
	if got := inspect(t, g.url+"/mcp/files", "--transport", "http", "--method", "tools/call",
		"--tool-name", "read_text_file", "--tool-arg", "path=welcome.txt"); !strings.Contains(got, "all that the files server sees") {
		t.Errorf("answered %s", got)
	}
	// Neither server speaks 2026-07-28: a client that tries it first finds its way,
	// one that insists is told why not.
	if got := inspect(t, append([]string{g.url + "/mcp/everything", "--transport", "http", "--protocol-era", "auto",
		"--method", "tools/call", "--tool-name", "echo"}, "--tool-arg", "message=hello")...); !strings.Contains(got, "Echo: hello") {
		t.Errorf("answered %s", got)
	}
	// The short form: Inspector takes --config for itself.
	if got := inspect(t, append([]string{gatehouse, "serve", "--stdio", "-c", g.config}, echo...)...); !strings.Contains(got, "Echo: hello") {
		t.Errorf("answered %s", got)
	}
}

func TestExamples_modern_era_with_inspector(t *testing.T) {
	t.Parallel()
	g := serve(t, object{"files": object{"command": hostile(t)}})
	for _, mount := range []struct{ path, tool string }{{"/mcp", "files__echo"}, {"/mcp/files", "echo"}} {
		for _, era := range []string{"modern", "legacy"} {
			at := []string{g.url + mount.path, "--transport", "http", "--protocol-era", era}
			if got := inspect(t, append(at, "--method", "tools/list")...); !strings.Contains(got, `"`+mount.tool+`"`) {
				t.Errorf("%s %s listed %.500s", era, mount.path, got)
			}
			if got := inspect(t, append(at, "--method", "tools/call", "--tool-name", mount.tool, "--tool-arg", "text=hello")...); !strings.Contains(got, `"hello"`) {
				t.Errorf("%s %s answered %.500s", era, mount.path, got)
			}
		}
	}
}

// The configurations that the pages show can be used as they stand.
func TestExamples_configurations_in_the_docs_load(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	found := 0
	for _, page := range []string{"README.md", "docs/configuration.md", "docs/joined.md", "docs/limits.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllSubmatch(text, -1) {
			if !strings.Contains(string(m[1]), "\nservers:\n") && !strings.HasPrefix(string(m[1]), "servers:\n") {
				continue // a part of one
			}
			found++
			path := filepath.Join(t.TempDir(), "gatehouse.yaml")
			if err := os.WriteFile(path, m[1], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(path); err != nil {
				t.Errorf("%s: %v\n%s", page, err, m[1])
			}
		}
	}
	if found < 2 {
		t.Errorf("only %d configurations were found", found)
	}
}
