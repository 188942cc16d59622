package secretexposed

import (
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"slices"
	"strings"

	"gatehouse/internal/rule"
)

// Alphabets of tokens.
const (
	digits  = "0123456789"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters = upper + "abcdefghijklmnopqrstuvwxyz"
	base62  = digits + letters
	base32  = digits + upper
	base58  = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	lower36 = digits + "abcdefghijklmnopqrstuvwxyz"
	urlsafe = base62 + "-_"
	hexa    = digits + "abcdef"
	anyHex  = hexa + "ABCDEF"
	base64s = base62 + "+/="
)

func (t token) find(text string, start, end int) (secret, bool) {
	if text[start:end] != t.prefix || start > 0 && within(base62+"_", text[start-1]) {
		return secret{}, false
	}
	stop := run(text, end, t.alphabet, t.max+1)
	// A full stop or a hyphen at the end belongs to the sentence.
	body := strings.TrimRight(text[end:stop], ".-")
	if len(body) < t.min || len(body) > t.max || entropy(body) < 2.8 || t.shape != nil && !t.shape().MatchString(body) {
		return secret{}, false
	}
	found := secret{start: start, end: end + len(body), kind: t.kind, vendor: t.vendor}
	issued := t.checksum && checksum(body)
	// A random token may hold "xxxx" by chance; nobody makes up a checksum that fits.
	if !issued && placeholder(body) {
		return secret{}, false
	}
	if t.checksum && !issued || t.digits && !withDigits(body) {
		found.severity = rule.Medium // the form is right, but the service never issued it
	}
	return found, true
}

// run returns where the characters of the alphabet end, at most limit further.
func run(text string, from int, alphabet string, limit int) int {
	stop := from
	for stop < len(text) && stop-from < limit && within(alphabet, text[stop]) {
		stop++
	}
	return stop
}

func within(alphabet string, b byte) bool { return strings.IndexByte(alphabet, b) >= 0 }

func withDigits(body string) bool { return strings.ContainsAny(body, digits) }

// checksum verifies the last six characters of a token: the CRC-32 of the
// characters before them in base 62. GitHub and npm write tokens so, to let
// scanners tell them from look-alikes.
func checksum(body string) bool {
	const alphabet = digits + letters
	random, want := body[:len(body)-6], body[len(body)-6:]
	sum := crc32.ChecksumIEEE([]byte(random))
	var got [6]byte
	for i := len(got) - 1; i >= 0; i-- {
		got[i] = alphabet[sum%62]
		sum /= 62
	}
	return string(got[:]) == want
}

// findJWT recognises a JSON Web Token by its header.
func findJWT(text string, start, end int) (secret, bool) {
	if start > 0 && within(urlsafe+"+/.", text[start-1]) {
		return secret{}, false
	}
	stop := run(text, start, urlsafe+".", maxJWT)
	parts := strings.Split(strings.TrimRight(text[start:stop], "."), ".")
	if len(parts) < 3 || len(parts[2]) < 20 {
		return secret{}, false
	}
	var header struct{ Alg string }
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(raw, &header) != nil || header.Alg == "" {
		return secret{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !json.Valid(payload) && len(parts) == 3 || strings.Contains(string(payload), "John Doe") {
		return secret{}, false
	}
	return secret{start: start, end: start + len(strings.Join(parts, ".")), kind: "JSON Web Token"}, true
}

// findPrivateKey recognises a whole PEM block.
func findPrivateKey(text string, start, end int) (secret, bool) {
	head := strings.Index(text[end:min(len(text), end+40)], "-----")
	if head < 0 || !slices.ContainsFunc(spaced("PRIVATE KEY"), func(kind string) bool { return strings.Contains(text[end:end+head], kind) }) {
		return secret{}, false
	}
	body := end + head + len("-----")
	stop := min(len(text), body+maxPEM)
	if tail := strings.Index(text[body:stop], "-----"); tail < 0 {
		stop = run(text, body, base62+"+/=\\ \r\n\t,:-", maxPEM)
	} else {
		stop = body + tail
	}
	if !material(text[body:stop]) {
		return secret{}, false
	}
	if tail := strings.TrimPrefix(text[stop:], "-----END "); len(tail) < len(text)-stop {
		if n := strings.Index(tail[:min(len(tail), 40)], "-----"); n >= 0 {
			stop += len("-----END ") + n + len("-----")
		}
	}
	return secret{start: start, end: stop, kind: "private key"}, true
}

// material says whether the body of a PEM block can be a key and not three dots.
func material(body string) bool {
	count := 0
	for i := 0; i < len(body) && count < minPEM; i++ {
		if within(base62+"+/", body[i]) {
			count++
		}
	}
	return count == minPEM && !strings.Contains(body, "...")
}

// findTelegram recognises the token of a Telegram bot by what its second half
// begins with: <bot id>:AA…
func findTelegram(text string, start, end int) (secret, bool) {
	from := start
	for from > 0 && start-from < 11 && within(digits, text[from-1]) {
		from--
	}
	stop := run(text, start+1, urlsafe, 36)
	if start-from < 8 || start-from > 10 || stop-start-1 != 35 || from > 0 && within(base62, text[from-1]) {
		return secret{}, false
	}
	return secret{start: from, end: stop, kind: "Telegram bot token", vendor: "telegram"}, true
}
