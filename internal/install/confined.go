package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/egress"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

// tool is an installer at work: npm, pip or uv. It is somebody else's program too and
// reads what anybody may have published, so it sees nothing of this machine but
// itself, writes one folder and reaches the registry.
type tool struct {
	args    []string
	env     []string
	read    []string // besides what its program is made of
	execute []string
	folder  string // the one that it fills
	places  []place
}

// place is a registry that may be reached.
type place struct {
	rule egress.Rule
}

// private are the ranges into which the name of a registry may lead that somebody has
// set up npm or pip for: those of companies are seldom public.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"),
}

// everybodys are the registries that are set up when nobody says anything. Their names
// lead to public addresses.
var everybodys = []string{"registry.npmjs.org", "pypi.org", "files.pythonhosted.org"}

// registryPlace is the place of a registry's URL.
func registryPlace(raw string, unsafe []netip.Prefix) (place, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return place{}, errors.New("the registry is not set up as an http or https URL")
	}
	host := strings.ToLower(u.Hostname())
	address, err := netip.ParseAddr(host)
	literal := err == nil
	local := host == "localhost" || literal && address.IsLoopback()
	if u.Scheme == "http" && !local {
		return place{}, fmt.Errorf("the registry %s is reached by plain http; whoever is on the way could change what is installed", host)
	}
	p := place{egress.Rule{Host: host, Ports: []uint16{443}, Protocol: egress.TLS}}
	if u.Scheme == "http" {
		p.rule.Ports, p.rule.Protocol = []uint16{80}, egress.HTTP
	}
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			return place{}, fmt.Errorf("the registry %s has no proper port", host)
		}
		p.rule.Ports = []uint16{uint16(port)}
	}
	if !literal && !local {
		p.rule.UnsafePrefixes = slices.Clone(unsafe)
		if !slices.Contains(everybodys, host) {
			p.rule.UnsafePrefixes = append(p.rule.UnsafePrefixes, private...)
		}
	}
	return p, nil
}

// further is a place that somebody named besides the registry.
func further(d profile.Destination, unsafe []netip.Prefix) place {
	p := place{egress.Rule{Host: d.Host}}
	for _, port := range d.Ports {
		p.rule.Ports = append(p.rule.Ports, uint16(port))
	}
	if _, err := netip.ParseAddr(d.Host); err != nil && d.Host != "*" && d.Host != "localhost" {
		p.rule.UnsafePrefixes = unsafe
	}
	return p
}

// once leaves out places that are there already.
func once(places []place) []place {
	var out []place
	for _, p := range places {
		if !slices.ContainsFunc(out, func(o place) bool { return o.rule.Host == p.rule.Host && slices.Equal(o.rule.Ports, p.rule.Ports) }) {
			out = append(out, p)
		}
	}
	return out
}

// Limits of an installer. npm holds what it fetches in memory and unpacks many
// archives at once.
func (i *Installer) limits() profile.Limits {
	return profile.Limits{Memory: 4 << 30, Processes: 512, Descriptors: 8192, Disk: 1 << 30, FileSize: 1 << 30, Time: cmp.Or(i.Time, maxTime)}
}

const (
	// maxTime of one installation; a slow network needs minutes for the largest.
	maxTime = 10 * time.Minute
	// growthEvery is how often the size is looked at.
	growthEvery = 2 * time.Second
	// keptOutput is how much of what an installer prints is kept for an error.
	keptOutput = 4 << 10
)

