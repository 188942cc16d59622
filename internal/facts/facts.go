// Package facts finds out what checks must know of servers besides what stands in the
// files of clients, and puts it into a scene. What is on this machine it looks up at once
// when a check asks; registries and servers are asked only if Options say so.
package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/advisory"
	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/facts/connect"
	"gatehouse/internal/facts/installed"
	"gatehouse/internal/facts/listening"
	"gatehouse/internal/facts/registry"
	"gatehouse/internal/facts/usage"
	"gatehouse/internal/inventory"
)

// AdvisoriesFile is the name of the snapshot in the state folder.
const AdvisoriesFile = "advisories"

// Options say who may be asked. The zero value asks nobody.
type Options struct {
	Home   string
	Getenv func(string) string
	State  string // folder of ours
	// Online asks registries about packages.
	Online bool
	Client *http.Client
	// Plans are the servers that are started and asked; nil for none.
	Plans []connect.Plan
	// Connect says how.
	Connect connect.Options
	// Listening asks the ports of this machine.
	Listening bool
	Log       *slog.Logger
}

// Gather fills the facts of a scene. An error means that something that was asked for was
// not done.
func Gather(ctx context.Context, o Options, scene *check.Scene) error {
	g := &gatherer{
		ctx: ctx, options: o, now: scene.Now, entries: index(scene.Servers),
		homes:    map[string]string{},
		registry: &registry.Registry{Home: o.Home, Getenv: o.Getenv, Client: o.Client, Now: func() time.Time { return scene.Now }},
		found:    map[string]lookup{},
	}
	for _, f := range scene.Files {
		g.homes[f.Path] = f.Home
	}
	if o.State != "" {
		g.registry.Cache = filepath.Join(o.State, "registry")
	}
	g.advisories = sync.OnceValues(g.openAdvisories)
	scene.Facts.Package = g.pack
	scene.Facts.Advisories = g.known
	scene.Facts.Used = g.used(scene.Servers)
	var problems []error
	if o.Online {
		problems = append(problems, g.prefetch(scene.Servers))
	}
	if o.Plans != nil {
		problems = append(problems, g.connect(scene))
	}
	if o.Listening {
		found, err := listening.Find(ctx)
		scene.Facts.Listening = func() ([]check.Listener, error) { return found, err }
	}
	return errors.Join(problems...)
}

type gatherer struct {
	ctx        context.Context
	options    Options
	now        time.Time
	entries    map[string]client.Entry
	homes      map[string]string // by file
	registry   *registry.Registry
	advisories func() (snapshots, error)

	mu    sync.Mutex // guards what follows
	found map[string]lookup
}

// lookup is what was found on this machine.
type lookup struct {
	installed.Found
	err error
}

// known lists the advisories of what would run and of what it depends on.
func (g *gatherer) known(s inventory.Source) ([]check.Advisory, error) {
	snapshots, err := g.advisories()
	if err != nil {
		return nil, err
	}
	found := g.look(s)
	e, name, version := found.Ecosystem, found.Name, found.Version
	if found.err != nil {
		if e, name = ecosystemOf(s), s.Package; e == "" {
			return nil, errors.New(withoutVersion(s.Kind))
		}
		version = ""
		if s.Pin == inventory.Exact {
			version = strings.TrimPrefix(s.Version, "v")
		} else if p, err := g.ask(s, ""); err == nil {
			version = p.Version
		}
	}
	if e == "" {
		return nil, fmt.Errorf("what %s is made of cannot be told from its bytes", filepath.Base(s.Package))
	}
	out, err := snapshots.judge(e, name, version, "")
	if err != nil {
		return out, err
	}
	for _, d := range found.Dependencies {
		more, err := snapshots.judge(e, d.Name, d.Version, d.Name+" "+d.Version)
		if err != nil {
			return out, err
		}
		out = append(out, more...)
	}
	if found.err == nil && !found.DependenciesKnown {
		return out, fmt.Errorf("what %s depends on is not noted here, so faults in it are not known", name)
	}
	return out, snapshots.partial(e, g.now)
}

// snapshots are what is known of faults.
type snapshots struct {
	advisory.Set
	fetched *advisory.Snapshot // nil if nobody fetched one
}

func (g *gatherer) openAdvisories() (snapshots, error) {
	own, err := advisory.BuiltIn()
	if err != nil {
		return snapshots{}, err
	}
	if g.options.State == "" {
		return snapshots{Set: advisory.Set{own}}, nil
	}
	fetched, err := advisory.Open(filepath.Join(g.options.State, AdvisoriesFile))
	switch {
	case err == nil:
		return snapshots{advisory.Set{fetched, own}, fetched}, nil
	case errors.Is(err, fs.ErrNotExist):
		return snapshots{Set: advisory.Set{own}}, nil
	}
	return snapshots{}, check.Partial{Err: fmt.Errorf("%w; gatehouse advisories update makes it anew", err)}
}

