package config

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/profile"
)

// maxGrants bounds each list of a profile; a server needs a handful.
const maxGrants = 200

// sandboxControls are the controls that unsafe_missing may name (sandbox.Controls;
// the test of the gateway compares them).
var sandboxControls = []string{
	"files", "landlock", "network", "namespaces", "system_calls", "privileges", "inherited", "sockets",
	"memory", "cpu", "processes", "descriptors", "disk", "file_size", "time",
}

// Bounds of the limits of a profile. Below the lower ones nothing starts.
const (
	minSandboxMemory, maxSandboxMemory = 16 << 20, 1 << 40
	minSandboxDisk, maxSandboxDisk     = 64 << 10, 1 << 40
	maxSandboxCount                    = 1 << 20
	minProcesses, minDescriptors       = 8, 16
	maxCPUs                            = 1024
	maxUser                            = 1<<31 - 2
)

func sandboxKey(s *Server) key {
	k := section("sandbox", "What the process may do: a preset and what is changed in it.", sandboxKeys(&profile.Profile{}, &Server{})...)
	k.read = func(r *reader, n *node, field string) {
		var changes profile.Profile
		r.section(n, field, sandboxKeys(&changes, s))
		p, err := profile.FromPreset(changes.Preset)
		if err != nil {
			return // refused already
		}
		if changes.Preset == "" && s.Sandbox != nil {
			p = *s.Sandbox // what a package that is launched begins with
		}
		p = p.With(changes)
		s.Sandbox = &p
	}
	return k
}

// sandboxKeys read into changes of a preset; what they leave zero stays as the
// preset has it.
func sandboxKeys(p *profile.Profile, s *Server) []key {
	l := &p.Limits
	texts := func() schema {
		return schema{"type": "array", "maxItems": maxGrants, "items": schema{"type": "string"}}
	}
	paths := func(name, doc string, to *[]string) key {
		return key{name, described(texts(), doc), func(r *reader, n *node, field string) { *to = r.grants(n, field) }}
	}
	return []key{
		oneOf("preset", "The profile to begin with.", &p.Preset, profile.PresetNames()...).without("default"),
		oneOf("runtime", "What holds the server: the kernel of this machine, or an engine for containers.", &p.Runtime, profile.Runtimes()...).without("default"),
		{"image", schema{"type": "string", "description": "Image of the container by digest, NAME@sha256:…, or by id, sha256:…. It is never pulled."}, func(r *reader, n *node, field string) {
			if n.kind != text || profile.CheckImage(n.text) != nil {
				r.wrong(n, field, "an image by digest, NAME@sha256:…, or by id, sha256:…")
				return
			}
			p.Image = n.text
		}},
		paths("read", "Files and folders that it may read.", &p.Read),
		paths("write", "Files and folders that it may read and change.", &p.Write),
		paths("execute", "Programs that it may start besides itself, or folders of them.", &p.Execute),
		{"network", described(texts(), "Places that it may reach, HOST:PORT."), func(r *reader, n *node, field string) { p.Network = r.destinations(n, field) }},
		{"unsafe_addresses", described(texts(), "Private ranges, such as 10.1.0.0/16, into which the names in network may lead."), func(r *reader, n *node, field string) {
			p.UnsafeAddresses = r.privateRanges(n, field)
		}},
		{"secret_files", schema{"type": "object", "additionalProperties": schema{"type": "string"}, "description": "Secrets that it finds in files below " + profile.SecretFolder + ", by name: env:NAME or file:PATH."}, func(r *reader, n *node, field string) {
			r.secretFiles(n, field, s)
		}},
		path("home", "A folder that is its home and stays; without it, its home is gone when it ends.", "", &p.Home),
		count("user", "Id of the user that it runs as, where Gatehouse runs as root.", &p.User, maxUser).without("default"),
		section("limits", "How much it may use.",
			size("memory", "Memory of all its processes together.", &l.Memory, minSandboxMemory, maxSandboxMemory).without("default"),
			cpus(&l.CPU),
			atLeast(minProcesses, count("processes", "Processes and threads at once.", &l.Processes, maxSandboxCount)),
			atLeast(minDescriptors, count("descriptors", "Files that one process has open.", &l.Descriptors, maxSandboxCount)),
			size("disk", "What /tmp and a temporary home hold together.", &l.Disk, minSandboxDisk, maxSandboxDisk).without("default"),
			size("file_size", "The largest file that it writes.", &l.FileSize, minSandboxDisk, maxSandboxDisk).without("default"),
			lifetime(&l.Time),
		),
		yesNo("record_files", "Whether uses of files that are refused are on record; each use of a file takes some microseconds longer then.", &p.RecordFiles),
		{"unsafe_missing", schema{"type": "array", "items": schema{"enum": sandboxControls}, "description": "Controls without which it may start where this machine cannot enforce them."}, func(r *reader, n *node, field string) {
			p.UnsafeMissing = r.texts(n, field, "control", func(name string) string {
				if slices.Contains(sandboxControls, name) {
					return ""
				}
				return "expected one of " + strings.Join(sandboxControls, ", ") + didYouMean(name, sandboxControls)
			})
			for _, name := range p.UnsafeMissing {
				r.warn(n.pos, field, "the server starts even where %q cannot be enforced", name)
			}
		}},
	}
}

// atLeast refuses values below which no program starts.
func atLeast(lowest int, k key) key {
	k.schema["minimum"] = lowest
	delete(k.schema, "default")
	inner := k.read
	k.read = func(r *reader, n *node, field string) {
		if value, err := strconv.Atoi(n.text); n.kind == number && err == nil && value < lowest {
			r.wrong(n, field, fmt.Sprintf("at least %d, or the program does not start", lowest))
			return
		}
		inner(r, n, field)
	}
	return k
}

