package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/policy"
)

func newPolicyReplayCommand() *cobra.Command {
	var flags policyFlags
	var past history
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Say what the policies as they are now would have decided differently",
		Long: `Decides the exchanges of the audit log again, by the policies as they are in the files
now, and lists what comes out differently. The gateway need not run; change a policy,
replay, then reload.

Arguments are in the log only if audit.arguments keeps them whole and there is no secret
in them. Where they decide and are not there, the answer is "unclear"; so it is for records
of older versions, which lack the address and the scopes. Claims of tools are those
that are approved now. What a principal could not even see is not decided again.

Exit codes: 0 everything is decided as it was; 1 something is not; 2 the policies or
the configuration cannot be used; 3 the log could not be read.`,
		Example: "  gatehouse policy replay --since 7d",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := flags.load()
			if err != nil {
				return err
			}
			replay := policy.Replay{Engine: p.engine}
			reader, since, err := past.read(p.config, p.inventory, replay.Add)
			if err != nil {
				return err
			}
			result := replayed{since, replay.Total, replay.Same, reader.Skipped, replay.Differences()}
			if err := result.print(cmd.OutOrStdout(), flags.json); err != nil {
				return exitWith(exitIncomplete, err)
			}
			if len(result.Differences) > 0 {
				return exitWith(exitFindings, nil)
			}
			return nil
		},
	}
	flags.register(cmd.Flags())
	past.register(cmd.Flags(), "7d")
	return cmd
}

// replayed is a replay in JSON. The names are stable.
type replayed struct {
	Since       time.Time           `json:"since"`
	Total       int                 `json:"exchanges"`
	Same        int                 `json:"same"`
	Skipped     int                 `json:"skipped"`
	Differences []policy.Difference `json:"differences"`
}

func (r replayed) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, r)
	}
	for _, d := range r.Differences {
		about := strings.Trim(d.Server+"/"+d.Target, "/")
		fmt.Fprintln(out, visible(fmt.Sprintf("%s → %s  %d×  %s %s %s", d.Was, d.Now, d.Count, d.Principal, d.Method, about)))
		switch {
		case d.Reason != "":
			fmt.Fprintln(out, visible(fmt.Sprintf("  %s: %s", strings.Join(d.Policies, ", "), d.Reason)))
		case len(d.Policies) > 0:
			fmt.Fprintln(out, visible("  "+strings.Join(d.Policies, ", ")))
		case d.Now == "deny":
			fmt.Fprintln(out, "  no policy permits it")
		}
		if len(d.Would) > 0 {
			fmt.Fprintln(out, visible("  would be refused by "+strings.Join(d.Would, ", ")))
		}
	}
	line := fmt.Sprintf("exchanges %d, as before %d, differences %d", r.Total, r.Same, len(r.Differences))
	if r.Skipped > 0 {
		line += fmt.Sprintf(", not told by the log %d", r.Skipped)
	}
	_, err := fmt.Fprintln(out, line)
	return err
}
