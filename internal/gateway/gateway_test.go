package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// stub is a server without a network, so that time in its tests may be made up.
type stub struct {
	// answer writes the result, or streams what it likes, for one request.
	answer func(ctx context.Context, m *wire.Message, out *stream) string
	// heard is told of what the client sends without waiting for an answer.
	heard func(m *wire.Message)
	// standing yields what the server sends outside of calls; nil is no such stream.
	standing <-chan string

	mu  sync.Mutex
	got []string // methods, and "DELETE"
	raw []string // whole messages
}

// stream sends messages ahead of the answer.
type stream struct{ pipe *io.PipeWriter }

func (s *stream) send(format string, args ...any) {
	fmt.Fprintf(s.pipe, "data: "+format+"\n\n", args...)
}

const stubTools = `{"tools":[{"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}`

func (s *stub) plain(m *wire.Message) string {
	switch m.Method {
	case wire.MethodInitialize:
		return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"stub","version":"1"}}`
	case wire.MethodDiscover:
		return `{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{"tools":{}}}`
	case wire.MethodToolsList:
		return stubTools
	case wire.MethodTemplatesList:
		return `{"resourceTemplates":[],"resultType":"complete"}`
	}
	return `{"content":[{"type":"text","text":"done"}],"resultType":"complete"}`
}

func (s *stub) count(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, got := range s.got {
		if got == method {
			n++
		}
	}
	return n
}

func (s *stub) note(method, raw string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.raw = append(s.got, method), append(s.raw, raw)
}

func (s *stub) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.raw, "\n")
}

// RoundTrip is the server's HTTP side.
func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet && s.standing != nil {
		return s.stand(r.Context()), nil
	}
	if r.Method != http.MethodPost {
		s.note(r.Method, "")
		return &http.Response{StatusCode: http.StatusMethodNotAllowed, Body: http.NoBody}, nil
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m, err := wire.Parse(raw, wire.Limits{})
	if err != nil {
		return nil, err
	}
	method := m.Method
	if m.Kind == wire.Response {
		method = "response"
	}
	s.note(method, string(raw))
	if m.Kind != wire.Request {
		if s.heard != nil {
			s.heard(m)
		}
		return &http.Response{StatusCode: http.StatusAccepted, Body: http.NoBody}, nil
	}
	body, pipe := io.Pipe()
	ctx := r.Context()
	go func() {
		var result string
		if s.answer != nil {
			result = s.answer(ctx, m, &stream{pipe})
		}
		if result == "" {
			result = s.plain(m)
		}
		if ctx.Err() != nil {
			pipe.CloseWithError(ctx.Err())
			return
		}
		fmt.Fprintf(pipe, "data: %s\n\n", wire.NewResult(m.ID, []byte(result)))
		pipe.Close()
	}()
	stop := context.AfterFunc(ctx, func() { pipe.CloseWithError(ctx.Err()) })
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"text/event-stream"}, "Mcp-Session-Id": {"s"}},
		Body:       closer{body, stop},
	}, nil
}

// stand is the stream outside of calls.
func (s *stub) stand(ctx context.Context) *http.Response {
	body, pipe := io.Pipe()
	go func() {
		for {
			select {
			case raw := <-s.standing:
				(&stream{pipe}).send("%s", raw)
			case <-ctx.Done():
				pipe.CloseWithError(ctx.Err())
				return
			}
		}
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}
}

type closer struct {
	*io.PipeReader
	stop func() bool
}

func (c closer) Close() error {
	c.stop()
	return c.PipeReader.Close()
}

// house is a gateway in front of a stub named "stub".
type house struct {
	t     *testing.T
	g     *Gateway
	stub  *stub
	trail *audit.Log
	dir   string
	id    int
	who   *identity.Principal // that sends; nil: the local user
}

// newHouse builds a gateway; more is put into the configuration.
func newHouse(t *testing.T, s *stub, more string, rules ...rule.Rule) *house {
	t.Helper()
	h := &house{t: t, stub: s, dir: t.TempDir()}
	file := filepath.Join(h.dir, "gatehouse.yaml")
	if err := os.WriteFile(file, []byte("servers:\n  stub:\n    url: http://127.0.0.1:1/mcp\n"+more), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if h.trail, err = audit.Open(filepath.Join(h.dir, "audit"), audit.Options{}); err != nil {
		t.Fatal(err)
	}
	book, err := approval.Open(c.Lock, filepath.Join(h.dir, "pending"))
	if err != nil {
		t.Fatal(err)
	}
	// Without servers first: theirs must not be looked at over a network.
	h.g, err = New(Options{Config: config.Default(file), Rules: rules, Book: book, Audit: h.trail, Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	next, err := h.g.build(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	next.servers["stub"].transport = s
	h.g.live.Store(next)
	return h
}

// close ends the gateway. In a bubble it must come before the end of the bubble.
func (h *house) close() {
	h.g.Close()
	_ = h.trail.Close() // some tests closed it before
}

// open begins a session on the server's own mount.
func (h *house) open(capabilities string) *Session {
	h.t.Helper()
	r := h.g.Handle(h.t.Context(), fmt.Appendf(nil,
		`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":%s,"clientInfo":{"name":"t","version":"1"}}}`,
		capabilities), &Peer{Local: true, Mount: "stub"})
	if r.Session == "" {
		h.t.Fatalf("initialize was answered %s", r.Body)
	}
	s := h.session(r.Session, "stub", true)
	h.g.Handle(h.t.Context(), []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`), h.peer(s, nil))
	return s
}

func (h *house) peer(s *Session, emit func([]byte) error) *Peer {
	p := &Peer{Local: true, Mount: "stub", Emit: emit}
	if s != nil {
		p.SessionID = s.id
	}
	if h.who != nil {
		p.who.Store(h.who)
	}
	return p
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// call calls echo, in a session or, with none, statelessly.
func (h *house) call(s *Session, text string) Reply { return h.callWith(s, text, nil) }

func (h *house) callWith(s *Session, text string, emit func([]byte) error) Reply {
	h.id++
	meta := ""
	if s == nil {
		meta = "," + modernMeta
	}
	return h.g.Handle(h.t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":%s}%s}}`,
		h.id, wire.AppendString(nil, text), meta), h.peer(s, emit))
}

