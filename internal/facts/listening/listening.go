// Package listening finds servers that answer on this machine, by one request to each
// port on which a program listens. The request asks for nothing but what a server is, and
// goes to this machine only.
package listening

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/wire"
)

const (
	// maxPorts bounds the ports that are asked.
	maxPorts = 256
	// atOnce is how many are asked at the same time.
	atOnce = 16
	// portTime is how long one may take. What is on this machine answers at once.
	portTime = 2 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 64 << 10
	// maxName bounds what is kept of the name that a server gives itself.
	maxName = 100
	// maxTable bounds the kernel's table of sockets.
	maxTable = 16 << 20
)

// ErrUnsupported says that this system is not asked which ports are open.
var ErrUnsupported = errors.New("which ports are open is read from Linux only")

// Find lists the servers of MCP that answer.
func Find(ctx context.Context) ([]check.Listener, error) {
	open, err := ports()
	if err != nil {
		return nil, err
	}
	if len(open) > maxPorts {
		return nil, fmt.Errorf("%d ports are open, more than are asked", len(open))
	}
	found := ask(ctx, open)
	if len(found) > 0 {
		processes := processes()
		for i, l := range found {
			j := slices.IndexFunc(open, func(s socket) bool { return s.String() == l.Address })
			found[i].Process = processes[open[j].inode]
		}
	}
	return found, nil
}

// socket is where something listens.
type socket struct {
	netip.AddrPort
	inode string // by which the kernel knows it
}

// maxProcesses bounds the processes that are looked at for the one that listens.
const maxProcesses = 10_000

// processes names the processes of this user by the sockets that they have open.
func processes() map[string]string {
	out := map[string]string{}
	links, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range links[:min(len(links), maxProcesses)] {
		files, err := os.ReadDir(dir)
		if err != nil {
			continue // of another user, or gone
		}
		for _, f := range files {
			target, err := os.Readlink(filepath.Join(dir, f.Name()))
			inode, isSocket := strings.CutPrefix(target, "socket:[")
			if err != nil || !isSocket {
				continue
			}
			process := filepath.Dir(dir)
			name, _ := os.ReadFile(filepath.Join(process, "comm"))
			out[strings.TrimSuffix(inode, "]")] = fmt.Sprintf("%s (%s)", strings.TrimSpace(string(name)), filepath.Base(process))
		}
	}
	return out
}

func ask(ctx context.Context, open []socket) []check.Listener {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		Timeout:       portTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	found := make([]*check.Listener, len(open))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, a := range open {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i] = one(ctx, client, a.AddrPort)
		})
	}
	all.Wait()
	var out []check.Listener
	for _, l := range found {
		if l != nil {
			out = append(out, *l)
		}
	}
	return out
}

// question is server/discover: it changes nothing. A server with sessions refuses it, and
// shows by the form of its refusal what it is.
var question = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":%q,"params":{"_meta":{%q:%q,%q:{}}}}`,
	wire.MethodDiscover, wire.MetaVersion, wire.ModernVersion, wire.MetaCapabilities)

func one(ctx context.Context, client *http.Client, a netip.AddrPort) *check.Listener {
	host := a.Addr()
	if host.IsUnspecified() {
		host = netip.MustParseAddr("127.0.0.1")
		if a.Addr().Is6() {
			host = netip.IPv6Loopback()
		}
	}
	l := &check.Listener{Address: a.String(), URL: "http://" + netip.AddrPortFrom(host, a.Port()).String() + "/mcp", Public: !a.Addr().IsLoopback()}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL, bytes.NewReader(question))
	if err != nil {
		return nil
	}
	request.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "User-Agent": {"gatehouse"},
		"Mcp-Protocol-Version": {wire.ModernVersion}, "Mcp-Method": {wire.MethodDiscover},
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		// "resource_metadata" is the mark of MCP's authorization.
		if strings.Contains(answer.Header.Get("Www-Authenticate"), "resource_metadata") {
			return l
		}
		return nil
	}
	m := message(answer.Body)
	if m == nil {
		return nil
	}
	l.Open = true
	for _, about := range []wire.Value{m.Result.Get("serverInfo"), m.Result.At("_meta", wire.MetaServerInfo)} {
		if name := about.Get("name").Text(); l.Name == "" {
			l.Name = strings.ToValidUTF8(name[:min(len(name), maxName)], "")
		}
	}
	return l
}

// message is the JSON-RPC response in an answer, plain or as the first event of a stream.
func message(body io.Reader) *wire.Message {
	lines := bufio.NewReader(io.LimitReader(body, maxAnswer))
	first, _ := lines.Peek(1)
	if len(first) == 0 {
		return nil
	}
	if first[0] == '{' {
		raw, err := io.ReadAll(lines)
		if err != nil {
			return nil
		}
		return response(raw)
	}
	for {
		line, err := lines.ReadBytes('\n')
		if data, found := bytes.CutPrefix(line, []byte("data:")); found {
			return response(data)
		}
		if err != nil {
			return nil
		}
	}
}

func response(raw []byte) *wire.Message {
	raw = bytes.TrimSpace(raw)
	if m, err := wire.Parse(raw, wire.Limits{Bytes: maxAnswer}); err == nil && m.Kind == wire.Response {
		return m
	}
	// "id": null answers a request whose session could not be found.
	doc, err := wire.Scan(raw, wire.Limits{Bytes: maxAnswer})
	if err == nil && doc.Root.Get("jsonrpc").Text() == "2.0" && doc.Root.At("error", "code").Exists() {
		return &wire.Message{Document: doc, Kind: wire.Response}
	}
	return nil
}

// ports lists the addresses on which something listens, each port once.
func ports() ([]socket, error) {
	var out []socket
	read := false
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another system, or a machine without IPv6
		}
		if err != nil {
			return nil, err
		}
		read = true
		found, err := listeners(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		out = append(out, found...)
	}
	if !read {
		return nil, ErrUnsupported
	}
	// The address that most can reach speaks for its port.
	slices.SortFunc(out, func(a, b socket) int {
		if a.Port() != b.Port() {
			return int(a.Port()) - int(b.Port())
		}
		if a.Addr().IsLoopback() != b.Addr().IsLoopback() {
			if b.Addr().IsLoopback() {
				return -1
			}
			return 1
		}
		return a.Compare(b.AddrPort)
	})
	return slices.CompactFunc(out, func(a, b socket) bool { return a.Port() == b.Port() }), nil
}

// listening is the state of a socket that waits for connections.
const listening = "0A"

// listeners reads a table such as /proc/net/tcp. Of others than loopback and all
// addresses, nothing is asked: the request would go over a network.
func listeners(table io.Reader) ([]socket, error) {
	var out []socket
	bounded := &io.LimitedReader{R: table, N: maxTable}
	lines := bufio.NewScanner(bounded)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != listening {
			continue
		}
		a, ok := address(fields[1])
		if ok && (a.Addr().IsLoopback() || a.Addr().IsUnspecified()) {
			out = append(out, socket{a, fields[9]})
		}
	}
	if bounded.N == 0 {
		return nil, errors.New("it is too large")
	}
	return out, lines.Err()
}

// address reads 0100007F:1F90: words of four bytes, each in the order of the machine,
// which is little-endian wherever this runs.
func address(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	p, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw) != net.IPv4len && len(raw) != net.IPv6len {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}
