package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

func newPolicyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, test and explain who may do what",
		Long: `Policies say who may use which tools, prompts and resources. They are written in
Cedar, in files that gatehouse.yaml names under policy.files, and checked against the
schema that ` + "`gatehouse policy schema`" + ` prints.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newPolicyCheckCommand(), newPolicyTestCommand(), newPolicyExplainCommand(), newPolicyReplayCommand(),
		newPolicyInitCommand(), newPolicyTightenCommand(), newPolicySchemaCommand(), newPolicyReadyCommand(),
	)
	return cmd
}

func newPolicySchemaCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the schema that policies are checked against",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := policy.Schema()
			if asJSON {
				var err error
				if text, err = policy.SchemaJSON(); err != nil {
					return exitWith(exitIncomplete, err)
				}
				text = append(text, '\n')
			}
			_, err := cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the JSON form of Cedar schemas")
	return cmd
}

func newPolicyReadyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:       "ready [NAME]",
		Short:     "List the policies that come with Gatehouse, or print one",
		Example:   "  gatehouse policy ready production > policies/production.cedar",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: policy.ReadyNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) == 0 {
				if asJSON {
					return printJSON(out, policy.ReadyNames())
				}
				_, err := fmt.Fprintln(out, strings.Join(policy.ReadyNames(), "\n"))
				return err
			}
			text, err := policy.Ready(args[0])
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if asJSON {
				return printJSON(out, map[string]string{"name": args[0], "text": string(text)})
			}
			_, err = out.Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

// policyFlags are those of all commands that read policies.
type policyFlags struct {
	config string
	json   bool
}

func (f *policyFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.config, "config", "c", defaultConfig, "configuration `FILE`")
	flags.BoolVar(&f.json, "json", false, "write JSON")
}

// policies are the policies of a configuration with what it takes to judge them.
type policies struct {
	config    *config.Config
	engine    *policy.Engine
	inventory []policy.Item
}

// load reads the configuration, its policies and its lock.
func (f *policyFlags) load() (*policies, error) {
	c, err := loadConfig(f.config)
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	if !c.Policy.Configured {
		return nil, exitWith(exitUsage, fmt.Errorf("%s has no section policy; write policy: {files: [policies/*.cedar]}, or let `gatehouse policy init` write policies from what was used", c.Path))
	}
	engine, err := policy.Load(c)
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	inventory, err := policy.Inventory(c)
	if err != nil {
		return nil, exitWith(exitIncomplete, err)
	}
	return &policies{c, engine, inventory}, nil
}

// claims are what the lock has of a tool's annotations.
func (p *policies) claims(server, tool string) policy.Claims {
	for _, item := range p.inventory {
		if item.Kind == policy.KindTool && item.Server == server && item.Name == tool {
			return item.Claims
		}
	}
	return policy.Claims{}
}

// noTime is when a call is made that says nothing of it: a Wednesday at noon, so
// that the answer is the same every day.
func noTime(zone string) time.Time {
	location, err := time.LoadLocation(zone)
	if err != nil {
		location = time.UTC // the configuration was checked
	}
	return time.Date(2026, 1, 7, 12, 0, 0, 0, location)
}

// request is a case as a question.
func (p *policies) request(c *config.PolicyCase) (*policy.Request, error) {
	who := policy.PrincipalOf(c.Principal, c.Teams)
	if who == nil && c.Kind == "" {
		return nil, fmt.Errorf("principal %q: expected local:NAME, user:ISSUER/SUBJECT, agent:ISSUER/CLIENT, key:NAME, cert:NAME or proxy:NAME/USER, or a kind beside it", c.Principal)
	}
	if who == nil {
		who = &identity.Principal{ID: c.Principal, Teams: c.Teams}
	}
	if c.Kind != "" {
		who.Kind = identity.Kind(c.Kind)
	}
	if c.PrincipalName != "" {
		who.Name = c.PrincipalName
	}
	if c.Means != "" {
		who.Means = identity.Means(c.Means)
		if !slices.Contains(identity.AllMeans, who.Means) {
			return nil, fmt.Errorf("means %q: expected one of %q", c.Means, identity.AllMeans)
		}
	}
	who.Client, who.Issuer, who.Scopes = c.Client, c.Issuer, c.Scopes
	r := &policy.Request{
		Principal: who, ClientName: c.ClientName, Method: c.Method, Server: c.Server, Kind: policy.KindServer,
		Address: c.Address, Time: c.Time, Score: c.Score, Conversation: c.Conversation,
	}
	if r.Time.IsZero() {
		r.Time = noTime(p.config.TimeZone)
	}
	if c.Server == "" {
		r.Kind = policy.KindGateway
	}
	for kind, name := range map[string]string{policy.KindTool: c.Tool, policy.KindPrompt: c.Prompt, policy.KindResource: c.Resource, policy.KindTemplate: c.Template} {
		if name != "" {
			r.Kind, r.Name = kind, name
		}
	}
	if r.Kind == policy.KindTool {
		r.Claims = caseClaims(p.claims(c.Server, c.Tool), c.Claims)
	}
	if c.Facts != nil || c.Amount != "" {
		r.Facts = &policy.Facts{
			Paths: c.Facts["paths"], Hosts: c.Facts["hosts"], Tables: c.Facts["tables"],
			Statements: c.Facts["statements"], Recipients: c.Facts["recipients"], Amount: c.Amount,
		}
	}
	if c.Arguments != nil {
		doc, err := wire.Scan(c.Arguments, wire.DefaultLimits)
		if err != nil {
			return nil, fmt.Errorf("arguments: %w", err)
		}
		r.Arguments = doc.Root
	}
	return r, nil
}

// caseClaims are the claims of the lock with those that a case says otherwise.
func caseClaims(c policy.Claims, said map[string]bool) policy.Claims {
	for name, to := range map[string]*policy.Claim{"readOnly": &c.ReadOnly, "destructive": &c.Destructive, "idempotent": &c.Idempotent, "openWorld": &c.OpenWorld} {
		if yes, ok := said[name]; ok {
			*to = policy.No
			if yes {
				*to = policy.Yes
			}
		}
	}
	return c
}

// history is the part of the log that a command looks at.
type history struct{ dir, since string }

func (h *history) register(flags *pflag.FlagSet, since string) {
	registerLogDir(flags, &h.dir)
	flags.StringVar(&h.since, "since", since, "how far back: `TIME` is 24h, 7d, a date, or RFC 3339")
}

// read calls fn for every exchange that policies decide.
func (h *history) read(c *config.Config, inventory []policy.Item, fn func(policy.Past)) (*policy.Reader, time.Time, error) {
	since, err := audit.ParseTime(h.since, time.Now())
	if err != nil {
		return nil, since, exitWith(exitUsage, fmt.Errorf("--since: %w", err))
	}
	dir := h.dir
	if dir == "" {
		dir = auditDir(c)
	}
	reader := policy.NewReader(inventory)
	// Records before that time are read too: they say whose sessions there are.
	err = audit.Read(dir, audit.Filter{}, func(r *audit.Record) error {
		if past, ok := reader.Read(r); ok && !r.Time.Before(since) {
			fn(past)
		}
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; the gateway writes it while it runs", err)
	}
	if err != nil {
		return reader, since, exitWith(exitIncomplete, err)
	}
	if reader.First.IsZero() {
		return reader, since, exitWith(exitIncomplete, errors.New("the audit log has no records yet"))
	}
	return reader, since, nil
}

func parseAddress(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
}

// auditDir is where the log of a configuration is.
func auditDir(c *config.Config) string { return auditIn(c.State) }

// auditIn is where the log of a state folder is.
func auditIn(state string) string { return filepath.Join(state, "audit") }
