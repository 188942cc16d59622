package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gatehouse/internal/config"
	"gatehouse/internal/downstream"
	"gatehouse/internal/profile"
)

type runOptions struct {
	id       string
	passEnv  []string
	resolve  []string
	state    string
	lock     string
	explicit bool
	verbose  bool

	sandbox                       string
	runtime, image                string
	read, write, execute, network []string

	unsafeNoSandbox bool
}

func newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARG...]",
		Short: "Guard one stdio server; a drop-in wrapper for a client's configuration",
		Long: `Start one server and stand between it and the client that started Gatehouse, on stdin
and stdout. Put it in front of the command in a client's configuration:

  "command": "gatehouse", "args": ["run", "--", "npx", "-y", "some-mcp-server"]

The server gets HOME, LOGNAME, PATH, SHELL, TERM, USER, LANG, TZ and TMPDIR from the
environment and nothing else; name more with --pass-env. With --resolve-env the value of
a variable is a reference, such as keyring:github/TOKEN, and the server gets what it
refers to.

What npx, uvx and the like would fetch is installed first, once, and starts in a sandbox
that shows it nothing else: add --read, --write and --network for what it needs.

With --sandbox any other server is started so that it can do only what a preset and the flags --read,
--write, --execute and --network allow; it does not start where that cannot be enforced.
With --runtime and --image that is a container of Docker or Podman; what follows the two
dashes is what would follow the image in a docker run line, which may be nothing.`,
		Example: `  gatehouse run --write ~/notes -- npx -y @modelcontextprotocol/server-filesystem@2026.8.31 ~/notes
  gatehouse run --pass-env GITHUB_TOKEN -- github-mcp-server stdio
  gatehouse run --sandbox offline-files --write ~/notes -- node server.js ~/notes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && o.image == "" {
				return exitWith(exitUsage, errors.New("name the command of the server after --"))
			}
			return o.run(cmd, args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // everything after the command belongs to it
	f.StringVar(&o.id, "id", "", "name of the server in the log and the lock file (default: made from the command)")
	f.StringSliceVar(&o.passEnv, "pass-env", nil, "pass this environment variable to the server (repeatable)")
	f.StringSliceVar(&o.resolve, "resolve-env", nil, "pass this variable, whose value is env:NAME, file:PATH, keyring:NAME or age:PATH (repeatable)")
	f.StringVar(&o.state, "state", "", "folder for the log and pending changes (default: the user's state folder)")
	f.StringVar(&o.lock, "lock", "", "approved definitions (default: gatehouse.lock in the state folder)")
	f.BoolVar(&o.explicit, "explicit", false, "approve nothing at first sight; wait for gatehouse approve")
	o.sandboxFlags(f, "")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
	return cmd
}

// sandboxFlags are the flags that say what the server may do.
func (o *runOptions) sandboxFlags(f *pflag.FlagSet, preset string) {
	f.StringVar(&o.sandbox, "sandbox", preset, "start the server in a sandbox with the preset `NAME`: "+noPreset+", "+strings.Join(profile.PresetNames(), ", "))
	f.StringVar(&o.runtime, "runtime", "", "in a sandbox: what holds the server: "+strings.Join(profile.Runtimes(), ", "))
	f.StringVar(&o.image, "image", "", "in a container: the image by digest, `NAME@sha256:…`, or by id")
	f.StringSliceVar(&o.read, "read", nil, "in a sandbox: let it read this file or folder (repeatable)")
	f.StringSliceVar(&o.write, "write", nil, "in a sandbox: let it read and change this file or folder (repeatable)")
	f.StringSliceVar(&o.execute, "execute", nil, "in a sandbox: let it start this program (repeatable)")
	f.BoolVar(&o.unsafeNoSandbox, "unsafe-no-sandbox", false, "start npx, uvx and the like as they are, without a sandbox")
	f.StringArrayVar(&o.network, "network", nil, "in a sandbox: let it reach `HOST:PORT` (repeatable)")
}

func (o runOptions) run(cmd *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	c, err := o.configuration(args)
	if err == nil {
		err = o.follow(&c.Servers[0])
	}
	if err != nil {
		return exitWith(exitUsage, err)
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	// A client that is gone must end us in order, its servers first.
	signal.Ignore(syscall.SIGPIPE)
	id := c.Servers[0].ID
	for _, warning := range o.warnings(c.Servers[0]) {
		fmt.Fprintln(stderr, "Warning:", warning)
	}
	r, err := start(ctx, c, newLogger(stderr, o.verbose), id)
	if err != nil {
		return err
	}
	defer r.close()
	r.watchLock(ctx)
	r.watchSwitch(ctx)
	front := &downstream.Stdio{Gateway: r.gateway, Mount: id, Bytes: c.Limits.RequestBytes}
	if err := front.Serve(ctx, stdin, stdout); err != nil {
		return exitWith(exitIncomplete, err)
	}
	if err := r.gateway.Trouble(id); err != nil {
		return exitWith(exitIncomplete, fmt.Errorf("the server could not be used: %w", err))
	}
	return nil
}

// configuration is what a gatehouse.yaml with this one server would say.
func (o runOptions) configuration(args []string) (*config.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	c := config.Default(filepath.Join(dir, "(gatehouse run)"))
	c.State = o.state
	if c.State == "" {
		c.State = userStateDir()
	}
	if c.State, err = filepath.Abs(c.State); err != nil {
		return nil, err
	}
	c.Lock = o.lock
	if c.Lock == "" {
		c.Lock = filepath.Join(c.State, lockName)
	}
	if o.explicit {
		c.Approve = config.Explicit
	}
	id := o.id
	if id == "" {
		words := args
		if o.image != "" {
			words = append([]string{o.image}, args...)
		}
		id = commandID(words)
	}
	if !idForm.MatchString(id) {
		return nil, fmt.Errorf("--id %s: small letters, digits and single dashes, at most 32 characters", id)
	}
	c.Servers = []config.Server{{
		ID: id, Name: id, Command: args, Dir: dir, PassEnv: o.passEnv,
		Approve: c.Approve, Era: config.Auto, Timeout: c.Limits.Timeout,
	}}
	return c, o.confine(c, dir)
}

// confine gives the server the sandbox that the flags say, or the one that belongs to
// a package that its command launches.
func (o runOptions) confine(c *config.Config, dir string) (err error) {
	s := &c.Servers[0]
	if o.unsafeNoSandbox {
		if o.sandbox != "" || len(o.read)+len(o.write)+len(o.execute)+len(o.network) > 0 {
			return errors.New("--unsafe-no-sandbox and what a sandbox allows do not go together")
		}
		s.UnsafeNoSandbox = true
		return nil
	}
	_, launches, err := s.Package()
	if err != nil {
		return fmt.Errorf("%w; or --unsafe-no-sandbox to start it as it is", err)
	}
	if launches && o.sandbox == "" {
		s.ConfinePackage()
		o.sandbox = s.Sandbox.Preset
	}
	s.Sandbox, err = o.profile(c, dir)
	return err
}

// warnings tell what was loosened and what the server will miss.
func (o runOptions) warnings(s config.Server) []string {
	if o.unsafeNoSandbox {
		return []string{"the server has no sandbox: it may do whatever Gatehouse may"}
	}
	if unseen := s.Unseen(); len(unseen) > 0 {
		return []string{fmt.Sprintf("the command names %s, which the sandbox of the server does not show; add --read, or --write if the server is to change it", strings.Join(unseen, ", "))}
	}
	return nil
}

// noPreset is the sandbox that allows nothing but what the flags say.
const noPreset = "nothing"

// profile is what the flags allow; nil without --sandbox.
func (o runOptions) profile(c *config.Config, dir string) (*profile.Profile, error) {
	if o.sandbox == "" {
		if len(o.read)+len(o.write)+len(o.execute)+len(o.network) > 0 || o.runtime != "" || o.image != "" {
			return nil, errors.New("--runtime, --image, --read, --write, --execute and --network belong to a sandbox; add --sandbox nothing")
		}
		return nil, nil
	}
	p, err := profile.FromPreset(strings.TrimPrefix(o.sandbox, noPreset))
	if err != nil {
		return nil, fmt.Errorf("--sandbox %s: expected nothing, %s", o.sandbox, strings.Join(profile.PresetNames(), ", "))
	}
	if o.runtime != "" && !slices.Contains(profile.Runtimes(), o.runtime) {
		return nil, fmt.Errorf("--runtime %s: expected %s", o.runtime, strings.Join(profile.Runtimes(), ", "))
	}
	changes := profile.Profile{Environment: slices.Concat(o.resolve, o.passEnv), Runtime: o.runtime, Image: o.image}
	for from, to := range map[*[]string]*[]string{&o.read: &changes.Read, &o.write: &changes.Write, &o.execute: &changes.Execute} {
		for _, path := range *from {
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			*to = append(*to, filepath.Clean(path))
		}
	}
	for _, text := range o.network {
		d, err := profile.ParseDestination(text)
		if err != nil {
			return nil, fmt.Errorf("--network %s: %w", text, err)
		}
		changes.Network = append(changes.Network, d)
	}
	p = p.With(changes)
	if err := c.CheckProfile(p); err != nil {
		return nil, fmt.Errorf("--%w", err)
	}
	return &p, nil
}

var (
	idForm  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	notIDs  = regexp.MustCompile(`[^a-z0-9]+`)
	runners = map[string]bool{"npx": true, "uvx": true, "node": true, "python": true, "python3": true, "pipx": true, "bunx": true, "deno": true, "docker": true}
)

// commandID makes an id that people recognise and that differs for different
// commands, so that each has approvals of its own.
func commandID(args []string) string {
	word := filepath.Base(args[0])
	if runners[word] {
		for _, a := range args[1:] {
			if !strings.HasPrefix(a, "-") {
				word = a
				break
			}
		}
	}
	if at := strings.LastIndexByte(word, '@'); at > 0 {
		word = word[:at] // the version
	}
	word = strings.Trim(notIDs.ReplaceAllString(strings.ToLower(filepath.Base(word)), "-"), "-")
	if len(word) > 20 {
		word = strings.Trim(word[:20], "-")
	}
	if word == "" || word[0] < 'a' {
		word = "server" + word
	}
	sum := sha256.Sum256([]byte(strings.Join(args, "\x00")))
	return word + "-" + hex.EncodeToString(sum[:4])
}
