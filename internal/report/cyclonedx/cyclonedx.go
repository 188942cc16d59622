// Package cyclonedx writes the inventory of a report as a bill of materials in CycloneDX
// 1.6: servers as components, remote servers as services, and which client uses which.
package cyclonedx

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
)

type bom struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	SerialNumber string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Services     []service    `json:"services,omitempty"`
	Dependencies []dependency `json:"dependencies"`
	// Compositions say whether this is everything.
	Compositions []composition `json:"compositions"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Tools     tools     `json:"tools"`
	Component component `json:"component"`
}

type tools struct {
	Components []component `json:"components"`
}

type component struct {
	Type       string      `json:"type"`
	Ref        string      `json:"bom-ref"`
	Name       string      `json:"name"`
	Version    string      `json:"version,omitempty"`
	Hashes     []hash      `json:"hashes,omitempty"`
	PURL       string      `json:"purl,omitempty"`
	References []reference `json:"externalReferences,omitempty"`
	Properties []property  `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type reference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type service struct {
	Ref           string     `json:"bom-ref"`
	Name          string     `json:"name"`
	Endpoints     []string   `json:"endpoints,omitempty"`
	Authenticated *bool      `json:"authenticated,omitempty"`
	Boundary      bool       `json:"x-trust-boundary"`
	Properties    []property `json:"properties,omitempty"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

type composition struct {
	Aggregate  string   `json:"aggregate"`
	Assemblies []string `json:"assemblies"`
}

// refRoot stands for what was scanned.
const refRoot = "scanned"

// Write writes the inventory of a report.
func Write(out io.Writer, r *report.Report) error {
	w := &writer{uses: map[string][]string{}}
	b := bom{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{
			Timestamp: r.Time.Format("2006-01-02T15:04:05Z"),
			Tools:     tools{[]component{{Type: "application", Ref: "gatehouse", Name: r.Program.Name, Version: r.Program.Version}}},
			Component: component{Type: "platform", Ref: refRoot, Name: "MCP servers of this " + string(r.Scope)},
		},
		Components: []component{}, Compositions: []composition{{aggregate(r), []string{refRoot}}},
	}
	for _, s := range r.Servers {
		w.server(s)
	}
	b.Components, b.Services = append(w.clients(), w.components...), w.services
	b.Dependencies = w.dependencies(b)
	b.SerialNumber = serial(b)
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(b)
}

// aggregate says whether something may be missing.
func aggregate(r *report.Report) string {
	if r.Summary.Incomplete > 0 {
		return "incomplete"
	}
	return "complete"
}

// serial is a UUID made of the content: the same bill has the same one.
func serial(b bom) string {
	raw, err := json.Marshal(b)
	if err != nil {
		panic("cyclonedx: internal error: " + err.Error()) // it holds texts only
	}
	sum := sha256.Sum256(raw)
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, version 8: "vendor-specific"
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

type writer struct {
	components []component
	services   []service
	uses       map[string][]string // refs of servers by client
}

// server adds one component for each version of a server that somebody asks for.
func (w *writer) server(s inventory.Server) {
	for _, e := range s.Entries {
		source := inventory.Of(e)
		ref := "server:" + s.ID
		if source.Kind == inventory.Remote {
			w.service(ref, s)
		} else {
			if source.Version != "" {
				ref += "@" + source.Version
			}
			w.component(ref, s, source)
		}
		for _, id := range e.Clients {
			if !slices.Contains(w.uses[id], ref) {
				w.uses[id] = append(w.uses[id], ref)
			}
		}
	}
}

func (w *writer) component(ref string, s inventory.Server, source inventory.Source) {
	if slices.ContainsFunc(w.components, func(c component) bool { return c.Ref == ref }) {
		return
	}
	c := component{Type: "application", Ref: ref, Name: cmp.Or(source.Package, s.Name), PURL: packageURL(source), Properties: []property{
		{"gatehouse:server", s.Name}, {"gatehouse:kind", string(source.Kind)}, {"gatehouse:pin", string(source.Pin)},
	}}
	if source.Kind == inventory.OCI {
		c.Type = "container"
	}
	switch algorithm, sum, _ := strings.Cut(source.Version, ":"); {
	case source.Pin == inventory.Digest && algorithm == "sha256" && len(sum) == 64:
		c.Version, c.Hashes = source.Version, []hash{{"SHA-256", sum}}
	case source.Pinned():
		c.Version = source.Version
	case source.Version != "":
		c.Properties = append(c.Properties, property{"gatehouse:requested", source.Version})
	}
	if from, ok := address(strings.TrimPrefix(source.Package, "git+")); ok && source.Kind == inventory.Git {
		c.References = []reference{{"vcs", from}}
	}
	w.components = append(w.components, c)
}

func (w *writer) service(ref string, s inventory.Server) {
	if slices.ContainsFunc(w.services, func(x service) bool { return x.Ref == ref }) {
		return
	}
	// Without a header it may still ask for a login: nothing is said then.
	x := service{Ref: ref, Name: s.Name, Boundary: true, Properties: []property{{"gatehouse:transport", string(s.Transport)}}}
	if address, ok := address(s.Package); ok {
		x.Endpoints = []string{address}
	} else {
		x.Properties = append(x.Properties, property{"gatehouse:address", s.Package})
	}
	if slices.ContainsFunc(s.Headers, func(name string) bool { return strings.EqualFold(name, "authorization") }) {
		yes := true
		x.Authenticated = &yes
	}
	w.services = append(w.services, x)
}

// address is an absolute URL as the standard wants it: what a file has in its place, such
// as a variable, is none. The mark that stands for a secret is spelled out.
func address(s string) (string, bool) {
	u, err := url.Parse(strings.ReplaceAll(s, "[redacted]", "REDACTED"))
	if err != nil || u.Scheme == "" || u.Host == "" || strings.ContainsAny(s, "{}$ ") {
		return "", false
	}
	return u.String(), true
}

func (w *writer) clients() (out []component) {
	for id := range w.uses {
		out = append(out, component{Type: "application", Ref: "client:" + id, Name: id})
	}
	slices.SortFunc(out, func(a, b component) int { return strings.Compare(a.Ref, b.Ref) })
	return out
}

func (w *writer) dependencies(b bom) []dependency {
	root := dependency{Ref: refRoot}
	var out []dependency
	for _, c := range b.Components {
		d := dependency{Ref: c.Ref}
		if id, ok := strings.CutPrefix(c.Ref, "client:"); ok {
			d.DependsOn = w.uses[id]
			root.DependsOn = append(root.DependsOn, c.Ref)
		}
		out = append(out, d)
	}
	for _, s := range b.Services {
		out = append(out, dependency{Ref: s.Ref})
	}
	return append([]dependency{root}, out...)
}

// packageURL is the package URL of what runs; empty where there is none. A version stands in it
// only if it is fixed: another one may run tomorrow.
func packageURL(s inventory.Source) string {
	version := ""
	if s.Pinned() {
		version = s.Version
	}
	switch s.Kind {
	case inventory.NPM:
		return purl("npm", strings.ToLower(s.Package), version, nil)
	case inventory.PyPI:
		return purl("pypi", s.Package, version, nil)
	case inventory.Go:
		return purl("golang", s.Package, version, nil)
	case inventory.OCI:
		return image(s)
	case inventory.Git:
		return repository(s, version)
	}
	return ""
}

// image: "name" of an oci purl is the last part only; where it is from is a qualifier.
func image(s inventory.Source) string {
	if s.Package == "" {
		return ""
	}
	where := s.Package
	first, _, several := strings.Cut(where, "/")
	switch {
	case !several:
		where = "docker.io/library/" + where
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		where = "docker.io/" + where
	}
	qualifiers := url.Values{"repository_url": {strings.ToLower(where)}}
	version := ""
	if s.Pin == inventory.Digest {
		version = s.Version
	} else if s.Version != "" {
		qualifiers.Set("tag", s.Version)
	}
	return purl("oci", strings.ToLower(path.Base(where)), version, qualifiers)
}

// repository knows the two hosts that have a type of their own.
func repository(s inventory.Source, version string) string {
	address := strings.TrimPrefix(s.Package, "git+")
	for _, host := range []struct{ kind, short, long string }{
		{"github", "github:", "https://github.com/"}, {"bitbucket", "bitbucket:", "https://bitbucket.org/"},
	} {
		name, ok := strings.CutPrefix(address, host.short)
		if !ok {
			name, ok = strings.CutPrefix(address, host.long)
		}
		name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "/"), ".git"))
		if ok && strings.Count(name, "/") == 1 {
			return purl(host.kind, name, version, nil)
		}
	}
	return ""
}

func purl(kind, name, version string, qualifiers url.Values) string {
	if name == "" {
		return ""
	}
	var parts []string
	for _, part := range strings.Split(name, "/") {
		if part != "" {
			parts = append(parts, escape(part))
		}
	}
	out := "pkg:" + kind + "/" + strings.Join(parts, "/")
	if version != "" {
		out += "@" + escape(version)
	}
	if len(qualifiers) > 0 {
		out += "?" + strings.ReplaceAll(qualifiers.Encode(), "+", "%20")
	}
	return out
}

// escape is percent-encoding as package URLs have it: everything but letters, digits and
// . - _ ~, and the colon, which stays.
func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%3A", ":")
}
