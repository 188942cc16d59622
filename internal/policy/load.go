package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"gatehouse/internal/config"
)

const (
	// maxFileBytes bounds a file of policies; a thousand take a third of it.
	maxFileBytes = 1 << 20
	// maxRules bounds the policies of one gateway: checking them all at a start must
	// stay a matter of seconds.
	maxRules = 10_000
	// maxNesting bounds brackets in brackets, which readers follow by recursion.
	maxNesting = 100
	// maxText bounds an annotation, in bytes. Reasons are shown to models.
	maxText = 500
)

// Source is the text of one file of policies.
type Source struct {
	Name  string // for messages and for policies without an @id
	Text  []byte
	Ready bool // comes with the program
}

// Load reads the policies of a configuration, all of them or none. The error names
// every problem with file and line.
func Load(c *config.Config) (*Engine, error) {
	sources, err := Sources(c)
	if err != nil {
		return nil, err
	}
	return New(c, sources)
}

// Sources are the texts of all policies of a configuration.
func Sources(c *config.Config) ([]Source, error) {
	var sources []Source
	var problems []error
	for _, name := range c.Policy.Ready {
		text, err := Ready(name)
		if err != nil {
			problems = append(problems, fmt.Errorf("policy.ready: %w", err))
			continue
		}
		sources = append(sources, Source{Name: "ready/" + name, Text: text, Ready: true})
	}
	files, err := Files(c)
	problems = append(problems, err)
	for _, file := range files {
		text, err := readFile(file)
		if err != nil {
			problems = append(problems, fmt.Errorf("policy.files: %w", err))
			continue
		}
		sources = append(sources, Source{Name: shortName(c.Dir, file), Text: text})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("reading policies: %w", err)
	}
	return sources, nil
}

