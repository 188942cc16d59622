// Package downloadandrun finds commands that fetch a script and run it.
package downloadandrun

import (
	_ "embed"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "download-and-run",
	Title:      "A server is fetched from an address and run unseen",
	Severity:   rule.High,
	References: []string{"CWE-494: Download of Code Without Integrity Check", "CWE-829: Inclusion of Functionality from Untrusted Control Sphere", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		line := strings.Join(e.Words, " ")
		source := inventory.Of(e)
		fetched := source.Kind == inventory.Script && strings.Contains(source.Package, "://") || source.Kind == inventory.Git && withoutTLS(source.Package)
		if !fetched && !slices.ContainsFunc(forms(), func(f *regexp.Regexp) bool { return f.MatchString(line) }) {
			continue
		}
		severity, why := rule.High, "at each start it fetches a script and runs it: who answers at that address runs programs as you"
		if withoutTLS(line) {
			severity, why = rule.Critical, "at each start it fetches a program without TLS and runs it: everybody on the way can put another in its place"
		}
		r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, "install a package in a fixed version, or keep the script here and start that", s.ID, why))
	}
	return r
}

// forms are ways to run what was just fetched. They are large, and compiled only where
// something is judged.
var forms = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`(?i)\b(?:curl|wget)\b[^|;&\n]*\|\s*(?:sudo\s+)?(?:env\s+\S+\s+)?(?:\S*/)?(?:sh|bash|zsh|dash|ksh|python3?|node|perl|ruby|php)\b`),
		regexp.MustCompile(`(?i)\b(?:sh|bash|zsh|source|\.|python3?|node)\s+<\(\s*(?:curl|wget)\b`),
		regexp.MustCompile(`(?i)\b(?:eval|sh -c|bash -c)\s+["']?(?:\$\(|` + "`" + `)\s*(?:curl|wget)\b`),
		regexp.MustCompile(`(?i)\b(?:iwr|irm|invoke-webrequest|invoke-restmethod|curl|wget|downloadstring|downloadfile)\b.*\b(?:iex|invoke-expression)\b`),
		regexp.MustCompile(`(?i)\b(?:iex|invoke-expression)\b.*\b(?:iwr|irm|invoke-webrequest|invoke-restmethod|downloadstring)\b`),
		regexp.MustCompile(`(?i)\b(?:curl|wget)\b.*&&.*\bchmod\s+(?:\+x|[0-7]*7[0-7]*)\b`),
		regexp.MustCompile(`(?i)\bmshta\s+["']?https?:|\bregsvr32\b.*/i:https?:`),
	}
})

// plain is an address without TLS.
var plain = regexp.MustCompile(`(?i)\b(?:http|git|ftp)://[^\s"'|;&<>()]+`)

// withoutTLS reports whether a text names an address that others than this machine answer,
// without TLS.
func withoutTLS(text string) bool {
	return slices.ContainsFunc(plain.FindAllString(text, -1), func(address string) bool {
		u, err := url.Parse(address)
		return err != nil || !inventory.Loopback(u.Hostname())
	})
}
