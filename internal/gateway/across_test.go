package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// asker is a legacy server that asks the client for a name within each call and
// greets it.
func asker() (*stub, chan string) {
	answers := make(chan string, 8)
	s := &stub{}
	s.answer = func(ctx context.Context, m *wire.Message, out *stream) string {
		if m.Method != wire.MethodToolsCall {
			return ""
		}
		if token := m.Params.At("_meta", "progressToken"); token.Exists() {
			out.send(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`, token.Raw())
		}
		out.send(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Who is it?","requestedSchema":{"type":"object","properties":{}}}}`)
		select {
		case name := <-answers:
			if token := m.Params.At("_meta", "progressToken"); token.Exists() {
				out.send(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":2}}`, token.Raw())
			}
			return `{"content":[{"type":"text","text":` + name + `}]}`
		case <-ctx.Done():
			return ""
		}
	}
	s.heard = func(m *wire.Message) {
		if m.Result.Exists() {
			answers <- string(wire.AppendString(nil, m.Result.At("content", "name").Text()))
		}
	}
	return s, answers
}

const asking = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}%s}`

// try is one try of the call of a modern client.
func (h *house) try(text, more, meta string, emit func([]byte) error) Reply {
	h.id++
	return h.g.Handle(h.t.Context(), fmt.Appendf(nil,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":%q}%s,`+asking+`}}`, h.id, text, more, meta), h.peer(nil, emit))
}

// again is what a client adds to its next try to answer everything it was asked.
func again(t *testing.T, r Reply, answer string) string {
	t.Helper()
	m, err := wire.Parse(r.Body, wire.Limits{})
	if err != nil || m.Result.Get("resultType").Text() != wire.ResultInputRequired {
		t.Fatalf("answered %s, want a request for input", r.Body)
	}
	var responses []wire.Change
	for key := range m.Result.Get("inputRequests").Members() {
		responses = append(responses, wire.Change{Key: key, Raw: []byte(answer)})
	}
	return fmt.Sprintf(`,"inputResponses":%s,"requestState":%s`, object(responses...), m.Result.Get("requestState").Raw())
}

const legacyOnly = "    era: legacy\n"

func says(t *testing.T, r Reply, want string) {
	t.Helper()
	if !strings.Contains(string(r.Body), want) {
		t.Errorf("answered %s, want %s", r.Body, want)
	}
}

const ada = `{"action":"accept","content":{"name":"Ada"}}`

func TestErrand_a_question_becomes_input_that_is_required(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := asker()
		h := newHouse(t, s, legacyOnly)
		defer h.close()
		var mu sync.Mutex
		var events []string
		emit := func(raw []byte) error {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, string(raw))
			return nil
		}
		first := h.try("hello", "", `,"progressToken":"a"`, emit)
		says(t, first, `"method":"elicitation/create","params":{"message":"Who is it?"`)
		time.Sleep(5 * time.Minute) // a person thinks
		second := h.try("hello", again(t, first, ada), `,"progressToken":"b"`, emit)
		says(t, second, `"text":"Ada"`)
		says(t, second, `"resultType":"complete"`)
		if n := h.stub.count(wire.MethodToolsCall); n != 1 {
			t.Errorf("the server was called %d times, want once", n)
		}
		mu.Lock()
		defer mu.Unlock()
		want := []string{`"progressToken":"a","progress":1`, `"progressToken":"b","progress":2`}
		if len(events) != 2 || !strings.Contains(events[0], want[0]) || !strings.Contains(events[1], want[1]) {
			t.Errorf("events are %q, want %q", events, want)
		}
		for _, secret := range []string{wire.MetaVersion, wire.MetaCapabilities, "requestState"} {
			if strings.Contains(h.stub.all(), secret) {
				t.Errorf("the legacy server got %s: %s", secret, h.stub.all())
			}
		}
	})
}

