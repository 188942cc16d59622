// Package tlsoff finds switches by which a server takes any certificate, or none.
package tlsoff

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/credential"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "tls-off",
	Title:      "A server does not check who answers",
	Severity:   rule.Medium,
	References: []string{"CWE-295: Improper Certificate Validation", "OWASP MCP Top 10, MCP07: Insufficient Authentication and Authorization"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		secrets := len(credential.Of(e)) > 0 || slices.ContainsFunc(e.Env, func(v client.Value) bool { return v.Kind == client.Reference && credential.NamesSecret(v.Name) })
		for _, what := range switches(e) {
			severity, why := rule.Unrated, what+": whoever is on the way can answer in the place of the service"
			if secrets {
				severity, why = rule.High, why+", and is sent the credential"
			}
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, "give it the certificate of the authority that it shall trust, such as NODE_EXTRA_CA_CERTS or SSL_CERT_FILE", s.ID, what))
		}
		for _, what := range databases(e) {
			r.Findings = append(r.Findings, check.About(s, e).Says(rule.Unrated, what+": the password and every answer go in the clear, or to whoever answers", "use sslmode=verify-full, or what the database calls it", s.ID, what))
		}
	}
	return r
}

func switches(e client.Entry) (out []string) {
	for _, v := range inventory.Environment(e) {
		if v.Raw != "" && switchesOff(argument.Words(v.Name), strings.ToLower(string(v.Raw))) {
			out = append(out, "the variable "+v.Name+" switches the check of certificates off")
		}
	}
	for _, w := range inventory.Words(e) {
		if strings.HasPrefix(w.Option, "--") && switchesOff(argument.Words(w.Option[2:]), strings.ToLower(w.Value)) {
			out = append(out, w.Option+" switches the check of certificates off")
		}
	}
	return out
}

var off = []string{"0", "false", "no", "off", "none", "disable", "disabled"}

// switchesOff reports whether a name and a value say that certificates are not checked:
// SSL_VERIFY=false, TLS_INSECURE=true, NODE_TLS_REJECT_UNAUTHORIZED=0, --insecure.
func switchesOff(words []string, value string) bool {
	has := func(list ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	transport := has("tls", "ssl", "https", "cert", "certs", "certificate", "certificates")
	negated := has("no", "skip", "ignore", "disable", "insecure", "unsafe", "bypass")
	said := !slices.Contains(off, value) // a switch without a value is on; a word behind it is another argument
	switch {
	case has("reject") && has("unauthorized"), has("pythonhttpsverify"):
		return slices.Contains(off, value)
	case (transport || has("peer")) && has("verify", "verification", "validate", "check", "checks", "reject") && !negated:
		return slices.Contains(off, value)
	case transport && has("verify", "verification", "validate", "validation", "check", "checks", "errors") && negated:
		return said
	case transport && has("insecure", "skip", "unsafe"), slices.Equal(words, []string{"insecure"}):
		return said
	}
	return false
}

var (
	database = regexp.MustCompile(`(?i)^[a-z][a-z0-9+]*://(?:[^@\s]*@)?([^/:?\s]+)[^?\s]*\?(\S+)$`)
	unsafe   = regexp.MustCompile(`(?i)(?:^|&)(sslmode=(?:disable|allow|prefer)|ssl=(?:false|0)|tls=(?:false|0|skip-verify)|tlsinsecure=true|tlsallowinvalidcertificates=true|encrypt=(?:false|disable)|trustservercertificate=true)(?:&|$)`)
)

// databases are addresses of databases elsewhere that switch TLS or its check off.
func databases(e client.Entry) (out []string) {
	judge := func(value, where string) {
		m := database.FindStringSubmatch(value)
		if m == nil || inventory.Loopback(m[1]) || inventory.Near(m[1]) {
			return
		}
		if found := unsafe.FindStringSubmatch(m[2]); found != nil {
			out = append(out, where+" says "+found[1])
		}
	}
	for _, v := range inventory.Environment(e) {
		judge(string(v.Raw), "the variable "+v.Name)
	}
	for _, w := range inventory.Given(e) {
		judge(w.Value, "an argument")
	}
	return out
}
