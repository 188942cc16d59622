package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/halt"
	"gatehouse/internal/identity"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// metered is a house in which everybody may do everything, within quotas.
func metered(t *testing.T, s *stub, quotas, more string, rules ...rule.Rule) *house {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.cedar")
	if err := os.WriteFile(file, []byte(anybody), 0o600); err != nil {
		t.Fatal(err)
	}
	return newHouse(t, s, fmt.Sprintf("%spolicy:\n  files: [%q]\nquotas:\n%s", more, file, quotas), rules...)
}

// What is too much is refused, in each era and on each mount, and what came before it
// is not. Without the quota all of it passes (TestLimit_without_quotas).
func TestLimit_refuses_what_is_too_much(t *testing.T) {
	for _, modern := range []bool{false, true} {
		for _, mount := range []string{"stub", ""} {
			t.Run(fmt.Sprintf("modern %v, mount %q", modern, mount), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := metered(t, &stub{}, "  each: {by: [user], rate: 3/m}\n", "")
					defer h.close()
					h.who = ann
					for range 3 {
						h.passed(h.echo(modern, mount))
					}
					r := h.echo(modern, mount)
					h.refused(r, "quota-exceeded")
					if r.RetryAfter != 20 || !strings.Contains(string(r.Body), `"retryAfterSeconds":20`) || !strings.Contains(string(r.Body), `"rule":"each"`) ||
						!strings.Contains(string(r.Body), "Wait 20 seconds") || !strings.Contains(string(r.Body), `"isError":true`) || r.Status != http.StatusOK {
						t.Errorf("answered %d, retry after %d: %s", r.Status, r.RetryAfter, r.Body)
					}
					if n := h.stub.count(wire.MethodToolsCall); n != 3 {
						t.Errorf("the server got %d calls", n)
					}
					ended := h.records(audit.Ended)
					if last := ended[len(ended)-1]; last.Reason != "quota-exceeded" || last.Rule != "each" || last.Decision != audit.Deny {
						t.Errorf("recorded %+v", last)
					}
					h.who = bob
					h.passed(h.echo(true, mount))
					h.who = ann
					time.Sleep(20 * time.Second)
					h.passed(h.echo(modern, mount))
					h.refused(h.echo(modern, mount), "quota-exceeded")
				})
			})
		}
	}
}

func TestLimit_without_quotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ruled(t, &stub{}, anybody, "")
		defer h.close()
		h.who = ann
		for range 20 {
			h.passed(h.echo(true, "stub"))
		}
		if _, err := os.Stat(filepath.Join(h.dir, ".gatehouse", "quotas")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("something is counted: %v", err)
		}
	})
}

// What is not allowed uses nothing, and what is refused by a quota is looked at by no
// rule and reaches no server.
func TestLimit_comes_after_authorize_and_before_inspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "test.cedar")
		policies := `permit (principal, action, resource); forbid (principal, action == Action::"tools/call", resource) when { context.arguments.hasTag("text") && context.arguments.getTag("text") == "no" };`
		if err := os.WriteFile(file, []byte(policies), 0o600); err != nil {
			t.Fatal(err)
		}
		looked := 0
		seeing := rule.Rule{ID: "seeing", Severity: rule.High, Surfaces: rule.ToServer, Detect: func(s rule.Subject) ([]rule.Match, error) {
			if s.Text == "yes" {
				looked++
			}
			return nil, nil
		}}
		h := newHouse(t, &stub{}, fmt.Sprintf("policy:\n  files: [%q]\nquotas:\n  each: {by: [user], per_day: 1}\n", file), seeing)
		defer h.close()
		h.who = ann
		for range 5 {
			h.refused(h.call(nil, "no"), "denied")
		}
		h.passed(h.call(nil, "yes"))
		h.refused(h.call(nil, "yes"), "quota-exceeded")
		if looked != 1 {
			t.Errorf("rules looked %d times", looked)
		}
	})
}

func (h *house) sessionAnn() *Session {
	return h.g.sessions.find(h.sessionOfAnn("stub"), ann.ID, "stub")
}

