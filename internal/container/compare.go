package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

// made is what an engine says of a container that it made.
type made struct {
	Image        string
	BoundingCaps []string
	Config       struct{ User string }
	HostConfig   struct {
		NetworkMode, PidMode, IpcMode, UTSMode, UsernsMode, Cgroup string
		Privileged, ReadonlyRootfs, PublishAllPorts                bool
		CapAdd, CapDrop, SecurityOpt, GroupAdd, VolumesFrom        []string
		Devices, DeviceRequests                                    []json.RawMessage
		DeviceCgroupRules                                          []string
		PortBindings                                               map[string]json.RawMessage
		Memory, MemorySwap, NanoCpus, ShmSize                      int64
		PidsLimit                                                  *int64
		Ulimits                                                    []struct {
			Name       string
			Hard, Soft int64
		}
		Tmpfs     map[string]string
		LogConfig struct{ Type string }
	}
	Mounts []struct {
		Type, Source, Destination string
		RW                        bool
	}
}

func parseMade(text string) (made, error) {
	var list []made
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 {
		return made{}, errors.New("the engine's description of the container is not understood")
	}
	return list[0], nil
}

// problems say what is not as it was asked for, by control.
type problems map[string][]string

func (p problems) add(control, format string, args ...any) {
	p[control] = append(p[control], fmt.Sprintf(format, args...))
}

// compare finds everything in which a container is not what was asked for. An
// engine leaves out what it cannot do, some with a warning, and its own configuration
// may add what nobody asked for.
func (o *options) compare(m made) problems {
	p := problems{}
	o.compareFiles(m, p)
	o.comparePrivileges(m, p)
	o.compareLimits(m, p)
	h := m.HostConfig
	if h.NetworkMode != "none" || len(h.PortBindings) > 0 || h.PublishAllPorts {
		p.add(sandbox.Network, "the network is %q", h.NetworkMode)
	}
	for what, mode := range map[string]string{"process": h.PidMode, "IPC": h.IpcMode, "host name": h.UTSMode} {
		if !slices.Contains([]string{"", "private", "shareable", "none"}, mode) {
			p.add(sandbox.Namespaces, "the %s namespace is %q", what, mode)
		}
	}
	if h.UsernsMode == "host" {
		p.add(sandbox.Namespaces, "the user namespace is the machine's by order")
	}
	for _, option := range h.SecurityOpt {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case strings.HasPrefix(name, "no-new-privileges"):
		case name == "seccomp" && value == "unconfined", name == "systempaths", name == "unmask":
			p.add(sandbox.SystemCalls, "the engine was set to %s", option)
		case name == "label" && value == "disable", name == "apparmor" && value == "unconfined":
			p.add(sandbox.Privileges, "the engine was set to %s", option)
		}
	}
	return p
}

func (o *options) compareFiles(m made, p problems) {
	if !strings.HasSuffix(o.image, strings.TrimPrefix(m.Image, "sha256:")) || m.Image == "" {
		p.add(sandbox.Files, "the image is %s", m.Image)
	}
	h := m.HostConfig
	if !h.ReadonlyRootfs {
		p.add(sandbox.Files, "the root is not read-only")
	}
	if len(h.Devices)+len(h.DeviceRequests)+len(h.DeviceCgroupRules)+len(h.VolumesFrom) > 0 {
		p.add(sandbox.Files, "it has devices or volumes that nobody asked for")
	}
	want := map[string]grant{}
	for _, g := range slices.Concat(o.grants, o.ours) {
		want[g.path] = g
	}
	for _, mount := range m.Mounts {
		g, asked := want[mount.Destination]
		switch {
		case o.isPrivate(mount.Destination) && mount.Type == "tmpfs":
		case !asked || mount.Type != "bind":
			p.add(sandbox.Files, "%s is mounted, which nobody asked for", mount.Destination)
		case mount.Source != g.source && mount.Source != "/host_mnt"+g.source: // Docker Desktop's
			p.add(sandbox.Files, "%s leads to %s", mount.Destination, mount.Source)
		case mount.RW && !g.write:
			p.add(sandbox.Files, "%s can be written", mount.Destination)
		}
		delete(want, mount.Destination)
	}
	for path := range want {
		p.add(sandbox.Files, "%s is not mounted", path)
	}
	for path := range h.Tmpfs {
		if !o.isPrivate(path) && (path != profile.SecretFolder || !o.secrets) {
			p.add(sandbox.Files, "%s is in memory, which nobody asked for", path)
		}
	}
}

func (o *options) isPrivate(path string) bool {
	return slices.ContainsFunc(o.private, func(p private) bool { return p.path == path })
}

