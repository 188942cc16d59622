package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gatehouse/internal/audit"
)

func newLogCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Read and verify the audit log",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLogQueryCommand(), newLogTailCommand(), newLogVerifyCommand())
	return cmd
}

// logFilter is the flags that query and tail share.
type logFilter struct {
	dir          string
	filter       audit.Filter
	kinds        []string
	since, until string
	json         bool
}

func (f *logFilter) register(flags *pflag.FlagSet, limit int) {
	registerLogDir(flags, &f.dir)
	flags.StringVar(&f.filter.Server, "server", "", "only records about the server `NAME`")
	flags.StringVar(&f.filter.Tool, "tool", "", "only records about the tool, prompt or resource `NAME`, also as SERVER__NAME")
	flags.StringVar(&f.filter.Principal, "principal", "", "only what `WHO` did")
	flags.StringVar(&f.filter.Reason, "reason", "", "only refusals with the reason `CODE`")
	flags.StringVar(&f.filter.Decision, "decision", "", "only `allow|deny`")
	flags.StringVar(&f.filter.Exchange, "exchange", "", "only the exchange `ID`")
	flags.StringSliceVar(&f.kinds, "kind", nil, "only records of the `KIND`s: "+joinKinds(", "))
	flags.StringVar(&f.since, "since", "", "not older than `TIME`: 15m, 24h, 7d, a date, or RFC 3339")
	flags.StringVar(&f.until, "until", "", "older than `TIME`")
	flags.IntVarP(&f.filter.Limit, "limit", "n", limit, "the newest `N` records; 0 for all")
	flags.BoolVar(&f.json, "json", false, "write JSON, one record a line, with everything that is stored")
}

func registerLogDir(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "dir", "", "audit `DIRECTORY` (default: audit in the state folder of this configuration)")
}

func logDir(dir string) string {
	if dir == "" {
		return filepath.Join(defaultStateDir(), "audit")
	}
	return dir
}

func joinKinds(separator string) string {
	var names []string
	for _, k := range audit.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, separator)
}

// options checks the flags. A value that could match nothing is an error, not an
// empty answer.
func (f *logFilter) options() (audit.Filter, error) {
	filter := f.filter
	if filter.Limit < 0 {
		return filter, fmt.Errorf("--limit: %d is negative", filter.Limit)
	}
	if d := filter.Decision; d != "" && d != audit.Allow && d != audit.Deny {
		return filter, fmt.Errorf("--decision: %q is not %q or %q", d, audit.Allow, audit.Deny)
	}
	for _, name := range f.kinds {
		kind := audit.Kind(name)
		if !slices.Contains(audit.Kinds(), kind) {
			return filter, fmt.Errorf("--kind: there is no kind %q; the kinds are %s", name, joinKinds(", "))
		}
		filter.Kinds = append(filter.Kinds, kind)
	}
	now := time.Now()
	for _, bound := range []struct {
		flag, text string
		time       *time.Time
	}{{"--since", f.since, &filter.Since}, {"--until", f.until, &filter.Until}} {
		if bound.text == "" {
			continue
		}
		t, err := audit.ParseTime(bound.text, now)
		if err != nil {
			return filter, fmt.Errorf("%s: %w", bound.flag, err)
		}
		*bound.time = t
	}
	return filter, nil
}

func (f *logFilter) printer(w io.Writer) func(*audit.Record) error {
	if f.json {
		return func(r *audit.Record) error { return audit.WriteJSON(w, r) }
	}
	return func(r *audit.Record) error { return audit.WriteLine(w, r) }
}

const (
	defaultQueryLimit = 100
	defaultTailLimit  = 10
)

