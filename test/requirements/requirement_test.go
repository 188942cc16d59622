package requirements

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/REQUIREMENTS.md")

const (
	root    = "../.."
	here    = "test/requirements"
	page    = "docs/REQUIREMENTS.md"
	highest = 142
)

// knownGap is how a test says what the gateway does wrong. The test passes as long
// as it is wrong, and fails when it is right, so that the table is corrected.
func knownGap(t tester) (fail func(format string, args ...any)) {
	t.Helper()
	open := false
	t.Cleanup(func() {
		if !open && !t.Failed() && !t.Skipped() {
			t.Errorf("the gap is closed: take Gap out of the table and knownGap out of this test")
		}
	})
	return func(format string, args ...any) {
		t.Helper()
		open = true
		t.Logf("known gap: "+format, args...)
	}
}

// tester is what knownGap needs of a test.
type tester interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
	Failed() bool
	Skipped() bool
}

// trial is a test that may fail without failing the one that looks at it.
type trial struct {
	*testing.T
	end    func()
	failed bool
}

func (t *trial) Cleanup(end func())    { t.end = end }
func (t *trial) Errorf(string, ...any) { t.failed = true }

func Test_a_gap_that_is_closed_is_noticed(t *testing.T) {
	for _, open := range []bool{true, false} {
		one := &trial{T: t}
		fail := knownGap(one)
		if open {
			fail("it is still wrong")
		}
		one.end()
		if one.failed == open {
			t.Errorf("the gap is open: %v; the test failed: %v", open, one.failed)
		}
	}
}

// found is one test of the repository.
type found struct {
	file string // from the root
	gap  bool   // it calls knownGap
}

// testsOf reads which tests stand in which folder.
func testsOf(t *testing.T) map[Reference]found {
	t.Helper()
	all := map[Reference]found{}
	for _, top := range []string{"internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && slices.Contains([]string{"node_modules", ".tools", "testdata"}, entry.Name()):
				return fs.SkipDir
			case !strings.HasSuffix(name, "_test.go"):
				return nil
			}
			tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			file, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			file = filepath.ToSlash(file)
			for _, declaration := range tree.Decls {
				f, ok := declaration.(*ast.FuncDecl)
				if ok && f.Recv == nil && isTest(f.Name.Name) {
					all[Reference{path.Dir(file), f.Name.Name}] = found{file, calls(f, "knownGap")}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") && name != "TestMain" || strings.HasPrefix(name, "Fuzz")
}

func calls(f *ast.FuncDecl, name string) (yes bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if function, ok := call.Fun.(*ast.Ident); ok && function.Name == name {
				yes = true
			}
		}
		return !yes
	})
	return yes
}

var ownTest = regexp.MustCompile(`^Test_R(\d{3})_`)

// own are the tests of this folder by the number in their names.
func own(all map[Reference]found) map[int][]Reference {
	list := map[int][]Reference{}
	for test := range all {
		if m := ownTest.FindStringSubmatch(test.Test); m != nil && test.Folder == here {
			number, _ := strconv.Atoi(m[1])
			list[number] = append(list[number], test)
		}
	}
	for _, tests := range list {
		slices.SortFunc(tests, func(a, b Reference) int { return strings.Compare(a.Test, b.Test) })
	}
	return list
}

// state is how a requirement stands, as the page says it.
type state string

const (
	tested   state = "tested"
	inPart   state = "tested in part"
	gap      state = "gap"
	noReason state = "no test"
)

func stateOf(r Requirement) state {
	switch {
	case r.Gap != "":
		return gap
	case r.Why != "":
		return noReason
	case r.Part != "":
		return inPart
	}
	return tested
}

func Test_every_requirement_has_a_test_or_a_reason(t *testing.T) {
	all := testsOf(t)
	mine := own(all)
	for i, r := range Table {
		if r.Number != i+1 {
			t.Fatalf("row %d has the number %d", i+1, r.Number)
		}
		if r.Text == "" || r.From == "" || r.Level != Must && r.Level != Should {
			t.Errorf("%d: the row lacks its text, chapter or level", r.Number)
		}
		checkTests(t, r, mine[r.Number], all)
		delete(mine, r.Number)
	}
	if len(Table) != highest {
		t.Errorf("the table has %d rows, want %d", len(Table), highest)
	}
	for number, tests := range mine {
		t.Errorf("%v: there is no requirement %d", tests, number)
	}

	want := document(all)
	file := filepath.Join(root, page)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("%s is not fresh; `go generate ./test/requirements` writes it (-have +want):\n%s", page, diff)
	}
}

