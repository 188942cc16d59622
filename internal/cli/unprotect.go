package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/protect"
)

type unprotectOptions struct {
	protect.Selection
	state, backup     string
	dryRun, yes, json bool
}

func newUnprotectCommand() *cobra.Command {
	var o unprotectOptions
	cmd := &cobra.Command{
		Use:   "unprotect [flags]",
		Short: "Put the files of your clients back as they were",
		Long: `unprotect takes back what ` + "`gatehouse protect`" + ` changed. A file that nobody changed since
gets the bytes back that it had. In a file that was changed, only our edits are taken
back; a server that was changed so that it cannot be told what to put back stays, and
is named. Secrets stand in the files again and leave the keyring.

Without a terminal and without --yes nothing is changed.

Exit codes: 0 done, or nothing to do; 1 there is something to do and nothing was changed;
2 wrong usage; 3 something could not be put back.`,
		Example: `  gatehouse unprotect --dry-run
  gatehouse unprotect --client cursor --server github --yes
  gatehouse unprotect --backup ~/.cursor/mcp.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Clients, "client", nil, "only the files of the client `ID` (repeatable)")
	f.StringArrayVar(&o.Servers, "server", nil, "only servers of this `NAME` (repeatable)")
	f.StringVar(&o.state, "state", "", "folder with the record of changes (default: the user's state folder)")
	f.StringVar(&o.backup, "backup", "", "only print this `FILE` as it was before it was protected, secrets included")
	f.BoolVar(&o.dryRun, "dry-run", false, "only show what would be changed")
	f.BoolVarP(&o.yes, "yes", "y", false, "change without asking")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o unprotectOptions) run(cmd *cobra.Command) error {
	if o.state == "" {
		o.state = userStateDir()
	}
	journal := journalAt(o.state)
	if o.backup != "" {
		return o.printBackup(cmd, journal)
	}
	report := unprotectReport{Schema: "gatehouse.unprotect/1", Files: []protect.Back{}}
	files, err := journal.PlanBack(o.Selection)
	if err != nil && !errors.Is(err, protect.ErrNothing) {
		return exitWith(exitIncomplete, err)
	}
	report.Files = append(report.Files, files...)
	asks := !o.yes && !o.dryRun && !o.json && isPerson(cmd.InOrStdin()) && len(files) > 0
	if asks {
		report.print(cmd.OutOrStdout())
	}
	if len(files) > 0 && !o.dryRun && (o.yes || asks && confirmed(cmd, bufio.NewReader(cmd.InOrStdin()), fmt.Sprintf("Put %s back? [y/N] ", count(len(files), "file")))) {
		report.Applied = true
		if report.Files, err = journal.Unprotect(o.Selection); err != nil {
			report.print(cmd.ErrOrStderr()) // what was done until then
			return exitWith(exitIncomplete, err)
		}
	}
	return report.finish(cmd.OutOrStdout(), o.json)
}

func (o unprotectOptions) printBackup(cmd *cobra.Command, journal protect.Journal) error {
	path, err := filepath.Abs(o.backup)
	if err != nil {
		return err
	}
	raw, err := journal.Backup(path)
	if err == nil {
		_, err = cmd.OutOrStdout().Write(raw)
	}
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	return nil
}

// unprotectReport is the report in JSON. The names are stable within one schema.
type unprotectReport struct {
	Schema  string         `json:"schema"`
	Applied bool           `json:"applied"`
	Files   []protect.Back `json:"files"`
}

func (r unprotectReport) finish(out io.Writer, asJSON bool) error {
	if asJSON {
		if err := printJSON(out, r); err != nil {
			return exitWith(exitIncomplete, err)
		}
	} else {
		r.print(out)
	}
	stays := 0
	for _, f := range r.Files {
		for _, s := range f.Servers {
			if s.How == protect.Stays {
				stays++
			}
		}
	}
	switch {
	case stays > 0:
		return exitWith(exitIncomplete, fmt.Errorf("%s could not be put back", count(stays, "server")))
	case !r.Applied && len(r.Files) > 0:
		return exitWith(exitFindings, nil)
	}
	return nil
}

func (r unprotectReport) print(out io.Writer) {
	if len(r.Files) == 0 {
		fmt.Fprintln(out, "Nothing is protected.")
		return
	}
	for _, f := range r.Files {
		how := "only what was changed by protect"
		if f.Exact {
			how = "the bytes that it had"
		}
		fmt.Fprintf(out, "%s (%s): %s\n", clipped(f.Path, 400), strings.Join(f.Clients, ", "), how)
		for _, s := range f.Servers {
			fmt.Fprintf(out, "  %-9s %s", s.How, clipped(s.Name, 60))
			if s.Why != "" {
				fmt.Fprintf(out, ": %s", clipped(s.Why, 400))
			}
			fmt.Fprintln(out)
			if s.How == protect.Gone && len(s.Secrets) > 0 {
				fmt.Fprintf(out, "            its secrets stay where they are: %s\n", clipped(strings.Join(s.Secrets, ", "), 400))
			}
		}
	}
	if r.Applied {
		fmt.Fprintln(out, "Restart your clients.")
	} else {
		fmt.Fprintln(out, "Nothing was changed. --yes changes it.")
	}
}
