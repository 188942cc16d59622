//go:build unix

package requirements

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/test/program"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(serverOnStdio) != "" {
		serveStdio()
		return
	}
	code := m.Run()
	if problem := shared.end(); problem != nil {
		fmt.Fprintln(os.Stderr, problem)
		code = 1
	}
	os.Exit(code)
}

// gateway is the real program in front of the server in this process ("web", and
// "newest" in 2026-07-28 only) and the same server in a process of its own
// ("files").
type gateway struct {
	dir     string // holds the program, its configuration and its state
	url     string
	web     *server
	site    *httptest.Server
	command *exec.Cmd
	printed *program.Output
}

// shared is one gateway for the tests that leave it as it was.
var shared sharing

type sharing struct {
	once    sync.Once
	gateway *gateway
	err     error
}

// open is the shared gateway, started by the first test that needs it.
func open(t *testing.T) *gateway {
	t.Helper()
	shared.once.Do(func() { shared.gateway, shared.err = begin("", nil) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.gateway
}

func (s *sharing) end() error {
	if s.gateway == nil {
		return nil
	}
	return s.gateway.end()
}

// built is the program, in a folder that is removed with the shared gateway.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gatehouse-requirements-")
	if err != nil {
		return "", err
	}
	return program.Build(dir)
})

// begin starts a gateway in a folder, that of the program if none is named; more are
// further keys of its configuration.
func begin(dir string, more object) (*gateway, error) {
	path, err := built()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		dir = filepath.Dir(path)
	}
	g := &gateway{dir: dir, web: newServer(), printed: &program.Output{}}
	g.site = httptest.NewServer(g.web)
	g.web.page = g.site.URL + pagePath + "?code=4711&next=%2Fa%20b&to=https://xn--80ak6aa92e.example/#top"
	config := object{
		"listen": "127.0.0.1:0",
		"servers": object{
			"web":    object{"url": g.site.URL + "/mcp"},
			"newest": object{"url": g.site.URL + "/newest", "era": "modern"},
			"files":  object{"command": []string{os.Args[0]}, "env": object{serverOnStdio: "1"}},
		},
	}
	maps.Copy(config, more)
	if config["identity"] != nil { // it says the address that clients know, not where it listens
		if config["listen"], err = program.FreeAddress(); err != nil {
			return nil, err
		}
		g.url = fmt.Sprint("http://", config["listen"])
		config["servers"].(object)["old"] = object{"url": g.site.URL + "/old", "era": "legacy"}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(g.dir, "gatehouse.yaml"), raw, 0o600); err != nil {
		return nil, err
	}
	g.command = exec.Command(path)
	if err := g.start(); err != nil {
		return nil, errors.Join(err, g.end())
	}
	return g, nil
}

// start starts the program and waits until it says where it listens.
func (g *gateway) start() (err error) {
	g.command.Args = append(g.command.Args, "serve", "--config", filepath.Join(g.dir, "gatehouse.yaml"))
	if err := program.Start(g.command, g.printed); err != nil {
		return err
	}
	if g.url != "" {
		return program.AwaitHealth(g.url, patience)
	}
	g.url, err = g.printed.AwaitURL(patience)
	return err
}

// end ends the program and checks its log.
func (g *gateway) end() error {
	var problems []error
	if g.command != nil && g.command.Process != nil {
		program.End(g.command, patience)
		report, err := audit.Verify(g.audit())
		if err != nil || report.Tampered() {
			problems = append(problems, fmt.Errorf("the log does not verify: %w %+v", err, report))
		}
		if strings.Contains(g.printed.String(), "internal error") || strings.Contains(g.printed.String(), "goroutine ") {
			problems = append(problems, fmt.Errorf("the gateway met an internal error:\n%s", g.printed))
		}
	}
	if g.site != nil {
		g.site.CloseClientConnections()
		g.site.Close()
	}
	return errors.Join(append(problems, os.RemoveAll(g.dir))...)
}

func (g *gateway) audit() string { return filepath.Join(g.dir, ".gatehouse", "audit") }

// records are those of the log that the filter selects.
func (g *gateway) records(t *testing.T, f audit.Filter) []*audit.Record {
	t.Helper()
	var list []*audit.Record
	err := audit.Read(g.audit(), f, func(r *audit.Record) error {
		list = append(list, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// kept are the files that the gateway wrote, by path.
func (g *gateway) kept(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(g.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "gatehouse" {
			return err
		}
		raw, err := os.ReadFile(path)
		files[path] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
