package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/halt"
	"gatehouse/internal/identity"
	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

const incident = "incident 42"

func (h *house) haltsFile() string { return filepath.Join(h.dir, ".gatehouse", "halts.json") }

// pull halts something as `gatehouse halt` does, and waits until the gateway has seen
// it.
func (h *house) pull(t halt.Target, length ...time.Duration) {
	h.t.Helper()
	order := halt.Halt{Target: t, Reason: incident, By: "ann", Since: time.Now()}
	for _, d := range length {
		order.Until = order.Since.Add(d)
	}
	if err := os.MkdirAll(filepath.Dir(h.haltsFile()), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := halt.Add(h.haltsFile(), order); err != nil {
		h.t.Fatal(err)
	}
	time.Sleep(time.Second)
	synctest.Wait()
}

// release is pull for `gatehouse resume`.
func (h *house) release(t halt.Target) {
	h.t.Helper()
	if _, err := halt.Remove(h.haltsFile(), t, time.Now()); err != nil {
		h.t.Fatal(err)
	}
	time.Sleep(time.Second)
	synctest.Wait()
}

// echo calls the tool as h.who.
func (h *house) echo(modern bool, mount string) Reply {
	name := "echo"
	if mount == "" {
		name = "stub" + nameSeparator + name
	}
	return h.send(modern, mount, wire.MethodToolsCall, fmt.Sprintf(`"name":%q,"arguments":{}`, name))
}

const anybody = `permit (principal, action, resource);`

// Whatever is halted is refused at once, in each era and on each mount; what is not
// goes on; and all of it does when it is resumed. Without the halt each call passes.
func TestHalted_each_target_in_each_era(t *testing.T) {
	for _, test := range []struct {
		target halt.Target
		others bool // bob may go on
	}{
		{target: halt.Target{What: halt.All}},
		{target: halt.Target{What: halt.Server, Server: "stub"}},
		{target: halt.Target{What: halt.Tool, Server: "stub", Name: "echo"}},
		{target: halt.Target{What: halt.Principal, Name: ann.ID}, others: true},
		{target: halt.Target{What: halt.Team, Name: "data"}, others: true},
		{target: halt.Target{What: halt.Server, Server: "another"}, others: true},
	} {
		for _, modern := range []bool{false, true} {
			for _, mount := range []string{"stub", ""} {
				t.Run(fmt.Sprintf("%s, modern %v, mount %q", test.target, modern, mount), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := ruled(t, &stub{}, anybody, "")
						defer h.close()
						h.who = ann
						h.passed(h.echo(modern, mount))
						h.pull(test.target)
						time.Sleep(2 * definitionAge) // what is known of the server is old
						before := len(h.stub.seen())
						r := h.echo(modern, mount)
						if test.target.Server == "another" {
							h.passed(r)
							return
						}
						h.refused(r, "halted")
						if !strings.Contains(string(r.Body), incident) {
							t.Errorf("it does not say why: %s", r.Body)
						}
						if got := h.stub.seen()[before:]; len(got) != 0 {
							t.Errorf("the server got %v", got)
						}
						h.who = bob
						if r := h.echo(true, mount); test.others {
							h.passed(r)
						} else {
							h.refused(r, "halted")
						}
						h.release(test.target)
						h.who = ann
						h.passed(h.echo(modern, mount))
						if ended := h.records(audit.Ended); ended[len(ended)-1].Reason != "" {
							t.Errorf("recorded %+v", ended[len(ended)-1])
						}
					})
				})
			}
		}
	}
}

// Everything but a tool's own name leads to the server too.
func TestHalted_every_method(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ruled(t, talkative().stub, anybody, "")
		defer h.close()
		h.who = ann
		h.echo(true, "stub")
		h.sessionOfAnn("stub")
		h.pull(halt.Target{What: halt.Server, Server: "stub"})
		before := len(h.stub.seen())
		for method := range methods {
			for _, modern := range []bool{false, true} {
				if r := h.send(modern, "stub", method, cells[method].of("stub", "stub", "echo")); strings.Contains(string(r.Body), canary) {
					t.Errorf("%s, modern %v, of a halted server: %s", method, modern, r.Body)
				}
			}
		}
		for _, method := range h.stub.seen()[before:] {
			if method != "DELETE" && method != "GET" { // how its connections end
				t.Errorf("the halted server got %s", method)
			}
		}
		if r := h.send(true, "", wire.MethodToolsList, ""); strings.Contains(string(r.Body), canary) {
			t.Errorf("the joined list shows the halted server: %s", r.Body)
		}
	})
}

