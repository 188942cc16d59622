package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/halt"
)

// haltsName is the file of halts, in the state folder.
const haltsName = "halts.json"

// placeFlags say which gateway is meant.
type placeFlags struct {
	config, mcpConfig, state string
	named                    func() bool // whether --config was given
}

func (p *placeFlags) register(cmd *cobra.Command, flags *pflag.FlagSet) {
	flags.StringVarP(&p.config, "config", "c", defaultConfig, "configuration `FILE`")
	flags.StringVar(&p.mcpConfig, "mcp-config", "", "the client's own `FILE` that serve was given instead")
	flags.StringVar(&p.state, "state", "", "state folder `DIR` (default: as configured)")
	p.named = func() bool { return flags.Changed("config") }
}

// find is the state folder, and the configuration if there is one. A configuration
// that is named must be readable: the state of another gateway is not meant.
func (p *placeFlags) find() (state string, c *config.Config, err error) {
	if p.mcpConfig != "" {
		c, err = config.LoadMCP(p.mcpConfig)
	} else {
		c, err = loadConfig(p.config)
	}
	switch {
	case err == nil:
	case p.state != "":
		return p.state, nil, nil // what is in it does not depend on a configuration
	case errors.Is(err, os.ErrNotExist) && !p.named() && p.mcpConfig == "":
		return defaultStateDir(), nil, nil
	default:
		return "", nil, err
	}
	if p.state != "" {
		return p.state, c, nil
	}
	return c.State, c, nil
}

// warnElsewhere says which gateways are meant where there is no configuration: in the
// wrong folder a person would rely on a halt that reaches nobody.
func (p *placeFlags) warnElsewhere(stderr io.Writer, state string, c *config.Config) {
	if c == nil && p.state == "" {
		fmt.Fprintf(stderr, "Warning: there is no %s here; only gateways with the state folder %s are meant. Name another with --config.\n", defaultConfig, state)
	}
}

// haltTarget is what the arguments of halt and resume name.
func haltTarget(args []string) (halt.Target, error) {
	t := halt.Target{What: halt.What(args[0])}
	wrong := func(names string) (halt.Target, error) {
		return t, fmt.Errorf("expected %s%s", t.What, names)
	}
	switch t.What {
	case halt.All:
		if len(args) != 1 {
			return wrong("")
		}
	case halt.Server:
		if len(args) != 2 {
			return wrong(" ID")
		}
		t.Server = args[1]
	case halt.Tool, halt.Prompt:
		if len(args) != 3 {
			return wrong(" SERVER NAME")
		}
		t.Server, t.Name = args[1], args[2]
	case halt.Resource:
		if len(args) != 3 {
			return wrong(" SERVER URI-PREFIX")
		}
		t.Server, t.Name = args[1], args[2]
	case halt.Principal, halt.Team:
		if len(args) != 2 {
			return wrong(" NAME")
		}
		t.Name = args[1]
	default:
		return t, fmt.Errorf("%q cannot be halted; expected one of %v", args[0], halt.Whats())
	}
	return t, nil
}

type haltOptions struct {
	place  placeFlags
	reason string
	length string
	json   bool
}

func newHaltCommand() *cobra.Command {
	var opts haltOptions
	cmd := &cobra.Command{
		Use:   "halt all | server ID | tool SERVER NAME | prompt SERVER NAME | resource SERVER URI-PREFIX | principal ID | team NAME",
		Short: "Stop a server, a tool, a principal or everything, at once",
		Long: `Stops every running gateway of the state folder within a second, and those that start
later, until gatehouse resume. What is in flight is ended. NAME is that of the server itself,
without "server__" before it; ID of a principal is what the audit log calls it.

The model reads the reason. Who halted what, and why, is recorded.

Exit codes: 0 halted; 2 wrong usage or configuration; 3 not halted, or halted and not
recorded, as the message says.`,
		Example: `  gatehouse halt all --reason "incident 42"
  gatehouse halt server files --reason "wrote outside the workspace" --for 2h
  gatehouse halt tool files write_file --reason "under review"
  gatehouse halt list`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: opts.place.completeTargets,
		RunE:              func(cmd *cobra.Command, args []string) error { return runHalt(cmd, opts, args) },
	}
	opts.place.register(cmd, cmd.PersistentFlags())
	cmd.Flags().StringVar(&opts.reason, "reason", "", "why, in a few `WORDS` (needed)")
	cmd.Flags().StringVar(&opts.length, "for", "", "ends by itself after `TIME`, such as 30m, 2h or 7d")
	cmd.AddCommand(newHaltListCommand(&opts))
	return cmd
}

