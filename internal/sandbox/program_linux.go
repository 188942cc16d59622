//go:build amd64 || arm64

package sandbox

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// maxInterpreters bounds the chain of scripts whose interpreters are scripts, as
// the kernel does.
const maxInterpreters = 4

// commandLine finds the program of a command, everything it is made of, and how it
// is started. A script is started by its interpreter, so that no env and no shell
// is needed to find it.
func (p *plan) commandLine(c Command) error {
	path, err := lookUp(c.Args[0], c.Dir, c.Env)
	if err != nil {
		return err
	}
	args := append([]string{path}, c.Args[1:]...)
	for range maxInterpreters {
		words, err := interpreter(args[0])
		if err != nil {
			return err
		}
		if words == nil {
			return p.binary(args, c)
		}
		if words[0], err = lookUp(words[0], c.Dir, c.Env); err != nil {
			return fmt.Errorf("the interpreter of %s: %w", args[0], err)
		}
		if err := p.grant(args[0], mount{}); err != nil {
			return err
		}
		args = append(words, args...)
	}
	return fmt.Errorf("%s is a script of a script, more than %d times", c.Args[0], maxInterpreters)
}

// lookUp finds a program as a shell would.
func lookUp(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return exec.LookPath(name)
	}
	for _, variable := range env {
		key, value, _ := strings.Cut(variable, "=")
		if key != "PATH" {
			continue
		}
		for _, folder := range filepath.SplitList(value) {
			if !filepath.IsAbs(folder) {
				continue
			}
			if found, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
				return found, nil
			}
		}
	}
	return "", fmt.Errorf("the program %s is not found", name)
}

// maxFirstLine is how much of a script the kernel reads for its interpreter.
const maxFirstLine = 256

// interpreter is the command in the first line of a script; nil for a program that
// is none.
func interpreter(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxFirstLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	rest, script := strings.CutPrefix(line, "#!")
	if !script {
		return nil, nil
	}
	words := strings.Fields(rest)
	if len(words) > 0 && filepath.Base(words[0]) == "env" {
		words = words[1:]
		if len(words) > 0 && words[0] == "-S" {
			words = words[1:]
		}
	}
	if len(words) == 0 || strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=") {
		return nil, fmt.Errorf("%s does not say clearly which interpreter it wants", path)
	}
	return words, nil
}

// binary plans a program that the kernel starts by itself.
func (p *plan) binary(args []string, c Command) error {
	p.program, p.args = args[0], args
	if err := p.executable(args[0], mount{Exec: true}); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(args[0])
	if err != nil {
		return err
	}
	switch name := filepath.Base(real); {
	case nodeName.MatchString(name):
		return p.node(args, c)
	case pythonName.MatchString(name):
		return p.python(args, real, c)
	}
	return nil
}

var (
	nodeName   = regexp.MustCompile(`^(node|nodejs|bun|deno)[0-9.]*$`)
	pythonName = regexp.MustCompile(`^(python|pypy)[0-9.]*$`)
)

// executable shows a program with the libraries that it names, and the interpreters of
// a script. A folder shows all programs in it, with the libraries of the machine.
func (p *plan) executable(path string, how mount) error {
	for range maxInterpreters {
		next, err := p.executableItself(path, how)
		if err != nil || next == "" {
			return err
		}
		path, how = next, mount{Exec: true}
	}
	return fmt.Errorf("%s is the interpreter of a script of a script, more than %d times", path, maxInterpreters)
}

// executableItself shows a program, and returns the interpreter that it needs; "" if it
// needs none.
func (p *plan) executableItself(path string, how mount) (next string, err error) {
	if err := p.grant(path, how); err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		p.libraryFolders()
		return "", nil
	}
	words, err := interpreter(path)
	switch {
	case err != nil:
		return "", err
	case words == nil:
		return "", p.libraries(path)
	}
	return lookUp(words[0], "/", []string{"PATH=/usr/local/bin:/usr/bin:/bin"})
}

// maxLibraries bounds the libraries of one program; a browser has about a hundred.
const maxLibraries = 1000

// libraries shows the loader of a program, the libraries that it names, and those
// that they name.
func (p *plan) libraries(program string) error {
	loader, err := loaderOf(program)
	if err != nil || loader == "" {
		return err // a static program needs nothing
	}
	if err := p.grant(loader, mount{Exec: true}); err != nil {
		return err
	}
	cache := readLoaderCache()
	_ = p.grant("/etc/ld.so.cache", mount{})
	seen := map[string]bool{}
	var first []string // folders that the program itself names hold for its libraries too
	for next := []string{program}; len(next) > 0; next = next[1:] {
		names, folders, err := needs(next[0])
		if err != nil {
			return err
		}
		if next[0] == program {
			first = folders
		}
		for _, name := range names {
			path := findLibrary(name, append(folders, first...), cache)
			if path == "" || seen[path] {
				continue // the loader will say so, if it really is needed
			}
			if seen[path] = true; len(seen) > maxLibraries {
				return fmt.Errorf("%s needs more than %d libraries", program, maxLibraries)
			}
			if err := p.grant(path, mount{}); err != nil {
				return err
			}
			next = append(next, path)
		}
	}
	// The C library loads it by name when a thread is ended.
	if path := findLibrary("libgcc_s.so.1", nil, cache); path != "" {
		return p.grant(path, mount{})
	}
	return nil
}

