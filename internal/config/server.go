package config

import (
	"fmt"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

var serverID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// maxArguments bounds a command and the lists and mappings of a server.
const maxArguments = 1000

// serverKeys are the keys of one server, each read by itself; what they mean
// together is checked in server.
func serverKeys(s *Server) []key {
	texts := schema{"type": "array", "items": schema{"type": "string"}}
	values := schema{"type": "object", "additionalProperties": schema{"type": []string{"string", "number", "boolean"}}}
	return append([]key{
		{"command", described(schema{"type": "array", "items": schema{"type": []string{"string", "number", "boolean"}}}, "Program and arguments of a server on stdio; with sandbox.image, what follows the image, which may be nothing."), func(r *reader, n *node, field string) { r.command(n, field, s) }},
		path("dir", "Working folder of the process.", ".", &s.Dir),
		{"env", described(values, "Variables set for the process: text, env:NAME or file:PATH."), func(r *reader, n *node, field string) { r.env(n, field, s) }},
		{"pass_env", described(texts, "Variables passed on from the gateway's environment."), func(r *reader, n *node, field string) {
			s.PassEnv = r.texts(n, field, "variable name", checkEnvName)
		}},
		sandboxKey(s),
		yesNo("unsafe_no_sandbox", "Start npx, uvx and the like as they are: they fetch what they start, and it may do whatever Gatehouse may.", &s.UnsafeNoSandbox),
		{"url", schema{"type": "string", "description": "Streamable HTTP endpoint, or the event stream of a server of 2024-11-05."}, func(r *reader, n *node, field string) {
			if n.kind != text {
				r.wrongKind(n, field, "an http or https URL")
				return
			}
			s.URL = n.text
		}},
		{"headers", described(values, "Request headers: text, env:NAME, file:PATH, or text with ${env:NAME} inside."), func(r *reader, n *node, field string) { r.headers(n, field, s) }},
		authKey(s),
		yesNo("unsafe_plain_http", "Allow plain http to another machine: whoever is on the way reads and changes everything.", &s.UnsafePlainHTTP),
		oneOf("approve", "Overrides approve for this server.", &s.Approve, FirstUse, Explicit),
		oneOf("era", "Protocol era spoken with the server.", &s.Era, Auto, Legacy, Modern),
		oneOf("trust", "Who writes what this server returns: strangers (low), or the people who use it (high).", &s.Trust, Low, Normal, High),
		duration("timeout", "Overrides limits.timeout for this server.", &s.Timeout),
		duration("idle_stop", "Ends the process when nobody used it for so long; the next call starts it again.", &s.IdleStop),
		filter("tools", "Which tools are shown and may be called.", &s.Tools, checkNamePattern),
		filter("prompts", "Which prompts are shown and may be used.", &s.Prompts, checkNamePattern),
		filter("resources", "Which resources and resource templates are shown and may be read, by URI.", &s.Resources, checkURIPattern),
	}, labelKeys(s)...)
}

func described(s schema, doc string) schema {
	s["description"] = doc
	return s
}

func serversSchema() schema {
	s := Server{Approve: FirstUse, Era: Auto, Trust: Normal}
	server := objectSchema("One server: command for a process, url for HTTP.", serverKeys(&s))
	server["oneOf"] = []schema{{"required": []string{"command"}}, {"required": []string{"url"}}}
	return schema{
		"type": "object", "description": "The servers behind the gateway, by id.", "minProperties": 1,
		"propertyNames": schema{"pattern": serverID.String()}, "additionalProperties": server,
	}
}

// servers reads the section of that name.
func (r *reader) servers(n *node, c *Config) []Server {
	if n.kind != mapping {
		r.wrongKind(n, "servers", "a mapping of ids to servers")
		return nil
	}
	if len(n.members) > maxServers {
		r.refuse(n.pos, "servers", "found %d servers, expected at most %d", len(n.members), maxServers)
		return nil
	}
	var out []Server
	for _, m := range n.members {
		field := join("servers", m.name)
		if !serverID.MatchString(m.name) {
			r.refuse(m.pos, field, "expected an id of up to 32 lower-case letters, digits and hyphens, beginning with a letter, such as %q", normalID(m.name))
		}
		out = append(out, r.server(m, field, c))
	}
	sortServers(out)
	return out
}

func (r *reader) server(m member, field string, c *Config) Server {
	s := Server{ID: m.name, Name: m.name, Dir: c.Dir, Approve: c.Approve, Era: Auto, Trust: Normal, Timeout: c.Limits.Timeout}
	n := m.value
	if n.kind != mapping {
		r.refuse(m.pos, field, "found %s, expected command: [program, argument, …] or url: https://…", n.kind)
		return s
	}
	s.packageDefaults(wordsOf(n.get("command")))
	r.section(n, field, serverKeys(&s))
	hasCommand, hasURL := n.get("command") != nil, n.get("url") != nil
	switch {
	case hasCommand && hasURL:
		r.refuse(m.pos, field, "has both command and url; a server is either a process or an endpoint")
	case hasCommand:
		r.foreign(n, field, "url", "headers", "auth", "unsafe_plain_http")
		r.process(n, field, s)
		r.checkPackage(n, field, &s)
		r.checkSandbox(n, field, &s, c)
		if n.get("command").kind == list && len(s.Command) == 0 && (s.Sandbox == nil || s.Sandbox.Image == "") {
			r.wrongKind(n.get("command"), field+".command", commandForm)
		}
	case hasURL:
		r.foreign(n, field, "command", "dir", "env", "pass_env", "sandbox", "unsafe_no_sandbox")
		r.endpoint(n, field, s)
		r.checkAuth(n, field, s)
	default:
		r.refuse(m.pos, field, "has neither command nor url; write command: [program, argument, …] or url: https://…")
	}
	if s.Timeout > c.Limits.MaxTimeout {
		r.refuse(n.at("timeout"), field+".timeout", "%v is longer than limits.max_timeout, %v", s.Timeout, c.Limits.MaxTimeout)
	}
	return s
}

// foreign refuses keys that belong to the other kind of server: they would have
// no effect, and the person expects one.
func (r *reader) foreign(n *node, field, belongsTo string, others ...string) {
	for _, m := range n.members {
		if slices.Contains(others, m.name) {
			r.refuse(m.pos, field+"."+m.name, "belongs to a server with %s", belongsTo)
		}
	}
}

const commandForm = "a list with the program and its arguments, such as [npx, -y, some-server]"

// command reads an argument list. Arguments are compared, logged and approved as
// they are, so no shell and no quoting rule comes between.
func (r *reader) command(n *node, field string, s *Server) {
	if n.kind == text {
		r.refuse(n.pos, field, "found one text, expected a list; write command: %s", listForm(n.text))
		return
	}
	if n.kind != list || len(n.list) > maxArguments {
		r.wrongKind(n, field, commandForm)
		return
	}
	for i, item := range n.list {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !item.scalar():
			r.wrongKind(item, at, "text")
		case strings.ContainsRune(item.text, 0):
			r.refuse(item.pos, at, "found a NUL character")
		case i == 0 && strings.TrimSpace(item.text) == "":
			r.refuse(item.pos, at, "expected the name or path of a program")
		case i == 0 && strings.ContainsAny(item.text, " \t") && !fileExists(item.text):
			r.refuse(item.pos, at, "expected the program alone; write command: %s", listForm(item.text))
		}
		s.Command = append(s.Command, item.text)
	}
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// listForm shows a command line as a YAML list, with what looks secret left
// out.
func listForm(line string) string {
	words := strings.Fields(line)
	const shown = 12
	if len(words) > shown {
		words = append(words[:shown:shown], "…")
	}
	for i, word := range words {
		word = strings.Trim(word, `"'`)
		switch {
		case suspiciousArgument(words, i):
			word = "…"
		case !plainWord.MatchString(word):
			word = fmt.Sprintf("%q", word)
		}
		words[i] = word
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// plainWord is text that needs no quotes in a YAML list.
var plainWord = regexp.MustCompile(`^[A-Za-z./…_-][A-Za-z0-9./…_=-]*$`)

func (r *reader) process(n *node, field string, s Server) {
	if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
		r.refuse(n.at("dir"), field+".dir", "found %s, expected a folder that exists", quote(s.Dir))
	}
	for i := range s.Command {
		if suspiciousArgument(s.Command, i) {
			r.warn(n.get("command").list[i].pos, fmt.Sprintf("%s.command[%d]", field, i), "looks like a secret; arguments are visible to every user of the machine, so set it under env as env:NAME")
		}
	}
	for _, name := range s.PassEnv {
		if _, both := s.Env[name]; both {
			r.refuse(n.at("pass_env"), field+".pass_env", "%s is set under env as well; keep one", quote(name))
		}
	}
}

func (r *reader) endpoint(n *node, field string, s Server) {
	at := n.at("url")
	if n.get("url").kind != text {
		return // refused already
	}
	if problem := checkURL(s.URL, s.UnsafePlainHTTP); problem != "" {
		r.refuse(at, field+".url", "%s", problem)
		return
	}
	if s.UnsafePlainHTTP {
		r.warn(n.at("unsafe_plain_http"), field+".unsafe_plain_http", "requests and answers cross the network unprotected; whoever is on the way can read and change them")
	}
	if u, err := url.Parse(s.URL); err == nil && suspiciousQuery(u) {
		r.warn(at, field+".url", "holds something like a secret; URLs end up in logs, so send it under headers as env:NAME")
	}
}

// checkURL says what is wrong with the URL of a server, or "". It does not
// repeat the URL, which may hold a password.
func checkURL(raw string, unsafePlainHTTP bool) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || strings.ContainsAny(raw, " \t\r\n\\") || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Opaque != "":
		return "expected an http or https URL with a host, such as https://mcp.example.com/mcp"
	case u.User != nil:
		return "holds a user name or password; send it under headers, for example Authorization: env:NAME"
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return "holds a fragment (#…), which is never sent; take it out"
	case strings.Contains(raw, "${"):
		return "holds a placeholder; send secrets under headers, where ${env:NAME} is replaced"
	case u.Port() != "" && !validPort(u.Port()):
		return "expected a port from 1 to 65535"
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !unsafePlainHTTP:
		return "is plain http to another machine; use https, or accept that anyone on the way can read and change everything with unsafe_plain_http: true"
	}
	return ""
}

