// Package toolshadowing recognises definitions that bend or imitate the tools of
// another server.
package toolshadowing

import (
	"bytes"
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

// mentions finds the names of other servers' tools in a text, as a model reads them: in
// any case and any letters. Most texts have no word that can be such a name; for the others
// the neighbours are gone through once and not for each of their words.
func mentions(subject rule.Subject) []rule.Match {
	var matches []rule.Match
	folded := subject.Folded()
	text, lengths := folded.Text, humpLengths(subject)
	var known *index
	for i := 0; i < len(text); {
		if !nameByte(text[i]) {
			i++
			continue
		}
		start := i
		for i < len(text) && (nameByte(text[i]) || text[i] == '.') {
			i++
		}
		word := string(bytes.TrimRight(text[start:i], ".-"))
		if len(word) > maxName || len(word) < minMentioned || !strings.ContainsAny(word, "_-.") && !lengths[len(word)] {
			continue
		}
		if known == nil {
			known = newIndex(subject)
		}
		if n := known.named(word, around(text, start, i)); n != nil {
			m := mention(around(text, start, i), *n)
			m.Start, m.End = folded.Span(start, start+len(word))
			matches = append(matches, m)
		}
	}
	return matches
}

// humpLengths are the lengths of the names of neighbours that only capital letters tell
// from a word.
func humpLengths(subject rule.Subject) (lengths [maxName + 1]bool) {
	for _, n := range subject.Neighbours {
		if len(n.Name) <= maxName && hump(n.Name) {
			lengths[len(n.Name)] = true
		}
	}
	return lengths
}

// around is the text within reach of text[start:end].
func around(text []byte, start, end int) []byte {
	return text[max(0, start-wordingReach):min(len(text), end+wordingReach)]
}

// index is what the tools of all servers are called in a folded text.
type index struct {
	own  map[string]bool            // of the server itself
	bare map[string]*rule.Neighbour // of others, without their server
	full map[string]*rule.Neighbour // of others, with it
}

func newIndex(subject rule.Subject) *index {
	x := &index{own: map[string]bool{plain(subject.Name): true}, bare: map[string]*rule.Neighbour{}, full: map[string]*rule.Neighbour{}}
	add := func(to map[string]*rule.Neighbour, name string, n *rule.Neighbour) {
		if to[name] == nil {
			to[name] = n
		}
	}
	for i := range subject.Neighbours {
		n := &subject.Neighbours[i]
		name := plain(n.Name)
		if n.Server == subject.Server {
			x.own[name] = true
			continue
		}
		if distinctive(n.Name) {
			add(x.bare, name, n)
		}
		server := plain(n.Server)
		add(x.full, server+"_"+name, n)
		add(x.full, server+"."+name, n)
	}
	return x
}

// named finds the neighbour that a word names: by a name that is no ordinary word, or by
// server and name together; nil if there is none. A name that the server has as well is its
// own tool, because two installations of one server speak of themselves, unless the words
// around it say that another server's is meant.
func (x *index) named(word string, around []byte) *rule.Neighbour {
	if n := x.full[word]; n != nil {
		return n
	}
	if n := x.bare[word]; n != nil && (!x.own[word] || speaksOf(n.Server, around)) {
		return n
	}
	return nil
}

// plain is a name as it stands in a folded text: two underscores are one there, and those
// at an end are emphasis.
func plain(name string) string {
	return strings.Trim(strings.ReplaceAll(strings.ToLower(name), "__", "_"), "_")
}

// speaksOf says whether a text names a server as one: "the mail server", "of the
// server mail". The id alone is often an ordinary word.
func speaksOf(server string, text []byte) bool {
	server = strings.ToLower(server)
	for _, form := range []string{server + " server", "server " + server, server + "'s "} {
		if i := bytes.Index(text, []byte(form)); i >= 0 && (i == 0 || !nameByte(text[i-1])) {
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
var changing = regexp.MustCompile(`\b(?:instead of|in place of|rather than|replac\w+|supersed\w+|before (?:us|call|invok|runn)ing|before|after (?:us|call|invok|runn)ing|whenever|always|must|never|do not use|don't use|bcc|cc|redirect\w*|forward\w*|recipient|also (?:send|call|use)|every (?:time|call)|modif\w+|overrid\w+|deprecated|broken|incomplete|unsafe|insecure|no longer|route)\b`)

func mention(around []byte, n rule.Neighbour) rule.Match {
	if changing.Match(around) {
		return rule.Match{Severity: rule.High, Detail: "says how to use the tool " + n.Name + " of the server " + n.Server}
	}
	return rule.Match{Severity: rule.Medium, Detail: "mentions the tool " + n.Name + " of the server " + n.Server}
}

func nameByte(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// imitation compares the name of a tool with those of other servers and reports
// the worst likeness.
func imitation(subject rule.Subject) []rule.Match {
	var worst rule.Match
	skeleton := names.Skeleton(subject.Text)
	for _, n := range subject.Neighbours {
		if n.Server == subject.Server {
			continue
		}
		if m := alike(subject.Text, skeleton, n); m.Severity > worst.Severity {
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
func alike(name, skeleton string, n rule.Neighbour) rule.Match {
	who := n.Name + " of the server " + n.Server
	switch {
	case name == n.Name:
		return rule.Match{Severity: rule.Low, Detail: "the same name as " + who}
	case skeleton == names.Skeleton(n.Name):
		return rule.Match{Severity: rule.High, Detail: "a name that looks like " + who}
	case len(name) >= minNear && len(n.Name) >= minNear && names.OneEdit(name, n.Name):
		return rule.Match{Severity: rule.Medium, Detail: "a name one letter away from " + who}
	}
	return rule.Match{}
}
