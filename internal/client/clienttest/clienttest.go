// Package clienttest checks a client the way every client must hold: complete
// metadata, files found and read in the layouts of every system, the same entries in
// every encoding, and changes that are taken back to the same bytes.
//
// Cases stand in testdata/*.txtar of the client's folder, named for a system:
// linux.txtar, macos.txtar, windows.txtar, or with a word after the name,
// linux-old.txtar. Their sections are the files of a machine, below
//
//	home/                    the home of a person
//	project/                 a folder that is opened
//	env/NAME/                the folder that the variable NAME names
//	etc/, Library/           the root of the machine
//	ProgramData/, Program Files/   on Windows
//
// and want: a line for each file, and below it one for each server and setting, see
// roomtest.
package clienttest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/rooms/roomtest"
)

// Run checks the client of the folder in which the test runs.
func Run(t *testing.T, c client.Client) {
	t.Helper()
	t.Run("metadata", func(t *testing.T) { metadata(t, c) })
	seen := map[string]bool{}
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) { run(t, c, name, seen) })
	}
	every(t, c, seen)
}

func metadata(t *testing.T, c client.Client) {
	roomtest.Identity(t, c.ID)
	roomtest.Page(t, c.Doc, c.Name, "What is not seen")
	if c.Name == "" || len(c.Places) == 0 {
		t.Error("no name or no places")
	}
	for _, p := range c.Places {
		if !strings.Contains(p.Path, "/") && !strings.HasPrefix(p.Path, "$") {
			t.Errorf("place %q begins nowhere", p.Path)
		}
		if len(p.Servers) == 0 && len(p.Settings) == 0 {
			t.Errorf("place %q holds neither servers nor settings", p.Path)
		}
	}
}

// every checks that each place is used in a case of each system that has it.
func every(t *testing.T, c client.Client, seen map[string]bool) {
	for _, p := range c.Places {
		for _, system := range []client.System{client.Linux, client.MacOS, client.Windows} {
			has := p.On == 0 || p.On&system != 0
			if has && !seen[system.String()+" "+p.Path] {
				t.Errorf("no case of %v holds a file at %s", system, p.Path)
			}
		}
	}
}

func run(t *testing.T, c client.Client, name string, seen map[string]bool) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, section := range archive.Files {
		if section.Name != "want" {
			roomtest.Write(t, filepath.Join(root, filepath.FromSlash(section.Name)), section.Data)
		}
	}
	m := Machine(root, strings.TrimSuffix(filepath.Base(name), ".txtar"))
	files, found := read(m, c)
	for _, f := range found {
		seen[m.System.String()+" "+f.Place.Path] = true
	}
	roomtest.Want(t, name, describe(root, files))
	for i, f := range files {
		inside(t, f)
		encodings(t, c, found[i])
		restores(t, f)
	}
}

// Machine is the machine whose files lie below root as a case of that name lays them out.
func Machine(root, name string) client.Machine {
	system := client.Linux
	switch {
	case strings.HasPrefix(name, "macos"):
		system = client.MacOS
	case strings.HasPrefix(name, "windows"):
		system = client.Windows
	}
	return client.Machine{
		Root: root, System: system, Projects: []string{filepath.Join(root, "project")},
		Homes: []client.Home{{Dir: filepath.Join(root, "home"), System: system, Own: true}},
		Getenv: func(name string) string {
			folder := filepath.Join(root, "env", name)
			if _, err := os.Stat(folder); err != nil {
				return ""
			}
			return folder
		},
	}
}

var prints = client.NewFingerprints([]byte("cases"))

// read reads the files of a client, each once.
func read(m client.Machine, c client.Client) (files []client.File, found []client.Found) {
	for _, p := range c.Places {
		for _, f := range m.Find(p) {
			files, found = append(files, client.Read(c.ID, f, prints)), append(found, f)
		}
	}
	return files, found
}

// describe is what the section want holds.
func describe(root string, files []client.File) string {
	var out strings.Builder
	for _, f := range files {
		name, _ := filepath.Rel(root, f.Path)
		fmt.Fprintf(&out, "%s %s %s\n", f.Scope, filepath.ToSlash(name), f.State)
		for _, problem := range f.Problems {
			fmt.Fprintf(&out, "  problem %s\n", problem)
		}
		for _, e := range f.Entries {
			fmt.Fprintf(&out, "  %s\n", strings.Join(words(e), " "))
		}
		for _, s := range f.Settings {
			fmt.Fprintf(&out, "  setting %s = %s\n", s.Key, strings.Join(s.Value, ", "))
		}
	}
	return out.String()
}

