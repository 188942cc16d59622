package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	checking "gatehouse/internal/check" // check is a line of the doctor here
	"gatehouse/internal/checks"
	"gatehouse/internal/client"
	"gatehouse/internal/clients"
	"gatehouse/internal/config"
	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
	"gatehouse/internal/report/cyclonedx"
	"gatehouse/internal/report/page"
	"gatehouse/internal/report/sarif"
	"gatehouse/internal/report/terminal"
	"gatehouse/internal/rule"
	"gatehouse/internal/statefile"
)

// suppressionsFile is where suppressions stand: in a home for all scans of its owner, in
// a project for scans of that project only.
const suppressionsFile = ".gatehouse-suppressions.yaml"

// never is a severity that nothing has.
const never = rule.Critical + 1

// baselineDays is how long what --write-baseline accepts is accepted.
const baselineDays = 90

func newScanCommand() *cobra.Command {
	o := &scanOptions{}
	command := &cobra.Command{
		Use:   "scan [FOLDER…]",
		Short: "Find the MCP servers of every client on this machine, and what is risky about them",
		Long: `scan looks for the files in which clients keep their MCP servers, lists the servers, and
checks each of them. It starts nothing, and nothing leaves the machine, unless a flag says
so. Project files are looked for in the given folders, or in this one, and in the projects
that clients remember.

Exit codes: 0 nothing is as bad as --fail-on says; 1 something is; 2 wrong usage, or a
file of suppressions with an error; 3 something could not be read or checked that should
have been. 2 goes before 1, and 1 before 3.`,
		Example: `  gatehouse scan
  gatehouse scan --format html --output report.html
  gatehouse scan --project-only --format sarif --output scan.sarif ~/code/shop
  gatehouse scan --write-baseline known.yaml --reason "before the cleanup" --author ada@example.com`,
		RunE: func(c *cobra.Command, args []string) error {
			o.where.Projects = args
			return o.run(c)
		},
	}
	o.register(command)
	o.gather = factFlags(command).gather
	return command
}

// scanOptions are the flags of scan.
type scanOptions struct {
	where               clients.Where
	json                bool
	format, output      string
	quiet, verbose      bool
	failOn              string
	complete            bool
	diff                bool
	baselines           []string
	write               string
	reason, author, end string
	// gather asks for the facts that do not stand in files; nil asks nobody.
	gather func(context.Context, *cobra.Command, *checking.Scene) error
}

var scanFormats = []string{"text", "json", "sarif", "cyclonedx", "html"}

func (o *scanOptions) register(command *cobra.Command) {
	f := command.Flags()
	f.BoolVar(&o.json, "json", false, "print JSON; the same as --format json")
	f.StringVar(&o.format, "format", "text", "print as `FORMAT`: "+strings.Join(scanFormats, ", "))
	f.StringVarP(&o.output, "output", "o", "", "write to `FILE`, readable by you only, and print the summary")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "one line for each finding, and the summary")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "everything: all places, ids, suppressed findings")
	f.StringVar(&o.failOn, "fail-on", "high", "exit with 1 from this `SEVERITY` on: critical, high, medium, low, info or never")
	f.BoolVar(&o.complete, "require-complete", false, "exit with 3 when a check could not be made everywhere, whoever would have had to be asked")
	f.BoolVar(&o.diff, "diff", false, "say what is new and what is fixed since the last scan of the same places")
	f.StringArrayVar(&o.baselines, "baseline", nil, "accept what stands in this `FILE` of suppressions; may be given several times")
	f.StringVar(&o.write, "write-baseline", "", "write what is found to a new `FILE` of suppressions; wants --reason and --author")
	f.StringVar(&o.reason, "reason", "", "why --write-baseline accepts it")
	f.StringVar(&o.author, "author", "", "who accepts it")
	f.StringVar(&o.end, "expires", "", fmt.Sprintf("the first `DAY` on which that no longer holds, at most a year ahead (default in %d days)", baselineDays))
	f.BoolVar(&o.where.ProjectsOnly, "project-only", false, "look at the files of the projects and at no home; for CI")
	f.BoolVar(&o.where.AllUsers, "all-users", false, "look into the homes of everybody on this machine")
	f.StringArrayVar(&o.where.Homes, "home", nil, "look into this home as well; may be given several times")
	command.MarkFlagsMutuallyExclusive("quiet", "verbose")
	command.MarkFlagsMutuallyExclusive("json", "format")
	command.MarkFlagsMutuallyExclusive("project-only", "all-users")
	command.MarkFlagsMutuallyExclusive("project-only", "home")
	command.MarkFlagsMutuallyExclusive("write-baseline", "output")
	command.MarkFlagsRequiredTogether("write-baseline", "reason", "author")
}

