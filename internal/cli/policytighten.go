package cli

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"gatehouse/internal/policy"
)

func newPolicyTightenCommand() *cobra.Command {
	var flags policyFlags
	var past history
	cmd := &cobra.Command{
		Use:   "tighten",
		Short: "Show the smaller policies that would have allowed what was used",
		Long: `Compares what the policies permit with the audit log, and writes as a diff how they could
be smaller: without permits that allowed nothing that was used, and with the tools
left out that nobody called. Nothing is changed; apply the diff with "patch -p0".

Only tools that are approved now can be counted. Policies that come with Gatehouse, and
what resources and prompts are permitted, stay as they are.

Exit codes: 0 everything that is permitted was used; 1 something was not; 2 the policies
or the configuration cannot be used; 3 the log could not be read, or does not reach
back that far.`,
		Example: "  gatehouse policy tighten --since 90d | patch -p0",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := flags.load()
			if err != nil {
				return err
			}
			tighten := policy.Tighten{Engine: p.engine, Inventory: p.inventory}
			reader, since, err := past.read(p.config, p.inventory, tighten.Add)
			if err != nil {
				return err
			}
			result := tightened{Since: since, LogBegins: reader.First, Changes: tighten.Changes()}
			if result.Changes == nil {
				result.Changes = []policy.Change{}
			}
			if err := result.compare(p); err != nil {
				return exitWith(exitIncomplete, err)
			}
			if err := result.print(cmd.OutOrStdout(), flags.json); err != nil {
				return exitWith(exitIncomplete, err)
			}
			switch {
			case reader.First.After(since):
				return exitWith(exitIncomplete, fmt.Errorf("the log begins at %s; what was used before is not in it", reader.First.UTC().Format(time.RFC3339)))
			case len(result.Changes) > 0:
				return exitWith(exitFindings, nil)
			}
			return nil
		},
	}
	flags.register(cmd.Flags())
	past.register(cmd.Flags(), "30d")
	return cmd
}

// tightened is the result in JSON. The names are stable.
type tightened struct {
	Since     time.Time       `json:"since"`
	LogBegins time.Time       `json:"log_begins"`
	Changes   []policy.Change `json:"changes"`
	Diff      string          `json:"diff"`
}

// compare writes the changes as a diff of the files.
func (t *tightened) compare(p *policies) error {
	sources, err := policy.Sources(p.config)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, s := range sources {
		var here []policy.Change
		for _, c := range t.Changes {
			if c.File == s.Name {
				here = append(here, c)
			}
		}
		changed, err := policy.Apply(s.Text, here)
		if err != nil {
			return err
		}
		out.Write(diff.Diff(s.Name, s.Text, s.Name, changed))
	}
	t.Diff = out.String()
	return nil
}

func (t *tightened) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, t)
	}
	_, err := io.WriteString(out, t.Diff)
	return err
}
