package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gatehouse/internal/rule"
)

// catalogue lists and explains what has an ID and a page: rules, checks.
type catalogue struct {
	name, one string // of the command, and of what it lists: rules, rule
	short     string // what the command does
	column    string // what a title says: "what it finds"
	explains  string // what a page says
	folder    string // of the pages in the repository, in which their links begin
	all       func() []described
}

// described is a rule or a check in JSON. The names are stable.
type described struct {
	ID         string        `json:"id"`
	Title      string        `json:"title"`
	Severity   rule.Severity `json:"severity"`
	Surfaces   []string      `json:"surfaces,omitempty"`   // of a rule
	Refs       []string      `json:"refs,omitempty"`       // of a rule
	References []string      `json:"references,omitempty"` // of a check
	Doc        string        `json:"doc,omitempty"`        // where it is explained
}

// command is the command, whose commands all write JSON if asJSON.
func (c catalogue) command(asJSON *bool) *cobra.Command {
	command := &cobra.Command{
		Use:   c.name,
		Short: c.short,
		Args:  cobra.NoArgs,
		RunE:  func(command *cobra.Command, args []string) error { return command.Help() },
	}
	command.PersistentFlags().BoolVar(asJSON, "json", false, "write JSON")
	command.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the " + c.name,
			Args:  cobra.NoArgs,
			RunE: func(command *cobra.Command, args []string) error {
				return c.list(command.OutOrStdout(), *asJSON)
			},
		},
		&cobra.Command{
			Use:   "explain ID",
			Short: "Print " + c.explains,
			Args:  cobra.ExactArgs(1),
			ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
				if len(args) > 0 {
					return completed(nil)
				}
				return completed(c.ids())
			},
			RunE: func(command *cobra.Command, args []string) error {
				return c.explain(command.OutOrStdout(), args[0], *asJSON)
			},
		},
	)
	return command
}

func (c catalogue) ids() (ids []string) {
	for _, d := range c.all() {
		ids = append(ids, d.ID)
	}
	return ids
}

func (c catalogue) list(out io.Writer, asJSON bool) error {
	all := c.all()
	if asJSON {
		for i := range all {
			all[i].Doc = ""
		}
		return printJSON(out, all)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.ToUpper(c.one+"\tseverity\t"+c.column))
	for _, d := range all {
		fmt.Fprintf(table, "%s\t%v\t%s\n", d.ID, d.Severity, d.Title)
	}
	return table.Flush()
}

func (c catalogue) explain(out io.Writer, id string, asJSON bool) error {
	all := c.all()
	i := slices.IndexFunc(all, func(d described) bool { return d.ID == id })
	if i < 0 {
		return fmt.Errorf("there is no %s %q; `gatehouse %s list` shows them", c.one, id, c.name)
	}
	d := all[i]
	if asJSON {
		return printJSON(out, d)
	}
	fmt.Fprintf(out, "%s\n\n%-8s  %s\nseverity  %v\n", readable(d.Doc, c.folder), c.one, d.ID, d.Severity)
	if len(d.Surfaces) > 0 {
		fmt.Fprintf(out, "read      %s\n", strings.Join(d.Surfaces, ", "))
	}
	seeAlso := append([]string{}, d.References...)
	if len(d.Refs) > 0 {
		seeAlso = append(seeAlso, strings.Join(d.Refs, ", "))
	}
	_, err := fmt.Fprintf(out, "see also  %s\n", strings.Join(seeAlso, "\n          "))
	return err
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

var (
	// inFences are the blocks of code of a page, in which nothing is a link.
	inFences = regexp.MustCompile("(?s)```.*?```")
	link     = regexp.MustCompile(`\[([^\[\]]+)\]\(([^()\s]+)\)`)
)

// readable is a page for a terminal: a link that leads from the page in its folder to
// another names the file in the repository, because nobody can follow it here.
func readable(doc, folder string) string {
	var out strings.Builder
	at := 0
	prose := func(text string) {
		out.WriteString(link.ReplaceAllStringFunc(text, func(found string) string {
			m := link.FindStringSubmatch(found)
			return m[1] + " (" + target(m[2], folder) + ")"
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

// target is where a link of a page in a folder leads.
func target(link, folder string) string {
	if strings.Contains(link, "://") {
		return link
	}
	return path.Join(folder, link)
}