// check refuses flags that mean nothing.
func (o *scanOptions) check() (least rule.Severity, expires time.Time, err error) {
	if o.json {
		o.format = "json"
	}
	if !slices.Contains(scanFormats, o.format) {
		return 0, expires, fmt.Errorf("--format: found %q, expected %s", o.format, strings.Join(scanFormats, ", "))
	}
	least = never
	if o.failOn != "never" {
		if err := least.UnmarshalText([]byte(o.failOn)); err != nil || least == rule.Unrated {
			return 0, expires, fmt.Errorf("--fail-on: found %q, expected critical, high, medium, low, info or never", o.failOn)
		}
	}
	expires = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, baselineDays)
	if o.end != "" {
		if expires, err = time.Parse(time.DateOnly, o.end); err != nil || time.Until(expires) > 366*24*time.Hour || time.Until(expires) <= 0 {
			return 0, expires, fmt.Errorf("--expires: found %q, expected a day within a year from now, such as 2027-03-31", o.end)
		}
	}
	return least, expires, nil
}

func (o *scanOptions) run(c *cobra.Command) error {
	least, expires, err := o.check()
	if err != nil {
		return err
	}
	machine, err := clients.Local(o.where)
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	accepted, err := o.suppressions(c, machine)
	if err != nil {
		return exitWith(exitUsage, err)
	}
	store, notKept := report.OpenStore(filepath.Join(userStateDir(), "scan"))
	r, err := o.scan(c, machine, store)
	if err != nil {
		return err
	}
	for _, a := range accepted {
		r.Suppress(a.path, a.list, time.Now())
	}
	notKept = errors.Join(notKept, o.compare(r, machine, store))
	if notKept != nil {
		fmt.Fprintln(c.ErrOrStderr(), "gatehouse: warning:", notKept)
	}
	if o.write != "" {
		if err := o.writeBaseline(c.OutOrStdout(), r, expires); err != nil {
			return err
		}
		return o.verdict(r, never, notKept)
	}
	if err := o.print(c.OutOrStdout(), r); err != nil {
		return exitWith(exitIncomplete, err)
	}
	return o.verdict(r, least, notKept)
}

// scan finds the servers and judges them. The error is about how it was used.
func (o *scanOptions) scan(c *cobra.Command, machine client.Machine, store *report.Store) (*report.Report, error) {
	var key []byte
	if store != nil {
		key = store.Key()
	}
	found := clients.Discover(machine, client.NewFingerprints(key))
	scene := &checking.Scene{Now: time.Now(), Home: ownHome(machine), Files: found.Files, Servers: inventory.Servers(found.Entries())}
	var problems []string
	if o.gather != nil {
		err := o.gather(c.Context(), c, scene)
		if err != nil && exitCode(err) == exitUsage {
			return nil, err
		}
		if err != nil { // what was found out before is certain, and what was not is not known
			problems = append(problems, err.Error())
		}
	}
	in := report.Input{
		Version: programVersion(), System: machine.System.String(), Scope: report.Machine, Looked: found.Looked,
		Scene: scene, Checks: checks.All(), Result: checks.Run(scene), Problems: problems,
	}
	if o.where.ProjectsOnly {
		in.Scope, in.Root = report.Project, rootOf(machine.Projects)
	}
	return report.New(in), nil
}

// rootOf is the folder in which all the others lie; empty if there is none. The root of a
// repository stands behind its folders.
func rootOf(projects []string) string {
	root := projects[len(projects)-1]
	for _, p := range projects {
		if p != root && !strings.HasPrefix(p, strings.TrimSuffix(root, string(filepath.Separator))+string(filepath.Separator)) {
			return ""
		}
	}
	return root
}

// ownHome is the home of whoever asks, for roots that are too broad.
func ownHome(machine client.Machine) string {
	for _, h := range machine.Homes {
		if h.Own {
			return h.Dir
		}
	}
	home, _ := os.UserHomeDir() // without one, nothing lies in it
	return home
}

// accepted is a file of suppressions.
type accepted struct {
	path string
	list []config.CheckSuppression
}

