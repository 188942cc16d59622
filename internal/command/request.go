package command

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Request is what a command such as npx or uvx fetches and starts.
type Request struct {
	Kind Kind // NPM or PyPI
	// Specs are packages with versions, as npm or pip reads them. The first is the
	// server's; others come with it.
	Specs []string
	// Program is which of the package's programs starts; "" for the one that the
	// launcher would take.
	Program string
	Python  string // the version asked for, such as 3.12; "" for any
	Args    []string
}

// Launches reports whether a command fetches the package that it starts. An error
// says why that package cannot be installed apart from its start.
func Launches(words []string) (r Request, launches bool, err error) {
	p := parse(words)
	npm, pypi := slices.Contains(npmRunners, p.source.Launcher), slices.Contains(pypiRunners, p.source.Launcher)
	if !npm && !pypi || p.source.Launcher == "pnpm exec" || p.source.Kind == Script || p.source.Protected {
		return Request{}, false, nil // what it starts is there already, or another Gatehouse sees to it
	}
	r.Args = p.args
	switch {
	case len(p.source.Wrappers) > 0:
		return r, true, fmt.Errorf("it starts %s through %s; write %s itself as the command, and variables under env", p.source.Launcher, p.source.Wrappers[0], p.source.Launcher)
	case p.source.Kind == Git:
		return r, true, fmt.Errorf("%s would fetch a source that no registry keeps; install it yourself and write the program that it brings as the command", p.source.Launcher)
	case p.source.Kind == Shell:
		return r, true, fmt.Errorf("which package %s would start cannot be told", p.source.Launcher)
	case npm:
		err = r.npm(p)
	default:
		err = r.pypi(p)
	}
	return r, true, err
}

// NewRequest is the request for one package, such as npm:@scope/server@1.2.3 or
// pypi:server==1.2.3.
func NewRequest(reference string) (Request, error) {
	kind, spec, _ := strings.Cut(reference, ":")
	r := Request{Kind: Kind(kind)}
	var err error
	switch r.Kind {
	case NPM:
		err = r.add(spec, npmSpec)
	case PyPI:
		err = r.add(spec, pypiSpec)
	default:
		err = fmt.Errorf("%q: expected npm:NAME@VERSION or pypi:NAME==VERSION", reference)
	}
	return r, err
}

// String names the request for people, as NewRequest reads it where it is for one package.
func (r Request) String() string { return string(r.Kind) + ":" + strings.Join(r.Specs, " with ") }

// Name is the name of the server's package.
func (r Request) Name() string {
	if r.Kind == NPM {
		name, _ := splitVersion(r.Specs[0], "@")
		return name
	}
	name, _ := pythonRequirement(r.Specs[0])
	return name
}

// Pin says how firmly the version of the server's package is fixed.
func (r Request) Pin() Pin {
	_, version := pythonRequirement(r.Specs[0])
	if r.Kind == NPM {
		_, version = splitVersion(r.Specs[0], "@")
	}
	return pinOf(version)
}

// add takes a package with its version into the request.
func (r *Request) add(spec string, read func(string) (string, error)) error {
	spec, err := read(spec)
	if err == nil && !slices.Contains(r.Specs, spec) {
		r.Specs = append(r.Specs, spec)
	}
	return err
}

// quietly are options that change nothing of what is installed and started.
var quietly = []string{"-y", "--yes", "-q", "--quiet", "-s", "--silent", "--prefer-offline", "--prefer-online", "--ignore-existing", "--isolated", "--no-cache", "--refresh", "--no-progress", "--"}

// eachOption hands over the options of a launcher with their values. An option that
// is neither known nor harmless is an error: it may change what runs.
func (p parsed) eachOption(valued map[string]string, each func(name, value string)) error {
	for i := 0; i < len(p.options); i++ {
		word, value, joined := strings.Cut(p.options[i], "=")
		name, known := valued[word]
		switch {
		case !known && slices.Contains(quietly, p.options[i]):
			continue
		case !known:
			return fmt.Errorf("the option %s of %s has no meaning for a package that Gatehouse installs", word, p.source.Launcher)
		case !joined && i+1 == len(p.options):
			return fmt.Errorf("the option %s of %s has no value", word, p.source.Launcher)
		case !joined:
			i++
			value = p.options[i]
		}
		each(name, value)
	}
	return nil
}