// What is known of a halted server is not shown either, where servers are joined.
func TestHalted_is_left_out_of_joined_lists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ruled(t, talkative().stub, anybody, "")
		defer h.close()
		h.who = ann
		if r := h.send(true, "", wire.MethodToolsList, ""); !strings.Contains(string(r.Body), canary) {
			t.Fatalf("answered %s", r.Body)
		}
		if err := os.MkdirAll(filepath.Dir(h.haltsFile()), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := h.g.Halt(halt.Halt{Target: halt.Target{What: halt.Server, Server: "stub"}, Reason: incident, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r := h.send(true, "", wire.MethodToolsList, ""); strings.Contains(string(r.Body), canary) {
			t.Errorf("answered %s", r.Body)
		}
	})
}

// Prompts and resources have halts of their own.
func TestHalted_prompts_and_resources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ruled(t, talkative().stub, anybody, "")
		defer h.close()
		h.who = ann
		h.pull(halt.Target{What: halt.Prompt, Server: "stub", Name: "greet"})
		h.pull(halt.Target{What: halt.Resource, Server: "stub", Name: "docs://a"})
		for method, params := range map[string]string{
			wire.MethodPromptsGet: `"name":"greet"`, wire.MethodResourcesRead: `"uri":"DOCS://%61"`,
			wire.MethodComplete: cells[wire.MethodComplete].of("stub", "stub", "greet"),
		} {
			h.refused(h.send(true, "stub", method, params), "halted")
		}
		if r := h.send(true, "stub", wire.MethodResourcesRead, `"uri":"docs://b"`); !strings.Contains(string(r.Body), canary) {
			t.Errorf("another resource was answered %s", r.Body)
		}
	})
}

// A call that waits for its server is ended, and only that.
func TestHaltsChanged_ends_what_is_in_flight(t *testing.T) {
	for _, modern := range []bool{false, true} {
		for _, what := range []halt.Target{{What: halt.All}, {What: halt.Server, Server: "stub"}, {What: halt.Tool, Server: "stub", Name: "echo"}, {What: halt.Principal, Name: ann.ID}} {
			t.Run(fmt.Sprintf("%s, modern %v", what, modern), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					goOn := make(chan struct{})
					h := ruled(t, blocking(wire.MethodToolsCall, goOn), anybody, "")
					defer h.close()
					h.who = ann
					h.sessionOfAnn("stub")
					of := func(modern bool) <-chan Reply {
						done := make(chan Reply, 1)
						go func() { done <- h.echo(modern, "stub") }()
						synctest.Wait()
						return done
					}
					ours := of(modern)
					h.who = bob
					others := of(true)
					h.pull(what)
					select {
					case r := <-ours:
						h.refused(r, "halted")
					default:
						t.Error("the call goes on")
					}
					close(goOn)
					if r := <-others; what.What == halt.Principal {
						h.passed(r)
					} else {
						h.refused(r, "halted")
					}
					if n := len(h.g.flights.all); n != 0 {
						t.Errorf("%d exchanges are kept", n)
					}
				})
			})
		}
	}
}

// A client that thinks about a question has no exchange that could be ended; its call
// is at the server all the same.
func TestHaltsChanged_ends_calls_whose_client_thinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		h := newHouse(t, &stub{answer: func(ctx context.Context, m *wire.Message, out *stream) string {
			if m.Method == wire.MethodToolsCall {
				out.send(`{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"Which one?","requestedSchema":{"type":"object","properties":{}}}}`)
				<-ctx.Done()
				close(gone)
			}
			return ""
		}}, legacyOnly)
		defer h.close()
		r := h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":900,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}`), h.peer(nil, nil))
		if !strings.Contains(string(r.Body), "inputRequests") {
			t.Fatalf("answered %s", r.Body)
		}
		h.pull(halt.Target{What: halt.Tool, Server: "stub", Name: "echo"})
		select {
		case <-gone:
		default:
			t.Error("the call goes on at the server")
		}
		if n := len(h.g.errands.all); n != 0 {
			t.Errorf("%d errands are kept", n)
		}
	})
}

// A halt that begins after it was looked for, and before the call leaves.
func TestTakeOff_a_halt_in_between(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *house
		armed := new(atomic.Bool)
		h = newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
			if m.Method == wire.MethodToolsList && armed.Load() { // in the middle of a call
				if err := h.g.Halt(halt.Halt{Target: halt.Target{What: halt.Tool, Server: "stub", Name: "echo"}, Reason: incident, By: "ann"}); err != nil {
					t.Error(err)
				}
			}
			return ""
		}}, "")
		defer h.close()
		h.passed(h.call(nil, "hello"))
		time.Sleep(2 * definitionAge)
		armed.Store(true)
		if err := os.MkdirAll(filepath.Dir(h.haltsFile()), 0o700); err != nil {
			t.Fatal(err)
		}
		h.refused(h.call(nil, "hello"), "halted")
		if n := h.stub.count(wire.MethodToolsCall); n != 1 {
			t.Errorf("the server got %d calls", n)
		}
		if got := h.records(audit.Halted); len(got) != 1 || got[0].Principal != "local:ann" || got[0].Detail != "tool echo of server stub: "+incident {
			t.Errorf("recorded %+v", got)
		}
	})
}