func TestErrand_a_state_is_for_one_principal_and_one_request(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := asker()
		h := newHouse(t, s, legacyOnly)
		defer h.close()
		first := h.try("hello", "", "", nil)
		next := again(t, first, ada)
		forged := strings.Replace(next, `"requestState":"`, `"requestState":"A`, 1)
		for name, try := range map[string]func() Reply{
			"another request": func() Reply { return h.try("delete everything", next, "", nil) },
			"a forged state":  func() Reply { return h.try("hello", forged, "", nil) },
			"somebody else": func() Reply {
				h.who = &identity.Principal{ID: "local:mallory", Kind: identity.Local}
				defer func() { h.who = nil }()
				return h.try("hello", next, "", nil)
			},
		} {
			r := try()
			if !strings.Contains(string(r.Body), `"code":-32602`) {
				t.Errorf("%s: answered %s", name, r.Body)
			}
		}
		says(t, h.try("hello", next, "", nil), `"text":"Ada"`)
	})
}

func TestErrand_a_state_expires_and_the_call_with_it(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := asker()
		h := newHouse(t, s, legacyOnly+"limits:\n  max_timeout: 2m\n")
		defer h.close()
		first := h.try("hello", "", "", nil)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		says(t, h.try("hello", again(t, first, ada), "", nil), `"code":-32602`)
		if n := h.stub.count(wire.NotifyCancelled); n != 1 {
			t.Errorf("the server was told %d times that the call is over, want once", n)
		}
		if n := len(h.g.errands.all); n != 0 {
			t.Errorf("%d calls are still kept", n)
		}
	})
}

func TestErrand_a_state_survives_a_restart_if_there_is_a_key(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Setenv("STATE_KEY", "a long and random text")
		s, _ := asker()
		const keyed = legacyOnly + "request_state_key: env:STATE_KEY\n"
		h := newHouse(t, s, keyed)
		next := again(t, h.try("hello", "", "", nil), ada)
		h.close()
		s, _ = asker()
		h = newHouse(t, s, keyed)
		defer h.close()
		// The call is made again and its question is answered with what the client brings.
		says(t, h.try("hello", next, "", nil), `"text":"Ada"`)
	})
}

func TestErrand_ends_with_the_client_that_waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		h := newHouse(t, blocking(wire.MethodToolsCall, release), legacyOnly)
		defer h.close()
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan Reply, 1)
		go func() {
			done <- h.g.Handle(ctx, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo","arguments":{},`+asking+`}}`, ""), h.peer(nil, nil))
		}()
		synctest.Wait()
		leave()
		<-done
		synctest.Wait()
		if n := h.stub.count(wire.NotifyCancelled); n != 1 {
			t.Errorf("the server was told %d times, want once: %s", n, h.stub.all())
		}
	})
}

func TestErrand_a_server_may_ask_only_what_the_client_declared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, answers := asker()
		s.heard = func(m *wire.Message) {
			if m.Error.Exists() {
				answers <- `"refused"`
			}
		}
		h := newHouse(t, s, legacyOnly)
		defer h.close()
		says(t, h.call(nil, "hello"), `"text":"refused"`)
		if !strings.Contains(h.stub.all(), `"reason":"unsupported"`) {
			t.Errorf("the server was told %s", h.stub.all())
		}
	})
}

// A pool must not hand the session of one principal, or of one client, to another.
func TestPool_sessions_are_never_shared_between_principals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, legacyOnly)
		defer h.close()
		begun := func() int { return h.stub.count(wire.MethodInitialize) }
		h.passed(h.call(nil, "one"))
		h.passed(h.call(nil, "two"))
		before := begun()
		h.passed(h.call(nil, "three"))
		if begun() != before {
			t.Errorf("one client alone has %d sessions", begun()-before+1)
		}
		h.passed(h.try("four", "", "", nil)) // declares elicitation
		if begun() != before+1 {
			t.Errorf("a client that declares more began %d sessions, want 1", begun()-before)
		}
		h.who = &identity.Principal{ID: "local:somebody-else", Kind: identity.Local}
		h.passed(h.call(nil, "five"))
		if begun() != before+2 {
			t.Errorf("another principal began %d sessions, want 1", begun()-before-1)
		}
	})
}

func TestAcross_a_modern_client_gets_only_the_log_it_asked_for(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			switch m.Method {
			case wire.MethodInitialize:
				return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"stub","version":"1"}}`
			case wire.MethodToolsCall:
				for _, level := range []string{"debug", "info", "error"} {
					out.send(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":%q,"data":"x"}}`, level)
				}
			}
			return ""
		}}, legacyOnly)
		defer h.close()
		for _, c := range []struct {
			meta string
			want []string
		}{
			{"", nil},
			{`,"io.modelcontextprotocol/logLevel":"info"`, []string{"info", "error"}},
			{`,"io.modelcontextprotocol/logLevel":"error"`, []string{"error"}},
		} {
			var got []string
			h.passed(h.try("hello", "", c.meta, func(raw []byte) error {
				m, err := wire.Parse(raw, wire.Limits{})
				got = append(got, m.Params.Get("level").Text())
				return err
			}))
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.meta, got, c.want)
			}
		}
		if !strings.Contains(h.stub.all(), `"method":"logging/setLevel","params":{"level":"info"}`) {
			t.Errorf("the server got %s", h.stub.all())
		}
	})
}

