// Package temporaryplace finds programs that stand in folders for temporary files, or
// among downloads.
package temporaryplace

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "temporary-place",
	Title:      "A server runs from a folder that others can fill",
	Severity:   rule.High,
	References: []string{"CWE-379: Creation of Temporary File in Directory with Insecure Permissions", "CWE-427: Uncontrolled Search Path Element"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	home := scene.Homes()
	for s, e := range scene.Running() {
		for _, p := range places(e) {
			severity, what := judge(inventory.Place(p.path, home(e.File)))
			if what == "" {
				continue
			}
			why := fmt.Sprintf("%s is %s, %s", p.what, config.RedactValue("", p.path), what)
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, "move it to a folder that only you can write, and start it there", s.ID, p.what, p.path))
		}
	}
	return r
}

type place struct{ what, path string }

// places are where the code of an entry is from.
func places(e client.Entry) (out []place) {
	if len(e.Words) == 0 {
		return nil
	}
	out = append(out, place{"its program", e.Words[0]}, place{"the folder in which it is started", e.Dir})
	source := inventory.Of(e)
	if source.Kind == inventory.Script || source.Kind == inventory.Binary {
		if source.Package != e.Words[0] {
			out = append(out, place{"its program", source.Package})
		}
		for _, w := range inventory.Launching(e) {
			if slices.Contains([]string{"--directory", "--project", "--cwd", "--prefix", "-C"}, w.Option) {
				out = append(out, place{"the folder of its program", w.Value})
			}
		}
	}
	for _, v := range inventory.Environment(e) {
		if slices.Contains([]string{"PATH", "PYTHONPATH", "NODE_PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}, v.Name) {
			for _, folder := range strings.FieldsFunc(string(v.Raw), func(r rune) bool { return r == ':' || r == ';' }) {
				out = append(out, place{"a folder in the variable " + v.Name, folder})
			}
		}
	}
	return out
}

// temporary are folders that everybody may fill, or that programs fill with what they
// fetched.
var temporary = regexp.MustCompile(`(?i)^(?:/tmp|/var/tmp|/dev/shm|/private/tmp|/private/var/tmp|[a-z]:/windows/temp|[a-z]:/temp|/users/shared|[a-z]:/users/public|%temp%|%tmp%|\$tmpdir|\$\{tmpdir\}|\$env:temp|~/appdata/local/temp)(?:/|$)`)

var downloads = regexp.MustCompile(`(?i)^~/downloads(?:/|$)`)

func judge(path string) (rule.Severity, string) {
	switch {
	case temporary.MatchString(path):
		return rule.Unrated, "which everybody on this machine, and every program that fetches something, can fill"
	case downloads.MatchString(path):
		return rule.Medium, "where everything lands that a browser fetches"
	}
	return rule.Unrated, ""
}