// However a call ends, its place is free again.
func TestUsed_concurrent_is_given_back(t *testing.T) {
	const two = "  busy: {by: [user], concurrent: 2}\n"
	fill := func(t *testing.T, h *house) (ends []<-chan Reply) {
		for n := range 2 {
			ends = append(ends, h.later(strings.Replace(calling, `"id":7`, fmt.Sprintf(`"id":%d`, 100+n), 1), h.peer(h.sessionAnn(), nil)))
		}
		h.refused(h.echo(true, "stub"), "quota-exceeded")
		return ends
	}
	free := func(t *testing.T, h *house, s *stub) {
		t.Helper()
		synctest.Wait()
		s.answer = nil
		for range 3 {
			h.passed(h.echo(true, "stub"))
		}
	}
	for name, end := range map[string]func(h *house, goOn chan struct{}, ends []<-chan Reply){
		"answers": func(_ *house, goOn chan struct{}, _ []<-chan Reply) { close(goOn) },
		"cancelled by the client": func(h *house, _ chan struct{}, _ []<-chan Reply) {
			for n := range 2 {
				h.g.Handle(h.t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, 100+n), h.peer(h.sessionAnn(), nil))
			}
		},
		"timeout": func(_ *house, _ chan struct{}, _ []<-chan Reply) { time.Sleep(2 * time.Minute) },
		"server death": func(h *house, _ chan struct{}, _ []<-chan Reply) {
			h.g.live.Load().servers["stub"].disconnect(halt.Change{Began: []halt.Halt{{Target: halt.Target{What: halt.All}}}})
		},
		"the session ends": func(h *house, _ chan struct{}, _ []<-chan Reply) {
			h.g.EndSession(h.sessionAnn())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				goOn := make(chan struct{})
				s := blocking(wire.MethodToolsCall, goOn)
				h := metered(t, s, two, "")
				defer h.close()
				h.who = ann
				ends := fill(t, h)
				end(h, goOn, ends)
				for _, each := range ends {
					<-each
				}
				free(t, h, s)
			})
		})
	}
	t.Run("a panic", func(t *testing.T) {
		h := metered(t, &stub{}, two, "", explosive)
		defer h.close()
		h.who = ann
		for range 5 {
			h.refused(h.call(nil, "a spark"), "internal-error")
		}
		h.passed(h.call(nil, "hello"))
	})
}

// The bytes of an answer are counted when it is there, also when the client does not
// get it.
func TestUsed_bytes_of_answers(t *testing.T) {
	long := `{"content":[{"type":"text","text":"` + strings.Repeat("x", 4000) + `riddle"}],"resultType":"complete"}`
	h := metered(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
		if m.Method == wire.MethodToolsCall {
			return long
		}
		return ""
	}}, "  bytes: {by: [user], bytes_per_day: 5000}\n", "", undecided)
	defer h.close()
	h.who = ann
	for range 2 {
		h.refused(h.call(nil, "hello"), "internal-error") // refused for what is in it
	}
	h.refused(h.call(nil, "hello"), "quota-exceeded")
	if n := h.stub.count(wire.MethodToolsCall); n != 2 {
		t.Errorf("the server got %d calls", n)
	}
}

func TestLimit_sums_of_money(t *testing.T) {
	tool := `{"name":"echo","inputSchema":{"type":"object","properties":{"amount":{"type":"number"},"to":{"type":"string"}}}}`
	h := metered(t, lister(turn(), toolList(tool)), "  pay: {by: [arguments.to], when: {tools: [echo]}, sum: {argument: amount, per_day: 1}}\n", "")
	defer h.close()
	h.who = ann
	pay := func(arguments string) Reply {
		return h.send(true, "stub", wire.MethodToolsCall, `"name":"echo","arguments":`+arguments)
	}
	for range 10 {
		h.passed(pay(`{"to":"a","amount":0.1}`))
	}
	h.refused(pay(`{"to":"a","amount":0.1}`), "quota-exceeded")
	h.passed(pay(`{"to":"b","amount":1e0}`))
	for _, none := range []string{`{"to":"c"}`, `{"to":"c","amount":-1}`} {
		r := pay(none)
		h.refused(r, "quota-exceeded")
		if r.RetryAfter != 0 || strings.Contains(string(r.Body), "retryAfterSeconds") {
			t.Errorf("%s: waiting does not help, but it says %s", none, r.Body)
		}
	}
	if n := h.stub.count(wire.MethodToolsCall); n != 11 {
		t.Errorf("the server got %d calls", n)
	}
}

