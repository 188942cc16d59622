package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/internal/policy"
)

func newPolicyCheckCommand() *cobra.Command {
	var flags policyFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check policies against the schema, the configuration and what was approved",
		Long: `Reads the policies as the gateway would, and looks for what is valid and perhaps not
meant: policies that can apply to nothing, that another one makes pointless, or that
name servers, tools or arguments that are not there; and servers, tools, prompts and
resource templates that no policy lets anybody use.

Exit codes: 0 nothing was found; 1 something was found; 2 the policies or the
configuration cannot be used; 3 the approvals could not be read.`,
		Example: "  gatehouse policy check\n  gatehouse policy check --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := flags.load()
			if err != nil {
				return err
			}
			findings := p.engine.Check(p.inventory)
			out := cmd.OutOrStdout()
			if flags.json {
				if findings == nil {
					findings = []policy.Finding{}
				}
				err = printJSON(out, map[string]any{"policies": p.engine.Size(), "findings": findings})
			} else {
				for _, f := range findings {
					fmt.Fprintln(out, visible(f.String()))
				}
				_, err = fmt.Fprintf(out, "policies %d, findings %d\n", p.engine.Size(), len(findings))
			}
			if err != nil {
				return exitWith(exitIncomplete, err)
			}
			if len(findings) > 0 {
				return exitWith(exitFindings, nil)
			}
			return nil
		},
	}
	flags.register(cmd.Flags())
	return cmd
}
