// Package config reads what Gatehouse is told to do: its own gatehouse.yaml, or
// the file in which a client keeps its MCP servers. Both are read strictly and
// whole: every problem of a file is reported with its line, and a file with a
// problem yields no configuration at all.
package config

//go:generate go test -run Test_schema -update

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/internal/profile"
	"gatehouse/internal/rule/media"
)

// Config is one configuration, complete and checked. It does not change after
// it was loaded and may be shared between goroutines.
type Config struct {
	Path string // the file, absolute
	Dir  string // its folder; relative paths in the file start here

	Listen       string                // host:port; loopback unless Identity says who others are
	TLS          TLS                   // zero: plain HTTP
	Approve      string                // FirstUse or Explicit
	Lock         string                // approved definitions, absolute
	State        string                // folder for the log and everything that is not committed, absolute
	Origins      []string              // browser origins allowed besides our own, scheme://host[:port]
	Rules        map[string]RulePolicy // by rule id; a rule that is absent is enforced
	Suppressions []Suppression
	Audit        Audit
	Limits       Limits
	Joined       Joined
	Policy       Policy
	Install      Install

	Identity Identity
	Teams    []Team  // sorted by name
	TimeZone string  // IANA name: where days and months begin
	Quotas   []Quota // in the order of the file

	TokenKey Secret // encrypts stored tokens; empty for a key kept in State

	Servers []Server // at least one, sorted by ID

	// RequestStateKey seals what clients without sessions carry from one try of a
	// call to the next; the empty one lives as long as the program.
	RequestStateKey Secret

	warnings  []string
	rulesUsed []ruleUse
	client    bool // read from a client's file, which has no place for what we need to know
}

// ruleUse is a place of the file that names a rule.
type ruleUse struct {
	id, field string
	at        position
}

// Values of Config.Approve and Server.Approve.
const (
	FirstUse = "first-use" // a clean definition is approved when it is first seen
	Explicit = "explicit"  // every definition waits for a person
)

// Values of Server.Trust: who writes what the server returns.
const (
	Low    = "low" // strangers
	Normal = "normal"
	High   = "high" // the people who use it
)

// Values of Server.Era.
const (
	Auto   = "auto"
	Legacy = "legacy" // initialize-based revisions, 2024-11-05 to 2025-11-25
	Modern = "modern" // 2026-07-28
)

// Values of Joined.Discovery.
const (
	Full        = "full"        // every tool is listed
	Progressive = "progressive" // find_tools and call_tool are listed in their place
)

// Joined says how the servers look where they are joined, at /mcp.
type Joined struct {
	Discovery        string // Full or Progressive
	DescriptionBytes int    // of all tool descriptions together; 0: no bound
}

// Values of Install.When.
const (
	FirstStart = "first-start" // what is not installed is installed when Gatehouse starts
	Explicitly = "explicit"    // only `gatehouse install` does it
)

// Install says how the packages of servers such as npx starts are installed.
type Install struct {
	When            string
	Network         []profile.Destination // that installers may reach besides the registries
	UnsafeAddresses []netip.Prefix        // into which the names of registries and of Network may lead
}

// TLS names the files of the gateway's own certificate, absolute; both or none.
type TLS struct {
	Cert string // PEM, with the certificates that lead to a known authority
	Key  string // PEM
}

// Audit says what the log keeps.
type Audit struct {
	Sync      string // "interval" or "each": when records are forced to the disk
	Arguments string // "redacted" or "none"
	Results   string // "redacted" or "none"
	MaxBytes  int    // of each stored field, in bytes
}

// Limits bound what clients and servers can make the gateway spend.
type Limits struct {
	RequestBytes int           // one message from a client
	ResultBytes  int           // one message from a server
	Timeout      time.Duration // without an answer or progress
	StartTimeout time.Duration // from starting a server to its first answer
	MaxTimeout   time.Duration // of one exchange, whatever progress is reported
	Sessions     int           // client sessions alive at once
	SessionIdle  time.Duration // after which a session ends
	InFlight     int           // exchanges at once
	Events       int           // messages a server may send within one exchange
	Tools        int           // that one server may list
	Processes    int           // of servers, alive at once
	MediaBytes   int           // one picture, sound or other binary content, decoded
	MediaPixels  int           // that a picture may claim
	MediaTypes   []string      // of binary content that are expected, type/subtype or type/*
}

