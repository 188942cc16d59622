// Package command takes the command of a server apart: what wraps it, what launches
// it, which package in which version runs. Nothing is run or looked up; everything
// is read from the words.
package command

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Kind is where a server comes from.
type Kind string

const (
	NPM     Kind = "npm"
	PyPI    Kind = "pypi"
	OCI     Kind = "oci" // an image of a container
	Go      Kind = "go"
	Git     Kind = "git"    // a source that the launcher fetches
	Script  Kind = "script" // a file that an interpreter runs
	Binary  Kind = "binary"
	Remote  Kind = "url"
	BuiltIn Kind = "builtin" // part of the client
	Shell   Kind = "shell"   // a line for a shell: what it runs cannot be told
)

// Pin says how firmly a version is fixed.
type Pin string

const (
	Digest  Pin = "digest"  // these bytes and no others
	Exact   Pin = "exact"   // one version of a registry that keeps versions
	Tag     Pin = "tag"     // a name that can be moved, such as an image's tag or a branch
	Range   Pin = "range"   // any of several versions
	Newest  Pin = "newest"  // whatever is newest at the start
	Without Pin = "without" // nothing to pin: a file of this machine, or a URL
)

// Source is what runs, taken from the words of a command. Words may hold secrets;
// package inventory shows it without.
type Source struct {
	Kind    Kind   `json:"kind"`
	Package string `json:"package"` // its name, path or URL, without version
	Version string `json:"version,omitempty"`
	Pin     Pin    `json:"pin"`
	// Launcher is what starts it, such as npx or docker.
	Launcher string `json:"launcher,omitempty"`
	// Wrappers stand before the launcher, outermost first, such as cmd or sudo.
	Wrappers []string `json:"wrappers,omitempty"`
	// Options are those of the launcher, Args those of the server.
	Options []string `json:"options,omitempty"`
	Args    []string `json:"args,omitempty"`
	Roots   []string `json:"roots,omitempty"`  // folders and files among the arguments
	Mounts  []Mount  `json:"mounts,omitempty"` // of a container
	// Protected says that it runs through Gatehouse.
	Protected bool `json:"protected,omitempty"`
}

// Pinned reports whether what starts tomorrow is what started today.
func (s Source) Pinned() bool { return s.Pin == Exact || s.Pin == Digest || s.Pin == Without }

// Mount is a folder of this machine in a container.
type Mount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly"`
}

// Engine reports whether it gives a container the socket of an engine of containers:
// whoever has that starts one that has the whole machine.
func (m Mount) Engine() bool {
	return slices.ContainsFunc([]string{"docker.sock", "podman.sock", "containerd.sock", "crio.sock", "docker_engine"}, func(name string) bool {
		return strings.HasSuffix(m.Source, name)
	})
}

// parsed is a command taken apart.
type parsed struct {
	source        Source
	options, args []string
	spec          string // the package as written, with its version
}

// Parse takes a command apart.
func Parse(words []string) Source {
	p := parse(words)
	p.source.Options, p.source.Args = p.options, p.args
	return p.source
}

func parse(words []string) parsed {
	p := parsed{}
	words = p.unwrap(words)
	if len(words) == 0 {
		p.source.Kind, p.source.Pin = Shell, Newest
		return p
	}
	if len(words) == 1 && strings.ContainsAny(words[0], "|&;<>`\n") {
		p.source.Kind, p.source.Package, p.source.Pin = Shell, words[0], Newest
		return p
	}
	p.launch(words)
	p.roots()
	return p
}

