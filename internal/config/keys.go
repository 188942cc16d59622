package config

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxTools is what the lock file holds of one server (approval.MaxItems).
const maxTools = 2000

// maxAuditField keeps two fields, escaped up to six times their size, within one
// record of the log (audit.MaxRecord).
const maxAuditField = 64 << 10

// A budget below minDescriptionBytes would leave nothing of any description;
// maxDescriptionBytes is more than a model can read.
const minDescriptionBytes, maxDescriptionBytes = 1 << 10, 16 << 20

// key is one key of gatehouse.yaml. The reader, the JSON Schema and the test of
// the documentation all go by the same list.
type key struct {
	name   string
	schema schema
	read   func(r *reader, n *node, field string)
}

// schema is a piece of JSON Schema, draft-07, which editors understand.
type schema map[string]any

func configKeys(c *Config, servers **node) []key {
	a, l := &c.Audit, &c.Limits
	return []key{
		{"listen", schema{"type": "string", "default": c.Listen, "description": "Address of the gateway. Other machines reach it only where the identity section says who they are."}, func(r *reader, n *node, field string) { r.listen(n, field, &c.Listen) }},
		section("tls", "The gateway's own certificate. Without it the gateway speaks plain HTTP.",
			path("cert", "File with the certificate and those that lead to a known authority, PEM.", "", &c.TLS.Cert),
			path("key", "File with its private key, PEM.", "", &c.TLS.Key),
		),
		oneOf("approve", "When a definition counts as approved.", &c.Approve, FirstUse, Explicit),
		path("lock", "File with the approved definitions; commit it.", "gatehouse.lock", &c.Lock),
		path("state", "Folder for the audit log and other files that are not committed.", ".gatehouse", &c.State),
		{"origins", schema{"type": "array", "items": schema{"type": "string"}, "description": "Browser origins that may call the gateway, scheme://host[:port]."}, func(r *reader, n *node, field string) { c.Origins = r.texts(n, field, "origin", checkOrigin) }},
		{"rules", rulesSchema(), func(r *reader, n *node, field string) { r.rules(n, field, c) }},
		{"suppressions", suppressionsSchema(), func(r *reader, n *node, field string) { r.suppressions(n, field, c) }},
		{"request_state_key", schema{"type": "string", "description": "Key that seals the state of calls that wait for their client's answers: env:NAME or file:PATH. Without one it changes at every start."}, func(r *reader, n *node, field string) { r.stateKey(n, field, c) }},
		section("audit", "What the audit log keeps.",
			oneOf("sync", "When records are forced to the disk.", &a.Sync, "interval", "each"),
			oneOf("arguments", "How arguments are stored.", &a.Arguments, "redacted", "none"),
			oneOf("results", "How results are stored.", &a.Results, "redacted", "none"),
			size("max_bytes", "Bound of one stored field.", &a.MaxBytes, 0, maxAuditField),
		),
		section("limits", "What clients and servers can make the gateway spend.",
			size("request_bytes", "One message from a client.", &l.RequestBytes, 1<<10, 1<<30),
			size("result_bytes", "One message from a server.", &l.ResultBytes, 1<<10, 1<<30),
			duration("timeout", "Without an answer or progress.", &l.Timeout),
			duration("start_timeout", "From starting a server to its first answer.", &l.StartTimeout),
			duration("max_timeout", "Of one exchange, whatever progress is reported.", &l.MaxTimeout),
			count("sessions", "Client sessions alive at once.", &l.Sessions, 1_000_000),
			duration("session_idle", "After which a session ends.", &l.SessionIdle),
			count("in_flight", "Exchanges at once.", &l.InFlight, 100_000),
			count("events", "Messages a server may send within one exchange.", &l.Events, 10_000_000),
			count("tools", "Tools one server may list.", &l.Tools, maxTools),
			count("processes", "Server processes alive at once.", &l.Processes, 100_000),
			size("media_bytes", "One picture, sound or other binary content, decoded.", &l.MediaBytes, 1<<10, 1<<30),
			count("media_pixels", "Pixels that a picture may claim.", &l.MediaPixels, 2_000_000_000),
			mediaTypes(&l.MediaTypes),
		),
		section("joined", "How the servers look where they are joined, at /mcp.",
			oneOf("discovery", "Whether every tool is listed, or two tools that find and call the others.", &c.Joined.Discovery, Full, Progressive),
			size("description_bytes", "Bound of all tool descriptions together; the longest are shortened.", &c.Joined.DescriptionBytes, minDescriptionBytes, maxDescriptionBytes),
		),
		policyKey(&c.Policy),
		installKey(&c.Install),
		timeZone(&c.TimeZone),
		{"quotas", quotasSchema(), func(r *reader, n *node, field string) { r.quotas(n, field, c) }},
		reference("token_key", "Encrypts the tokens that `gatehouse login` stores: env:NAME or file:PATH.", &c.TokenKey),
		identityKey(c),
		teamsKey(c),
		{"servers", serversSchema(), func(_ *reader, n *node, _ string) { *servers = n }},
	}
}