// checkTests checks that a row has tests that exist, or a reason, and not both.
func checkTests(t *testing.T, r Requirement, mine []Reference, all map[Reference]found) {
	t.Helper()
	hasTest := len(mine)+len(r.Elsewhere) > 0
	switch {
	case r.Why != "" && (hasTest || r.Part != ""):
		t.Errorf("%d has a reason for no test, and a test", r.Number)
	case r.Why == "" && !hasTest:
		t.Errorf("%d has neither a test nor a reason", r.Number)
	}
	for _, test := range r.Elsewhere {
		if _, ok := all[test]; !ok || test.Folder == here {
			t.Errorf("%d: there is no test %s in %s", r.Number, test.Test, test.Folder)
		}
	}
	gaps := slices.ContainsFunc(mine, func(test Reference) bool { return all[test].gap })
	if gaps != (r.Gap != "" && r.Why == "") {
		t.Errorf("%d: Gap in the table is %q; a test calls knownGap: %v", r.Number, r.Gap, gaps)
	}
}

const preface = `# Requirements

What the MCP specification asks of a program between clients and servers, numbered, in our
words, and how each point is tested. The table is generated from the tests: ` + "`go generate ./test/requirements`" + `
writes it, and a test fails if it is not fresh, if a test that it names is gone, or if a
requirement has neither a test nor a reason.

The revisions are 2024-11-05 to 2026-07-28, the chapters those of the specification. A test
here is named by its number and runs against the real program; the others stand where the
thing is done.

`

// document is the page.
func document(all map[Reference]found) []byte {
	mine := own(all)
	count := map[state]int{}
	for _, r := range Table {
		count[stateOf(r)]++
	}
	var out bytes.Buffer
	out.WriteString(preface)
	out.WriteString("| state | requirements | |\n|---|--:|---|\n")
	for _, line := range []struct {
		state state
		means string
	}{
		{tested, "tests prove it"},
		{inPart, "tests prove what there is; what is missing is said"},
		{gap, "it applies and Gatehouse does not meet it"},
		{noReason, "it does not apply, or what it is about does not exist yet"},
	} {
		fmt.Fprintf(&out, "| %s | %d | %s |\n", line.state, count[line.state], line.means)
	}
	fmt.Fprintf(&out, "| **all** | **%d** | |\n", len(Table))
	out.WriteString("\n## Why some have no test\n\n")
	for _, reason := range Reasons {
		fmt.Fprintf(&out, "- **%s**: %s\n", reason.Name, reason.Text)
	}
	out.WriteString("\n## All of them\n\n| | requirement | how it is tested, or why not |\n|--:|---|---|\n")
	for _, r := range Table {
		fmt.Fprintf(&out, "| %d | **%s** %s<br>*%s* | %s |\n", r.Number, r.Level, r.Text, r.From, answer(r, mine[r.Number], all))
	}
	return out.Bytes()
}

// answer is the last column of a row.
func answer(r Requirement, mine []Reference, all map[Reference]found) string {
	for _, reason := range Reasons {
		if r.Why == reason.Name {
			return "[" + reason.Name + "](#why-some-have-no-test)"
		}
	}
	var parts []string
	if r.Gap != "" {
		parts = append(parts, "**Gap:** "+r.Gap)
	}
	if r.Why != "" {
		return strings.Join(append(parts, r.Why), "<br>")
	}
	var links []string
	for _, test := range slices.Concat(mine, r.Elsewhere) {
		links = append(links, fmt.Sprintf("[%s](../%s)", test.Test, all[test].file))
	}
	parts = append(parts, strings.Join(links, ", "))
	if r.Part != "" {
		parts = append(parts, "*In part:* "+r.Part)
	}
	return strings.Join(parts, "<br>")
}
