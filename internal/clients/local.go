package clients

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"gatehouse/internal/client"
)

// Where says which part of this machine is looked at. The zero value is the home of
// whoever asks, and the folder in which they are.
type Where struct {
	Projects []string // folders; without any, the one in which the program runs
	Homes    []string // more homes, such as those of another system that is mounted
	AllUsers bool     // the homes of everybody
	// ProjectsOnly looks at the files of the projects and at no home.
	ProjectsOnly bool
}

// Local describes this machine. In WSL, homes of Windows are there as well.
func Local(w Where) (client.Machine, error) {
	m := client.Machine{System: system(), Getenv: os.Getenv, ProjectsOnly: w.ProjectsOnly}
	if w.ProjectsOnly {
		var err error
		m.Projects, err = folders(w.Projects)
		return m, err
	}
	own, err := os.UserHomeDir()
	if err != nil {
		return m, err
	}
	m.Homes = []client.Home{{Dir: own, System: m.System, Own: true}}
	if w.AllUsers {
		if m, err = addAll(m, m.System, everybody[m.System]...); err != nil {
			return m, err
		}
	}
	if m.System == client.Linux {
		// A disk that this person may not look into holds no home of theirs.
		if m, err = addAll(m, client.Windows, windowsHomes); err != nil && !errors.Is(err, fs.ErrPermission) {
			return m, err
		}
	}
	for _, home := range w.Homes {
		if home, err = filepath.Abs(home); err != nil {
			return m, err
		}
		m = add(m, client.Home{Dir: home, System: layout(home, m.System)})
	}
	m.Projects, err = folders(w.Projects)
	return m, err
}

func system() client.System {
	switch runtime.GOOS {
	case "windows":
		return client.Windows
	case "darwin":
		return client.MacOS
	}
	return client.Linux
}

// everybody is where the homes of a system lie.
var everybody = map[client.System][]string{
	client.Linux: {"/home/*", "/root"}, client.MacOS: {"/Users/*"}, client.Windows: {`C:\Users\*`},
}

// windowsHomes is where WSL shows the homes of Windows.
const windowsHomes = "/mnt/c/Users/*"

// addAll adds the folders that fit patterns. Those of Windows that belong to nobody
// are left out by having no AppData. A home that cannot be looked into is added: what
// is looked for there then says so.
func addAll(m client.Machine, system client.System, patterns ...string) (client.Machine, error) {
	for _, pattern := range patterns {
		found, err := homes(pattern)
		if err != nil {
			return m, fmt.Errorf("looking for homes: %w", err)
		}
		for _, dir := range found {
			if info, err := os.Stat(dir); gone(err) || err == nil && !info.IsDir() {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, "AppData")); gone(err) && system == client.Windows {
				continue
			}
			m = add(m, client.Home{Dir: dir, System: system})
		}
	}
	return m, nil
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// homes lists what fits a pattern. Unlike filepath.Glob it does not take a folder that
// cannot be read for one with nothing in it.
func homes(pattern string) (all []string, err error) {
	dir, each := strings.CutSuffix(pattern, "*")
	if !each {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if gone(err) {
		return nil, nil
	}
	for _, entry := range entries {
		all = append(all, filepath.Join(dir, entry.Name()))
	}
	return all, err
}

func add(m client.Machine, home client.Home) client.Machine {
	if !slices.ContainsFunc(m.Homes, func(h client.Home) bool { return h.Dir == home.Dir }) {
		m.Homes = append(m.Homes, home)
	}
	return m
}

// layout judges by what lies in a home which system it belongs to.
func layout(home string, otherwise client.System) client.System {
	for _, sign := range []struct {
		folder string
		system client.System
	}{{"AppData", client.Windows}, {"Library/Application Support", client.MacOS}, {".config", client.Linux}} {
		if info, err := os.Stat(filepath.Join(home, filepath.FromSlash(sign.folder))); err == nil && info.IsDir() {
			return sign.system
		}
	}
	return otherwise
}

// folders are the projects, each with the root of its repository.
func folders(named []string) (all []string, err error) {
	if len(named) == 0 {
		named = []string{"."}
	}
	for _, name := range named {
		dir, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
		all = append(all, dir)
		for up := dir; up != filepath.Dir(up); up = filepath.Dir(up) {
			if _, err := os.Stat(filepath.Join(up, ".git")); err == nil {
				all = append(all, up)
				break
			}
		}
	}
	return all, nil
}
