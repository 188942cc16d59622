// Package sandbox starts servers so that they can do only what their profile
// allows, and proves it. A server is started as the child of a process of ours
// that is the first in a world of its own: namespaces, a root folder with only
// what the profile and the program need, Landlock, a filter of system calls, no
// privileges, and limits. Before the server begins, a probe in its place tries
// what must be refused; what is missing then keeps the server from starting.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"gatehouse/internal/profile"
)

// Command is the server to start.
type Command struct {
	Args []string // program and arguments
	Dir  string   // working folder, absolute
	Env  []string // NAME=value; HOME, PATH, TMPDIR and what names the user are replaced
	// Secrets are the contents of the profile's SecretFiles, by name.
	Secrets map[string]string
	// Network is the other end of the network of a server whose profile lists places
	// that it may reach: it serves what the network inside hands out, until ctx is
	// done or the connection ends (egress.Broker.Serve).
	Network func(ctx context.Context, inside *net.UnixConn) error
	// Observe notes what the server uses. It sees the whole machine then, read-only,
	// but for the usual places of secrets; everything else holds.
	Observe bool
	// Refused is told of what the sandbox refuses, from one goroutine at a time, until
	// Ended returns. May be nil.
	Refused func(Refusal)
	// Hidden are paths that the server must not see; the probe looks for them.
	Hidden []string
}

// Errors that callers tell apart.
var (
	// ErrUnsupported says that this machine has no sandbox of this kind.
	ErrUnsupported = errors.New("the native runtime needs Linux on amd64 or arm64; run the server in a container with sandbox.runtime docker or podman, or take the sandbox section out")
	// ErrNotEnforced says that something the profile asks for is not enforced.
	ErrNotEnforced = errors.New("the sandbox does not hold what the profile asks for")
)

// The controls of a sandbox, as reports and UnsafeMissing name them.
const (
	Files       = "files"      // only listed files exist
	Landlock    = "landlock"   // a second lock on files, and signals stay inside
	Network     = "network"    // only listed places are reached
	Namespaces  = "namespaces" // processes, users and host names of the machine are not seen
	SystemCalls = "system_calls"
	Privileges  = "privileges"
	Inherited   = "inherited" // no open files of the gateway
	Sockets     = "sockets"   // no socket files of the machine are connected to
	Memory      = "memory"
	CPU         = "cpu"
	Processes   = "processes"
	Descriptors = "descriptors"
	Disk        = "disk"
	FileSize    = "file_size"
	Time        = "time"
)

// Controls lists them all.
func Controls() []string {
	return []string{
		Files, Landlock, Network, Namespaces, SystemCalls, Privileges, Inherited, Sockets,
		Memory, CPU, Processes, Descriptors, Disk, FileSize, Time,
	}
}

// Control is one line of a report.
type Control struct {
	Name      string `json:"control"`
	Asked     string `json:"asked"`
	Enforced  string `json:"enforced"`          // in plain words; "nothing" if it is not
	Mechanism string `json:"mechanism"`         // what enforces it
	Problem   string `json:"problem,omitempty"` // why less is enforced than was asked
}

// Report says what is enforced for one server, as the probe found it.
type Report struct {
	Controls []Control `json:"controls"`
}

// Missing names the controls that hold less than was asked.
func (r Report) Missing() []string {
	var names []string
	for _, c := range r.Controls {
		if c.Problem != "" {
			names = append(names, c.Name)
		}
	}
	return names
}

// Err is nil if everything that was asked is enforced, or allowed to be missing.
func (r Report) Err(allowed []string) error {
	if len(r.Controls) == 0 {
		return fmt.Errorf("%w: nothing was found out about it", ErrNotEnforced)
	}
	var problems []string
	for _, c := range r.Controls {
		if c.Problem != "" && !slices.Contains(allowed, c.Name) {
			problems = append(problems, fmt.Sprintf("%s: %s", c.Name, c.Problem))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotEnforced, strings.Join(problems, "; "))
}

// String is the report on one line, for the log.
func (r Report) String() string {
	var held []string
	for _, c := range r.Controls {
		if c.Problem == "" {
			held = append(held, c.Name)
		}
	}
	text := "enforced: " + strings.Join(held, ", ")
	if missing := r.Missing(); len(missing) > 0 {
		text += "; NOT enforced: " + strings.Join(missing, ", ")
	}
	return text
}

// Shown is something of the machine that a server sees.
type Shown struct {
	Path  string `json:"path"`
	Write bool   `json:"write,omitempty"`
	Exec  bool   `json:"execute,omitempty"` // it may be started as a program
	Asked bool   `json:"asked,omitempty"`   // the profile names it; otherwise the program is made of it, or needs it
}

// check refuses profiles that no sandbox could hold.
func check(p profile.Profile, c Command) error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return errors.New("there is no program to start")
	}
	for _, name := range p.UnsafeMissing {
		if !slices.Contains(Controls(), name) {
			return fmt.Errorf("there is no control %q", name)
		}
	}
	for _, name := range p.SecretFiles {
		if _, there := c.Secrets[name]; !there {
			return fmt.Errorf("the secret %s has no value", name)
		}
	}
	if len(p.Network) > 0 && c.Network == nil {
		return errors.New("nobody serves the network that the profile asks for")
	}
	return nil
}

// Setup makes the network inside a sandbox, in the namespace of the calling thread,
// and connects it to the other end (egress/inside.Setup). Refused counts the packets
// that the network has refused, by what they were; the names are always the same.
type Setup func(broker *net.UnixConn) (refused func() map[string]uint64, err error)

// Refusal is something that a sandbox did not let its server do, or a limit that the
// server has reached.
type Refusal struct {
	Control string // the control that refused it, such as SystemCalls
	What    string // for people; printable, and it may hold what the server chose
	Times   int    // how often, since the server began
}
