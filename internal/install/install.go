// Package install puts the packages that servers are started from into the state of
// Gatehouse, once, and gives back the commands that start them from there. What npx
// and uvx do at every start is done apart from it: packages come from the registry
// that npm or pip is set up for, their scripts are not run, everything is digested,
// and the installer itself works in a sandbox that reaches the registry and writes
// into one new folder. At a start nothing is fetched, and what was changed since does
// not start.
package install

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/command"
	"gatehouse/internal/statefile"
)

// Store is where packages are installed: a folder of the state. Each package has a
// folder of its own that never changes; a record says which one a request means.
type Store struct{ Dir string }

// InState is the store of a state folder.
func InState(state string) Store { return Store{filepath.Join(state, "packages")} }

// Record says what is installed for a request.
type Record struct {
	Schema  int          `json:"schema"`
	Kind    command.Kind `json:"kind"`
	Request []string     `json:"request"` // as the command names the packages
	Python  string       `json:"python,omitempty"`

	Package   string    `json:"package"`
	Version   string    `json:"version"`
	Integrity string    `json:"integrity"` // of the package's archive, as the registry gave it and the installer checked it
	Registry  string    `json:"registry"`
	Installed time.Time `json:"installed"`
	Installer string    `json:"installer"` // the program and its version

	Packages int      `json:"packages"`          // installed together
	Scripts  []string `json:"scripts,omitempty"` // packages that wanted to run a script, which was not run
	Lock     string   `json:"lock"`              // digest of the file with the integrity of each package
	Tree     string   `json:"tree"`              // digest of every file
	Files    int      `json:"files"`
	Bytes    int64    `json:"bytes"`

	Folder      string            `json:"folder"`            // below the store
	Interpreter string            `json:"interpreter"`       // absolute
	Programs    map[string]string `json:"programs"`          // paths below Folder, by name
	Program     string            `json:"program,omitempty"` // the one that starts if none is named
}

// Schema is the version of a record's form.
const schema = 1

// Errors that callers tell apart.
var (
	// ErrNotInstalled says that nothing is installed for a request.
	ErrNotInstalled = errors.New("its package is not installed")
	// ErrChanged says that what was installed is not there any more as it was.
	ErrChanged = errors.New("its package was changed since it was installed")
)

// key names the record of a request.
func key(r command.Request) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{string(r.Kind), r.Python}, r.Specs...), "\x00")))
	return hex.EncodeToString(sum[:16])
}

const (
	recordsFolder = "records"
	// maxRecord bounds a record. Its longest part are the names of programs.
	maxRecord = 1 << 20
)

func (s Store) recordPath(r command.Request) string {
	return filepath.Join(s.Dir, recordsFolder, key(r)+".json")
}

// Find is what is installed for a request, or ErrNotInstalled.
func (s Store) Find(r command.Request) (Record, error) {
	rec, err := readRecord(s.recordPath(r))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Record{}, fmt.Errorf("%w: %s", ErrNotInstalled, r)
	case err != nil:
		return Record{}, fmt.Errorf("reading what is installed for %s: %w", r, err)
	case rec.Kind != r.Kind || !slices.Equal(rec.Request, r.Specs) || rec.Python != r.Python:
		return Record{}, fmt.Errorf("%w: the record of %s is about %s", ErrChanged, r, rec.Package)
	}
	return rec, nil
}

func readRecord(path string) (Record, error) {
	raw, err := statefile.Read(path, maxRecord)
	if err != nil {
		return Record{}, err
	}
	var rec Record
	if err := json.Unmarshal(raw, &rec); err != nil {
		return Record{}, err
	}
	if rec.Schema != schema {
		return Record{}, fmt.Errorf("it has the form %d, expected %d", rec.Schema, schema)
	}
	if !filepath.IsLocal(rec.Folder) {
		return Record{}, fmt.Errorf("%w: its folder lies elsewhere", ErrChanged)
	}
	for _, path := range rec.Programs {
		if !filepath.IsLocal(path) {
			return Record{}, fmt.Errorf("%w: its programs lie elsewhere", ErrChanged)
		}
	}
	return rec, nil
}

