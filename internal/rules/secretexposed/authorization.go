package secretexposed

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
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
