package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
	"gatehouse/internal/downstream"
)

type serveOptions struct {
	config    string
	mcpConfig string
	listen    string
	stdio     bool
	server    string
	verbose   bool

	unsafeNoSandbox bool
}

func newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Stand in front of the configured servers",
		Long: `Serve the servers of a configuration: joined at /mcp, where tools are called
server__tool, and each alone and untouched at /mcp/{server}. GET /healthz tells whether
Gatehouse runs.

With --stdio it serves the one client that started it, on stdin and stdout, with the
configuration as it is then.

The configuration and the policies are read again when a file changes or on SIGHUP, as a
whole or not at all. SIGUSR1 halts everything, as gatehouse halt all does. SIGTERM and
SIGINT end Gatehouse and every process it started.`,
		Example: `  gatehouse serve --config gatehouse.yaml
  gatehouse serve --mcp-config ~/.cursor/mcp.json
  gatehouse serve --stdio --config gatehouse.yaml --server files`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", defaultConfig, "configuration `FILE`")
	f.StringVar(&o.mcpConfig, "mcp-config", "", "read the servers from a client's own `FILE` (mcpServers) instead")
	f.StringVar(&o.listen, "listen", "", "listen on this loopback `HOST:PORT` instead of the configured one")
	f.BoolVar(&o.stdio, "stdio", false, "serve one client on stdin and stdout")
	f.StringVar(&o.server, "server", "", "with --stdio: serve only this server, names untouched")
	f.BoolVar(&o.unsafeNoSandbox, "unsafe-no-sandbox", false, "with --mcp-config: start npx, uvx and the like as they are, without a sandbox")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
	cmd.MarkFlagsMutuallyExclusive("config", "mcp-config")
	cmd.MarkFlagsMutuallyExclusive("config", "unsafe-no-sandbox")
	return cmd
}

func (o serveOptions) load() (*config.Config, error) {
	load := func() (*config.Config, error) {
		if o.unsafeNoSandbox && o.mcpConfig == "" {
			return nil, errors.New("--unsafe-no-sandbox belongs to --mcp-config; a gatehouse.yaml says it for each server, with unsafe_no_sandbox: true")
		}
		if o.mcpConfig != "" {
			c, err := config.LoadMCP(o.mcpConfig)
			if err == nil && o.unsafeNoSandbox {
				c.UnsafeNoSandbox()
			}
			return c, err
		}
		return config.Load(o.config, ruleCatalogue.ids()...)
	}
	c, err := load()
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w\nWrite one, for example:\n\n%s", err, smallest)
	}
	if err != nil || o.listen == "" {
		return c, err
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.IsLoopback()) {
		return nil, fmt.Errorf("--listen %s: it takes an address of this machine only (127.0.0.1, ::1, localhost); let others in by listen: in the configuration, with an identity section", o.listen)
	}
	c.Listen = o.listen
	return c, nil
}

const smallest = `listen: 127.0.0.1:8848
servers:
  files:
    command: [npx, -y, "@modelcontextprotocol/server-filesystem@2026.8.31", ./workspace]
    sandbox: {write: [./workspace]}
`

func (o serveOptions) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	c, err := o.load()
	if err != nil {
		return exitWith(exitUsage, err)
	}
	if _, ok := c.Server(o.server); o.server != "" && (!ok || !o.stdio) {
		return exitWith(exitUsage, fmt.Errorf("--server %s: with --stdio, name one of the configured servers", o.server))
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	if o.stdio {
		return serveStdio(ctx, c, o, stdin, stdout, stderr)
	}
	return o.serveHTTP(ctx, c, stdout, stderr)
}

func serveStdio(ctx context.Context, c *config.Config, o serveOptions, stdin io.Reader, stdout, stderr io.Writer) error {
	// A client that is gone must end us in order, its servers first.
	signal.Ignore(syscall.SIGPIPE)
	for _, warning := range c.Warnings() {
		fmt.Fprintf(stderr, "Warning: %s\n", warning)
	}
	r, err := start(ctx, c, newLogger(stderr, o.verbose), "stdio")
	if err != nil {
		return err
	}
	defer r.close()
	r.watchLock(ctx)
	r.watchSwitch(ctx)
	front := &downstream.Stdio{Gateway: r.gateway, Mount: o.server, Bytes: c.Limits.RequestBytes}
	if err := front.Serve(ctx, stdin, stdout); err != nil {
		return exitWith(exitIncomplete, err)
	}
	return nil
}

// shutdownGrace is how long answers under way are awaited at the end. With the
// time that ending processes takes it stays under five seconds.
const shutdownGrace = time.Second

