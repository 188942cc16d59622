//go:build unix

package requirements

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/issuer"
)

// Whoever signs must not choose the key or the algorithm.
func Test_attack_a_token_that_brings_its_own_key(t *testing.T) {
	g := openGuarded(t)
	var visits atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer thief.Close()
	claims := g.issuer.Claims("ann", nil)
	for about, token := range map[string]string{
		"alg none":                  g.issuer.Sign(object{"alg": "none", "typ": "at+jwt"}, claims, nil),
		"alg None":                  g.issuer.Sign(object{"alg": "None", "typ": "at+jwt"}, claims, nil),
		"HS256 with the public key": g.issuer.Sign(g.issuer.Header(object{"alg": "HS256"}), claims, g.issuer.PublicPEM()),
		"jwk":                       g.issuer.Forge("ann", object{"jwk": issuer.ThiefKey("thief"), "kid": "thief"}),
		"jku":                       g.issuer.Forge("ann", object{"jku": thief.URL + "/keys", "kid": "thief"}),
		"x5u":                       g.issuer.Forge("ann", object{"x5u": thief.URL + "/cert", "kid": "thief"}),
		"kid as a path":             g.issuer.Forge("ann", object{"kid": "../../../../dev/null"}),
		"kid as an address":         g.issuer.Forge("ann", object{"kid": thief.URL + "/key"}),
		"kid as a query":            g.issuer.Forge("ann", object{"kid": "key-1' OR '1'='1"}),
		"an issuer that is fetched": g.issuer.Token("ann", object{"iss": thief.URL}),
	} {
		g.everywhere(t, func(c *client, echo string) {
			c.shows(token)
			g.turnedAway(t, c, echo, http.StatusUnauthorized, about)
		})
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("the gateway went %d times where a token sent it", n)
	}
}

