// Package otherregistry finds servers whose package comes from a registry that the
// command or a variable names.
package otherregistry

import (
	"cmp"
	_ "embed"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/credential"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "other-registry",
	Title:      "A package is taken from another registry",
	Severity:   rule.Low,
	References: []string{"CWE-427: Uncontrolled Search Path Element", "CWE-319: Cleartext Transmission of Sensitive Information", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		for _, n := range named(e) {
			severity, why := judge(n)
			if why == "" {
				continue
			}
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, n.where+" "+why, "use the registry by its https address, and only that one", s.ID, n.where, host(n.value)))
		}
	}
	return r
}

// naming is how a command or a variable chooses a registry.
type naming struct{ where, kind, value string }

// kinds of choosing, by options and by variables in upper case.
var kinds = map[string]string{
	"--registry": "registry", "NPM_CONFIG_REGISTRY": "registry", "YARN_REGISTRY": "registry", "YARN_NPM_REGISTRY_SERVER": "registry", "BUN_CONFIG_REGISTRY": "registry",
	"--index-url": "registry", "-i": "registry", "--default-index": "registry", "UV_INDEX_URL": "registry", "UV_DEFAULT_INDEX": "registry", "PIP_INDEX_URL": "registry", "GOPROXY": "registry",
	"--extra-index-url": "more", "--index": "more", "--find-links": "more", "UV_INDEX": "more", "UV_EXTRA_INDEX_URL": "more", "PIP_EXTRA_INDEX_URL": "more", "UV_FIND_LINKS": "more", "PIP_FIND_LINKS": "more",
	"--trusted-host": "trusted", "--allow-insecure-host": "trusted", "PIP_TRUSTED_HOST": "trusted", "UV_INSECURE_HOST": "trusted", "GOINSECURE": "trusted", "GONOSUMDB": "trusted",
}

func named(e client.Entry) (out []naming) {
	source := inventory.Of(e)
	if source.Kind == inventory.Remote || source.Kind == inventory.OCI {
		return nil
	}
	add := func(where, name, value string) {
		if kinds[name] == "" {
			return
		}
		for _, one := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" ,|", r) }) {
			out = append(out, naming{where, kinds[name], one})
		}
	}
	for _, w := range inventory.Launching(e) {
		add(w.Option, w.Option, w.Value)
	}
	for _, v := range inventory.Environment(e) {
		if !strings.HasPrefix(v.Name, "-") {
			add("the variable "+v.Name, strings.ToUpper(v.Name), string(v.Raw))
		}
	}
	return out
}

// usual are the registries that launchers use by themselves.
var usual = []string{"registry.npmjs.org", "registry.yarnpkg.com", "pypi.org", "files.pythonhosted.org", "proxy.golang.org"}

// host is that of a registry, which may stand by itself.
func host(address string) string {
	if _, rest, found := strings.Cut(address, "://"); found {
		address = rest
	}
	if u, err := url.Parse("//" + address); err == nil {
		return u.Hostname()
	}
	return ""
}

func judge(n naming) (rule.Severity, string) {
	at := host(n.value)
	switch {
	case credential.IsReference(n.value) || n.value == "direct" || n.value == "off":
		return rule.Unrated, ""
	case n.kind == "trusted":
		return rule.Medium, "switches off the check of who answers for a registry"
	case strings.HasPrefix(strings.ToLower(n.value), "http://") && !inventory.Loopback(at):
		return rule.High, fmt.Sprintf("takes packages from %s without TLS: everybody on the way can put another program in their place", at)
	case slices.Contains(usual, at):
		return rule.Unrated, ""
	case n.kind == "more":
		return rule.Medium, fmt.Sprintf("looks for packages in %s as well: of two packages of one name, it may take the one that you do not mean", cmp.Or(at, "a folder"))
	case at != "":
		return rule.Unrated, fmt.Sprintf("takes packages from %s: what is known of the package elsewhere says nothing of it", at)
	}
	return rule.Unrated, ""
}
