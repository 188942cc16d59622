package gateway

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/wire"
)

// callAs calls echo as a modern client that calls itself name.
func (h *house) callAs(name string) Reply {
	h.id++
	return h.g.Handle(h.t.Context(), fmt.Appendf(nil,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{},`+asking+`}}`,
		h.id, `,"io.modelcontextprotocol/clientInfo":{"name":`+string(wire.AppendString(nil, name))+`,"version":"1"}`), h.peer(nil, nil))
}

// What a modern client says of itself leaves for a legacy server with initialize,
// ahead of the request in which it stands.
func TestPool_what_a_client_says_of_itself_is_inspected_before_it_leaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, legacyOnly, undecided)
		defer h.close()
		h.passed(h.callAs("honest"))
		h.refused(h.callAs("a riddle"), "internal-error")
		if strings.Contains(h.stub.all(), "riddle") {
			t.Errorf("the server was told %s", h.stub.all())
		}
	})
}

// Clients choose the keys of a pool, so no key may outlive its sessions.
func TestPool_forgets_clients_with_their_sessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, legacyOnly)
		defer h.close()
		for i := range maxPooled + 20 {
			h.passed(h.callAs(fmt.Sprintf("client %d", i)))
		}
		if n := len(h.g.live.Load().servers["stub"].pool.sessions); n > maxPooled {
			t.Errorf("%d clients are known, want at most %d", n, maxPooled)
		}
	})
}

// fleeting is a modern server that acknowledges and keeps some of its subscriptions.
func fleeting(acknowledges func(n int) bool, lasts func(n int) bool) *stub {
	var n atomic.Int32
	return &stub{answer: func(ctx context.Context, m *wire.Message, out *stream) string {
		switch m.Method {
		case wire.MethodDiscover:
			return `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true}}}`
		case wire.MethodListen:
			now := int(n.Add(1))
			if acknowledges(now) {
				out.send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, m.ID)
			}
			if lasts(now) {
				<-ctx.Done()
			}
		}
		return ""
	}}
}

func always(int) bool { return true }

func after(most int) func(int) bool { return func(n int) bool { return n > most } }

// A subscription that ends as soon as it was taken must not stay the one in force:
// its followers would neither hear anything nor ever make another.
func TestHub_a_subscription_that_ends_at_once_is_not_in_force(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rounds = 200 // it is a matter of who comes first
		h := newHouse(t, fleeting(always, after(rounds)), modernOnly)
		defer h.close()
		says(t, h.call(nil, "hello"), "done")
		hub := &h.g.live.Load().servers["stub"].shared.hub
		for range rounds {
			f := &follower{interest{uris: []string{"a:"}}, func(*wire.Message) error { return nil }}
			ended, err := hub.join(t.Context(), f)
			if err == nil {
				<-ended
			}
			hub.mu.Lock()
			if hub.current != nil {
				t.Error("a subscription that has ended is in force")
			}
			hub.mu.Unlock()
			hub.leave(f)
		}
	})
}

// The server has one subscription for a connection. A client that leaves while its
// own is being made has put an end to that of the others, which must be made again.
func TestHub_a_client_that_leaves_early_costs_others_nothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, fleeting(func(n int) bool { return n != 2 }, always), modernOnly)
		defer h.close()
		says(t, h.call(nil, "hello"), "done")
		hub := &h.g.live.Load().servers["stub"].shared.hub
		first := &follower{interest{uris: []string{"a:"}}, func(*wire.Message) error { return nil }}
		ended, err := hub.join(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		second := &follower{interest{uris: []string{"b:"}}, func(*wire.Message) error { return nil }}
		if _, err := hub.join(ctx, second); err == nil {
			t.Fatal("a subscription that was not acknowledged counts as taken")
		}
		hub.leave(second)
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("the first client waits on a subscription that the server has forgotten")
		}
		if _, err := hub.join(t.Context(), first); err != nil {
			t.Errorf("the first client follows no more: %v", err)
		}
		hub.leave(first)
	})
}

// A server need not wait for the answer to its question. A client that was asked all
// the same must get what came of the call, and not have it made once more.
func TestErrand_a_call_that_ends_as_its_client_is_asked_is_made_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan bool)
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			if m.Method == wire.MethodToolsCall {
				out.send(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Who is it?","requestedSchema":{"type":"object","properties":{}}}}`)
				<-end
			}
			return ""
		}}, legacyOnly)
		defer h.close()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ex := newExchange(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"},`+asking+`}}`, ""), h.peer(nil, nil))
		ex.cancel = func(error) { stop() }
		for _, step := range []func() error{
			func() error { return h.g.identify(ctx, ex) }, func() error { return h.g.decode(ex) }, func() error { return h.g.attach(ex) },
			func() error { return h.g.resolve(ex) }, func() error { return h.g.admit(ctx, ex) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		asked, err := h.g.runErrand(ctx, ex)
		if err != nil {
			t.Fatal(err)
		}
		end <- true // before the client has its answer
		synctest.Wait()
		h.g.leave(ex)
		h.passed(h.try("x", again(t, Reply{Body: asked.Message.Raw}, ada), "", nil))
		if n := h.stub.count(wire.MethodToolsCall); n != 1 {
			t.Errorf("the server was called %d times, want once", n)
		}
		if n := len(h.g.errands.all); n != 0 {
			t.Errorf("%d calls are kept", n)
		}
	})
}

