package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
	"gatehouse/internal/egress"
	"gatehouse/internal/gateway"
	"gatehouse/internal/oauth"
	"gatehouse/internal/upstream"
)

// tokenOptions are those of login and logout.
type tokenOptions struct {
	config, mcpConfig     string
	list, json, noBrowser bool
	verbose               bool
}

func newLoginCommand() *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:   "login [flags] SERVER",
		Short: "Get a token for a server that wants one",
		Long: `Shows the address at which to allow Gatehouse the use of a server, waits until the
browser comes back to this machine, and stores the token, encrypted, in the state
folder. A gateway that runs uses it from its next request on.

Gatehouse opens nothing by itself: look at the address before you follow it. With
--no-browser the browser may be on another machine; paste the address it ends at.

With --json each line of the output is one JSON object: first {"authorization_url": …},
at the end what was granted.
Exit codes: 0 done; 1 with --list: a server wants more than was granted; 2 wrong usage
or configuration; 3 there is no token.`,
		Example: `  gatehouse login tickets
  gatehouse login --no-browser tickets
  gatehouse login --list`,
		Args: func(_ *cobra.Command, args []string) error {
			if o.list != (len(args) == 0) || len(args) > 1 {
				return errors.New("name one server, or --list")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.load()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if o.list {
				return o.printGrants(c, cmd.OutOrStdout())
			}
			return o.login(cmd, c, args[0])
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.list, "list", false, "list what was granted so far")
	cmd.Flags().BoolVar(&o.noBrowser, "no-browser", false, "ask for the address the browser ends at instead of waiting for it")
	return cmd
}

func (o *tokenOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", defaultConfig, "configuration `FILE`")
	f.StringVar(&o.mcpConfig, "mcp-config", "", "the client's own `FILE` that serve was given instead")
	f.BoolVar(&o.json, "json", false, "write JSON")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
	cmd.MarkFlagsMutuallyExclusive("config", "mcp-config")
}

func (o *tokenOptions) load() (*config.Config, error) {
	if o.mcpConfig != "" {
		return config.LoadMCP(o.mcpConfig)
	}
	return config.Load(o.config)
}

// client finds the server and makes the state folder ready for its token.
func (o *tokenOptions) client(c *config.Config, id string, stderr io.Writer) (*oauth.Client, config.Server, error) {
	s, found := c.Server(id)
	switch {
	case !found:
		return nil, s, exitWith(exitUsage, fmt.Errorf("there is no server %q in %s", id, c.Path))
	case s.URL == "":
		return nil, s, exitWith(exitUsage, fmt.Errorf("server %s is a process; only servers with url want tokens", id))
	}
	if err := c.EnsureState(); err != nil {
		return nil, s, exitWith(exitIncomplete, err)
	}
	client, err := oauth.NewClient(s, gateway.LocalPrincipal(), openTokens(c), newLogger(stderr, o.verbose))
	if err != nil {
		return nil, s, exitWith(exitUsage, err)
	}
	return client, s, nil
}