func (o *options) comparePrivileges(m made, p problems) {
	h := m.HostConfig
	all := slices.ContainsFunc(h.CapDrop, func(c string) bool { return strings.EqualFold(c, "ALL") })
	if o.engine == profile.Podman { // it lists what it dropped, and what is left
		all = all || len(h.CapDrop) > 0 && len(m.BoundingCaps) == 0
	}
	switch {
	case h.Privileged:
		p.add(sandbox.Privileges, "the container is privileged")
	case !all || len(h.CapAdd) > 0:
		p.add(sandbox.Privileges, "it has capabilities")
	case !slices.ContainsFunc(h.SecurityOpt, func(s string) bool {
		return slices.Contains([]string{"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}, s)
	}):
		p.add(sandbox.Privileges, "new privileges are possible")
	case m.Config.User != fmt.Sprintf("%d:%d", o.uid, o.gid) || len(h.GroupAdd) > 0:
		p.add(sandbox.Privileges, "the user is %q", m.Config.User)
	}
}

func (o *options) compareLimits(m made, p problems) {
	h, l := m.HostConfig, o.limits
	if l.Memory > 0 && (h.Memory != int64(l.Memory) || h.MemorySwap != int64(l.Memory)) {
		p.add(sandbox.Memory, "the engine bounds it to %d bytes, with swap %d", h.Memory, h.MemorySwap)
	}
	if l.CPU > 0 && h.NanoCpus != int64(l.CPU*1e9) {
		p.add(sandbox.CPU, "the engine bounds it to %d billionths of a processor", h.NanoCpus)
	}
	if want := int64(l.Processes + o.extra); l.Processes > 0 && (h.PidsLimit == nil || *h.PidsLimit != want) {
		p.add(sandbox.Processes, "the engine does not bound them to %d", want)
	}
	for _, u := range o.ulimits {
		control := map[string]string{"nofile": sandbox.Descriptors, "fsize": sandbox.FileSize, "core": sandbox.Disk, "nproc": ""}[u.name]
		held := false
		for _, got := range h.Ulimits {
			name := strings.ToLower(strings.TrimPrefix(got.Name, "RLIMIT_"))
			held = held || name == u.name && got.Hard == int64(u.value) && got.Soft == int64(u.value)
		}
		if !held && control != "" {
			p.add(control, "the engine does not bound %s to %d", u.name, u.value)
		}
	}
	for _, private := range o.private {
		size := strconv.Itoa(private.size)
		switch {
		case private.size == 0 || private.volume: // Mounts says that it is in memory
		case private.path == shared:
			if h.ShmSize != int64(private.size) {
				p.add(sandbox.Disk, "%s holds %d bytes", shared, h.ShmSize)
			}
		case !slices.Contains(strings.Split(h.Tmpfs[private.path], ","), "size="+size):
			p.add(sandbox.Disk, "%s is not bounded to %s bytes", private.path, size)
		}
	}
	if h.LogConfig.Type != "none" {
		p.add(sandbox.Disk, "the engine keeps what the server writes (%s)", h.LogConfig.Type)
	}
}

// report is what the engine says that it holds. Where our program is the first
// process, its own report follows.
func (o *options) report(about about, found problems) sandbox.Report {
	var r sandbox.Report
	by := o.engine + " " + about.version + ", as it says itself"
	add := func(name, asked, enforced, mechanism string) {
		c := sandbox.Control{Name: name, Asked: asked, Enforced: enforced, Mechanism: mechanism}
		if list := found[name]; len(list) > 0 {
			c.Enforced, c.Problem = "nothing, or less", strings.Join(list, "; ")
		}
		r.Controls = append(r.Controls, c)
	}
	l := o.limits
	add(sandbox.Files, "only the image and listed files exist, and only listed ones can be changed", "so", by)
	if !o.within() {
		found.add(sandbox.Landlock, "only a gateway on the Linux machine of the engine adds a second lock")
		switch {
		case !about.filters:
			found.add(sandbox.SystemCalls, "the engine does not filter them")
		case o.engine == profile.Podman:
			found.add(sandbox.SystemCalls, "Podman lets programs make user namespaces, in which they are root")
		}
	}
	if !o.within() && slices.ContainsFunc(o.grants, func(g grant) bool { return g.folder }) {
		found.add(sandbox.Sockets, "sockets in granted folders can be connected to, unless the engine is in another machine")
	}
	add(sandbox.Landlock, "a second lock on the same files; signals and sockets stay inside", "so", "Landlock")
	add(sandbox.Network, "no network", "no interface but loopback", by)
	add(sandbox.Namespaces, "nothing of the machine is seen but its clock", "so", by)
	add(sandbox.SystemCalls, "no dangerous system calls", "those that the engine lets through", by)
	add(sandbox.Privileges, "none, and no new ones", fmt.Sprintf("user %d without any", o.uid), by)
	add(sandbox.Inherited, "only the standard streams", "so", by)
	add(sandbox.Sockets, "no socket file of the machine is connected to", "so", by)
	for _, limit := range []struct {
		name, text string
		asked      bool
	}{
		{sandbox.Memory, profile.Size(l.Memory), l.Memory > 0}, {sandbox.CPU, fmt.Sprintf("%v processors", l.CPU), l.CPU > 0},
		{sandbox.Processes, strconv.Itoa(l.Processes), l.Processes > 0}, {sandbox.Descriptors, strconv.Itoa(l.Descriptors), l.Descriptors > 0},
		{sandbox.FileSize, profile.Size(l.FileSize), l.FileSize > 0}, {sandbox.Disk, profile.Size(l.Disk), l.Disk > 0},
	} {
		if limit.asked || len(found[limit.name]) > 0 {
			add(limit.name, limit.text, limit.text, by)
		}
	}
	if l.Time > 0 {
		add(sandbox.Time, l.Time.String(), l.Time.String(), "the gateway")
	}
	return r
}

// within reports whether our program is the first process.
func (o *options) within() bool { return len(o.ours) > 0 }

// merged is the report from inside, with what the engine did not do as it was asked.
func merged(inside, engine sandbox.Report) sandbox.Report {
	for _, e := range engine.Controls {
		for i := range inside.Controls {
			if c := &inside.Controls[i]; c.Name == e.Name && c.Problem == "" && e.Problem != "" {
				c.Problem, c.Enforced = e.Problem, e.Enforced
			}
		}
	}
	return inside
}
