// Package exhaustionloop recognises text that makes a model call tools again and
// again.
package exhaustionloop

import (
	"bytes"
	_ "embed"
	"regexp"
	"slices"
	"sync"

	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:         "exhaustion-loop",
	Title:      "Text that makes a model call tools without end",
	Severity:   rule.High,
	Confidence: reported,
	Surfaces:   rule.FromServer,
	Refs:       []string{"OWASP-MCP06:2025", "SAFE-T1106", "SAFE-T2102", "CWE-400", "CWE-674", "CWE-835"},
	Doc:        doc,
	Literals:   []*rule.Literals{triggers},
	Detect:     detect,
}

const (
	certain  = 0.92
	reported = 0.5 // many tools are meant to be called again
	// reach is how far around a trigger is read, in folded bytes.
	reach = 200
	// behind is how much behind a trigger must have been read for it to be done with.
	behind = 100
	// maxLooks bounds the places of one text that are read, and looksEvery says for how
	// many bytes of it there is one more: each costs up to a third of a millisecond, and a
	// hostile text has as many as it likes. What was not read is reported.
	maxLooks   = 256
	looksEvery = 1 << 10
)

// triggers are words of what has no end. Most texts with one of them speak of
// something else, so the rest is asked for near them.
var triggers = rule.NewLiterals(rule.Lowercase, "forever", "indefinitely", "endless", "infinite", "infinitely", "without stopping", "without ever stopping", "never stop", "not stop", "don't stop", "keep calling", "keep invoking", "keep running", "keep using", "continue calling", "00 times", "as many times", "as often as", "regardless of", "even if", "no matter", "recursive", "again", "every response", "every answer", "each response")

const (
	order = `\b(?:call|invoke|run|use|execute|re-?run|repeat|trigger|query|launch|spawn)`
	// self is what is called.
	self     = `(?:(?:this|that|these|the same|it|its own|itself|yourself)\b(?: \w+){0,4}? ?(?:` + callable + `)?\b|(?:the|both|all|each|every|your)\b(?: [\w-]+){0,4}? (?:` + callable + `|\w+_\w+)\b)`
	callable = `tools?|functions?|agents?|sub-?agents?|servers?|calls?|again|itself|yourself|prompts?|quer(?:y|ies)|commands?|search(?:es)?|requests?|steps?|loops?|one|two|three`
	gap      = `[^.!?\n]*?`
	// endless is an end that does not come.
	endless = `\b(?:forever|indefinitely|endlessly|infinitely|without (?:ever )?(?:stopping|end|limit|pause)|in an? (?:infinite|endless|continuous) loop|\d?[\d,]*\d00 times|as many times as (?:possible|you can)|as often as (?:possible|you can)|until (?:you (?:run out|are stopped|reach your|hit your|are told to stop)|the (?:budget|quota|context|limit|user stops)))`
)

var (
	without  = lazy(order + `(?:ing)? ` + self + gap + endless)
	unended  = lazy(`\b(?:never|do not|don't|must not) (?:ever )?stop (?:calling|invoking|running|using|executing|querying|repeating)\b|\b(?:keep|continue) (?:on )?(?:calling|invoking|running|using|executing|querying|repeating) ` + self + gap + `(?:` + endless + `|\b(?:never stop|do not stop|don't stop|no matter|regardless of|even if)\b)`)
	always   = lazy(`\b(?:after|for|following) (?:each|every) (?:\w+ )?(?:call|response|result|answer|invocation|message|output|turn)s?\b` + gap + order + ` ` + self + gap + `\bagain\b`)
	whatever = lazy(order + ` (?:this|the same|it|that)\b(?: \w+){0,3}? ?again\b` + gap + `\b(?:regardless of|even if it|no matter (?:what|how))`)
	fanOut   = lazy(`\bfor (?:each|every) (?:\w+ ){1,5}?` + gap + order + ` ` + self + gap + `\b(?:recursively|for each of (?:them|those|its|their)|and again for each)\b`)
	// again is what many tools say of themselves; it counts only without a reason.
	again = lazy(order + ` (?:this|the same|that) (?:\w+ )?(?:tool|function) (?:again|repeatedly)\b`)
	// reason is a word of a condition or of pages and progress.
	reason = lazy(`\b(?:if|when|once|unless|until|while|next|page|cursor|token|offset|status|progress|complete\w*|remaining|more|with the|with a|error\w*|fail\w*|valid\w*|after|then|to (?:check|get|see|retrieve|continue|verify|refresh|update))\b`)
	// negated comes before what is forbidden or described.
	negated = lazy(`(?:\b(?:not|never|avoid|prevents?|without|stop|cannot|can't|won't|don't|will|would|could|may|might|can|to|which|that|it|they|we|i|and) (?:\w+ )?|n't )$`)
)