// Files are the files that the patterns of the configuration name, each once. A
// pattern that names none is an error: what it should have forbidden would pass.
func Files(c *config.Config) ([]string, error) {
	var files []string
	var problems []error
	for _, pattern := range c.Policy.Files {
		found, err := filepath.Glob(pattern)
		if err != nil {
			err = fmt.Errorf("policy.files: %s: %w", shortName(c.Dir, pattern), err)
		} else if len(found) == 0 {
			err = fmt.Errorf("policy.files: %s: there is no such file", shortName(c.Dir, pattern))
		}
		problems = append(problems, err)
		for _, file := range found {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files, errors.Join(problems...)
}

// shortName is a file as people know it: from the folder of the configuration.
func shortName(dir, file string) string {
	if short, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(short) {
		return filepath.ToSlash(short)
	}
	return file
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	return text, nil
}

// New makes an engine of policies that are read already.
func New(c *config.Config, sources []Source) (*Engine, error) {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	l := loader{ids: map[string]*rule{}}
	for _, s := range sources {
		l.source(s)
	}
	if err := errors.Join(l.problems...); err != nil {
		return nil, err
	}
	e := &Engine{
		digest: digest(c, sources), report: c.Policy.Mode == config.Report, zone: zone, rules: l.rules, index: newIndex(l.rules, words()),
		servers: map[string]*thing{}, settings: map[string]config.Server{},
	}
	for _, s := range c.Servers {
		t := newServer(&s)
		t.keys = e.index.resources.keysOf(t.entity.UID, slices.Collect(t.entity.Parents.All()))
		e.servers[s.ID], e.settings[s.ID] = t, s
	}
	gateway := *gatewayThing
	gateway.keys = e.index.resources.keysOf(gateway.entity.UID, nil)
	e.gateway = &gateway
	return e, nil
}

// digest names a set of policies and what their decisions depend on besides the
// request.
func digest(c *config.Config, sources []Source) string {
	h := sha256.New()
	part := func(text string) { fmt.Fprintf(h, "%d:%s", len(text), text) }
	part(c.Policy.Mode)
	part(c.TimeZone)
	for _, s := range sources {
		part(s.Name)
		part(string(s.Text))
	}
	for _, s := range c.Servers {
		part(s.ID)
		part(s.Environment)
		part(fmt.Sprintf("%q %q", s.Labels, s.ToolLabels))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Problem is one thing that is wrong with a policy.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1
	Message string `json:"message"`
}

func (p *Problem) Error() string {
	switch {
	case p.File == "":
		return p.Message
	case p.Line == 0:
		return p.File + ": " + p.Message
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ": " + p.Message
}

// loader reads policies and collects what is wrong with them.
type loader struct {
	rules    []*rule
	read     int // policies, good or bad
	ids      map[string]*rule
	problems []error
}

// maxProblems bounds one report.
const maxProblems = 50

func (l *loader) refuse(file string, line int, format string, args ...any) {
	if len(l.problems) < maxProblems {
		l.problems = append(l.problems, &Problem{file, line, fmt.Sprintf(format, args...)})
	}
}

func (l *loader) source(s Source) {
	if len(s.Text) > maxFileBytes {
		l.refuse(s.Name, 0, "larger than %d bytes", maxFileBytes)
		return
	}
	if line := tooDeep(s.Text); line > 0 {
		l.refuse(s.Name, line, "brackets are nested more than %d levels deep", maxNesting)
		return
	}
	list, err := cedar.NewPolicyListFromBytes(s.Name, s.Text)
	if err != nil {
		line, message := syntaxProblem(err)
		l.refuse(s.Name, line, "%s", message)
		return
	}
	if len(list) == 0 {
		l.refuse(s.Name, 0, "there is no policy in it")
	}
	if l.read += len(list); l.read > maxRules {
		l.refuse(s.Name, 0, "with it there are %d policies, expected at most %d", l.read, maxRules)
		return
	}
	for _, p := range list {
		l.policy(s, (*ast.Policy)(p.AST()))
	}
}

// tooDeep is the line at which the nesting of brackets goes beyond the bound, 0 if
// it never does. Brackets in texts and comments count too: it is a bound, not a
// parser.
func tooDeep(text []byte) int {
	depth, line := 0, 1
	for _, b := range text {
		switch b {
		case '\n':
			line++
		case '(', '[', '{':
			if depth++; depth > maxNesting {
				return line
			}
		case ')', ']', '}':
			depth--
		}
	}
	return 0
}

// syntaxAt is where the parser of Cedar says that it stopped.
var syntaxAt = regexp.MustCompile(`^(?:parser error: )?(?:parse|scan) error at [^:]*:(\d+):(\d+) ?(?:"((?:[^"\\]|\\.)*)")?:? ?`)

func syntaxProblem(err error) (line int, message string) {
	message = err.Error()
	m := syntaxAt.FindStringSubmatchIndex(message)
	if m == nil {
		return 0, strings.TrimPrefix(message, "parser error: ")
	}
	line, _ = strconv.Atoi(message[m[2]:m[3]])
	where := ""
	if m[6] >= 0 {
		where = " at " + strconv.Quote(message[m[6]:m[7]])
	}
	return line, "this is not a policy" + where + ": " + message[m[1]:]
}

// annotations are those that mean something.
var annotations = []string{"id", "reason", "mode", "scope", "description"}

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._:/@-]{0,127}$`)

func (l *loader) policy(s Source, p *ast.Policy) {
	r := &rule{
		number: len(l.rules), file: s.Name, line: p.Position.Line, offset: p.Position.Offset, ready: s.Ready, permit: p.Effect == ast.EffectPermit,
		principal: scopeOf(p.Principal), resource: scopeOf(p.Resource), actions: actionsOf(p.Action, words()), ast: p,
	}
	r.id = s.Name + ":" + strconv.Itoa(r.line)
	if l.ids[r.id] != nil { // several on one line
		r.id += ":" + strconv.Itoa(p.Position.Column)
	}
	l.annotate(r, p.Annotations)
	if twin := l.ids[r.id]; twin != nil {
		l.refuse(r.file, r.line, "the @id %q is taken by the policy at %s:%d", r.id, twin.file, twin.line)
	}
	l.ids[r.id] = r
	if err := words().validator.Policy("", p); err != nil {
		for _, message := range messages(err) {
			l.refuse(r.file, r.line, "%s", message)
		}
		return
	}
	if len(p.Conditions) > 0 {
		r.condition = compile(p.Conditions...)
	}
	r.formula = newFormula(p.Conditions)
	l.rules = append(l.rules, r)
}

func (l *loader) annotate(r *rule, list []ast.AnnotationType) {
	for _, a := range list {
		value := string(a.Value)
		if len(value) > maxText {
			l.refuse(r.file, r.line, "@%s has %d bytes, expected at most %d", a.Key, len(value), maxText)
			continue
		}
		switch a.Key {
		case "id":
			if !idForm.MatchString(value) {
				l.refuse(r.file, r.line, "@id(%q): expected letters, digits and the signs . _ : / @ -, at most 128", value)
			}
			r.id = value
		case "reason":
			r.reason = value
		case "mode":
			l.mode(r, value)
		case "scope":
			l.scope(r, value)
		case "description":
		default:
			l.refuse(r.file, r.line, "@%s means nothing here; known are @%s", a.Key, strings.Join(annotations, ", @"))
		}
	}
}

func (l *loader) mode(r *rule, value string) {
	switch {
	case value == config.Report && r.permit:
		l.refuse(r.file, r.line, `@mode("report") is for a forbid; a permit that does not count permits nothing. To try a narrower permit, see gatehouse policy replay`)
	case value == config.Report:
		r.report = true
	case value != config.Enforce:
		l.refuse(r.file, r.line, "@mode(%q): expected report or enforce", value)
	}
}

// scopeForm is a scope as RFC 6749, section 3.3, has it.
var scopeForm = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`)

// scope reads the scopes that a token may be asked to have. They say nothing by
// themselves: the conditions have to ask for them, so that a reader of Cedar alone
// sees a policy that permits no more than this one does.
func (l *loader) scope(r *rule, value string) {
	scopes := strings.Fields(value)
	if !r.permit || len(scopes) == 0 {
		l.refuse(r.file, r.line, `@scope(%q): expected scopes that the conditions of this permit ask for, such as @scope("db:write") permit … when { context.scopes.contains("db:write") }`, value)
		return
	}
	asked := map[string]bool{}
	for _, c := range r.ast.Conditions {
		if needs(c.Body)&noCredential == 0 {
			continue
		}
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			if v, ok := n.(ast.NodeValue); ok {
				if text, ok := v.Value.(types.String); ok {
					asked[string(text)] = true
				}
			}
			return true
		})
	}
	for _, scope := range scopes {
		if !scopeForm.MatchString(scope) || !asked[scope] {
			l.refuse(r.file, r.line, `@scope: no condition asks for %q; write when { context.scopes.contains(%q) }`, scope, scope)
		}
	}
	r.scopes = scopes
}

// messages are the problems that the validator joined, each once, in one order.
func messages(err error) []string {
	seen := map[string]bool{}
	var walk func(error)
	walk = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		seen[err.Error()] = true
	}
	walk(err)
	return slices.Sorted(maps.Keys(seen))
}