// At a modern server over HTTP a subscription passes as the client wrote it.
func TestFilter_subscriptions_name_only_what_may_be_used(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, fleeting(always, always), "    resources:\n      deny: [\"secret:*\"]\n")
		defer h.close()
		ctx, leave := context.WithCancel(t.Context())
		go h.g.Handle(ctx, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["a:b","secret:b"]},`+asking+`}}`, ""), h.peer(nil, nil))
		synctest.Wait()
		if got := h.stub.all(); !strings.Contains(got, `"resourceSubscriptions":["a:b"]`) {
			t.Errorf("the server got %s", got)
		}
		leave()
		synctest.Wait()
	})
}

// A task of 2026-07-28 asks by the answer to tasks/get, and by notifications.
func TestQuestion_a_task_asks_no_more_than_a_call(t *testing.T) {
	const secret = `"inputRequests":{"q":{"method":"elicitation/create","params":{"message":"Log in","requestedSchema":{"type":"object","properties":{"password":{"type":"string"}}}}}}`
	const name = `"inputRequests":{"q":{"method":"elicitation/create","params":{"message":"Who is it?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}}}`
	for _, c := range []struct{ about, question, capabilities, want string }{
		{"a name", name, `{"elicitation":{}}`, `"Who is it?"`},
		{"a password", secret, `{"elicitation":{}}`, `"reason":"upstream-invalid"`},
		{"of a client that answers nothing", name, `{}`, `"requiredCapabilities":{"elicitation":{}}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
				switch m.Method {
				case wire.MethodDiscover:
					return `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}}`
				case wire.MethodTasksGet:
					out.send(`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"7","status":"input_required",%s}}`, c.question)
					return `{"resultType":"complete","taskId":"7","status":"input_required",` + c.question + `}`
				}
				return ""
			}}, modernOnly)
			defer h.close()
			told := ""
			r := h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"7","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":%s}}}`, c.capabilities),
				h.peer(nil, func(raw []byte) error { told += string(raw); return nil }))
			if says(t, r, c.want); strings.Contains(told, "password") {
				t.Errorf("%s: the client was told %s", c.about, told)
			}
		})
	}
}

