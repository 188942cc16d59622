// Package gatehouse_test checks what a reader of this repository relies on and
// no compiler sees: which way imports point, that every package and every rule is
// described, and that nothing of one person's machine got in.
package gatehouse_test

import (
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

	"gatehouse/internal/decision"
)

const module = "gatehouse/"

// layers orders the packages of the product, lowest first. A package may import
// those in lower layers. "rules/*" stands for the rooms.
var layers = [][]string{
	{"internal/rooms/roomtest"},
	{"internal/wire", "internal/rule", "internal/rule/*", "internal/command", "internal/finding", "internal/decision", "internal/egress/handover", "internal/profile", "internal/rooms"},
	{"internal/statefile"},
	{"internal/secret"},
	{"internal/argument", "internal/rules/*"},
	{"internal/arguments/*", "internal/rules"},
	{"internal/arguments"},
	{"internal/approval", "internal/audit", "internal/config", "internal/egress", "internal/egress/inside", "internal/inspect", "internal/sandbox", "internal/schema", "internal/upstream"},
	{"internal/advisory", "internal/client", "internal/container", "internal/evaluate", "internal/identity", "internal/install", "internal/oauth", "internal/sandbox/begin"},
	{"internal/client/*", "internal/clients/*", "internal/halt", "internal/inventory", "internal/limit", "internal/policy"},
	{"internal/clients", "internal/check", "internal/credential"},
	{"internal/check/*", "internal/checks/*", "internal/protect", "internal/facts/installed"},
	{"internal/facts/connect", "internal/facts/listening", "internal/facts/registry", "internal/facts/usage"},
	{"internal/checks", "internal/facts"},
	{"internal/report"},
	{"internal/report/*"},
	{"internal/checklist", "internal/gateway"},
	{"internal/downstream", "internal/demo"},
	{"internal/cli", "internal/checks/gen", "internal/clients/gen", "internal/rules/gen"},
	{"cmd/*"},
}

// sideways are the imports within one layer, each with the reason for it.
var sideways = map[string]string{
	"internal/finding → internal/rule":  "a finding carries the severity that the rule gave it",
	"internal/rule/* → internal/rule":   "the wording and the tests of rules are made of its vocabulary",
	"internal/rule/* → internal/rule/*": "the tests of rules read their samples",
	"internal/rule → internal/rule/*":   "a text is decoded once for all rules",
}

// forbidden are imports that the layers would allow, each with the reason why
// not.
var forbidden = map[string]string{
	"internal/rules/* → internal/wire":     "a rule reads text, never messages",
	"internal/rules/* → internal/finding":  "detecting is not deciding: a rule makes matches",
	"internal/rules/* → internal/decision": "detecting is not deciding: a rule makes matches",
	"internal/oauth → internal/upstream":   "credentials wrap any transport and know none",
	"internal/upstream → internal/rule":    "a transport carries messages and does not judge them",
	"internal/downstream → internal/rule":  "a transport carries messages and does not judge them",
	"internal/gateway → internal/client":   "what a client's file says is no business of the gateway",
	"internal/gateway → internal/clients":  "what a client's file says is no business of the gateway",
	"internal/install → internal/config":   "an installer is told what to fetch and reads no files of ours",
	"internal/sandbox → internal/config":   "a sandbox is told what to hold and reads no files of ours",
	"cmd/* → internal/gateway":             "main starts the command line and nothing else",
	"cmd/* → internal/config":              "main starts the command line and nothing else",
}

// standardOnly are the packages that must stay readable, testable and movable by
// themselves.
var standardOnly = map[string]string{
	"internal/wire":     "the reader of outside bytes trusts nobody else's code",
	"internal/rule":     "vocabulary",
	"internal/finding":  "vocabulary",
	"internal/decision": "vocabulary",
	"internal/profile":  "vocabulary",
	"internal/command":  "vocabulary",
	"internal/rules/*":  "a rule is one folder that can be read by itself",
}

// strictOnly are the packages that see outside messages. encoding/json takes
// duplicate keys, keys in another case and invalid UTF-8, so what it reads may be
// something else than what the server or the client reads: only wire decodes.
var strictOnly = []string{"internal/gateway", "internal/downstream", "internal/upstream", "internal/inspect"}

// laxDecoding are the ways of encoding/json to read.
var laxDecoding = []string{"Unmarshal", "NewDecoder", "Decoder"}

// maxFileBytes keeps binaries and recordings out of the repository.
const maxFileBytes = 2 << 20

