//go:build unix

package integration

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/audit"
)

// surfaces are all places where an answer can carry a text, with what else stands
// in the answer and must stay.
var surfaces = map[string]string{
	"text": `"type":"text"`, "is-error": `"isError":true`, "structured": "see structuredContent", "key": "structuredContent",
	"meta": "see _meta", "unknown": "see remarks", "embedded": `"uri":"note://page"`,
	"link": `"name":"page"`, "unknown-block": `"type":"hologram"`, "error": `"code":-32000`, "error-data": "no page",
	"progress": "done", "log": "done", "sampling": "sampled", "elicitation": "elicited", "prompt": `"role":"user"`,
	"resource": `"uri":"note://welcome"`, "completion": `"hasMore":false`, "instructions": `"serverInfo"`,
}

// withText is a server for each surface that says the text there.
func withText(t *testing.T, text string) object {
	t.Helper()
	servers := object{}
	for surface := range surfaces {
		servers[surface] = object{"command": hostile(t, "-mode", "inject", "-surface", surface, "-text", text)}
	}
	return servers
}

// provoke makes the server of a surface say its text, and returns the answer.
func provoke(g *gateway, surface, era string) (*client, reply) {
	g.t.Helper()
	c := g.client(surface, era)
	c.capabilities = `{"sampling":{},"elicitation":{}}`
	c.asked["sampling/createMessage"] = object{"role": "assistant", "model": "none", "content": object{"type": "text", "text": "sampled"}}
	c.asked["elicitation/create"] = object{"action": "accept", "content": object{"answer": "elicited"}}
	opened := reply{}
	if era == legacyVersion {
		opened = c.initialize()
	}
	switch surface {
	case "instructions":
		if era == legacyVersion {
			return c, opened
		}
		return c, c.request("server/discover", object{})
	case "prompt":
		return c, c.request("prompts/get", object{"name": "greeting"})
	case "resource":
		return c, c.request("resources/read", object{"uri": "note://welcome"})
	case "completion":
		return c, c.request("completion/complete", object{
			"ref": object{"type": "ref/prompt", "name": "greeting"}, "argument": object{"name": "who", "value": "w"},
		})
	}
	return c, c.request("tools/call", object{"name": "echo", "arguments": object{"text": "hello"}, "_meta": object{"progressToken": "p"}})
}

func TestResults_injected_orders_reach_no_client(t *testing.T) {
	t.Parallel()
	g := serve(t, withText(t, order))
	for _, era := range []string{legacyVersion, modernVersion} {
		for surface, stays := range surfaces {
			if surface == "instructions" {
				continue // part of the definition; see below
			}
			c, r := provoke(g, surface, era)
			seen := c.seen.String()
			for _, part := range []string{"attacker.example", "ignore your previous"} {
				if strings.Contains(seen, part) {
					t.Errorf("%s in %s: %q reached the client: %s", surface, era, part, seen)
				}
			}
			if era == modernVersion && (surface == "sampling" || surface == "elicitation") {
				stays = "inputRequests"
			}
			// A member name cannot be replaced, so the answer is refused; so is a question
			// of which nothing would be left.
			if !strings.Contains(r.raw, stays) && r.reason() != "rule-matched" {
				t.Errorf("%s in %s: %q is missing in %s", surface, era, stays, r.raw)
			}
			checkFinding(g, surface, "injected-instructions")
		}
	}
	for _, c := range []*client{g.client("instructions", legacyVersion), g.modern("instructions")} {
		r := c.tryInitialize()
		if c.era == modernVersion {
			r = c.request("server/discover", object{})
		}
		if r.reason() != "quarantined" {
			t.Errorf("instructions: answered %s", r.raw)
		}
	}
}

