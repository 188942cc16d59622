package profile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Grant is one thing that a profile allows, in plain words.
type Grant struct {
	What string // key of the profile, such as "read"
	Text string // one sentence
}

// Explain says in plain words everything that the profile allows, and what that
// means. It also says what is not bounded.
func (p Profile) Explain() []Grant {
	var out []Grant
	add := func(what, format string, args ...any) { out = append(out, Grant{what, fmt.Sprintf(format, args...)}) }
	for _, path := range p.Read {
		add("read", "It may read %s and everything below it.", path)
	}
	for _, path := range p.Write {
		add("write", "It may read, change and delete %s and everything below it.", path)
	}
	if len(p.Read)+len(p.Write) == 0 {
		add("read", "It may read no files of yours.")
	}
	for _, path := range p.Execute {
		add("execute", "It may start the program %s, which is confined as the server is.", path)
	}
	for _, d := range p.Network {
		add("network", "%s", d.explain())
	}
	if len(p.Network) == 0 {
		add("network", "It may reach nothing over the network.")
	}
	for _, prefix := range p.UnsafeAddresses {
		add("unsafe_addresses", "UNSAFE: the names of these places may lead to %s, which is not public.", prefix)
	}
	if len(p.Environment) > 0 {
		add("environment", "It is given the variables %s.", strings.Join(p.Environment, ", "))
	}
	for _, name := range p.SecretFiles {
		add("secret_files", "It is given the secret %s in the file %s/%s, which only it can read.", name, SecretFolder, name)
	}
	if p.Home == "" {
		add("home", "Its home is empty at the start and gone at the end.")
	} else {
		add("home", "Its home is the folder %s, which stays.", p.Home)
	}
	if p.User != 0 {
		add("user", "It runs as the user with the id %d.", p.User)
	}
	out = append(out, p.Limits.explain()...)
	if p.RecordFiles {
		add("record_files", "Uses of files that are refused are on record.")
	}
	for _, control := range p.UnsafeMissing {
		add("unsafe_missing", "UNSAFE: it is started even where %q cannot be enforced.", control)
	}
	return out
}

func (d Destination) explain() string {
	ports := "port " + strconv.Itoa(d.Ports[0])
	if len(d.Ports) > 1 {
		ports = strings.Replace(strings.Trim(fmt.Sprint(d.Ports), "[]"), " ", ", ", -1)
		ports = "ports " + ports
	}
	switch name, below := strings.CutPrefix(d.Host, "*."); {
	case d.Host == "*":
		return "It may reach every public host on the internet, on " + ports + "; whatever it has read it can send anywhere."
	case below:
		return fmt.Sprintf("It may reach every host below %s, on %s.", name, ports)
	}
	return fmt.Sprintf("It may reach %s, on %s.", d.Host, ports)
}

func (l Limits) explain() []Grant {
	var out []Grant
	say := func(what string, bounded bool, bound, none string) {
		if !bounded {
			bound = none
		}
		out = append(out, Grant{"limits." + what, bound})
	}
	say("memory", l.Memory > 0, fmt.Sprintf("All its processes together use at most %s of memory.", Size(l.Memory)), "Its memory is not bounded.")
	say("cpu", l.CPU > 0, fmt.Sprintf("It uses at most %v processors.", l.CPU), "It may use every processor.")
	say("processes", l.Processes > 0, fmt.Sprintf("It has at most %d processes and threads.", l.Processes), "The number of its processes is not bounded.")
	say("descriptors", l.Descriptors > 0, fmt.Sprintf("Each of its processes has at most %d files open.", l.Descriptors), "The number of its open files is not bounded.")
	say("disk", l.Disk > 0, fmt.Sprintf("/tmp and a temporary home hold at most %s.", Size(l.Disk)), "What it stores in /tmp is not bounded.")
	say("file_size", l.FileSize > 0, fmt.Sprintf("A file that it writes has at most %s.", Size(l.FileSize)), "The size of its files is not bounded.")
	say("time", l.Time > 0, fmt.Sprintf("It is ended after %s.", l.Time.Round(time.Second)), "It runs as long as it is needed.")
	return out
}

// Size writes a number of bytes for people.
func Size(bytes int) string {
	for _, unit := range []struct {
		name string
		size int
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= unit.size && bytes%unit.size == 0 {
			return fmt.Sprintf("%d %s", bytes/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", bytes)
}
