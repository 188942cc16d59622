package installed

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"deps.dev/util/semver"

	"gatehouse/internal/advisory"
	"gatehouse/internal/inventory"
	"gatehouse/internal/statefile"
)

// maxDistributions bounds the packages of one environment.
const maxDistributions = 5000

// site is a folder in which Python finds packages.
type site struct{ dir, from string }

// pypi looks into the environments that uv and pipx keep for tools, and into the cache of
// uv.
func (l Looker) pypi(s inventory.Source) (Found, error) {
	for _, where := range l.sites(s.Package) {
		found, err := fromSite(where, s.Package)
		if err == nil && fits(semver.PyPI, s, found.Version) {
			return found, nil
		}
	}
	return Found{}, ErrNotInstalled
}

func (l Looker) sites(name string) []site {
	var out []site
	add := func(from string, patterns ...string) {
		for _, p := range patterns {
			for _, dir := range newest(p) {
				out = append(out, site{dir, from})
			}
		}
	}
	data, cache := l.base("XDG_DATA_HOME", ".local/share"), l.base("XDG_CACHE_HOME", ".cache")
	tools := quoted(l.or("UV_TOOL_DIR", filepath.Join(data, "uv", "tools")))
	uv := quoted(l.or("UV_CACHE_DIR", filepath.Join(cache, "uv")))
	pipx := []string{quoted(l.or("PIPX_HOME", filepath.Join(data, "pipx"))), quoted(filepath.Join(l.Home, ".local", "pipx"))}
	if roaming := l.Getenv("APPDATA"); filepath.IsAbs(roaming) {
		add("the tools of uv", filepath.Join(quoted(roaming), "uv", "tools", quoted(name), "Lib", "site-packages"))
	}
	if local := l.Getenv("LOCALAPPDATA"); filepath.IsAbs(local) {
		add("the cache of uv", filepath.Join(quoted(local), "uv", "cache", "archive-v*", "*"))
	}
	if properName(name) {
		add("the tools of uv", filepath.Join(tools, quoted(name), "lib", "python*", "site-packages"))
		for _, dir := range pipx {
			add("pipx", filepath.Join(dir, "venvs", quoted(name), "lib", "python*", "site-packages"))
		}
	}
	add("the cache of uv", filepath.Join(uv, "archive-v*", "*", "lib", "python*", "site-packages"), filepath.Join(uv, "archive-v*", "*"))
	return out
}

func (l Looker) base(variable, below string) string {
	return l.or(variable, filepath.Join(l.Home, filepath.FromSlash(below)))
}

func (l Looker) or(variable, otherwise string) string {
	if dir := l.Getenv(variable); filepath.IsAbs(dir) {
		return dir
	}
	return otherwise
}

// distribution is one package of an environment.
type distribution struct {
	info          string // folder
	name, version string
	repository    string
	needs         []string
}

// fromSite reads a package in an environment and what it needs there.
func fromSite(where site, name string) (Found, error) {
	infos := infosOf(where.dir)
	info, there := infos[advisory.Name(advisory.PyPI, name)]
	if !there {
		return Found{}, ErrNotInstalled
	}
	d, err := readDistribution(info)
	if err != nil {
		return Found{}, err
	}
	f := Found{
		Ecosystem: advisory.PyPI, Name: advisory.Name(advisory.PyPI, d.name), Version: d.version, Place: info, From: where.from,
		Repository: d.repository, ScriptsKnown: true, DependenciesKnown: true,
	}
	f.addStarters(where.dir, d, "")
	seen, queue := map[string]bool{f.Name: true}, []distribution{d}
	for len(queue) > 0 && len(f.Dependencies) < maxDependencies {
		needs := queue[0].needs
		queue = queue[1:]
		for _, name := range needs {
			info, there := infos[name]
			if !there || seen[name] {
				continue // for other systems, or an extra
			}
			seen[name] = true
			d, err := readDistribution(info)
			if err != nil {
				f.ScriptsKnown, f.DependenciesKnown = false, false
				continue
			}
			queue = append(queue, d)
			f.Dependencies = append(f.Dependencies, Dependency{name, d.version})
			f.addStarters(where.dir, d, fmt.Sprintf("%s %s, which it depends on: ", name, d.version))
		}
	}
	if len(queue) > 0 {
		f.ScriptsKnown, f.DependenciesKnown = false, false
	}
	return f, nil
}

