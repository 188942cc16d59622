package facts

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/facts/installed"
	"gatehouse/internal/facts/registry"
	"gatehouse/internal/inventory"
)

// index has for each source an entry that it was taken from: what is installed is looked
// for where that entry starts it.
func index(servers []inventory.Server) map[string]client.Entry {
	out := map[string]client.Entry{}
	for _, s := range servers {
		for e, source := range check.Each(s) {
			if _, there := out[key(source)]; !there {
				out[key(source)] = e
			}
		}
	}
	return out
}

func key(s inventory.Source) string {
	return strings.Join([]string{string(s.Kind), s.Package, s.Version, s.Launcher}, "\x00")
}

// look finds on this machine what a source would run, once for each.
func (g *gatherer) look(s inventory.Source) lookup {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := key(s)
	if l, done := g.found[k]; done {
		return l
	}
	e := g.entries[k]
	home := g.home(e)
	found, err := installed.Looker{Home: home, Getenv: g.getenv(home)}.Find(e, s)
	g.found[k] = lookup{found, err}
	return g.found[k]
}

// errOffline says that only a registry could tell.
var errOffline = errors.New("it is not installed here, and no registry was asked; --online asks")

// pack is what is known about a package: from its registry if that may be asked, and from
// this machine.
func (g *gatherer) pack(s inventory.Source) (check.Package, error) {
	here := g.look(s)
	local := check.Package{}
	if here.err == nil {
		local = check.Package{
			Exists: true, Version: here.Version, Deprecated: here.Deprecated, InstallScripts: here.Scripts, Scripts: here.ScriptsKnown,
			Repository: here.Repository, Source: here.From, Name: here.Name, SHA256: here.SHA256,
		}
	}
	asked, err := g.ask(s, local.Version)
	switch {
	case err != nil && here.err != nil:
		return check.Package{}, err
	case err != nil:
		if !errors.Is(err, errOffline) {
			local.Silent = err.Error()
		}
		return local, nil
	case here.err != nil:
		return asked, nil
	}
	// What is here is what runs; the registry knows its age and what became of it.
	asked.Version, asked.InstallScripts, asked.Scripts = local.Version, local.InstallScripts, local.Scripts
	asked.Name, asked.SHA256, asked.Source = local.Name, local.SHA256, local.Source+" and "+asked.Source
	return asked, nil
}

// ask asks the registry of a source, if it may be asked.
func (g *gatherer) ask(s inventory.Source, version string) (check.Package, error) {
	if !g.options.Online {
		return check.Package{}, errOffline
	}
	if version == "" && s.Pin == inventory.Exact {
		version = strings.TrimPrefix(s.Version, "v")
	}
	p, err := g.registry.Ask(g.ctx, s, version)
	if err != nil {
		return p, fmt.Errorf("not known: %w", err)
	}
	return p, nil
}

// prefetch asks about all packages at once, so that checks wait for none. The answers are
// kept by the registry. The error names the registries that do not answer.
func (g *gatherer) prefetch(servers []inventory.Server) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	down := map[string]error{}
	for _, s := range servers {
		for _, source := range check.Each(s) {
			if source.Kind == inventory.NPM || source.Kind == inventory.PyPI {
				all.Go(func() {
					if _, err := g.ask(source, ""); errors.Is(err, registry.ErrUnreachable) {
						mu.Lock()
						defer mu.Unlock()
						down[err.Error()] = err
					}
				})
			}
		}
	}
	all.Wait()
	return errors.Join(slices.Collect(maps.Values(down))...)
}