func (o serveOptions) serveHTTP(ctx context.Context, c *config.Config, stdout, stderr io.Writer) error {
	certificate, err := loadCertificate(c)
	if err != nil {
		return exitWith(exitUsage, err)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return exitWith(exitIncomplete, fmt.Errorf("%w; choose another address with --listen or listen: in the configuration", err))
	}
	r, err := start(ctx, c, newLogger(stderr, o.verbose), "")
	if err != nil {
		listener.Close()
		return err
	}
	defer r.close()
	r.watchLock(ctx)
	r.watchSwitch(ctx)
	var live atomic.Pointer[config.Config]
	live.Store(c)
	o.watch(ctx, r, &live)

	bound, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	front := &downstream.HTTP{
		Gateway: r.gateway, Bound: bound,
		Bytes:    func() int { return live.Load().Limits.RequestBytes },
		Origins:  func() []string { return live.Load().Origins },
		Resource: func() string { return live.Load().Identity.Resource },
	}
	server := &http.Server{
		Handler:           front.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // of the whole body; answers may take longer
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	failed := make(chan error, 1)
	plain := &downstream.Server{HTTP: server, Log: r.log}
	if certificate == nil {
		go func() { failed <- plain.Serve(listener) }()
	} else {
		watchCertificate(ctx, r, c, certificate)
		server.TLSConfig = certificate.Config(r.gateway.ClientCAs)
		go func() { failed <- server.ServeTLS(listener, "", "") }()
	}
	flag := "--config"
	if o.mcpConfig != "" {
		flag = "--mcp-config"
	}
	announce(stdout, c, bound, flag)
	select {
	case err := <-failed:
		return exitWith(exitIncomplete, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if plain.Shutdown(grace) != nil {
		plain.Close() // standing streams never end by themselves
	}
	return nil
}

// loadCertificate is nil where plain HTTP is configured.
func loadCertificate(c *config.Config) (*downstream.Certificate, error) {
	if c.TLS.Cert == "" {
		return nil, nil
	}
	return downstream.LoadCertificate(c.TLS.Cert, c.TLS.Key)
}

// watchCertificate takes over a certificate that somebody renews.
func watchCertificate(ctx context.Context, r *running, c *config.Config, certificate *downstream.Certificate) {
	reload := func() {
		if err := certificate.Reload(); err != nil {
			r.log.Warn("the certificate from before stays in use", "error", err)
			return
		}
		r.log.Info("the certificate was read again")
	}
	for _, file := range []string{c.TLS.Cert, c.TLS.Key} {
		if err := config.Watch(ctx, file, reload); err != nil {
			r.log.Error("a file of the certificate is not watched; restart Gatehouse to renew it", "file", file, "error", err)
		}
	}
}

// address is where clients find the gateway.
func address(c *config.Config, bound netip.AddrPort) string {
	if c.TLS.Cert != "" {
		return "https://" + bound.String()
	}
	return "http://" + bound.String()
}

// announce says where Gatehouse is and what to do next.
func announce(w io.Writer, c *config.Config, bound netip.AddrPort, flag string) {
	at := address(c, bound)
	if c.Identity.Resource != "" {
		at = c.Identity.Resource
	}
	fmt.Fprintf(w, "Gatehouse %s stands in front of %d server(s).\n\n", programVersion(), len(c.Servers))
	fmt.Fprintf(w, "  all servers   %s/mcp\n", at)
	for _, s := range c.Servers {
		fmt.Fprintf(w, "  %-12s  %s/mcp/%s\n", s.ID, at, s.ID)
	}
	for _, warning := range c.Warnings() {
		fmt.Fprintf(w, "\nWarning: %s\n", warning)
	}
	credential := ""
	if !c.Identity.LocalAllowed() && c.Identity.Keys != "" {
		credential = ` --header "Authorization: Bearer $KEY"`
	}
	fmt.Fprintf(w, `
Next: point a client at one of these addresses, or try
  npx @modelcontextprotocol/inspector --cli %[1]s/mcp --transport http%[6]s --method tools/list
See what happens:     %[2]s log tail --dir %[3]s/audit
Changed definitions:  %[2]s approve %[4]s %[5]s
`, at, os.Args[0], c.State, flag, c.Path, credential)
}

// watch reads the configuration and the policies again when one of their files changes
// and on SIGHUP.
func (o serveOptions) watch(ctx context.Context, r *running, live *atomic.Pointer[config.Config]) {
	var mu sync.Mutex // one reload after the other
	reload := func() {
		mu.Lock()
		defer mu.Unlock()
		next, err := o.load()
		if err != nil {
			r.gateway.ReloadRefused(err)
		} else if ensurePackages(ctx, next, r.audit, r.log); ctx.Err() != nil {
			return
		} else if err = r.gateway.Reload(next); err == nil {
			live.Store(next)
			r.log.Info("the configuration was read again", "servers", len(next.Servers))
			return
		}
		r.log.Error("the new configuration is refused; the one from before stays in force", "error", err)
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		policies := func() []string { return live.Load().Policy.Files }
		if err := config.WatchAlso(ctx, live.Load().Path, policies, reload); err != nil && ctx.Err() == nil {
			r.log.Error("the configuration is not watched; use SIGHUP", "error", err)
		}
	}()
	go func() {
		defer signal.Stop(hangup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				reload()
			}
		}
	}()
}