// A model that asks the same again and again, and one that fails again and again.
func TestLimit_loops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
			if m.Method == wire.MethodToolsCall && strings.Contains(string(m.Raw), "wrong") {
				return `{"content":[{"type":"text","text":"no"}],"isError":true,"resultType":"complete"}`
			}
			return ""
		}}
		h := metered(t, failing, "  circles: {by: [user], loop: {same_call: 3, failures: 2, within: 1m}}\n", "")
		defer h.close()
		h.who = ann
		for range 3 {
			h.passed(h.call(nil, "same"))
		}
		h.refused(h.call(nil, "same"), "quota-exceeded")
		h.passed(h.call(nil, "another"))
		for _, text := range []string{"wrong 1", "wrong 2"} {
			if r := h.call(nil, text); !strings.Contains(string(r.Body), `"text":"no"`) {
				t.Errorf("answered %s", r.Body)
			}
		}
		h.refused(h.call(nil, "wrong 3"), "quota-exceeded")
		time.Sleep(time.Minute)
		h.passed(h.call(nil, "same"))
	})
}

const asks = `{"resultType":"input_required","requestState":"s","inputRequests":{"a":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":100}}}}`

// curious is a modern server that asks the client's model before it answers.
func curious() *stub {
	return &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
		switch {
		case m.Method == wire.MethodToolsCall && !m.Params.Get("inputResponses").Exists():
			return asks
		case m.Method == wire.MethodTasksGet:
			return strings.Replace(asks, `"input_required","requestState":"s"`, `"complete","taskId":"7","status":"input_required"`, 1)
		}
		return ""
	}}
}

func (h *house) sampled(params string) Reply {
	h.id++
	return h.g.Handle(h.t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{}%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{}}}}}`, h.id, params), h.peer(nil, nil))
}

// Whose tokens does a server spend? It does not matter whether it asks by a request or
// by its answer.
func TestLimit_a_server_that_asks_the_model(t *testing.T) {
	const wallet = "  wallet: {by: [user, server], when: {methods: [sampling/createMessage]}, sum: {argument: maxTokens, per_day: 250}}\n"
	t.Run("by a request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			standing := make(chan string)
			h := newHouse(t, &stub{standing: standing}, legacyOnly+"quotas:\n"+wallet)
			defer h.close()
			s := h.open(`{"sampling":{}}`)
			h.passed(h.call(s, "hello"))
			for n := range 3 {
				standing <- fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":100}}`, n)
				synctest.Wait()
			}
			if told, _ := take(t, s.Standing(false, never(t))); len(told) != 2 {
				t.Errorf("the client was asked %d times: %q", len(told), told)
			}
			if !strings.Contains(h.stub.all(), `"reason":"quota-exceeded"`) {
				t.Errorf("the server was told %s", h.stub.all())
			}
		})
	})
	t.Run("by its answer", func(t *testing.T) {
		h := metered(t, curious(), wallet, "")
		defer h.close()
		h.who = ann
		for range 2 {
			if r := h.sampled(""); !strings.Contains(string(r.Body), `"maxTokens":100`) {
				t.Errorf("answered %s", r.Body)
			}
			h.passed(h.sampled(`,"requestState":"s","inputResponses":{"a":{"role":"assistant","content":{"type":"text","text":"x"},"model":"m"}}`))
		}
		r := h.sampled("")
		h.refused(r, "quota-exceeded")
		if strings.Contains(string(r.Body), `"maxTokens":100`) {
			t.Errorf("the client is asked all the same: %s", r.Body)
		}
		h.who = bob
		if r := h.sampled(""); !strings.Contains(string(r.Body), `"maxTokens":100`) {
			t.Errorf("somebody else was answered %s", r.Body)
		}
	})
	t.Run("a task that waits asks once", func(t *testing.T) {
		h := newHouse(t, curious(), "quotas:\n"+strings.Replace(wallet, "250", "150", 1))
		defer h.close()
		get := func(id string) Reply {
			h.id++
			return h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tasks/get","params":{"taskId":%q,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{}}}}}`, h.id, id), h.peer(nil, nil))
		}
		for range 5 {
			if r := get("7"); !strings.Contains(string(r.Body), `"maxTokens":100`) {
				t.Fatalf("answered %s", r.Body)
			}
		}
		h.refused(get("8"), "quota-exceeded")
	})
}

