package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gatehouse/internal/rule"
	"gatehouse/internal/rules"
)

func newRulesCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "rules",
		Short: "List, explain and measure what Gatehouse looks for",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, args []string) error { return c.Help() },
	}
	var asJSON bool
	command.PersistentFlags().BoolVar(&asJSON, "json", false, "write JSON")
	command.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the rules",
			Args:  cobra.NoArgs,
			RunE: func(c *cobra.Command, args []string) error {
				if asJSON {
					return printRulesJSON(c.OutOrStdout(), rules.All())
				}
				return printRules(c.OutOrStdout(), rules.All())
			},
		},
		&cobra.Command{
			Use:   "explain ID",
			Short: "Print what a rule finds, why it matters, and what to do",
			Args:  cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				r, found := rules.ByID(args[0])
				if !found {
					return fmt.Errorf("there is no rule %q; `gatehouse rules list` shows them", args[0])
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), explained{describe(r), r.Doc})
				}
				return printRule(c.OutOrStdout(), r)
			},
		},
		newRulesEvalCommand(&asJSON),
	)
	return command
}

// described is a rule in JSON. The names are stable.
type described struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Severity rule.Severity `json:"severity"`
	Surfaces []string      `json:"surfaces"`
	Refs     []string      `json:"refs"`
}

type explained struct {
	described
	Doc string `json:"doc"`
}

func describe(r rule.Rule) described {
	return described{ID: r.ID, Title: r.Title, Severity: r.Severity, Surfaces: r.Surfaces.Names(), Refs: r.Refs}
}

func printRulesJSON(out io.Writer, list []rule.Rule) error {
	all := make([]described, 0, len(list))
	for _, r := range list {
		all = append(all, describe(r))
	}
	return printJSON(out, all)
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func printRules(out io.Writer, list []rule.Rule) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RULE\tSEVERITY\tWHAT IT FINDS")
	for _, r := range list {
		fmt.Fprintf(table, "%s\t%v\t%s\n", r.ID, r.Severity, r.Title)
	}
	return table.Flush()
}

func printRule(out io.Writer, r rule.Rule) error {
	_, err := fmt.Fprintf(out, "%s\n\nrule      %s\nseverity  %v\nread      %v\nsee also  %s\n", readable(r.Doc), r.ID, r.Severity, r.Surfaces, strings.Join(r.Refs, ", "))
	return err
}

var (
	// inFences are the blocks of code of a page, in which nothing is a link.
	inFences = regexp.MustCompile("(?s)```.*?```")
	link     = regexp.MustCompile(`\[([^\[\]]+)\]\(([^()\s]+)\)`)
)

// readable is the page of a rule for a terminal: a link that leads from the page to
// another names the file in the repository, because nobody can follow it here.
func readable(doc string) string {
	var out strings.Builder
	at := 0
	prose := func(text string) {
		out.WriteString(link.ReplaceAllStringFunc(text, func(found string) string {
			m := link.FindStringSubmatch(found)
			return m[1] + " (" + target(m[2]) + ")"
		}))
	}
	for _, fence := range inFences.FindAllStringIndex(doc, -1) {
		prose(doc[at:fence[0]])
		out.WriteString(doc[fence[0]:fence[1]])
		at = fence[1]
	}
	prose(doc[at:])
	return strings.TrimSpace(out.String())
}

// target is where a link of a page in docs/rules leads.
func target(link string) string {
	if strings.Contains(link, "://") {
		return link
	}
	return path.Join("docs/rules", link)
}

// ruleIDs are those of all rules.
func ruleIDs() (ids []string) {
	for _, r := range rules.All() {
		ids = append(ids, r.ID)
	}
	return ids
}