// goFile is one parsed file of the product.
type goFile struct {
	path  string // slash-separated, from the root
	group string // the folder, with rooms, commands and rule helpers as "*"
	tree  *ast.File
}

func (f goFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f goFile) imports() []string {
	var list []string
	for _, spec := range f.tree.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			list = append(list, name)
		}
	}
	return list
}

// group is the name under which the tables above speak of a folder.
func group(folder string) string {
	if slices.Contains([]string{"internal/rules/gen", "internal/clients/gen", "internal/checks/gen"}, folder) {
		return folder // writes the list of the rooms; not a room
	}
	for _, parent := range []string{"internal/rules", "internal/rule", "internal/arguments", "internal/clients", "internal/client", "internal/checks", "internal/check", "internal/report", "cmd"} {
		if strings.HasPrefix(folder, parent+"/") {
			return parent + "/*"
		}
	}
	return folder
}

// skipped are folders that git ignores or that hold no source of ours.
var skipped = []string{".git", ".gatehouse", "node_modules", ".tools", "bin", "out", "workspace"}

// sourceFiles lists every file of the checkout that is, or may become, part of
// the repository.
func sourceFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(skipped, entry.Name()):
			return fs.SkipDir
		case entry.Name() == ".git": // a file that says where it is, in a working tree beside another
		case entry.Type().IsRegular():
			files = append(files, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	var list []goFile
	for _, name := range sourceFiles(t) {
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "/testdata/") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, goFile{path: name, group: group(path.Dir(name)), tree: tree})
	}
	return list
}

func layerOf(group string) (int, bool) {
	for i, layer := range layers {
		if slices.Contains(layer, group) {
			return i, true
		}
	}
	return 0, false
}

func TestImports_point_down(t *testing.T) {
	used := map[string]bool{}
	for _, file := range goFiles(t) {
		from, isProduct := layerOf(file.group)
		if !isProduct {
			if strings.HasPrefix(file.path, "internal/") || strings.HasPrefix(file.path, "cmd/") {
				t.Errorf("%s: %s has no place in the layers of repo_test.go", file.path, file.group)
			}
			continue
		}
		if file.isTest() {
			continue // a test may use whatever it needs
		}
		for _, imported := range file.imports() {
			folder, isOurs := strings.CutPrefix(imported, module)
			if !isOurs {
				continue
			}
			edge := file.group + " → " + group(folder)
			to, known := layerOf(group(folder))
			switch {
			case !known:
				t.Errorf("%s imports %s, which is not part of the product", file.path, imported)
			case forbidden[edge] != "":
				t.Errorf("%s imports %s: %s", file.path, imported, forbidden[edge])
			case to == from && sideways[edge] != "":
				used[edge] = true
			case to >= from:
				t.Errorf("%s imports %s, which does not lie in a lower layer", file.path, imported)
			}
		}
	}
	for edge := range sideways {
		if !used[edge] {
			t.Errorf("%s: no such import any more; take it from the list", edge)
		}
	}
}

func TestImports_vocabulary_and_rules_need_the_standard_library_only(t *testing.T) {
	for _, file := range goFiles(t) {
		reason := standardOnly[file.group]
		if reason == "" || file.isTest() {
			continue
		}
		for _, imported := range file.imports() {
			first, _, _ := strings.Cut(imported, "/")
			if strings.Contains(first, ".") {
				t.Errorf("%s imports %s: %s", file.path, imported, reason)
			}
		}
	}
}

func TestOutside_bytes_are_decoded_by_wire_only(t *testing.T) {
	for _, file := range goFiles(t) {
		if !slices.Contains(strictOnly, file.group) || file.isTest() || !slices.Contains(file.imports(), "encoding/json") {
			continue
		}
		ast.Inspect(file.tree, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if name, ok := selector.X.(*ast.Ident); ok && name.Name == "json" && slices.Contains(laxDecoding, selector.Sel.Name) {
				t.Errorf("%s uses json.%s; outside bytes are read by internal/wire", file.path, selector.Sel.Name)
			}
			return true
		})
		for _, spec := range file.tree.Imports {
			if spec.Name != nil && spec.Path.Value == `"encoding/json"` {
				t.Errorf("%s renames encoding/json, which hides it from this test", file.path)
			}
		}
	}
}

func TestPackages_say_what_they_are_for(t *testing.T) {
	described := map[string]bool{}
	for _, file := range goFiles(t) {
		folder := path.Dir(file.path)
		if file.isTest() {
			continue
		}
		described[folder] = described[folder] || strings.TrimSpace(file.tree.Doc.Text()) != ""
	}
	for folder, ok := range described {
		if !ok {
			t.Errorf("%s has no package comment", folder)
		}
	}
}

