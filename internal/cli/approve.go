package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
)

// lockName is the file of approved definitions, beside the configuration.
const lockName = "gatehouse.lock"

type approveOptions struct {
	config, mcpConfig, lock, state string
	list, json                     bool
	yes, all                       bool
}

func newApproveCommand() *cobra.Command {
	var opts approveOptions
	cmd := &cobra.Command{
		Use:   "approve [SERVER [NAME...]]",
		Short: "Review and approve what servers say of themselves",
		Long: `Shows how the definitions of servers differ from the approved ones, and asks for
each server whether to approve that. NAME is a tool, prompt or resource template;
"instructions" and "source" name the two items without a name.

The lock and the state are those of the configuration; without one in this folder,
those that ` + "`gatehouse run`" + ` keeps in the user's state folder.

Without a terminal and without --yes nothing is approved.
Exit codes: 0 nothing waits; 1 something still waits; 2 wrong usage or configuration;
3 the approvals could not be read or written.`,
		Example: `  gatehouse approve
  gatehouse approve files read_file
  gatehouse approve --list`,
		RunE: func(cmd *cobra.Command, args []string) error { return runApprove(cmd, opts, args) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&opts.config, "config", "c", defaultConfig, "configuration `FILE`")
	flags.StringVar(&opts.mcpConfig, "mcp-config", "", "the client's own `FILE` that serve was given instead")
	flags.StringVar(&opts.lock, "lock", "", "approved definitions `FILE` (default: as configured, "+lockName+" beside the configuration)")
	flags.StringVar(&opts.state, "state", "", "state folder `DIR` (default: as configured)")
	flags.BoolVar(&opts.list, "list", false, "only list what waits")
	flags.BoolVar(&opts.json, "json", false, "write JSON")
	flags.BoolVar(&opts.yes, "yes", false, "approve without asking; needs SERVER or --all")
	flags.BoolVar(&opts.all, "all", false, "every server")
	cmd.MarkFlagsMutuallyExclusive("config", "mcp-config")
	return cmd
}

func runApprove(cmd *cobra.Command, opts approveOptions, args []string) error {
	if err := opts.check(args); err != nil {
		return exitWith(exitUsage, err)
	}
	lock, state, err := opts.files(cmd.Flags().Changed("config"))
	if err != nil {
		return exitWith(exitUsage, err)
	}
	book, err := approval.Open(lock, filepath.Join(state, "pending"))
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	review := approval.Review{
		Book: book, List: opts.list, JSON: opts.json, Yes: opts.yes,
		Out: cmd.OutOrStdout(), By: person(),
	}
	if len(args) > 0 {
		review.Server, review.Names = args[0], args[1:]
	}
	if isTerminal(cmd.InOrStdin()) {
		review.In = cmd.InOrStdin()
	}
	if !opts.list && (opts.yes || review.In != nil) {
		// Opened before anything is decided: what cannot be recorded is not approved.
		trail, err := openAudit(filepath.Join(state, "audit"), "approvals", audit.Options{})
		if err != nil {
			return exitWith(exitIncomplete, err)
		}
		defer trail.Close()
		review.Approved = func(changes []approval.Change) error { return recordApprovals(trail, review.By, changes) }
	}
	review.Colour = isTerminal(cmd.OutOrStdout()) && os.Getenv("NO_COLOR") == ""
	waiting, err := review.Run()
	switch {
	case errors.Is(err, approval.ErrUsage):
		return exitWith(exitUsage, err)
	case err != nil:
		return exitWith(exitIncomplete, err)
	case waiting > 0:
		return exitWith(exitFindings, fmt.Errorf("waiting for approval: %d", waiting))
	}
	return nil
}

// recordApprovals writes who approved what. The gateway's own log belongs to the
// gateway while it runs, so approvals have one beside it.
func recordApprovals(trail *audit.Log, by string, changes []approval.Change) error {
	for _, c := range changes {
		err := trail.Append(&audit.Record{
			Kind: audit.Approved, Principal: "local:" + by, Server: c.Server, Target: c.Name, Decision: audit.Allow,
			Detail: fmt.Sprintf("%s %s %s", c.Kind, c.What(), c.New.Digest), Findings: c.Findings,
		})
		if err != nil {
			return fmt.Errorf("approved, but not recorded: %w", err)
		}
	}
	return nil
}

func (o approveOptions) check(args []string) error {
	switch {
	case o.all && len(args) > 0:
		return errors.New("--all and SERVER exclude each other")
	case o.yes && o.list:
		return errors.New("--yes and --list exclude each other")
	case o.yes && !o.all && len(args) == 0:
		return errors.New("--yes approves without asking: name a SERVER, or give --all for every server")
	}
	return nil
}

// files are the lock and the state folder of the gateway that is meant. A
// configuration that is named, or stands in this folder, must be readable: in the
// files of another one nothing would wait.
func (o approveOptions) files(named bool) (lock, state string, err error) {
	lock, state = o.lock, o.state
	if lock != "" && state != "" {
		return lock, state, nil
	}
	c, err := o.load()
	if errors.Is(err, os.ErrNotExist) && !named && o.mcpConfig == "" {
		if state == "" {
			state = defaultStateDir()
		}
		if lock == "" {
			lock = filepath.Join(state, lockName)
		}
		return lock, state, nil
	}
	if err != nil {
		return "", "", err
	}
	if lock == "" {
		lock = c.Lock
	}
	if state == "" {
		state = c.State
	}
	return lock, state, nil
}

func (o approveOptions) load() (*config.Config, error) {
	if o.mcpConfig != "" {
		return config.LoadMCP(o.mcpConfig)
	}
	return config.Load(o.config)
}

// person is who approves, as the operating system knows them. The lock is reviewed
// in git, which knows better who committed it.
func person() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

// isTerminal tells a person's terminal from a pipe or file. The null device counts
// as one and is harmless: it answers nothing and shows nothing.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