// Program is the name of a program without folder and ending, in lower case.
func Program(word string) string {
	name := strings.ToLower(path.Base(strings.ReplaceAll(word, `\`, "/")))
	for _, ending := range []string{".exe", ".cmd", ".bat", ".ps1"} {
		name = strings.TrimSuffix(name, ending)
	}
	return name
}

// Unwrapped is what a command starts in the end, without what wraps it.
func Unwrapped(words []string) []string { return new(parsed).unwrap(words) }

// maxWrappers bounds how many wrappers are undone.
const maxWrappers = 8

// Assigns reports whether a word sets a variable, NAME=value, for a program behind it.
func Assigns(word string) bool { return assignment.MatchString(word) }

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// unwrap undoes what only starts something else. It stops at what it does not know.
func (p *parsed) unwrap(words []string) []string {
	for range maxWrappers {
		if len(words) == 0 {
			return nil
		}
		name := Program(words[0])
		rest, undone := inner(name, words[1:])
		if !undone {
			return words
		}
		p.source.Wrappers = append(p.source.Wrappers, name)
		p.source.Protected = p.source.Protected || name == "gatehouse"
		words = rest
	}
	return words
}

// inner is what a wrapper starts.
func inner(name string, rest []string) (words []string, undone bool) {
	switch name {
	case "cmd":
		return line(after(rest, func(w string) bool { return strings.HasPrefix(w, "/") })), true
	case "sh", "bash", "zsh", "dash", "powershell", "pwsh":
		for i, w := range rest {
			if strings.EqualFold(w, "-c") || strings.EqualFold(w, "-lc") || strings.EqualFold(w, "-ic") || strings.EqualFold(w, "-command") {
				return line(rest[i+1:]), true
			}
			if !strings.HasPrefix(w, "-") {
				break
			}
		}
	case "env":
		return after(rest, func(w string) bool { return strings.HasPrefix(w, "-") || assignment.MatchString(w) }), true
	case "sudo", "doas", "nice", "nohup", "time", "exec", "wsl", "setsid", "stdbuf":
		return skip(rest, []string{"-u", "-g", "-n", "-d", "--distribution", "--user", "-h", "--cd"}), true
	case "timeout":
		if rest = skip(rest, []string{"-s", "-k", "--signal", "--kill-after"}); len(rest) > 1 {
			return rest[1:], true
		}
	case "gatehouse", "op", "doppler", "infisical", "dotenv", "dotenvx", "mise", "direnv", "aws-vault", "chamber", "envchain":
		if i := slices.Index(rest, "--"); i >= 0 {
			return rest[i+1:], true
		}
	}
	return nil, false
}

// after leaves out words from the front.
func after(words []string, out func(string) bool) []string {
	for len(words) > 0 && out(words[0]) {
		words = words[1:]
	}
	return words
}

// line takes a single word apart at its spaces where no shell is needed for that.
func line(words []string) []string {
	if len(words) == 1 && !strings.ContainsAny(words[0], "\"'\\|&;<>()`$*?~\n") {
		return strings.Fields(words[0])
	}
	return words
}

// skip leaves out options and the values of those that have one.
func skip(words, valued []string) []string {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		if words[0] == "--" {
			return words[1:]
		}
		if slices.Contains(valued, words[0]) && len(words) > 1 {
			words = words[1:]
		}
		words = words[1:]
	}
	return words
}

// options takes the options of a launcher from the front.
func (p *parsed) takeOptions(words, valued []string) []string {
	rest := skip(words, valued)
	p.options = append(p.options, words[:len(words)-len(rest)]...)
	return rest
}

// option is the last value of an option: --name VALUE or --name=VALUE.
func option(words []string, names ...string) (value string) {
	for i, w := range words {
		for _, name := range names {
			if v, found := strings.CutPrefix(w, name+"="); found {
				value = v
			} else if w == name && i+1 < len(words) {
				value = words[i+1]
			}
		}
	}
	return value
}

// launchers by the program and, where it has several, the word after it.
var (
	npmRunners  = []string{"npx", "bunx", "pnpx", "npm exec", "npm x", "pnpm dlx", "pnpm exec", "yarn dlx", "bun x"}
	npmOptions  = []string{"-p", "--package", "-c", "--call", "--registry", "--cache", "-w", "--workspace", "--prefix", "--userconfig"}
	pypiRunners = []string{"uvx", "uv tool run", "pipx run"}
	pypiOptions = []string{"--from", "--with", "--python", "-p", "--index-url", "-i", "--index", "--default-index", "--extra-index-url", "--spec", "--pip-args", "--with-editable", "--with-requirements", "--refresh-package", "--directory", "--project", "--prerelease", "--exclude-newer", "--constraints", "-c", "--env-file"}
	interpreted = []string{"node", "deno", "bun", "python", "python3", "py", "ruby", "java", "dotnet", "tsx", "ts-node", "php", "perl", "uv", "poetry"}
)

// longestLauncher finds a launcher of one to three words at the front.
func longestLauncher(words, launchers []string) (name string, rest []string) {
	for n := min(3, len(words)); n > 0; n-- {
		joined := strings.Join(append([]string{Program(words[0])}, words[1:n]...), " ")
		if slices.Contains(launchers, joined) {
			return joined, words[n:]
		}
	}
	return "", nil
}

func (p *parsed) launch(words []string) {
	name := Program(words[0])
	if runner, rest := longestLauncher(words, npmRunners); runner != "" {
		p.npm(runner, rest)
		return
	}
	if runner, rest := longestLauncher(words, pypiRunners); runner != "" {
		p.pypi(runner, rest)
		return
	}
	switch {
	case (name == "docker" || name == "podman" || name == "nerdctl") && slices.Contains(words, "run"):
		p.container(name, words[slices.Index(words, "run")+1:])
	case name == "go" && len(words) > 2 && words[1] == "run":
		p.goRun(words[2:])
	case slices.Contains(interpreted, name) || strings.HasPrefix(name, "python3."):
		p.script(name, words[1:])
	default:
		p.source.Kind, p.source.Package, p.source.Pin = Binary, words[0], Without
		p.args = words[1:]
	}
}

func (p *parsed) npm(runner string, words []string) {
	p.source.Launcher = runner
	rest := p.takeOptions(words, npmOptions)
	named := option(p.options, "-p", "--package")
	switch {
	case named != "":
		p.args = rest
	case len(rest) > 0:
		named, p.args = rest[0], rest[1:]
	default: // npx -c "a line for a shell"
		p.source.Kind, p.source.Pin = Shell, Newest
		return
	}
	p.spec = named
	if fetched(named) {
		p.git(named)
		return
	}
	p.source.Kind = NPM
	p.source.Package, p.source.Version = splitVersion(named, "@")
	p.source.Pin = pinOf(p.source.Version)
	if strings.HasPrefix(named, ".") || strings.HasPrefix(named, "/") {
		p.source.Kind, p.source.Package, p.source.Version, p.source.Pin = Script, named, "", Without
	}
}

func (p *parsed) pypi(runner string, words []string) {
	p.source.Launcher = runner
	rest := p.takeOptions(words, pypiOptions)
	named := option(p.options, "--from", "--spec")
	switch {
	case named != "":
		p.args = rest
	case len(rest) > 0:
		named, p.args = rest[0], rest[1:]
	default:
		p.source.Kind, p.source.Pin = Shell, Newest
		return
	}
	p.spec = named
	if fetched(named) {
		p.git(named)
		return
	}
	p.source.Kind = PyPI
	p.source.Package, p.source.Version = pythonRequirement(named)
	p.source.Pin = pinOf(p.source.Version)
}

var separators = regexp.MustCompile(`[-_.]+`)

// pythonRequirement splits name[extra]==1.2, name@1.2 and name>=1.
func pythonRequirement(s string) (name, version string) {
	if i := strings.IndexAny(s, "=<>!~@"); i > 0 {
		name, version = s[:i], strings.TrimPrefix(strings.TrimPrefix(s[i:], "=="), "@")
	} else {
		name = s
	}
	name, _, _ = strings.Cut(name, "[")
	// PEP 503: names are the same whatever their case and whichever of - _ . they use.
	return separators.ReplaceAllString(strings.ToLower(strings.TrimSpace(name)), "-"), strings.TrimSpace(version)
}

// fetched reports whether a package is named by where its source is.
func fetched(s string) bool {
	return strings.HasPrefix(s, "git+") || strings.HasPrefix(s, "github:") || strings.HasPrefix(s, "gitlab:") || strings.Contains(s, "://")
}

var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

func (p *parsed) git(s string) {
	p.source.Kind, p.source.Package, p.source.Pin = Git, s, Newest
	at := strings.LastIndexAny(s, "@#")
	if at > strings.Index(s, "://")+2 && !strings.Contains(s[at:], "/") {
		p.source.Package, p.source.Version, p.source.Pin = s[:at], s[at+1:], Tag
	}
	if commit.MatchString(p.source.Version) {
		p.source.Pin = Digest
	}
}

// splitVersion splits at the last sign that does not begin a scope.
func splitVersion(s, sign string) (name, version string) {
	if at := strings.LastIndex(s, sign); at > 0 {
		return s[:at], s[at+1:]
	}
	return s, ""
}

var (
	exactVersion = regexp.MustCompile(`^v?\d+(\.\d+)+([-+.]?[0-9A-Za-z.+-]+)?$`)
	wholeNumber  = regexp.MustCompile(`^\d+$`)
)

func pinOf(version string) Pin {
	switch {
	case version == "" || version == "latest" || version == "*":
		return Newest
	case exactVersion.MatchString(version) && !strings.HasSuffix(version, ".x"):
		return Exact
	case strings.ContainsAny(version, "^~<>=*| ,!") || strings.HasSuffix(version, ".x") || wholeNumber.MatchString(version):
		return Range
	}
	return Tag
}

// switches of docker run that have no value; every other option has one.
var containerSwitches = regexp.MustCompile(`^(-[itdPq]+|--(rm|init|privileged|interactive|tty|detach|read-only|publish-all|no-healthcheck|oom-kill-disable|quiet|help|disable-content-trust|sig-proxy|replace))$`)

func (p *parsed) container(launcher string, words []string) {
	p.source.Launcher, p.source.Kind = launcher, OCI
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		n := 1
		if !containerSwitches.MatchString(words[0]) && !strings.Contains(words[0], "=") && len(words) > 1 {
			n = 2
		}
		p.options = append(p.options, words[:n]...)
		words = words[n:]
	}
	p.source.Mounts = mounts(p.options)
	if len(words) == 0 {
		p.source.Pin = Newest
		return
	}
	p.args = words[1:]
	image, hash, found := strings.Cut(words[0], "@")
	name, tag := image, ""
	if at := strings.LastIndex(image, ":"); at > strings.LastIndex(image, "/") {
		name, tag = image[:at], image[at+1:]
	}
	p.source.Package, p.source.Version, p.source.Pin = name, tag, Tag
	switch {
	case found:
		p.source.Version, p.source.Pin = hash, Digest
	case tag == "" || tag == "latest":
		p.source.Pin = Newest
	}
}

