// Package secretexposed recognises credentials, in what a server says and in
// what leaves towards a server that they do not belong to.
package secretexposed

import (
	_ "embed"
	"slices"
	"strings"

	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "secret-exposed",
	Title:    "Credential in a message",
	Exposure: true,
	Severity: rule.High,
	Surfaces: rule.FromServer | rule.ToServer,
	Refs:     []string{"OWASP-MCP01:2025", "SAFE-T1502", "SAFE-T1911", "CWE-200", "CWE-522"},
	Doc:      doc,
	Secret:   true,
	Literals: []*rule.Literals{literals},
	Detect:   detect,
}

// secret is a credential that was recognised in text[start:end].
type secret struct {
	start, end int
	kind       string // for people
	vendor     string // lower-case word that stands in the owner of a server it belongs to
	severity   rule.Severity
}

// finder looks at one place where a literal was found and returns the secret
// that stands there.
type finder func(text string, start, end int) (secret, bool)

func detect(subject rule.Subject) ([]rule.Match, error) {
	var found []secret
	if subject.Holds(literals) {
		found = withKeyPairs(subject.Text, recognised(&subject))
	}
	if found = append(found, configured(subject)...); len(found) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(found, func(a, b secret) int { return a.start - b.start })
	var matches []rule.Match
	for _, s := range found {
		if subject.Surface&rule.ToServer != 0 && entitled(subject, s) {
			continue
		}
		matches = append(matches, match(subject, s))
	}
	return matches, nil
}

// recognised finds the secrets that look like one.
func recognised(subject *rule.Subject) []secret {
	var found []secret
	text, done := subject.Text, 0 // everything before is part of a secret or was read by a finder
	subject.Each(literals, func(literal, start, end int) {
		if start < done {
			return
		}
		if s, ok := finders[literal](text, start, end); ok {
			found = append(found, s)
			done = s.end
		}
	})
	return found
}

// configured finds the secrets that the configuration itself holds, whatever they
// look like.
func configured(subject rule.Subject) []secret {
	var found []secret
	for _, value := range subject.Configured {
		for at := 0; value != ""; {
			i := strings.Index(subject.Text[at:], value)
			if i < 0 {
				break
			}
			at += i + len(value)
			found = append(found, secret{start: at - len(value), end: at, kind: "configured secret"})
		}
	}
	return found
}

// inAssignment ends the kinds that only a name and the look of a value speak for.
const inAssignment = "in an assignment"

// match proposes what the surface calls for: a result keeps everything but the
// secret, a request does not leave. Something that is only probably a secret is
// reported.
func match(subject rule.Subject, s secret) rule.Match {
	m := rule.Match{Start: s.start, End: s.end, Severity: s.severity, Detail: s.kind}
	if subject.Surface&rule.Definitions != 0 && s.severity == rule.Unrated && strings.HasSuffix(s.kind, inAssignment) {
		m.Severity = rule.Medium // definitions show examples
	}
	certain := s.severity == rule.Unrated || s.severity >= rule.Medium
	switch {
	case !certain || subject.Surface&rule.Definitions != 0:
	case subject.Surface&rule.ToServer != 0:
		m.Action = rule.Refuse
	default:
		m.Action, m.Replacement = rule.Redact, "[secret redacted by Gatehouse: "+s.kind+"]"
	}
	return m
}

// shortestKnown is how long a configured value must be to speak for a longer text
// that holds it: the 1 of DEBUG=1 stands in half of all tokens.
const shortestKnown = 8

// entitled says whether the server may have the secret: the configuration gives
// it to the server, or it is a token of the service that the server speaks for.
func entitled(subject rule.Subject, s secret) bool {
	value := subject.Text[s.start:s.end]
	for _, known := range subject.Known {
		if len(known) >= shortestKnown && strings.Contains(value, known) || strings.Contains(known, value) {
			return true
		}
	}
	return s.vendor != "" && strings.Contains(subject.Owner, s.vendor)
}
