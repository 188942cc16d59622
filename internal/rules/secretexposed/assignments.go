package secretexposed

import (
	"math"
	"strings"

	"gatehouse/internal/rule"
)

// Bounds on what is read around a literal.
const (
	maxJWT   = 8 << 10
	maxPEM   = 16 << 10
	minPEM   = 64  // characters of base64 in the shortest real key
	maxValue = 256 // of a password or key in an assignment
	// machineMade is how often a password changes between kinds of characters
	// where no person has chosen it.
	machineMade = 6
	pairGap     = 400 // between an AWS access key id and its secret
)

// finders[i] is asked about the i-th of the literals.
var literals, finders = func() (*rule.Literals, []finder) {
	var all []string
	var list []finder
	add := func(f finder, words ...string) {
		for _, word := range words {
			for _, form := range spaced(word) {
				all, list = append(all, form), append(list, f)
			}
		}
	}
	for _, t := range tokens {
		if len(t.prefix) > 2 {
			add(t.find, t.prefix)
			continue
		}
		// So short a literal is dear to look for; with what can follow it is not.
		for _, next := range t.alphabet {
			add(func(text string, start, end int) (secret, bool) { return t.find(text, start, end-1) }, t.prefix+string(next))
		}
	}
	add(findJWT, "eyJ")
	add(findPrivateKey, "-----BEGIN ")
	add(findTelegram, ":AA")
	add(findURL, "://")
	add(findAWSKey, "AKIA", "ASIA")
	add(findBasic, "basic ")
	add(findSignedURL, "sig=")
	add(findTerraform, ".atlasv1.")
	add(findOwnKey, ownKeyPrefix)
	add(findPuTTY, "PuTTY-User-Key-File-")
	add(findExtendedKey, "xprv")
	add(findWalletKey, "private key", "wallet key", "eth_key")
	add(findSeed, "seed phrase", "recovery phrase", "mnemonic", "secret phrase", "backup phrase", "seed words", "recovery words")
	add(findAssignment, "password", "passwd", "passphrase", "pwd", "secret", "api_key", "apikey", "api-key", "api key", "access_key", "accesskey", "access-key", "private_key", "privatekey",
		"auth_token", "authtoken", "access_token", "accesstoken", "refresh_token", "refreshtoken", "client_secret", "clientsecret", "bearer", "accountkey", "_token", "auth-token", "access-token", "refresh-token", "signing_key", "encryption_key", "master_key", "credential")
	return rule.NewLiterals(rule.Written, all...), list
}()

// spaced are the ways to write a literal with the white space that it holds.
func spaced(word string) []string {
	if !strings.Contains(word, " ") {
		return []string{word}
	}
	var forms []string
	for _, space := range []string{" ", "  ", "\t", "\n", "\u00a0"} {
		forms = append(forms, strings.ReplaceAll(word, " ", space))
	}
	return forms
}

// findURL recognises a password in an address: scheme://user:password@host.
func findURL(text string, start, end int) (secret, bool) {
	stop := end
	for stop < len(text) && stop-end < maxValue && text[stop] > ' ' && !within("/\"'<>`\\?#", text[stop]) {
		stop++
	}
	at := strings.LastIndexByte(text[end:stop], '@')
	if at < 0 {
		return secret{}, false
	}
	user, password, found := strings.Cut(text[end:end+at], ":")
	if !found || user == password || !strong(password, 8) {
		return secret{}, false
	}
	from := end + len(user) + 1
	return secret{start: from, end: from + len(password), kind: "password in a URL"}, true
}

// findAWSKey recognises the id of an AWS access key. The id is public by itself.
func findAWSKey(text string, start, end int) (secret, bool) {
	stop := run(text, end, upper+"234567", 17)
	if text[start] != 'A' || start > 0 && within(base62+"+/_", text[start-1]) || stop-end != 16 || stop < len(text) && within(base62+"+/", text[stop]) || placeholder(text[start:stop]) {
		return secret{}, false
	}
	return secret{start: start, end: stop, kind: awsID, vendor: "aws", severity: rule.Low}, true
}

const (
	awsID     = "AWS access key id"
	awsSecret = "AWS secret access key"
)

// withKeyPairs adds the secret halves of AWS access keys: forty characters of
// base64 near an id. An id that has its secret beside it is no longer public.
func withKeyPairs(text string, found []secret) []secret {
	var halves []secret
	read := 0
	for _, id := range found {
		if id.kind != awsID {
			continue
		}
		from, to := max(read, id.start-pairGap), min(len(text), id.end+pairGap)
		for at := from; at < to; {
			stop := run(text, at, base62+"+/", 64)
			if secretHalf(text[at:stop]) && (at == 0 || !within(base62+"+/", text[at-1])) {
				halves = append(halves, secret{start: at, end: stop, kind: awsSecret, vendor: "aws"})
			}
			at = stop + 1
		}
		read = to
	}
	if len(halves) == 0 {
		return found
	}
	return pair(found, halves)
}

func secretHalf(value string) bool {
	return len(value) == 40 && entropy(value) > 4 && mixed(value) && changes(value) >= 6 && !placeholder(value)
}

// pair raises the ids that stand near a half and adds the halves that nothing
// else has found. Both lists are in order.
func pair(found, halves []secret) []secret {
	next := 0
	for i, s := range found {
		for next < len(halves)-1 && halves[next].end+pairGap < s.start {
			next++
		}
		if s.kind == awsID && abs(halves[next].start-s.start) <= pairGap+64 {
			found[i].severity = rule.Unrated
		}
	}
	var extra []secret
	i := 0
	for _, half := range halves {
		for i < len(found) && found[i].end <= half.start {
			i++
		}
		if i == len(found) || half.end <= found[i].start {
			extra = append(extra, half)
		}
	}
	return append(found, extra...)
}

