package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
	"gatehouse/internal/policy"
)

func newPolicyTestCommand() *cobra.Command {
	var flags policyFlags
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Compare what policies decide with what is wanted",
		Long: `Each FILE is YAML with a list of cases: who calls what, and the decision that is wanted.

  cases:
    - name: analysts read the database
      principal: user:corp/ann
      teams: [analysts]
      method: tools/call
      server: db
      tool: query
      arguments: {table: orders}
      decision: allow

A case may also give a reason, the policies that decide (by id) and those in report
mode that would refuse. A case that gives no time is on a Wednesday at noon.

Exit codes: 0 every case came out as wanted; 1 one did not; 2 a file, the policies or
the configuration cannot be used.`,
		Example: "  gatehouse policy test policies/tests.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := flags.load()
			if err != nil {
				return err
			}
			var results []caseResult
			for _, file := range args {
				list, err := p.test(file)
				if err != nil {
					return exitWith(exitUsage, err)
				}
				results = append(results, list...)
			}
			failed, err := printCases(cmd.OutOrStdout(), results, flags.json)
			switch {
			case err != nil:
				return exitWith(exitIncomplete, err)
			case failed > 0:
				return exitWith(exitFindings, fmt.Errorf("%d of %d cases did not come out as wanted", failed, len(results)))
			}
			return nil
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

// caseResult is what became of one case. The names are stable.
type caseResult struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Name     string   `json:"name"`
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"`
	Decision string   `json:"decision"`
	Reason   string   `json:"reason,omitempty"`
	Policies []string `json:"policies"`
	Would    []string `json:"would,omitempty"`
	Error    string   `json:"error,omitempty"`
}

func (p *policies) test(file string) ([]caseResult, error) {
	cases, err := config.LoadPolicyCases(file)
	if err != nil {
		return nil, err
	}
	var results []caseResult
	for i := range cases {
		c := &cases[i]
		r, err := p.request(c)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, c.Line, err)
		}
		results = append(results, compareCase(file, c, p.engine.Decide(r)))
	}
	return results, nil
}

func decisionWord(d policy.Decision) string {
	if d.Allow {
		return "allow"
	}
	return "deny"
}

func compareCase(file string, c *config.PolicyCase, d policy.Decision) caseResult {
	result := caseResult{File: file, Line: c.Line, Name: c.Name, Decision: decisionWord(d), Reason: d.Reason, Policies: d.Policies, Would: d.Would}
	if result.Name == "" {
		result.Name = strings.TrimSpace(c.Principal + " " + c.Method + " " + c.Server + " " + c.Tool + c.Prompt + c.Resource + c.Template)
	}
	if d.Err != nil {
		result.Error = d.Err.Error()
	}
	wrong := func(what string, got, want any) {
		result.Problems = append(result.Problems, fmt.Sprintf("%s is %v, want %v", what, got, want))
	}
	if result.Decision != c.Decision {
		wrong("the decision", result.Decision, c.Decision)
	}
	if c.Reason != "" && c.Reason != d.Reason {
		wrong("the reason", fmt.Sprintf("%q", d.Reason), fmt.Sprintf("%q", c.Reason))
	}
	same := func(got, want []string) bool {
		return want == nil || slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
	}
	if !same(d.Policies, c.Policies) {
		wrong("what decides", d.Policies, c.Policies)
	}
	if !same(d.Would, c.Would) {
		wrong("what would refuse", d.Would, c.Would)
	}
	result.OK = len(result.Problems) == 0
	return result
}

func printCases(out io.Writer, results []caseResult, asJSON bool) (failed int, err error) {
	for _, r := range results {
		if !r.OK {
			failed++
		}
	}
	if asJSON {
		return failed, printJSON(out, map[string]any{"cases": results, "failed": failed})
	}
	for _, r := range results {
		if r.OK {
			continue
		}
		fmt.Fprintf(out, "%s:%d: %s\n", r.File, r.Line, visible(r.Name))
		for _, problem := range r.Problems {
			fmt.Fprintf(out, "  %s\n", visible(problem))
		}
		switch {
		case r.Error != "":
			fmt.Fprintf(out, "  %s\n", visible(r.Error))
		case len(r.Policies) > 0:
			fmt.Fprintf(out, "  decided by %s\n", visible(strings.Join(r.Policies, ", ")))
		default:
			fmt.Fprintln(out, "  no policy permits it")
		}
	}
	_, err = fmt.Fprintf(out, "cases %d, failed %d\n", len(results), failed)
	return failed, err
}