// A policy that keeps a server from asking the model keeps it from asking by its answer.
func TestAuthorizeQuestions(t *testing.T) {
	const nobody = `permit (principal, action, resource); forbid (principal, action == Action::"sampling/createMessage", resource);`
	for policies, allowed := range map[string]bool{anybody: true, nobody: false} {
		h := ruled(t, curious(), policies, "")
		h.who = ann
		r := h.sampled("")
		if got := strings.Contains(string(r.Body), `"maxTokens":100`); got != allowed {
			t.Errorf("%s: asked %v: %s", policies, got, r.Body)
		}
		if !allowed {
			h.refused(r, "denied")
		}
		h.close()
	}
}

// A call that goes on with the answers to what was asked is not the same call again.
func TestLimit_answers_make_another_call(t *testing.T) {
	h := metered(t, curious(), "  circles: {by: [user], when: {methods: [tools/call]}, loop: {same_call: 2, within: 1m}}\n", "")
	defer h.close()
	h.who = ann
	for range 2 {
		h.sampled("")
	}
	for n := range 3 {
		h.passed(h.sampled(fmt.Sprintf(`,"requestState":"s","inputResponses":{"a":{"role":"assistant","content":{"type":"text","text":"%d"},"model":"m"}}`, n)))
	}
	h.refused(h.sampled(""), "quota-exceeded")
}

func TestLimit_in_mode_report_it_is_recorded_and_passes(t *testing.T) {
	h := metered(t, &stub{}, "  each: {by: [user], per_day: 1, mode: report}\n", "")
	defer h.close()
	h.who = ann
	for range 2 {
		h.passed(h.call(nil, "hello"))
	}
	decided := h.records(audit.Decided)
	if last := decided[len(decided)-1]; len(last.Would) != 1 || last.Would[0] != "quota:each" {
		t.Errorf("recorded %+v", last)
	}
}

func TestLimit_counts_over_a_restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, "quotas:\n  each: {by: [user], per_day: 3, rate: 3/h}\n")
		h.passed(h.call(nil, "hello"))
		h.passed(h.call(nil, "hello"))
		h.close()
		h.again()
		h.passed(h.call(nil, "hello"))
		h.refused(h.call(nil, "hello"), "quota-exceeded")
		h.close()
		h.again()
		defer h.close()
		h.refused(h.call(nil, "hello"), "quota-exceeded")
	})
}

// opening starts another gateway on the state of the house.
func (h *house) opening() (*Gateway, error) {
	file := filepath.Join(h.dir, "gatehouse.yaml")
	c, err := config.Load(file)
	if err != nil {
		h.t.Fatal(err)
	}
	trail, err := audit.Open(h.t.TempDir(), audit.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { trail.Close() })
	book, err := approval.Open(c.Lock, filepath.Join(h.dir, "pending"))
	if err != nil {
		h.t.Fatal(err)
	}
	c.Servers = nil // nothing is looked at over a network
	return New(Options{Config: c, Book: book, Audit: trail, Log: h.g.log, Version: "test"})
}

