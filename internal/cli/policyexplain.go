package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/policy"
)

// visible is a text for a terminal: what comes from servers and clients must not
// steer it.
func visible(text string) string { return approval.Visible(text) }

type explainFlags struct {
	policyFlags
	call                  config.PolicyCase
	arguments, time, from string
	exchange, dir         string
}

func newPolicyExplainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say which policies decide one call, and with which values",
		Long: `Decides one call by the policies as they are now: one that the flags describe, or one
from the audit log. Nothing is called.

Of a call from the log only that is known which the log holds: arguments only if
audit.arguments keeps them whole and there is no secret in them.

Exit codes: 0 the call was decided, either way; 2 wrong usage, or the policies or the
configuration cannot be used; 3 the log could not be read.`,
		Example: `  gatehouse policy explain --principal user:corp/ann --team analysts --server db --tool query --arguments '{"table":"orders"}'
  gatehouse policy explain --exchange 4f1c2a9d07-12`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := f.load()
			if err != nil {
				return err
			}
			r, err := f.request(p)
			if err != nil {
				return err
			}
			if err := printExplanation(cmd.OutOrStdout(), r, p.engine.Explain(r), f.json); err != nil {
				return exitWith(exitIncomplete, err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	f.register(flags)
	c := &f.call
	flags.StringVar(&c.Principal, "principal", "", "`ID` of who calls: local:NAME, user:ISSUER/SUBJECT, agent:ISSUER/CLIENT, key:NAME, …")
	flags.StringVar(&c.Kind, "kind", "", "what the principal is: `user|agent|local` (default: as the id says)")
	flags.StringSliceVar(&c.Teams, "team", nil, "`TEAM` of the principal (repeatable)")
	flags.StringVar(&c.Client, "client", "", "OAuth client `ID` of the token")
	flags.StringVar(&c.Means, "means", "", "how the principal was identified: `jwt|opaque|key|…`")
	flags.StringVar(&c.Issuer, "issuer", "", "configured `NAME` of who issued the token")
	flags.StringSliceVar(&c.Scopes, "scope", nil, "`SCOPE` of the token (repeatable)")
	flags.StringVar(&c.Method, "method", "", "MCP `METHOD` (default: the one by which a tool, prompt or resource is used)")
	flags.StringVar(&c.Server, "server", "", "`ID` of the server")
	flags.StringVar(&c.Tool, "tool", "", "`NAME` of the tool")
	flags.StringVar(&c.Prompt, "prompt", "", "`NAME` of the prompt")
	flags.StringVar(&c.Resource, "resource", "", "`URI` of the resource")
	flags.StringVar(&c.Template, "template", "", "`URI-TEMPLATE` of a resource template")
	flags.StringVar(&f.arguments, "arguments", "", "arguments of the call, a `JSON` object")
	flags.StringVar(&f.time, "time", "", "when the call is made, `RFC3339` (default: now)")
	flags.StringVar(&f.from, "address", "", "`IP` address of the peer")
	flags.StringVar(&c.ClientName, "client-name", "", "`NAME` by which the client calls itself")
	flags.Float64Var(&c.Score, "score", 0, "score of the rules, a `NUMBER` from 0 to 1")
	flags.StringSliceVar(&c.Conversation, "label", nil, "`LABEL` of the conversation (repeatable)")
	flags.StringVar(&f.exchange, "exchange", "", "the exchange `ID` of the audit log instead")
	registerLogDir(flags, &f.dir)
	cmd.MarkFlagsMutuallyExclusive("tool", "prompt", "resource", "template", "exchange")
	cmd.MarkFlagsMutuallyExclusive("principal", "exchange")
	cmd.MarkFlagsOneRequired("principal", "exchange")
	completeFrom(cmd, "method", func() []string { return policy.Methods() })
	completeFrom(cmd, "server", func() []string {
		c, err := loadConfig(f.config)
		if err != nil {
			return nil
		}
		var ids []string
		for _, s := range c.Servers {
			ids = append(ids, s.ID)
		}
		return ids
	})
	return cmd
}

func completeFrom(cmd *cobra.Command, flag string, values func() []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values(), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic("cli: internal error: " + err.Error()) // there is no such flag
	}
}