func newLogQueryCommand() *cobra.Command {
	var flags logFilter
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Show records of the audit log",
		Long: `Shows the newest records that the flags select, oldest first: time, kind, decision,
principal, server and target, and what came of it.

Exit codes: 0 everything was read; 2 wrong usage; 3 the log could not be read.`,
		Example: `  gatehouse log query --decision deny --since 24h
  gatehouse log query --server files --tool write_file --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := flags.options()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if err := audit.Read(logDir(flags.dir), filter, flags.printer(cmd.OutOrStdout())); err != nil {
				return exitWith(exitIncomplete, err)
			}
			return nil
		},
	}
	flags.register(cmd.Flags(), defaultQueryLimit)
	return cmd
}

func newLogTailCommand() *cobra.Command {
	var flags logFilter
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the newest records and go on with new ones",
		Long: `Shows the newest records that the flags select and goes on with new ones until Ctrl-C.

Exit codes: 0 everything was read; 2 wrong usage; 3 the log could not be read.`,
		Example: `  gatehouse log tail --decision deny`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := flags.options()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			show := flags.printer(cmd.OutOrStdout())
			if follow {
				ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
				defer stop()
				err = audit.Follow(ctx, logDir(flags.dir), filter, show)
			} else {
				err = audit.Read(logDir(flags.dir), filter, show)
			}
			if err != nil {
				return exitWith(exitIncomplete, err)
			}
			return nil
		},
	}
	flags.register(cmd.Flags(), defaultTailLimit)
	cmd.Flags().BoolVarP(&follow, "follow", "f", true, "go on with new records")
	return cmd
}

func newLogVerifyCommand() *cobra.Command {
	var dir, head string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that the audit log is what was written",
		Long: `Checks every byte of the audit log, and of the logs in its subdirectories, against the
chain of hashes and the signed head. It reads only, and may run while the log is written.

The line it prints ends with the head of the log, SEQ:HASH. Note that elsewhere: with
--head, verify finds an older copy put back or a log written anew with the stolen key.

Exit codes: 0 intact; 1 changed or cut; 2 wrong usage; 3 something could not be checked.`,
		Example: `  gatehouse log verify
  gatehouse log verify --head 1841:5f0c…`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := verifyLog(logDir(dir), head)
			for _, c := range report.Chains {
				if err := writeChain(cmd.OutOrStdout(), c, asJSON); err != nil {
					return exitWith(exitIncomplete, err)
				}
			}
			if report.Tampered() {
				return exitWith(exitFindings, errors.Join(tampered(report), err))
			}
			return err
		},
	}
	registerLogDir(cmd.Flags(), &dir)
	cmd.Flags().StringVar(&head, "head", "", "the log must hold the head `SEQ:HASH` that was noted before")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON, one log a line")
	return cmd
}

func verifyLog(dir, head string) (report audit.Report, err error) {
	if head == "" {
		report, err = audit.Verify(dir)
	} else {
		noted, usage := audit.ParsePosition(head)
		if usage != nil {
			return report, exitWith(exitUsage, fmt.Errorf("--head: %w", usage))
		}
		report, err = audit.VerifyHead(dir, noted)
	}
	if err != nil {
		err = exitWith(exitIncomplete, err)
	}
	return report, err
}

func tampered(report audit.Report) error {
	var list []error
	for _, c := range report.Chains {
		if c.Problem != nil {
			list = append(list, fmt.Errorf("the audit log in %s is not what was written; first bad position: %s", c.Dir, c.Problem))
		}
	}
	return errors.Join(list...)
}

// chainLine is what verify writes about one log.
type chainLine struct {
	Dir      string         `json:"dir"`
	Result   string         `json:"result"` // intact, tampered or unchecked
	Records  uint64         `json:"records"`
	Segments int            `json:"segments"`
	Head     string         `json:"head,omitempty"`
	Signed   uint64         `json:"signed"`
	Open     bool           `json:"open"`
	Torn     int64          `json:"tornBytes,omitempty"`
	Problem  *audit.Problem `json:"problem,omitempty"`
	Error    string         `json:"error,omitempty"`
}

func writeChain(w io.Writer, c audit.Chain, asJSON bool) error {
	line := chainLine{
		Dir: c.Dir, Result: "intact", Records: c.Last.Seq, Segments: c.Segments,
		Signed: c.Signed, Open: c.Open, Torn: c.Torn, Problem: c.Problem,
	}
	switch {
	case c.Err != nil:
		line.Result, line.Error = "unchecked", c.Err.Error()
	case c.Problem != nil:
		line.Result = "tampered"
	default:
		line.Head = c.Last.String()
	}
	if asJSON {
		return json.NewEncoder(w).Encode(line)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

func (l chainLine) String() string {
	text := l.Dir + ": " + l.Result
	switch {
	case l.Error != "":
		return text + ": " + l.Error
	case l.Problem != nil:
		return text + ": " + l.Problem.String()
	}
	text += fmt.Sprintf(", records %d, segments %d", l.Records, l.Segments)
	if l.Open {
		text += ", not closed (its writer runs or was killed)"
	}
	if more := l.Records - l.Signed; more > 0 {
		text += fmt.Sprintf(", %d of them not yet signed", more)
	}
	if l.Torn > 0 {
		text += fmt.Sprintf(", %d bytes of a record that was never acknowledged", l.Torn)
	}
	return text + ", head " + l.Head
}
