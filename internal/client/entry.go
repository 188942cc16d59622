package client

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/config"
	"gatehouse/internal/secret"
)

// Transport is how a client reaches a server.
type Transport string

const (
	Stdio   Transport = "stdio"
	HTTP    Transport = "http"    // Streamable HTTP
	SSE     Transport = "sse"     // HTTP+SSE of 2024-11-05
	BuiltIn Transport = "builtin" // part of the client, with nothing to run or reach
)

// Entry is a server as one client's file names it. What is written to JSON repeats
// no value that may be secret.
type Entry struct {
	Clients   []string    `json:"clients"`
	Scope     Scope       `json:"scope"`
	File      string      `json:"file"`
	Path      []string    `json:"path"` // the keys that lead to it, its name last
	Line      int         `json:"line"`
	Span      config.Span `json:"span"` // in the bytes of the file; of no length if it stands in several pieces
	Name      string      `json:"name"`
	Transport Transport   `json:"transport"`
	Shown     []string    `json:"command,omitempty"` // Words without secrets
	ShownURL  string      `json:"url,omitempty"`     // URL without secrets
	Dir       string      `json:"cwd,omitempty"`
	Env       []Value     `json:"env,omitempty"`
	Headers   []Value     `json:"headers,omitempty"`
	Disabled  bool        `json:"disabled,omitempty"`
	// Approved are the tools that run unasked; "*" is all of them.
	Approved []string `json:"autoApprove,omitempty"`
	// Trusted says that the client asks nothing about this server.
	Trusted bool `json:"trusted,omitempty"`

	Words []string `json:"-"` // program and arguments, as written
	URL   string   `json:"-"` // as written
}

// Value is an environment variable or a header, without its value.
type Value struct {
	Name string `json:"name"`
	// Kind is literal, reference or empty.
	Kind ValueKind `json:"kind"`
	// Reference is the placeholder, such as ${env:TOKEN}, that stands for the value.
	Reference   string `json:"reference,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"` // of a literal
	// Secret says that name or form of a literal are those of a secret.
	Secret bool `json:"secret,omitempty"`

	Raw Raw `json:"-"` // as written
}

// Raw is a value as it stands in a file. However it is printed or encoded, it does not
// show: a conversion to string is the one way to it.
type Raw string

const hidden = "[redacted]"

func (Raw) String() string               { return hidden }
func (Raw) GoString() string             { return hidden }
func (Raw) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// ValueKind says how a value stands in a file.
type ValueKind string

const (
	Literal   ValueKind = "literal"
	Reference ValueKind = "reference" // a placeholder that the client fills in
	Empty     ValueKind = "empty"
)

// Spellings that clients use for the program, its arguments, and the tools that run
// unasked.
var (
	commandKeys = []string{"command", "cmd"}
	argsKeys    = []string{"args", "arguments"}
	approveKeys = []string{"autoApprove", "alwaysAllow", "autoAllow", "autoapprove"}
)

// reading collects the entries of one file.
type reading struct {
	file     *File
	document *config.Document
	prints   *Fingerprints
}

// container reads the servers of a mapping, or of an array whose elements carry
// their name.
func (r *reading) container(c container) {
	switch {
	case c.value.IsMapping():
		for name, v := range c.value.Members() {
			if len(c.path) == 0 && v.IsText() {
				continue // beside servers with nothing around them: "$schema" and the like
			}
			r.entry(name, append(slices.Clone(c.path), name), v)
		}
	case c.value.IsList():
		i := 0
		for v := range c.value.List() {
			name, ok := v.Get("name").Text()
			if !ok {
				name = fmt.Sprintf("#%d", i+1)
			}
			r.entry(name, append(slices.Clone(c.path), fmt.Sprintf("[%d]", i)), v)
			i++
		}
	case !c.value.IsNull():
		r.file.problem("line %d: %s is %s, expected servers by name", c.value.Line(), strings.Join(c.path, "."), c.value.Kind())
	}
}

