package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/command"
	"gatehouse/internal/config"
	"gatehouse/internal/egress"
	"gatehouse/internal/install"
	"gatehouse/internal/profile"
)

type installOptions struct {
	place           placeFlags
	network         []string
	unsafeAddresses []string
	json            bool
}

func newInstallCommand() *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "install [SERVER | npm:NAME@VERSION | pypi:NAME==VERSION]... | -- COMMAND",
		Short: "Install the packages of servers that npx and uvx would start",
		Long: `Install packages into the state of Gatehouse, from the registry that npm or pip is set up
for on this machine. Their scripts are not run, and nothing is built from source. The installers
work in a sandbox that reaches the registry and writes into one new folder. What was
installed is recorded, and servers start from it without a network; a file that was changed
since keeps its server from starting.

Without arguments it installs what the servers of the configuration need and what is not
there yet. A server or a package that is named is installed anew: this is how one whose
version is not fixed is updated. Restart the server, or Gatehouse, to use it.`,
		Example: `  gatehouse install
  gatehouse install files
  gatehouse install npm:@modelcontextprotocol/server-memory@2026.8.31
  gatehouse install -- uvx --with 'mcp<2' mcp-server-time`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args)
		},
	}
	o.place.register(cmd, cmd.PersistentFlags())
	cmd.PersistentFlags().BoolVar(&o.json, "json", false, "write JSON")
	cmd.Flags().StringArrayVar(&o.network, "network", nil, "let installers reach `HOST:PORT` besides the registries (repeatable)")
	cmd.Flags().StringArrayVar(&o.unsafeAddresses, "unsafe-addresses", nil, "let the names of registries lead into this private `RANGE`, such as 10.1.0.0/16 (repeatable)")
	cmd.AddCommand(o.listCommand())
	return cmd
}

// wanted is a request with the server that it is for.
type wanted struct {
	command.Request
	server string // "" for a package by itself
	anew   bool
}

func (o *installOptions) run(cmd *cobra.Command, args []string) error {
	state, c, err := o.place.find()
	if err != nil {
		return exitWith(exitUsage, err)
	}
	if c == nil {
		c = config.Default(filepath.Join(state, "(gatehouse install)"))
	}
	if c.State, err = filepath.Abs(state); err != nil {
		return exitWith(exitIncomplete, err)
	}
	if err := o.settings(c); err != nil {
		return exitWith(exitUsage, err)
	}
	wants, err := wantedBy(c, args)
	if err != nil {
		return exitWith(exitUsage, err)
	}
	if err := c.EnsureState(); err != nil {
		return exitWith(exitIncomplete, err)
	}
	trail, err := openAudit(auditIn(c.State), "install", audit.Options{})
	if err != nil {
		return exitWith(exitIncomplete, fmt.Errorf("not installed, because it cannot be recorded: %w", err))
	}
	defer trail.Close()
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	type result struct {
		Server string `json:"server,omitempty"`
		Was    bool   `json:"alreadyInstalled"`
		install.Record
	}
	var results []result
	var failed []error
	for _, w := range wants {
		i := newInstaller(c, trail, w.server, func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), approval.Visible(text)) })
		rec, installed, err := w.install(ctx, i)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		results = append(results, result{w.server, !installed, rec})
	}
	if o.json {
		if err := printJSON(cmd.OutOrStdout(), map[string]any{"schema": 1, "installed": results}); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			printInstalled(cmd.OutOrStdout(), r.Record, r.Was)
		}
		if len(wants) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "No server of the configuration needs a package.")
		}
	}
	if err := errors.Join(failed...); err != nil {
		return exitWith(exitIncomplete, err)
	}
	return nil
}

// settings adds what the flags say to what the configuration says.
func (o *installOptions) settings(c *config.Config) error {
	for _, text := range o.network {
		d, err := profile.ParseDestination(text)
		if err != nil {
			return fmt.Errorf("--network %s: %w", text, err)
		}
		c.Install.Network = append(c.Install.Network, d)
	}
	for _, text := range o.unsafeAddresses {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() || p.Bits() == 0 {
			return fmt.Errorf("--unsafe-addresses %s: expected a range of addresses, such as 10.1.0.0/16", text)
		}
		c.Install.UnsafeAddresses = append(c.Install.UnsafeAddresses, p)
	}
	return nil
}

// wantedBy is what the arguments name, or what all servers need.
func wantedBy(c *config.Config, args []string) ([]wanted, error) {
	var wants []wanted
	add := func(s config.Server, anew bool) error {
		r, launches, err := s.Package()
		switch {
		case err != nil:
			return fmt.Errorf("server %s: %w", s.ID, err)
		case launches:
			wants = append(wants, wanted{r, s.ID, anew})
		case anew:
			return fmt.Errorf("server %s is not started from a package that Gatehouse installs", s.ID)
		}
		return nil
	}
	if len(args) == 0 {
		for _, s := range c.Servers {
			if err := add(s, false); err != nil {
				return nil, err
			}
		}
		return wants, nil
	}
	if r, launches, err := command.Launches(args); launches {
		return []wanted{{Request: r, anew: true}}, err
	}
	for _, arg := range args {
		if s, found := c.Server(arg); found {
			if err := add(s, true); err != nil {
				return nil, err
			}
			continue
		}
		r, err := command.NewRequest(arg)
		if err != nil {
			return nil, fmt.Errorf("there is no server of that name, and %w", err)
		}
		wants = append(wants, wanted{Request: r, anew: true})
	}
	return wants, nil
}