func lazy(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// loops are the ways to say it, the surest first.
var loops = []struct {
	expression func() *regexp.Regexp
	confidence float64
	detail     string
	needs      []string // one of which stands in what matches; asking costs less
}{
	{without, certain, "tells to call something without end", []string{"forever", "indefinitely", "endless", "infinite", "without", "00 times", "possible", "you can", "until you", "until the", "loop"}},
	{unended, certain, "tells to call something without end", []string{"stop ", "keep ", "continue "}},
	{always, certain, "tells to call something again after each answer", []string{"after each", "after every", "for each", "for every", "following each", "following every"}},
	{whatever, certain, "tells to call something again whatever it returns", []string{"regardless", "even if", "no matter"}},
	{fanOut, reported, "tells to call something for each of many, and for each of theirs", []string{"for each", "for every"}},
	{again, reported, "tells to call a tool again", []string{"tool again", "tool repeatedly", "function again", "function repeatedly"}},
}

func detect(subject rule.Subject) ([]rule.Match, error) {
	if !subject.Holds(triggers) {
		return nil, nil
	}
	var matches []rule.Match
	folded, done, seen, looks := subject.Folded(), 0, 0, 0
	most := maxLooks + len(folded.Text)/looksEvery
	subject.Each(triggers, func(literal, start, end int) {
		if start < done || end+behind <= seen {
			return // it has been read with the trigger before
		}
		from, to := max(done, start-reach), min(len(folded.Text), end+reach)
		if seen = to; !calls(folded.Text[from:to]) {
			return
		}
		if looks++; looks > most {
			if looks == most+1 {
				first, last := folded.Span(start, end)
				matches = append(matches, rule.Match{Start: first, End: last, Detail: "more places that may tell to call something than are read"})
			}
			return
		}
		if m, stop, found := look(&subject, from, to, end); found {
			matches, done, seen = append(matches, m), stop, stop // behind it there can be another
		}
	})
	return matches, nil
}

// calls says whether a text speaks of calling something.
func calls(text []byte) bool {
	return holds(text, []string{"call", "invok", "tool", "function", "agent", "query", "run"})
}

func holds(text []byte, words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(text, []byte(word)) })
}

// look tries the ways on one stretch of the folded text.
func look(subject *rule.Subject, from, to, end int) (m rule.Match, stop int, found bool) {
	text := subject.Folded().Text
	for _, loop := range loops {
		if !holds(text[from:to], loop.needs) {
			continue
		}
		at := loop.expression().FindIndex(text[from:to])
		if at == nil || negated().Match(text[max(0, from+at[0]-24):from+at[0]]) {
			continue
		}
		confidence := loop.confidence
		sentence := text[from+at[0] : min(len(text), from+at[1]+60)]
		if n := bytes.IndexAny(sentence[at[1]-at[0]:], ".!?\n"); n >= 0 {
			sentence = sentence[:at[1]-at[0]+n]
		}
		if confidence < certain && reason().Match(sentence) || confidence < certain && reason().Match(text[max(0, from+at[0]-60):from+at[0]]) {
			continue
		}
		mention := rule.Mentioned(text, from+at[0], from+at[1])
		if mention {
			confidence = reported
		}
		first, last := subject.Folded().Span(from+at[0], from+at[1])
		m = rule.Match{Start: first, End: last, Confidence: confidence, Mention: mention, Detail: loop.detail}
		if subject.Surface&rule.Definitions == 0 {
			m.Action, m.Replacement = rule.Redact, "[content withheld by Gatehouse: exhaustion-loop]"
		}
		return m, max(end, from+at[1]), true
	}
	return m, 0, false
}