// run runs an installer to its end.
func (i *Installer) run(ctx context.Context, t tool) error {
	p := profile.Profile{Read: t.read, Write: []string{t.folder}, Execute: t.execute, Limits: i.limits()}
	var rules []egress.Rule
	for _, place := range once(t.places) {
		rules = append(rules, place.rule)
		d := profile.Destination{Host: place.rule.Host}
		for _, port := range place.rule.Ports {
			d.Ports = append(d.Ports, int(port))
		}
		p.Network = append(p.Network, d)
	}
	var seen refusals
	broker, err := egress.NewBroker(rules, func(e egress.Event) error { return errors.Join(seen.note(e), i.reached(e)) }, egress.Options{})
	if err != nil {
		return err
	}
	box, err := sandbox.New(p, sandbox.Command{Args: t.args, Dir: t.folder, Env: t.env, Network: broker.Serve, Hidden: i.Hidden})
	if err != nil {
		return fmt.Errorf("an installer runs in a sandbox: %w", err)
	}
	defer box.Ended()
	ctx, stop := context.WithTimeout(ctx, cmp.Or(i.Time, maxTime))
	defer stop()
	process := exec.CommandContext(ctx, "/proc/self/exe")
	said := &tail{}
	process.Stdout, process.Stderr = said, said
	if err := box.Configure(process); err != nil {
		return fmt.Errorf("an installer runs in a sandbox: %w", err)
	}
	if err := process.Start(); err != nil {
		return err
	}
	if err := box.Started(process.Process.Pid); err != nil {
		_ = process.Process.Kill()
		_ = process.Wait()
		return fmt.Errorf("an installer runs in a sandbox: %w", err)
	}
	large := make(chan bool, 1)
	go func() { large <- i.watch(ctx, t.folder, stop) }()
	err = process.Wait()
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	stop()
	switch {
	case <-large:
		return errTooLarge
	case late:
		return fmt.Errorf("it took longer than %v", cmp.Or(i.Time, maxTime))
	case err != nil:
		return fmt.Errorf("%w%s%s", err, said, seen.text())
	}
	return nil
}

// watch ends an installation that becomes too large.
func (i *Installer) watch(ctx context.Context, folder string, stop func()) (large bool) {
	tick := time.NewTicker(growthEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			if outgrown(folder, cmp.Or(i.Bytes, maxBytes)) {
				stop()
				return true
			}
		}
	}
}

func (i *Installer) reached(e egress.Event) error {
	if i.Reached == nil {
		return nil
	}
	return i.Reached(e)
}

// refusals are places that an installer wanted to reach and was not let.
type refusals struct {
	mu     sync.Mutex
	places []string
}

// shownRefusals bounds how many an error names.
const shownRefusals = 8

func (r *refusals) note(e egress.Event) error {
	if e.Reason == "" || e.Kind == egress.Closed {
		return nil
	}
	where := e.Name
	if e.Port > 0 {
		where += ":" + strconv.Itoa(int(e.Port))
	}
	where += " (" + string(e.Reason) + ")"
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.places) < shownRefusals && !slices.Contains(r.places, where) {
		r.places = append(r.places, where)
	}
	return nil
}

func (r *refusals) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.places) == 0 {
		return ""
	}
	return "\nIt was not let reach " + strings.Join(r.places, ", ") + ". Where that is right, name the place with install.network, or its private range with install.unsafe_addresses"
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > keptOutput {
		t.text = slices.Clone(t.text[len(t.text)-keptOutput:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.text), "?"))
	if text == "" {
		return ""
	}
	return ":\n" + text
}

// program finds a program on this machine, behind the links to it.
func program(name string) (string, error) {
	found, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	if found, err = filepath.Abs(found); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(found)
}

// askTime is how long a program of the machine may take to say what it is.
const askTime = 30 * time.Second

// ask runs a program of this machine that is to say what it is. It is not confined:
// it is what the user runs, with words of ours.
func ask(ctx context.Context, args ...string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, askTime)
	defer stop()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = string(filepath.Separator) // no project's settings
	said := &tail{}
	cmd.Stderr = said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w%s", strings.Join(args, " "), err, said)
	}
	return strings.TrimSpace(string(out)), nil
}

// passed are variables of the environment that installers need to find those who vouch
// for a registry.
func passed(names ...string) (env, files []string) {
	for _, name := range append(names, "SSL_CERT_FILE", "SSL_CERT_DIR", "LANG") {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		env = append(env, name+"="+value)
		if _, err := os.Stat(value); err == nil && filepath.IsAbs(value) {
			files = append(files, value)
		}
	}
	return env, files
}