func (r *Request) npm(p parsed) error {
	r.Kind = NPM
	var specs []string
	if err := p.eachOption(map[string]string{"-p": "package", "--package": "package"}, func(_, value string) { specs = append(specs, value) }); err != nil {
		return err
	}
	if len(specs) == 0 {
		specs = []string{p.spec}
	} else if len(r.Args) > 0 {
		r.Program, r.Args = r.Args[0], r.Args[1:]
	}
	if strings.HasPrefix(p.source.Launcher, "npm ") {
		// npm-exec(1): "all flags and options must be set prior to any positional
		// arguments", unless they stand behind "--".
		if len(r.Args) > 0 && r.Args[0] == "--" {
			r.Args = r.Args[1:]
		} else if slices.ContainsFunc(r.Args, func(w string) bool { return strings.HasPrefix(w, "-") }) {
			return fmt.Errorf("%s takes the options behind the package for its own; write -- before them", p.source.Launcher)
		}
	}
	for _, spec := range specs {
		if err := r.add(spec, npmSpec); err != nil {
			return err
		}
	}
	return nil
}

func (r *Request) pypi(p parsed) error {
	r.Kind = PyPI
	from, with := false, ""
	err := p.eachOption(map[string]string{"--from": "from", "--spec": "from", "--with": "with", "--python": "python", "-p": "python"}, func(name, value string) {
		switch name {
		case "from":
			from = true
		case "with":
			with += "," + value
		case "python":
			r.Python = strings.TrimPrefix(value, "python")
		}
	})
	if err != nil {
		return err
	}
	if from {
		if len(r.Args) == 0 {
			return fmt.Errorf("which program of %s starts is not said", p.spec)
		}
		r.Program, r.Args = r.Args[0], r.Args[1:]
	}
	if r.Python != "" && !pythonVersion.MatchString(r.Python) {
		return fmt.Errorf("%q is not a version of Python such as 3.12", r.Python)
	}
	for _, spec := range append([]string{p.spec}, strings.FieldsFunc(with, func(c rune) bool { return c == ',' })...) {
		if err := r.add(spec, pypiSpec); err != nil {
			return err
		}
	}
	return nil
}

var (
	pythonVersion = regexp.MustCompile(`^3(\.[0-9]{1,2}){0,2}$`)
	// npmName is the name of a package; those of before 2017 may have capitals.
	npmName    = regexp.MustCompile(`^(@[A-Za-z0-9~][A-Za-z0-9._~-]*/)?[A-Za-z0-9~][A-Za-z0-9._~-]*$`)
	npmVersion = regexp.MustCompile(`^[A-Za-z0-9^~<>=*][A-Za-z0-9^~<>=*|.+ -]*$`)
	// pypiForm is a name with extras and versions, PEP 508 without URLs and markers.
	pypiForm = regexp.MustCompile(`^([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9])(\[[A-Za-z0-9._, -]+\])?((===?|~=|!=|<=?|>=?)[A-Za-z0-9.*+!_-]+(,(===?|~=|!=|<=?|>=?)[A-Za-z0-9.*+!_-]+)*)?$`)
)

// maxSpec bounds a package with its version; names of npm have at most 214 letters.
const maxSpec = 300

// npmSpec accepts packages of a registry and nothing else that npm would install,
// such as folders, archives, URLs and other names for a package.
func npmSpec(spec string) (string, error) {
	name, version := splitVersion(spec, "@")
	if len(spec) > maxSpec || !npmName.MatchString(name) || version != "" && !npmVersion.MatchString(version) {
		return "", fmt.Errorf("%q is not a package of a registry, NAME or NAME@VERSION", spec)
	}
	return spec, nil
}

// pypiSpec does the same for Python. uvx writes name@version for name==version, and
// name@latest for the newest.
func pypiSpec(spec string) (string, error) {
	if name, version, found := strings.Cut(spec, "@"); found {
		if spec = strings.TrimSpace(name); version != "latest" {
			spec += "==" + version
		}
	}
	spec = strings.ReplaceAll(spec, " ", "")
	if len(spec) > maxSpec || !pypiForm.MatchString(spec) {
		return "", fmt.Errorf("%q is not a package of an index, NAME or NAME==VERSION", spec)
	}
	return spec, nil
}