func (h *house) refused(r Reply, reason string) {
	h.t.Helper()
	if !strings.Contains(string(r.Body), `"reason":"`+reason+`"`) {
		h.t.Errorf("answered %s, want the reason %s", r.Body, reason)
	}
}

func (h *house) passed(r Reply) {
	h.t.Helper()
	if !strings.Contains(string(r.Body), `"text":"done"`) {
		h.t.Errorf("answered %s", r.Body)
	}
}

// undecided is a rule that cannot judge some texts.
var undecided = rule.Rule{
	ID: "undecided", Severity: rule.High, Surfaces: rule.FromServer | rule.ToServer,
	Detect: func(s rule.Subject) ([]rule.Match, error) {
		if strings.Contains(s.Text, "riddle") {
			return nil, errors.New("this text cannot be judged")
		}
		return nil, nil
	},
}

func TestHandle_what_a_rule_cannot_judge_is_refused(t *testing.T) {
	answer := func(result string, ahead ...string) *stub {
		return &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			if m.Method != wire.MethodToolsCall {
				return ""
			}
			for _, each := range ahead {
				out.send("%s", each)
			}
			return result
		}}
	}
	t.Run("arguments", func(t *testing.T) {
		h := newHouse(t, answer(""), "", undecided)
		defer h.close()
		for _, s := range []*Session{h.open("{}"), nil} {
			h.refused(h.call(s, "a riddle"), "internal-error")
			h.passed(h.call(s, "no question"))
		}
		if strings.Contains(h.stub.all(), "riddle") {
			t.Errorf("the server got %s", h.stub.all())
		}
	})
	t.Run("result", func(t *testing.T) {
		h := newHouse(t, answer(`{"content":[{"type":"text","text":"a riddle"}],"resultType":"complete"}`), "", undecided)
		defer h.close()
		for _, s := range []*Session{h.open("{}"), nil} {
			r := h.call(s, "hello")
			h.refused(r, "internal-error")
			if strings.Contains(string(r.Body), "riddle") {
				t.Errorf("the client got %s", r.Body)
			}
		}
	})
	t.Run("notification", func(t *testing.T) {
		h := newHouse(t, answer("", `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"a riddle"}}`,
			`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"plain"}}`), "", undecided)
		defer h.close()
		var told []string
		h.passed(h.callWith(h.open("{}"), "hello", func(raw []byte) error {
			told = append(told, string(raw))
			return nil
		}))
		if len(told) != 1 || !strings.Contains(told[0], "plain") {
			t.Errorf("the client was told %q, want the plain one only", told)
		}
	})
	t.Run("question", func(t *testing.T) {
		h := newHouse(t, answer("", `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"a riddle"}}`), "", undecided)
		defer h.close()
		h.passed(h.callWith(h.open(`{"elicitation":{}}`), "hello", func(raw []byte) error {
			t.Errorf("the client was asked %s", raw)
			return nil
		}))
	})
	for surface, definition := range map[string]string{
		"description": `{"tools":[{"name":"echo","description":"a riddle","inputSchema":{"type":"object"}}],"resultType":"complete"}`,
		"name":        `{"tools":[{"name":"riddle","inputSchema":{"type":"object"}}],"resultType":"complete"}`,
	} {
		t.Run("definition by "+surface, func(t *testing.T) {
			h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
				if m.Method == wire.MethodToolsList {
					return definition
				}
				return ""
			}}, "", undecided)
			defer h.close()
			h.refused(h.call(nil, "hello"), "internal-error")
			if h.stub.count(wire.MethodToolsCall) != 0 {
				t.Error("the server was called")
			}
			if _, err := os.Stat(filepath.Join(h.dir, "gatehouse.lock")); err == nil {
				t.Error("the server was approved")
			}
		})
	}
}

