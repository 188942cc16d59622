//go:build unix

package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/test/program"
)

// inBrowser opens a page in Chromium, and answers what became of it and what the browser
// printed.
func inBrowser(t *testing.T, page string) (dom, printed string) {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		program.Missing(t, "there is no Chromium; on Debian: apt-get install chromium")
	}
	dir := t.TempDir()
	args := []string{"--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--enable-logging=stderr", "--v=0", "--user-data-dir=" + dir, "--dump-dom", "file://" + page}
	if os.Getuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // root cannot have one
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Env = append(os.Environ(), "HOME="+dir)
	var out, log bytes.Buffer
	command.Stdout, command.Stderr = &out, &log
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	return out.String(), log.String()
}

// The page of a machine whose every text is hostile: its own script runs, because its
// policy allows it, and nothing else does.
func Test_the_page_of_a_scan_in_a_browser(t *testing.T) {
	dir := project(t, `{"mcpServers": {
		"<img src=x onerror='document.title=\"owned\"'>": {"command": "npx", "args": ["-y", "</script><script>document.title='owned'</script>"]},
		"\"><svg onload=\"document.title='owned'\">": {"command": "npx", "args": ["-y", "some-server"]}
	}}`)
	page := filepath.Join(dir, "report.html")
	scan := exec.Command(gatehouse, "scan", "--project-only", "--fail-on", "never", "--format", "html", "--output", page)
	scan.Dir = dir
	scan.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	if printed, err := scan.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	dom, printed := inBrowser(t, page)
	if !strings.Contains(dom, " shown</span>") {
		t.Errorf("the script of the page did not run:\n%s", printed)
	}
	if !strings.Contains(dom, "<title>Gatehouse: MCP servers of this project</title>") {
		t.Error("the title is another one")
	}
	for _, bad := range []string{"Content Security Policy", "Refused to", "Uncaught"} {
		if strings.Contains(printed, bad) {
			t.Errorf("the browser says:\n%s", printed)
		}
	}

	// The same page with a script in it that is not its own: the policy stops it.
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	spoiled := bytes.Replace(raw, []byte("</main>"), []byte(`<script>document.title="owned"</script><img src="x" onerror="document.title='owned'"></main>`), 1)
	if bytes.Equal(spoiled, raw) {
		t.Fatal("nothing was put into the page")
	}
	if err := os.WriteFile(page, spoiled, 0o600); err != nil {
		t.Fatal(err)
	}
	if dom, printed = inBrowser(t, page); strings.Contains(dom, "<title>owned") || !strings.Contains(printed, "Content Security Policy") {
		t.Errorf("a script that is not of the page runs:\n%s", printed)
	}
}