// A picture with an order beside its pixels, and one that nobody could draw, are taken
// out of an answer that stays; a program called a picture takes the answer with it.
func TestResults_pictures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		surface, rules string
		passes         bool
		reason         string
	}{
		{"comment", "enforce", false, ""}, {"comment", "report", true, ""},
		{"bomb", "enforce", false, ""}, {"bomb", "report", true, ""},
		{"program", "enforce", false, "rule-matched"}, {"program", "report", true, ""},
	} {
		g := serve(t, object{"gallery": object{"command": hostile(t, "-mode", "picture", "-surface", c.surface, "-text", order)}},
			object{"rules": object{"injected-instructions": c.rules, "likely-injection": c.rules, "binary-content": c.rules}})
		_, r := provoke(g, "gallery", modernVersion)
		if passes := strings.Contains(r.raw, `"mimeType":"image/png"`); passes != c.passes || r.reason() != c.reason {
			t.Errorf("%s, rules %s: answered %s", c.surface, c.rules, r.raw)
		}
		if c.reason == "" && !strings.Contains(r.raw, "see the picture") {
			t.Errorf("%s, rules %s: the rest is missing in %s", c.surface, c.rules, r.raw)
		}
	}
}

// A blob that holds text is read by models like any other text.
func TestResults_text_in_base64_is_inspected(t *testing.T) {
	t.Parallel()
	secret := secrets(t)["github"]
	for rule, text := range map[string]string{"injected-instructions": order, "secret-exposed": "The deployment uses " + secret.whole + " as before."} {
		g := serve(t, object{"blob": object{"command": hostile(t, "-mode", "inject", "-surface", "blob", "-text", text)}})
		c, r := provoke(g, "blob", modernVersion)
		content, _ := r.result()["content"].([]any)
		for _, block := range content {
			resource, _ := block.(object)["resource"].(object)
			blob, _ := resource["blob"].(string)
			raw, err := base64.StdEncoding.DecodeString(blob)
			if err != nil || strings.Contains(string(raw), "attacker.example") || strings.Contains(string(raw), secret.part) {
				t.Errorf("%s: the blob reached the client as %q (%v)", rule, raw, err)
			}
		}
		if !strings.Contains(c.seen.String(), `"mimeType":"text/plain"`) && r.reason() != "rule-matched" {
			t.Errorf("%s: answered %s", rule, r.raw)
		}
		checkFinding(g, "blob", rule)
	}
}

// checkFinding looks for a record that names the rule.
func checkFinding(g *gateway, server, rule string) {
	g.t.Helper()
	for _, r := range g.records(audit.Filter{Server: server}) {
		for _, f := range r.Findings {
			if f.Rule == rule {
				return
			}
		}
	}
	g.t.Errorf("%s: no record names the rule %s", server, rule)
}

