// Package checktest checks a check the way every check must hold: complete metadata, a
// case that fires and one that stays quiet, an answer to facts that nobody gathered, and
// no secret in what it says.
//
// Cases stand in testdata/*.txtar of the check's folder, named fires_… or quiet_….
// Their sections are the files of a machine below home/ and project/, as in clienttest;
// facts.json, without which nobody was asked; modes: lines of an octal mode and a path,
// for files (otherwise 600) and folders; and want: a line for each finding, see roomtest.
package checktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/client/clienttest"
	"gatehouse/internal/clients"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rooms/roomtest"
)

// Facts are what a case says is known. Packages and advisories stand under kind:package,
// definitions and uses under the name of a server.
type Facts struct {
	Now         time.Time
	Packages    map[string]check.Package
	Advisories  map[string][]check.Advisory
	Partial     string // why there may be more advisories
	Definitions map[string][]json.RawMessage
	Others      map[string][]check.Item
	Used        map[string]check.Use
	Listening   []check.Listener
}

// Run checks the check of the folder in which the test runs.
func Run(t *testing.T, c check.Check) {
	t.Helper()
	t.Run("metadata", func(t *testing.T) { metadata(t, c) })
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, name := range names {
		kind, _, _ := strings.Cut(filepath.Base(name), "_")
		kinds[kind] = true
		t.Run(filepath.Base(name), func(t *testing.T) { run(t, c, name, kind) })
	}
	for _, kind := range []string{"fires", "quiet"} {
		if !kinds[kind] {
			t.Errorf("no case %s_….txtar", kind)
		}
	}
}

func metadata(t *testing.T, c check.Check) {
	roomtest.Identity(t, c.ID)
	roomtest.Page(t, c.Doc, c.Title, "How to fix it", "What it cannot see")
	if c.Title == "" || strings.HasSuffix(c.Title, ".") || c.Severity == 0 || len(c.References) == 0 {
		t.Error("title, severity or references are missing, or the title ends with a full stop")
	}
}

func run(t *testing.T, c check.Check, name, kind string) {
	scene, root := Scene(t, name)
	result := c.Judge(scene)
	if (kind == "fires") != (len(result.Findings) > 0) {
		t.Errorf("%d findings in a case that is called %s", len(result.Findings), kind)
	}
	for _, f := range result.Findings {
		if f.Why == "" || f.Fix == "" || f.Evidence == "" || f.Check != c.ID {
			t.Errorf("a finding says not enough: %+v", f)
		}
	}
	roomtest.Want(t, name, describe(root, result))
}

// Scene makes the scene of a case in a folder of its own, and says which folder that is.
func Scene(t *testing.T, name string) (scene *check.Scene, root string) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	var facts *Facts
	var modes string
	for _, section := range archive.Files {
		switch section.Name {
		case "want":
		case "modes":
			modes = string(section.Data)
		case "facts.json":
			decoder := json.NewDecoder(bytes.NewReader(section.Data))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&facts); err != nil {
				t.Fatal(err)
			}
		default:
			roomtest.Write(t, filepath.Join(root, filepath.FromSlash(section.Name)), section.Data)
		}
	}
	change(t, root, modes)
	machine := clienttest.Machine(root, "linux")
	found := clients.Discover(machine, client.NewFingerprints([]byte("of a test")))
	scene = &check.Scene{Now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), Home: machine.Homes[0].Dir, Files: found.Files, Servers: inventory.Servers(found.Entries())}
	if facts != nil {
		facts.fill(t, scene)
	}
	return scene, root
}

// change sets the modes of files and folders.
func change(t *testing.T, root, modes string) {
	t.Helper()
	if modes != "" && runtime.GOOS == "windows" {
		t.Skip("files have no modes here")
	}
	for line := range strings.Lines(modes) {
		var mode os.FileMode
		var path string
		if _, err := fmt.Sscanf(line, "%o %s", &mode, &path); err != nil {
			t.Fatalf("modes: %q: %v", line, err)
		}
		if err := os.Chmod(filepath.Join(root, filepath.FromSlash(path)), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// errUnknown is the answer where a case says nothing: not known is not clean.
var errUnknown = errors.New("the case says nothing about it")

func (f *Facts) fill(t *testing.T, scene *check.Scene) {
	t.Helper()
	if !f.Now.IsZero() {
		scene.Now = f.Now
	}
	name := map[string]string{}
	for _, s := range scene.Servers {
		name[s.ID] = s.Name
	}
	key := func(s inventory.Source) string { return string(s.Kind) + ":" + s.Package }
	if f.Packages != nil {
		scene.Facts.Package = func(s inventory.Source) (check.Package, error) { return known(f.Packages, key(s)) }
	}
	if f.Advisories != nil {
		scene.Facts.Advisories = func(s inventory.Source) ([]check.Advisory, error) {
			if f.Partial != "" {
				return f.Advisories[key(s)], check.Partial{Err: errors.New(f.Partial)}
			}
			return known(f.Advisories, key(s))
		}
	}
	if f.Definitions != nil {
		scene.Facts.Definitions = func(id string) ([]check.Tool, error) {
			raw, err := known(f.Definitions, name[id])
			if err != nil {
				return nil, err
			}
			var tools []check.Tool
			for _, definition := range raw {
				tool, err := check.ParseTool(definition)
				if err != nil {
					t.Fatal(err)
				}
				tools = append(tools, tool)
			}
			return tools, nil
		}
	}
	if f.Definitions != nil {
		scene.Facts.Others = func(id string) ([]check.Item, error) {
			if _, err := known(f.Definitions, name[id]); err != nil {
				return nil, err
			}
			return f.Others[name[id]], nil
		}
	}
	if f.Listening != nil {
		scene.Facts.Listening = func() ([]check.Listener, error) { return f.Listening, nil }
	}
	if f.Used != nil {
		scene.Facts.Used = func(id string) check.Use { return f.Used[name[id]] }
	}
}

func known[T any](all map[string]T, key string) (T, error) {
	v, ok := all[key]
	if !ok {
		return v, errUnknown
	}
	return v, nil
}

func describe(root string, r check.Result) string {
	var out strings.Builder
	for _, f := range r.Findings {
		at := strings.TrimPrefix(f.File, root+string(filepath.Separator))
		if f.Line > 0 {
			at = fmt.Sprintf("%s:%d", at, f.Line)
		}
		fmt.Fprintf(&out, "%s %s %s\n  %s\n  fix: %s\n", f.Severity, f.Name, at, strings.ReplaceAll(f.Why, root, ""), strings.ReplaceAll(f.Fix, root, ""))
		if f.Protect {
			out.WriteString("  gatehouse protect mends it\n")
		}
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(&out, "unchecked %s\n  %s\n", u.Name, u.Why)
	}
	return out.String()
}
