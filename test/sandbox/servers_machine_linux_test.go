package sandbox_test

import (
	"bufio"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/program"
)

// client speaks to a server on its standard streams, one request after another.
type client struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	errs *strings.Builder // complete after end
	last int
	end  func() error // ends it, and says how it ended
}

// patience is how long a server under load may take.
const patience = 2 * time.Minute

// launch starts a server, which ends with the test.
func launch(t *testing.T, cmd *exec.Cmd) *client {
	t.Helper()
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	c := &client{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out), errs: &strings.Builder{}}
	c.out.Buffer(nil, 1<<20)
	cmd.Stderr = c.errs
	must(t, cmd.Start())
	limit := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	c.end = sync.OnceValue(func() error {
		defer limit.Stop()
		in.Close()
		return cmd.Wait()
	})
	t.Cleanup(func() { _ = c.end() })
	return c
}

// connect starts a server and begins a session, which has to end in order.
func connect(t *testing.T, cmd *exec.Cmd) *client {
	t.Helper()
	c := launch(t, cmd)
	t.Cleanup(func() {
		if err := c.end(); err != nil && !t.Failed() {
			t.Errorf("it ended with %v\n%s", err, c.errs)
		}
	})
	if answer := c.call("initialize", hello); !strings.Contains(answer, `"serverInfo"`) {
		_ = c.end()
		t.Fatalf("there is no session: %s\n%s", answer, c.errs)
	}
	c.send(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
	return c
}

// hello are the parameters of initialize.
var hello = map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "test", "version": "1"}}

func (c *client) send(message map[string]any) {
	c.t.Helper()
	must(c.t, json.NewEncoder(c.in).Encode(message))
}

// call sends a request and returns its whole answer.
func (c *client) call(method string, params map[string]any) string {
	c.t.Helper()
	c.last++
	c.send(map[string]any{"jsonrpc": "2.0", "id": c.last, "method": method, "params": params})
	return c.answer(c.last)
}

// answer is the whole answer to the request with this id.
func (c *client) answer(id int) string {
	c.t.Helper()
	for c.out.Scan() {
		var answer struct {
			ID     *int   `json:"id"`
			Method string `json:"method"`
		}
		if err := json.Unmarshal(c.out.Bytes(), &answer); err == nil && answer.ID != nil && *answer.ID == id && answer.Method == "" {
			return c.out.Text()
		}
	}
	_ = c.end()
	c.t.Fatalf("no answer to request %d: %v\n%s", id, c.out.Err(), c.errs)
	return ""
}

// tool calls a tool and returns the whole answer.
func (c *client) tool(x call) string {
	c.t.Helper()
	return c.call("tools/call", map[string]any{"name": x.tool, "arguments": x.args})
}

// folder is a folder without symlinks in its path.
func folder(t *testing.T) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	return path
}

// serve answers every request on this machine with a page. It returns its address, and
// what says whether somebody asked since it was last called.
func serve(t *testing.T, text string) (address string, asked func() bool) {
	t.Helper()
	var visits atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), func() bool { return visits.Swap(0) > 0 }
}

// relayTo is an address of this machine that leads to another one.
func relayTo(t *testing.T, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				near.Close()
				continue
			}
			for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
				go func() {
					_, _ = io.Copy(to, from)
					to.Close()
				}()
			}
		}
	}()
	return l.Addr().String()
}

// postgres is the address of a PostgreSQL that ends with the test.
func postgres(t *testing.T) string {
	t.Helper()
	place, err := os.MkdirTemp("", "postgres") // t.TempDir lies in a folder that others cannot enter
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(place) })
	var said strings.Builder
	start := exec.Command("../tools/postgres.sh", "start", place)
	start.Stderr = &said
	out, err := start.Output()
	if err != nil {
		program.Missing(t, "there is no PostgreSQL: %v\n%s", err, &said)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("../tools/postgres.sh", "stop", place).CombinedOutput(); err != nil {
			t.Errorf("ending PostgreSQL: %v\n%s", err, out)
		}
	})
	return "127.0.0.1:" + strings.TrimSpace(string(out))
}

// fonts is the folder without which a browser shows no letters.
const fonts = "/usr/share/fonts"

// chromium is the browser itself, not the script that starts it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/lib/chromium/chromium", "/usr/lib/chromium-browser/chromium-browser", "/opt/google/chrome/chrome"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	program.Missing(t, "there is no Chromium; on Debian: apt-get install chromium")
	return ""
}

// gitRepository makes a repository with one commit.
func gitRepository(t *testing.T, path string) {
	t.Helper()
	git := exec.Command("sh", "-ec", `umask 0; git init -q "$0"; cd "$0"; git -c user.name=Ada -c user.email=ada@example.com commit -q --allow-empty -m "the first commit"`, path)
	git.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// npmVersion is the version of a package from npm.
func npmVersion(t *testing.T, folder string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "package.json"))
	must(t, err)
	var manifest struct{ Version string }
	must(t, json.Unmarshal(text, &manifest))
	return manifest.Version
}

// pythonVersion is the version of a package from PyPI.
func pythonVersion(t *testing.T, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(program.Installed(t, "../.tools/python/lib"), "python*/site-packages", name+"-*.dist-info"))
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("%s is installed as %v", name, found)
	}
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), name+"-"), ".dist-info")
}

// goVersion is the version of a module that a program is built of.
func goVersion(t *testing.T, path, module string) string {
	t.Helper()
	info, err := buildinfo.ReadFile(path)
	must(t, err)
	for _, dep := range append(info.Deps, &info.Main) {
		if dep.Path == module {
			return strings.TrimPrefix(dep.Version, "v")
		}
	}
	t.Fatalf("%s has no %s in it", path, module)
	return ""
}
