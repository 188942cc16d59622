package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// entry reads one server of a client's file. Its errors say why the server is
// left out and repeat no value.
type entry struct {
	*reader
	n     *node
	field string
	dir   string
}

// Spellings of the same thing in different clients.
var (
	URLKeys  = []string{"httpUrl", "serverUrl", "url", "uri"}
	EnvKeys  = []string{"env", "environment", "envs"}
	DirKeys  = []string{"cwd", "workingDirectory"}
	TypeKeys = []string{"type", "transport"}

	entryKeys = slices.Concat(URLKeys, EnvKeys, DirKeys, TypeKeys,
		[]string{"name", "command", "args", "headers", "disabled", "enabled", "isActive"})
)

func (e *entry) read(s *Server) error {
	if e.n.kind != mapping {
		return fmt.Errorf("found %s, expected an object with command or url", e.n.kind)
	}
	e.unread(e.n, e.field, func(name string) bool { return slices.Contains(entryKeys, name) })
	for _, read := range []func(*Server) error{e.active, e.kind, e.readCommand, e.readDir, e.readURL, e.readEnv, e.readHeaders} {
		if err := read(s); err != nil {
			return err
		}
	}
	if (len(s.Command) > 0) == (s.URL != "") {
		return errors.New("expected either command or url")
	}
	if s.URL != "" && len(s.Env) > 0 {
		e.warn(e.n.pos, e.field, "env has no effect on a server that is reached over HTTP")
	}
	return nil
}

// active leaves out what the client does not run. A switch that cannot be
// understood counts as off.
func (e *entry) active(*Server) error {
	for _, s := range []struct{ name, off string }{{"disabled", "true"}, {"enabled", "false"}, {"isActive", "false"}} {
		n := e.n.get(s.name)
		if n == nil {
			continue
		}
		if n.kind != boolean {
			return fmt.Errorf("%s is %s, expected true or false", s.name, n.kind)
		}
		if n.text == s.off {
			return errors.New("it is turned off in this file")
		}
	}
	return nil
}

func (e *entry) kind(*Server) error {
	n, err := e.one(TypeKeys)
	if n == nil || err != nil {
		return err
	}
	switch strings.ToLower(n.text) {
	case "stdio", "local", "http", "streamable-http", "streamable_http", "streamablehttp", "remote":
		return nil
	case "sse":
		return errors.New("it uses the HTTP+SSE transport of 2024-11-05, which is not spoken here")
	}
	return fmt.Errorf("its %s is not known here", strings.Join(TypeKeys, " or "))
}

// one finds the value under one of several spellings.
func (e *entry) one(spellings []string) (*node, error) {
	var found *node
	for _, name := range spellings {
		n := e.n.get(name)
		if n == nil || n.kind == null {
			continue
		}
		if found != nil && (n.kind != text || found.kind != text || n.text != found.text) {
			return nil, fmt.Errorf("two of the keys %s are set; which one counts cannot be told", strings.Join(spellings, ", "))
		}
		found = n
	}
	return found, nil
}

func (e *entry) readCommand(s *Server) error {
	n := e.n.get("command")
	if n == nil || n.kind == null {
		return nil
	}
	args := e.n.get("args")
	if n.kind == mapping {
		// Zed: {"command": {"path": …, "args": […], "env": {…}}}.
		if n.get("env") != nil {
			if err := e.secrets(n.get("env"), "env", &s.Env); err != nil {
				return err
			}
		}
		n, args = n.get("path"), n.get("args")
	}
	words, err := e.words(n, args)
	if err != nil {
		return err
	}
	for i, word := range words {
		if words[i], err = e.expand(word); err != nil {
			return fmt.Errorf("command: %w", err)
		}
		if suspiciousArgument(words, i) {
			e.warn(e.n.at("command"), e.field+".command", "an argument looks like a secret; arguments are visible to every user of the machine")
		}
	}
	if len(words) == 0 || strings.TrimSpace(words[0]) == "" || strings.ContainsRune(strings.Join(words, ""), 0) {
		return errors.New("expected command to name a program")
	}
	s.Command = words
	return nil
}

// words joins program and arguments.
func (e *entry) words(program, args *node) ([]string, error) {
	var words []string
	switch {
	case program != nil && program.kind == text && args == nil:
		line, err := SplitLine(program.text)
		if err != nil {
			return nil, err
		}
		words = line
	case program != nil && program.kind == text:
		words = []string{program.text}
	case program != nil && program.kind == list:
		args = &node{kind: list, list: append(slices.Clone(program.list), argsOf(args)...)}
	default:
		return nil, errors.New("expected command to be text or a list of texts")
	}
	if args != nil && args.kind != list && args.kind != null {
		return nil, fmt.Errorf("args is %s, expected a list of texts", args.kind)
	}
	for _, n := range argsOf(args) {
		if !n.scalar() {
			return nil, errors.New("expected every argument to be text")
		}
		words = append(words, n.text)
	}
	if len(words) > maxArguments {
		return nil, fmt.Errorf("more than %d arguments", maxArguments)
	}
	return words, nil
}

func argsOf(n *node) []*node {
	if n == nil {
		return nil
	}
	return n.list
}

// SplitLine takes a command without args apart at its spaces, unless it is the
// path of a program. Anything that needs a shell's rules is not guessed at.
func SplitLine(line string) ([]string, error) {
	if !strings.ContainsAny(line, " \t") || fileExists(line) {
		return []string{line}, nil
	}
	if strings.ContainsAny(line, "\"'\\|&;<>()`*?~\n") {
		return nil, errors.New("command is a line for a shell; write the program as command and its arguments as args")
	}
	return strings.Fields(line), nil
}

