package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/command"
)

// gateway is a real `gatehouse serve` in a process of its own.
type gateway struct {
	process *process
	url     string // of the joined servers
	read    chan struct{}
}

// configName is the configuration, in the folder of the play.
const configName = "gatehouse.yaml"

// auditDir is where the gateway keeps its log when the configuration does not say.
func auditDir(w workspace) string { return filepath.Join(w.dir, ".gatehouse", "audit") }

func startGateway(ctx context.Context, o Options, s scene, how setting, w workspace) (*gateway, error) {
	name := filepath.Join(w.dir, configName)
	if err := os.WriteFile(name, configuration(o, s, how, w), 0o600); err != nil {
		return nil, err
	}
	p := newProcess(ctx, w.dir, []string{o.Gatehouse, "serve", "--config", name})
	// Only if it ends in order can it end the servers that it started.
	p.cmd.Cancel = func() error { return askToEnd(p.cmd) }
	p.cmd.WaitDelay = gatewayGrace
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting gatehouse serve: %w", err)
	}
	g := &gateway{process: p, read: make(chan struct{})}
	lines := bufio.NewScanner(out)
	for g.url == "" && lines.Scan() {
		g.url = joinedURL.FindString(lines.Text())
	}
	go func() { // nothing that it prints later may make it wait
		_, _ = io.Copy(io.Discard, out)
		close(g.read)
	}()
	if g.url == "" {
		return nil, p.explain(errors.Join(errors.New("gatehouse serve did not start"), g.end()))
	}
	return g, nil
}

// joinedURL is the address that serve announces first.
var joinedURL = regexp.MustCompile(`http://127\.0\.0\.1:\d+/mcp\b`)

// configuration is what a user would write, with a port that is free.
func configuration(o Options, s scene, how setting, w workspace) []byte {
	var out strings.Builder
	out.WriteString("listen: 127.0.0.1:0\nservers:\n")
	for _, name := range serverNames {
		fmt.Fprintf(&out, "  %s:\n    command:\n", name)
		for _, word := range commands(o, s, w)[name] {
			// A Go string of printable text is a YAML one.
			fmt.Fprintf(&out, "      - %s\n", strconv.Quote(word))
		}
		// The demo shows what becomes of messages. It starts the file server without
		// Gatehouse too, so that a sandbox here would be no fair comparison.
		if _, launches, _ := command.Launches(commands(o, s, w)[name]); launches {
			out.WriteString("    unsafe_no_sandbox: true\n")
		}
	}
	for i, rule := range how.reporting {
		if i == 0 {
			out.WriteString("rules:\n")
		}
		fmt.Fprintf(&out, "  %s: report\n", rule)
	}
	return []byte(out.String())
}

// gatewayGrace is how long serve may take to end. It promises five seconds.
const gatewayGrace = 6 * time.Second

// end asks the gateway to end and waits for it. A gateway that has to be ended by
// force is an error.
func (g *gateway) end() error {
	_ = askToEnd(g.process.cmd) // it may have ended already
	late := time.AfterFunc(gatewayGrace, g.process.stop)
	<-g.read
	g.process.end()
	if !late.Stop() {
		return fmt.Errorf("gatehouse serve did not end within %s", gatewayGrace)
	}
	return nil
}