func TestHandle_what_cannot_be_recorded_does_not_leave(t *testing.T) {
	h := newHouse(t, &stub{}, "")
	defer h.close()
	s := h.open("{}")
	h.passed(h.call(s, "before"))
	if err := h.trail.Close(); err != nil {
		t.Fatal(err)
	}
	before := h.stub.count(wire.MethodToolsCall)
	h.refused(h.call(s, "after"), "audit-unavailable")
	h.refused(h.call(nil, "after"), "audit-unavailable")
	for _, method := range []string{"tools/list", "prompts/get", "vendor/any"} {
		r := h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"x","method":%q,"params":{"name":"n"}}`, method), h.peer(s, nil))
		h.refused(r, "audit-unavailable")
	}
	h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","method":"notifications/vendor","params":{"note":"after"}}`), h.peer(s, nil))
	if h.stub.count(wire.MethodToolsCall) != before || strings.Contains(h.stub.all(), "after") {
		t.Errorf("the server got %s", h.stub.all())
	}
}

func TestHandle_strangers_are_refused(t *testing.T) {
	h := newHouse(t, &stub{}, "")
	defer h.close()
	s := h.open("{}")
	stranger := h.peer(s, nil)
	stranger.Local = false
	for _, raw := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo",` + modernMeta + `}}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`,
	} {
		h.refused(h.g.Handle(t.Context(), []byte(raw), stranger), "unidentified")
	}
	if h.session(s.id, "stub", false) != nil {
		t.Error("a stranger found the session")
	}
	if h.stub.count(wire.MethodToolsCall) != 0 {
		t.Error("the server was called")
	}
}

func TestHandle_a_request_without_an_id_goes_nowhere(t *testing.T) {
	h := newHouse(t, &stub{}, "")
	defer h.close()
	s := h.open("{}")
	for name := range methods {
		r := h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","method":%q,"params":{"name":"echo","note":"without"}}`, name), h.peer(s, nil))
		if r.Body != nil || r.Status != http.StatusBadRequest {
			t.Errorf("%s was answered %d %s", name, r.Status, r.Body)
		}
	}
	if strings.Contains(h.stub.all(), "without") {
		t.Errorf("the server got %s", h.stub.all())
	}
}

func TestSweep_ends_sessions_that_are_idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, "limits:\n  session_idle: 10m\n")
		defer h.close()
		idle, used, streaming := h.open("{}"), h.open("{}"), h.open("{}")
		defer streaming.Attach()()
		for range 5 {
			time.Sleep(4 * time.Minute)
			h.passed(h.call(used, "hello"))
		}
		for _, test := range []struct {
			name    string
			session *Session
			alive   bool
		}{{"idle", idle, false}, {"used", used, true}, {"streaming", streaming, true}} {
			if got := h.session(test.session.id, "stub", true) != nil; got != test.alive {
				t.Errorf("the %s session lives: %v, want %v", test.name, got, test.alive)
			}
		}
		if n := h.stub.count("DELETE"); n != 1 {
			t.Errorf("%d sessions with the server were ended, want 1", n)
		}
		if r := h.call(idle, "hello"); r.Status != http.StatusNotFound {
			t.Errorf("the ended session was answered %d %s", r.Status, r.Body)
		}
	})
}