// Servers count their questions from one, so after a restart the answer to an old
// question could be taken for that to a new one.
func TestAskClient_an_answer_goes_to_the_connection_that_asked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		standing := make(chan string)
		h := newHouse(t, &stub{standing: standing}, legacyOnly)
		defer h.close()
		s := h.open(`{"elicitation":{}}`)
		l := s.link(h.g.live.Load().servers["stub"])
		old, err := l.ready(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		standing <- `{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"Delete the copy?","requestedSchema":{"type":"object","properties":{}}}}`
		synctest.Wait()
		old.Close()
		if _, err := l.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}`), h.peer(s, nil))
		synctest.Wait()
		if strings.Contains(h.stub.all(), `"accept"`) {
			t.Errorf("the new connection got the answer: %s", h.stub.all())
		}
		got, _ := take(t, s.Standing(false, never(t)))
		if len(got) != 2 || !strings.Contains(got[1], wire.NotifyCancelled) {
			t.Errorf("the client was told %v, want the question and that it is withdrawn", got)
		}
	})
}

// On a pipe a question names no call, and what was sent last may be a list.
func TestPool_a_question_belongs_to_a_call_that_may_be_asked(t *testing.T) {
	s := &pooled{}
	begin := func(method string) *exchange {
		m, err := wire.Parse(wire.NewRequest("1", method, []byte(`{}`)), wire.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		ex := newExchange(nil, &Peer{})
		ex.msg = m
		ex.errand = &errand{first: ex}
		s.begins(ex.errand)
		return ex
	}
	call, list := begin(wire.MethodToolsCall), begin(wire.MethodToolsList)
	for _, c := range []struct {
		about string
		tag   *exchange
		pipe  bool
		want  *errand
	}{
		{"no tag", nil, true, call.errand},
		{"the call", call, true, call.errand},
		{"the list, on a pipe", list, true, call.errand},
		{"the list, over HTTP", list, false, list.errand},
	} {
		if got := s.asker(c.tag, c.pipe); got != c.want {
			t.Errorf("%s: the question belongs to %v, want %v", c.about, got.first.msg.Method, c.want.first.msg.Method)
		}
	}
	s.ends(call.errand)
	if got := s.latest(); got != nil {
		t.Errorf("a question belongs to %s", got.first.msg.Method)
	}
}

// A client does not answer a question that was cancelled, so nobody must wait.
func TestAskClient_a_question_that_is_withdrawn_is_over(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		standing := make(chan string)
		h := newHouse(t, &stub{standing: standing}, legacyOnly)
		defer h.close()
		s := h.open(`{"elicitation":{}}`)
		for id := range maxQuestions + 1 {
			standing <- fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"elicitation/create","params":{"message":"Well?","requestedSchema":{"type":"object","properties":{}}}}`, id)
			synctest.Wait()
			standing <- fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)
			synctest.Wait()
		}
		if n := s.link(h.g.live.Load().servers["stub"]).questions.Load(); n != 0 {
			t.Errorf("%d questions still wait", n)
		}
		got, _ := take(t, s.Standing(false, never(t)))
		if len(got) != 2*(maxQuestions+1) {
			t.Errorf("the client was told %d messages, want each question and each cancellation", len(got))
		}
	})
}

// reload puts another configuration in force, in which the stub is another server.
func (h *house) reload() {
	h.t.Helper()
	old := h.g.live.Load()
	next, err := h.g.build(old.config, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	next.servers["stub"].transport = h.stub
	h.g.live.Store(next)
	old.servers["stub"].close()
}

// A subscription at a server that is no longer configured as it was ends or goes on
// at the one in its place; it does not stay open and silent.
func TestListen_outlives_no_configuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan string)
		h := newHouse(t, listening(changes), modernOnly)
		defer h.close()
		s := h.open(`{}`)
		says(t, h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":"s","method":"resources/subscribe","params":{"uri":"a:b"}}`), h.peer(s, nil)), `"result":{}`)
		over := make(chan Reply, 1)
		go func() {
			over <- h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["stub+a:b"]},`+asking+`}}`, ""),
				&Peer{Local: true, Emit: func([]byte) error { return nil }})
		}()
		synctest.Wait()
		h.reload()
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case r := <-over:
			h.refused(r, "upstream-unavailable")
		default:
			t.Error("a modern client is left with a subscription that nobody serves")
		}
		select {
		case changes <- "a:b":
		default:
			t.Error("nobody follows the new server for the session")
		}
		synctest.Wait()
		got, _ := take(t, s.Standing(false, never(t)))
		wantData(t, "the session", got, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}`)
	})
}
