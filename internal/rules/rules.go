// Package rules lists the rules. Each stands in a folder of its own; the list is
// written by go generate, so that adding a rule edits no other file by hand.
package rules

import (
	"fmt"
	"strings"

	"gatehouse/internal/rule"
)

//go:generate go run gatehouse/internal/rules/gen list
//go:generate go run gatehouse/internal/rules/gen pages
//go:generate go run gatehouse/internal/rules/gen needs

// ByID finds a rule by its identifier.
func ByID(id string) (rule.Rule, bool) {
	for _, r := range All() {
		if r.ID == id {
			return r, true
		}
	}
	return rule.Rule{}, false
}

// Pages are the documentation pages of the rules by file name: one for each rule
// and an index.
func Pages(list []rule.Rule) map[string]string {
	const mark = "<!-- Written by go generate from the rules' folders. Edit doc.md there. -->\n\n"
	pages := map[string]string{}
	var index strings.Builder
	index.WriteString(mark + "# Rules\n\nWhat Gatehouse looks for in the texts that pass. `gatehouse rules explain ID` prints the same pages.\n\n" +
		"| rule | severity | what it finds |\n|---|---|---|\n")
	for _, r := range list {
		title, body, _ := strings.Cut(r.Doc, "\n")
		pages[r.ID+".md"] = mark + title + "\n\n" + facts(r) + body
		fmt.Fprintf(&index, "| [%s](%s.md) | %v | %s |\n", r.ID, r.ID, r.Severity, r.Title)
	}
	pages["README.md"] = index.String()
	return pages
}

// facts are the lines about a rule that its doc.md does not repeat, as a table of
// Markdown.
func facts(r rule.Rule) string {
	return fmt.Sprintf("| | |\n|---|---|\n| rule | `%s` |\n| severity | %v |\n| read | %v |\n| see also | %s |\n", r.ID, r.Severity, r.Surfaces, strings.Join(r.Refs, ", "))
}
