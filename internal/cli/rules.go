package cli

import (
	"github.com/spf13/cobra"

	"gatehouse/internal/rules"
)

var ruleCatalogue = catalogue{
	name: "rules", one: "rule", column: "what it finds", folder: "docs/rules",
	short:    "List, explain and measure what Gatehouse looks for",
	explains: "what a rule finds, why it matters, and what to do",
	all: func() []described {
		all := []described{}
		for _, r := range rules.All() {
			all = append(all, described{ID: r.ID, Title: r.Title, Severity: r.Severity, Surfaces: r.Surfaces.Names(), Refs: r.Refs, Doc: r.Doc})
		}
		return all
	},
}

func newRulesCommand() *cobra.Command {
	var asJSON bool
	command := ruleCatalogue.command(&asJSON)
	command.AddCommand(newRulesEvalCommand(&asJSON))
	return command
}
