package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gatehouse/internal/checks"
	"gatehouse/internal/rule"
)

func newChecksCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "checks",
		Short: "List and explain what a scan looks for",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, args []string) error { return c.Help() },
	}
	var asJSON bool
	command.PersistentFlags().BoolVar(&asJSON, "json", false, "write JSON")
	command.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the checks",
			Args:  cobra.NoArgs,
			RunE: func(c *cobra.Command, args []string) error {
				if asJSON {
					return printJSON(c.OutOrStdout(), describeChecks())
				}
				return printCheckList(c.OutOrStdout())
			},
		},
		&cobra.Command{
			Use:   "explain ID",
			Short: "Print what a check finds, why it matters, and how to fix it",
			Args:  cobra.ExactArgs(1),
			ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
				if len(args) > 0 {
					return completed(nil)
				}
				return completed(checkIDs())
			},
			RunE: func(c *cobra.Command, args []string) error {
				return printCheck(c.OutOrStdout(), args[0], asJSON)
			},
		},
	)
	return command
}

// describedCheck is a check in JSON. The names are stable.
type describedCheck struct {
	ID         string        `json:"id"`
	Title      string        `json:"title"`
	Severity   rule.Severity `json:"severity"`
	References []string      `json:"references"`
}

type explainedCheck struct {
	describedCheck
	Doc string `json:"doc"`
}

func describeChecks() []describedCheck {
	all := []describedCheck{}
	for _, c := range checks.All() {
		all = append(all, describedCheck{ID: c.ID, Title: c.Title, Severity: c.Severity, References: c.References})
	}
	return all
}

func printCheckList(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CHECK\tSEVERITY\tWHAT IS WRONG")
	for _, c := range describeChecks() {
		fmt.Fprintf(table, "%s\t%v\t%s\n", c.ID, c.Severity, c.Title)
	}
	return table.Flush()
}

func printCheck(out io.Writer, id string, asJSON bool) error {
	c, known := checks.ByID(id)
	if !known {
		return fmt.Errorf("there is no check %q; `gatehouse checks list` shows them", id)
	}
	if asJSON {
		return printJSON(out, explainedCheck{describedCheck{c.ID, c.Title, c.Severity, c.References}, c.Doc})
	}
	_, err := fmt.Fprintf(out, "%s\n\ncheck     %s\nseverity  %v\nsee also  %s\n", strings.TrimSpace(c.Doc), c.ID, c.Severity, strings.Join(c.References, "\n          "))
	return err
}

// checkIDs are those of all checks.
func checkIDs() (ids []string) {
	for _, c := range checks.All() {
		ids = append(ids, c.ID)
	}
	return ids
}