func runHalt(cmd *cobra.Command, opts haltOptions, args []string) error {
	t, err := haltTarget(args)
	if err != nil {
		return exitWith(exitUsage, err)
	}
	if opts.reason == "" {
		return exitWith(exitUsage, errors.New("--reason: say why, in a few words"))
	}
	var length time.Duration
	if cmd.Flags().Changed("for") {
		if length, err = parseLength(opts.length); err != nil {
			return exitWith(exitUsage, fmt.Errorf("--for: %w", err))
		}
		if length < time.Second {
			return exitWith(exitUsage, fmt.Errorf("--for %s: expected at least a second", opts.length))
		}
	}
	state, c, err := opts.place.find()
	if err != nil {
		return exitWith(exitUsage, err)
	}
	opts.place.warnElsewhere(cmd.ErrOrStderr(), state, c)
	if err := knownServer(c, t, cmd.ErrOrStderr()); err != nil {
		return exitWith(exitUsage, err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return exitWith(exitIncomplete, err)
	}
	h := halt.Halt{Target: t, Reason: opts.reason, By: person(), Since: time.Now()}
	if length > 0 {
		h.Until = h.Since.Add(length)
	}
	// Halted first and recorded then: a log that cannot be written must not keep
	// anybody from pulling the switch.
	if err := halt.Add(filepath.Join(state, haltsName), h); err != nil {
		return exitWith(exitIncomplete, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Halted: %s. Running gateways stop it within a second.\nLet it go on:  %s\n", approval.Visible(t.String()), resumeLine(t))
	if err := recordHalt(state, audit.Halted, t, h.By, h.Reason); err != nil {
		return exitWith(exitIncomplete, fmt.Errorf("halted, but not recorded: %w", err))
	}
	return nil
}

// knownServer refuses a server that the configuration does not have: a mistyped name would
// halt nothing while a person relies on it.
func knownServer(c *config.Config, t halt.Target, stderr io.Writer) error {
	if t.Server == "" {
		return nil
	}
	if c == nil {
		fmt.Fprintf(stderr, "Warning: there is no configuration here to tell whether a server is called %q.\n", t.Server)
		return nil
	}
	if _, found := c.Server(t.Server); !found {
		var ids []string
		for _, s := range c.Servers {
			ids = append(ids, s.ID)
		}
		return fmt.Errorf("%s has no server %q; its servers are %v", c.Path, t.Server, ids)
	}
	return nil
}

func resumeLine(t halt.Target) string {
	line := os.Args[0] + " resume " + string(t.What)
	for _, name := range []string{t.Server, t.Name} {
		if name != "" {
			line += " " + approval.Visible(name)
		}
	}
	return line
}

// recordHalt writes who halted or resumed what. The gateway's own log belongs to the
// gateway while it runs, so halts have one beside it, as approvals do.
func recordHalt(state string, kind audit.Kind, t halt.Target, by, reason string) error {
	trail, err := openAudit(auditIn(state), "halts", audit.Options{})
	if err != nil {
		return err
	}
	return errors.Join(appendHalt(trail, kind, t, by, reason), trail.Close())
}

func appendHalt(trail *audit.Log, kind audit.Kind, t halt.Target, by, reason string) error {
	detail := t.String()
	if reason != "" {
		detail += ": " + reason
	}
	return trail.Append(&audit.Record{Kind: kind, Principal: "local:" + by, Server: t.Server, Target: t.Name, Detail: detail})
}

func newResumeCommand() *cobra.Command {
	var place placeFlags
	cmd := &cobra.Command{
		Use:   "resume all | server ID | tool SERVER NAME | prompt SERVER NAME | resource SERVER URI-PREFIX | principal ID | team NAME",
		Short: "Let something go on that was halted",
		Long: `Ends the halt of exactly what is named, as it was halted; other halts stay. Nothing goes
on that cannot be recorded.

Exit codes: 0 resumed; 1 it was not halted; 2 wrong usage or configuration; 3 not resumed.`,
		Example: `  gatehouse resume all
  gatehouse resume tool files write_file`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: place.completeHalted,
		RunE:              func(cmd *cobra.Command, args []string) error { return runResume(cmd, place, args) },
	}
	place.register(cmd, cmd.Flags())
	return cmd
}

func runResume(cmd *cobra.Command, place placeFlags, args []string) error {
	t, err := haltTarget(args)
	if err != nil {
		return exitWith(exitUsage, err)
	}
	state, c, err := place.find()
	if err != nil {
		return exitWith(exitUsage, err)
	}
	place.warnElsewhere(cmd.ErrOrStderr(), state, c)
	list, err := halt.List(filepath.Join(state, haltsName), time.Now())
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	if !halted(list, t) {
		return exitWith(exitFindings, fmt.Errorf("%s is not halted; `gatehouse halt list` shows what is", approval.Visible(t.String())))
	}
	trail, err := openAudit(auditIn(state), "halts", audit.Options{})
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	defer trail.Close()
	// Recorded first: if the file cannot be written then, the record says more than
	// happened, and the halt stays.
	if err := appendHalt(trail, audit.Resumed, t, person(), ""); err != nil {
		return exitWith(exitIncomplete, fmt.Errorf("not resumed, because it cannot be recorded: %w", err))
	}
	remaining, err := halt.Remove(filepath.Join(state, haltsName), t, time.Now())
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Resumed: %s.\n", approval.Visible(t.String()))
	if len(remaining) > 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "\nStill halted:")
		return printHalts(cmd.OutOrStdout(), remaining)
	}
	return nil
}

func halted(list []halt.Halt, t halt.Target) bool {
	for _, h := range list {
		if h.Target == t {
			return true
		}
	}
	return false
}

func newHaltListCommand(opts *haltOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show what is halted, why, by whom and since when",
		Long: `Shows what is halted.

Exit codes: 0 it could be read; 2 wrong usage or configuration; 3 it could not be read, which
halts everything.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, c, err := opts.place.find()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			opts.place.warnElsewhere(cmd.ErrOrStderr(), state, c)
			list, err := halt.List(filepath.Join(state, haltsName), time.Now())
			if err != nil {
				return exitWith(exitIncomplete, fmt.Errorf("everything is halted: %w; mend the file, or remove it: then nothing is halted", err))
			}
			if opts.json {
				return printJSON(cmd.OutOrStdout(), haltLines(list))
			}
			if len(list) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "Nothing is halted.")
				return nil
			}
			return printHalts(cmd.OutOrStdout(), list)
		},
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "write JSON")
	return cmd
}

// haltLine is a halt in JSON. The names are stable.
type haltLine struct {
	What   halt.What `json:"what"`
	Server string    `json:"server,omitempty"`
	Name   string    `json:"name,omitempty"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"`
}

func haltLines(list []halt.Halt) []haltLine {
	lines := make([]haltLine, 0, len(list))
	for _, h := range list {
		lines = append(lines, haltLine{h.What, h.Server, h.Name, h.Reason, h.By, h.Since, h.Until})
	}
	return lines
}

func printHalts(out io.Writer, list []halt.Halt) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HALTED\tREASON\tBY\tSINCE\tUNTIL")
	for _, h := range list {
		until := "resumed"
		if !h.Until.IsZero() {
			until = h.Until.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", approval.Visible(h.Target.String()), approval.Visible(h.Reason), approval.Visible(h.By), h.Since.Format(time.RFC3339), until)
	}
	return table.Flush()
}
