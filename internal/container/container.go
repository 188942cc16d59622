// Package container starts servers in containers of Docker or Podman so that they
// can do only what their profile allows, and proves it. It drives the engine's own
// command, which finds its engine by itself, needs no service for Podman and costs
// nothing until it is used. What the engine made is compared with what it was asked
// for before anything starts. On the engine's own Linux machine our program is
// moreover the first process of the container: it locks the server up once more and
// tries what must be refused, as package sandbox does.
package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

// Box is the container of one server that is about to start, or runs. Its methods
// are called in the order Configure, Started, Ended.
type Box struct {
	profile profile.Profile
	command sandbox.Command
	engine  engine
	grants  []grant
	inside  bool // our program is the first process

	id     string
	gate   *gate // to the first process; nil unless inside
	ends   *time.Timer
	report sandbox.Report
}

// errNoNetwork says that listed places cannot be told from others here.
var errNoNetwork = fmt.Errorf("%w: network: only a gateway on the Linux machine of the engine can serve the network of a container", sandbox.ErrNotEnforced)

// grant is something of the machine that the server is given.
type grant struct {
	path, source string // inside, and what it leads to outside
	write        bool
	folder       bool
}

// New plans a container. The engine is not asked yet.
func New(p profile.Profile, c sandbox.Command) (*Box, error) {
	if err := p.CheckRuntime(); err != nil {
		return nil, err
	}
	if c.Observe {
		return nil, errors.New("servers in containers cannot be observed; run it with the native runtime for that")
	}
	e, err := find(p.Runtime)
	if err != nil {
		return nil, err
	}
	b := &Box{profile: p, command: c, engine: e}
	if b.grants, err = grantsOf(p); err != nil {
		return nil, err
	}
	for _, name := range p.SecretFiles {
		if _, there := c.Secrets[name]; !there {
			return nil, fmt.Errorf("the secret %s has no value", name)
		}
	}
	if len(p.Network) > 0 {
		if c.Network == nil {
			return nil, errors.New("nobody serves the network that the profile asks for")
		}
		if err := canServe(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// reserved are places of a container that nothing of the machine may cover.
var reserved = []string{"/proc", "/sys", "/dev", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/usr", "/run/secrets", "/run/gatehouse"}

// grantsOf turns the paths of a profile into what is mounted.
func grantsOf(p profile.Profile) ([]grant, error) {
	var out []grant
	add := func(path string, write bool) error {
		if path == "" || slices.ContainsFunc(out, func(g grant) bool { return g.path == path }) {
			return nil // what may be changed comes first, and may be read
		}
		if path == "/" || path == "/tmp" || slices.ContainsFunc(reserved, func(r string) bool { return within(r, path) || within(path, r) }) {
			return fmt.Errorf("%s would cover what the container has there; name a folder of your own", path)
		}
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%s is no path in a container; a server on Windows can be given none", path)
		}
		source, err := filepath.EvalSymlinks(path)
		if err != nil {
			return err
		}
		info, err := os.Stat(source)
		if err != nil {
			return err
		}
		if kind := info.Mode().Type(); kind&^fs.ModeDir != 0 {
			return fmt.Errorf("%s is neither a file nor a folder", path)
		}
		// The engine follows links when it mounts. In a folder that the server changes it
		// could put one there.
		for _, g := range out {
			if g.write && (within(g.path, path) || within(g.source, source)) {
				if write {
					return nil
				}
				return fmt.Errorf("%s lies in %s, which the server may change; a container cannot keep it from doing so", path, g.path)
			}
		}
		out = append(out, grant{path, source, write, info.IsDir()})
		return nil
	}
	writes := append([]string{p.Home}, p.Write...)
	slices.Sort(writes) // outer folders first
	for _, path := range writes {
		if err := add(path, true); err != nil {
			return nil, err
		}
	}
	for _, path := range p.Read {
		if err := add(path, false); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b grant) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

// within reports whether path is folder or lies below it.
func within(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}

// userOf is who the server is: never root, unless the profile says a number that the
// container's root could not use either.
func userOf(p profile.Profile) (uid, gid int) {
	switch {
	case p.User != 0:
		return p.User, p.User
	case runtime.GOOS == "linux" && os.Getuid() != 0:
		return os.Getuid(), os.Getgid()
	}
	return profile.Nobody, profile.Nobody
}

// Configure makes the container and turns a command into one that starts it. It
// keeps the standard streams.
func (b *Box) Configure(cmd *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	about, err := b.engine.about(ctx)
	if err != nil {
		return err
	}
	img, err := b.engine.image(ctx, b.profile.Image)
	if err != nil {
		return err
	}
	b.inside = canEnter && about.local && img.fits()
	o, err := b.options(about, img)
	if err != nil {
		return err
	}
	if b.id, err = b.engine.create(ctx, o); err != nil {
		return err
	}
	made, err := b.engine.inspect(ctx, b.id)
	if err != nil {
		return err
	}
	b.report = o.report(about, o.compare(made))
	if err := b.report.Err(b.profile.UnsafeMissing); err != nil {
		return err
	}
	cmd.Path, cmd.Args = b.engine.path, []string{b.engine.path, "start", "--attach", "--interactive", b.id}
	if b.engine.name == profile.Podman { // which looks for them in everything that it passes on
		cmd.Args = []string{b.engine.path, "start", "--attach", "--interactive", "--detach-keys=", b.id}
	}
	cmd.Env, cmd.Dir, cmd.Err = engineEnvironment(), os.TempDir(), nil
	return nil
}

// options is what the engine is asked for.
func (b *Box) options(about about, img image) (options, error) {
	o := newOptions(b.profile, b.grants)
	o.engine, o.image = b.engine.name, img.ID
	o.args, o.dir = slices.Concat(img.Config.Entrypoint, b.command.Args), b.folderOf(img)
	if len(b.command.Args) == 0 {
		o.args = slices.Concat(img.Config.Entrypoint, img.Config.Cmd)
	}
	if len(o.args) == 0 {
		return o, errors.New("the image names no program; write one under command")
	}
	o.share(img.volumes())
	o.settable()
	if b.inside {
		return o, b.enter(&o, about, img)
	}
	switch {
	case len(b.profile.Network) > 0:
		return o, errNoNetwork
	case len(b.profile.SecretFiles) > 0:
		return o, errors.New("secret_files need a gateway on the Linux machine of the engine; hand the secrets over as variables with env")
	}
	o.env = environment(nil, b.command.Env, o.home(b.profile))
	return o, nil
}

// folderOf is where the server begins: in a granted folder if the configuration
// names one, or where the image says.
func (b *Box) folderOf(img image) string {
	for _, g := range b.grants {
		if within(g.path, b.command.Dir) {
			return b.command.Dir
		}
	}
	if img.Config.WorkingDir != "" {
		return img.Config.WorkingDir
	}
	return "/"
}

// Started waits until the server begins, or does not.
func (b *Box) Started(pid int) error {
	if b.inside {
		made := b.report
		report, err := b.gate.begin(pid)
		b.report = merged(report, made)
		return err
	}
	if life := b.profile.Limits.Time; life > 0 {
		b.ends = time.AfterFunc(life, func() { b.engine.remove(b.id) })
	}
	return nil
}

// Ended lets go of the container and takes away what is left of it.
func (b *Box) Ended() {
	if b.ends != nil {
		b.ends.Stop()
	}
	b.gate.shut()
	if b.id != "" {
		b.engine.remove(b.id)
	}
}

// Report is what was found when the server was started.
func (b *Box) Report() sandbox.Report { return b.report }

// Shown lists what of the machine the server sees.
func (b *Box) Shown() []sandbox.Shown {
	var out []sandbox.Shown
	for _, g := range b.grants {
		out = append(out, sandbox.Shown{Path: g.path, Write: g.write, Asked: true})
	}
	return out
}

// patience bounds making a container. Engines on a busy machine take seconds.
const patience = 60 * time.Second
