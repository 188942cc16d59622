// Package questionabuse recognises questions of a server to the client that ask for
// what no server may ask for: secrets in a form, addresses that pretend to be others,
// and requests to the model that ask for the conversation or bring orders of their own.
package questionabuse

import (
	_ "embed"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "question-abuse",
	Title:    "A question of a server that asks too much",
	Severity: rule.High,
	Surfaces: rule.ClientRequest,
	Refs:     []string{"OWASP-MCP01:2025", "OWASP-MCP06:2025", "SAFE-T1112", "SAFE-T1403", "SAFE-T1603", "CWE-451", "CWE-1007"},
	Doc:      doc,
	Literals: []*rule.Literals{wording.Shared.Literals, phrases.Literals},
	Detect:   detect,
}

// Confidences. A question is a whole: where a part of it is wrong it is refused.
const (
	sure = 0.95
	fair = 0.6
)

// detect looks at one string of a question. What it is, its member name says: forms have
// a message, and names, titles, descriptions and formats of fields; a request to visit an
// address has a url; a sampling request has a system prompt and messages.
func detect(subject rule.Subject) ([]rule.Match, error) {
	if subject.Text == "" {
		return nil, nil
	}
	var matches []rule.Match
	whole := func(confidence float64, detail string) {
		matches = append(matches, rule.Match{End: len(subject.Text), Confidence: confidence, Detail: detail, Action: rule.Refuse})
	}
	switch {
	case subject.IsKey:
		if subject.Key == "properties" && secretName(subject.Text) {
			whole(sure, "a field of a form for a secret")
		}
		return matches, nil
	case subject.Key == "format" && subject.Text == "password":
		whole(sure, "a field of a form for a password")
	case subject.Key == "title" && isSecret(&subject), subject.Key == "description" && isSecret(&subject):
		whole(sure, "a field of a form for a secret")
	case subject.Key == "includeContext" && subject.Text == "allServers":
		whole(fair, "asks for what all servers said")
	case subject.Key == "url":
		if confidence, detail := judge(subject.Text); confidence > 0 {
			whole(confidence, detail)
		}
		return matches, nil
	}
	return append(matches, said(&subject)...), nil
}

// said are the matches of wordings.
func said(subject *rule.Subject) (matches []rule.Match) {
	for _, one := range wording.Shared.Said(subject) {
		if subject.Key == "systemPrompt" && one.Phrase.Weight >= 2 && orders[one.Phrase.Kind] {
			matches = append(matches, match(subject, one, sure, "a system prompt that "+one.Phrase.Detail))
		}
	}
	for _, one := range phrases.Said(subject) {
		confidence := fair
		if one.Phrase.Weight >= rule.Enough {
			confidence = sure
		}
		matches = append(matches, match(subject, one, confidence, one.Phrase.Detail))
	}
	return matches
}

func match(subject *rule.Subject, one rule.Said, confidence float64, detail string) rule.Match {
	folded := subject.Folded()
	m := rule.Match{Confidence: confidence, Detail: detail, Action: rule.Refuse}
	if rule.Mentioned(folded.Text, one.Start, one.End) {
		m.Mention, m.Confidence, m.Detail = true, fair/2, "quotes: "+detail
	}
	m.Start, m.End = folded.Span(one.Start, one.End)
	return m
}

// orders are the kinds of wordings that a system prompt of a server has no business
// saying. It may say how to answer and in what role.
var orders = map[string]bool{
	"override": true, "prompt-leak": true, "jailbreak": true, "exfiltration": true, "conversation": true, "transfer": true, "harm": true,
	wording.Concealment: true, wording.Secrets: true, wording.Memory: true, wording.Beacon: true,
}