func abs(n int) int { return max(n, -n) }

// findAssignment recognises password=…, "api_key": "…" and the like. The word
// alone says little, so the value must look random.
func findAssignment(text string, start, end int) (secret, bool) {
	for end < len(text) && end-start < 40 && within(base62+"_-", text[end]) {
		end++ // the rest of a longer name, as in secret_key
	}
	name := strings.ToLower(text[start:end])
	from, assigned := value(text, end)
	if !assigned && name != "bearer" {
		return secret{}, false
	}
	stop := from
	for stop < len(text) && stop-from <= maxValue && text[stop] > ' ' && text[stop] < 0x7f && !within("\"'`<>,;(){}[]\\|", text[stop]) {
		stop++
	}
	if describes(name) {
		return secret{}, false
	}
	password := strings.Contains(name, "pass") || strings.Contains(name, "pwd")
	least := 16
	if password {
		least = 10
	}
	text = text[:stop]
	body := strings.TrimRight(text[from:stop], ".:!?&")
	if len(body) > maxValue || !strong(body, least) || !password && entropy(body) < 3.2 {
		return secret{}, false
	}
	found := secret{start: from, end: from + len(body), kind: "key " + inAssignment}
	switch {
	case strings.HasPrefix(body, "eyJ"), strings.HasPrefix(body, "$2"), name == "bearer" && strings.Contains(strings.TrimRight(body, "="), "="):
		return secret{}, false // a JSON Web Token has its own finder; a hash is no password
	case password:
		found.kind = "password " + inAssignment
		if changes(body) < machineMade || entropy(body) < 3.3 {
			found.severity = rule.Medium // a person's choice, or a word of an example
		}
	case name == "bearer":
		found.kind = "bearer token"
	case strings.Contains(name, "aws") || strings.HasPrefix(name, "secret_access_key") || strings.HasPrefix(name, "secretaccesskey"):
		found.kind = awsSecret
	}
	return found, true
}

// describes says whether a name holds something about a secret and not the secret.
func describes(name string) bool {
	for _, suffix := range []string{"name", "id", "file", "path", "ref", "url", "uri", "type", "field", "arn", "hash", "policy", "version", "expiry"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// value steps over what stands between a name and its value.
func value(text string, at int) (from int, assigned bool) {
	limit := min(len(text), at+12)
	for at < limit {
		switch c := text[at]; {
		case strings.HasPrefix(text[at:], "\u00a0"):
			at++
		case c == '\n' && assigned || c == ' ' || c == '\t' || c == '"' || c == '\'' || c == '`' || c == ']' || c == '\\':
		case c == ':' || c == '=' || c == '>' && assigned:
			assigned = true
		default:
			return at, assigned
		}
		at++
	}
	return at, assigned
}

// strong says whether a value looks like one that a machine made: long enough,
// letters and digits, and no word of an example.
func strong(value string, least int) bool {
	if len(value) < least || placeholder(value) || holds(hints, value) || !mixed(value) || entropy(value) < 2.9 {
		return false
	}
	// Dots and slashes between plain words make a name or a path.
	if strings.Count(value, ".")+strings.Count(value, "/")+strings.Count(value, "_")+strings.Count(value, "-") > len(value)/6 && entropy(value) < 4 {
		return false
	}
	return changes(value) >= 3
}

// mixed says whether a value has letters and digits.
func mixed(value string) bool {
	return strings.ContainsAny(value, digits) && strings.ContainsAny(value, letters)
}

// changes counts how often a value changes between lower case, upper case,
// digits and signs. Names change rarely: v2, userToken1.
func changes(value string) int {
	count, last := 0, byte(0)
	for i := 0; i < len(value); i++ {
		class := byte('s')
		switch c := value[i]; {
		case c >= '0' && c <= '9':
			class = 'd'
		case c >= 'a' && c <= 'z':
			class = 'l'
		case c >= 'A' && c <= 'Z':
			class = 'u'
		}
		if class != last && i > 0 {
			count++
		}
		last = class
	}
	return count
}

// placeholders are parts of values that documentation uses in place of secrets.
// They are long enough not to stand in a random value by chance; hints are not,
// and count only where nothing but a name says that the value is a secret.
var (
	placeholders = rule.NewScanner([]string{
		"example", "xxxx", "your", "****", "....", "${", "{{", "<", "placeholder", "changeme", "change_me", "change-me", "dummy", "redacted", "insert", "replace", "0000000", "1234567", "abcdef", "aaaaaa", "abc123", "def456",
	})
	hints = rule.NewScanner([]string{
		"sample", "fake", "process.env", "os.environ", "getenv", "test-", "test_", "foobar", "password", "secret", "hunter2", "s3cr3t", "secure", "my-", "mytoken", "my_", "todo", "none", "null", "undefined", "string", "token", "env.", "config.", "params", "ssw0rd",
	})
)

func placeholder(value string) bool { return holds(placeholders, value) }

func holds(words *rule.Scanner, value string) bool {
	found := false
	words.Scan(value, func(literal, start, end int) { found = true })
	return found
}

// entropy is Shannon's, in bits a character.
func entropy(value string) float64 {
	var count [256]int
	for i := 0; i < len(value); i++ {
		count[value[i]]++
	}
	sum := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(value))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}
