//go:build unix

package integration

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/internal/rules"
)

// hidden spells a text in tag characters, which people do not see.
func hidden(text string) string {
	return "plain" + strings.Map(func(r rune) rune { return 0xE0000 + r }, text)
}

// Each attack is stopped with its guard and succeeds without it, so that a guard
// that is never called cannot hide.
func TestRemoved_each_rule_alone_stops_its_attack(t *testing.T) {
	secret := secrets(t)["github"]
	for _, test := range []struct {
		rule, surface, text string
		args                []string
		seen                string // what the client sees when nothing guards
	}{
		{"tool-poisoning", "definition", order, []string{"-mode", "poison"}, "attacker.example"},
		{"hidden-text", "definition", hidden("obey"), []string{"-mode", "poison"}, hidden("obey")},
		{"tool-shadowing", "definition", "", []string{"-mode", "shadow"}, "daily_fact"},
		{"injected-instructions", "text", order, nil, "attacker.example"},
		{"hidden-text", "text", hidden("obey"), nil, hidden("obey")[5:]},
		{"secret-exposed", "text", secret.whole, nil, secret.part},
		{"injected-instructions", "log", order, nil, "attacker.example"},
		{"secret-exposed", "sampling", secret.whole, nil, secret.part},
	} {
		for _, mode := range []string{"enforce", "report"} {
			t.Run(test.rule+" on "+test.surface+" in mode "+mode, func(t *testing.T) {
				t.Parallel()
				args := append(test.args, "-text", test.text)
				if test.args == nil {
					args = append(args, "-mode", "inject", "-surface", test.surface)
				}
				policies := object{}
				for _, r := range rules.All() {
					policies[r.ID] = "report" // others see the same text in their own way
				}
				policies[test.rule] = mode
				g := serve(t, object{
					test.surface: object{"command": hostile(t, args...)},
					"post":       object{"command": hostile(t, "-mode", "post")},
				}, object{"rules": policies})
				var seen string
				if test.surface == "definition" {
					c := g.legacy("")
					c.tools()
					seen = c.seen.String()
				} else {
					c, _ := provoke(g, test.surface, legacyVersion)
					seen = c.seen.String()
				}
				if got := strings.Contains(seen, test.seen); got != (mode == "report") {
					t.Errorf("%q reached the client: %v; seen: %s", test.seen, got, seen)
				}
				checkFinding(g, test.surface, test.rule)
				if strings.Contains(g.logText(), secret.part) {
					t.Error("the secret stands in the log")
				}
			})
		}
	}
}

func TestRemoved_secrets_leave_when_the_rule_only_reports(t *testing.T) {
	t.Parallel()
	secret := secrets(t)["github"]
	record := filepath.Join(t.TempDir(), "record")
	g := serve(t, object{"post": object{"command": hostile(t, "-mode", "post", "-record", record)}}, object{"rules": object{"secret-exposed": "report"}})
	if r := g.modern("post").call("send_message", object{"to": "a@example.org", "text": secret.whole}); r.text() != "sent to a@example.org" {
		t.Errorf("answered %s", r.raw)
	}
	if got := lines(t, record); len(got) != 1 || !strings.Contains(got[0], secret.part) {
		t.Errorf("the server got %q", got)
	}
	if strings.Contains(g.logText(), secret.part) {
		t.Error("the secret stands in the log")
	}
}

func TestRemoved_quarantine_ends_with_an_approval_by_hand(t *testing.T) {
	t.Parallel()
	g := serve(t, object{"bad": object{"command": hostile(t, "-mode", "poison", "-text", order)}})
	c := g.modern("bad")
	if r := c.request("tools/list", object{}); r.reason() != "quarantined" {
		t.Fatalf("answered %s", r.raw)
	}
	if output, code := g.approve("--yes", "bad"); code != 0 || !strings.Contains(output, "attacker.example") {
		t.Fatalf("approve ended with %d and must show what it approves:\n%s", code, output)
	}
	eventually(t, "the approval to be taken over", func() bool {
		return strings.Contains(c.request("tools/list", object{}).raw, "attacker.example")
	})
}

