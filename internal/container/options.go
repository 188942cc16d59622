package container

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/profile"
)

// options are everything that an engine is asked for, beside the command itself.
type options struct {
	engine string // profile.Docker or profile.Podman
	image  string // by id or digest
	args   []string
	dir    string // "" is the image's

	uid, gid int
	keepUser bool // Podman without root: the user is the same inside and outside
	limits   profile.Limits
	grants   []grant
	private  []private // file systems in memory, which the server fills together up to limits.Disk
	secrets  bool      // one more, for secret files
	extra    int       // processes besides the server's own

	ours       []grant  // our program and its socket
	entrypoint string   // "" is the image's
	env        []string // NAME=value, handed over by a file that is no file
	names      []string // names of variables whose values the engine's command has
	settings   []string // NAME=value, not secret
	ulimits    []ulimit
}

// private is a file system of the container in memory.
type private struct {
	path   string
	size   int  // bytes; 0: not bounded
	volume bool // the image declares one there, which would lie on the machine's disk otherwise
}

type ulimit struct {
	name  string
	value int
}

// The folders of a container in which every program may write.
const (
	temporary = "/tmp"
	shared    = "/dev/shm"
)

// secretBytes bounds the file system for secret files.
const secretBytes = 1 << 20

func newOptions(p profile.Profile, grants []grant) options {
	o := options{limits: p.Limits, grants: grants, secrets: len(p.SecretFiles) > 0, ulimits: []ulimit{{"core", 1}}}
	o.uid, o.gid = userOf(p)
	o.keepUser = p.Runtime == profile.Podman && runtime.GOOS == "linux" && os.Getuid() != 0
	if p.Limits.Descriptors > 0 {
		o.ulimits = append(o.ulimits, ulimit{"nofile", p.Limits.Descriptors})
	}
	if p.Limits.FileSize > 0 {
		o.ulimits = append(o.ulimits, ulimit{"fsize", p.Limits.FileSize})
	}
	o.share(nil)
	return o
}

// share divides the disk among the file systems in memory: an engine bounds each, and
// the profile bounds them together.
func (o *options) share(volumes []string) {
	o.private = []private{{path: temporary}, {path: shared}}
	for _, volume := range volumes {
		covered := func(g grant) bool { return within(g.path, volume) }
		if !slices.ContainsFunc(o.grants, covered) && volume != temporary && volume != shared {
			o.private = append(o.private, private{path: volume, volume: true})
		}
	}
	page := os.Getpagesize()
	for i := range o.private {
		o.private[i].size = o.limits.Disk / len(o.private) / page * page
	}
}

func (o *options) home(p profile.Profile) string {
	if p.Home != "" {
		return p.Home
	}
	return temporary
}

// flags are the options as the engine's command takes them.
func (o *options) flags() []string {
	f := []string{
		"--rm", "--interactive", "--label", "gatehouse", "--pull", "never", "--network", "none",
		"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--user", fmt.Sprintf("%d:%d", o.uid, o.gid), "--ipc", "private", "--cgroupns", "private",
		// What the server writes to stdout would be kept on the machine's disk otherwise.
		"--log-driver", "none",
	}
	if o.engine == profile.Podman {
		f = append(f, "--read-only-tmpfs=false", "--no-hosts")
	}
	if o.keepUser {
		f = append(f, "--userns", "keep-id")
	}
	l := o.limits
	if l.Processes > 0 {
		f = append(f, "--pids-limit", strconv.Itoa(l.Processes+o.extra))
	}
	if l.Memory > 0 { // the same with swap: there is none
		f = append(f, "--memory", strconv.Itoa(l.Memory), "--memory-swap", strconv.Itoa(l.Memory))
	}
	if l.CPU > 0 {
		f = append(f, "--cpus", strconv.FormatFloat(l.CPU, 'f', -1, 64))
	}
	for _, u := range o.ulimits {
		f = append(f, "--ulimit", fmt.Sprintf("%s=%d:%d", u.name, u.value, u.value))
	}
	f = append(f, o.mounts()...)
	for _, setting := range o.settings {
		f = append(f, "--env", setting)
	}
	for _, name := range o.names {
		f = append(f, "--env", name)
	}
	if o.dir != "" {
		f = append(f, "--workdir", o.dir)
	}
	if o.entrypoint != "" {
		f = append(f, "--entrypoint", o.entrypoint)
	}
	return f
}

func (o *options) mounts() []string {
	var f []string
	for _, p := range o.private {
		switch {
		case p.path == shared && p.size > 0:
			f = append(f, "--shm-size", strconv.Itoa(p.size))
		case p.path == shared:
		case p.volume:
			f = append(f, "--mount", record("type=tmpfs", "destination="+p.path, fmt.Sprint("tmpfs-size=", p.size), "tmpfs-mode=1777"))
		default:
			f = append(f, "--tmpfs", p.path+":"+inMemory(p.size))
		}
	}
	if o.secrets {
		f = append(f, "--tmpfs", profile.SecretFolder+":"+inMemory(secretBytes))
	}
	for _, g := range slices.Concat(o.grants, o.ours) {
		fields := []string{"type=bind", "source=" + g.source, "destination=" + g.path, "bind-propagation=rprivate"}
		if !g.write {
			fields = append(fields, "readonly")
		}
		f = append(f, "--mount", record(fields...))
	}
	return f
}

func inMemory(size int) string {
	text := "rw,noexec,nosuid,nodev,mode=1777"
	if size > 0 {
		text += fmt.Sprint(",size=", size)
	}
	return text
}

// record is one line of comma-separated values, which is how engines read --mount.
func record(fields ...string) string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(fields) // to memory
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// given are the variables that describe a place, a program or a person of the
// machine, and mean nothing in a container.
var given = []string{"HOME", "PATH", "TMPDIR", "USER", "LOGNAME", "SHELL"}

// environment is what a server in a container finds: what its image sets, what it was
// given, and what is true of the container.
func environment(ofImage, ofServer []string, home string) []string {
	values := map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, variable := range ofImage {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
	}
	for _, variable := range ofServer {
		if name, value, _ := strings.Cut(variable, "="); !slices.Contains(given, name) {
			values[name] = value
		}
	}
	values["HOME"], values["TMPDIR"], values["USER"], values["LOGNAME"] = home, temporary, "server", "server"
	if ofImage == nil {
		delete(values, "PATH") // the engine takes the image's
	}
	var out []string
	for name, value := range values {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// clean is a path in a container, whatever machine this is.
func clean(p string) string { return path.Clean("/" + p) }