func mounts(options []string) (out []Mount) {
	for i, w := range options {
		name, value, found := strings.Cut(w, "=")
		if !found && i+1 < len(options) {
			value = options[i+1]
		}
		switch name {
		case "-v", "--volume":
			out = append(out, volume(value))
		case "--mount":
			m := Mount{}
			for _, field := range strings.Split(value, ",") {
				key, v, _ := strings.Cut(field, "=")
				switch key {
				case "source", "src":
					m.Source = v
				case "target", "dst", "destination":
					m.Target = v
				case "readonly", "ro":
					m.ReadOnly = v != "false"
				}
			}
			out = append(out, m)
		}
	}
	return out
}

var drive = regexp.MustCompile(`^[A-Za-z]:[\\/]`)

func volume(s string) Mount {
	start := 0
	if drive.MatchString(s) {
		start = 2
	}
	at := strings.IndexByte(s[start:], ':')
	if at < 0 {
		return Mount{Target: s}
	}
	target, mode, _ := strings.Cut(s[start+at+1:], ":")
	return Mount{Source: s[:start+at], Target: target, ReadOnly: slices.Contains(strings.Split(mode, ","), "ro")}
}

func (p *parsed) goRun(words []string) {
	p.source.Launcher, p.source.Kind = "go run", Go
	rest := p.takeOptions(words, []string{"-C", "-exec", "-tags", "-ldflags", "-mod", "-modfile", "-gcflags"})
	if len(rest) == 0 {
		p.source.Pin = Newest
		return
	}
	p.args = rest[1:]
	if !strings.Contains(rest[0], "@") {
		p.source.Kind, p.source.Package, p.source.Pin = Script, rest[0], Without
		return
	}
	p.source.Package, p.source.Version = splitVersion(rest[0], "@")
	p.source.Pin = pinOf(p.source.Version)
}

