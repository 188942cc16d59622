// Package argumenturl recognises addresses in arguments that make a server fetch
// what only it can reach, or that are not what they look like.
package argumenturl

import (
	_ "embed"
	"strings"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:         "argument-url",
	Title:      "Address in an argument that is not what it seems or leads inside",
	Severity:   rule.High,
	Confidence: reported,
	Surfaces:   rule.ToServer,
	Refs:       []string{"OWASP-MCP05:2025", "SAFE-T1506", "SAFE-T1913", "CWE-918", "CWE-601", "CWE-1007"},
	Doc:        doc,
	AsWritten:  true,
	Detect:     detect,
}

const (
	// certain is for what no honest caller writes.
	certain = 0.95
	// reported is for what a person may have asked for.
	reported = 0.6
	// doubtful is for what every developer asks for.
	doubtful = 0.3

	// maxURL is the longest text that is taken for an address, in bytes.
	maxURL = 8192
	// maxNested is how many addresses inside addresses are looked at.
	maxNested = 3
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	if len(subject.Text) > maxURL || subject.IsKey {
		return nil, nil
	}
	text := strings.TrimSpace(subject.Text)
	meaning := argument.Of(subject)
	if text == "" || strings.ContainsAny(text, " \n") || meaning&(argument.Prose|argument.Search|argument.SQL) != 0 && meaning&argument.Address == 0 {
		return nil, nil
	}
	v := judge(text, meaning&argument.Address != 0, 0)
	if v.detail == "" {
		return nil, nil
	}
	if meaning&argument.Address == 0 {
		v.confidence = min(v.confidence, reported) // nobody may fetch it
	}
	start := strings.Index(subject.Text, text)
	return []rule.Match{{Start: start, End: start + len(text), Severity: v.severity, Confidence: v.confidence, Detail: v.detail, Action: rule.Refuse}}, nil
}

// flaw is what is wrong with an address; without a detail nothing is.
type flaw struct {
	detail     string
	confidence float64
	severity   rule.Severity
}

// schemes are those that make a fetcher read something else than a page.
var schemes = map[string]flaw{
	"gopher":      {"a scheme that sends any bytes to any port", certain, rule.High},
	"dict":        {"a scheme that sends any bytes to any port", certain, rule.High},
	"phar":        {"a scheme that makes PHP run what it reads", certain, rule.High},
	"expect":      {"a scheme that makes PHP run a command", certain, rule.High},
	"php":         {"a scheme that makes PHP read its own files", certain, rule.High},
	"netdoc":      {"a scheme that makes Java read files", certain, rule.High},
	"jar":         {"a scheme that makes Java read archives", reported, rule.High},
	"ldap":        {"a scheme that makes Java load code", reported, rule.High},
	"ldaps":       {"a scheme that makes Java load code", reported, rule.High},
	"tftp":        {"a scheme that sends any bytes", reported, rule.Medium},
	"view-source": {"a scheme of browsers", doubtful, rule.Low},
}

// codeSchemes run what follows them.
var codeSchemes = []string{"javascript:", "vbscript:"}

// judge says what is wrong with an address. isAddress says that the text is meant to
// be one, so that a host alone counts.
func judge(text string, isAddress bool, nested int) flaw {
	clean := strings.Map(func(r rune) rune { // as browsers read it
		switch r {
		case '\t', '\r', '\n':
			return -1
		case '\\':
			return '/'
		}
		return r
	}, text)
	scheme, rest, found := strings.Cut(clean, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case !found && strings.HasPrefix(clean, "//"):
		rest = clean[2:]
	case !found:
		for _, code := range codeSchemes {
			if len(clean) > len(code) && strings.EqualFold(clean[:len(code)], code) && isAddress {
				return flaw{"code in the place of an address", reported, rule.High}
			}
		}
		if !isAddress {
			return flaw{}
		}
		rest = clean
	case len(scheme) > 20 || strings.ContainsAny(scheme, "/?#@=&"):
		return flaw{}
	case schemes[scheme].detail != "":
		return schemes[scheme]
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	if scheme == "file" || scheme == "data" {
		return flaw{}
	}
	if v := judgeAuthority(authority, found || strings.HasPrefix(clean, "//")); v.detail != "" {
		return v
	}
	return inner(tail, nested)
}

// inner looks at addresses in the parameters of an address: what fetches it may be
// sent on.
func inner(tail string, nested int) flaw {
	_, query, found := strings.Cut(tail, "?")
	if !found || nested == maxNested {
		return flaw{}
	}
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' || r == '#' }) {
		_, value, _ := strings.Cut(pair, "=")
		value = argument.Unescape(value)
		if strings.Contains(value, "//") || strings.Contains(value, `\\`) {
			if v := judge(value, false, nested+1); v.detail != "" && v.confidence > doubtful {
				v.detail = "leads on to: " + v.detail
				return v
			}
		}
	}
	return flaw{}
}

// judgeAuthority looks at what stands between the slashes: [user[:password]@]host[:port].
func judgeAuthority(authority string, hasScheme bool) flaw {
	user, host := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, host = authority[:at], authority[at+1:]
	}
	written := host
	if name := withoutPort(written); name != "" {
		written = name
	}
	host = plainHost(written)
	if v := judgeHost(host, written, hasScheme); v.detail != "" {
		return v
	}
	name, _, _ := strings.Cut(user, ":")
	if hasScheme && user != "" && looksLikeHost(argument.Unescape(name)) {
		return flaw{"a name before the @ that looks like the host", reported, rule.High}
	}
	return lookAlike(host)
}

func withoutPort(host string) string {
	if strings.HasPrefix(host, "[") {
		inside, _, _ := strings.Cut(host[1:], "]")
		return inside
	}
	if strings.Count(host, ":") == 1 {
		host, _, _ = strings.Cut(host, ":")
	}
	return host
}

// looksLikeHost says whether a user's name is written to be taken for a host.
func looksLikeHost(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || len(name)-dot < 3 || strings.Contains(name, "@") {
		return false
	}
	for _, end := range []string{".com", ".org", ".net", ".io", ".dev", ".ai", ".app", ".gov", ".edu", ".co"} {
		if strings.HasSuffix(strings.ToLower(name), end) {
			return true
		}
	}
	return false
}
