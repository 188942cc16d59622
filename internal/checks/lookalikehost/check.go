// Package lookalikehost finds addresses that are made to be taken for those of well-
// known remote servers.
package lookalikehost

import (
	_ "embed"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
	"gatehouse/internal/rule/names"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "lookalike-host",
	Title:      "An address looks like that of a well-known server and is not",
	Severity:   rule.High,
	References: []string{"CWE-1007: Insufficient Visual Distinction of Homoglyphs Presented to User", "CWE-451: User Interface Misrepresentation of Critical Information", "OWASP MCP Top 10, MCP09: Shadow MCP Servers"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		for _, a := range inventory.Addresses(e) {
			severity, why := judge(strings.ToLower(strings.TrimSuffix(a.Hostname(), ".")), a.User)
			if why == "" {
				continue
			}
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, "compare it letter by letter with the page of the service, and revoke what you sent there", s.ID, a.Hostname()))
		}
	}
	return r
}

// official are the domains under which services run servers of their own.
var official = strings.Fields(`githubcopilot.com github.com gitlab.com notion.com linear.app sentry.dev sentry.io stripe.com atlassian.com figma.com context7.com asana.com intercom.com paypal.com
	squareup.com vercel.com huggingface.co supabase.com neon.tech cloudflare.com microsoft.com deepwiki.com zapier.com tavily.com webflow.com canva.com monday.com plaid.com hubspot.com shopify.com
	box.com dropbox.com slack.com googleapis.com amazonaws.com amazonaws.com.cn anthropic.com openai.com airtable.com clickup.com buildkite.com netlify.com wix.com postman.com semgrep.ai globalping.dev apify.com
	firecrawl.dev exa.ai browserbase.com elastic.co grafana.com datadoghq.com newrelic.com salesforce.com twilio.com telnyx.com cloudinary.com invideo.io pagerduty.com mongodb.com`)

// skeletons are those of the domains, and of the names in them, in their order.
var skeletons = sync.OnceValue(func() (all []struct{ domain, name string }) {
	for _, known := range official {
		name, _, _ := strings.Cut(known, ".")
		all = append(all, struct{ domain, name string }{names.Skeleton(known), names.Skeleton(name)})
	}
	return all
})

// shortest is how long a name must be to have no neighbours by chance.
const shortest = 6

func judge(host string, user *url.Userinfo) (rule.Severity, string) {
	if name := user.Username(); posesAsHost(user) {
		return rule.High, fmt.Sprintf("it seems to lead to %s, which is only a user name: it leads to %s", name, host)
	}
	if net.ParseIP(host) != nil || isOfficial(host) {
		return rule.Unrated, ""
	}
	read := decoded(host)
	domain := registered(read)
	foreign := strings.ContainsFunc(read, func(r rune) bool { return r > unicode.MaxASCII })
	name, _, _ := strings.Cut(domain, ".")
	words := argument.Words(name)
	skeleton, nameSkeleton := names.Skeleton(domain), names.Skeleton(name)
	for i, known := range official {
		brand, _, _ := strings.Cut(known, ".")
		switch {
		case foreign && skeleton == skeletons()[i].domain:
			return rule.High, fmt.Sprintf("%s looks like %s and has letters of another alphabet", host, known)
		case begins(host, known):
			return rule.High, fmt.Sprintf("%s begins like an address of %s and belongs to %s", host, known, domain)
		case len(brand) >= shortest && name != brand && (nameSkeleton == skeletons()[i].name || near(name, brand)):
			return rule.High, fmt.Sprintf("%s is nearly %s", domain, known)
		case len(brand) >= shortest && name != brand && slices.Contains(words, brand) && slices.Contains(words, "mcp"):
			return rule.Medium, fmt.Sprintf("%s names %s and is no domain of it, as far as is known here", domain, brand)
		}
	}
	switch {
	case foreign && read == host:
		return rule.Medium, fmt.Sprintf("%s has letters other than a to z: compare them", host)
	case foreign:
		return rule.Medium, fmt.Sprintf("%s is shown as %s by some programs: compare its letters", host, read)
	}
	return rule.Unrated, ""
}

// posesAsHost reports whether what stands before the host looks like one. A person who has
// a dot in the name has a password, too.
func posesAsHost(user *url.Userinfo) bool {
	_, hasPassword := user.Password()
	name := strings.ToLower(user.Username())
	return isOfficial(name) || strings.Contains(name, ".") && !hasPassword
}

// begins reports whether a domain, or the domain with hyphens, stands as labels of its own
// before the end of a host.
func begins(host, domain string) bool {
	hyphens := strings.ReplaceAll(domain, ".", "-")
	return strings.Contains("."+host, "."+domain+".") || strings.Contains("."+host, "."+hyphens+".") || strings.Contains(host, "-"+hyphens+".")
}

func isOfficial(host string) bool {
	return slices.ContainsFunc(official, func(known string) bool { return host == known || strings.HasSuffix(host, "."+known) })
}

// near reports whether one slip of the hand leads from one name to the other. Plurals,
// names that begin with the other and, among short ones, those of another length or with
// another first letter are names of their own.
func near(name, brand string) bool {
	if strings.HasPrefix(name, brand) || strings.HasPrefix(brand, name) || name == "" || name[0] != brand[0] || len(brand) == shortest && len(name) != len(brand) {
		return false
	}
	return names.OneEdit(name, brand) || names.Exchanged(name, brand)
}

// decoded is a host with the letters that its punycode stands for.
func decoded(host string) string {
	labels := strings.Split(host, ".")
	for i, label := range labels {
		if encoded, found := strings.CutPrefix(label, "xn--"); found {
			if text, ok := names.Punycode(encoded); ok {
				labels[i] = text
			}
		}
	}
	return strings.Join(labels, ".")
}

// registered is the part of a host that somebody has registered: two labels, or three
// where the last two are a registry such as co.uk.
func registered(host string) string {
	labels := strings.Split(host, ".")
	n := 2
	if len(labels) > 2 && len(labels[len(labels)-1]) == 2 && slices.Contains([]string{"co", "com", "org", "net", "gov", "ac"}, labels[len(labels)-2]) {
		n = 3
	}
	return strings.Join(labels[max(0, len(labels)-n):], ".")
}
