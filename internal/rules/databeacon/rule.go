// Package databeacon recognises addresses that carry data out: pictures that load by
// themselves, links, frames and forms whose address holds data or a place to fill it
// in, orders to build such addresses, and hosts that exist to collect what is sent.
package databeacon

import (
	_ "embed"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

const id = "data-beacon"

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "data-beacon",
	Title:    "An address that carries data out",
	Severity: rule.High,
	Surfaces: rule.FromServer,
	Refs:     []string{"OWASP-MCP10:2025", "SAFE-T1902", "SAFE-T1901", "SAFE-T1913", "CWE-201"},
	Doc:      doc,
	Literals: []*rule.Literals{wording.Shared.Literals, schemes},
	Detect:   detect,
}

// schemes begin the addresses that are looked at. An address without a scheme is one
// where markup says so.
var schemes = rule.NewLiterals(rule.Written, "http://", "https://", "](//", `="//`, "='//", "url(//")

var orders = wording.Room(id, wording.Beacon)

func detect(subject rule.Subject) ([]rule.Match, error) {
	matches, err := orders(subject)
	if err != nil || !subject.Holds(schemes) {
		return matches, err
	}
	last := 0
	subject.Each(schemes, func(_, start, end int) {
		if start < last {
			return // a part of an address that has been looked at
		}
		a := parse(subject.Text, start, end)
		last = a.end
		confidence, detail, decoded := a.judge(subject.Text)
		if confidence == 0 {
			return
		}
		m := rule.Match{Start: a.start, End: a.end, Confidence: confidence, Detail: detail, Decoded: decoded}
		wording.Withhold(&m, subject.Surface, id)
		matches = append(matches, m)
	})
	return matches, nil
}
