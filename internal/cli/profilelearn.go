package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

type learnOptions struct {
	runOptions
	output string
	stdio  bool
	asJSON bool
	wait   time.Duration
}

func newProfileLearnCommand() *cobra.Command {
	var o learnOptions
	cmd := &cobra.Command{
		Use:   "learn [flags] -- COMMAND [ARG...]",
		Short: "Observe a server and propose the smallest profile",
		Long: `Start a server in a sandbox that observes it, and propose a sandbox section with what it
used, each grant with its reason. While it is observed the server sees the files of this
machine, except the usual places of secrets, changes none of them but what --write names,
and reaches nothing over the network; what it asked for is noted.

Without --stdio Gatehouse begins a session with the server and lists what it has. To see
what it needs at work, put "gatehouse profile learn --stdio --output FILE --" in front of
the command in a client's configuration and use it.

A proposal is a beginning: it has what the server used this time, and nobody has judged
whether it should. Read it before you use it.`,
		Example: `  gatehouse profile learn --sandbox node -- node server.js ~/notes
  gatehouse profile learn --sandbox node --write ~/notes --stdio --output notes.yaml -- node server.js ~/notes`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	o.sandboxFlags(f, noPreset)
	f.StringVar(&o.output, "output", "", "write the proposal to `FILE` (default: standard output, with --stdio standard error)")
	f.BoolVar(&o.stdio, "stdio", false, "stand between the client that started Gatehouse and the server, on stdin and stdout")
	f.BoolVar(&o.asJSON, "json", false, "print what was used and the proposal as JSON")
	f.DurationVar(&o.wait, "wait", 10*time.Second, "without --stdio: how long to wait for answers")
	return cmd
}

func (o *learnOptions) run(cmd *cobra.Command, args []string) error {
	c, err := o.configuration(args)
	if err != nil {
		return exitWith(exitUsage, err)
	}
	folder, err := o.fromPackage(cmd, c)
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	server := c.Servers[0]
	if server.Sandbox.InContainer() {
		return exitWith(exitUsage, errors.New("servers in containers cannot be observed; leave --runtime and --image out"))
	}
	environ, err := server.Environ()
	if err != nil {
		return exitWith(exitUsage, err)
	}
	plain := sandbox.Command{Args: server.Command, Dir: server.Dir, Env: environ, Hidden: []string{c.State}, Network: unserved}
	base := *server.Sandbox
	without, err := sandbox.New(base, plain) // what it would see with the profile so far
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	uses, err := o.observe(cmd, base, plain)
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	uses = append(named(server), uses...)
	proposal, reasons := profile.Propose(base, uses, machine(base, without.Shown(), c))
	proposal.Read = slices.DeleteFunc(proposal.Read, func(path string) bool { return path == folder }) // shown to it in any case
	var out io.Writer = cmd.OutOrStdout()
	switch {
	case o.output != "":
		f, err := os.OpenFile(o.output, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return exitWith(exitIncomplete, err)
		}
		defer f.Close()
		out = f
	case o.stdio:
		out = cmd.ErrOrStderr()
	}
	if o.asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"schema": 1, "uses": uses, "sandbox": section(proposal), "reasons": reasons})
	}
	printProposal(out, proposal, reasons)
	return nil
}

// fromPackage installs what the command launches, so that what is observed is the
// server alone, and returns the folder with it; "" for other commands.
func (o *learnOptions) fromPackage(cmd *cobra.Command, c *config.Config) (folder string, err error) {
	r, launches, err := c.Servers[0].Package()
	if !launches || err != nil {
		return "", err
	}
	if err := c.EnsureState(); err != nil {
		return "", err
	}
	trail, err := openAudit(auditIn(c.State), "install", audit.Options{})
	if err != nil {
		return "", err
	}
	defer trail.Close()
	i := newInstaller(c, trail, c.Servers[0].ID, func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), approval.Visible(text)) })
	rec, _, err := i.Ensure(cmd.Context(), r)
	if err != nil {
		return "", err
	}
	c.Servers[0], err = fromPackage(c.State, c.Servers[0])
	return i.Store.Path(rec), err
}

// named are the files and folders in the arguments of a command.
func named(s config.Server) []profile.Use {
	var uses []profile.Use
	for _, arg := range s.Command[1:] {
		if slices.ContainsFunc(s.Sandbox.Read, func(path string) bool { return below(path, arg) }) || !strings.Contains(arg, "/") {
			continue
		}
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(s.Dir, arg)
		}
		if _, err := os.Stat(arg); err == nil {
			uses = append(uses, profile.Use{Kind: profile.Named, Path: filepath.Clean(arg), Times: 1})
		}
	}
	return uses
}

