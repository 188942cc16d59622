package cli

import (
	"github.com/spf13/cobra"

	"gatehouse/internal/checks"
)

var checkCatalogue = catalogue{
	name: "checks", one: "check", column: "what is wrong", folder: "docs",
	short:    "List and explain what a scan looks for",
	explains: "what a check finds, why it matters, and how to fix it",
	all: func() []described {
		all := []described{}
		for _, c := range checks.All() {
			all = append(all, described{ID: c.ID, Title: c.Title, Severity: c.Severity, References: c.References, Doc: c.Doc})
		}
		return all
	},
}

func newChecksCommand() *cobra.Command { return checkCatalogue.command(new(bool)) }