// Two that count in one place would each grant the whole; what cannot be read would
// grant everything again.
func TestLimiterOf_refuses_to_start(t *testing.T) {
	h := newHouse(t, &stub{}, "quotas:\n  each: {by: [user], per_day: 3}\n")
	h.passed(h.call(nil, "hello"))
	if g, err := h.opening(); err == nil || !strings.Contains(err.Error(), "opening the quotas") || !strings.Contains(err.Error(), "another") {
		t.Errorf("a second gateway on the same state: %v", err)
		g.Close()
	}
	h.close()
	journals, err := filepath.Glob(filepath.Join(h.dir, ".gatehouse", "quotas", "*"))
	if err != nil || len(journals) == 0 {
		t.Fatal(journals, err)
	}
	for _, file := range journals {
		if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if g, err := h.opening(); err == nil {
		t.Error("what cannot be read was taken for nothing")
		g.Close()
	}
}

// What cannot be counted is refused.
func TestLimit_a_store_that_fails_refuses(t *testing.T) {
	h := metered(t, &stub{}, "  each: {by: [user], per_day: 3}\n", "")
	defer h.close()
	h.who = ann
	h.passed(h.call(nil, "hello"))
	if err := h.g.counters.Close(); err != nil {
		t.Fatal(err)
	}
	h.refused(h.call(nil, "hello"), "internal-error")
	if n := h.stub.count(wire.MethodToolsCall); n != 1 {
		t.Errorf("the server got %d calls", n)
	}
}

// Other quotas take over what was used under their names; a configuration that is
// refused changes none.
func TestReload_quotas(t *testing.T) {
	h := newHouse(t, &stub{}, "quotas:\n  each: {by: [user], per_day: 2}\n")
	defer h.close()
	reload := func(quotas string) error {
		file := filepath.Join(h.dir, "gatehouse.yaml")
		if err := os.WriteFile(file, []byte("servers:\n  stub:\n    url: http://127.0.0.1:1/mcp\n"+quotas), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		return h.g.Reload(c)
	}
	h.passed(h.call(nil, "hello"))
	h.passed(h.call(nil, "hello"))
	h.refused(h.call(nil, "hello"), "quota-exceeded")
	if err := reload("listen: 127.0.0.1:1\nquotas:\n  each: {by: [user], per_day: 100}\n"); err == nil {
		t.Fatal("another address was taken over")
	}
	h.refused(h.call(nil, "hello"), "quota-exceeded")
	if err := reload("quotas:\n  each: {by: [user], per_day: 3}\n"); err != nil {
		t.Fatal(err)
	}
	h.passed(h.call(nil, "hello"))
	h.refused(h.call(nil, "hello"), "quota-exceeded")
	if err := reload(""); err != nil {
		t.Fatal(err)
	}
	h.passed(h.call(nil, "hello"))
	if err := reload("quotas:\n  each: {by: [user], per_day: 3}\n"); err != nil {
		t.Fatal(err)
	}
	h.refused(h.call(nil, "hello"), "quota-exceeded")
}

// A hundred users and fifty tools, a minute of mixed load and a restart in its middle:
// everybody gets what the quotas say, to within one in a hundred.
func TestLimit_is_exact_under_load_and_over_a_restart(t *testing.T) {
	const users, tools, each = 100, 50, 120 // calls of each user, two in a second
	const byRate, byTool = 30 + 30, 100     // a burst, and what comes back in a minute
	var list []string
	for n := range tools {
		list = append(list, fmt.Sprintf(`{"name":"t%d","inputSchema":{"type":"object"}}`, n))
	}
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "all.cedar")
		if err := os.WriteFile(file, []byte(anybody), 0o600); err != nil {
			t.Fatal(err)
		}
		h := newHouse(t, lister(turn(), toolList(list...)), fmt.Sprintf(`policy: {files: [%q]}
quotas:
  users: {by: [user], when: {users: ["user:corp/odd*"]}, rate: 30/m}
  tools: {by: [tool], when: {users: ["user:corp/even*"]}, per_day: %d}
`, file, byTool))
		passed := make([]atomic.Int64, users)
		ofTool := make([]atomic.Int64, tools)
		half := func(from int) {
			var all sync.WaitGroup
			for u := range users {
				who := &identity.Principal{ID: fmt.Sprintf("user:corp/%s%d", []string{"even", "odd"}[u%2], u), Kind: identity.User, Means: identity.ByJWT, Issuer: "corp"}
				all.Go(func() {
					time.Sleep(time.Duration(u) * time.Millisecond)
					for n := from; n < from+each/2; n++ {
						tool := (u + n) % tools
						peer := &Peer{Mount: "stub"}
						peer.who.Store(who)
						raw := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"t%d","arguments":{},%s}}`, n+1, tool, modernMeta)
						switch r := string(h.g.Handle(t.Context(), raw, peer).Body); {
						case strings.Contains(r, `"text":"done"`):
							passed[u].Add(1)
							if u%2 == 0 {
								ofTool[tool].Add(1)
							}
						case !strings.Contains(r, "quota-exceeded"):
							t.Errorf("answered %s", r)
						}
						time.Sleep(500 * time.Millisecond)
					}
				})
			}
			all.Wait()
		}
		half(0)
		h.close()
		h.again()
		defer h.close()
		half(each / 2)
		for u := 1; u < users; u += 2 {
			if n := passed[u].Load(); n < byRate-1 || n > byRate {
				t.Errorf("user %d made %d calls, want %d", u, n, byRate)
			}
		}
		for tool := range tools {
			if n := ofTool[tool].Load(); n != byTool {
				t.Errorf("tool %d was called %d times, want %d", tool, n, byTool)
			}
		}
	})
}