// section reads a mapping whose keys are known.
func section(name, doc string, keys ...key) key {
	return key{name, objectSchema(doc, keys), func(r *reader, n *node, field string) { r.section(n, field, keys) }}
}

func objectSchema(doc string, keys []key) schema {
	properties := schema{}
	for _, k := range keys {
		properties[k.name] = k.schema
	}
	return schema{"type": "object", "description": doc, "additionalProperties": false, "properties": properties}
}

// section reads n by a list of keys and refuses all others. A section whose
// lines are all commented out is nothing, and says nothing.
func (r *reader) section(n *node, field string, keys []key) {
	if n.kind == null {
		return
	}
	if n.kind != mapping {
		r.wrongKind(n, field, "a mapping with the keys "+strings.Join(names(keys), ", "))
		return
	}
	for _, m := range n.members {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == m.name })
		if i < 0 {
			r.refuse(m.pos, join(field, m.name), "unknown key%s", r.hint(m.name, names(keys)))
			continue
		}
		keys[i].read(r, m.value, join(field, m.name))
	}
}

func names(keys []key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.name)
	}
	return out
}

// join appends a name to a dotted path. The name comes from the file and may be
// anything.
func join(field, name string) string {
	if looksSecret(name) {
		name = "…"
	}
	if len(name) > maxQuoted {
		name = strings.ToValidUTF8(name[:maxQuoted], "") + "…"
	}
	name = strings.Trim(strconv.Quote(name), `"`)
	if field == "" {
		return name
	}
	return field + "." + name
}

// otherWords are keys of other programs for what we call differently.
var otherWords = map[string]string{
	"args":        `the arguments stand behind the program: command: [npx, -y, "…"]`,
	"environment": "write env",
	"cwd":         "write dir",
	"serverUrl":   "write url",
	"mcpServers":  "write servers; a client's JSON file is read with --mcp-config",
	"host":        "write listen: host:port",
	"port":        "write listen: host:port",
	"type":        "a server with url is reached over HTTP, one with command over stdio",
	"transport":   "a server with url is reached over HTTP, one with command over stdio",
	"disabled":    "take the server out, or put # before its lines",
}

func (r *reader) hint(word string, known []string) string {
	if other, found := otherWords[word]; found {
		return "; " + other
	}
	if guess := didYouMean(word, known); guess != "" {
		return guess
	}
	return "; known here: " + strings.Join(known, ", ")
}

func oneOf(name, doc string, to *string, values ...string) key {
	return key{
		name,
		schema{"enum": values, "default": *to, "description": doc},
		func(r *reader, n *node, field string) {
			if n.kind != text || !slices.Contains(values, n.text) {
				r.wrong(n, field, strings.Join(values, " or "))
				return
			}
			*to = n.text
		},
	}
}

const (
	// minDuration keeps a bound from refusing everything at once.
	minDuration = 10 * time.Millisecond
	// maxDuration keeps a bound a bound.
	maxDuration = 24 * time.Hour
)

