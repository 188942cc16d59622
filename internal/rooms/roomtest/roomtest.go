// Package roomtest is what the tests of all rooms share: a room bears the name of what it
// defines, has a page, and has cases in testdata/*.txtar whose section want says what is
// to come out. With -update these sections are written anew, for review as a diff.
package roomtest

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the want sections of the cases anew")

var identifier = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Identity checks that the folder in which the test runs is that of an ID.
func Identity(t *testing.T, id string) {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if !identifier.MatchString(id) {
		t.Errorf("ID %q is not kebab-case", id)
	}
	if got := filepath.Base(folder); got != strings.ReplaceAll(id, "-", "") {
		t.Errorf("%s stands in folder %s", id, got)
	}
}

// Page checks that a page has a title and some sections.
func Page(t *testing.T, doc, title string, sections ...string) {
	t.Helper()
	if !strings.HasPrefix(doc, "# "+title+"\n") {
		t.Errorf("doc.md does not begin with the title %q", title)
	}
	for _, want := range sections {
		if !strings.Contains(doc, "\n## "+want+"\n") {
			t.Errorf("doc.md has no section %q", want)
		}
	}
}

// Write writes a file and the folders above it, the file for its owner only.
func Write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Want compares what came out of a case with its section want.
func Want(t *testing.T, name, got string) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	if *update {
		if at < 0 {
			at, archive.Files = len(archive.Files), append(archive.Files, txtar.File{Name: "want"})
		}
		archive.Files[at].Data = []byte(got)
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if at < 0 {
		t.Fatal("no section want")
	}
	if diff := cmp.Diff(string(archive.Files[at].Data), got); diff != "" {
		t.Errorf("want and have differ (-want +got):\n%s", diff)
	}
}
