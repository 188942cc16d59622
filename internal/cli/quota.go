package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/config"
	"gatehouse/internal/limit"
)

// quotasName is the folder of what was used, in the state folder.
const quotasName = "quotas"

type quotaOptions struct {
	place placeFlags
	by    string
	json  bool
}

func newQuotaCommand() *cobra.Command {
	var opts quotaOptions
	cmd := &cobra.Command{
		Use:   "quota",
		Short: "Show what is used of the quotas, and when it is free again",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	opts.place.register(cmd, flags)
	flags.StringVar(&opts.by, "by", "", "only what is used by `WHO`: a user, team, client, server or tool")
	flags.BoolVar(&opts.json, "json", false, "write JSON")
	const exits = `

What a running gateway grants is seen at once. Requests at once and loops are known to the
gateway only. Exit codes: 0 everything was read; 2 wrong usage or configuration; 3 what was
used could not be read.`
	cmd.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "Show everything that is used",
			Long:  "Shows what is used of each quota, by whom, and when it is free again." + exits,
			Example: `  gatehouse quota list
  gatehouse quota list --by user:idp/ann --json`,
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return runQuota(cmd, opts, "")
			},
		},
		&cobra.Command{
			Use:     "show NAME",
			Short:   "Show one quota, and what is used of it",
			Long:    "Shows what one quota bounds, what is used of it, by whom, and when it is free again." + exits,
			Example: "  gatehouse quota show each-user --json",
			Args:    cobra.ExactArgs(1),

			ValidArgsFunction: opts.place.completeQuotas,
			RunE:              func(cmd *cobra.Command, args []string) error { return runQuota(cmd, opts, args[0]) },
		},
	)
	return cmd
}

func runQuota(cmd *cobra.Command, opts quotaOptions, name string) error {
	state, c, err := opts.place.find()
	if err == nil && c == nil {
		err = errors.New("there is no configuration here; name one with --config")
	}
	if err != nil {
		return exitWith(exitUsage, err)
	}
	quotas := c.Quotas
	if name != "" {
		quotas = slices.DeleteFunc(slices.Clone(quotas), func(q config.Quota) bool { return q.Name != name })
		if len(quotas) == 0 {
			return exitWith(exitUsage, fmt.Errorf("%s has no quota %q", c.Path, name))
		}
	}
	list, err := limit.ReadUsage(filepath.Join(state, quotasName), c, time.Now())
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	list = slices.DeleteFunc(list, func(u limit.Usage) bool { return name != "" && u.Quota != name || !usedBy(u, opts.by) })
	out := cmd.OutOrStdout()
	switch {
	case opts.json:
		return printJSON(out, append([]limit.Usage{}, list...))
	case len(quotas) == 0:
		fmt.Fprintln(out, "The configuration has no quotas.")
		return nil
	case name != "":
		printQuota(out, quotas[0])
	}
	if len(list) == 0 {
		fmt.Fprintln(out, "Nothing is used.")
		return nil
	}
	return printUsage(out, list)
}

func usedBy(u limit.Usage, who string) bool {
	return who == "" || slices.ContainsFunc(u.By, func(p limit.Part) bool { return p.Name != "kind" && p.Value == who })
}

func printQuota(out io.Writer, q config.Quota) {
	together := "everybody together"
	if len(q.By) > 0 {
		together = "each " + strings.Join(q.By, " and ")
	}
	mode := ""
	if q.Report {
		mode = "; it only reports"
	}
	fmt.Fprintf(out, "%s counts %s for %s%s.\n\n", q.Name, strings.Join(q.When.Methods, ", "), together, mode)
}

func printUsage(out io.Writer, list []limit.Usage) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "QUOTA\tBOUND\tBY\tUSED\tOF\tFREE AGAIN")
	for _, u := range list {
		by := "everybody"
		if len(u.By) > 0 {
			var parts []string
			for _, p := range u.By {
				parts = append(parts, p.Name+"="+approval.Visible(p.Value))
			}
			by = strings.Join(parts, " ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", u.Quota, u.Counter, by, u.Used, u.Limit, u.Resets.Format(time.RFC3339))
	}
	return table.Flush()
}