// suppressions reads the files that count. That of a project counts for a scan of the
// project only, where it is reviewed with everything else: a folder that somebody
// downloads must not be able to vouch for itself.
func (o *scanOptions) suppressions(c *cobra.Command, machine client.Machine) ([]accepted, error) {
	var all []accepted
	read := func(path string, must bool) error {
		list, err := config.LoadCheckSuppressions(path)
		if errors.Is(err, fs.ErrNotExist) && !must {
			return nil
		}
		if err == nil {
			all = append(all, accepted{path, list})
		}
		return err
	}
	folders := machine.Projects
	if !o.where.ProjectsOnly {
		folders = []string{ownHome(machine)}
		for _, project := range machine.Projects {
			path := filepath.Join(project, suppressionsFile)
			if _, err := os.Lstat(path); err == nil && !slices.Contains(folders, project) && !slices.ContainsFunc(o.baselines, func(b string) bool { return sameFile(b, path) }) {
				fmt.Fprintf(c.ErrOrStderr(), "gatehouse: %s is not used: it counts with --project-only, or when --baseline names it\n", clipped(path, 400))
			}
		}
	}
	for _, folder := range folders {
		if err := read(filepath.Join(folder, suppressionsFile), false); err != nil {
			return nil, err
		}
	}
	for _, path := range o.baselines {
		if err := read(path, true); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sameFile reports whether two paths lead to one file.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	other, otherErr := os.Stat(b)
	return err == nil && otherErr == nil && os.SameFile(one, other)
}

// compare says what changed since the last scan of these places, and keeps this one.
func (o *scanOptions) compare(r *report.Report, machine client.Machine, store *report.Store) error {
	if store == nil {
		return nil // said already
	}
	places := []string{string(r.Scope)}
	for _, h := range machine.Homes {
		places = append(places, "home", h.Dir)
	}
	for _, p := range machine.Projects {
		places = append(places, "project", p)
	}
	last, err := store.Last(places)
	if err != nil {
		return err
	}
	r.Compare(last)
	err = store.Keep(places, r)
	if !o.diff {
		r.ForgetChanges()
	}
	return err
}

func (o *scanOptions) writeBaseline(out io.Writer, r *report.Report, expires time.Time) error {
	path, err := filepath.Abs(o.write)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--write-baseline: %s is there already; name another file, and give both with --baseline", o.write)
	}
	if err != nil {
		return exitWith(exitIncomplete, fmt.Errorf("writing the baseline: %w", err))
	}
	_, err = file.Write(r.Baseline(filepath.Dir(path), o.reason, o.author, expires))
	if err = errors.Join(err, file.Close()); err != nil {
		return exitWith(exitIncomplete, fmt.Errorf("writing the baseline: %w", err))
	}
	if _, err := config.LoadCheckSuppressions(path); err != nil {
		return fmt.Errorf("the baseline cannot be used: %w", errors.Join(err, os.Remove(path)))
	}
	n := r.Summary.Findings.Total()
	_, err = fmt.Fprintf(out, "%s: %d accepted until %s.\n", o.write, n, expires.Format(time.DateOnly))
	return err
}

func (o *scanOptions) print(out io.Writer, r *report.Report) error {
	text := terminal.Options{Quiet: o.quiet, Verbose: o.verbose}
	if isTerminal(out) {
		text.Width = terminalWidth(out)
		text.Colour = colours(os.Getenv)
	}
	write := map[string]func(io.Writer, *report.Report) error{
		"text":      func(w io.Writer, r *report.Report) error { return terminal.Write(w, r, text) },
		"json":      func(w io.Writer, r *report.Report) error { return printJSON(w, r) },
		"sarif":     sarif.Write,
		"cyclonedx": cyclonedx.Write,
		"html":      page.Write,
	}[o.format]
	if o.output == "" || o.output == "-" {
		return write(out, r)
	}
	var buffer bytes.Buffer
	if o.format == "text" { // no colours in a file
		write = func(w io.Writer, r *report.Report) error {
			return terminal.Write(w, r, terminal.Options{Quiet: o.quiet, Verbose: o.verbose})
		}
	}
	if err := write(&buffer, r); err != nil {
		return err
	}
	if info, err := os.Stat(o.output); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("writing the report: %s is not a regular file", o.output)
	}
	if err := statefile.Replace(o.output, buffer.Bytes()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if text.Quiet = !o.verbose; o.format == "text" {
		_, err := fmt.Fprintf(out, "The report stands in %s.\n", visible(o.output))
		return err
	}
	return terminal.Write(out, r, text)
}

// colours reports whether a person wants them in a terminal, and it can show them.
func colours(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// verdict is the exit code. What was found is certain, whatever else could not be read,
// so it goes before what is not complete.
func (o *scanOptions) verdict(r *report.Report, least rule.Severity, notKept error) error {
	switch s := r.Summary; {
	case r.Reaches(least):
		return exitWith(exitFindings, nil)
	case s.Incomplete > 0:
		return exitWith(exitIncomplete, errors.New("some files could not be read; the report is not complete"))
	case !s.Complete:
		return exitWith(exitIncomplete, errors.New("not everything that was asked for could be found out; the report is not complete"))
	case s.Unchecked > 0 && o.complete:
		return exitWith(exitIncomplete, errors.New("not every check could be made everywhere"))
	case o.diff && notKept != nil:
		return exitWith(exitIncomplete, errors.New("this scan could not be compared with the last one"))
	}
	return nil
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