func TestAcross_answers_have_what_their_revision_wants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ method, params, result, want string }{
			{"tools/list", "", stubTools, `"cacheScope":"private"`},
			{"server/discover", "", "", `"supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"tools":{}},"instructions":"Be kind.","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"stub","version":"1"}}`},
			{"resources/read", `"uri":"a:b",`, "", `"code":-32602,"message":"no such thing"`},
			{"vendor/method", "", "", `"code":-32601`},
		} {
			h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
				switch m.Method {
				case wire.MethodInitialize:
					return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{}},"instructions":"Be kind.","serverInfo":{"name":"stub","version":"1"}}`
				case wire.MethodResourcesRead:
					out.send(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32002,"message":"no such thing"}}`, m.ID)
				}
				return c.result
			}}, legacyOnly)
			r := h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":7,"method":%q,"params":{%s%s}}`, c.method, c.params, modernMeta), h.peer(nil, nil))
			says(t, r, c.want)
			says(t, r, `"id":7`)
			h.close()
		}
	})
}

const modernOnly = "    era: modern\n"

// needy is a modern server that wants to know a name before it answers.
func needy() *stub {
	return &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
		if m.Method != wire.MethodToolsCall {
			return ""
		}
		name := m.Params.At("inputResponses", "who", "content", "name")
		if m.Params.Get("requestState").Text() != "as it was" || !name.Exists() {
			return `{"resultType":"input_required","requestState":"as it was","inputRequests":{"who":{"method":"elicitation/create","params":{"message":"Who is it?"}}}}`
		}
		return `{"resultType":"complete","content":[{"type":"text","text":` + string(name.Raw()) + `}]}`
	}}
}

func TestCallModern_required_input_becomes_a_question(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, needy(), modernOnly)
		defer h.close()
		s := h.open(`{"elicitation":{}}`)
		answer := func(raw []byte) error {
			m, err := wire.Parse(raw, wire.Limits{})
			if err != nil || m.Method != wire.MethodElicit {
				t.Errorf("the client got %s", raw)
				return err
			}
			go h.g.Handle(t.Context(), wire.NewResult(m.ID, []byte(ada)), h.peer(s, nil))
			return nil
		}
		r := h.callWith(s, "hello", answer)
		says(t, r, `"text":"Ada"`)
		if strings.Contains(string(r.Body), "resultType") {
			t.Errorf("a legacy client got %s", r.Body)
		}
		// Without the capability nobody is asked.
		r = h.callWith(h.open(`{}`), "hello", func(raw []byte) error {
			t.Errorf("the client was asked %s", raw)
			return nil
		})
		h.refused(r, "unsupported")
	})
}

func TestCallModern_rounds_are_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
			if m.Method == wire.MethodToolsCall {
				return `{"resultType":"input_required","requestState":"more"}`
			}
			return ""
		}}, modernOnly)
		defer h.close()
		h.refused(h.callWith(h.open(`{}`), "hello", nil), "upstream-flood")
		if n := h.stub.count(wire.MethodToolsCall); n != maxRounds {
			t.Errorf("the server was called %d times, want %d", n, maxRounds)
		}
	})
}

func TestCallModern_a_session_stands_in_every_request(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, modernOnly)
		defer h.close()
		s := h.open(`{"sampling":{},"tasks":{"list":{}},"roots":{"listChanged":true}}`)
		h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":"l","method":"logging/setLevel","params":{"level":"warning"}}`), h.peer(s, nil))
		h.passed(h.callWith(s, "hello", nil))
		for _, want := range []string{
			`"io.modelcontextprotocol/protocolVersion":"2026-07-28"`, `"io.modelcontextprotocol/logLevel":"warning"`,
			`"io.modelcontextprotocol/clientCapabilities":{"sampling":{},"roots":{}}`, `"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}`,
		} {
			if !strings.Contains(h.stub.all(), want) {
				t.Errorf("the server did not get %s: %s", want, h.stub.all())
			}
		}
		for _, method := range []string{wire.MethodInitialize, wire.MethodSetLevel, wire.NotifyInitialized, http.MethodDelete} {
			if h.stub.count(method) > 0 {
				t.Errorf("a server without sessions got %s", method)
			}
		}
	})
}