func (w wanted) install(ctx context.Context, i *install.Installer) (rec install.Record, installed bool, err error) {
	if !w.anew {
		return i.Ensure(ctx, w.Request)
	}
	rec, err = i.Install(ctx, w.Request)
	return rec, err == nil, err
}

// newInstaller records what it installs and reaches in the log.
func newInstaller(c *config.Config, trail *audit.Log, server string, progress func(string)) *install.Installer {
	return &install.Installer{
		Store: install.InState(c.State), Progress: progress,
		Record: func(r install.Record) error {
			return trail.Append(&audit.Record{
				Kind: audit.Installed, Server: server, Principal: "local:" + person(), Detail: r.String(),
			})
		},
		Reached: func(e egress.Event) error {
			return trail.Append(&audit.Record{Kind: audit.Reached, Server: server, Detail: "an installer: " + e.String()})
		},
		Network: c.Install.Network, UnsafeAddresses: c.Install.UnsafeAddresses,
		Hidden: []string{c.Lock, filepath.Join(c.State, "audit"), filepath.Join(c.State, "oauth")},
	}
}

func printInstalled(w io.Writer, r install.Record, was bool) {
	verb := "Installed"
	if was {
		verb = "Already installed:"
	}
	fmt.Fprintf(w, "%s %s %s, %d packages in all, %s.\n", verb, approval.Visible(r.Package), approval.Visible(r.Version), r.Packages, approval.Visible(r.Integrity))
	if len(r.Scripts) > 0 {
		fmt.Fprintf(w, "Scripts that were not run, of %s: if the server misses something, this is why.\n", approval.Visible(strings.Join(r.Scripts, ", ")))
	}
}

// ensurePackages installs what the servers of a configuration start from and what is
// not there. One that cannot be installed does not keep the others from being served.
func ensurePackages(ctx context.Context, c *config.Config, trail *audit.Log, log *slog.Logger) {
	if c.Install.When == config.Explicitly {
		return
	}
	for _, s := range c.Servers {
		r, launches, err := s.Package()
		if !launches || err != nil {
			continue // the gateway says why it does not start
		}
		i := newInstaller(c, trail, s.ID, func(text string) { log.Info(text, "server", s.ID) })
		if _, _, err := i.Ensure(ctx, r); err != nil {
			log.Error("the package of a server is not installed; the server does not start", "server", s.ID, "error", err, "hint", "gatehouse install tries again; with unsafe_no_sandbox: true its command starts as it is")
		}
	}
}

// fromPackage is a server as it starts from its package, which has to be installed.
// Other servers are as they were.
func fromPackage(state string, s config.Server) (config.Server, error) {
	r, launches, err := s.Package()
	if !launches {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	start, err := install.InState(state).Start(r)
	if err != nil {
		return s, fmt.Errorf("%w; this installs it: %s", err, install.InState(state).Advice(r))
	}
	p := s.Sandbox.With(profile.Profile{Read: []string{start.Folder}})
	s.Command, s.Sandbox = start.Command, &p
	return s, nil
}

func (o *installOptions) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List what is installed, and whether it is as it was",
		Long: `List the packages that servers start from. Every file is compared with what was installed.

Exit codes: 0 everything is as it was installed; 1 something was changed; 3 the list
could not be read.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, _, err := o.place.find()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			return o.list(cmd.OutOrStdout(), install.InState(state))
		},
	}
}

func (o *installOptions) list(w io.Writer, store install.Store) error {
	records, err := store.List()
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	type line struct {
		install.Record
		Changed string `json:"changed,omitempty"`
	}
	lines, changed := []line{}, false
	for _, r := range records {
		l := line{Record: r}
		if err := store.Verify(r); err != nil {
			l.Changed, changed = err.Error(), true
		}
		lines = append(lines, l)
	}
	if o.json {
		err = printJSON(w, map[string]any{"schema": 1, "installed": lines})
	} else {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "PACKAGE\tVERSION\tASKED FOR\tPACKAGES\tSCRIPTS NOT RUN\tINSTALLED\tFILES")
		for _, l := range lines {
			files := "as installed"
			if l.Changed != "" {
				files = "CHANGED"
			}
			fmt.Fprintf(table, "%s:%s\t%s\t%s\t%d\t%d\t%s\t%s\n", l.Kind, approval.Visible(l.Package), approval.Visible(l.Version),
				approval.Visible(strings.Join(l.Request, " with ")), l.Packages, len(l.Scripts), l.Installed.Format("2006-01-02 15:04"), files)
		}
		err = table.Flush()
	}
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	if changed {
		return exitWith(exitFindings, nil)
	}
	return nil
}
