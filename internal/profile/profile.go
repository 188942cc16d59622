// Package profile says what a server may do: which files it may read, write and
// execute, which places it may reach, and how much it may use. A profile is a
// wish; package sandbox enforces it and reports what is enforced.
package profile

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Profile is what one server may do besides running: what its program is made of
// is found by package sandbox. The zero value with DefaultLimits allows nothing.
type Profile struct {
	Preset string // the preset that it began with; "" for none

	Read    []string // files and folders, absolute
	Write   []string // files and folders that may be read and changed, absolute
	Execute []string // programs that the server may start besides itself, absolute
	Network []Destination
	// UnsafeAddresses are private ranges into which the names of Network may lead.
	UnsafeAddresses []netip.Prefix

	Environment []string // names of the variables that it is given
	SecretFiles []string // names of the files with secrets below SecretFolder

	Home   string // a folder that stays, absolute; "" for one that is gone when the server ends
	User   int    // user id of the server; 0: the gateway's own, or Nobody if that is root
	Limits Limits

	// RecordFiles puts uses of files that are refused on record. Each use of a file
	// takes a little longer then.
	RecordFiles bool

	// UnsafeMissing names controls without which the server may run all the same.
	UnsafeMissing []string
}

// SecretFolder is where a server finds its secret files.
const SecretFolder = "/run/secrets"

// Nobody is the user id of servers of a gateway that runs as root, unless their
// profile names another.
const Nobody = 65534

// Limits bound what a server uses. A bound of 0 is none.
type Limits struct {
	Memory      int           // bytes, of all its processes together
	CPU         float64       // processors' worth of time
	Processes   int           // processes and threads at once
	Descriptors int           // open files of one process
	Disk        int           // bytes in /tmp and a temporary home together
	FileSize    int           // bytes of one file
	Time        time.Duration // from its start to its end
}

// DefaultLimits are those of a profile that names none: enough for a server that
// reads files or asks an API, and too little to hurt the machine.
func DefaultLimits() Limits {
	return Limits{Memory: 1 << 30, Processes: 128, Descriptors: 1024, Disk: 256 << 20, FileSize: 256 << 20}
}

// With is p with changes: lists are added to those of p, and what is set replaces
// what p has.
func (p Profile) With(changes Profile) Profile {
	p.Read = union(p.Read, changes.Read)
	p.Write = union(p.Write, changes.Write)
	p.Execute = union(p.Execute, changes.Execute)
	p.Environment = union(p.Environment, changes.Environment)
	p.SecretFiles = union(p.SecretFiles, changes.SecretFiles)
	p.UnsafeMissing = union(p.UnsafeMissing, changes.UnsafeMissing)
	p.Network = joined(p.Network, changes.Network)
	p.UnsafeAddresses = append(slices.Clone(p.UnsafeAddresses), changes.UnsafeAddresses...)
	p.Preset = cmp.Or(changes.Preset, p.Preset)
	p.Home = cmp.Or(changes.Home, p.Home)
	p.User = cmp.Or(changes.User, p.User)
	p.RecordFiles = p.RecordFiles || changes.RecordFiles
	l, c := &p.Limits, changes.Limits
	l.Memory = cmp.Or(c.Memory, l.Memory)
	l.CPU = cmp.Or(c.CPU, l.CPU)
	l.Processes = cmp.Or(c.Processes, l.Processes)
	l.Descriptors = cmp.Or(c.Descriptors, l.Descriptors)
	l.Disk = cmp.Or(c.Disk, l.Disk)
	l.FileSize = cmp.Or(c.FileSize, l.FileSize)
	l.Time = cmp.Or(c.Time, l.Time)
	return p
}

// joined has one destination for each host.
func joined(a, b []Destination) []Destination {
	var out []Destination
	for _, d := range slices.Concat(a, b) {
		i := slices.IndexFunc(out, func(o Destination) bool { return o.Host == d.Host })
		if i < 0 {
			out = append(out, Destination{d.Host, slices.Clone(d.Ports)})
			continue
		}
		for _, port := range d.Ports {
			if !slices.Contains(out[i].Ports, port) {
				out[i].Ports = append(out[i].Ports, port)
			}
		}
	}
	return out
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Destination is a place that a server may reach over the network.
type Destination struct {
	Host  string // name in lower case, *.name for all below it, * for every public one, or an address
	Ports []int  // at least one
}

// String is the destination as ParseDestination reads it.
func (d Destination) String() string {
	host := d.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	ports := make([]string, len(d.Ports))
	for i, p := range d.Ports {
		ports[i] = strconv.Itoa(p)
	}
	return host + ":" + strings.Join(ports, ",")
}

// portOfNames would let queries for names carry anything out.
const portOfNames = 53

// maxPorts bounds the ports of one destination; a service has one or two.
const maxPorts = 16

// hostForm is a host name of RFC 1123, section 2.1, in lower case.
var hostForm = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// ParseDestination reads HOST:PORT or HOST:PORT,PORT. An address with a colon
// stands in brackets.
func ParseDestination(text string) (Destination, error) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 1 {
		return Destination{}, fmt.Errorf("expected HOST:PORT, such as api.github.com:443")
	}
	host, ports := text[:colon], strings.Split(text[colon+1:], ",")
	if !validHost(host) {
		return Destination{}, fmt.Errorf("expected a host name in lower case, *.name, * or an address before the port")
	}
	if len(ports) > maxPorts {
		return Destination{}, fmt.Errorf("expected at most %d ports", maxPorts)
	}
	d := Destination{Host: strings.Trim(host, "[]")}
	for _, p := range ports {
		port, err := strconv.ParseUint(p, 10, 16)
		if err != nil || port == 0 || strconv.FormatUint(port, 10) != p || slices.Contains(d.Ports, int(port)) {
			return Destination{}, fmt.Errorf("expected ports from 1 to 65535, each once")
		}
		if port == portOfNames {
			return Destination{}, fmt.Errorf("expected another port than %d: names are answered by Gatehouse itself", portOfNames)
		}
		d.Ports = append(d.Ports, int(port))
	}
	return d, nil
}

func validHost(host string) bool {
	if bare, bracketed := strings.CutPrefix(host, "["); bracketed {
		ip, err := netip.ParseAddr(strings.TrimSuffix(bare, "]"))
		return err == nil && ip.Is6() && ip.Zone() == "" && strings.HasSuffix(bare, "]") && ip.String() == strings.TrimSuffix(bare, "]")
	}
	if host == "*" {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Is4()
	}
	name := strings.TrimPrefix(host, "*.")
	last := name[strings.LastIndexByte(name, '.')+1:]
	// A name that ends in a number would be taken for an address by some readers
	// (WHATWG URL, "ends in a number").
	return len(name) <= 253 && hostForm.MatchString(name) && strings.ContainsFunc(last, func(c rune) bool { return c > '9' }) && !strings.HasPrefix(last, "0x")
}