// listening is a modern server that announces changes of one resource.
func listening(changes <-chan string) *stub {
	return &stub{answer: func(ctx context.Context, m *wire.Message, out *stream) string {
		switch m.Method {
		case wire.MethodDiscover:
			return `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}}}`
		case wire.MethodListen:
			out.send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, m.ID)
			if !m.Params.At("notifications", "resourceSubscriptions").Exists() {
				<-ctx.Done() // a listener is told only of what it asked for
				return ""
			}
			for {
				select {
				case uri := <-changes:
					out.send(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q,"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, uri, m.ID)
				case <-ctx.Done():
					return ""
				}
			}
		}
		return ""
	}}
}

func TestFollow_a_subscription_of_a_session_is_a_stream_at_a_modern_server(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan string)
		h := newHouse(t, listening(changes), modernOnly)
		defer h.close()
		s := h.open(`{}`)
		r := h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":"s","method":"resources/subscribe","params":{"uri":"a:b"}}`), h.peer(s, nil))
		says(t, r, `"result":{}`)
		if !strings.Contains(h.stub.all(), `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:b"]}`) {
			t.Errorf("the server got %s", h.stub.all())
		}
		changes <- "a:b"
		synctest.Wait()
		got, _ := take(t, s.Standing(false, never(t)))
		wantData(t, "the client", got, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}`)
	})
}

func TestListen_a_modern_client_hears_a_legacy_server(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		announce := make(chan string)
		s := &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			if m.Method == wire.MethodInitialize {
				return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"serverInfo":{"name":"stub","version":"1"}}`
			}
			return ""
		}}
		s.standing = announce
		h := newHouse(t, s, legacyOnly)
		defer h.close()
		got := make(chan string, 8)
		ctx, leave := context.WithCancel(t.Context())
		for _, mount := range []string{"stub", ""} {
			uri := "a:b"
			if mount == "" {
				uri = "stub+a:b"
			}
			go h.g.Handle(ctx, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"mine","method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[%q]},`+asking+`}}`, uri, ""),
				&Peer{Local: true, Mount: mount, Emit: func(raw []byte) error { got <- string(raw); return nil }})
			synctest.Wait()
			want := `"params":{"notifications":{"resourceSubscriptions":["` + uri + `"]},"_meta":{"io.modelcontextprotocol/subscriptionId":"mine"}}`
			if ack := <-got; !strings.Contains(ack, wire.NotifyAcknowledged) || !strings.Contains(ack, want) {
				t.Errorf("the first message is %s, want %s", ack, want)
			}
		}
		if n := h.stub.count(wire.MethodSubscribe); n != 1 {
			t.Errorf("%d subscriptions, want one for both", n)
		}
		announce <- `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}`
		announce <- `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` // nobody asked for it
		synctest.Wait()
		events := []string{<-got, <-got}
		slices.Sort(events)
		for i, uri := range []string{"a:b", "stub+a:b"} {
			if want := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q,"_meta":{"io.modelcontextprotocol/subscriptionId":"mine"}}}`, uri); events[i] != want {
				t.Errorf("got %s, want %s", events[i], want)
			}
		}
		if len(got) > 0 {
			t.Errorf("more came: %s", <-got)
		}
		leave()
		synctest.Wait()
		if n := h.stub.count(wire.MethodUnsubscribe); n != 1 {
			t.Errorf("%d subscriptions were taken back, want 1", n)
		}
	})
}

// forgetful is a server that keeps one listener for its connection, as that of the Go
// SDK does: the next takes its place, and the end of any ends all.
func forgetful(changes <-chan string) *stub {
	var mu sync.Mutex
	forgotten := make(chan struct{})
	return &stub{answer: func(ctx context.Context, m *wire.Message, out *stream) string {
		if m.Method == wire.MethodDiscover {
			return `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}}}`
		}
		if m.Method != wire.MethodListen {
			return ""
		}
		mu.Lock()
		close(forgotten)
		mine := make(chan struct{})
		forgotten = mine
		mu.Unlock()
		out.send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, m.ID)
		for {
			select {
			case <-mine:
				<-ctx.Done()
			case uri := <-changes:
				out.send(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q,"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, uri, m.ID)
				continue
			case <-ctx.Done():
			}
			mu.Lock()
			defer mu.Unlock()
			close(forgotten)
			forgotten = make(chan struct{})
			return ""
		}
	}}
}

// One subscription must do for all clients of a process, and joining must not end it.
func TestHub_clients_of_one_process_share_a_subscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan string)
		h := newHouse(t, forgetful(changes), modernOnly)
		defer h.close()
		says(t, h.call(nil, "hello"), "done")
		hub := &h.g.live.Load().servers["stub"].shared.hub
		heard := make(chan string, 8)
		follow := func(name, uri string) (*follower, <-chan struct{}) {
			f := &follower{interest{uris: []string{uri}}, func(m *wire.Message) error {
				heard <- name + " " + m.Params.Get("uri").Text()
				return nil
			}}
			ended, err := hub.join(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			return f, ended
		}
		first, replaced := follow("first", "a:")
		second, _ := follow("second", "b:")
		<-replaced // one subscription took the place of the other
		synctest.Wait()
		third, _ := follow("third", "a:")
		if n := h.stub.count(wire.MethodListen); n != 2 {
			t.Errorf("%d subscriptions, want 2: the third is covered by the second", n)
		}
		for _, uri := range []string{"a:x", "b:x"} {
			select {
			case changes <- uri:
			case <-time.After(time.Minute):
				t.Errorf("the server has nobody to tell of %s", uri)
			}
		}
		synctest.Wait()
		var got []string
		for len(heard) > 0 {
			got = append(got, <-heard)
		}
		slices.Sort(got)
		if want := []string{"first a:x", "second b:x", "third a:x"}; !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
		for _, f := range []*follower{first, second, third} {
			hub.leave(f)
		}
		synctest.Wait()
		if hub.current != nil || len(hub.replaced) > 0 {
			t.Error("a subscription without followers stays")
		}
	})
}

// However many clients come with new wishes, the requests that stay open are bounded, and
// everybody is heard who joins again after the end.
func TestHub_replaced_subscriptions_are_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan string)
		h := newHouse(t, forgetful(changes), modernOnly)
		defer h.close()
		says(t, h.call(nil, "hello"), "done")
		hub := &h.g.live.Load().servers["stub"].shared.hub
		heard := make(chan string, 1)
		var all []*follower
		ends := 0
		for n := range maxReplaced + 10 {
			f := &follower{interest{uris: []string{fmt.Sprintf("u%03d:", n)}}, func(m *wire.Message) error {
				heard <- m.Params.Get("uri").Text()
				return nil
			}}
			all = append(all, f)
			if _, err := hub.join(t.Context(), f); err != nil {
				ends++
				synctest.Wait()
				if _, err := hub.join(t.Context(), f); err != nil {
					t.Fatal(err)
				}
			}
			if len(hub.replaced) > maxReplaced {
				t.Fatalf("%d requests stay open", len(hub.replaced))
			}
		}
		if ends != 1 {
			t.Errorf("everything was ended %d times, want once", ends)
		}
		select {
		case changes <- "u000:x":
		case <-time.After(time.Minute):
			t.Fatal("the server has nobody to tell")
		}
		synctest.Wait()
		if len(heard) != 1 {
			t.Error("the first follower hears nothing any more")
		}
		for _, f := range all {
			hub.leave(f)
		}
	})
}

func TestFollow_a_server_that_takes_no_subscription_says_so_at_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			switch m.Method {
			case wire.MethodDiscover:
				return `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true}}}`
			case wire.MethodListen:
				out.send(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`, m.ID)
			}
			return ""
		}}, modernOnly)
		defer h.close()
		s := h.open(`{}`)
		began := time.Now()
		r := h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":"s","method":"resources/subscribe","params":{"uri":"a:b"}}`), h.peer(s, nil))
		h.refused(r, "unsupported")
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// roots/list has no params.
func TestErrand_a_question_without_params(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, answers := asker()
		s.answer = func(_ context.Context, m *wire.Message, out *stream) string {
			if m.Method != wire.MethodToolsCall {
				return ""
			}
			out.send(`{"jsonrpc":"2.0","id":"q","method":"roots/list"}`)
			<-answers
			return ""
		}
		h := newHouse(t, s, legacyOnly)
		defer h.close()
		meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}}}`
		call := func(more string) Reply {
			h.id++
			return h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{}%s,%s}}`, h.id, more, meta), h.peer(nil, nil))
		}
		asked := call("")
		says(t, asked, `{"method":"roots/list","params":{}}`) // go-sdk's clients need params
		h.passed(call(again(t, asked, `{"roots":[]}`)))
	})
}