func cpus(to *float64) key {
	return key{"cpu", schema{"type": "number", "minimum": 0.01, "maximum": maxCPUs, "description": "Processors' worth of time."}, func(r *reader, n *node, field string) {
		value, err := strconv.ParseFloat(n.text, 64)
		if n.kind != number || err != nil || value < 0.01 || value > maxCPUs {
			r.wrong(n, field, fmt.Sprintf("a number of processors from 0.01 to %d", maxCPUs))
			return
		}
		*to = value
	}}
}

func lifetime(to *time.Duration) key {
	return duration("time", "How long it may run; the next call starts it again.", to)
}

// grants reads a list of paths.
func (r *reader) grants(n *node, field string) []string {
	if n.kind == list && len(n.list) > maxGrants {
		r.refuse(n.pos, field, "found %d paths, expected at most %d", len(n.list), maxGrants)
		return nil
	}
	var out []string
	for i, name := range r.texts(n, field, "path", func(name string) string {
		if name == "" || strings.ContainsAny(name, "\x00\n") {
			return "expected a path"
		}
		if strings.ContainsAny(name, "*?") {
			return "expected one path; * and ? have no meaning here, name the folder"
		}
		return ""
	}) {
		absolute, err := resolvePath(r.dir, name)
		if err != nil {
			r.refuse(n.list[i].pos, field, "%v", err)
			continue
		}
		out = append(out, absolute)
	}
	return out
}

func (r *reader) destinations(n *node, field string) []profile.Destination {
	if n.kind == list && len(n.list) > maxGrants {
		r.refuse(n.pos, field, "found %d places, expected at most %d", len(n.list), maxGrants)
		return nil
	}
	var out []profile.Destination
	r.texts(n, field, "place", func(text string) string {
		d, err := profile.ParseDestination(text)
		if err != nil {
			return err.Error()
		}
		out = append(out, d)
		return ""
	})
	return out
}

// privateRanges reads addresses and ranges.
func (r *reader) privateRanges(n *node, field string) []netip.Prefix {
	var out []netip.Prefix
	r.texts(n, field, "range", func(entry string) string {
		p, err := netip.ParsePrefix(entry)
		if err != nil || p != p.Masked() || p.Bits() == 0 {
			return "expected a range of addresses, such as 10.1.0.0/16 or 10.1.2.3/32"
		}
		out = append(out, p)
		return ""
	})
	if len(out) > 0 {
		r.warn(n.pos, field, "names that are reached may lead into networks that are not public")
	}
	return out
}

// secretFileName is the name of a file, and of nothing above it.
var secretFileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

func (r *reader) secretFiles(n *node, field string, s *Server) {
	s.SecretFiles = map[string]Secret{}
	r.secrets(n, field, "file names", func(m member, at string, value Secret) {
		switch {
		case !secretFileName.MatchString(m.name):
			r.refuse(m.pos, at, "expected the name of a file: letters, digits and . _ -")
		case value.plain():
			r.refuse(m.value.pos, at, "a secret does not stand in this file; write %s", references)
		default:
			s.SecretFiles[m.name] = value
		}
	})
}

// checkSandbox completes the profile of a server and refuses one that would hand
// out what guards it: the log, the approved definitions, and this file.
func (r *reader) checkSandbox(n *node, field string, s *Server, c *Config) {
	p := s.Sandbox
	if p == nil {
		return
	}
	field += ".sandbox"
	p.SecretFiles = slices.Sorted(maps.Keys(s.SecretFiles))
	p.Environment = slices.Sorted(maps.Keys(s.Env))
	p.Environment = append(p.Environment, s.PassEnv...)
	section := n.get("sandbox")
	if err := p.CheckRuntime(); err != nil {
		r.refuse(section.at("runtime"), field+".runtime", "%v", err)
	}
	for _, conflict := range c.conflicts(*p) {
		r.refuse(section.at(conflict.key), field+"."+conflict.key, "%s", conflict.text)
	}
}

// CheckProfile refuses a profile that would hand out what guards it.
func (c *Config) CheckProfile(p profile.Profile) error {
	if err := p.CheckRuntime(); err != nil {
		return fmt.Errorf("runtime: %w", err)
	}
	for _, conflict := range c.conflicts(p) {
		return fmt.Errorf("%s: %s", conflict.key, conflict.text)
	}
	return nil
}

// conflict is a grant that no server may have.
type conflict struct{ key, text string }

// conflicts finds grants of the state of Gatehouse, and the right to change its
// configuration and the approved definitions.
func (c *Config) conflicts(p profile.Profile) []conflict {
	var found []conflict
	overlap := func(key string, paths []string, place, what string) {
		for _, path := range paths {
			if path != "" && (within(path, place) || within(place, path)) {
				found = append(found, conflict{key, fmt.Sprintf("%s holds %s, %s, which no server may have; name the folders below it that it needs", path, place, what)})
			}
		}
	}
	home := []string{p.Home}
	overlap("read", p.Read, c.State, "the state of Gatehouse")
	overlap("execute", p.Execute, c.State, "the state of Gatehouse")
	for _, grant := range []struct {
		key   string
		paths []string
	}{{"write", p.Write}, {"home", home}} {
		overlap(grant.key, grant.paths, c.State, "the state of Gatehouse")
		if fileExists(c.Path) { // `gatehouse run` has none
			overlap(grant.key, grant.paths, c.Path, "this file")
		}
		overlap(grant.key, grant.paths, c.Lock, "the approved definitions")
	}
	return found
}