// raw sends a call of echo in 2026-07-28 with these header lines, as they are, and
// returns the status; 0 if the connection was closed.
func (g *guarded) raw(t *testing.T, lines ...string) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"},"_meta":{"` +
		metaPrefix + `protocolVersion":"` + modernVersion + `","` + metaPrefix + `clientCapabilities":{}}}}`
	head := append([]string{
		"POST /mcp/web HTTP/1.1", "Host: " + strings.TrimPrefix(g.url, "http://"), "Content-Type: application/json", "Accept: application/json, text/event-stream",
		"Mcp-Protocol-Version: " + modernVersion, "Mcp-Method: tools/call", "Mcp-Name: echo", fmt.Sprint("Content-Length: ", len(body)),
	}, lines...)
	if _, err := io.WriteString(conn, strings.Join(head, "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// Two readers of a request must not find two callers in it, and no header but the one
// that counts makes anybody a caller. (A credential that is folded over two lines is
// read as on one, which RFC 9112, section 5.2, allows, and is still one credential.)
func Test_attack_headers_that_name_another_caller(t *testing.T) {
	g := openGuarded(t)
	ann, nobody := "Bearer "+g.issuer.Token("ann", nil), "Bearer "+g.issuer.Token("nobody", nil)
	if status := g.raw(t, "Authorization: "+ann); status != http.StatusOK {
		t.Fatalf("the plain request is answered %d; the test would show nothing", status)
	}
	for about, lines := range map[string][]string{
		"Authorization twice":              {"Authorization: " + nobody, "Authorization: " + ann},
		"Authorization twice, ann first":   {"Authorization: " + ann, "Authorization: " + nobody},
		"twice in another case":            {"authorization: " + nobody, "AUTHORIZATION: " + ann},
		"the same twice":                   {"Authorization: " + ann, "Authorization: " + ann},
		"two in one line":                  {"Authorization: " + ann + ", " + ann},
		"folded behind another header":     {"X-Note: a", " Authorization: " + ann},
		"a blank before the colon":         {"Authorization : " + ann},
		"an underscore":                    {"Authorization_: " + ann},
		"another scheme":                   {"Authorization: Basic " + strings.TrimPrefix(ann, "Bearer ")},
		"no scheme":                        {"Authorization: " + strings.TrimPrefix(ann, "Bearer ")},
		"in a header of MCP":               {"Mcp-Param-Authorization: " + ann},
		"in another header of MCP":         {"Mcp-Authorization: " + ann},
		"for a proxy":                      {"Proxy-Authorization: " + ann},
		"as a cookie":                      {"Cookie: access_token=" + strings.TrimPrefix(ann, "Bearer ")},
		"X-Forwarded-User":                 {"X-Forwarded-User: ann", "X-Forwarded-Groups: data"},
		"X-Forwarded-Access-Token":         {"X-Forwarded-Access-Token: " + strings.TrimPrefix(ann, "Bearer ")},
		"as if from this machine":          {"X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-Ip: ::1"},
		"a certificate in a header":        {"X-Forwarded-Client-Cert: Subject=\"CN=ann\"", "X-Ssl-Client-Verify: SUCCESS"},
		"a header of another access proxy": {"Cf-Access-Jwt-Assertion: " + strings.TrimPrefix(ann, "Bearer ")},
	} {
		var status int
		got := g.web.during(func() { status = g.raw(t, lines...) })
		if status != 0 && (status < 400 || status >= 500) {
			t.Errorf("%s: answered %d", about, status)
		}
		quiet(t, got, "tools/call")
	}
}

// A question that a server asks ann is answered by ann, whatever id and session
// somebody else names.
func Test_attack_anothers_question_is_answered(t *testing.T) {
	g := openGuarded(t)
	ann := g.as(t, false, "web", g.issuer.Token("ann", nil), "elicitation")
	bob := g.as(t, false, "web", g.issuer.Token("bob", nil), "elicitation")
	response := ann.post(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"ask-name","arguments":{}}}`, nil)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	read := func(until string) string {
		t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("the stream ended before %s: %v", until, err)
			}
			if strings.Contains(line, until) {
				return line
			}
		}
	}
	read("elicitation/create")
	answer := func(name string) string {
		return `{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"name":"` + name + `"}}}`
	}
	bob.post(answer("bob in his own session"), nil).Body.Close()
	own := bob.session
	bob.session = ann.session
	stolen := bob.post(answer("bob in the session of ann"), nil)
	stolen.Body.Close()
	if stolen.StatusCode != http.StatusNotFound {
		t.Errorf("an answer in a stolen session: %s", stolen.Status)
	}
	bob.session = own
	ann.post(answer("ann"), nil).Body.Close()
	if got := read(`"id":5`); !strings.Contains(got, `ann`) || strings.Contains(got, "bob") {
		t.Errorf("the server was told %s", got)
	}

	// In 2026-07-28 the state of the call is what might be stolen.
	one, other := g.as(t, true, "old", g.issuer.Token("ann", nil), "elicitation"), g.as(t, true, "old", g.issuer.Token("bob", nil), "elicitation")
	asked := one.call("ask-name", object{})
	requests, _ := asked.result()["inputRequests"].(object)
	answers := object{}
	for key := range requests {
		answers[key] = object{"action": "accept", "content": object{"name": "bob"}}
	}
	if len(answers) == 0 {
		t.Fatalf("nothing was asked: %s", asked.raw)
	}
	got := g.web.during(func() {
		r := other.request("tools/call", object{"name": "ask-name", "arguments": object{}, "requestState": asked.result()["requestState"], "inputResponses": answers})
		if r.result()["content"] != nil && r.reason() == "" {
			t.Errorf("a stolen state: answered %s", r.raw)
		}
	})
	if anywhere(got, `"bob"`) {
		t.Errorf("the server got the answer of another: %v", got)
	}
	for key := range answers {
		answers[key] = object{"action": "accept", "content": object{"name": "ann"}}
	}
	r := one.request("tools/call", object{"name": "ask-name", "arguments": object{}, "requestState": asked.result()["requestState"], "inputResponses": answers})
	if !strings.Contains(r.text(), "ann") {
		t.Errorf("the owner's answer: %s", r.raw)
	}
}

// While an issuer is down, what is not known is refused and what is known goes on. A
// new key counts once it is there; keys that nobody has make nobody fetch.
func Test_attack_an_issuer_that_is_down_or_flooded(t *testing.T) {
	t.Parallel()
	g := openGuarded(t)
	c := g.as(t, true, "web", g.issuer.Token("ann", nil))
	status := func(token string) int {
		t.Helper()
		c.shows(token)
		return c.call("echo", object{"text": "hello"}).status
	}
	began := time.Now()
	if got := status(g.issuer.Token("ann", nil)); got != http.StatusOK {
		t.Fatalf("a good token: %d", got)
	}
	for n := range 300 {
		if got := status(g.issuer.Forge("ann", object{"kid": fmt.Sprint("made-up-", n)})); got != http.StatusUnauthorized {
			t.Fatalf("a made-up key: %d", got)
		}
	}
	const every = 10 * time.Second // docs/identity.md
	bound := func() int { return 2 + int(time.Since(began)/every) }
	if n := g.issuer.KeyReads(); n > bound() {
		t.Errorf("300 made-up keys made the gateway read the keys %d times, want at most %d", n, bound())
	}

	g.issuer.Rotate()
	deadline := time.Now().Add(2 * every)
	for status(g.issuer.Token("ann", nil)) != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("the new key does not count")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if n := g.issuer.KeyReads(); n > bound() {
		t.Errorf("the keys were read %d times, want at most %d", n, bound())
	}

	g.issuer.Down(true)
	if got := status(g.issuer.Token("bob", nil)); got != http.StatusOK {
		t.Errorf("a new token by a known key, while the issuer is down: %d", got)
	}
	g.issuer.Rotate()
	unknown := g.issuer.Token("ann", nil)
	deadline = time.Now().Add(2 * every)
	for got := status(unknown); got != http.StatusServiceUnavailable; got = status(unknown) {
		if got == http.StatusOK || time.Now().After(deadline) {
			t.Fatalf("a token by a key that nobody could read: %d", got)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
