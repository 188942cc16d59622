package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/advisory"
	"gatehouse/internal/facts"
)

func newAdvisoriesCommand() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use:   "advisories",
		Short: "Keep what is known of vulnerable and malicious packages",
		Long: `scan compares packages with a snapshot of advisories and asks nobody. A small one, about MCP
servers, comes with the program; update fetches everything that OSV publishes about npm,
PyPI and Go.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&state, "state", "", "state folder `DIR` (default: as configured, or the user's state folder)")
	file := func() string {
		if state == "" {
			state = defaultStateDir()
		}
		return filepath.Join(state, facts.AdvisoriesFile)
	}
	cmd.AddCommand(newAdvisoriesUpdateCommand(file), newAdvisoriesShowCommand(file))
	return cmd
}

// updateTime bounds an update: hundreds of megabytes over a slow line.
const updateTime = 30 * time.Minute

func newAdvisoriesUpdateCommand(file func() string) *cobra.Command {
	var u advisory.Update
	var ecosystems []string
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Fetch a new snapshot",
		Long: `Fetch the archives of OSV, or take them or a whole snapshot from a file or another place,
and make a snapshot of them. A snapshot that is older than the one that is here, or much
smaller, or damaged, does not take its place.

A snapshot can be handed on: the file "advisories" in the state folder, under a name that
ends with .advisories. With --key it is taken only if NAME.advisories.sig beside it is a
signature of that Ed25519 key.`,
		Example: `  gatehouse advisories update
  gatehouse advisories update --from npm.zip
  gatehouse advisories update --from https://intranet.example/team.advisories --key team.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range ecosystems {
				e := advisory.Ecosystem(name)
				if !slices.Contains(advisory.Ecosystems(), e) {
					return exitWith(exitUsage, fmt.Errorf("--ecosystem %s: expected npm, PyPI or Go", name))
				}
				u.Ecosystems = append(u.Ecosystems, e)
			}
			u.Now = time.Now()
			u.Progress = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), clipped(line, 400)) }
			ctx, stop := context.WithTimeout(cmd.Context(), updateTime)
			defer stop()
			s, err := u.Run(ctx, file())
			if err != nil {
				return exitWith(exitIncomplete, fmt.Errorf("the snapshot stays as it was: %w", err))
			}
			return printSnapshot(cmd.OutOrStdout(), s)
		},
	}
	f := cmd.Flags()
	f.StringVar(&u.From, "from", "", "URL or file: a place with npm/all.zip and so on, one archive of OSV, or a snapshot (NAME.advisories)")
	f.StringSliceVar(&ecosystems, "ecosystem", nil, "npm, PyPI or Go (repeatable; default: all)")
	f.StringVar(&u.Key, "key", "", "`FILE` with the public Ed25519 key (PEM) that must have signed a snapshot")
	f.BoolVar(&u.Force, "force", false, "take a snapshot that is older or much smaller than the one that is here")
	return cmd
}

// shownAdvisories is the report in JSON.
type shownAdvisories struct {
	Schema   string              `json:"schema"`
	BuiltIn  string              `json:"builtIn"` // date
	Snapshot *advisory.Header    `json:"snapshot,omitempty"`
	Stale    bool                `json:"stale"`
	Package  string              `json:"package,omitempty"`
	Found    []advisory.Advisory `json:"advisories,omitempty"`
}