// loaderOf is the loader that a program names; "" for a static one.
func loaderOf(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s is neither a program nor a script: %w", path, err)
	}
	defer f.Close()
	for _, part := range f.Progs {
		if part.Type == elf.PT_INTERP && part.Filesz < 4096 {
			text, err := io.ReadAll(part.Open())
			return string(bytes.TrimRight(text, "\x00")), err
		}
	}
	return "", nil
}

// needs are the libraries that a program names, and the folders in which it wants
// them looked for first.
func needs(path string) (names, folders []string, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if names, err = dynamic(f, elf.DT_NEEDED); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		lists, err := dynamic(f, tag)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, list := range lists {
			for _, folder := range strings.Split(list, ":") {
				origin := filepath.Dir(path)
				folder = strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(folder)
				if filepath.IsAbs(folder) {
					folders = append(folders, folder)
				}
			}
		}
	}
	return names, folders, nil
}

// maxDynamic bounds one text of a program's dynamic section, which is a list of paths.
const maxDynamic = 64 << 10

// dynamic are the texts of a tag. DynString of debug/elf reads the table of all texts
// for each tag, which takes long with programs that export much, such as Node.
func dynamic(f *elf.File, tag elf.DynTag) ([]string, error) {
	offsets, err := f.DynValue(tag)
	section := f.SectionByType(elf.SHT_DYNAMIC)
	if err != nil || len(offsets) == 0 || section == nil {
		return nil, err
	}
	if int(section.Link) >= len(f.Sections) || f.Sections[section.Link].ReaderAt == nil {
		return nil, errors.New("its dynamic section has no table of texts")
	}
	var out []string
	for _, offset := range offsets {
		table := io.NewSectionReader(f.Sections[section.Link], int64(offset), maxDynamic)
		text, err := bufio.NewReaderSize(table, 256).ReadString(0)
		if err != nil {
			return nil, fmt.Errorf("reading its dynamic section: %w", err)
		}
		out = append(out, strings.TrimSuffix(text, "\x00"))
	}
	return out, nil
}

// libraryPlaces are where loaders look when nothing else says where.
func libraryPlaces() []string {
	return []string{"/lib/" + triplet, "/usr/lib/" + triplet, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}
}

func findLibrary(name string, folders []string, cache map[string]string) string {
	if filepath.IsAbs(name) {
		return name
	}
	for _, folder := range folders {
		if path := filepath.Join(folder, name); isFile(path) {
			return path
		}
	}
	if path := cache[name]; path != "" && isFile(path) {
		return path
	}
	for _, folder := range libraryPlaces() {
		if path := filepath.Join(folder, name); isFile(path) {
			return path
		}
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// libraryFolders shows the libraries of the machine, for programs that load more
// than they name.
func (p *plan) libraryFolders() {
	for _, folder := range libraryPlaces()[:4] {
		_ = p.grant(folder, mount{}) // not every machine has all of them
	}
	if loader, err := loaderOf("/proc/self/exe"); err == nil && loader != "" {
		_ = p.grant(loader, mount{Exec: true})
	}
	_ = p.grant("/etc/ld.so.cache", mount{})
}

// script is the first argument that names a file.
func script(args []string, dir string) string {
	for _, arg := range args[1:] {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(dir, arg)
		}
		if isFile(arg) {
			return arg
		}
		return ""
	}
	return ""
}

// node shows the packages that a script of Node belongs to: the outermost
// node_modules that it lies in, or the folder with its package.json.
func (p *plan) node(args []string, c Command) error {
	path := script(args, c.Dir)
	if path == "" {
		return nil
	}
	if err := p.grant(path, mount{}); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if before, _, inside := strings.Cut(real, "/node_modules/"); inside {
		if err := p.grant(before+"/node_modules", mount{}); err != nil {
			return err
		}
		if manifest := before + "/package.json"; isFile(manifest) {
			return p.grant(manifest, mount{})
		}
		return nil
	}
	for folder := filepath.Dir(real); folder != "/"; folder = filepath.Dir(folder) {
		if isFile(filepath.Join(folder, "package.json")) {
			return p.grant(folder, mount{})
		}
	}
	return nil
}

// python shows the standard library, the virtual environment that the interpreter
// belongs to, and the libraries that its modules load.
func (p *plan) python(args []string, real string, c Command) error {
	prefix := filepath.Dir(filepath.Dir(real))
	found, _ := filepath.Glob(filepath.Join(prefix, "lib", "python3*")) // the pattern is well-formed
	for _, folder := range found {
		found = append(found, filepath.Join("/usr/local/lib", filepath.Base(folder))) // what was installed beside the packages of a distribution
	}
	found = append(found, "/usr/lib/python3")
	for _, folder := range found {
		if _, err := os.Stat(folder); err == nil {
			if err := p.grant(folder, mount{}); err != nil {
				return err
			}
		}
	}
	p.libraryFolders()
	own := filepath.Dir(filepath.Dir(args[0]))
	if isFile(filepath.Join(own, "pyvenv.cfg")) {
		if err := p.grant(own, mount{}); err != nil {
			return err
		}
	}
	path := script(args, c.Dir)
	if path == "" || slices.Contains(args, "-m") {
		return nil
	}
	return p.grant(path, mount{})
}