func TestForward_timeouts(t *testing.T) {
	const limits = "limits:\n  timeout: 10s\n  max_timeout: 1m\n"
	progress := `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}`
	for _, test := range []struct {
		name   string
		answer func(ctx context.Context, out *stream)
		reason string // "" means that the answer arrives
		within time.Duration
	}{
		{"silence", func(ctx context.Context, _ *stream) { <-ctx.Done() }, "upstream-timeout", 10 * time.Second},
		{"an answer just in time", func(context.Context, *stream) { time.Sleep(9 * time.Second) }, "", 9 * time.Second},
		{"signs of life", func(_ context.Context, out *stream) {
			for range 5 {
				time.Sleep(8 * time.Second)
				out.send("%s", progress)
			}
		}, "", 40 * time.Second},
		{"signs of life without end", func(ctx context.Context, out *stream) {
			for ctx.Err() == nil {
				time.Sleep(8 * time.Second)
				out.send("%s", progress)
			}
		}, "upstream-timeout", time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, &stub{answer: func(ctx context.Context, m *wire.Message, out *stream) string {
					if m.Method == wire.MethodToolsCall {
						test.answer(ctx, out)
					}
					return ""
				}}, limits)
				defer h.close()
				s := h.open("{}")
				began := time.Now()
				r := h.callWith(s, "hello", func([]byte) error { return nil })
				if test.reason == "" {
					h.passed(r)
				} else {
					h.refused(r, test.reason)
				}
				if took := time.Since(began); took != test.within {
					t.Errorf("took %v, want %v", took, test.within)
				}
				synctest.Wait()
				if got := h.stub.count(wire.NotifyCancelled); (got == 1) != (test.reason != "") {
					t.Errorf("the server was told %d times that the call is over", got)
				}
				time.Sleep(10 * time.Second) // the server comes to its end
			})
		})
	}
}

// While a person is asked, the server is not the one that is late.
func TestForward_the_clock_stands_while_the_client_is_asked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answered := make(chan struct{})
		h := newHouse(t, &stub{answer: func(ctx context.Context, m *wire.Message, out *stream) string {
			if m.Method == wire.MethodToolsCall {
				out.send(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Which one?"}}`)
				<-answered
				time.Sleep(9 * time.Second)
			}
			return ""
		}}, "limits:\n  timeout: 10s\n  max_timeout: 5m\n")
		defer h.close()
		s := h.open(`{"elicitation":{}}`)
		began := time.Now()
		r := h.callWith(s, "hello", func(raw []byte) error {
			go func() {
				time.Sleep(2 * time.Minute) // a person thinks
				m, err := wire.Parse(raw, wire.Limits{})
				if err != nil {
					t.Error(err)
					return
				}
				h.g.Handle(t.Context(), wire.NewResult(m.ID, []byte(`{"action":"decline"}`)), h.peer(s, nil))
				synctest.Wait()
				close(answered)
			}()
			return nil
		})
		h.passed(r)
		if took, want := time.Since(began), 2*time.Minute+9*time.Second; took != want {
			t.Errorf("took %v, want %v", took, want)
		}
		if !strings.Contains(h.stub.all(), `{"jsonrpc":"2.0","id":"q","result":{"action":"decline"}}`) {
			t.Errorf("the server got %s", h.stub.all())
		}
	})
}

func TestFromServer_questions_are_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const asked = maxQuestions + 10
		h := newHouse(t, &stub{answer: func(ctx context.Context, m *wire.Message, out *stream) string {
			if m.Method == wire.MethodToolsCall {
				for i := range asked {
					out.send(`{"jsonrpc":"2.0","id":%d,"method":"elicitation/create","params":{"message":"Which one?"}}`, i)
				}
				<-ctx.Done()
			}
			return ""
		}}, "limits:\n  timeout: 10s\n  max_timeout: 30s\n")
		defer h.close()
		reached := 0
		var mu sync.Mutex
		h.callWith(h.open(`{"elicitation":{}}`), "hello", func(raw []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(string(raw), wire.MethodElicit) {
				reached++
			}
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		if reached != maxQuestions {
			t.Errorf("%d questions reached the client, want %d", reached, maxQuestions)
		}
		if n := strings.Count(h.stub.all(), `"reason":"overloaded"`); n != asked-maxQuestions {
			t.Errorf("%d questions were refused, want %d", n, asked-maxQuestions)
		}
	})
}

