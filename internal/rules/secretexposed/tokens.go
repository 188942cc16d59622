package secretexposed

import (
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"strings"

	"gatehouse/internal/rule"
)

// Alphabets of tokens.
const (
	digits  = "0123456789"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters = upper + "abcdefghijklmnopqrstuvwxyz"
	base62  = digits + letters
	urlsafe = base62 + "-_"
	hexa    = digits + "abcdef"
)

// token is a format that is known by its first characters.
type token struct {
	kind, vendor string
	prefix       string
	alphabet     string
	min, max     int // characters after the prefix
	check        func(body string) bool
}

// tokens are the formats that services document for their credentials.
var tokens = []token{
	{kind: "GitHub token", vendor: "github", prefix: "ghp_", alphabet: base62, min: 36, max: 36, check: checksum},
	{kind: "GitHub token", vendor: "github", prefix: "gho_", alphabet: base62, min: 36, max: 36, check: checksum},
	{kind: "GitHub token", vendor: "github", prefix: "ghu_", alphabet: base62, min: 36, max: 36, check: checksum},
	{kind: "GitHub token", vendor: "github", prefix: "ghs_", alphabet: base62, min: 36, max: 36, check: checksum},
	{kind: "GitHub token", vendor: "github", prefix: "ghr_", alphabet: base62, min: 36, max: 76},
	{kind: "GitHub fine-grained token", vendor: "github", prefix: "github_pat_", alphabet: base62 + "_", min: 82, max: 82},
	{kind: "GitLab token", vendor: "gitlab", prefix: "glpat-", alphabet: urlsafe + ".", min: 20, max: 64},
	{kind: "GitLab token", vendor: "gitlab", prefix: "gldt-", alphabet: urlsafe, min: 20, max: 64},
	{kind: "GitLab token", vendor: "gitlab", prefix: "glrt-", alphabet: urlsafe, min: 20, max: 64},
	{kind: "Slack token", vendor: "slack", prefix: "xoxb-", alphabet: urlsafe, min: 24, max: 200, check: withDigits},
	{kind: "Slack token", vendor: "slack", prefix: "xoxp-", alphabet: urlsafe, min: 24, max: 200, check: withDigits},
	{kind: "Slack token", vendor: "slack", prefix: "xoxa-", alphabet: urlsafe, min: 24, max: 200, check: withDigits},
	{kind: "Slack token", vendor: "slack", prefix: "xoxe-", alphabet: urlsafe, min: 24, max: 400, check: withDigits},
	{kind: "Slack token", vendor: "slack", prefix: "xapp-", alphabet: urlsafe, min: 24, max: 200, check: withDigits},
	{kind: "Slack webhook", vendor: "slack", prefix: "hooks.slack.com/services/", alphabet: base62 + "/", min: 40, max: 80},
	{kind: "Stripe key", vendor: "stripe", prefix: "sk_live_", alphabet: base62, min: 20, max: 247},
	{kind: "Stripe key", vendor: "stripe", prefix: "rk_live_", alphabet: base62, min: 20, max: 247},
	{kind: "Stripe test key", vendor: "stripe", prefix: "sk_test_", alphabet: base62, min: 24, max: 247},
	{kind: "Stripe webhook secret", vendor: "stripe", prefix: "whsec_", alphabet: base62 + "+/=", min: 32, max: 64},
	{kind: "Google API key", vendor: "google", prefix: "AIza", alphabet: urlsafe, min: 35, max: 35},
	{kind: "Google OAuth token", vendor: "google", prefix: "ya29.", alphabet: urlsafe, min: 40, max: 1024},
	{kind: "Google OAuth client secret", vendor: "google", prefix: "GOCSPX-", alphabet: urlsafe, min: 28, max: 28},
	{kind: "Anthropic key", vendor: "anthropic", prefix: "sk-ant-", alphabet: urlsafe, min: 40, max: 200},
	{kind: "OpenAI key", vendor: "openai", prefix: "sk-proj-", alphabet: urlsafe, min: 40, max: 200},
	{kind: "OpenAI key", vendor: "openai", prefix: "sk-svcacct-", alphabet: urlsafe, min: 40, max: 200},
	{kind: "OpenRouter key", vendor: "openrouter", prefix: "sk-or-v1-", alphabet: hexa, min: 64, max: 64},
	{kind: "API key", vendor: "openai", prefix: "sk-", alphabet: base62, min: 32, max: 64},
	{kind: "npm token", vendor: "npm", prefix: "npm_", alphabet: base62, min: 36, max: 36, check: checksum},
	{kind: "PyPI token", vendor: "pypi", prefix: "pypi-AgEIcHlwaS5vcmc", alphabet: urlsafe, min: 50, max: 400},
	{kind: "SendGrid key", vendor: "sendgrid", prefix: "SG.", alphabet: urlsafe + ".", min: 66, max: 66},
	{kind: "Hugging Face token", vendor: "huggingface", prefix: "hf_", alphabet: letters, min: 34, max: 34},
	{kind: "DigitalOcean token", vendor: "digitalocean", prefix: "dop_v1_", alphabet: hexa, min: 64, max: 64},
	{kind: "DigitalOcean token", vendor: "digitalocean", prefix: "doo_v1_", alphabet: hexa, min: 64, max: 64},
	{kind: "DigitalOcean token", vendor: "digitalocean", prefix: "dor_v1_", alphabet: hexa, min: 64, max: 64},
	{kind: "Shopify token", vendor: "shopify", prefix: "shpat_", alphabet: hexa + "ABCDEF", min: 32, max: 32},
	{kind: "Shopify token", vendor: "shopify", prefix: "shpss_", alphabet: hexa + "ABCDEF", min: 32, max: 32},
	{kind: "Shopify token", vendor: "shopify", prefix: "shpca_", alphabet: hexa + "ABCDEF", min: 32, max: 32},
	{kind: "Notion token", vendor: "notion", prefix: "ntn_", alphabet: base62, min: 40, max: 60},
	{kind: "Linear key", vendor: "linear", prefix: "lin_api_", alphabet: base62, min: 40, max: 40},
	{kind: "Atlassian token", vendor: "atlassian", prefix: "ATATT3xFf", alphabet: urlsafe + "=", min: 100, max: 300},
	{kind: "Databricks token", vendor: "databricks", prefix: "dapi", alphabet: hexa, min: 32, max: 32},
	{kind: "Grafana token", vendor: "grafana", prefix: "glsa_", alphabet: base62 + "_", min: 41, max: 41},
	{kind: "Vault token", vendor: "vault", prefix: "hvs.", alphabet: urlsafe, min: 24, max: 200},
	{kind: "Supabase token", vendor: "supabase", prefix: "sbp_", alphabet: hexa, min: 40, max: 40},
	{kind: "Groq key", vendor: "groq", prefix: "gsk_", alphabet: base62, min: 48, max: 56},
	{kind: "Twilio key", vendor: "twilio", prefix: "SK", alphabet: hexa, min: 32, max: 32},
	{kind: "age secret key", prefix: "AGE-SECRET-KEY-1", alphabet: upper + digits, min: 58, max: 58},
}

func (t token) find(text string, start, end int) (secret, bool) {
	if text[start:end] != t.prefix || start > 0 && within(base62+"_", text[start-1]) {
		return secret{}, false
	}
	stop := run(text, end, t.alphabet, t.max+1)
	// A full stop or a hyphen at the end belongs to the sentence.
	body := strings.TrimRight(text[end:stop], ".-")
	if len(body) < t.min || len(body) > t.max || placeholder(body) || entropy(body) < 2.8 {
		return secret{}, false
	}
	found := secret{start: start, end: end + len(body), kind: t.kind, vendor: t.vendor}
	if t.check != nil && !t.check(body) {
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
	if head < 0 || !strings.Contains(text[end:end+head], "PRIVATE KEY") {
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