// partial is why there may be more faults than were found.
func (s snapshots) partial(e advisory.Ecosystem, now time.Time) error {
	builtIn := advisory.BuiltInDate.Format(time.DateOnly)
	if s.fetched == nil {
		return check.Partial{Err: fmt.Errorf("only the advisories that came with this program, of %s, were looked at; gatehouse advisories update fetches all of them", builtIn)}
	}
	of, covered := s.fetched.Of(e)
	if !covered {
		return check.Partial{Err: fmt.Errorf("the snapshot of advisories has nothing of %s, so only those that came with this program, of %s, were looked at; gatehouse advisories update fetches them", e, builtIn)}
	}
	if of.Old(now) {
		return check.Partial{Err: fmt.Errorf("the snapshot of advisories of %s ends on %s, %d days ago; gatehouse advisories update fetches a new one",
			e, of.Newest.Format(time.DateOnly), int(now.Sub(of.Newest).Hours()/24))}
	}
	return nil
}

// judge lists the advisories that a version has.
func (s snapshots) judge(e advisory.Ecosystem, name, version, dependency string) ([]check.Advisory, error) {
	list, err := s.Find(e, name)
	if err != nil {
		return nil, err
	}
	var out []check.Advisory
	for _, a := range list {
		affected := a.AffectsAll()
		if !affected && version == "" {
			return out, fmt.Errorf("%s has known faults in some versions, and which one would run is not known; name the version, or use --online", name)
		}
		if !affected {
			if affected, err = a.Affects(e, version); err != nil {
				return out, fmt.Errorf("%s: %w", name, err)
			}
		}
		if affected {
			out = append(out, check.Advisory{
				Package: dependency, Version: version, ID: a.ID, Aliases: a.Aliases, Summary: a.Summary, Severity: a.Severity,
				Fixed: a.FixedFor(e, version), Malware: a.Malware,
			})
		}
	}
	return out, nil
}

// withoutVersion says why there is nothing to compare.
func withoutVersion(k inventory.Kind) string {
	switch k {
	case inventory.OCI:
		return "images are not looked into"
	case inventory.Git:
		return "it is fetched from a repository, which has no versions to compare"
	case inventory.Shell:
		return "what the line for a shell runs cannot be told"
	}
	return "the file that it runs belongs to no package that was found"
}

func ecosystemOf(s inventory.Source) advisory.Ecosystem {
	return map[inventory.Kind]advisory.Ecosystem{inventory.NPM: advisory.NPM, inventory.PyPI: advisory.PyPI, inventory.Go: advisory.Go}[s.Kind]
}

// used reads transcripts and logs when the first check asks: for each entry, those in the
// home whose file names it. What one person does says nothing about another.
func (g *gatherer) used(servers []inventory.Server) func(string) check.Use {
	audit := ""
	if g.options.State != "" && slices.ContainsFunc(servers, throughUs) { // else it says nothing of them
		audit = filepath.Join(g.options.State, "audit")
	}
	byHome := map[string]*usage.Uses{}
	read := func(home string) *usage.Uses {
		if byHome[home] == nil {
			r := usage.Reader{Home: home, Getenv: g.getenv(home), Audit: audit, Now: g.now}
			byHome[home] = r.Read()
		}
		return byHome[home]
	}
	return func(id string) (use check.Use) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, s := range servers {
			if s.ID != id {
				continue
			}
			for _, e := range s.Entries {
				use = usage.Join(use, read(g.home(e)).Of(e))
			}
		}
		return use
	}
}

func throughUs(s inventory.Server) bool {
	return slices.ContainsFunc(s.Entries, func(e client.Entry) bool { return usage.ID(e.Words) != "" })
}

// home is whose an entry is. Projects are those of whoever asks.
func (g *gatherer) home(e client.Entry) string {
	if home := g.homes[e.File]; home != "" {
		return home
	}
	return g.options.Home
}

// getenv is the environment that counts in a home: that of whoever asks, in theirs only.
func (g *gatherer) getenv(home string) func(string) string {
	if home == g.options.Home {
		return g.options.Getenv
	}
	return func(string) string { return "" }
}

// connect starts servers and keeps what they said.
func (g *gatherer) connect(scene *check.Scene) error {
	said, err := connect.Run(g.ctx, g.options.Plans, g.options.Connect)
	if err != nil {
		return err
	}
	of := func(id string) (connect.Definition, error) {
		d, asked := said[id]
		if !asked {
			return d, errNotAsked
		}
		return d, d.Err
	}
	scene.Facts.Definitions = func(id string) ([]check.Tool, error) {
		d, err := of(id)
		return d.Tools, err
	}
	scene.Facts.Others = func(id string) ([]check.Item, error) {
		d, err := of(id)
		return d.Others, err
	}
	return nil
}

var errNotAsked = errors.New("it is switched off, or part of a client, and was not asked")
