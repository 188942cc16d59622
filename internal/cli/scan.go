package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	checking "gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/clients"
	"gatehouse/internal/inventory"
)

func newScanCommand() *cobra.Command {
	var where clients.Where
	var asJSON bool
	var asked *factOptions
	command := &cobra.Command{
		Use:   "scan [FOLDER…]",
		Short: "List the MCP servers of every client on this machine",
		Long: `scan looks for the files in which clients keep their MCP servers, and lists the servers:
what each one runs, in which version, and who uses it. Nothing is started and nothing
leaves the machine. Project files are looked for in the given folders, or in this one,
and in the projects that clients remember.

The exit code is 3 when a file could not be read or understood: what it holds is not in
the list.`,
		Example: "  gatehouse scan\n  gatehouse scan --json ~/code/shop",
		RunE: func(c *cobra.Command, args []string) error {
			where.Projects = args
			machine, err := clients.Local(where)
			if err != nil {
				return exitWith(exitIncomplete, err)
			}
			report := scan(machine)
			if err := asked.gather(c.Context(), c, &checking.Scene{Now: time.Now(), Servers: report.Servers}); err != nil {
				return err
			}
			if err := report.print(c.OutOrStdout(), asJSON); err != nil {
				return exitWith(exitIncomplete, err)
			}
			if report.Summary.Incomplete > 0 {
				return exitWith(exitIncomplete, errors.New("some files could not be read; the list is not complete"))
			}
			return nil
		},
	}
	asked = factFlags(command)
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	command.Flags().BoolVar(&where.AllUsers, "all-users", false, "look into the homes of everybody on this machine")
	command.Flags().StringArrayVar(&where.Homes, "home", nil, "look into this home as well; may be given several times")
	return command
}

// scanned is the report in JSON. The names are stable within one schema.
type scanned struct {
	Schema  string             `json:"schema"`
	System  string             `json:"system"`
	Files   []scannedFile      `json:"files"`
	Servers []inventory.Server `json:"servers"`
	Summary scanSummary        `json:"summary"`
}

type scannedFile struct {
	client.File
	Servers int `json:"servers"`
}

type scanSummary struct {
	Places     int `json:"places"` // looked at
	Found      int `json:"found"`  // files that are there
	Parsed     int `json:"parsed"`
	Partial    int `json:"partial"`
	Failed     int `json:"failed"`
	Skipped    int `json:"skipped"`
	Incomplete int `json:"incomplete"` // partial, failed and skipped
	Clients    int `json:"clients"`    // that have servers
	Servers    int `json:"servers"`
}

func scan(machine client.Machine) scanned {
	found := clients.Discover(machine, client.NewFingerprints(nil))
	report := scanned{Schema: "gatehouse.scan/1", System: machine.System.String(), Files: []scannedFile{}, Servers: inventory.Servers(found.Entries())}
	s := &report.Summary
	s.Places, s.Found, s.Servers = found.Looked, len(found.Files), len(report.Servers)
	counts := map[client.State]*int{client.Parsed: &s.Parsed, client.Partial: &s.Partial, client.Failed: &s.Failed, client.Skipped: &s.Skipped}
	users := map[string]bool{}
	for _, f := range found.Files {
		*counts[f.State]++
		report.Files = append(report.Files, scannedFile{f, len(f.Entries)})
		for _, e := range f.Entries {
			for _, id := range e.Clients {
				users[id] = true
			}
		}
	}
	s.Clients, s.Incomplete = len(users), s.Found-s.Parsed
	return report
}

func (r scanned) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, r)
	}
	for _, server := range r.Servers {
		fmt.Fprintf(out, "%-18s %s\n%-18s %s\n", clipped(server.Name, 18), clipped(runs(server), 200), "", strings.Join(server.Clients, ", "))
	}
	if len(r.Servers) > 0 {
		fmt.Fprintln(out)
	}
	if err := r.printFiles(out); err != nil {
		return err
	}
	s := r.Summary
	_, err := fmt.Fprintf(out, "%s in %s. %s: %d parsed, %d in part, %d failed, %d skipped.\nLooked at %d places. Nothing was started, and no check was made yet.\n",
		count(s.Servers, "server"), count(s.Clients, "client"), count(s.Found, "file"), s.Parsed, s.Partial, s.Failed, s.Skipped, s.Places)
	return err
}

func (r scanned) printFiles(out io.Writer) error {
	if len(r.Files) == 0 {
		_, err := fmt.Fprintln(out, "No client has a file here.")
		return err
	}
	fmt.Fprintln(out, "FILES")
	files := slices.Clone(r.Files)
	slices.SortStableFunc(files, func(a, b scannedFile) int { return cmp.Compare(rank(b.State), rank(a.State)) })
	for _, f := range files {
		fmt.Fprintf(out, "%-7s  %3d  %s\n", f.State, f.Servers, clipped(f.Path, 400))
		for _, problem := range f.Problems {
			fmt.Fprintf(out, "              %s\n", clipped(problem, 400))
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}

// rank puts what could not be read first.
func rank(s client.State) int {
	return slices.Index([]client.State{client.Parsed, client.Partial, client.Skipped, client.Failed}, s)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// runs says in one line what a server is.
func runs(s inventory.Server) string {
	words := []string{string(s.Kind)}
	if s.Kind != inventory.BuiltIn {
		words = append(words, s.Package)
	}
	switch {
	case s.Pin == inventory.Newest:
		words = append(words, "(newest)")
	case s.Pin != inventory.Without && s.Pinned():
		words = append(words, s.Version)
	case s.Pin != inventory.Without:
		words = append(words, s.Version, "(not fixed)")
	}
	if s.Disabled {
		words = append(words, "(off)")
	}
	return strings.Join(words, " ")
}

// clipped repeats a text from a file without what a terminal would obey, and not
// longer than most characters.
func clipped(s string, most int) string {
	out := []rune(visible(s))
	if len(out) > most {
		out = append(out[:most-1], '…')
	}
	return string(out)
}