func newAdvisoriesShowCommand(file func() string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [ECOSYSTEM/PACKAGE]",
		Short: "Say how old the snapshot is, or what is known of a package",
		Long: `Check that the snapshot is whole and say how old it is and what it covers. With a package,
such as npm/mcp-remote, list its advisories.

Exit codes: 0 the snapshot is there and not old; 3 there is none, or it is old or damaged.`,
		Example: "  gatehouse advisories show\n  gatehouse advisories show npm/mcp-remote",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return showAdvisories(cmd.OutOrStdout(), file(), args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func showAdvisories(out io.Writer, file string, args []string, asJSON bool) error {
	own, err := advisory.BuiltIn()
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	set := advisory.Set{own}
	r := shownAdvisories{Schema: "gatehouse.advisories.show/1", BuiltIn: day(advisory.BuiltInDate), Stale: true}
	s, err := advisory.Open(file)
	switch {
	case err == nil:
		set = append(set, s)
		r.Snapshot, r.Stale = &s.Header, s.Old(time.Now())
	case !errors.Is(err, fs.ErrNotExist):
		return exitWith(exitIncomplete, err)
	}
	if len(args) > 0 {
		if r.Found, err = findAdvisories(set, args[0]); err != nil {
			return err
		}
		r.Package = args[0]
	}
	if asJSON {
		err = printJSON(out, r)
	} else {
		err = r.print(out, s)
	}
	switch {
	case err != nil:
		return exitWith(exitIncomplete, err)
	case s == nil:
		return exitWith(exitIncomplete, errors.New("only what comes with the program is known; gatehouse advisories update fetches the rest"))
	case r.Stale:
		return exitWith(exitIncomplete, errors.New("the snapshot is old; gatehouse advisories update fetches a new one"))
	}
	return nil
}

func findAdvisories(set advisory.Set, name string) ([]advisory.Advisory, error) {
	e, pack, found := strings.Cut(name, "/")
	if !found || !slices.Contains(advisory.Ecosystems(), advisory.Ecosystem(e)) {
		return nil, exitWith(exitUsage, fmt.Errorf("%s: expected npm/NAME, PyPI/NAME or Go/MODULE", visible(name)))
	}
	list, err := set.Find(advisory.Ecosystem(e), pack)
	if err != nil {
		return nil, exitWith(exitIncomplete, err)
	}
	return list, nil
}

func (r shownAdvisories) print(out io.Writer, s *advisory.Snapshot) error {
	fmt.Fprintf(out, "With the program: advisories about MCP servers, looked through on %s.\n", r.BuiltIn)
	if s == nil {
		fmt.Fprintln(out, "Fetched: none.")
	} else if err := printSnapshot(out, s); err != nil {
		return err
	}
	if r.Package == "" {
		return nil
	}
	fmt.Fprintf(out, "\n%s\n", visible(r.Package))
	if len(r.Found) == 0 {
		fmt.Fprintln(out, "  no advisory in these snapshots")
	}
	for _, a := range r.Found {
		what := a.Severity.String()
		if a.Malware {
			what = "malware"
		}
		fmt.Fprintf(out, "  %-9s %s  %s\n%12s%s\n", what, visible(strings.Join(append([]string{a.ID}, a.Aliases...), ", ")), clipped(a.Summary, 200), "", clipped(versionsOf(a), 200))
	}
	return nil
}

func versionsOf(a advisory.Advisory) string {
	var parts []string
	for _, r := range a.Ranges {
		from := "from the first version"
		if r.Introduced != "" {
			from = "from " + r.Introduced
		}
		switch {
		case r.Fixed != "":
			parts = append(parts, from+", fixed in "+r.Fixed)
		case r.Last != "":
			parts = append(parts, from+" to "+r.Last)
		default:
			parts = append(parts, from+" to the newest")
		}
	}
	if len(a.Versions) > 0 {
		parts = append(parts, "versions "+strings.Join(a.Versions, ", "))
	}
	return strings.Join(parts, "; ")
}

func printSnapshot(out io.Writer, s *advisory.Snapshot) error {
	_, err := fmt.Fprintf(out, "Fetched: %d advisories about %d packages, the newest of %s; made on %s.\n", s.Advisories, s.Packages, day(s.Newest), day(s.Made))
	for _, f := range s.Sources {
		skipped := ""
		if f.Skipped > 0 {
			skipped = fmt.Sprintf(", %d not understood", f.Skipped)
		}
		fmt.Fprintf(out, "  %-5s %d advisories to %s%s, from %s\n", f.Ecosystem, f.Advisories, day(f.Newest), skipped, clipped(f.From, 200))
	}
	return err
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