// secrets are credentials of every kind, made up anew, with a part of each that
// must not be seen anywhere.
func secrets(t *testing.T) map[string]struct{ whole, part string } {
	t.Helper()
	github := githubToken(t)
	// The id of a key is public by itself; beside its secret half, neither passes.
	awsSecret := randomText(t, base62+"+/", 40)
	aws := "AKIA" + randomText(t, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16) + " with " + awsSecret
	signature := base64.RawURLEncoding.EncodeToString(randomBytes(32))
	jwt := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"1001","iat":1893456000}`)) + "." + signature
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return map[string]struct{ whole, part string }{
		"github": {github, github[4:]},
		"aws":    {aws, awsSecret},
		"jwt":    {jwt, signature},
		"pem":    {block, strings.Split(block, "\n")[1]},
	}
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func githubToken(t *testing.T) string {
	random := randomText(t, base62, 30)
	sum, digits := crc32.ChecksumIEEE([]byte(random)), make([]byte, 6)
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return "ghp_" + random + string(digits)
}

func randomText(t *testing.T, alphabet string, length int) string {
	t.Helper()
	text := make([]byte, length)
	for i := range text {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			t.Fatal(err)
		}
		text[i] = alphabet[n.Int64()]
	}
	return string(text)
}

func randomBytes(length int) []byte {
	raw := make([]byte, length)
	rand.Read(raw)
	return raw
}

func TestResults_secrets_reach_neither_client_nor_log(t *testing.T) {
	for kind, secret := range secrets(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			g := serve(t, withText(t, "The deployment uses "+secret.whole+" as before."))
			for _, era := range []string{legacyVersion, modernVersion} {
				for surface, stays := range surfaces {
					if surface == "instructions" {
						continue // part of the definition; see below
					}
					c, r := provoke(g, surface, era)
					seen := c.seen.String()
					if strings.Contains(seen, secret.part) {
						t.Errorf("%s in %s: the secret reached the client: %s", surface, era, seen)
					}
					if era == modernVersion && (surface == "sampling" || surface == "elicitation") {
						stays = "inputRequests"
					}
					if !strings.Contains(r.raw, stays) && r.reason() != "rule-matched" {
						t.Errorf("%s in %s: %q is missing in %s", surface, era, stays, r.raw)
					}
					if surface == "text" && !strings.Contains(r.raw, "The deployment uses ") {
						t.Errorf("%s in %s: more than the secret was taken out: %s", surface, era, r.raw)
					}
					checkFinding(g, surface, "secret-exposed")
				}
			}
			if r := g.modern("instructions").request("server/discover", object{}); r.reason() != "quarantined" {
				t.Errorf("instructions: answered %s", r.raw)
			}
			g.stop()
			for name, text := range map[string]string{"the log": g.logText(), "the lock": g.lock(), "what the gateway printed": g.printed.String()} {
				if strings.Contains(text, secret.part) {
					t.Errorf("%s holds the secret", name)
				}
			}
		})
	}
}

func TestResults_secrets_in_arguments_stay_with_their_server(t *testing.T) {
	t.Parallel()
	for kind, secret := range secrets(t) {
		record := filepath.Join(t.TempDir(), "record")
		own := filepath.Join(t.TempDir(), "own")
		post := func(record string, more object) object {
			return with(object{"command": hostile(t, "-mode", "post", "-record", record)}, more)
		}
		file := filepath.Join(t.TempDir(), "secret")
		writeFile(t, file, secret.whole)
		g := serve(t, object{"post": post(record, nil), "own": post(own, object{"env": object{"TOKEN": "file:" + file}})})
		for _, c := range []*client{g.legacy("post"), g.modern("post"), g.legacy(""), g.modern("")} {
			name := "send_message"
			if strings.HasSuffix(c.wire.(*overHTTP).url, "/mcp") {
				name = "post__send_message"
			}
			for _, arguments := range []object{
				{"to": "a@example.org", "text": "the key is " + secret.whole},
				{"to": secret.whole, "text": "hello"},
				{"to": "a", "text": "b", "extra": []any{object{"deep": secret.whole}}},
				{"to": "a", "text": "b", secret.whole: "as a name"},
			} {
				r := c.call(name, arguments)
				if r.reason() != "rule-matched" || r.refusal()["rule"] != "secret-exposed" {
					t.Errorf("%s: answered %s", kind, r.raw)
				}
				if strings.Contains(r.raw, secret.part) {
					t.Errorf("%s: the refusal repeats the secret: %s", kind, r.raw)
				}
			}
			inMeta := c.request("tools/call", object{"name": name, "arguments": object{"to": "a", "text": "b"}, "_meta": object{"note": secret.whole}})
			if inMeta.reason() != "rule-matched" {
				t.Errorf("%s in _meta: answered %s", kind, inMeta.raw)
			}
		}
		if got := lines(t, record); len(got) != 0 {
			t.Errorf("%s reached the server: %q", kind, got)
		}
		// The server to which the configuration gives the secret may have it.
		if r := g.modern("own").call("send_message", object{"to": "a@example.org", "text": strings.TrimSpace(secret.whole)}); r.text() != "sent to a@example.org" {
			t.Errorf("%s: its own server answered %s", kind, r.raw)
		}
		if got := lines(t, own); len(got) != 1 || !strings.Contains(got[0], secret.part) {
			t.Errorf("%s: its own server got %q", kind, got)
		}
		g.stop()
		if strings.Contains(g.logText(), secret.part) {
			t.Errorf("%s stands in the log", kind)
		}
	}
}

// What a client answers to a server's question leaves towards the server as well.
func TestResults_secrets_in_answers_to_questions(t *testing.T) {
	t.Parallel()
	secret := secrets(t)["github"]
	record := filepath.Join(t.TempDir(), "record")
	servers := object{}
	for _, kind := range []string{"sampling", "elicitation", "roots"} {
		servers[kind] = object{"command": hostile(t, "-mode", "server-request", "-kind", kind, "-record", record)}
	}
	g := serve(t, servers)
	for kind, answer := range map[string]object{
		"sampling":    {"role": "assistant", "model": "m", "content": object{"type": "text", "text": secret.whole}},
		"elicitation": {"action": "accept", "content": object{"answer": secret.whole}},
		"roots":       {"roots": []any{object{"uri": "file:///" + secret.whole}}},
	} {
		c := g.client(kind, legacyVersion)
		c.capabilities = `{"sampling":{},"elicitation":{},"roots":{}}`
		for _, method := range []string{"sampling/createMessage", "elicitation/create", "roots/list"} {
			c.asked[method] = answer
		}
		c.initialize()
		if r := c.call("echo", object{"text": "hello"}); strings.Contains(r.raw, secret.part) || r.result() == nil {
			t.Errorf("%s: answered %s", kind, r.raw)
		}
		if len(c.told) != 1 {
			t.Errorf("%s: the client was asked %d times", kind, len(c.told))
		}
		m := g.modern(kind)
		again := m.request("tools/call", object{"name": "echo", "arguments": object{"text": "hello"},
			"requestState": "asked-once", "inputResponses": object{"question": answer}})
		if again.reason() != "rule-matched" {
			t.Errorf("%s in %s: answered %s", kind, modernVersion, again.raw)
		}
	}
	if got := strings.Join(lines(t, record), "\n"); strings.Contains(got, secret.part) {
		t.Errorf("the server got %s", got)
	}
	g.stop()
	if strings.Contains(g.logText(), secret.part) {
		t.Error("the secret stands in the log")
	}
}

// The log keeps what is needed to understand a call, and nothing at all where the
// configuration says so.
func TestResults_what_the_log_keeps(t *testing.T) {
	for keep, want := range map[string]bool{"redacted": true, "none": false} {
		t.Run(keep, func(t *testing.T) {
			t.Parallel()
			g := serve(t, object{"files": object{"command": hostile(t)}}, object{"audit": object{"arguments": keep, "results": keep}})
			g.modern("files").call("echo", object{"text": "a text of ours"})
			var kinds []audit.Kind
			for _, r := range g.records(audit.Filter{Server: "files", Tool: "echo"}) {
				kinds = append(kinds, r.Kind)
				if r.Kind == audit.Decided && r.ArgumentsDigest == "" || r.Kind == audit.Ended && r.ResultDigest == "" {
					t.Errorf("no digest in %+v", r)
				}
				if (r.Arguments != nil) != (want && r.Kind == audit.Decided) || (r.Result != nil) != (want && r.Kind == audit.Ended) {
					t.Errorf("kept %s and %s in %s", r.Arguments, r.Result, r.Kind)
				}
				if r.Principal == "" || r.Client != "test/1" || r.Method != "tools/call" || r.Mount != "/mcp/files" {
					t.Errorf("the record does not say who and what: %s", must(json.Marshal(r)))
				}
			}
			if !slices.Equal(kinds, []audit.Kind{audit.Decided, audit.Ended}) {
				t.Errorf("the log has %v of the call", kinds)
			}
			if strings.Contains(g.logText(), "a text of ours") != want {
				t.Errorf("the text in the log: want %v", want)
			}
		})
	}
}

func must(raw []byte, err error) string {
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(raw)
}
