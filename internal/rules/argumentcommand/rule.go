// Package argumentcommand recognises commands in arguments that are not meant to be
// any, and commands that open, destroy or give away a machine.
package argumentcommand

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:         "argument-command",
	Title:      "Command in an argument that breaks out, or that gives the machine away",
	Severity:   rule.High,
	Confidence: reported,
	Surfaces:   rule.ToServer,
	Refs:       []string{"OWASP-MCP05:2025", "SAFE-T1101", "SAFE-T2101", "CWE-78", "CWE-88"},
	Doc:        doc,
	Literals:   []*rule.Literals{triggers},
	Detect:     detect,
}

const (
	certain  = 0.95 // no honest caller writes it there
	reported = 0.6  // somebody may have asked for it

	// maxValue is the longest text that is looked at where no command belongs, in bytes: a
	// longer one is something to read. What is named as a host, a branch or the like is no
	// text however long it is, and padding must not hide what stands in it; maxAtom bounds
	// the time for it.
	maxValue, maxAtom = 2000, 64 << 10
	// maxWindow is how much of a command around a trigger one expression sees, in bytes.
	maxWindow = 400
	// maxLooks bounds the windows of one command that are read. What was not read is
	// reported.
	maxLooks = 512
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	if subject.IsKey || subject.Text == "" {
		return nil, nil
	}
	meaning := argument.Of(subject)
	if meaning&argument.Command != 0 && !value(subject, meaning) {
		return harmful(&subject), nil
	}
	if meaning&(argument.Prose|argument.Search|argument.SQL) != 0 && meaning&(argument.Atom|argument.Path|argument.Address) == 0 {
		return nil, nil
	}
	if len(subject.Text) > maxAtom || len(subject.Text) > maxValue && meaning&argument.Atom == 0 {
		return nil, nil
	}
	confidence, detail := breaksOut(subject.Text, meaning)
	if detail == "" {
		return nil, nil
	}
	if meaning == 0 {
		confidence = min(confidence, reported)
	}
	return []rule.Match{{Start: 0, End: len(subject.Text), Confidence: confidence, Detail: detail, Action: rule.Refuse}}, nil
}

// value says whether an argument of a tool that runs commands is a value beside the
// command, such as the host or the container.
func value(subject rule.Subject, meaning argument.Meaning) bool {
	subject.Name = ""
	return meaning&argument.Atom != 0 && argument.Of(subject)&(argument.Command|argument.Prose) == 0
}