// observe runs the server until it ends.
func (o *learnOptions) observe(cmd *cobra.Command, base profile.Profile, c sandbox.Command) ([]profile.Use, error) {
	c.Observe = true
	base.Network = nil // nothing is reached; what it asks for is noted
	box, err := sandbox.New(base, c)
	if err != nil {
		return nil, err
	}
	defer box.Ended()
	process := exec.Command("/proc/self/exe")
	process.Stderr = cmd.ErrOrStderr()
	var talk func() error
	if o.stdio {
		process.Stdin, process.Stdout = cmd.InOrStdin(), cmd.OutOrStdout()
		talk = func() error { return nil }
	} else if talk, err = o.greet(process); err != nil {
		return nil, err
	}
	if err := box.Configure(process); err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	go func() {
		for range interrupted { // the server is asked to end, and the proposal follows
			_ = process.Process.Signal(syscall.SIGTERM)
		}
	}()
	if err := box.Started(process.Process.Pid); err != nil {
		_ = process.Process.Kill()
		_ = process.Wait()
		return nil, err
	}
	if err := talk(); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", err)
	}
	if err := process.Wait(); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Warning: the server ended with", err)
	}
	return box.Uses()
}

// greeting begins a session and asks for everything that a server lists.
const greeting = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"gatehouse","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/list"}
{"jsonrpc":"2.0","id":3,"method":"resources/list"}
{"jsonrpc":"2.0","id":4,"method":"prompts/list"}
`

// answers is how many of the greeting's messages are answered.
const answers = 4

// greet prepares a short conversation. What comes of the answers does not matter; that
// they came does.
func (o *learnOptions) greet(process *exec.Cmd) (talk func() error, err error) {
	in, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return func() error {
		defer in.Close()
		all := make(chan int)
		go func() {
			lines, chunk, sent := 0, make([]byte, 64<<10), false
			for {
				n, err := out.Read(chunk)
				if lines += strings.Count(string(chunk[:n]), "\n"); lines >= answers && !sent || err != nil {
					if !sent {
						all <- lines
						sent = true
					}
					if err != nil {
						return
					}
				}
			}
		}()
		if _, err := io.WriteString(in, greeting); err != nil {
			return fmt.Errorf("the server does not read: %w", err)
		}
		select {
		case lines := <-all:
			if lines < answers {
				return errors.New("the server ended before it had answered")
			}
			return nil
		case <-time.After(o.wait):
			go func() { <-all }()
			_ = process.Process.Signal(syscall.SIGTERM)
			return fmt.Errorf("the server did not answer everything within %v; the proposal has what was seen", o.wait)
		}
	}, nil
}

// machine answers what a proposal must know of this machine.
func machine(base profile.Profile, shown []sandbox.Shown, c *config.Config) profile.Machine {
	own := []string{"/proc", "/sys", "/dev", "/tmp", "/run", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"}
	var broad []string
	if home, err := os.UserHomeDir(); err == nil {
		broad = append(broad, home, filepath.Dir(home))
	}
	return profile.Machine{
		Broad: append(broad, c.State, "/var/tmp", "/usr/bin", "/usr/lib"),
		Folder: func(path string) (folder, there bool) {
			info, err := os.Stat(path)
			return err == nil && info.IsDir(), err == nil
		},
		Covered: func(u profile.Use) bool {
			if u.Kind == profile.UsedNetwork {
				return false
			}
			if real, err := filepath.EvalSymlinks(u.Path); err == nil {
				u.Path = real
			}
			for _, place := range own {
				if below(place, u.Path) {
					return true
				}
			}
			for _, s := range shown {
				if below(s.Path, u.Path) && (u.Kind == profile.UsedRead || u.Kind == profile.Named || u.Kind == profile.UsedWrite && s.Write || u.Kind == profile.UsedExecute && s.Exec) {
					return true
				}
			}
			return false
		},
	}
}

func below(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}

// section is a profile as a configuration has it.
func section(p profile.Profile) map[string]any {
	out := map[string]any{}
	if p.Preset != "" {
		out["preset"] = p.Preset
	}
	for key, list := range map[string][]string{"read": p.Read, "write": p.Write, "execute": p.Execute, "network": places(p)} {
		if len(list) > 0 {
			out[key] = list
		}
	}
	return out
}

func places(p profile.Profile) []string {
	var out []string
	for _, d := range p.Network {
		out = append(out, d.String())
	}
	return out
}

// printProposal writes a sandbox section with the reason for each grant beside it.
func printProposal(w io.Writer, p profile.Profile, reasons []profile.Reason) {
	why := map[string]string{}
	for _, r := range reasons {
		why[r.Key+" "+r.Value] = r.Why
	}
	fmt.Fprintln(w, "# Proposed from what the server used while it was observed. Read every line before")
	fmt.Fprintln(w, "# you accept it: a grant that you do not understand is one to leave out.")
	fmt.Fprintln(w, "sandbox:")
	if p.Preset != "" {
		fmt.Fprintln(w, "  preset:", p.Preset)
	}
	for _, list := range []struct {
		key    string
		values []string
	}{{"read", p.Read}, {"write", p.Write}, {"execute", p.Execute}, {"network", places(p)}} {
		if len(list.values) == 0 {
			continue
		}
		fmt.Fprintf(w, "  %s:\n", list.key)
		for _, value := range list.values {
			reason := why[list.key+" "+value]
			if reason == "" {
				reason = "as you said"
			}
			fmt.Fprintf(w, "    - %s # %s\n", strconv.Quote(value), approval.Visible(reason))
		}
	}
	if len(reasons) == 0 {
		fmt.Fprintln(w, "  # It used nothing besides what its program is made of.")
	}
}
