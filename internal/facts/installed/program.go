package installed

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/advisory"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/statefile"
)

// maxProgram bounds a program that is read whole. Those that carry a runtime of their own
// have a hundred megabytes.
const maxProgram = 512 << 20

// script is a file for an interpreter: it may be part of an installed package.
func (l Looker) script(e client.Entry, s inventory.Source) (Found, error) {
	if module, isModule := strings.CutPrefix(s.Package, "-m "); isModule {
		return fromModule(e, module)
	}
	file := l.full(e, s.Package)
	if file == "" {
		return Found{}, ErrNotInstalled
	}
	if found, err := l.enclosing(file); err == nil {
		return found, nil
	}
	return Found{}, ErrNotInstalled
}

// full is the path of a file that a command names, empty if it cannot be told.
func (l Looker) full(e client.Entry, name string) string {
	if rest, inHome := strings.CutPrefix(name, "~/"); inHome {
		name = filepath.Join(l.Home, rest)
	}
	switch {
	case filepath.IsAbs(name):
		return filepath.Clean(name)
	case dirOf(e) != "":
		return filepath.Join(dirOf(e), name)
	}
	return ""
}

// enclosing is the package that a file belongs to: the nearest package.json above it that
// names one.
func (l Looker) enclosing(file string) (Found, error) {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	for dir, i := filepath.Dir(file), 0; i < maxLevels; i++ {
		t := tree{dir: treeAround(dir), from: "the folder that the command names"}
		if found, err := fromPackage(dir, t); err == nil {
			return found, nil
		}
		up := filepath.Dir(dir)
		if up == dir || dir == l.Home || filepath.Base(dir) == "node_modules" {
			break
		}
		dir = up
	}
	return Found{}, ErrNotInstalled
}

// treeAround is the outermost folder whose node_modules holds dir, or dir.
func treeAround(dir string) string {
	before, _, inside := strings.Cut(filepath.ToSlash(dir)+"/", "/node_modules/")
	if inside {
		return filepath.FromSlash(before)
	}
	return dir
}

// fromModule is for python -m NAME, where the interpreter is that of an environment.
func fromModule(e client.Entry, module string) (Found, error) {
	i := slices.IndexFunc(e.Words, func(w string) bool {
		return filepath.IsAbs(w) && strings.HasPrefix(strings.ToLower(filepath.Base(w)), "python")
	})
	if i < 0 {
		return Found{}, ErrNotInstalled
	}
	top, _, _ := strings.Cut(module, ".")
	for _, where := range environment(e.Words[i]) {
		if found, err := fromSite(where, top); err == nil {
			return found, nil
		}
	}
	return Found{}, ErrNotInstalled
}

// environment is where an interpreter of a virtual environment finds packages.
func environment(interpreter string) []site {
	root := filepath.Dir(filepath.Dir(interpreter))
	if _, err := os.Stat(filepath.Join(root, "pyvenv.cfg")); err != nil {
		return nil
	}
	var out []site
	for _, pattern := range []string{filepath.Join(quoted(root), "lib", "python*", "site-packages"), filepath.Join(quoted(root), "Lib", "site-packages")} {
		for _, dir := range newest(pattern) {
			out = append(out, site{dir, "an environment of Python"})
		}
	}
	return out
}

// binary is a program: what made it may have left its name, and its bytes have a hash in
// any case.
func (l Looker) binary(e client.Entry, s inventory.Source) (Found, error) {
	file := s.Package
	if path.Base(filepath.ToSlash(file)) == file {
		file = l.inPath(file)
	} else {
		file = l.full(e, file)
	}
	if file == "" {
		return Found{}, ErrNotInstalled
	}
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return Found{}, ErrNotInstalled
	}
	info, err := os.Stat(real)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxProgram {
		return Found{}, ErrNotInstalled
	}
	if strings.Contains(filepath.ToSlash(real), "/node_modules/") {
		if found, err := l.enclosing(real); err == nil {
			return found, nil
		}
	}
	if found, err := ofEnvironment(file, real); err == nil {
		return found, nil
	}
	return fromProgram(real)
}

// inPath finds a program as a shell does. Nothing of it is run.
func (l Looker) inPath(name string) string {
	file, err := exec.LookPath(name)
	if err != nil || !filepath.IsAbs(file) {
		return ""
	}
	return file
}

// ofEnvironment is for the small script that pip, uv or pipx write for a command: its
// first line names the interpreter, and entry_points.txt of a package the command.
func ofEnvironment(file, real string) (Found, error) {
	f, err := os.Open(real)
	if err != nil {
		return Found{}, err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 1024)).ReadBytes('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("#!")) {
		return Found{}, ErrNotInstalled
	}
	interpreter := strings.TrimSpace(string(line[2:]))
	sites := environment(interpreter)
	if sites == nil {
		sites = environment(real) // the interpreter lies beside it
	}
	command := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(strings.TrimSuffix(filepath.Base(file), ".exe")) + `\s*=`)
	for _, where := range sites {
		for name, info := range infosOf(where.dir) {
			points, err := statefile.Read(filepath.Join(info, "entry_points.txt"), maxManifest)
			if err == nil && command.Match(points) {
				return fromSite(where, name)
			}
		}
	}
	return Found{}, ErrNotInstalled
}

func fromProgram(file string) (Found, error) {
	f, err := os.Open(file)
	if err != nil {
		return Found{}, ErrNotInstalled
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(f, maxProgram)); err != nil {
		return Found{}, err
	}
	found := Found{Place: file, From: "the program itself", SHA256: hex.EncodeToString(sum.Sum(nil)), ScriptsKnown: true}
	info, err := buildinfo.Read(f)
	if err != nil || info.Main.Path == "" {
		return found, nil
	}
	found.Ecosystem, found.Name, found.Version = advisory.Go, info.Main.Path, info.Main.Version
	if found.Version == "(devel)" {
		found.Version = ""
	}
	found.DependenciesKnown = len(info.Deps) <= maxDependencies
	for _, d := range info.Deps[:min(len(info.Deps), maxDependencies)] {
		if d.Replace != nil {
			d = d.Replace
		}
		found.Dependencies = append(found.Dependencies, Dependency{d.Path, d.Version})
	}
	return found, nil
}