func (e *entry) readDir(s *Server) error {
	n, err := e.one(DirKeys)
	if n == nil || err != nil {
		return err
	}
	if n.kind != text || n.text == "" {
		return errors.New("expected cwd to be a path")
	}
	name, err := e.expand(n.text)
	if err != nil {
		return fmt.Errorf("cwd: %w", err)
	}
	if s.Dir, err = resolvePath(e.dir, name); err != nil {
		return err
	}
	if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
		return errors.New("its cwd is not a folder that exists")
	}
	return nil
}

func (e *entry) readURL(s *Server) error {
	n, err := e.one(URLKeys)
	// Gemini CLI: httpUrl is Streamable HTTP, and counts before url.
	if http := e.n.get("httpUrl"); http != nil {
		n, err = http, nil
	}
	if n == nil || err != nil {
		return err
	}
	if n.kind != text {
		return errors.New("expected the URL to be text")
	}
	if s.URL, err = e.expand(n.text); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if problem := checkURL(s.URL, false); problem != "" {
		return fmt.Errorf("its URL %s", problem)
	}
	if u, err := url.Parse(s.URL); err == nil && suspiciousQuery(u) {
		e.warn(n.pos, e.field, "the URL holds something like a secret; URLs end up in logs")
	}
	return nil
}

func (e *entry) readEnv(s *Server) error {
	n, err := e.one(EnvKeys)
	if n == nil || err != nil {
		return err
	}
	return e.secrets(n, "env", &s.Env)
}

func (e *entry) readHeaders(s *Server) error {
	n := e.n.get("headers")
	if n == nil || n.kind == null {
		return nil
	}
	var written map[string]Secret
	if err := e.secrets(n, "headers", &written); err != nil {
		return err
	}
	s.Headers = map[string]Secret{}
	for name, value := range written {
		canonical, problem := checkHeader(name, s.Headers)
		if problem != "" {
			return fmt.Errorf("header %s %s", quote(name), problem)
		}
		s.Headers[canonical] = value
	}
	return nil
}

// secrets adds a mapping of names to values with placeholders.
func (e *entry) secrets(n *node, what string, to *map[string]Secret) error {
	if n.kind != mapping || len(n.members) > maxArguments {
		return fmt.Errorf("%s is %s, expected names with values", what, n.kind)
	}
	if *to == nil {
		*to = map[string]Secret{}
	}
	for _, m := range n.members {
		at := join(e.field+"."+what, m.name)
		if m.value.kind == null {
			continue
		}
		if !m.value.scalar() {
			return fmt.Errorf("%s is %s, expected text", join(what, m.name), m.value.kind)
		}
		if m.name == "" || strings.ContainsAny(m.name, "=\x00") || strings.ContainsRune(m.value.text, 0) {
			return fmt.Errorf("%s: expected a name and a value without NUL characters", join(what, m.name))
		}
		parts, err := e.parts(m.value.text)
		if err != nil {
			return fmt.Errorf("%s: %w", join(what, m.name), err)
		}
		value := seal(&secret{parts, at})
		if value.plain() && suspiciousValue(m.name, m.value.text) {
			e.warn(m.value.pos, at, "looks like a secret that stands in the file")
		}
		e.warnAboutSecret(m.value.pos, at, value)
		(*to)[m.name] = value
	}
	return nil
}

// expand replaces the placeholders of a text that is not kept secret.
func (e *entry) expand(value string) (string, error) {
	parts, err := e.parts(value)
	if err != nil {
		return "", err
	}
	return seal(&secret{parts: parts}).Resolve()
}

// parts takes a text with a client's placeholders apart. What is no known
// placeholder stays text, as it does in the clients.
func (e *entry) parts(value string) ([]part, error) {
	s := &secret{}
	end := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(value, -1) {
		s.literal(value[end:at[0]])
		end = at[1]
		p, err := e.placeholder(value[at[2]:at[3]])
		if err != nil {
			return nil, err
		}
		switch {
		case p == nil:
			s.literal(value[at[0]:at[1]])
		case p.source == literal:
			s.literal(p.text)
		default:
			s.parts = append(s.parts, *p)
		}
	}
	s.literal(value[end:])
	if len(s.parts) == 0 {
		s.parts = []part{{}}
	}
	return s.parts, nil
}

var plainVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// placeholder reads what stands between ${ and }; nil when it is not known.
func (e *entry) placeholder(inner string) (*part, error) {
	switch inner {
	case "workspaceFolder", "workspaceRoot":
		return &part{text: e.dir}, nil
	case "userHome":
		home, err := os.UserHomeDir()
		return &part{text: home}, err
	case "pathSeparator", "/":
		return &part{text: string(filepath.Separator)}, nil
	}
	prefix, _, found := strings.Cut(inner, ":")
	if found && (prefix == "input" || prefix == "command") {
		return nil, fmt.Errorf("${%s:…} asks the person at the client, who is not here; use ${env:NAME}", prefix)
	}
	name, fallback, hasFallback := strings.Cut(strings.TrimPrefix(inner, "env:"), ":-")
	if !plainVariable.MatchString(name) {
		return nil, nil
	}
	p := &part{source: fromEnv, text: name}
	if hasFallback {
		p.fallback = &fallback
	}
	return p, nil
}
