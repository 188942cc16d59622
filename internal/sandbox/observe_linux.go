//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

// A sandbox can be made to observe: the kernel tells the first process of every system
// call that opens, changes or starts something, before it is made. The call then goes
// on, and the sandbox decides as always; what is observed is a hint for a person and
// decides nothing, so that it does not matter that the server can change a path after
// it was read.

// listenerFD is the launcher's end of the socket over which it hands out the
// descriptor that the kernel tells.
const listenerFD = 5

// maxUses bounds what is kept of one server.
const maxUses = 20_000

// observer collects what a server uses.
type observer struct {
	mu    sync.Mutex
	uses  map[profile.Use]int
	names map[netip.Addr]string // that were answered with an address of ours
}

func (o *observer) note(u profile.Use) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.uses[u]; known || len(o.uses) < maxUses {
		o.uses[u]++
	}
}

// all is what was used, in a fixed order.
func (o *observer) all() []profile.Use {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []profile.Use
	for u, n := range o.uses {
		u.Times = n
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b profile.Use) int {
		return strings.Compare(a.Kind+"\x00"+a.Path+a.Host, b.Kind+"\x00"+b.Path+b.Host)
	})
	return out
}

// observed are the calls of which the kernel tells.
func observed() []uintptr {
	return append([]uintptr{
		unix.SYS_OPENAT, unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT, unix.SYS_SYMLINKAT, unix.SYS_LINKAT, unix.SYS_TRUNCATE, unix.SYS_CONNECT,
	}, observedHere()...)
}

// writing are the flags with which a file is opened to be changed.
const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC

// take notes one call.
func (o *observer) take(n *notification) {
	if uintptr(n.number) == unix.SYS_CONNECT {
		o.connect(n)
		return
	}
	for _, u := range fileUses(n) {
		o.note(u)
	}
}

// fileUses are the files that a call reads, changes or starts.
func fileUses(n *notification) []profile.Use {
	var uses []profile.Use
	file := func(kind string, folder int, at int) {
		if path, err := pathOf(n, folder, at); err == nil {
			uses = append(uses, profile.Use{Kind: kind, Path: path})
		}
	}
	opened := func(flags uint64) string {
		if flags&writing != 0 {
			return profile.UsedWrite
		}
		return profile.UsedRead
	}
	const here = -1 // relative to the working folder
	switch uintptr(n.number) {
	case unix.SYS_OPENAT:
		file(opened(n.args[2]), 0, 1)
	case unix.SYS_EXECVE:
		file(profile.UsedExecute, here, 0)
	case unix.SYS_EXECVEAT:
		file(profile.UsedExecute, 0, 1)
	case unix.SYS_UNLINKAT, unix.SYS_MKDIRAT:
		file(profile.UsedWrite, 0, 1)
	case unix.SYS_SYMLINKAT:
		file(profile.UsedWrite, 1, 2)
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT:
		file(profile.UsedWrite, 0, 1)
		file(profile.UsedWrite, 2, 3)
	case unix.SYS_TRUNCATE:
		file(profile.UsedWrite, here, 0)
	default:
		fileUsesHere(n, file, opened)
	}
	return uses
}

// maxPath is PATH_MAX.
const maxPath = 4096

// pathOf reads a path from the memory of a process and makes it absolute. folder is
// the argument that holds the descriptor it begins at, or -1.
func pathOf(n *notification, folder, at int) (string, error) {
	raw, err := memory(int(n.pid), n.args[at], maxPath)
	if err != nil {
		return "", err
	}
	path, _, whole := strings.Cut(string(raw), "\x00")
	switch {
	case !whole || path == "":
		return "", errors.New("no path")
	case filepath.IsAbs(path):
		return filepath.Clean(path), nil
	}
	begin := fmt.Sprintf("/proc/%d/cwd", n.pid)
	if folder >= 0 && int32(n.args[folder]) != unix.AT_FDCWD {
		begin = fmt.Sprintf("/proc/%d/fd/%d", n.pid, int32(n.args[folder]))
	}
	base, err := os.Readlink(begin)
	if err != nil || !filepath.IsAbs(base) {
		return "", errors.New("no folder")
	}
	return filepath.Join(base, path), nil
}

// memory reads up to size bytes, less at the end of what is mapped.
func memory(pid int, at uint64, size int) ([]byte, error) {
	out := make([]byte, 0, size)
	page := uint64(os.Getpagesize())
	for len(out) < size {
		step := min(int(page-at%page), size-len(out))
		local := unix.Iovec{Base: &out[:len(out)+1][len(out)]}
		local.SetLen(step)
		n, err := unix.ProcessVMReadv(pid, []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(at), Len: step}}, 0)
		if n <= 0 {
			if len(out) > 0 {
				return out, nil
			}
			return nil, err
		}
		out = out[:len(out)+n]
		if slices.Contains(out[len(out)-n:], 0) {
			return out, nil
		}
		at += uint64(n)
	}
	return out, nil
}

