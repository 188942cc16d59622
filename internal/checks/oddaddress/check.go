// Package oddaddress finds addresses of remote servers that lead to the metadata of a
// cloud, or are written to hide where they lead.
package oddaddress

import (
	_ "embed"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "odd-address",
	Title:      "The address of a server is none of a service",
	Severity:   rule.Medium,
	References: []string{"CWE-918: Server-Side Request Forgery (SSRF)"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		for _, a := range inventory.Addresses(e) {
			severity, why := judge(strings.ToLower(strings.TrimSuffix(a.Hostname(), ".")))
			if why == "" {
				continue
			}
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, "find out whose address it is, and use the name that its owner gives it", s.ID, a.Hostname()))
		}
	}
	return r
}

// metadata are where machines of clouds read their own credentials.
var metadata = []string{"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "metadata.google.internal", "metadata", "instance-data"}

// disguised is a number that some programs read as an address: 2852039166, 0x7f.1, 0177.0.0.1.
var disguised = regexp.MustCompile(`^(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}$`)

func judge(host string) (rule.Severity, string) {
	address, err := netip.ParseAddr(host)
	switch {
	case slices.Contains(metadata, host) || err == nil && slices.Contains(metadata, address.Unmap().String()):
		return rule.High, host + " is where a machine of a cloud reads its credentials, and no server"
	case err == nil && (address.Unmap().IsPrivate() || address.IsLoopback() || address.IsUnspecified()):
		return rule.Unrated, "" // plain-http, open-bind
	case err == nil && address.Unmap().IsLinkLocalUnicast():
		return rule.Unrated, host + " is given to whoever is nearest in the network"
	case err == nil:
		return rule.Low, host + " is a number: nobody can tell whose it is, and few certificates can prove it"
	case disguised.MatchString(host):
		return rule.Unrated, host + " is a number that is written to be read as another"
	}
	return rule.Unrated, ""
}