func words(e client.Entry) []string {
	out := append([]string{e.Name, string(e.Transport)}, e.Shown...)
	if e.ShownURL != "" {
		out = append(out, e.ShownURL)
	}
	for _, v := range e.Env {
		out = append(out, "env "+value(v))
	}
	for _, v := range e.Headers {
		out = append(out, "header "+value(v))
	}
	if e.Disabled {
		out = append(out, "disabled")
	}
	if len(e.Approved) > 0 {
		out = append(out, "unasked "+strings.Join(e.Approved, ","))
	}
	if e.Trusted {
		out = append(out, "trusted")
	}
	return out
}

func value(v client.Value) string {
	return strings.TrimRight(v.Name+"="+v.Reference+v.Fingerprint, "=")
}

// inside checks that every entry says where it stands, inside the file.
func inside(t *testing.T, f client.File) {
	raw, err := os.ReadFile(f.Path)
	if err != nil {
		return // reported as failed, which the section want shows
	}
	for _, e := range f.Entries {
		if e.Span.Known() && e.Span.End > len(raw) {
			t.Errorf("%s: the entry %s stands at %v of %d bytes", f.Path, e.Name, e.Span, len(raw))
		}
	}
}

// spellings are the ways in which editors write the same text.
var spellings = map[string]func([]byte) []byte{
	"with a byte order mark": func(raw []byte) []byte { return append([]byte{0xEF, 0xBB, 0xBF}, raw...) },
	"with CRLF": func(raw []byte) []byte {
		return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
	},
	"in UTF-16, little end first": func(raw []byte) []byte {
		out := []byte{0xFF, 0xFE}
		for _, unit := range utf16.Encode([]rune(string(raw))) {
			out = append(out, byte(unit), byte(unit>>8))
		}
		return out
	},
	"in UTF-16, big end first": func(raw []byte) []byte {
		out := []byte{0xFE, 0xFF}
		for _, unit := range utf16.Encode([]rune(string(raw))) {
			out = append(out, byte(unit>>8), byte(unit))
		}
		return out
	},
}

// encodings reads the same file in every encoding.
func encodings(t *testing.T, c client.Client, found client.Found) {
	raw, err := os.ReadFile(found.Path)
	if err != nil {
		return
	}
	plain := client.Read(c.ID, found, prints)
	for name, encode := range spellings {
		roomtest.Write(t, found.Path, encode(raw))
		f := client.Read(c.ID, found, prints)
		if !reflect.DeepEqual(contents(plain), contents(f)) {
			t.Errorf("%s %s reads as something else:\n%s", found.Path, name, cmp.Diff(contents(plain), contents(f)))
		}
		inside(t, f)
		restores(t, f)
	}
	roomtest.Write(t, found.Path, raw)
}

// contents is what a file says, without where.
func contents(f client.File) []string {
	out := []string{string(f.State)}
	for _, e := range f.Entries {
		out = append(out, strings.Join(words(e), " "))
	}
	return out
}

// restores changes every entry, and takes it back.
func restores(t *testing.T, f client.File) {
	raw, err := os.ReadFile(f.Path)
	if err != nil {
		return
	}
	var all []client.Change
	for _, e := range f.Entries {
		c := client.Change{Path: e.Path}
		switch {
		case len(e.Words) > 0:
			c.Command = append([]string{"gatehouse", "run", "--", `a "quoted" \ word`}, e.Words...)
		case e.URL != "":
			c.URL = "http://127.0.0.1:8080/mcp/server?a=\"b\""
		default:
			continue
		}
		restore(t, f, raw, []client.Change{c}, e.Name)
		all = append(all, c)
	}
	if len(all) > 0 {
		restore(t, f, raw, all, "all")
	}
}

func restore(t *testing.T, f client.File, raw []byte, changes []client.Change, what string) {
	t.Helper()
	patch, err := f.Rewrite(raw, changes)
	if err != nil {
		t.Errorf("changing %s: %v", what, err)
		return
	}
	changed, err := patch.Apply(raw)
	if err != nil {
		t.Errorf("changing %s: %v", what, err)
		return
	}
	back, err := patch.Revert(changed)
	if err != nil || !bytes.Equal(back, raw) {
		t.Errorf("taking back %s: %v; the bytes differ:\n%s", what, err, cmp.Diff(string(raw), string(back)))
	}
	if again, err := patch.RevertIn(f, withMore(f, changed)); err != nil || !bytes.Equal(again, withMore(f, raw)) {
		t.Errorf("taking back %s in a file that grew: %v:\n%s", what, err, cmp.Diff(string(withMore(f, raw)), string(again)))
	}
}

// withMore is a file after something was added at its end that is no entry.
func withMore(f client.File, raw []byte) []byte {
	d, err := config.ParseDocument(f.Path, raw, config.JSON)
	if err != nil {
		return raw
	}
	return append(bytes.Clone(raw), bytes.TrimPrefix(d.Encode([]byte("\n")), d.Encode(nil))...)
}