// infosOf lists the packages of an environment by name.
func infosOf(dir string) map[string]string {
	out := map[string]string{}
	folder, err := os.Open(dir)
	if err != nil {
		return out
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(maxDistributions)
	for _, entry := range names {
		if base, isInfo := strings.CutSuffix(entry, ".dist-info"); isInfo {
			if name, _, ok := strings.Cut(base, "-"); ok {
				out[advisory.Name(advisory.PyPI, name)] = filepath.Join(dir, entry)
			}
		}
	}
	return out
}

var requirement = regexp.MustCompile(`^\s*([A-Za-z0-9][A-Za-z0-9._-]*)`)

func readDistribution(info string) (distribution, error) {
	raw, err := statefile.Read(filepath.Join(info, "METADATA"), maxManifest)
	if err != nil {
		return distribution{}, err
	}
	// The headers of a mail, then the readme.
	head, _, _ := bytes.Cut(raw, []byte("\n\n"))
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(head, "\n\n"...)))).ReadMIMEHeader()
	d := distribution{info: info, name: header.Get("Name"), version: header.Get("Version"), repository: header.Get("Home-Page")}
	if d.name == "" || d.version == "" {
		return d, fmt.Errorf("%s names no package: %w", info, err)
	}
	for _, line := range header["Project-Url"] {
		label, url, _ := strings.Cut(line, ",")
		if label = strings.ToLower(strings.TrimSpace(label)); label == "repository" || label == "source" || label == "source code" {
			d.repository = strings.TrimSpace(url)
		}
	}
	for _, line := range header["Requires-Dist"] {
		what, condition, _ := strings.Cut(line, ";")
		if m := requirement.FindStringSubmatch(what); m != nil && !strings.Contains(condition, "extra ==") {
			d.needs = append(d.needs, advisory.Name(advisory.PyPI, m[1]))
		}
	}
	return d, nil
}

// addStarters notes files of a package that Python runs whenever it starts: lines of a
// .pth file that begin with import. Packaging tools have some of their own.
func (f *Found) addStarters(dir string, d distribution, whose string) {
	raw, err := statefile.Read(filepath.Join(d.info, "RECORD"), maxManifest)
	if err != nil {
		f.ScriptsKnown = false
		return
	}
	records := csv.NewReader(bytes.NewReader(raw))
	records.FieldsPerRecord = -1
	for {
		row, err := records.Read()
		if err != nil {
			f.ScriptsKnown = f.ScriptsKnown && errors.Is(err, io.EOF)
			return
		}
		name := row[0]
		if !strings.HasSuffix(name, ".pth") || strings.Contains(name, "/") || !filepath.IsLocal(name) || ordinaryStarters[name] == advisory.Name(advisory.PyPI, d.name) {
			continue
		}
		content, err := statefile.Read(filepath.Join(dir, name), maxManifest)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.ScriptsKnown = false
		}
		if startsCode.Match(content) {
			f.Scripts = append(f.Scripts, fmt.Sprintf("%s%s runs whenever Python starts", whose, name))
		}
	}
}

// ordinaryStarters are of packages that are known for them, and of no others: a name proves
// nothing.
var ordinaryStarters = map[string]string{
	"distutils-precedence.pth": "setuptools", "_virtualenv.pth": "virtualenv", "coverage.pth": "coverage", "a1_coverage.pth": "coverage", "pywin32.pth": "pywin32",
}

var startsCode = regexp.MustCompile(`(?m)^import[ \t]`)