// A halted server is not started, and a connection that is made meanwhile ends.
func TestMayConnect(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, &stub{}, "")
			defer h.close()
			h.pull(halt.Target{What: halt.Server, Server: "stub"})
			s := h.g.live.Load().servers["stub"]
			if err := s.look(t.Context()); decision.From(err).Reason != decision.Halted {
				t.Errorf("the gateway's own look: %v", err)
			}
			if got := h.stub.seen(); len(got) != 0 {
				t.Errorf("the server got %v", got)
			}
			if got := h.records(audit.ServerStarted); len(got) != 0 {
				t.Errorf("recorded %+v", got)
			}
			h.release(halt.Target{What: halt.Server, Server: "stub"})
			h.passed(h.call(nil, "hello"))
		})
	})
	t.Run("meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, &stub{}, legacyOnly)
			defer h.close()
			s := h.open("{}")
			h.passed(h.call(s, "hello"))
			server := h.g.live.Load().servers["stub"]
			open := func() int {
				server.mu.Lock()
				defer server.mu.Unlock()
				return len(server.children)
			}
			if open() == 0 {
				t.Fatal("there is no connection")
			}
			h.pull(halt.Target{What: halt.Server, Server: "stub"})
			if n := open(); n != 0 {
				t.Errorf("%d connections are open", n)
			}
			h.release(halt.Target{What: halt.Server, Server: "stub"})
			h.passed(h.call(s, "hello"))
		})
	})
}

// The halt comes while the connection is made, and before anybody could end it.
func TestConnect_a_halt_in_between(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *house
		armed := true
		pulling := rule.Rule{ID: inspect.SecretRule, Severity: rule.High, Surfaces: rule.FromServer, Detect: func(s rule.Subject) ([]rule.Match, error) {
			if s.Text == "HTTP connection" && armed { // the record of the start
				armed = false
				if err := os.MkdirAll(filepath.Dir(h.haltsFile()), 0o700); err != nil {
					t.Error(err)
				}
				if err := h.g.Halt(halt.Halt{Target: halt.Target{What: halt.Server, Server: "stub"}, Reason: incident, By: "ann"}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second) // what was open then has been closed
			}
			return nil, nil
		}}
		h = newHouse(t, &stub{}, "", pulling)
		defer h.close()
		h.refused(h.call(nil, "hello"), "halted")
		if armed {
			t.Error("no connection was made")
		}
		if got := h.stub.seen(); len(got) != 0 {
			t.Errorf("the server got %v", got)
		}
		h.release(halt.Target{What: halt.Server, Server: "stub"})
		h.passed(h.call(nil, "hello"))
	})
}

// Somebody's own connections end; those of others stay.
func TestDisconnect_of_somebody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ruled(t, &stub{}, anybody, legacyOnly)
		defer h.close()
		session := func(who *identity.Principal) *link {
			peer := &Peer{Local: true, Mount: "stub"}
			peer.who.Store(who)
			id := h.g.Handle(t.Context(), []byte(beginning), peer).Session
			return h.g.sessions.find(id, who.ID, "stub").link(h.g.live.Load().servers["stub"])
		}
		of, others := session(ann), session(bob)
		h.pull(halt.Target{What: halt.Team, Name: "data"})
		if of.current() != nil || others.current() == nil {
			t.Errorf("ann's connection is open: %v; bob's: %v", of.current() != nil, others.current() != nil)
		}
	})
}

// A task that a halted tool began is not shown any more.
func TestHalted_tasks_of_a_tool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ruled(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
			switch m.Method {
			case wire.MethodToolsCall:
				return `{"resultType":"task","taskId":"` + m.Params.At("arguments", "text").Text() + `","status":"working"}`
			case wire.MethodTasksGet:
				return `{"resultType":"complete","taskId":"1","status":"completed","result":{"content":[{"type":"text","text":"` + canary + `"}]}}`
			}
			return ""
		}}, anybody, "")
		defer h.close()
		h.who = ann
		h.call(nil, "1")
		get := func() Reply { return h.send(true, "stub", wire.MethodTasksGet, `"taskId":"1"`) }
		if r := get(); !strings.Contains(string(r.Body), canary) {
			t.Fatalf("answered %s", r.Body)
		}
		h.pull(halt.Target{What: halt.Tool, Server: "stub", Name: "other"})
		if r := get(); !strings.Contains(string(r.Body), canary) {
			t.Errorf("a task of another tool was answered %s", r.Body)
		}
		h.pull(halt.Target{What: halt.Tool, Server: "stub", Name: "echo"})
		h.refused(get(), "halted")
	})
}