func validPort(port string) bool {
	_, err := netip.ParseAddrPort("127.0.0.1:" + port)
	return err == nil && port != "0"
}

func (r *reader) env(n *node, field string, s *Server) {
	s.Env = map[string]Secret{}
	r.secrets(n, field, "variable names", func(m member, at string, value Secret) {
		if problem := checkEnvName(m.name); problem != "" {
			r.refuse(m.pos, at, "%s", problem)
			return
		}
		if value.plain() && suspiciousValue(m.name, m.value.text) {
			r.warn(m.value.pos, at, "looks like a secret; write "+references+" instead of the value")
		}
		s.Env[m.name] = value
	})
}

func (r *reader) headers(n *node, field string, s *Server) {
	s.Headers = map[string]Secret{}
	r.secrets(n, field, "header names", func(m member, at string, value Secret) {
		name, problem := checkHeader(m.name, s.Headers)
		if problem != "" {
			r.refuse(m.pos, at, "%s", problem)
			return
		}
		if value.plain() && suspiciousValue(m.name, m.value.text) {
			r.warn(m.value.pos, at, "looks like a secret; write "+references+", or ${env:NAME} inside the text")
		}
		s.Headers[name] = value
	})
}

// secrets reads a mapping of names to texts or references.
func (r *reader) secrets(n *node, field, what string, each func(m member, at string, value Secret)) {
	if n.kind == null {
		return
	}
	if n.kind != mapping || len(n.members) > maxArguments {
		r.wrongKind(n, field, "a mapping of "+what+" to values")
		return
	}
	for _, m := range n.members {
		at := join(field, m.name)
		if !m.value.scalar() {
			r.wrongKind(m.value, at, `text, `+references+` ("" for an empty value)`)
			continue
		}
		value, err := ParseReference(m.value.text, at, r.dir)
		if err != nil {
			r.refuse(m.value.pos, at, "%v", err)
			continue
		}
		r.warnAboutSecret(m.value.pos, at, value)
		each(m, at, value)
	}
}