// A call relies on definitions that are less than a second old.
func TestLookup_reads_definitions_again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		changed := false
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			mu.Lock()
			defer mu.Unlock()
			if m.Method == wire.MethodToolsCall && strings.Contains(string(m.Raw), "announce") {
				out.send(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			}
			if m.Method == wire.MethodToolsList && changed {
				return strings.Replace(stubTools, `"name":"echo"`, `"name":"echo","title":"Echo!"`, 1)
			}
			return ""
		}}, "")
		defer h.close()
		for _, s := range []*Session{h.open("{}"), nil} {
			h.passed(h.call(s, "first"))
			lists := h.stub.count(wire.MethodToolsList)
			for range 10 {
				h.passed(h.call(s, "again"))
			}
			if n := h.stub.count(wire.MethodToolsList); n != lists {
				t.Errorf("within a second the list was read %d times more", n-lists)
			}
			h.passed(h.callWith(s, "announce", func([]byte) error { return nil }))
			h.passed(h.call(s, "after the announcement"))
			if n := h.stub.count(wire.MethodToolsList); n != lists+1 {
				t.Errorf("after the announcement the list was read %d times more, want once", n-lists)
			}
			time.Sleep(definitionAge)
			h.passed(h.call(s, "later"))
			if n := h.stub.count(wire.MethodToolsList); n != lists+2 {
				t.Errorf("a second later the list was read %d times more, want twice", n-lists)
			}
		}
		mu.Lock()
		changed = true
		mu.Unlock()
		time.Sleep(definitionAge)
		calls := h.stub.count(wire.MethodToolsCall)
		h.refused(h.call(nil, "hello"), "drift")
		if h.stub.count(wire.MethodToolsCall) != calls {
			t.Error("the changed tool was called")
		}
	})
}

// failing is a server that cannot be reached.
type failing struct {
	mu    sync.Mutex
	tried []time.Time
}

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodPost {
		f.tried = append(f.tried, time.Now())
	}
	return nil, errors.New("connection refused")
}

func TestOpen_backs_off_from_a_server_that_fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, "    era: legacy\n")
		defer h.close()
		down := &failing{}
		h.g.live.Load().servers["stub"].transport = down
		for range 600 { // five minutes of a client that does not give up
			h.refused(h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`),
				&Peer{Local: true, Mount: "stub"}), "upstream-unavailable")
			time.Sleep(500 * time.Millisecond)
		}
		// 0.5 + 1 + 2 + 4 + 8 + 16 seconds, then every thirty.
		if n := len(down.tried); n < 10 || n > 20 {
			t.Errorf("the server was tried %d times in five minutes", n)
		}
		var gaps []time.Duration
		for i := range down.tried[1:] {
			gaps = append(gaps, down.tried[i+1].Sub(down.tried[i]))
		}
		if !slices.IsSorted(gaps) || slices.Max(gaps) > lastBackOff+time.Second {
			t.Errorf("the gaps were %v", gaps)
		}
	})
}

// A client that goes away while a server starts is not the server's failure.
func TestOpen_a_client_that_leaves_does_not_hold_up_others(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
			if m.Method == wire.MethodInitialize {
				time.Sleep(5 * time.Second)
			}
			return ""
		}}, "")
		defer h.close()
		h.passed(h.call(nil, "hello")) // the server was looked at
		for range 5 {
			ctx, leave := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, leave)
			h.refused(h.g.Handle(ctx, []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`),
				&Peer{Local: true, Mount: "stub"}), "cancelled")
		}
		h.passed(h.call(h.open("{}"), "hello"))
		time.Sleep(10 * time.Second) // the server comes to its end
	})
}

func (h *house) session(id, mount string, local bool) *Session {
	s, _ := h.g.Session(context.Background(), &Peer{SessionID: id, Mount: mount, Local: local})
	return s
}