func lazy(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// harm is a command that no task needs, known by a word and confirmed around it. The
// expression sees a window only, so it need not count how far it goes, which would make
// it slow.
type harm struct {
	triggers   []string
	expression func() *regexp.Regexp
	confidence float64
	detail     string
}

var harms = []harm{
	{[]string{"/dev/tcp/", "/dev/udp/"}, lazy(`(?:[<>]&?|exec \d+<>) ?/dev/(?:tcp|udp)/[\w.$\{\}-]+/[\w$\{\}]+`), certain, "a shell that somebody else holds"},
	{[]string{"ncat ", "nc -", "netcat ", "nc.exe", "nc "}, lazy(`\b(?:nc|ncat|netcat)(?:\.exe|\.traditional)? [^\n;]*-[a-z]*[ec] ?['"]?[\w/\\]*(?:sh|bash|cmd(?:\.exe)?|powershell)\b`), certain, "a shell that somebody else holds"},
	{[]string{"mkfifo ", "mknod "}, lazy(`\bmk(?:fifo|nod)\b[\s\S]*\b(?:nc|ncat|netcat|telnet|openssl s_client)\b`), certain, "a shell that somebody else holds"},
	{[]string{"socket"}, lazy(`socket[\s\S]*(?:dup2 ?\(|pty\.spawn|/bin/(?:ba)?sh -i|exec\(["']/bin/(?:ba)?sh)`), certain, "a shell that somebody else holds"},
	{[]string{"socat "}, lazy(`\bsocat\b[^\n]*exec:['"]?[^\s]*(?:sh|bash|cmd)\b`), certain, "a shell that somebody else holds"},
	{[]string{"rm -", "rm${ifs}", "--no-preserve-root"}, lazy(`\brm (?:-[a-z]+ |--[a-z-]+ )*(?:-[a-z]*[rf][a-z]*|--recursive|--no-preserve-root) (?:--[a-z-]+ )*(?:/|/\*|~|~/|~/\*|\$home|\$home/\*?)(?:\s|[;&|"']|$)`), certain, "deletes everything"},
	{[]string{":(){", ":() {"}, lazy(`:\(\) ?\{ ?:\|: ?& ?\} ?; ?:`), certain, "a fork bomb"},
	{[]string{"of=/dev/", "> /dev/", ">/dev/"}, lazy(`(?:\bdd [^\n;]*of=|>) ?/dev/(?:sd[a-z]|nvme\d|hd[a-z]|vd[a-z])\b`), reported, "overwrites a disk"},
	{[]string{"mkfs"}, lazy(`\bmkfs(?:\.\w+)? [^\n;]*/dev/`), reported, "overwrites a disk"},
	{[]string{"curl ", "wget "}, lazy(`\b(?:curl|wget) [^\n;]*\| ?(?:sudo )?(?:/\w+/|/\w+/\w+/)?(?:ba|z|da|k)?sh\b`), reported, "runs what a page returns"},
	{[]string{"base64 "}, lazy(`\bbase64 (?:-d|-di|--decode)\b[^\n;]*\| ?(?:sudo )?(?:(?:ba|z|da)?sh|python\d?|perl)\b`), reported, "runs what is written in Base64"},
	{[]string{"powershell", "pwsh"}, lazy(`\b(?:powershell|pwsh)(?:\.exe)? [^\n]*-e(?:n|nc|nco|ncodedcommand)? ['"]?[a-z0-9+/=]{40}`), reported, "runs what is written in Base64"},
	{[]string{"downloadstring", "invoke-expression", "iex"}, lazy(`(?:\biex\b|invoke-expression)[^\n]*(?:downloadstring|\birm\b|\biwr\b|invoke-webrequest|invoke-restmethod)|(?:downloadstring|\birm\b|\biwr\b)[^\n]*\| ?iex\b`), reported, "runs what a page returns"},
	{[]string{"curl ", "wget ", "ncat ", "nc "}, lazy(`(?:\.env\b|id_rsa|id_ed25519|\.aws/credentials|/etc/shadow|\.netrc|\b(?:print)?env\b) ?\| ?[^\n;]*\b(?:curl|wget|nc|ncat)\b|\b(?:curl|wget)\b[^\n;]*(?:-d|-f|-t|--data[a-z-]*|--form|--upload-file|--post-file)[ =]?[^\s;]*(?:@|\$\(cat |=)?[^\s;]*(?:\.env\b|id_rsa|id_ed25519|\.aws/credentials|/etc/shadow)`), reported, "sends a file of secrets away"},
	{[]string{"authorized_keys"}, lazy(`>> ?[^\s;]*authorized_keys`), reported, "lets somebody log in"},
	{[]string{"history -c", "unset histfile", "histfile=/dev/null"}, lazy(`history -c|unset histfile|histfile=/dev/null`), reported, "hides what was typed"},
}

// triggers are those of all harms; owners[i] is the harm of the i-th.
var triggers, owners = func() (*rule.Literals, []int) {
	var words []string
	var of []int
	for i, h := range harms {
		for _, word := range h.triggers {
			words, of = append(words, word), append(of, i)
			if strings.Contains(word, " ") {
				words, of = append(words, strings.ReplaceAll(word, " ", "\t")), append(of, i)
			}
		}
	}
	return rule.NewLiterals(rule.Written, words...), of
}()

// harmful looks at a command. An argument that is a command is what its tool is for,
// so only what no task needs counts.
func harmful(subject *rule.Subject) []rule.Match {
	var matches []rule.Match
	seen := make([]int, len(harms)) // where the next look of each may begin
	looks := 0
	subject.Each(triggers, func(literal, start, end int) {
		i := owners[literal]
		if start < seen[i] {
			return
		}
		if looks++; looks > maxLooks {
			if looks == maxLooks+1 {
				matches = append(matches, rule.Match{Start: start, End: end, Detail: "a command with more places that may do harm than are read", Action: rule.Refuse})
			}
			return
		}
		from, to := max(0, start-maxWindow), min(len(subject.Text), end+maxWindow)
		seen[i] = end + maxWindow/2
		window := simple(subject.Text[from:to])
		if harms[i].expression().MatchString(window) {
			matches = append(matches, rule.Match{Start: start, End: end, Confidence: harms[i].confidence, Detail: "a command: " + harms[i].detail, Action: rule.Refuse})
			seen[i] = to
		}
	})
	return matches
}

// simple writes a command in lower case, without what a shell takes away.
func simple(command string) string {
	return disguises.Replace(strings.ToLower(command))
}

// disguises are ways to write a command that mean the same.
var disguises = strings.NewReplacer("''", "", `""`, "", "${ifs}", " ", "$ifs$9", " ", "$ifs", " ", "\\\n", " ", "\t", " ", "  ", " ")
