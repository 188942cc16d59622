package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/command"
	"gatehouse/internal/config"
	"gatehouse/internal/container"
	"gatehouse/internal/install"
	"gatehouse/internal/policy"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

// check is one line of the doctor's report.
type check struct {
	Name   string `json:"check"`
	Result string `json:"result"` // "ok", "warning", "problem" or "unknown"
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

func newDoctorCommand() *cobra.Command {
	var o serveOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with a configuration, and what to do",
		Long: `Check the configuration, the policies and commands it names, the approved definitions, the audit log
and the address, without starting any server.

Exit codes: 0 all is well; 1 a problem was found; 2 the configuration cannot be read;
3 something could not be checked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.load()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			checks := diagnose(c)
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"schema": 1, "checks": checks}); err != nil {
					return err
				}
			} else {
				printChecks(cmd.OutOrStdout(), checks)
			}
			return doctorExit(checks)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", defaultConfig, "configuration `FILE`")
	f.StringVar(&o.mcpConfig, "mcp-config", "", "read the servers from a client's own `FILE` (mcpServers) instead")
	f.BoolVar(&asJSON, "json", false, "write JSON")
	cmd.MarkFlagsMutuallyExclusive("config", "mcp-config")
	return cmd
}

func doctorExit(checks []check) error {
	code := exitOK
	for _, c := range checks {
		switch {
		case c.Result == "problem":
			code = exitFindings
		case c.Result == "unknown" && code == exitOK:
			code = exitIncomplete
		}
	}
	if code == exitOK {
		return nil
	}
	return exitWith(code, nil)
}

func printChecks(w io.Writer, checks []check) {
	marks := map[string]string{"ok": "ok     ", "warning": "warning", "problem": "PROBLEM", "unknown": "unknown"}
	for _, c := range checks {
		fmt.Fprintf(w, "%s  %-20s %s\n", marks[c.Result], c.Name, approval.Visible(c.Detail))
		if c.Fix != "" {
			fmt.Fprintf(w, "         %-20s -> %s\n", "", c.Fix)
		}
	}
}

func diagnose(c *config.Config) []check {
	checks := []check{{"configuration", "ok", fmt.Sprintf("%s, %d server(s)", c.Path, len(c.Servers)), ""}}
	for _, w := range c.Warnings() {
		checks = append(checks, check{"configuration", "warning", w, ""})
	}
	for _, s := range c.Servers {
		checks = append(checks, checkServer(c, s))
	}
	checks = append(append(checks, checkSandboxes(c)...), checkContainers(c)...)
	checks = append(append(checks, checkPolicies(c)...), checkQuotas(c)...)
	return append(append(checks, checkApprovals(c)...), checkAudit(c), checkAddress(c))
}

// checkSandboxes says what this machine enforces, and whether each sandbox can be
// made. Where no server has one, it is for those who think of it.
func checkSandboxes(c *config.Config) []check {
	wanted := slices.ContainsFunc(c.Servers, func(s config.Server) bool { return s.Sandbox != nil && !s.Sandbox.InContainer() })
	bad := "warning"
	if wanted {
		bad = "problem"
	}
	report, err := sandbox.Available()
	if err != nil {
		return []check{{"sandbox", bad, err.Error(), "docs/sandbox.md says what a machine must have"}}
	}
	checks := []check{{"sandbox", "ok", report.String(), ""}}
	for _, control := range report.Controls {
		if control.Problem != "" {
			checks = append(checks, check{"sandbox: " + control.Name, "warning", control.Problem, "docs/sandbox.md says how to get it"})
		}
	}
	for _, s := range c.Servers {
		if s.Sandbox == nil || s.Sandbox.InContainer() {
			continue // containers are checked by themselves
		}
		environ, err := s.Environ()
		if err != nil {
			continue // reported with the server
		}
		if _, err := planSandbox(c.State, s, environ); err != nil && !errors.Is(err, install.ErrNotInstalled) && !errors.Is(err, install.ErrChanged) {
			checks = append(checks, check{"sandbox of " + s.ID, "problem", err.Error(), "change its sandbox section"})
		}
	}
	return checks
}

// engineAnswers bounds asking an engine about itself and its images.
const engineAnswers = 10 * time.Second

// checkContainers says which engines are there and what they enforce, and whether the
// images are there.
func checkContainers(c *config.Config) []check {
	ctx, cancel := context.WithTimeout(context.Background(), engineAnswers)
	defer cancel()
	var checks []check
	for _, name := range []string{profile.Docker, profile.Podman} {
		wanted := slices.ContainsFunc(c.Servers, func(s config.Server) bool { return s.Sandbox != nil && s.Sandbox.Runtime == name })
		if !wanted && !container.Installed(name) {
			continue
		}
		engine, err := container.Available(ctx, name)
		switch {
		case err != nil && wanted:
			checks = append(checks, check{"engine " + name, "problem", err.Error(), "start it, or use runtime: native on Linux"})
		case err != nil:
			checks = append(checks, check{"engine " + name, "ok", "is not used and does not answer", ""})
		default:
			checks = append(checks, check{"engine " + name, "ok", engine.String(), ""})
		}
	}
	for _, s := range c.Servers {
		if s.Sandbox == nil || !s.Sandbox.InContainer() {
			continue
		}
		if err := container.Check(ctx, *s.Sandbox); err != nil {
			checks = append(checks, check{"container of " + s.ID, "problem", err.Error(), "change its sandbox section, or get the image"})
		}
	}
	return checks
}

// unserved stands for the network of a sandbox that is only planned.
func unserved(context.Context, *net.UnixConn) error { return nil }

// planSandbox makes the plan of a sandbox or container, without its secrets.
func planSandbox(state string, s config.Server, environ []string) (interface{ Shown() []sandbox.Shown }, error) {
	s, err := fromPackage(state, s)
	if err != nil {
		return nil, err
	}
	secrets := map[string]string{}
	for _, name := range s.Sandbox.SecretFiles {
		secrets[name] = ""
	}
	if s.Sandbox.InContainer() {
		return container.New(*s.Sandbox, sandbox.Command{Args: s.Command, Dir: s.Dir, Env: environ, Secrets: secrets, Network: unserved})
	}
	return sandbox.New(*s.Sandbox, sandbox.Command{Args: s.Command, Dir: s.Dir, Env: environ, Secrets: secrets, Network: unserved})
}

func checkServer(c *config.Config, s config.Server) check {
	name := "server " + s.ID
	if s.URL != "" {
		if _, err := s.ResolvedHeaders(); err != nil {
			return check{name, "problem", err.Error(), "set what the header refers to"}
		}
		return check{name, "ok", s.URL, ""}
	}
	if _, err := s.Environ(); err != nil {
		return check{name, "problem", err.Error(), "set what the variable refers to"}
	}
	if s.Sandbox != nil && s.Sandbox.InContainer() {
		return check{name, "ok", "the image " + s.Sandbox.Image, ""}
	}
	if r, launches, err := s.Package(); launches {
		return checkPackage(c, name, r, err)
	}
	program := s.Command[0]
	if filepath.Base(program) != program && !filepath.IsAbs(program) {
		program = filepath.Join(s.Dir, program)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return check{name, "problem", fmt.Sprintf("the command %s is not found", s.Command[0]), "install it, or write its full path"}
	}
	return check{name, "ok", path, ""}
}

// checkPackage says whether what a server starts from is installed.
func checkPackage(c *config.Config, name string, r command.Request, err error) check {
	if err != nil {
		return check{name, "problem", err.Error(), "change its command"}
	}
	start, err := install.InState(c.State).Start(r)
	switch {
	case err == nil:
		return check{name, "ok", fmt.Sprintf("%s %s is installed", start.Package, start.Version), ""}
	case errors.Is(err, install.ErrNotInstalled) && c.Install.When == config.FirstStart:
		return check{name, "warning", "its package is installed when Gatehouse starts", "gatehouse install does it now"}
	}
	return check{name, "problem", err.Error(), "gatehouse install " + strings.TrimPrefix(name, "server ")}
}

// checkPolicies reads the policies as the gateway does, which does not start with wrong ones.
func checkPolicies(c *config.Config) []check {
	if !c.Policy.Configured {
		return nil
	}
	if _, err := policy.Load(c); err != nil {
		return []check{{"policies", "problem", err.Error(), "mend them; the gateway does not start with them"}}
	}
	return []check{{"policies", "ok", "valid; gatehouse policy check says whether they mean what you want", ""}}
}

// checkQuotas finds quotas on tools that no server is known to have: they bound nothing.
func checkQuotas(c *config.Config) []check {
	if len(c.Quotas) == 0 {
		return nil
	}
	items, err := policy.Inventory(c)
	if err != nil {
		return []check{{"quotas", "unknown", err.Error(), "mend the file or restore it from version control"}}
	}
	var checks []check
	for _, q := range c.Quotas {
		var names []string
		for _, item := range items {
			if item.Kind == policy.KindTool && config.Matches(q.When.Servers, item.Server) {
				names = append(names, item.Name)
			}
		}
		if len(names) == 0 {
			continue // its servers were not seen yet
		}
		for _, pattern := range (config.Filter{Allow: q.When.Tools}).Unmatched(names) {
			checks = append(checks, check{"quota " + q.Name, "warning", fmt.Sprintf("%q matches no approved tool", pattern), "write the name as the server has it, without SERVER__"})
		}
	}
	return checks
}

func checkApprovals(c *config.Config) []check {
	book, err := approval.Open(c.Lock, filepath.Join(c.State, "pending"))
	if err != nil {
		return []check{{"approvals", "problem", err.Error(), "mend the file or restore it from version control"}}
	}
	var checks []check
	for _, s := range c.Servers {
		switch state := book.Server(s.ID); state {
		case approval.Approved:
			checks = append(checks, check{"approval of " + s.ID, "ok", string(state), ""})
		case approval.Unknown:
			checks = append(checks, check{"approval of " + s.ID, "warning", "not seen yet; approval: " + s.Approve, ""})
		default:
			checks = append(checks, check{"approval of " + s.ID, "problem", string(state), "gatehouse approve " + s.ID})
		}
	}
	waiting := 0
	for _, change := range book.Pending() {
		if change.Waits() {
			waiting++
		}
	}
	if waiting > 0 {
		checks = append(checks, check{"approvals", "problem", fmt.Sprintf("%d definition(s) wait for review", waiting), "gatehouse approve --list"})
	}
	return checks
}

func checkAudit(c *config.Config) check {
	dir := filepath.Join(c.State, "audit")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return check{"audit log", "warning", "none yet", ""}
	}
	report, err := audit.Verify(dir)
	switch {
	case err != nil:
		return check{"audit log", "unknown", err.Error(), "gatehouse log verify --dir " + dir}
	case report.Tampered():
		return check{"audit log", "problem", "the chain is broken", "gatehouse log verify --dir " + dir}
	}
	return check{"audit log", "ok", fmt.Sprintf("%d chain(s), intact", len(report.Chains)), ""}
}

func checkAddress(c *config.Config) check {
	client := http.Client{Timeout: 2 * time.Second}
	url := "http://" + c.Listen + "/healthz"
	if c.TLS.Cert != "" {
		// The certificate is for the names that clients use. Nothing is told to whoever
		// answers here, and nothing is believed.
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		url = "https://" + c.Listen + "/healthz"
	}
	if resp, err := client.Get(url); err == nil {
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return check{"address " + c.Listen, "ok", "answers", ""}
		}
		return check{"address " + c.Listen, "problem", "another program answers there", "choose another address for listen"}
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return check{"address " + c.Listen, "problem", err.Error(), "choose another address for listen"}
	}
	listener.Close()
	return check{"address " + c.Listen, "ok", "free; Gatehouse does not run", ""}
}
