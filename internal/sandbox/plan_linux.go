//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/profile"
)

// plan collects what is seen inside. Every path is followed on the machine step
// by step: links become the same links inside, and what they lead to is mounted at
// its own place.
type plan struct {
	mounts  map[string]mount
	links   map[string]string
	folders map[string]bool
	files   []file
	program string
	args    []string
	dir     string
	home    string
}

// temporaryHome is where a server without a home of its own has one: in /tmp, which no
// profile can cover with something else.
const temporaryHome = "/tmp/home"

func newPlan() *plan {
	return &plan{mounts: map[string]mount{}, links: map[string]string{}, folders: map[string]bool{}, home: temporaryHome}
}

// server plans everything for one server.
func (p *plan) server(pr profile.Profile, c Command) error {
	p.machine()
	if err := p.ourselves(); err != nil {
		return err
	}
	for _, path := range pr.Read {
		if err := p.grant(path, mount{Asked: true}); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	for _, path := range pr.Write {
		if err := p.grant(path, mount{Write: true, Asked: true}); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	if pr.Home != "" {
		if err := p.grant(pr.Home, mount{Write: true, Asked: true}); err != nil {
			return fmt.Errorf("home %s: %w", pr.Home, err)
		}
		p.home = pr.Home
	}
	for _, path := range pr.Execute {
		if err := p.executable(path, mount{Exec: true, Asked: true}); err != nil {
			return fmt.Errorf("execute %s: %w", path, err)
		}
	}
	p.dir = c.Dir
	p.folder(c.Dir)
	return p.commandLine(c)
}

// machine is what nearly every program expects of any machine.
func (p *plan) machine() {
	for _, device := range []string{"null", "zero", "full", "random", "urandom"} {
		_ = p.grant("/dev/"+device, mount{Device: true, Write: true})
	}
	for _, path := range []string{
		"/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale", "/usr/share/locale/locale.alias", "/etc/locale.alias", "/etc/host.conf", "/etc/gai.conf", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/usr/lib/ssl/openssl.cnf",
		"/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
	} {
		_ = p.grant(path, mount{}) // a machine that has none of it needs none
	}
	// The private keys that some machines keep beside their certificates are not
	// among these; /etc/ssl/private is another folder.
	p.files = append(p.files,
		file{Path: "/etc/hosts", Data: []byte("127.0.0.1 localhost\n::1 localhost\n")},
		file{Path: "/etc/nsswitch.conf", Data: []byte("passwd: files\ngroup: files\nhosts: files dns\n")},
		file{Path: "/etc/resolv.conf", Data: []byte("nameserver 127.0.0.1\noptions attempts:1 timeout:2\n")},
	)
}

// ourselves shows the libraries of this program, which begins inside before the
// server does. It needs none unless it was built with cgo.
func (p *plan) ourselves() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return p.libraries(self)
}

// maxLinks is how many links one path may go through, as in the kernel.
const maxLinks = 40

// follow walks a path on the machine, remembers the links on it, and returns where
// it ends.
func (p *plan) follow(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s is not an absolute path", path)
	}
	real, _, err := walk(path, func(at, target string) { p.links[at] = target })
	if err != nil {
		return "", err
	}
	return real, nil
}

// walk goes along an absolute path, step by step and through all links, each of which
// it tells of. Where it cannot go on, it returns how far it came and what was left of
// the way.
func walk(path string, link func(at, target string)) (done string, rest []string, err error) {
	done, rest = "/", strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	for links := 0; len(rest) > 0; {
		next := rest[0]
		rest = rest[1:]
		switch next {
		case "", ".":
			continue
		case "..":
			done = filepath.Dir(done)
			continue
		}
		at := filepath.Join(done, next)
		info, err := os.Lstat(at)
		if err != nil {
			return at, rest, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = at
			continue
		}
		if links++; links > maxLinks {
			return at, rest, fmt.Errorf("%s leads through too many links", path)
		}
		target, err := os.Readlink(at)
		if err != nil {
			return at, rest, err
		}
		link(at, target)
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return done, nil, nil
}

// unseen are parts of the machine that no profile shows: what is in them is made
// anew inside.
var unseen = []string{"/proc", "/sys", "/dev", "/tmp"}

// grant shows a path of the machine.
func (p *plan) grant(path string, how mount) error {
	real, err := p.follow(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	for _, place := range unseen {
		if !how.Device && place != "/tmp" && within(place, real) || within(real, place) {
			return fmt.Errorf("%s is made anew for each server and cannot be shown", place)
		}
	}
	switch {
	case how.Device && info.Mode()&fs.ModeCharDevice == 0:
		return errors.New("it is no device")
	case !how.Device && !info.IsDir() && !info.Mode().IsRegular():
		return errors.New("it is neither a file nor a folder")
	}
	how.Path, how.Folder = real, info.IsDir()
	before := p.mounts[real]
	how.Write, how.Exec, how.Asked = how.Write || before.Write, how.Exec || before.Exec, how.Asked || before.Asked
	p.mounts[real] = how
	return nil
}

// folder makes an empty folder, so that a working folder exists of which nothing
// else is seen.
func (p *plan) folder(path string) {
	real, err := p.follow(path)
	if err == nil && real != "/" {
		p.folders[real] = true
	}
}

// into writes the plan down, parents before what lies in them.
func (p *plan) into(s *spec) {
	paths := make([]string, 0, len(p.mounts))
	for path := range p.mounts {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	var above []mount
	for _, path := range paths {
		m := p.mounts[path]
		for len(above) > 0 && !within(above[len(above)-1].Path, path) {
			above = above[:len(above)-1]
		}
		if len(above) > 0 && above[len(above)-1].Folder {
			outer := above[len(above)-1]
			m.Inner = true
			if m.Write == outer.Write && m.Exec == outer.Exec && !m.Device && !m.Blank {
				continue // shown already
			}
		}
		above = append(above, m)
		s.Mounts = append(s.Mounts, m)
	}
	for path, target := range p.links {
		if !covered(s.Mounts, path) {
			s.Links = append(s.Links, link{path, target})
		}
	}
	for path := range p.folders {
		if !covered(s.Mounts, path) {
			s.Folders = append(s.Folders, path)
		}
	}
	slices.SortFunc(s.Links, func(a, b link) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(s.Folders)
	s.Files = append(s.Files, p.files...)
	s.Files = append(s.Files,
		file{Path: "/etc/passwd", Data: fmt.Appendf(nil, "server:x:%d:%d::%s:/bin/false\n", s.UID, s.GID, p.home)},
		file{Path: "/etc/group", Data: fmt.Appendf(nil, "server:x:%d:\n", s.GID)},
	)
	s.Program, s.Args, s.Dir, s.Home = p.program, p.args, p.dir, p.home
}

// covered reports whether a path lies in a folder that is mounted.
func covered(mounts []mount, path string) bool {
	return slices.ContainsFunc(mounts, func(m mount) bool { return m.Folder && within(m.Path, path) })
}