func (f *explainFlags) request(p *policies) (*policy.Request, error) {
	if f.exchange != "" {
		return f.recorded(p)
	}
	c := f.call
	if c.Method == "" {
		switch {
		case c.Tool != "":
			c.Method = "tools/call"
		case c.Prompt != "":
			c.Method = "prompts/get"
		case c.Resource != "" || c.Template != "":
			c.Method = "resources/read"
		default:
			return nil, exitWith(exitUsage, errors.New("say what is called: --tool, --prompt, --resource or --method"))
		}
	}
	c.Time = time.Now()
	var problems []error
	if f.time != "" {
		t, err := time.Parse(time.RFC3339, f.time)
		if err != nil {
			err = fmt.Errorf("--time: found %q, expected RFC 3339, such as 2026-11-25T09:00:00Z", f.time)
		}
		problems, c.Time = append(problems, err), t
	}
	address, err := parseAddress(f.from)
	c.Address = address
	if f.arguments != "" {
		c.Arguments = []byte(f.arguments)
	}
	r, wrong := p.request(&c)
	if err := errors.Join(append(problems, err, wrong)...); err != nil {
		return nil, exitWith(exitUsage, err)
	}
	return r, nil
}

// recorded is an exchange of the log.
func (f *explainFlags) recorded(p *policies) (*policy.Request, error) {
	dir := f.dir
	if dir == "" {
		dir = auditDir(p.config)
	}
	reader, found := policy.NewReader(p.inventory), (*policy.Request)(nil)
	err := audit.Read(dir, audit.Filter{}, func(r *audit.Record) error {
		if past, ok := reader.Read(r); ok && r.Exchange == f.exchange {
			found = past.Request
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, exitWith(exitIncomplete, err)
	case found == nil:
		return nil, exitWith(exitUsage, fmt.Errorf("the log has no exchange %q on which policies decide", f.exchange))
	}
	return found, nil
}

// explained is an explanation in JSON. The names are stable.
type explainedCall struct {
	Decision   string              `json:"decision"`
	Reason     string              `json:"reason,omitempty"`
	Policies   []string            `json:"policies"`
	Would      []string            `json:"would,omitempty"`
	Error      string              `json:"error,omitempty"`
	Considered []policy.Considered `json:"considered"`
}

func printExplanation(out io.Writer, r *policy.Request, x policy.Explanation, asJSON bool) error {
	d := x.Decision
	if asJSON {
		e := explainedCall{Decision: decisionWord(d), Reason: d.Reason, Policies: d.Policies, Would: d.Would, Considered: x.Policies}
		if d.Err != nil {
			e.Error = d.Err.Error()
		}
		return printJSON(out, e)
	}
	about := r.Server
	if r.Name != "" {
		about += "/" + r.Name
	}
	fmt.Fprintln(out, visible(strings.Join(strings.Fields(fmt.Sprintf("%s: %s %s %s", decisionWord(d), r.Principal.ID, r.Method, about)), " ")))
	if !slices.Contains(policy.Methods(), r.Method) {
		fmt.Fprintf(out, "%s is no method that Gatehouse knows; policies see it as Action::\"other\"\n", visible(r.Method))
	}
	switch {
	case d.Err != nil:
		fmt.Fprintf(out, "because %s\n", visible(d.Err.Error()))
	case len(d.Policies) == 0 && !d.Allow:
		fmt.Fprintln(out, "because no policy permits it")
	case d.Reason != "":
		fmt.Fprintf(out, "because %s\n", visible(d.Reason))
	}
	if len(d.Would) > 0 {
		fmt.Fprintf(out, "would be refused by %s\n", visible(strings.Join(d.Would, ", ")))
	}
	for _, c := range x.Policies {
		where := ""
		if at := fmt.Sprintf("%s:%d", c.File, c.Line); at != c.ID {
			where = " (" + at + ")"
		}
		fmt.Fprintf(out, "\n%s %s%s: %s", c.Effect, c.ID, where, c.Result)
		if c.Detail != "" {
			fmt.Fprintf(out, ": %s", visible(c.Detail))
		}
		fmt.Fprintln(out)
		for _, v := range c.Values {
			fmt.Fprintf(out, "  %s = %s\n", v.Expression, visible(v.Value))
		}
	}
	return nil
}