// Server is one MCP server behind the gateway: either Command or URL is set.
type Server struct {
	ID   string // [a-z][a-z0-9-]{0,31}
	Name string // as the file spells it; differs from ID only in a client's file

	// A process that speaks on stdio.
	Command []string          // program and arguments; no shell reads them. With Sandbox.Image, what follows the image
	Dir     string            // working folder, absolute
	Env     map[string]Secret // variables set for it
	PassEnv []string          // names passed on from the gateway's environment besides BaseEnv

	// What the process may do; nil lets it do everything that the gateway may. A command
	// that launches a package (Package) always has one, unless UnsafeNoSandbox.
	Sandbox         *profile.Profile
	UnsafeNoSandbox bool              // npx, uvx and the like start as they are
	SecretFiles     map[string]Secret // by the names in Sandbox.SecretFiles

	// A Streamable HTTP endpoint.
	URL             string
	Headers         map[string]Secret // by canonical header name
	Auth            *Auth             // how to get a token for it; nil if nothing is said
	UnsafePlainHTTP bool              // plain http to a host that is not this machine

	Approve string // FirstUse or Explicit
	Era     string // Auto, Legacy or Modern
	Trust   string // Low, Normal or High; empty: Normal
	Timeout time.Duration
	// IdleStop ends a process that nobody used for so long; 0 leaves those of a
	// client's own session alone.
	IdleStop time.Duration

	Tools, Prompts Filter // by name
	Resources      Filter // and resource templates, by URI

	// What policies are told.
	Labels      []string
	ToolLabels  []ToolLabels
	Environment string
}

// DefaultListen is where the gateway listens unless it is told otherwise.
const DefaultListen = "127.0.0.1:8848"

// maxServers bounds the servers of one file. Each has a process or connections
// and a definition of its own; nobody keeps more by hand.
const maxServers = 500

// Default is the configuration of a file at path that says nothing. It has no
// servers.
func Default(path string) *Config {
	dir := filepath.Dir(path)
	return &Config{
		Path:     path,
		Dir:      dir,
		Listen:   DefaultListen,
		Approve:  FirstUse,
		Lock:     filepath.Join(dir, "gatehouse.lock"),
		State:    filepath.Join(dir, ".gatehouse"),
		Rules:    map[string]RulePolicy{},
		Joined:   Joined{Discovery: Full},
		Policy:   Policy{Mode: Enforce},
		Install:  Install{When: FirstStart},
		TimeZone: "UTC",
		Audit:    Audit{Sync: "interval", Arguments: "redacted", Results: "redacted", MaxBytes: 8 << 10},
		Limits: Limits{
			RequestBytes: 4 << 20,
			ResultBytes:  16 << 20,
			Timeout:      time.Minute,
			StartTimeout: 30 * time.Second,
			MaxTimeout:   10 * time.Minute,
			Sessions:     1000,
			SessionIdle:  30 * time.Minute,
			InFlight:     256,
			Events:       10_000,
			Tools:        2000,
			Processes:    256,
			MediaBytes:   media.DefaultBytes,
			MediaPixels:  media.DefaultPixels,
			MediaTypes:   slices.Clone(media.DefaultTypes),
		},
	}
}

