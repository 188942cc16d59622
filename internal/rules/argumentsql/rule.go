// Package argumentsql recognises SQL in arguments that are not meant to be any, and
// statements that leave the database.
package argumentsql

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:         "argument-sql",
	Title:      "SQL in an argument that breaks out of a statement or of the database",
	Severity:   rule.High,
	Confidence: reported,
	Surfaces:   rule.ToServer,
	Refs:       []string{"OWASP-MCP05:2025", "SAFE-T1101", "SAFE-T1803", "CWE-89"},
	Doc:        doc,
	Detect:     detect,
}

const (
	certain  = 0.95 // no honest caller writes it there
	reported = 0.6  // somebody may have asked for it
	doubtful = 0.4  // words that people search for

	// maxValue is the longest text that is looked at where no statement belongs, in bytes:
	// a longer one is something to read. What is named as an identifier is none however
	// long it is, and padding must not hide what stands in it.
	maxValue = 2000
	// maxStatement is the same for statements and identifiers.
	maxStatement = 64 << 10
	// fewWords is how many words an identifier has at most that is longer than maxValue; what
	// has more is a text, under a wrong name.
	fewWords = 20
)

// pattern is a way to break out. Expressions are run over a text in lower case whose
// comments and white space are single spaces.
type pattern struct {
	detail     string
	expression func() *regexp.Regexp
	needs      []string // one of which stands in each text that matches; asking costs less
}

func (p *pattern) matches(text string) bool {
	needed := len(p.needs) == 0 || slices.ContainsFunc(p.needs, func(word string) bool { return strings.Contains(text, word) })
	return needed && p.expression().MatchString(text)
}

func lazy(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// breaking are ways out of the place that a statement has for a value.
var breaking = []pattern{
	{"a condition that is always true", lazy(`(?:['"]|^-?\d+)\)* ?(?:\|\||&&|\bor\b|\band\b) ?\(*(?:not )?(?:'[^']{0,40}' ?(?:=|like|<|>|in) ?\(?'|"[^"]{0,40}" ?(?:=|like) ?"|\d+ ?(?:=|<|>|like) ?\d+|true\b|exists ?\(|\(?select\b)`), nil},
	{"a second query behind the first", lazy(`(?:['")]|^-?\d+|^) ?(?:union|intersect|except) (?:all |distinct )?\(?select\b`), nil},
	{"a second statement behind the first", lazy(`(?:^|['")\w]) ?; ?(?:drop (?:table|database|schema|user)|delete from|insert into|update \w+ set|alter (?:table|user)|truncate (?:table )?\w|exec(?:ute)? \w|declare @|shutdown|grant \w+ |create (?:table|user|function)|select .{1,80}\bfrom\b|select pg_sleep|waitfor delay)`), nil},
	{"a comment that cuts off the rest of a statement", lazy(`^[^'"\s]{0,40}['"]\)* ?(?:--|#|;\x00)[ +-]*$`), nil},
	{"a call that makes the database wait", lazy(`(?:['")]|^-?\d+|;) ?\)*.{0,20}\b(?:sleep ?\(\d|benchmark ?\(\d|pg_sleep ?\(|waitfor delay '|dbms_pipe\.receive_message ?\(|randomblob ?\(\d{6})`), nil},
	{"a call that puts data into an error message", lazy(`['")] ?.{0,20}\b(?:extractvalue|updatexml|xmltype|ctxsys\.\w+) ?\(`), nil},
}

// leaving are ways from the database to files, commands and other machines.
var leaving = []pattern{
	{"a command of the operating system", lazy(`\bxp_cmdshell\b|\bsp_oacreate\b|\bsys_(?:exec|eval) ?\(|\bcopy\b.*\b(?:from|to) program ?'|\bdbms_scheduler\b|\bsystem ?\('`), []string{"xp_cmdshell", "sp_oacreate", "sys_", " program ", "dbms_scheduler", "system"}},
	{"a file of the machine", lazy(`\binto (?:outfile|dumpfile) ?['"]|\bload_file ?\(|\bpg_read_(?:binary_)?file ?\(|\bpg_ls_dir ?\(|\blo_(?:im|ex)port ?\(|\bload data (?:low_priority |concurrent )?(?:local )?infile\b|\bbulk insert\b|\butl_file\b|\bwritefile ?\(`), []string{"outfile", "dumpfile", "load_file", "pg_read", "pg_ls_dir", "lo_import", "lo_export", "infile", "bulk insert", "utl_file", "writefile"}},
	{"another machine or a library", lazy(`\bload_extension ?\(|\butl_(?:http|inaddr|tcp)\.|\bdblink(?:_connect)? ?\(|\bopenrowset ?\(|\bxp_dirtree\b|\bcreate (?:or replace )?function\b.*\b(?:soname|language ?'?c\b|plpython3?u|plperlu)`), []string{"load_extension", "utl_", "dblink", "openrowset", "xp_dirtree", "function"}},
}

// signs are what one of the patterns needs.
const signs = `'";-#(`

// wideSigns are the same as argument.Narrow reads them.
const wideSigns = "＇＂；－＃（"

func detect(subject rule.Subject) ([]rule.Match, error) {
	if subject.IsKey || len(subject.Text) > maxStatement {
		return nil, nil
	}
	meaning := argument.Of(subject)
	isSQL := meaning&argument.SQL != 0 && meaning&(argument.Atom|argument.Search) == 0
	if meaning&(argument.Prose|argument.Command) != 0 && !isSQL || !isSQL && len(subject.Text) > maxValue && meaning&argument.Atom == 0 {
		return nil, nil
	}
	if !strings.ContainsAny(subject.Text, signs+wideSigns+"%") && len(strings.Fields(subject.Text)) < 3 {
		return nil, nil
	}
	text := plain(subject.Text)
	confidence := reported
	switch {
	case meaning&argument.Search != 0:
		confidence = doubtful
	case meaning&argument.Atom != 0 && (len(subject.Text) <= maxValue || strings.Count(text, " ") < fewWords):
		confidence = certain
	}
	if !isSQL {
		for _, p := range breaking {
			if p.matches(text) {
				return match(subject, confidence, p.detail), nil
			}
		}
	}
	for _, p := range leaving {
		if p.matches(text) {
			return match(subject, confidence, "a statement that reaches "+p.detail), nil
		}
	}
	return nil, nil
}

func match(subject rule.Subject, confidence float64, detail string) []rule.Match {
	return []rule.Match{{Start: 0, End: len(subject.Text), Confidence: confidence, Detail: detail, Action: rule.Refuse}}
}

// plain writes a text in lower case, with comments and white space as single spaces,
// and percent-encoding undone. What MySQL runs inside of a comment, /*!50000 … */,
// stays.
func plain(text string) string {
	text = strings.ToLower(argument.Narrow(argument.Unescape(text)))
	var out strings.Builder
	space := func() {
		if s := out.String(); s != "" && s[len(s)-1] != ' ' {
			out.WriteByte(' ')
		}
	}
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "/*!"):
			i += len("/*!") - 1
			for i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
				i++
			}
			space()
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return out.String() + "--" // the rest is cut off
			}
			i += 2 + end + 1
			space()
		case strings.HasPrefix(text[i:], "*/"):
			i++
			space()
		case text[i] <= ' ' && text[i] != 0:
			space()
		case strings.HasPrefix(text[i:], "\u00a0"): // MySQL takes it for white space
			i++
			space()
		default:
			out.WriteByte(text[i])
		}
	}
	return out.String()
}