// A client that is asked and never comes back must not block its own next calls.
func TestErrand_abandoned_calls_give_way(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := asker()
		h := newHouse(t, s, legacyOnly)
		defer h.close()
		for range maxQuestions {
			again(t, h.try("hello", "", "", nil), ada)
			time.Sleep(time.Second)
		}
		again(t, h.try("hello", "", "", nil), ada) // one more is asked all the same
		synctest.Wait()
		if n := h.stub.count(wire.NotifyCancelled); n == 0 {
			t.Error("no abandoned call was given up")
		}
	})
}

// A question that its server takes back is no longer put to the client.
func TestErrand_a_withdrawn_question_is_not_asked_again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withdraw := make(chan struct{})
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			if m.Method == wire.MethodToolsCall {
				out.send(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Who is it?","requestedSchema":{"type":"object","properties":{}}}}`)
				<-withdraw
				out.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}`)
				time.Sleep(time.Second)
			}
			return ""
		}}, legacyOnly)
		defer h.close()
		next := again(t, h.try("hello", "", "", nil), ada)
		next = next[strings.Index(next, `,"requestState"`):] // without an answer
		close(withdraw)
		synctest.Wait()
		h.passed(h.try("hello", next, "", nil))
	})
}

// An answer that crosses with the end of its question is no error of the client's.
func TestAnswered_late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			if m.Method == wire.MethodToolsCall {
				out.send(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Who is it?"}}`)
			}
			return "" // without waiting
		}}, "")
		defer h.close()
		s := h.open(`{"elicitation":{}}`)
		asked := make(chan wire.ID, 1)
		h.passed(h.callWith(s, "hello", func(raw []byte) error {
			if m, err := wire.Parse(raw, wire.Limits{}); err == nil && m.Method == wire.MethodElicit {
				asked <- m.ID
			}
			return nil
		}))
		id := <-asked
		for _, c := range []struct {
			id     wire.ID
			status int
		}{{id, http.StatusAccepted}, {id, http.StatusAccepted}, {"99", http.StatusBadRequest}, {`"x"`, http.StatusBadRequest}} {
			r := h.g.Handle(t.Context(), wire.NewResult(c.id, []byte(ada)), h.peer(s, nil))
			if r.Status != c.status {
				t.Errorf("the answer to %s got the status %d, want %d", c.id, r.Status, c.status)
			}
		}
	})
}