func duration(name, doc string, to *time.Duration) key {
	s := schema{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`, "description": doc}
	if *to > 0 {
		s["default"] = shortDuration(*to)
	}
	return key{name, s, func(r *reader, n *node, field string) {
		d, err := time.ParseDuration(n.text)
		if n.kind != text || err != nil || d < minDuration || d > maxDuration {
			r.wrong(n, field, fmt.Sprintf("a duration from %v to %v, such as 30s or 5m", minDuration, shortDuration(maxDuration)))
			return
		}
		*to = d
	}}
}

// shortDuration writes 10m for what time.Duration writes as 10m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func count(name, doc string, to *int, highest int) key {
	return key{
		name,
		schema{"type": "integer", "minimum": 1, "maximum": highest, "default": *to, "description": doc},
		func(r *reader, n *node, field string) {
			value, err := strconv.Atoi(n.text)
			if n.kind != number || err != nil || value < 1 || value > highest {
				r.wrong(n, field, fmt.Sprintf("a whole number from 1 to %d", highest))
				return
			}
			*to = value
		},
	}
}

func size(name, doc string, to *int, lowest, highest int) key {
	s := schema{
		"anyOf":       []schema{{"type": "integer", "minimum": lowest, "maximum": highest}, {"type": "string", "pattern": sizePattern.String()}},
		"description": doc,
	}
	if *to >= lowest {
		s["default"] = shortSize(*to)
	}
	return key{name, s, func(r *reader, n *node, field string) {
		value, ok := parseSize(n)
		if !ok || value < lowest || value > highest {
			r.wrong(n, field, fmt.Sprintf("a size from %s to %s, such as 512KiB or 4MiB", shortSize(lowest), shortSize(highest)))
			return
		}
		*to = value
	}}
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,10}) ?(KiB|MiB|GiB)$`)

// parseSize reads a number of bytes, or a number with a binary unit.
func parseSize(n *node) (bytes int, ok bool) {
	switch n.kind {
	case number:
		value, err := strconv.Atoi(n.text)
		return value, err == nil
	case text:
		parts := sizePattern.FindStringSubmatch(n.text)
		if parts == nil {
			return 0, false
		}
		value, err := strconv.Atoi(parts[1])
		unit := map[string]int{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[parts[2]]
		return value * unit, err == nil && value <= math.MaxInt/unit
	}
	return 0, false
}

func shortSize(bytes int) string {
	for _, unit := range []struct {
		name string
		size int
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= unit.size && bytes%unit.size == 0 {
			return fmt.Sprintf("%d%s", bytes/unit.size, unit.name)
		}
	}
	return strconv.Itoa(bytes)
}

// mediaType is one type of RFC 6838, or all subtypes of a type.
var mediaType = regexp.MustCompile(`^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/(\*|[a-z0-9][a-z0-9!#$&^_.+-]{0,126})$`)

func mediaTypes(to *[]string) key {
	s := schema{
		"type": "array", "items": schema{"type": "string", "pattern": mediaType.String()}, "default": *to,
		"description": "Types of binary content that are expected, type/subtype or type/*. Others are reported.",
	}
	return key{"media_types", s, func(r *reader, n *node, field string) {
		*to = append([]string{}, r.texts(n, field, "media type", func(text string) string {
			if mediaType.MatchString(text) {
				return ""
			}
			return "expected a media type in lower case, such as image/png or image/*"
		})...)
	}}
}

func yesNo(name, doc string, to *bool) key {
	return key{name, schema{"type": "boolean", "default": *to, "description": doc}, func(r *reader, n *node, field string) {
		if n.kind != boolean {
			r.wrong(n, field, "true or false")
			return
		}
		*to = n.text == "true"
	}}
}

func path(name, doc, standard string, to *string) key {
	s := schema{"type": "string", "description": doc}
	if standard != "" {
		s["default"] = standard
	}
	return key{name, s, func(r *reader, n *node, field string) {
		if n.kind != text || n.text == "" || strings.ContainsAny(n.text, "\x00\n") {
			r.wrong(n, field, "a path")
			return
		}
		absolute, err := resolvePath(r.dir, n.text)
		if err != nil {
			r.refuse(n.pos, field, "%v", err)
			return
		}
		*to = absolute
	}}
}

// resolvePath makes a path of the file absolute: from the folder of the file,
// or from the home folder after "~/".
func resolvePath(dir, name string) (string, error) {
	if name == "~" || strings.HasPrefix(name, "~/") {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding the home folder: %w", err)
		}
		return filepath.Join(home, name[1:]), nil
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	return filepath.Join(dir, name), nil
}

// texts reads a list of texts without repetitions. check returns what is wrong
// with one, or "".
func (r *reader) texts(n *node, field, what string, check func(string) string) []string {
	if n.kind != list {
		r.wrongKind(n, field, "a list of "+what+"s in [ ]")
		return nil
	}
	var out []string
	for i, item := range n.list {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case item.kind != text:
			r.wrongKind(item, at, "the text of one "+what)
		case slices.Contains(out, item.text):
			r.refuse(item.pos, at, "%s stands in the list twice", quote(item.text))
		default:
			if problem := check(item.text); problem != "" {
				r.refuse(item.pos, at, "found %s, %s", quote(item.text), problem)
			}
			out = append(out, item.text)
		}
	}
	return out
}

// listen reads the address of the gateway. Names other than localhost are refused
// because what they resolve to can change.
func (r *reader) listen(n *node, field string, to *string) {
	const expected = "host:port with an address of this machine, such as " + DefaultListen
	address := n.text
	colon := strings.LastIndexByte(address, ':')
	if n.kind != text || colon < 0 {
		r.wrong(n, field, expected)
		return
	}
	host, port := strings.Trim(address[:colon], "[]"), address[colon+1:]
	if value, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(value, 10) != port {
		r.wrong(n, field, expected)
		return
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		r.wrong(n, field, expected)
		return
	}
	if strings.Contains(host, ":") != strings.HasPrefix(address, "[") || strings.Contains(host, ":") != strings.Contains(address, "]:") {
		r.wrong(n, field, expected)
		return
	}
	*to = address
}

// checkListen keeps other machines out of a gateway that cannot tell who they are:
// it would lend its servers, with their credentials, to everyone who can reach the
// port. RFC 9700 section 2.6 wants tokens to be sent over TLS only.
func (r *reader) checkListen(root *node, c *Config) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil || isLoopback(host) {
		return
	}
	at := root.at("listen")
	switch {
	case !c.Identity.Configured():
		r.refuse(at, "listen", "found %q, which other machines may reach; without an identity section nobody knows who they are, so only a loopback address (127.0.0.1, [::1] or localhost) is served", c.Listen)
	case c.TLS.Cert == "" && !strings.HasPrefix(c.Identity.Resource, "https://"):
		r.refuse(at, "listen", "found %q, where credentials would come in the clear; add the tls section, or set identity.resource to the https address of the proxy that ends TLS in front of the gateway", c.Listen)
	case c.TLS.Cert == "":
		r.warn(at, "listen", "credentials come in the clear from the proxy in front of the gateway; nothing else may reach %s", c.Listen)
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.IsLoopback()
}

// checkOrigin accepts exactly what a browser sends as Origin (RFC 6454, section
// 6.2), so that comparing is comparing bytes.
func checkOrigin(origin string) string {
	const expected = "expected an exact origin, scheme://host or scheme://host:port, in lower case"
	scheme, host, found := strings.Cut(origin, "://")
	if !found || scheme == "" || host == "" || strings.ContainsAny(host, "/?#@*\\ ") || strings.ToLower(origin) != origin {
		return expected
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host != host || u.Hostname() == "" || strings.HasSuffix(host, ":") {
		return expected
	}
	if (scheme == "http" && u.Port() == "80") || (scheme == "https" && u.Port() == "443") {
		return "a browser leaves out the port that goes with the scheme; leave it out here too"
	}
	return ""
}

// Schema is the JSON Schema of gatehouse.yaml, draft-07, for editors.
func Schema() []byte {
	var servers *node
	c := Default(filepath.Join(string(filepath.Separator), "gatehouse.yaml"))
	root := objectSchema("Configuration of the Gatehouse gateway.", configKeys(c, &servers))
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "gatehouse.yaml"
	root["required"] = []string{"servers"}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("config: internal error: " + err.Error()) // only texts, numbers and lists are in it
	}
	return append(out, '\n')
}
