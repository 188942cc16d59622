package profile

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Use is something that a server did while it was observed.
type Use struct {
	Kind  string `json:"kind"`           // one of the constants below
	Path  string `json:"path,omitempty"` // absolute; of a file
	Host  string `json:"host,omitempty"` // name, or address where no name was asked for
	Port  int    `json:"port,omitempty"` // 0 where only the name was asked for
	Times int    `json:"times"`
}

// Values of Use.Kind.
const (
	UsedRead    = "read"
	UsedWrite   = "write" // changed, made or deleted, or tried to
	UsedExecute = "execute"
	UsedNetwork = "network"
	// Named is a path in the command itself: the server is meant to work on it,
	// whether it did so already or not.
	Named = "named"
)

// Reason says why a grant is proposed.
type Reason struct {
	Key   string // of the profile, such as "read"
	Value string
	Why   string
}

// manyFiles of one folder are proposed as the folder.
const manyFiles = 4

// Machine answers what Propose must know of the machine.
type Machine struct {
	// Covered reports whether a server with the base profile could do that already.
	Covered func(Use) bool
	// Folder reports whether a path is a folder, and whether it is there at all.
	Folder func(path string) (folder, there bool)
	// Broad are folders that are never proposed whole, such as a home.
	Broad []string
}

// Propose is the smallest profile that adds to base what was used, with a reason for
// each addition.
func Propose(base Profile, uses []Use, m Machine) (Profile, []Reason) {
	var reasons []Reason
	reads, writes, folders := map[string]int{}, map[string]int{}, map[string]string{}
	var changes Profile
	add := func(list *[]string, key, value, why string, args ...any) {
		if !slices.Contains(*list, value) {
			*list = append(*list, value)
			reasons = append(reasons, Reason{key, value, fmt.Sprintf(why, args...)})
		}
	}
	ports := map[string][]int{}
	for _, u := range uses {
		if m.Covered(u) {
			continue
		}
		switch u.Kind {
		case UsedRead:
			if folder, there := m.Folder(u.Path); there && !folder {
				reads[u.Path] += u.Times
			} else if there {
				folders[u.Path] = "it listed this folder"
			}
		case Named:
			folders[u.Path] = "the command names it; put it under write if the server is to change it"
		case UsedWrite:
			writes[u.Path] += u.Times
		case UsedExecute:
			if _, there := m.Folder(u.Path); there {
				add(&changes.Execute, "execute", u.Path, "it started this program, %s", times(u.Times))
			}
		case UsedNetwork:
			ports[u.Host] = append(ports[u.Host], u.Port)
		}
	}
	for _, path := range sorted(writes) {
		where, why := path, "it changed this file, "+times(writes[path])
		if _, there := m.Folder(path); !there {
			where, why = filepath.Dir(path), "it made or wanted to make "+filepath.Base(path)+" there"
		}
		if !underAny(changes.Write, where) {
			add(&changes.Write, "write", where, "%s", why)
		}
	}
	for _, path := range sorted(folders) {
		if !underAny(changes.Write, path) && !underAny(changes.Read, path) {
			add(&changes.Read, "read", path, "%s", folders[path])
		}
	}
	for _, path := range gather(reads, m.Broad) {
		if underAny(changes.Write, path) || underAny(changes.Read, path) {
			continue
		}
		if n, single := reads[path]; single {
			add(&changes.Read, "read", path, "it read this file, %s", times(n))
		} else {
			add(&changes.Read, "read", path, "it read %d or more files in this folder", manyFiles)
		}
	}
	for _, host := range sorted(ports) {
		d := Destination{Host: host}
		for _, p := range ports[host] {
			if p > 0 && !slices.Contains(d.Ports, p) {
				d.Ports = append(d.Ports, p)
			}
		}
		why := "it connected to this place"
		if len(d.Ports) == 0 {
			d.Ports, why = []int{443}, "it asked for this name and did not say for which port; 443 is a guess"
		}
		slices.Sort(d.Ports)
		changes.Network = append(changes.Network, d)
		reasons = append(reasons, Reason{"network", d.String(), why})
	}
	return base.With(changes), reasons
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// gather puts folders in the place of files of which many were read, but never
// folders that hold everything of somebody.
func gather(files map[string]int, broad []string) []string {
	inFolder := map[string]int{}
	for path := range files {
		inFolder[filepath.Dir(path)]++
	}
	found := map[string]bool{}
	for path := range files {
		folder := filepath.Dir(path)
		deep := strings.Count(folder, "/") >= 2
		if inFolder[folder] >= manyFiles && deep && !slices.Contains(broad, folder) {
			path = folder
		}
		found[path] = true
	}
	out := sorted(found)
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	return out
}

// underAny reports whether a path is one of the folders or lies in one.
func underAny(folders []string, path string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, strings.TrimSuffix(f, "/")+"/") })
}