func (p *parsed) script(launcher string, words []string) {
	p.source.Launcher, p.source.Kind, p.source.Pin = launcher, Script, Without
	switch launcher {
	case "deno", "bun", "uv", "poetry":
		rest := p.takeOptions(words, pypiOptions)
		if len(rest) > 0 && rest[0] == "run" {
			p.options, words = append(p.options, "run"), rest[1:]
		} else {
			words = rest
		}
	}
	rest := p.takeOptions(words, append([]string{"-r", "--require", "--import", "--loader", "-X", "-W", "-cp", "-classpath", "--allow-env"}, pypiOptions...))
	if module := option(p.options, "-m"); module != "" {
		p.source.Package, p.args = "-m "+module, rest
		return
	}
	if i := slices.Index(p.options, "-m"); i >= 0 || len(rest) == 0 {
		if len(rest) > 0 {
			p.source.Package, p.args = "-m "+rest[0], rest[1:]
		}
		return
	}
	p.source.Package, p.args = rest[0], rest[1:]
	for _, prefix := range []string{"npm:", "jsr:"} {
		if name, found := strings.CutPrefix(rest[0], prefix); found {
			p.source.Kind = NPM
			p.source.Package, p.source.Version = splitVersion(name, "@")
			p.source.Pin = pinOf(p.source.Version)
		}
	}
}

// roots are the arguments that look like folders and files of this machine.
func (p *parsed) roots() {
	for _, w := range p.args {
		if name, value, found := strings.Cut(w, "="); found && strings.HasPrefix(name, "-") {
			w = value
		}
		if isPath(w) {
			p.source.Roots = append(p.source.Roots, w)
		}
	}
}

func isPath(w string) bool {
	switch {
	case w == "." || w == ".." || w == "/" || w == "~":
		return true
	case strings.Contains(w, "://"):
		return false
	case drive.MatchString(w) || strings.HasPrefix(w, `\\`):
		return true
	}
	for _, prefix := range []string{"/", "./", "../", "~/", `.\`, "${workspaceFolder}", "${userHome}", "$HOME", "${HOME}", "%USERPROFILE%"} {
		if strings.HasPrefix(w, prefix) {
			return true
		}
	}
	return false
}