// Questions that only a careless client finds must not get past the checks.
func TestCheckInputRequests_every_form_is_looked_at(t *testing.T) {
	const ask = `{"method":"elicitation/create","params":{"message":"Which?","requestedSchema":{"type":"object","properties":{}}}}`
	for result, passes := range map[string]bool{
		`"resultType":"input_required","inputRequests":{"q":` + ask + `}`:                                                            true,
		`"resultType":"input_required","InputRequests":{"q":` + ask + `}`:                                                            false,
		`"resultType":"input_required","inputRequests":[` + ask + `]`:                                                                false,
		`"ResultType":"input_required","inputRequests":{"q":` + ask + `}`:                                                            false,
		`"resultType":"input_required","inputRequests":{"q":{"Method":"sampling/createMessage","method":"elicitation/create"}}`:      false,
		`"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","Params":{"url":"javascript:alert(1)"}}}`: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
				if m.Method == wire.MethodToolsCall {
					return "{" + result + "}"
				}
				return ""
			}}, modernOnly)
			defer h.close()
			r := h.try("hello", "", "", nil)
			if got := strings.Contains(string(r.Body), `"message":"Which?"`); got != passes {
				t.Errorf("%s: answered %s", result, r.Body)
			}
			if !passes {
				h.refused(r, "upstream-invalid")
			}
		})
	}
}
