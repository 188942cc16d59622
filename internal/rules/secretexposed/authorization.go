package secretexposed

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/rule"
)

// findBasic recognises a name and a password as HTTP sends them (RFC 7617): "Basic "
// and both in Base64.
func findBasic(text string, start, end int) (secret, bool) {
	stop := run(text, end, base64s, maxValue)
	raw, err := base64.StdEncoding.DecodeString(text[end:stop])
	if err != nil || !utf8.Valid(raw) || strings.ContainsFunc(string(raw), func(r rune) bool { return r < ' ' }) {
		return secret{}, false
	}
	user, password, found := strings.Cut(string(raw), ":")
	if !found || user == password || password == "x-oauth-basic" || !strong(password, 8) && !strong(user, 16) {
		return secret{}, false
	}
	return secret{start: end, end: stop, kind: "password in an Authorization header"}, true
}

// signatureGap is how far from its signature the other fields of a signed address
// stand, in bytes.
const signatureGap = 400

// findSignedURL recognises an address of Azure storage that needs no other proof:
// the signature stands beside what it permits.
func findSignedURL(text string, start, end int) (secret, bool) {
	stop := run(text, end, base62+"%+/=", 64)
	body := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text[end:stop], "%2B", "+"), "%2F", "/"), "%3D", "=")
	if raw, err := base64.StdEncoding.DecodeString(body); err != nil || len(raw) != 32 || placeholder(body) {
		return secret{}, false
	}
	around := text[max(0, start-signatureGap):min(len(text), stop+signatureGap)]
	if !strings.Contains(around, "sv=") || !strings.Contains(around, "se=") && !strings.Contains(around, "si=") {
		return secret{}, false
	}
	return secret{start: end, end: stop, kind: "signature of an Azure address", vendor: "azure"}, true
}

// findTerraform recognises a token of Terraform Cloud, whose mark stands in its
// middle.
func findTerraform(text string, start, end int) (secret, bool) {
	from := start
	for from > 0 && start-from < 15 && within(base62, text[from-1]) {
		from--
	}
	stop := run(text, end, urlsafe+"=", 71)
	if start-from != 14 || stop-end < 60 || stop-end > 70 || placeholder(text[from:stop]) {
		return secret{}, false
	}
	return secret{start: from, end: stop, kind: "Terraform token", vendor: "terraform"}, true
}

// findPuTTY recognises a key file of PuTTY.
func findPuTTY(text string, start, end int) (secret, bool) {
	stop := min(len(text), end+maxPEM)
	lines := strings.Index(text[end:stop], "Private-Lines:")
	if lines < 0 {
		return secret{}, false
	}
	body := end + lines + len("Private-Lines:")
	stop = run(text, body, base64s+" \r\n\t\\", maxPEM)
	if !material(text[body:stop]) {
		return secret{}, false
	}
	return secret{start: start, end: stop, kind: "private key"}, true
}

// Gatehouse's own API keys: gh_, eight characters that may be seen, an underscore, and
// 43 characters and a checksum of everything before.
const (
	ownKeyPrefix = "gh_"
	ownKeyShown  = 8
	ownKeySecret = 43 + 6
)

// findOwnKey recognises an API key of Gatehouse. It names no vendor: no server has to
// know one.
func findOwnKey(text string, start, end int) (secret, bool) {
	middle := run(text, end, base62, ownKeyShown)
	if start > 0 && within(base62+"_", text[start-1]) || middle-end != ownKeyShown || middle == len(text) || text[middle] != '_' {
		return secret{}, false
	}
	stop := run(text, middle+1, base62, ownKeySecret+1)
	if stop-middle-1 != ownKeySecret || entropy(text[middle+1:stop]) < 2.8 {
		return secret{}, false
	}
	found := secret{start: start, end: stop, kind: "Gatehouse key"}
	if !checksum(text[start:stop]) {
		if placeholder(text[start:stop]) {
			return secret{}, false
		}
		found.severity = rule.Medium // the form is right, but Gatehouse never made it
	}
	return found, true
}