// Load reads a gatehouse.yaml. The error is an *Error when the file could be
// read and something in it is wrong. With the IDs of the rules that there are, a
// mistyped one is among what is wrong (CheckRules).
func Load(path string, rules ...string) (*Config, error) {
	path, source, err := readSource(path, maxConfigBytes)
	if err != nil {
		return nil, err
	}
	r := &reader{path: path, dir: filepath.Dir(path)}
	c := Default(path)
	if root := r.parseYAML(source); len(r.problems) == 0 {
		r.config(root, c)
	}
	if len(rules) > 0 {
		r.checkRules(c, rules)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	r.warnAboutFile(c)
	c.warnings = r.warnings
	return c, nil
}

// config reads the whole tree into c.
func (r *reader) config(root *node, c *Config) {
	if root == nil {
		r.refuse(position{}, "", "%s", noServers("the file is empty"))
		return
	}
	var servers *node
	r.section(root, "", configKeys(c, &servers))
	if root.kind != mapping {
		return
	}
	if servers == nil || (servers.kind == mapping && len(servers.members) == 0) || servers.kind == null {
		r.refuse(position{}, "servers", "%s", noServers("there are no servers"))
	} else {
		c.Servers = r.servers(servers, c)
	}
	r.checkPlaces(root, c)
	r.checkIdentity(root, c)
	r.checkListen(root, c)
	r.checkQuotaServers(root, c)
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		r.refuse(root.at("tls"), "tls", "cert and key belong together; name both files, or take the section out for plain HTTP")
	}
	if c.Limits.Timeout > c.Limits.MaxTimeout {
		r.refuse(root.at("limits", "timeout"), "limits.timeout", "%v is longer than limits.max_timeout, %v", c.Limits.Timeout, c.Limits.MaxTimeout)
	}
}

// SamePlace reports whether another configuration keeps to what a running program
// cannot change: where it listens and where it keeps things.
func (c *Config) SamePlace(other *Config) bool {
	return c.Listen == other.Listen && c.TLS == other.TLS && c.State == other.State && c.Lock == other.Lock &&
		c.TokenKey.Equal(other.TokenKey)
}

// noServers says what to write into a configuration that protects nothing.
func noServers(found string) string {
	return found + "; write at least one, for example\n\n" +
		"servers:\n" +
		"  files:\n" +
		"    command: [npx, -y, \"@modelcontextprotocol/server-filesystem\", ./workspace]\n" +
		"    sandbox: {write: [./workspace]}\n"
}

// Warnings lists in plain sentences everything that was loosened and whatever
// else a person should know of. No sentence holds a secret.
func (c *Config) Warnings() []string { return slices.Concat(c.warnings, c.packageWarnings()) }

// CheckRules reports the rules that the configuration sets and that are not
// among known, as an *Error. A mistyped id would otherwise change nothing.
func (c *Config) CheckRules(known []string) error {
	r := &reader{path: c.Path}
	r.checkRules(c, known)
	return r.err()
}

func (r *reader) checkRules(c *Config, known []string) {
	for _, use := range c.rulesUsed {
		if !slices.Contains(known, use.id) {
			r.refuse(use.at, use.field, "there is no such rule%s", didYouMean(use.id, known))
		}
	}
}

// Server finds a server by its id.
func (c *Config) Server(id string) (Server, bool) {
	i, found := slices.BinarySearchFunc(c.Servers, id, func(s Server, id string) int { return cmp.Compare(s.ID, id) })
	if !found {
		return Server{}, false
	}
	return c.Servers[i], true
}

func sortServers(servers []Server) {
	slices.SortFunc(servers, func(a, b Server) int { return cmp.Compare(a.ID, b.ID) })
}

// checkPlaces refuses files that would lie on top of each other. The state
// folder is made private and ignored by git whole, so it must not be a folder
// that holds anything else.
func (r *reader) checkPlaces(root *node, c *Config) {
	if within(c.State, c.Path) {
		r.refuse(root.at("state"), "state", "%s holds the configuration itself; name a folder of its own, for example .gatehouse", c.State)
	}
	if c.Lock == c.Path || c.Lock == c.State {
		r.refuse(root.at("lock"), "lock", "%s is used for something else already; name a file of its own", c.Lock)
	}
}

// within reports whether path is dir or lies under it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// warn notes something that a person should know of.
func (r *reader) warn(at position, field, format string, args ...any) {
	where := field
	if at.line > 0 {
		where = fmt.Sprintf("%s (line %d)", field, at.line)
	}
	r.warnings = append(r.warnings, where+": "+fmt.Sprintf(format, args...))
}