// stateKey reads a reference to a key. A key that stands in the file itself would
// be committed with it.
func (r *reader) stateKey(n *node, field string, c *Config) {
	if n.kind != text {
		r.wrongKind(n, field, references)
		return
	}
	value, err := ParseReference(n.text, field, r.dir)
	if err != nil {
		r.refuse(n.pos, field, "%v", err)
		return
	}
	if value.plain() {
		r.refuse(n.pos, field, "expected %s, not the key itself", references)
		return
	}
	r.warnAboutSecret(n.pos, field, value)
	c.RequestStateKey = value
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func checkEnvName(name string) string {
	if !envName.MatchString(name) {
		return "expected the name of an environment variable: letters, digits and _"
	}
	return ""
}

// ourHeaders are written by the gateway for every request. A second opinion on
// framing or on protocol state would be a way to smuggle.
var ourHeaders = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Keep-Alive", "Last-Event-Id", "Origin",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// checkHeader returns the canonical name, or what is wrong with it.
func checkHeader(name string, others map[string]Secret) (canonical, problem string) {
	if !headerName.MatchString(name) {
		return "", "expected the name of an HTTP header"
	}
	canonical = textproto.CanonicalMIMEHeaderKey(name)
	if slices.Contains(ourHeaders, canonical) || strings.HasPrefix(canonical, "Mcp-") || strings.HasPrefix(canonical, "Proxy-") {
		return "", "is written by the gateway itself"
	}
	if _, twice := others[canonical]; twice {
		return "", "stands here a second time, in other letters"
	}
	return canonical, ""
}

// headerName is a token of RFC 9110, section 5.6.2.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")

// shortestSecret is the length from which a configured value is looked for in what
// passes. Shorter ones are switches and would be found in ordinary text.
const shortestSecret = 8

// Secrets are the values given to the server that are secret by their name, their
// form or their place, as far as they can be read now: all headers, variables with
// a name such as TOKEN, files, and what the gateway authenticates itself with.
func (s Server) Secrets() []string {
	var values []string
	add := func(value string) {
		if len(value) >= shortestSecret && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	for name, secret := range s.Env {
		value, err := secret.Resolve()
		if err == nil && (suspiciousValue(name, value) || secret.kept()) {
			add(value)
		}
	}
	for _, secret := range s.SecretFiles {
		if value, err := secret.Resolve(); err == nil {
			add(value)
		}
	}
	for _, secret := range s.Headers {
		if value, err := secret.Resolve(); err == nil {
			add(value)
			if fields := strings.Fields(value); len(fields) > 1 { // "Bearer …"
				add(fields[len(fields)-1])
			}
		}
	}
	for _, value := range s.Auth.secrets() {
		add(value)
	}
	slices.Sort(values)
	return values
}

// RedactedCommand is the command without the arguments that look like secrets.
func (s Server) RedactedCommand() []string {
	command := slices.Clone(s.Command)
	for i, word := range s.Command {
		switch name, _, assigned := strings.Cut(word, "="); {
		case !suspiciousArgument(s.Command, i):
		case assigned && strings.HasPrefix(word, "-"):
			command[i] = name + "=[redacted]"
		default:
			command[i] = "[redacted]"
		}
	}
	return command
}

// BaseEnv names the variables that every process needs and gets from the
// gateway's environment.
func BaseEnv() []string {
	return []string{"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}
}

// Environ is the whole environment of the server's process, as os/exec wants
// it: BaseEnv and PassEnv as far as they are set here, and Env resolved.
func (s Server) Environ() ([]string, error) {
	var out []string
	for _, name := range slices.Concat(BaseEnv(), s.PassEnv) {
		if _, replaced := s.Env[name]; replaced {
			continue
		}
		if value, set := os.LookupEnv(name); set {
			out = append(out, name+"="+value)
		}
	}
	for name, secret := range s.Env {
		value, err := secret.Resolve()
		if err != nil {
			return nil, err
		}
		if strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("%s: the value holds a NUL character", secret.at())
		}
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// ResolvedHeaders are the server's headers with their values, which are secret.
func (s Server) ResolvedHeaders() (map[string]string, error) {
	out := make(map[string]string, len(s.Headers))
	for name, secret := range s.Headers {
		value, err := secret.Resolve()
		if err != nil {
			return nil, err
		}
		// RFC 9110, section 5.5: "Field values containing CR, LF, or NUL
		// characters are invalid and dangerous".
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("%s: the value holds a line break or NUL character", secret.at())
		}
		out[name] = value
	}
	return out, nil
}