func TestRemoved_drift_reaches_a_client_without_the_gateway(t *testing.T) {
	t.Parallel()
	c := newClient(t, startStdio(t, hostile(t, "-mode", "rugpull", "-text", order)), legacyVersion)
	c.initialize()
	c.echo("")
	if r := c.request("tools/list", object{}); !strings.Contains(r.raw, "attacker.example") {
		t.Errorf("the list is %s", r.raw)
	}
}

func TestRemoved_redirects_lead_an_ordinary_client_away(t *testing.T) {
	t.Parallel()
	var visited atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited.Add(1) }))
	defer target.Close()
	url, _ := listen(t, hostile(t, "-mode", "redirect", "-target", target.URL, "-http", "127.0.0.1:0"))
	response, err := http.Post(url, "application/json", strings.NewReader(read))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if visited.Load() != 1 {
		t.Error("the target was not visited; the mode no longer shows what the guard is for")
	}
}

// The server takes a call that does not fit its schema; the gateway does not let
// it come to that.
func TestRemoved_arguments_that_do_not_fit_the_schema(t *testing.T) {
	t.Parallel()
	sdk := sdks[1]
	const wrong = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete_note","arguments":{"note":["a","b"]}}}`
	alone, trace := sdk.direct(t, false)
	alone.send(wrong)
	if got := lines(t, trace); len(got) != 1 {
		t.Errorf("the server alone left the trace %q", got)
	}
	entry, trace := sdk.server(t, false)
	g := serve(t, object{"notes": entry})
	if r := g.legacy("notes").send(wrong); r.reason() != "invalid-arguments" || r.result()["isError"] != true {
		t.Errorf("answered %s", r.raw)
	}
	if got := lines(t, trace); len(got) != 0 {
		t.Errorf("the dangerous tool ran: %q", got)
	}
}

func TestRemoved_bounds_pass_what_they_allow(t *testing.T) {
	t.Parallel()
	wide := object{"limits": object{"result_bytes": "64MiB", "tools": 2000, "request_bytes": "32MiB"}}
	narrow := object{"limits": object{"tools": 1000}}
	for _, test := range []struct {
		name string
		more object
		pass bool
	}{{"low", narrow, false}, {"raised", wide, true}} {
		t.Run(test.name, func(t *testing.T) {
			g := serve(t, object{
				"huge": object{"command": hostile(t, "-mode", "huge", "-size", "20000000")},
				"many": object{"command": hostile(t, "-mode", "many-tools", "-count", "1500")},
				"good": object{"command": hostile(t)},
			}, test.more)
			c := g.modern("")
			c.echo("good__")
			if r := c.call("huge__echo", object{"text": "hello"}); (len(r.text()) == 20_000_000) != test.pass {
				t.Errorf("a large answer: %.300s", r.raw)
			}
			r := c.sendWith(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"good__echo","arguments":{"text":"`+
				strings.Repeat("x", 5<<20)+`"},"_meta":`+string(encode(t, c.meta()))+`}}`,
				c.modernHeader("tools/call", object{"name": "good__echo"}))
			if (len(r.text()) == 5<<20) != test.pass || !test.pass && r.status != http.StatusRequestEntityTooLarge {
				t.Errorf("a large request: %d %.300s", r.status, r.raw)
			}
			if !test.pass {
				if r := c.call("many__echo", object{"text": "hello"}); r.reason() != "upstream-too-large" {
					t.Errorf("a long list: %.300s", r.raw)
				}
				return
			}
			if got := c.tools(); !slices.Contains(got, "huge__echo") || len(got) < 1500 {
				t.Errorf("the list shows %d tools", len(got))
			}
		})
	}
}
