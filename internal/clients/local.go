package clients

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"

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
		m = addAll(m, m.System, everybody[m.System]...)
	}
	if m.System == client.Linux {
		m = addAll(m, client.Windows, windowsHomes)
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
// are left out by having no AppData.
func addAll(m client.Machine, system client.System, patterns ...string) client.Machine {
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // the error is for patterns, which are ours
		for _, dir := range found {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, "AppData")); err != nil && system == client.Windows {
				continue
			}
			m = add(m, client.Home{Dir: dir, System: system})
		}
	}
	return m
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
