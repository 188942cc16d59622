package protect

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gatehouse/internal/inventory"
	"gatehouse/internal/statefile"
)

// Installed finds the version of a package that its launcher would start now without
// asking a registry: in the caches of npx and uvx, and where npm, uv and pipx install
// programs. It starts nothing.
type Installed struct {
	Home   string
	Getenv func(string) string
}

// Version answers for npm and PyPI; "" where nothing is found.
func (i Installed) Version(s inventory.Source) (version, from string) {
	switch s.Kind {
	case inventory.NPM:
		return i.newest(i.npm(s.Package), npmVersion)
	case inventory.PyPI:
		return i.newest(i.python(s.Package), pythonVersion)
	}
	return "", ""
}

func (i Installed) env(name, otherwise string) string {
	if i.Getenv != nil {
		if value := i.Getenv(name); filepath.IsAbs(value) {
			return value
		}
	}
	return otherwise
}

// group is a set of patterns of which the most recently installed counts. Earlier groups
// count before later ones.
type group struct {
	patterns []string
	from     string
}

// npm: npx takes what is installed globally before its own cache.
func (i Installed) npm(name string) []group {
	below := filepath.Join("node_modules", filepath.FromSlash(name), "package.json")
	cache := i.env("npm_config_cache", filepath.Join(i.Home, ".npm"))
	return []group{
		{[]string{
			filepath.Join(i.Home, ".nvm", "versions", "node", "*", "lib", below), filepath.Join(i.Home, ".npm-global", "lib", below),
			filepath.Join("/usr/local/lib", below), filepath.Join("/opt/homebrew/lib", below), filepath.Join("/usr/lib", below),
			filepath.Join(i.env("APPDATA", filepath.Join(i.Home, "AppData", "Roaming")), "npm", below),
		}, "installed by npm"},
		{[]string{
			filepath.Join(cache, "_npx", "*", below),
			filepath.Join(i.env("LOCALAPPDATA", filepath.Join(i.Home, "AppData", "Local")), "npm-cache", "_npx", "*", below),
		}, "in the cache of npx"},
	}
}

// python: tools that were installed count before what uvx and pipx keep for a while.
func (i Installed) python(name string) []group {
	// PEP 503 and the binary distribution format: in the name of the folder, - . _ are all _.
	info := pattern(strings.ReplaceAll(name, "-", "_")) + "-*.dist-info"
	data := i.env("XDG_DATA_HOME", filepath.Join(i.Home, ".local", "share"))
	cache := i.env("XDG_CACHE_HOME", filepath.Join(i.Home, ".cache"))
	site := filepath.Join("lib", "python3*", "site-packages", info)
	return []group{
		{[]string{
			filepath.Join(data, "uv", "tools", "*", site), filepath.Join(data, "pipx", "venvs", "*", site), filepath.Join(i.Home, ".local", "pipx", "venvs", "*", site),
		}, "installed as a tool"},
		{[]string{
			filepath.Join(i.env("UV_CACHE_DIR", filepath.Join(cache, "uv")), "archive-v0", "*", info),
			filepath.Join(i.env("UV_CACHE_DIR", filepath.Join(cache, "uv")), "archive-v0", "*", site),
			filepath.Join(i.env("LOCALAPPDATA", filepath.Join(i.Home, "AppData", "Local")), "uv", "cache", "archive-v0", "*", info),
		}, "in the cache of uv"},
	}
}

// pattern matches a name in whatever case it is written.
func pattern(name string) string {
	var out strings.Builder
	for _, r := range name {
		if r >= 'a' && r <= 'z' {
			out.WriteString("[" + string(r) + strings.ToUpper(string(r)) + "]")
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

func (i Installed) newest(groups []group, read func(path string) string) (version, from string) {
	for _, g := range groups {
		var last time.Time
		for _, p := range g.patterns {
			found, _ := filepath.Glob(p) // the error is for patterns, which are ours
			for _, name := range found {
				info, err := os.Stat(name)
				if err != nil || !info.ModTime().After(last) {
					continue
				}
				if v := read(name); v != "" {
					version, from, last = v, g.from, info.ModTime()
				}
			}
		}
		if version != "" {
			return version, from
		}
	}
	return "", ""
}

// maxManifest bounds a package.json.
const maxManifest = 1 << 20

// versionForm keeps what somebody else's file says from becoming part of a command
// unless it is a version.
var versionForm = regexp.MustCompile(`^[0-9]+(\.[0-9A-Za-z]+)+([-+.][0-9A-Za-z.+-]+)?$`)

func npmVersion(path string) string {
	raw, err := statefile.Read(path, maxManifest)
	if err != nil {
		return ""
	}
	var manifest struct{ Version string }
	if json.Unmarshal(raw, &manifest) != nil || !versionForm.MatchString(manifest.Version) {
		return ""
	}
	return manifest.Version
}

func pythonVersion(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".dist-info")
	_, version, _ := strings.Cut(name, "-")
	if !versionForm.MatchString(version) {
		return ""
	}
	return version
}