// List is everything that is installed, by package.
func (s Store) List() ([]Record, error) {
	found, err := os.ReadDir(filepath.Join(s.Dir, recordsFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Record
	for _, entry := range found {
		if filepath.Ext(entry.Name()) != ".json" {
			continue
		}
		rec, err := readRecord(filepath.Join(s.Dir, recordsFolder, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", entry.Name(), err)
		}
		all = append(all, rec)
	}
	slices.SortFunc(all, func(a, b Record) int {
		return strings.Compare(a.Package+"\x00"+a.Version, b.Package+"\x00"+b.Version)
	})
	return all, nil
}

// Advice is the command that installs what a request means.
func (s Store) Advice(r command.Request) string {
	words := []string{"gatehouse", "install", "--state", filepath.Dir(s.Dir)}
	if len(r.Specs) == 1 && r.Python == "" {
		return strings.Join(append(words, r.String()), " ")
	}
	words = append(words, "--", "npx")
	option := "--package"
	if r.Kind == command.PyPI {
		words[len(words)-1], option = "uvx", "--with"
		if r.Python != "" {
			words = append(words, "--python", r.Python)
		}
		words = append(words, "--from", r.Specs[0])
	}
	for i, spec := range r.Specs {
		if i > 0 || r.Kind == command.NPM {
			words = append(words, option, "'"+spec+"'")
		}
	}
	return strings.Join(append(words, cmp.Or(r.Program, r.Name())), " ")
}

// Path is where the package of a record lies, absolute.
func (s Store) Path(rec Record) string { return filepath.Join(s.Dir, filepath.FromSlash(rec.Folder)) }

// Verify reports whether everything is there as it was installed.
func (s Store) Verify(rec Record) error {
	now, err := measure(s.Path(rec), rec.Kind)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	if now.digest != rec.Tree {
		return fmt.Errorf("%w: the files of %s %s in %s are not those that were installed", ErrChanged, rec.Package, rec.Version, s.Path(rec))
	}
	return nil
}

// verified are the folders that this process has compared with their records, by path:
// the digest of the tree, and the stamp that it had then.
var verified sync.Map // path → [2]string

// unchanged is Verify, but reads files only if anything shows that they were changed
// since this process last read them.
func (s Store) unchanged(rec Record) error {
	folder := s.Path(rec)
	before := stampOf(folder)
	if known, seen := verified.Load(folder); seen && before != "" && known == [2]string{rec.Tree, before} {
		return nil
	}
	if err := s.Verify(rec); err != nil {
		return err
	}
	if before != "" && stampOf(folder) == before {
		verified.Store(folder, [2]string{rec.Tree, before})
	}
	return nil
}

// Start is how a server starts from what is installed.
type Start struct {
	Record
	Command []string // program and arguments
	Folder  string   // which it must be able to read, absolute
}

// Start checks what is installed for a request and says how it starts. Nothing is
// fetched.
func (s Store) Start(r command.Request) (Start, error) {
	rec, err := s.Find(r)
	if err != nil {
		return Start{}, err
	}
	if err := s.unchanged(rec); err != nil {
		return Start{}, err
	}
	program, err := rec.program(r.Program)
	if err != nil {
		return Start{}, err
	}
	folder := s.Path(rec)
	path := filepath.Join(folder, filepath.FromSlash(program))
	words := []string{path}
	script, err := rec.interpreted(path)
	if err != nil {
		return Start{}, err
	}
	if script {
		if _, err := os.Stat(rec.Interpreter); err != nil {
			return Start{}, fmt.Errorf("%s was installed for %s, which is gone; install it again", rec.Package, rec.Interpreter)
		}
		words = []string{rec.Interpreter, path}
		if rec.Kind == command.PyPI {
			words[0] = filepath.Join(folder, "bin", "python")
		}
	}
	return Start{Record: rec, Command: append(words, r.Args...), Folder: folder}, nil
}

// program is the path of a program of the package.
func (rec Record) program(name string) (string, error) {
	if name == "" {
		name = rec.Program
	}
	if path, there := rec.Programs[name]; there && name != "" {
		return path, nil
	}
	names := make([]string, 0, len(rec.Programs))
	for n := range rec.Programs {
		names = append(names, n)
	}
	slices.Sort(names)
	if name == "" {
		return "", fmt.Errorf("%s has no program of its own name; say which one starts, with --package or --from: it has %s", rec.Package, strings.Join(names, ", "))
	}
	return "", fmt.Errorf("%s has no program %q, only %s", rec.Package, name, strings.Join(names, ", "))
}

// maxFirstLine is how much of a script the kernel reads for its interpreter.
const maxFirstLine = 256

// interpreted reports whether a program is a script for Node or Python. Anything else
// starts by itself.
func (rec Record) interpreted(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxFirstLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	wanted, other := "node", ".js.cjs.mjs"
	if rec.Kind == command.PyPI {
		wanted, other = "python", ".py"
	}
	if strings.HasPrefix(line, "#!") {
		return strings.Contains(line, wanted), nil
	}
	ext := filepath.Ext(path)
	return ext != "" && strings.Contains(other, ext), nil
}