// A restart changes nothing.
func TestNew_halts_outlive_the_gateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, "")
		h.passed(h.call(nil, "hello"))
		h.pull(halt.Target{What: halt.All})
		h.close()
		h.again()
		defer h.close()
		before := len(h.stub.seen())
		h.refused(h.call(nil, "hello"), "halted")
		if got := h.stub.seen()[before:]; len(got) != 0 {
			t.Errorf("the server got %v", got)
		}
		h.release(halt.Target{What: halt.All})
		h.passed(h.call(nil, "hello"))
	})
}

// again starts another gateway on the state and the server of the one that ended.
func (h *house) again() {
	h.t.Helper()
	file := filepath.Join(h.dir, "gatehouse.yaml")
	c, err := config.Load(file)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.trail, err = audit.Open(filepath.Join(h.dir, "audit"), audit.Options{}); err != nil {
		h.t.Fatal(err)
	}
	book, err := approval.Open(c.Lock, filepath.Join(h.dir, "pending"))
	if err != nil {
		h.t.Fatal(err)
	}
	if h.g, err = New(Options{Config: config.Default(file), Book: book, Audit: h.trail, Log: h.g.log, Version: "test"}); err != nil {
		h.t.Fatal(err)
	}
	next, err := h.g.build(c, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	next.servers["stub"].transport = h.stub
	h.g.live.Store(next)
}

func TestHalted_an_unreadable_file_halts_everything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, "")
		defer h.close()
		h.passed(h.call(nil, "hello"))
		h.pull(halt.Target{What: halt.Server, Server: "another"})
		if err := os.WriteFile(h.haltsFile(), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		h.refused(h.call(nil, "hello"), "halted")
		if got := h.records(audit.Halted); len(got) != 1 || !strings.HasPrefix(got[0].Detail, "everything: the halts cannot be read") {
			t.Errorf("recorded %+v", got)
		}
		if err := os.Remove(h.haltsFile()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		h.passed(h.call(nil, "hello"))
	})
}

func TestHalted_ends_by_itself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, "")
		defer h.close()
		h.passed(h.call(nil, "hello"))
		h.pull(halt.Target{What: halt.Server, Server: "stub"}, time.Hour)
		time.Sleep(59 * time.Minute)
		h.refused(h.call(nil, "hello"), "halted")
		time.Sleep(time.Minute)
		h.passed(h.call(nil, "hello"))
		if got := h.records(audit.Resumed); len(got) != 1 || got[0].Server != "stub" {
			t.Errorf("recorded %+v", got)
		}
	})
}

// Whoever may not use a tool does not learn that it is halted.
func TestHalted_tells_nobody_who_may_not(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ruled(t, &stub{}, `permit (principal in Team::"data", action, resource); permit (principal, action == Action::"initialize", resource);`, "")
		defer h.close()
		h.who = ann
		h.passed(h.echo(true, "stub"))
		h.pull(halt.Target{What: halt.Tool, Server: "stub", Name: "echo"})
		h.refused(h.echo(true, "stub"), "halted")
		h.who = bob
		if r := h.echo(true, "stub"); strings.Contains(string(r.Body), incident) || strings.Contains(string(r.Body), "halted") {
			t.Errorf("answered %s", r.Body)
		}
	})
}

// What a server asks of somebody who is halted does not get there.
func TestHalted_questions_to_a_halted_principal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		standing := make(chan string)
		h := newHouse(t, &stub{standing: standing}, legacyOnly)
		defer h.close()
		s := h.open(`{"sampling":{}}`)
		h.passed(h.call(s, "hello"))
		question := `{"jsonrpc":"2.0","id":%d,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}`
		standing <- fmt.Sprintf(question, 1)
		synctest.Wait()
		h.pull(halt.Target{What: halt.Principal, Name: h.g.local.ID})
		select {
		case standing <- fmt.Sprintf(question, 2):
			t.Error("the server can still ask")
		default:
		}
		synctest.Wait()
		told, _ := take(t, s.Standing(false, never(t)))
		if len(told) != 2 || !strings.Contains(told[0], "sampling") || !strings.Contains(told[1], wire.NotifyCancelled) {
			t.Errorf("the client was told %q, want the first question and that it is withdrawn", told)
		}
	})
}