// entry adds one server. One that cannot be understood loses only itself.
func (r *reading) entry(name string, path []string, v config.Value) {
	if len(r.file.Entries) == maxEntries {
		r.file.once("more than %d servers; the others are not read", maxEntries)
		return
	}
	if inner := v.Get("transport"); inner.IsMapping() { // Continue's older form
		path, v = append(path, "transport"), inner
	}
	e := Entry{
		Clients: r.file.Clients, Scope: r.file.Scope, File: r.file.Path, Path: path, Line: v.Line(), Name: name,
		Span: r.document.InFile(v.Span()),
	}
	if err := r.fill(&e, v); err != nil {
		r.file.problem("line %d: the server %s is left out: %v", v.Line(), config.RedactValue("", quoted(name)), err)
		return
	}
	r.file.Entries = append(r.file.Entries, e)
}

func quoted(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

func (r *reading) fill(e *Entry, v config.Value) error {
	if v.IsText() {
		// A command or an address in place of a mapping.
		line, _ := v.Text()
		if strings.Contains(line, "://") && !strings.ContainsAny(line, " \t") {
			return r.url(e, line)
		}
		return r.command(e, v, config.Value{})
	}
	if !v.IsMapping() {
		return fmt.Errorf("found %s, expected a mapping with command or url", v.Kind())
	}
	for _, read := range []func(*Entry, config.Value) error{r.switches, r.launch, r.reach, r.transport, r.values, r.approvals} {
		if err := read(e, v); err != nil {
			return err
		}
	}
	return nil
}

// first finds the value under one of several spellings that says something.
func first(v config.Value, spellings []string) config.Value {
	return v.Get(spelled(v, spellings))
}

// only is first, where two spellings may not say different things: which of them a
// client reads cannot be told, and the other could be what is shown.
func only(v config.Value, spellings []string) (config.Value, error) {
	key := spelled(v, spellings)
	for _, name := range spellings {
		if other := v.Get(name); name != key && other.Exists() && !other.IsNull() && !same(v.Get(key), other) {
			return config.Value{}, fmt.Errorf("%s and %s say different things; which one counts cannot be told", key, name)
		}
	}
	return v.Get(key), nil
}

// switches reads whether the client runs the server. A switch that is no switch
// cannot be understood.
func (r *reading) switches(e *Entry, v config.Value) error {
	if r.file.place.NoSwitch {
		return nil
	}
	for _, s := range []struct {
		name string
		off  bool
	}{{"disabled", true}, {"enabled", false}, {"isActive", false}} {
		n := v.Get(s.name)
		if !n.Exists() || n.IsNull() {
			continue
		}
		on, ok := n.Bool()
		if !ok {
			return fmt.Errorf("%s is %s, expected true or false", s.name, n.Kind())
		}
		e.Disabled = e.Disabled || on == s.off
	}
	return nil
}

func (r *reading) launch(e *Entry, v config.Value) error {
	command, err := only(v, commandKeys)
	if err != nil {
		return err
	}
	args, err := only(v, argsKeys)
	if err != nil {
		return err
	}
	if command.IsMapping() { // Zed: {"path": …, "args": […], "env": {…}}
		if err := r.variables(&e.Env, command, config.EnvKeys); err != nil {
			return err
		}
		command, args = command.Get("path"), command.Get("args")
	}
	if !command.Exists() {
		return nil
	}
	return r.command(e, command, args)
}

// maxWords bounds the words of one command.
const maxWords = 1000

func (r *reading) command(e *Entry, command, args config.Value) error {
	switch {
	case command.IsList():
		if err := add(&e.Words, command); err != nil {
			return err
		}
	case command.IsText() && !args.Exists():
		line, _ := command.Text()
		words, err := config.SplitLine(line)
		if err != nil {
			words = []string{line} // for a shell; kept in one piece
		}
		e.Words = words
	case command.IsText():
		program, _ := command.Text()
		e.Words = []string{program}
	default:
		return fmt.Errorf("command is %s, expected text or a list of texts", command.Kind())
	}
	if args.Exists() {
		if err := add(&e.Words, args); err != nil {
			return err
		}
	}
	if len(e.Words) == 0 || strings.TrimSpace(e.Words[0]) == "" {
		return fmt.Errorf("command names no program")
	}
	e.Transport = Stdio
	e.Shown = config.RedactWords(e.Words)
	return nil
}

func add(words *[]string, list config.Value) error {
	if line, ok := list.Text(); ok {
		*words = append(*words, line)
		return nil
	}
	if !list.IsList() {
		return fmt.Errorf("args is %s, expected a list of texts", list.Kind())
	}
	for v := range list.List() {
		word, ok := v.Text()
		if !ok {
			return fmt.Errorf("an argument is %s, expected text", v.Kind())
		}
		if len(*words) == maxWords {
			return fmt.Errorf("more than %d arguments", maxWords)
		}
		*words = append(*words, word)
	}
	return nil
}

func (r *reading) reach(e *Entry, v config.Value) error {
	// Gemini CLI: httpUrl counts before url.
	n := v.Get("httpUrl")
	if !n.Exists() || n.IsNull() {
		var err error
		if n, err = only(v, config.URLKeys); err != nil {
			return err
		}
	}
	if !n.Exists() {
		return nil
	}
	address, ok := n.Text()
	if !ok {
		return fmt.Errorf("the URL is %s, expected text", n.Kind())
	}
	if len(e.Words) > 0 {
		return fmt.Errorf("both a command and a URL are set; which one counts cannot be told")
	}
	if err := r.url(e, address); err != nil {
		return err
	}
	if v.Get("httpUrl").Exists() {
		e.Transport = HTTP
	} else if r.file.place.SSE || v.Get("uri").Exists() || strings.HasSuffix(strings.TrimRight(e.URL, "/"), "/sse") {
		e.Transport = SSE
	}
	return nil
}

func (r *reading) url(e *Entry, address string) error {
	if address == "" {
		return fmt.Errorf("the URL is empty")
	}
	e.URL, e.ShownURL, e.Transport = address, config.RedactURL(address), HTTP
	return nil
}

// transport takes what the file says over what the entry looks like.
func (r *reading) transport(e *Entry, v config.Value) error {
	n := first(v, config.TypeKeys)
	kind, ok := n.Text()
	if n.Exists() && !ok && !n.IsMapping() {
		return fmt.Errorf("type is %s, expected text", n.Kind())
	}
	switch strings.ToLower(kind) {
	case "builtin", "platform", "frontend", "inline_python":
		e.Transport = BuiltIn
	case "http", "streamable-http", "streamable_http", "streamablehttp":
		if e.URL != "" {
			e.Transport = HTTP
		}
	case "sse":
		if e.URL != "" {
			e.Transport = SSE
		}
	}
	if e.Transport == "" {
		// Zed: {"source": "extension", "settings": {…}}; the extension brings the command.
		if source, _ := v.Get("source").Text(); source == "extension" || v.Get("settings").IsMapping() {
			e.Transport = BuiltIn
			return nil
		}
		if v.Get("ref").Exists() {
			e.Transport = BuiltIn // Docker MCP Toolkit: its own gateway runs the server
			return nil
		}
		if e.Disabled {
			e.Transport = BuiltIn // a server of the client that is switched off by name
			return nil
		}
		return fmt.Errorf("it has neither a command nor a URL")
	}
	return nil
}

func (r *reading) values(e *Entry, v config.Value) error {
	dir := first(v, config.DirKeys)
	if text, ok := dir.Text(); ok {
		e.Dir = config.RedactValue("", text)
	}
	if err := r.variables(&e.Env, v, config.EnvKeys); err != nil {
		return err
	}
	// Goose and Codex name variables whose values they keep elsewhere.
	for _, key := range []string{"env_keys", "env_vars", "bearer_token_env_var"} {
		if err := names(&e.Env, v.Get(key)); err != nil {
			return err
		}
	}
	if err := r.variables(&e.Headers, v, headerKeys); err != nil {
		return err
	}
	return r.variables(&e.Headers, v.Get("requestInit"), []string{"headers"})
}

func names(to *[]Value, v config.Value) error {
	if name, ok := v.Text(); ok {
		*to = append(*to, Value{Name: name, Kind: Reference})
		return nil
	}
	for n := range v.List() {
		name, ok := n.Text()
		if !ok {
			return fmt.Errorf("the name of a variable is %s, expected text", n.Kind())
		}
		*to = append(*to, Value{Name: name, Kind: Reference})
	}
	return nil
}

// maxValues bounds the variables or headers of one server.
const maxValues = 1000

func (r *reading) variables(to *[]Value, v config.Value, spellings []string) error {
	for _, key := range spellings {
		n := v.Get(key)
		if !n.Exists() || n.IsNull() {
			continue
		}
		if err := r.named(to, key, n); err != nil {
			return err
		}
	}
	return nil
}

// named reads one mapping or list of names with values.
func (r *reading) named(to *[]Value, key string, n config.Value) error {
	if n.Len() > maxValues {
		return fmt.Errorf("more than %d variables or headers", maxValues)
	}
	if n.IsList() { // ["NAME=value", …], or [{"name": …, "value": …}, …]
		for item := range n.List() {
			name, value := "", ""
			if line, ok := item.Text(); ok {
				name, value, _ = strings.Cut(line, "=")
			} else {
				name, _ = item.Get("name").Text()
				value, _ = item.Get("value").Text()
			}
			*to = append(*to, r.value(name, value))
		}
		return nil
	}
	if !n.IsMapping() {
		return fmt.Errorf("%s is %s, expected names with values", key, n.Kind())
	}
	for name, item := range n.Members() {
		value, ok := item.Text()
		if !ok && !item.IsNull() {
			return fmt.Errorf("%s is %s, expected text", quoted(name), item.Kind())
		}
		*to = append(*to, r.value(name, value))
	}
	return nil
}

// placeholder is what clients fill in themselves: ${NAME}, ${env:NAME}, ${input:id},
// ${{ secrets.NAME }}, {env:NAME}, {file:path}, $NAME. Passwords that begin with $ are
// seldom in capitals.
var placeholder = regexp.MustCompile(`\$\{\{[^{}]+\}\}|\$\{[^{}]+\}|\{(?:env|file):[^{}]+\}|\$[A-Z_][A-Z0-9_]*`)

// fallback is what counts where nothing fills a placeholder in: ${NAME:-VALUE}. It stands
// in the file as any other value does.
var fallback = regexp.MustCompile(`^\$\{[^{}]*?:-([^{}]+)\}$`)

// leading are words that stand before a token and say nothing of it.
var leading = regexp.MustCompile(`(?i)^\s*(?:bearer|basic|token)\s+`)

func (r *reading) value(name, value string) Value {
	out := Value{Name: name, Kind: Literal, Raw: Raw(value)}
	bare := strings.TrimSpace(leading.ReplaceAllString(value, ""))
	if m := fallback.FindStringSubmatch(bare); m != nil {
		bare = m[1]
	}
	switch found := placeholder.FindString(bare); {
	case value == "":
		out.Kind = Empty
	case found != "" && found == bare:
		out.Kind, out.Reference = Reference, found
	case secret.IsReference(bare):
		out.Kind, out.Reference = Reference, bare // `gatehouse run --resolve-env` fills it in
	default:
		out.Fingerprint = r.prints.Of(bare)
		out.Secret = config.LooksSecret(name, bare)
	}
	return out
}

func (r *reading) approvals(e *Entry, v config.Value) error {
	for _, key := range []string{"trust", "trusted"} {
		if on, ok := v.Get(key).Bool(); ok && on {
			e.Trusted = true
		}
	}
	for _, key := range approveKeys {
		n := v.Get(key)
		if on, ok := n.Bool(); ok && on {
			e.Approved = append(e.Approved, "*")
		} else if name, ok := n.Text(); ok && n.IsText() {
			e.Approved = append(e.Approved, name)
		}
		for item := range n.List() {
			if name, ok := item.Text(); ok {
				e.Approved = append(e.Approved, name)
			}
		}
	}
	if len(e.Approved) > maxSettingValues {
		return fmt.Errorf("more than %d tools run unasked", maxSettingValues)
	}
	return nil
}