// connect notes an address of the internet that is not this sandbox's own.
func (o *observer) connect(n *notification) {
	raw := make([]byte, 28) // sockaddr_in6
	local := unix.Iovec{Base: &raw[0]}
	size := min(int(n.args[2]), len(raw))
	local.SetLen(size)
	if got, err := unix.ProcessVMReadv(int(n.pid), []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(n.args[1]), Len: size}}, 0); err != nil || got < 8 {
		return
	}
	port := int(binary.BigEndian.Uint16(raw[2:]))
	var address netip.Addr
	switch binary.NativeEndian.Uint16(raw) {
	case unix.AF_INET:
		address = netip.AddrFrom4([4]byte(raw[4:8]))
	case unix.AF_INET6:
		address = netip.AddrFrom16([16]byte(raw[8:24])).Unmap()
	default:
		return
	}
	if address.IsLoopback() || address.IsUnspecified() || port == 0 {
		return
	}
	o.mu.Lock()
	host, named := o.names[address]
	o.mu.Unlock()
	if !named {
		host = address.String()
	}
	o.note(profile.Use{Kind: profile.UsedNetwork, Host: host, Port: port})
}

// maxQuery is a query for a name over UDP (RFC 1035, section 4.2.1).
const maxQuery = 512

// serveNames answers queries for names inside, until this process ends.
func serveNames(answer func(query []byte) (reply []byte)) error {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:53")
	if err != nil {
		return fmt.Errorf("answering names: %w", err)
	}
	go func() {
		query := make([]byte, maxQuery)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if reply := answer(query[:n]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return nil
}

// answer is the reply to one query (RFC 1035, section 4); nil for what is none. It
// notes which name is asked for, and answers with an address that leads nowhere
// (RFC 2544, 198.18.0.0/15), so that the server goes on to connect.
func (o *observer) answer(query []byte) []byte {
	const header, typeA = 12, 1
	name, end := questionName(query)
	if end == 0 {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[end:])
	reply := slices.Clone(query[:end+4])
	binary.BigEndian.PutUint16(reply[2:], 0x8180) // an answer, no error
	for i := 6; i < header; i++ {
		reply[i] = 0 // no records but those that follow
	}
	if kind != typeA {
		return reply
	}
	address := o.addressFor(name)
	reply[7] = 1
	reply = append(reply, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4) // the name of the question, no time to live
	return append(reply, address[:]...)
}

// questionName reads the name of a query with one question; end is where its type
// begins, 0 if there is none.
func questionName(query []byte) (name string, end int) {
	if len(query) < 12 || binary.BigEndian.Uint16(query[4:]) != 1 || query[2]&0x80 != 0 {
		return "", 0
	}
	var labels []string
	for at := 12; at < len(query); {
		size := int(query[at])
		at++
		switch {
		case size == 0 && at+4 <= len(query) && len(labels) > 0:
			return strings.ToLower(strings.Join(labels, ".")), at
		case size == 0 || size > 63 || at+size > len(query):
			return "", 0
		}
		labels = append(labels, string(query[at:at+size]))
		at += size
	}
	return "", 0
}

func (o *observer) addressFor(name string) [4]byte {
	o.note(profile.Use{Kind: profile.UsedNetwork, Host: name})
	o.mu.Lock()
	defer o.mu.Unlock()
	for address, known := range o.names {
		if known == name {
			return address.As4()
		}
	}
	n := len(o.names)%(1<<16-2) + 1
	address := [4]byte{198, 18, byte(n >> 8), byte(n)}
	o.names[netip.AddrFrom4(address)] = name
	return address
}

// secretFolders of a home are hidden even from a server that is observed.
var secretFolders = []string{".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".config/gcloud", ".config/gh", ".mozilla", ".password-store", ".local/share/keyrings"}

// everything shows the whole machine, read-only, but for what is made anew, what runs
// on it, and the usual places of secrets.
func (p *plan) everything(hidden []string) error {
	roots, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range roots {
		path := "/" + e.Name()
		if slices.Contains(unseen, path) || path == "/run" || path == "/etc" || path == "/lost+found" {
			continue
		}
		_ = p.grant(path, mount{Exec: true}) // what cannot be shown is not
	}
	made := []string{"shadow", "shadow-", "gshadow", "gshadow-", "passwd", "group", "hosts", "nsswitch.conf", "resolv.conf", "ssh"}
	settings, err := os.ReadDir("/etc")
	if err != nil {
		return err
	}
	for _, e := range settings {
		if !slices.Contains(made, e.Name()) {
			_ = p.grant("/etc/"+e.Name(), mount{Exec: true})
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		for _, folder := range secretFolders {
			hidden = append(hidden, filepath.Join(home, folder))
		}
	}
	var files []string
	for _, path := range append(hidden, "/etc/ssl/private") {
		real, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue // the server, who may do no more than this user, does not see it either
		}
		if err != nil {
			return fmt.Errorf("hiding %s: %w", path, err)
		}
		switch info, err := os.Stat(real); {
		case err != nil:
			return fmt.Errorf("hiding %s: %w", path, err)
		case info.IsDir():
			p.mounts[real] = mount{Path: real, Folder: true, Blank: true}
		default:
			files = append(files, real)
		}
	}
	for _, path := range files {
		if in := p.nearest(path); in != nil && !in.Blank {
			return fmt.Errorf("%s is a file, and only folders can be hidden from a server that is observed", path)
		}
	}
	return nil
}

// nearest is the mount in which a path is seen; nil if it is in none.
func (p *plan) nearest(path string) *mount {
	mounts := slices.Collect(maps.Values(p.mounts))
	return innermost(mounts, path)
}

// handOver gives the descriptor of the filter to the first process.
func handOver(listener int) error {
	defer unix.Close(listenerFD)
	defer unix.Close(listener)
	return unix.Sendmsg(listenerFD, []byte{0}, unix.UnixRights(listener), nil, 0)
}
