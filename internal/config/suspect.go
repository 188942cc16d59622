package config

import (
	"net/url"
	"regexp"
	"strings"
)

// What follows only decides whether to warn and what a message may repeat. The
// rule secret-exposed is what protects secrets on their way.

// knownTokens are the beginnings that common services give their credentials.
var knownTokens = regexp.MustCompile(`(?:^|[^A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|sk-|sk_live_|rk_live_|xox[abprse]-|xapp-|AKIA|ASIA|AIza|ya29\.|npm_|pypi-|hf_|dop_v1_|shpat_|SG\.|eyJ)[A-Za-z0-9_.-]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY`)

// passwordInURL is user:password@ in any URL, such as a database's.
var passwordInURL = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s@]+@`)

// oddPassword is one with a slash, which no reader of URLs takes for a password, and some
// drivers of databases do.
var oddPassword = regexp.MustCompile(`://[^/\s:@]*:[^\s@]+@`)

// holdsPassword reports whether a URL has a password in it.
func holdsPassword(s string) bool {
	if !strings.Contains(s, "://") {
		return false
	}
	if passwordInURL.MatchString(s) {
		return true
	}
	_, err := url.Parse(s)
	return err != nil && oddPassword.MatchString(s)
}

// secretName is a name that says that its value is secret.
var secretName = regexp.MustCompile(`(?i)(?:token|secret|passw(?:or)?d|passphrase|credential|api[_-]?key|access[_-]?key|private[_-]?key|(?:^|[_-])(?:key|auth|pat|pwd)$|^(?:proxy-)?authorization$|^cookie$)`)

// randomText is a long run without words: hex, base64 or the like.
var randomText = regexp.MustCompile(`^[A-Za-z0-9+/_=-]{32,}$`)

// looksSecret judges a text by itself.
func looksSecret(s string) bool {
	return len(s) >= shortestToken && knownTokens.MatchString(s) || holdsPassword(s) ||
		len(s) >= shortestRandom && randomText.MatchString(s) && mixed(s)
}

// Lengths below which an expression cannot match, so that short words cost nothing.
const (
	shortestToken  = len("hf_") + 12
	shortestRandom = 32
)

// mixed reports whether digits and letters alternate as they do in keys, not in
// words and paths.
func mixed(s string) bool {
	turns := 0
	for i := 1; i < len(s); i++ {
		if isDigit(s[i]) != isDigit(s[i-1]) {
			turns++
		}
	}
	return turns*5 >= len(s)
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// suspiciousValue judges a text by the name under which it stands, too.
func suspiciousValue(name, value string) bool {
	// Shorter values are switches ("true", "none"), not secrets.
	const shortest = 6
	return looksSecret(value) || (len(value) >= shortest && secretName.MatchString(name))
}

// suspiciousArgument judges one argument of a command with the option before
// it: --token=VALUE and --token VALUE.
func suspiciousArgument(words []string, i int) bool {
	if suspiciousWord(words[i]) {
		return true
	}
	if i > 0 && strings.HasPrefix(words[i-1], "-") && !strings.HasPrefix(words[i], "-") && !strings.Contains(words[i-1], "=") {
		return suspiciousValue(strings.TrimLeft(words[i-1], "-"), words[i])
	}
	return looksSecret(words[i])
}

// suspiciousWord judges NAME=VALUE, "Name: value" and {"name": "value"}.
func suspiciousWord(word string) bool {
	name, value, found := strings.Cut(word, "=")
	if found && suspiciousValue(strings.TrimLeft(name, "-"), value) {
		return true
	}
	// Of several, as in --env=TOKEN=VALUE and a=1&token=VALUE, each may be the name.
	pieces := strings.FieldsFunc(word, func(r rune) bool { return strings.ContainsRune("=&;?", r) })
	for i := 1; i < len(pieces); i++ {
		if suspiciousValue(strings.TrimLeft(pieces[i-1], "-"), pieces[i]) {
			return true
		}
	}
	for _, header := range []string{word, value} { // --header "Name: value", or with = between
		if name, value, found := headerWord(header); found && suspiciousValue(name, value) {
			return true
		}
	}
	for _, m := range memberLike.FindAllStringSubmatch(word, -1) {
		if suspiciousValue(m[1], m[2]) {
			return true
		}
	}
	return false
}

// memberLike is a member of JSON, as some servers are given all they need in one word.
var memberLike = regexp.MustCompile(`"([^"\\]+)"\s*:\s*"([^"$][^"]*)"`)

// headerLike is "Name: value", as programs are given headers in one word, behind curl's
// -H or not.
var headerLike = regexp.MustCompile(`^(?:-H)?([A-Za-z][A-Za-z0-9-]*):\s*([^/\\\s].*)$`)

func headerWord(word string) (name, value string, found bool) {
	if m := headerLike.FindStringSubmatch(word); m != nil && !strings.HasPrefix(m[2], "$") {
		return m[1], m[2], true
	}
	return "", "", false
}

func suspiciousQuery(u *url.URL) bool {
	for name, values := range u.Query() {
		for _, value := range values {
			if suspiciousValue(name, value) {
				return true
			}
		}
	}
	return false
}

// LooksSecret judges a value by its form, and by the name under which it stands.
func LooksSecret(name, value string) bool { return suspiciousValue(name, value) }

// RedactValue repeats a value unless name or form are those of a secret.
func RedactValue(name, value string) string {
	if suspiciousValue(name, value) {
		return redacted
	}
	return value
}

// RedactWords repeats a command without what looks like a secret in it.
func RedactWords(words []string) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = word
		if !suspiciousArgument(words, i) {
			continue
		}
		out[i] = redacted
		// In --name=value and NAME=value the name stays; in a URL, what surrounds the secret.
		if name, _, found := strings.Cut(word, "="); found && !looksSecret(name) && !suspiciousArgument([]string{name}, 0) {
			out[i] = name + "=" + redacted
		} else if shown := RedactURL(word); strings.Contains(word, "://") && shown != word {
			out[i] = shown
		} else if name, _, found := headerWord(word); found && secretName.MatchString(name) {
			out[i] = name + ": " + redacted
		}
	}
	return out
}

// RedactURL repeats a URL without user, password, and values of its query that look
// like secrets. What is no URL is repeated only if it looks like no secret.
func RedactURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		if suspiciousArgument([]string{address}, 0) {
			return redacted
		}
		return address
	}
	if suspiciousArgument([]string{u.Fragment}, 0) {
		u.Fragment, u.RawFragment = redacted, ""
	}
	if u.User != nil {
		u.User = url.User(redacted)
	}
	query := u.Query()
	for name, values := range query {
		for i := range values {
			values[i] = RedactValue(name, values[i])
		}
	}
	if suspiciousQuery(&url.URL{RawQuery: u.RawQuery}) {
		u.RawQuery = query.Encode()
	}
	for _, part := range strings.Split(u.Path, "/") {
		if looksSecret(part) {
			u.Path, u.RawPath = strings.ReplaceAll(u.Path, part, redacted), ""
		}
	}
	return strings.NewReplacer("%5Bredacted%5D", redacted, "%7B", "{", "%7D", "}").Replace(u.String())
}
