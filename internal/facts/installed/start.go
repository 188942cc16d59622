package installed

import (
	"encoding/json"
	"errors"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"gatehouse/internal/advisory"
	"gatehouse/internal/statefile"
)

// errNoCommand says that a package cannot be started without its launcher.
var errNoCommand = errors.New("the package that is here has no command that could be started without its launcher")

// Start is the command that starts what was found, without a launcher that might fetch
// something. The name is that of one of its commands; empty for the one that is named like
// the package, or the only one.
func (f Found) Start(name string) ([]string, error) {
	switch f.Ecosystem {
	case advisory.NPM:
		return f.startNode(name)
	case advisory.PyPI:
		return f.startPython(name)
	}
	return nil, errNoCommand
}

func (f Found) startNode(name string) ([]string, error) {
	var m struct {
		Bin json.RawMessage `json:"bin"`
	}
	if err := readJSON(filepath.Join(f.Place, "package.json"), maxManifest, &m); err != nil {
		return nil, err
	}
	own := path.Base(f.Name)
	bins := map[string]string{}
	var single string
	if json.Unmarshal(m.Bin, &single) == nil {
		bins[own] = single
	} else if json.Unmarshal(m.Bin, &bins) != nil {
		return nil, errNoCommand
	}
	file := choose(bins, name, own)
	if file == "" || !filepath.IsLocal(filepath.FromSlash(path.Clean(file))) {
		return nil, errNoCommand
	}
	return []string{"node", filepath.Join(f.Place, filepath.FromSlash(path.Clean(file)))}, nil
}

var consoleScript = regexp.MustCompile(`(?m)^([A-Za-z0-9._-]+)\s*=\s*[A-Za-z0-9_.]+:`)

func (f Found) startPython(name string) ([]string, error) {
	points, err := statefile.Read(filepath.Join(f.Place, "entry_points.txt"), maxManifest)
	if err != nil {
		return nil, errNoCommand
	}
	_, scripts, _ := strings.Cut(string(points), "[console_scripts]")
	scripts, _, _ = strings.Cut(scripts, "\n[")
	bins := map[string]string{}
	for _, m := range consoleScript.FindAllStringSubmatch(scripts, -1) {
		bins[m[1]] = m[1]
	}
	// …/lib/python3.12/site-packages/NAME.dist-info
	root := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(f.Place))))
	file := filepath.Join(root, "bin", choose(bins, name, f.Name))
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil, errNoCommand
	}
	return []string{file}, nil
}

// choose picks a command as launchers do.
func choose(bins map[string]string, name, own string) string {
	if name != "" {
		return bins[name]
	}
	if file := bins[own]; file != "" {
		return file
	}
	if len(bins) == 1 {
		for _, file := range bins {
			return file
		}
	}
	return ""
}
