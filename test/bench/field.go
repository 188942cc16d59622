package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// field is everything that runs during the measurements.
type field struct {
	dir      string // for all files
	binary   string // gatehouse
	stub     string // address
	children []*child
	gateway  *child
	listen   string // address of the gateway
	proxies  map[string]*target
}

// prepare builds the gateway and starts the stub, the proxies and the gateway.
func prepare(ctx context.Context, dir string, o options) (*field, error) {
	f := &field{dir: dir, binary: o.binary, proxies: map[string]*target{}}
	if err := f.build(ctx); err != nil {
		return f, err
	}
	stub, address, err := helper(ctx, "stub")
	if err != nil {
		return f, err
	}
	f.children, f.stub = append(f.children, stub), address
	p, proxyAddress, err := helper(ctx, "proxy", "http://"+address)
	if err != nil {
		return f, err
	}
	f.children = append(f.children, p)
	for _, path := range []string{"/mcp", "/catalog"} {
		f.proxies[path] = &target{name: proxy, address: proxyAddress, path: path, process: p}
	}
	return f, nil
}

// build builds the gateway, unless there is one to be measured.
func (f *field) build(ctx context.Context) error {
	if f.binary != "" {
		return nil
	}
	f.binary = filepath.Join(f.dir, "gatehouse")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", f.binary, "gatehouse/cmd/gatehouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return nil
}

// startGateway starts a gateway with its state in a folder of its own, in front of
// the servers of the configuration, and waits until it answers a call. It returns
// how long that took.
func (f *field) startGateway(ctx context.Context, state, servers string) (*child, string, time.Duration, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, "", 0, err
	}
	dir := filepath.Join(f.dir, state)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", 0, err
	}
	file := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "listen: %s\nservers:\n%s", address, servers), 0o600); err != nil {
		return nil, "", 0, err
	}
	began := time.Now()
	c, _, err := start(ctx, false, gatehouse, f.binary, "serve", "--config", file)
	if err != nil {
		return nil, "", 0, err
	}
	if err := awaitAnswer(ctx, c, &target{name: gatehouse, address: address, path: "/mcp/stub"}); err != nil {
		c.close()
		return nil, "", 0, fmt.Errorf("%w\n%s", err, c.stderr)
	}
	return c, address, time.Since(began), nil
}

const (
	startTimeout = 20 * time.Second
	startPoll    = 200 * time.Microsecond
)

// awaitAnswer returns when a first call has been answered rightly. It tries again
// only as long as nobody listens.
func awaitAnswer(ctx context.Context, c *child, t *target) error {
	ctx, stop := context.WithTimeoutCause(ctx, startTimeout, errors.New("no answer in time"))
	defer stop()
	for {
		s, err := connect(t, work{legacy, "echo", 200}, 0)
		if err == nil {
			return errors.Join(s.call(), s.close())
		}
		if errors.Is(err, errUnexpected) {
			return err
		}
		select {
		case <-c.ended:
			return errors.New("the gateway ended")
		default:
		}
		if err := sleepUntil(ctx, time.Now().Add(startPoll)); err != nil {
			return err
		}
	}
}

// oneServer is the configuration of a gateway in front of the stub alone.
func (f *field) oneServer() string {
	return fmt.Sprintf("  stub:\n    url: http://%s/mcp\n", f.stub)
}

// allServers adds the long list and a server that is a process.
func (f *field) allServers() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return f.oneServer() + fmt.Sprintf("  catalog:\n    url: http://%s/catalog\n  piped:\n    command: [%q, stub-stdio]\n", f.stub, self), nil
}

// target is the way of the given name to the two tools, or to the long list.
func (f *field) target(name string, list bool) *target {
	path, server := "/mcp", "stub"
	if list {
		path, server = "/catalog", "catalog"
	}
	switch name {
	case direct:
		return &target{name: name, address: f.stub, path: path}
	case proxy:
		return f.proxies[path]
	case joined:
		return &target{name: name, address: f.listen, path: "/mcp", prefix: server + "__", process: f.gateway}
	case piped:
		server = "piped"
	}
	return &target{name: name, address: f.listen, path: "/mcp/" + server, process: f.gateway}
}

func (f *field) close() {
	for _, c := range f.children {
		c.close()
	}
}
