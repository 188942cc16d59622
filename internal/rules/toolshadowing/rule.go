// Package toolshadowing recognises definitions that bend or imitate the tools of
// another server.
package toolshadowing

import (
	_ "embed"
	"regexp"
	"strings"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/names"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "tool-shadowing",
	Title:    "Definition that bends or imitates another server's tool",
	Severity: rule.High,
	Surfaces: rule.ToolDefinition | rule.PromptDefinition | rule.Instructions,
	Refs:     []string{"OWASP-MCP03:2025", "SAFE-T1008", "SAFE-T1301", "CWE-1007"},
	Doc:      doc,
	Detect:   detect,
}

const (
	// minMentioned is the shortest name that is taken for a mention. Shorter ones
	// are words.
	minMentioned = 6
	// minNear is the shortest name whose neighbours at one edit are looked at.
	minNear = 8
	// maxName bounds a word that is compared; names of tools have at most 128
	// characters.
	maxName = 300
	// wordingReach is how far around a mention the wording is read, in bytes.
	wordingReach = 160
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	if subject.Text == "" || len(subject.Neighbours) == 0 {
		return nil, nil
	}
	if subject.Key == "name" && !subject.IsKey && subject.Surface == rule.ToolDefinition && subject.Text == subject.Name {
		return imitation(subject), nil
	}
	return mentions(subject), nil
}

// mentions finds the names of other servers' tools in a text. Only words that
// can be such a name are compared, so the neighbours are gone through a few times
// for a text and not once for each of its bytes.
func mentions(subject rule.Subject) []rule.Match {
	var matches []rule.Match
	text := subject.Text
	for i := 0; i < len(text); {
		if !nameByte(text, i) {
			i++
			continue
		}
		start := i
		for i < len(text) && (nameByte(text, i) || text[i] == '.') {
			i++
		}
		word := strings.TrimRight(text[start:i], ".-")
		if len(word) > maxName || !distinctive(word) && !strings.Contains(word, ".") {
			continue
		}
		if n, found := named(word, around(text, start, i), subject); found {
			matches = append(matches, mention(text, start, start+len(word), n))
		}
	}
	return matches
}

// around is the text within reach of text[start:end].
func around(text string, start, end int) string {
	return text[max(0, start-wordingReach):min(len(text), end+wordingReach)]
}

// named finds the neighbour that a word names: by a name that is no ordinary
// word, or by server and name together. A name that the server has as well is its
// own tool, because two installations of one server speak of themselves, unless
// the words around it say that another server's is meant.
func named(word, around string, subject rule.Subject) (rule.Neighbour, bool) {
	var bare *rule.Neighbour
	own := word == subject.Name
	for i, n := range subject.Neighbours {
		if n.Server == subject.Server {
			own = own || n.Name == word
			continue
		}
		if bare == nil && word == n.Name && distinctive(word) {
			bare = &subject.Neighbours[i]
		}
		if rest, found := strings.CutPrefix(word, n.Server); found && (rest == "__"+n.Name || rest == "."+n.Name) {
			return n, true
		}
	}
	if bare == nil || own && !speaksOf(bare.Server, around) {
		return rule.Neighbour{}, false
	}
	return *bare, true
}

// speaksOf says whether a text names a server as one: "the mail server", "of the
// server mail". The id alone is often an ordinary word.
func speaksOf(server, text string) bool {
	text = strings.ToLower(text)
	for _, form := range []string{server + " server", "server " + server, server + "'s "} {
		if i := strings.Index(text, form); i >= 0 && (i == 0 || !nameByte(text, i-1)) {
			return true
		}
	}
	return false
}

// distinctive says whether a name is no ordinary word.
func distinctive(name string) bool {
	return len(name) >= minMentioned && (strings.ContainsAny(name, "_-") || hump(name))
}

// hump says whether an upper-case letter follows a lower-case one.
func hump(name string) bool {
	for i := 1; i < len(name); i++ {
		if name[i] >= 'A' && name[i] <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z' {
			return true
		}
	}
	return false
}

// changing is wording that says how or when something is used.
var changing = regexp.MustCompile(`(?i)\b(?:instead of|in place of|rather than|replac\w+|supersed\w+|before (?:us|call|invok|runn)ing|before|after (?:us|call|invok|runn)ing|whenever|always|must|never|do not use|don't use|bcc|cc|redirect\w*|forward\w*|recipient|also (?:send|call|use)|every (?:time|call)|modif\w+|overrid\w+|deprecated|broken|incomplete|unsafe|insecure|no longer|route)\b`)

func mention(text string, start, end int, n rule.Neighbour) rule.Match {
	m := rule.Match{Start: start, End: end, Severity: rule.Medium, Detail: "mentions the tool " + n.Name + " of the server " + n.Server}
	if changing.MatchString(around(text, start, end)) {
		m.Severity, m.Detail = rule.High, "says how to use the tool "+n.Name+" of the server "+n.Server
	}
	return m
}

func nameByte(text string, i int) bool {
	c := text[i]
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// imitation compares the name of a tool with those of other servers and reports
// the worst likeness.
func imitation(subject rule.Subject) []rule.Match {
	var worst rule.Match
	for _, n := range subject.Neighbours {
		if n.Server == subject.Server {
			continue
		}
		if m := alike(subject.Text, n); m.Severity > worst.Severity {
			worst = m
		}
	}
	if worst.Severity == rule.Unrated {
		return nil
	}
	worst.Start, worst.End = 0, len(subject.Text)
	return []rule.Match{worst}
}

// alike says how a name resembles a neighbour's. The same name is ordinary: two
// installations of one server have it, and the gateway keeps them apart by the
// server's id.
func alike(name string, n rule.Neighbour) rule.Match {
	who := n.Name + " of the server " + n.Server
	switch {
	case name == n.Name:
		return rule.Match{Severity: rule.Low, Detail: "the same name as " + who}
	case names.Skeleton(name) == names.Skeleton(n.Name):
		return rule.Match{Severity: rule.High, Detail: "a name that looks like " + who}
	case len(name) >= minNear && len(n.Name) >= minNear && names.OneEdit(name, n.Name):
		return rule.Match{Severity: rule.Medium, Detail: "a name one letter away from " + who}
	}
	return rule.Match{}
}