func TestRules_are_listed_and_documented(t *testing.T) {
	ids, listed := map[string]string{}, map[string]bool{}
	for _, file := range goFiles(t) {
		if file.isTest() {
			continue
		}
		switch file.group {
		case "internal/rules/*":
			if id := ruleID(file.tree); id != "" {
				ids[path.Dir(file.path)] = id
			}
		case "internal/rules":
			for _, imported := range file.imports() {
				listed[strings.TrimPrefix(imported, module)] = true
			}
		}
	}
	if len(ids) == 0 {
		t.Fatal("found no rules")
	}
	for folder, id := range ids {
		if want := strings.ReplaceAll(id, "-", ""); path.Base(folder) != want {
			t.Errorf("rule %s stands in %s, want a folder named %s", id, folder, want)
		}
		if !listed[folder] {
			t.Errorf("rule %s is not in rules.All", id)
		}
		if _, err := os.Stat(filepath.Join("docs", "rules", id+".md")); err != nil {
			t.Errorf("rule %s is not documented: %v", id, err)
		}
	}
}

// ruleID finds the ID of the rule.Rule that a file defines.
func ruleID(tree *ast.File) (id string) {
	ast.Inspect(tree, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok || !isRuleType(literal.Type) {
			return true
		}
		for _, element := range literal.Elts {
			pair, ok := element.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			key, isName := pair.Key.(*ast.Ident)
			value, isText := pair.Value.(*ast.BasicLit)
			if isName && isText && key.Name == "ID" {
				id, _ = strconv.Unquote(value.Value)
			}
		}
		return true
	})
	return id
}

func isRuleType(expression ast.Expr) bool {
	selector, ok := expression.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	name, ok := selector.X.(*ast.Ident)
	return ok && name.Name == "rule" && selector.Sel.Name == "Rule"
}

func TestClients_are_listed(t *testing.T) { listed(t, "internal/clients") }

func TestChecks_are_listed(t *testing.T) { listed(t, "internal/checks") }

// listed checks that the folders below a package are all imported by it.
func listed(t *testing.T, parent string) {
	t.Helper()
	folders, listed := map[string]bool{}, map[string]bool{}
	for _, file := range goFiles(t) {
		switch {
		case file.isTest():
		case file.group == parent+"/*":
			folders[path.Dir(file.path)] = true
		case file.group == parent:
			for _, imported := range file.imports() {
				listed[strings.TrimPrefix(imported, module)] = true
			}
		}
	}
	if len(folders) == 0 {
		t.Fatalf("found nothing below %s", parent)
	}
	for folder := range folders {
		if !listed[folder] {
			t.Errorf("%s is not in the list of %s; go generate ./%s lists it", folder, parent, parent)
		}
	}
}

func TestReasons_are_documented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "reasons.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^### `([a-z-]+)`$").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = true
	}
	for _, reason := range decision.Reasons() {
		if !documented[string(reason)] {
			t.Errorf("docs/reasons.md has no entry for %s", reason)
		}
		delete(documented, string(reason))
	}
	for name := range documented {
		t.Errorf("docs/reasons.md describes %s, which is no reason", name)
	}
}

// machinePath is the beginning of a path that exists on one machine only. A
// harmless example in text that rules read is written with another user's home.
var machinePath = regexp.MustCompile(`(^|[^\w.~-])/(root|work)/`)

func TestFiles_hold_nothing_of_one_machine(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sourceFiles(t) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > maxFileBytes {
			t.Errorf("%s has %d bytes, want at most %d", name, info.Size(), maxFileBytes)
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if machinePath.MatchString(line) || strings.Contains(line, here+"/") {
				t.Errorf("%s:%d: an absolute path of one machine: %.120s", name, i+1, line)
			}
		}
	}
}

func TestNodeLocks_name_no_registry(t *testing.T) {
	for _, folder := range []string{"node", "node/holed", "wide", "clients"} {
		text, err := os.ReadFile(filepath.Join("test", folder, "package-lock.json"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"resolved"`) {
			t.Errorf(`the lock file in %s names a registry host; write it with "npm install --package-lock-only --omit-lockfile-registry-resolved"`, folder)
		}
		if !strings.Contains(string(text), `"integrity": "sha512-`) {
			t.Errorf("the lock file in %s has no digests", folder)
		}
	}
}