func (o *tokenOptions) login(cmd *cobra.Command, c *config.Config, id string) error {
	stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	client, s, err := o.client(c, id, stderr)
	if err != nil {
		return err
	}
	if _, own := s.Headers["Authorization"]; own {
		return exitWith(exitUsage, fmt.Errorf("server %s has an Authorization header in %s; take it out first", id, c.Path))
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	browser, done, err := o.browser(s, cmd.InOrStdin(), stdout)
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	defer done()
	grant, err := client.Login(ctx, upstream.NewTransport(), browser)
	switch {
	case errors.Is(err, oauth.ErrNotNeeded):
		if !o.json {
			fmt.Fprintf(stdout, "Server %s does not ask for a login.\n", id)
			return nil
		}
		return json.NewEncoder(stdout).Encode(map[string]any{"server": id, "needed": false})
	case errors.Is(err, egress.ErrRefused):
		return exitWith(exitIncomplete, fmt.Errorf("%w\nIf you trust that place, name it under servers.%s.auth.unsafe_addresses", err, id))
	case err != nil:
		return exitWith(exitIncomplete, err)
	case o.json:
		return json.NewEncoder(stdout).Encode(grant.Status())
	}
	fmt.Fprintf(stdout, "\nServer %s: %s granted %s.\n", id, grant.Issuer, scopesText(grant.Scopes))
	if grant.Refresh.IsZero() && !grant.Expires.IsZero() {
		fmt.Fprintf(stdout, "The token is good until %s and is not renewed by itself.\n", grant.Expires.Local().Format(time.DateTime))
	}
	return nil
}

func scopesText(scopes []string) string {
	if len(scopes) == 0 {
		return "what it gives without asking for scopes"
	}
	return "the scopes " + strings.Join(scopes, " ")
}

// browser is how the person gets to the authorization server and back.
func (o *tokenOptions) browser(s config.Server, stdin io.Reader, stdout io.Writer) (b oauth.Browser, done func(), err error) {
	port := 0
	if s.Auth != nil {
		port = s.Auth.RedirectPort
	}
	if o.noBrowser {
		return &oauth.Pasted{Port: port, Ask: func(_ context.Context, url string) (string, error) {
			o.show(stdout, url, "allow Gatehouse there, and paste the address at which the browser ends (it shows an error):")
			line, err := bufio.NewReader(io.LimitReader(stdin, maxPasted)).ReadString('\n')
			if line = strings.TrimSpace(line); line == "" {
				return "", errors.Join(errors.New("nothing was pasted"), err)
			}
			return line, nil
		}}, func() {}, nil
	}
	l, err := oauth.Listen(port)
	if err != nil {
		return nil, nil, err
	}
	l.Show = func(url string) {
		o.show(stdout, url, "and allow Gatehouse there. Waiting for the browser to come back …")
	}
	return l, l.Close, nil
}

// maxPasted bounds an address that is pasted.
const maxPasted = 64 << 10

// show prints the whole URL: what is cut off cannot be judged.
func (o *tokenOptions) show(w io.Writer, url, then string) {
	if o.json {
		// Without escapes for HTML: the & stays as it is.
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(map[string]string{"authorization_url": url})
		return
	}
	fmt.Fprintf(w, "Open this address in a browser,\n\n  %s\n\n%s\n", url, then)
}

func (o *tokenOptions) printGrants(c *config.Config, w io.Writer) error {
	grants, err := openTokens(c).Grants()
	list, wants := []oauth.Status{}, false
	for _, g := range grants {
		status := g.Status()
		wants = wants || len(status.Wanted) > 0
		list = append(list, status)
	}
	if o.json {
		if e := json.NewEncoder(w).Encode(list); e != nil {
			return e
		}
	} else {
		printStatuses(w, list)
	}
	switch {
	case err != nil:
		return exitWith(exitIncomplete, err)
	case wants:
		return exitWith(exitFindings, nil)
	}
	return nil
}

func printStatuses(w io.Writer, list []oauth.Status) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No server was granted anything yet.")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVER\tPRINCIPAL\tAUTHORIZATION SERVER\tSCOPES\tGOOD UNTIL\t")
	for _, s := range list {
		until := "unknown"
		switch {
		case !s.Granted:
			until = "waits for a login"
		case s.Renews:
			until = "renewed by itself"
		case s.Expires != nil:
			until = s.Expires.Local().Format(time.DateTime)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t\n", s.Server, s.Principal, s.Issuer, strings.Join(s.Scopes, " "), until)
	}
	table.Flush()
	for _, s := range list {
		if len(s.Wanted) > 0 {
			fmt.Fprintf(w, "\nServer %s wants more: %s. Run `gatehouse login %s` to grant it.\n", s.Server, strings.Join(s.Wanted, " "), s.Server)
		}
	}
}
