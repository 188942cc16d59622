package gateway

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/rule"
	"gatehouse/internal/rules/secretexposed"
	"gatehouse/internal/wire"
)

// lister is a stub whose tools are those of pages, each with the cursor of the
// next. It lists one good page until turned is set.
func lister(turned *atomic.Bool, pages ...string) *stub {
	return &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
		if m.Method != wire.MethodToolsList || !turned.Load() {
			return ""
		}
		n := 0
		fmt.Sscanf(m.Params.Get("cursor").Text(), "%d", &n)
		if n == len(pages)-1 {
			return pages[n]
		}
		return strings.TrimSuffix(pages[n], "}") + fmt.Sprintf(`,"nextCursor":"%d"}`, n+1)
	}}
}

// turn is a switch that is on from the beginning.
func turn() *atomic.Bool {
	on := new(atomic.Bool)
	on.Store(true)
	return on
}

const (
	echoTool  = `{"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}`
	otherEcho = `{"name":"echo","description":"Another.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}`
)

// toolList is one page of tools.
func toolList(tools ...string) string {
	return `{"tools":[` + strings.Join(tools, ",") + `],"resultType":"complete","ttlMs":0,"cacheScope":"public"}`
}

// ask sends a request without a target, in a session or, with none,
// statelessly.
func (h *house) ask(s *Session, method string) Reply {
	params := "{}"
	if s == nil {
		params = "{" + modernMeta + "}"
	}
	h.id++
	return h.g.Handle(h.t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, h.id, method, params), h.peer(s, nil))
}

// records are those of the audit log so far.
func (h *house) records(kinds ...audit.Kind) []*audit.Record {
	h.t.Helper()
	var all []*audit.Record
	err := audit.Read(filepath.Join(h.dir, "audit"), audit.Filter{Kinds: kinds}, func(r *audit.Record) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// A decoder that does not tell upper from lower case would find another list, or
// another cursor, than the ones that are looked at.
func TestListForm_a_lookalike_member_is_refused(t *testing.T) {
	for _, list := range []string{
		`{"tools":[` + echoTool + `],"Tools":[],"resultType":"complete"}`,
		`{"Tools":[` + echoTool + `],"resultType":"complete"}`,
		`{"tools":[` + echoTool + `],"NextCursor":"1","resultType":"complete"}`,
	} {
		t.Run(list, func(t *testing.T) {
			h := newHouse(t, lister(turn(), list), "")
			defer h.close()
			h.refused(h.call(nil, "hello"), "upstream-invalid")
		})
		t.Run("later "+list, func(t *testing.T) {
			turned := new(atomic.Bool)
			h := newHouse(t, lister(turned, list), "")
			defer h.close()
			s := h.open("{}")
			turned.Store(true)
			for _, s := range []*Session{s, nil} {
				r := h.ask(s, wire.MethodToolsList)
				h.refused(r, "upstream-invalid")
				if strings.Contains(string(r.Body), "echo") {
					t.Errorf("the client got %s", r.Body)
				}
			}
		})
	}
}

// explosive is a rule that panics.
var explosive = rule.Rule{
	ID: "explosive", Severity: rule.High, Surfaces: rule.FromServer | rule.ToServer,
	Detect: func(s rule.Subject) ([]rule.Match, error) {
		if strings.Contains(s.Text, "spark") {
			panic("boom")
		}
		return nil, nil
	},
}

func TestHandle_a_panic_refuses_one_message_only(t *testing.T) {
	h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
		switch {
		case m.Method != wire.MethodToolsCall:
		case strings.Contains(string(m.Raw), "burn"):
			return `{"content":[{"type":"text","text":"a spark"}],"resultType":"complete"}`
		case strings.Contains(string(m.Raw), "tell"):
			out.send(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"a spark"}}`)
		}
		return ""
	}}, "", explosive)
	defer h.close()
	for _, s := range []*Session{h.open("{}"), nil} {
		h.refused(h.call(s, "a spark"), "internal-error")
		h.refused(h.call(s, "burn"), "internal-error")
		h.passed(h.callWith(s, "tell", func(raw []byte) error {
			t.Errorf("the client was told %s", raw)
			return nil
		}))
		h.passed(h.call(s, "hello"))
	}
	if n := h.g.inFlight.Load(); n != 0 {
		t.Errorf("%d exchanges count as in flight", n)
	}
}

// What a server lists is looked at in goroutines of their own.
func TestRecovered_a_panic_over_a_list_refuses_the_server_only(t *testing.T) {
	t.Run("first look", func(t *testing.T) {
		h := newHouse(t, lister(turn(), toolList(strings.Replace(otherEcho, "Another", "A spark", 1))), "", explosive)
		defer h.close()
		for range 2 {
			h.refused(h.call(nil, "hello"), "internal-error")
		}
		if h.stub.count(wire.MethodToolsCall) != 0 {
			t.Error("the server was called")
		}
	})
	t.Run("joined list", func(t *testing.T) {
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
			if m.Method == wire.MethodResourcesList {
				return `{"resources":[{"uri":"file:///a","name":"a spark"}],"resultType":"complete"}`
			}
			return ""
		}}, "", explosive)
		defer h.close()
		peer := &Peer{Local: true}
		r := h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"resources/list","params":{`+modernMeta+`}}`), peer)
		if !strings.Contains(string(r.Body), `"resources":[]`) {
			t.Errorf("answered %s", r.Body)
		}
		if ended := h.records(audit.Ended); len(ended) != 1 || !strings.Contains(ended[0].Detail, "stub left out (internal-error)") {
			t.Errorf("recorded %+v", ended)
		}
	})
}

// The log ends between the decision and the answer.
func TestReply_an_answer_that_cannot_be_recorded_does_not_leave(t *testing.T) {
	for _, modern := range []bool{false, true} {
		var h *house
		h = newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
			if m.Method == wire.MethodToolsCall {
				if err := h.trail.Close(); err != nil {
					t.Error(err)
				}
			}
			return ""
		}}, "")
		defer h.close()
		s := h.open("{}")
		if modern {
			s = nil
		}
		r := h.call(s, "hello")
		h.refused(r, "audit-unavailable")
		if strings.Contains(string(r.Body), "done") {
			t.Errorf("the client got %s", r.Body)
		}
		if n := h.stub.count(wire.MethodToolsCall); n != 1 {
			t.Errorf("the server was called %d times, want 1: the log was there at first", n)
		}
	}
}

func TestIdentify_initialize_comes_first(t *testing.T) {
	h := newHouse(t, &stub{}, "")
	defer h.close()
	s := h.g.Connect("stub", func([]byte) error { return nil })
	defer h.g.EndSession(s)
	send := func(method, params string) Reply {
		h.id++
		return h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, h.id, method, params),
			&Peer{Local: true, Mount: "stub", Connection: s})
	}
	h.refused(send(wire.MethodToolsList, "{}"), "malformed")
	h.refused(send(wire.MethodToolsCall, `{"name":"echo"}`), "malformed")
	if n := h.stub.count(wire.MethodToolsCall) + h.stub.count(wire.MethodInitialize); n != 0 {
		t.Errorf("the server got %s", h.stub.all())
	}
	if r := send(wire.MethodPing, "{}"); !strings.Contains(string(r.Body), `"result":{}`) {
		t.Errorf("a ping was answered %s", r.Body)
	}
	send(wire.MethodInitialize, `{"protocolVersion":"2025-11-25","capabilities":{}}`)
	h.passed(send(wire.MethodToolsCall, `{"name":"echo","arguments":{"text":"hello"}}`))
}

// One name with two definitions is neither of them: which one a call would reach
// is the server's choice.
func TestCollect_a_name_that_is_listed_twice_cannot_be_called(t *testing.T) {
	for name, pages := range map[string][]string{
		"one page":                   {toolList(otherEcho, echoTool)},
		"two pages":                  {toolList(otherEcho), toolList(echoTool)},
		"two pages, approved before": {toolList(echoTool), toolList(otherEcho)},
	} {
		t.Run(name+" at the first look", func(t *testing.T) {
			h := newHouse(t, lister(turn(), pages...), "")
			defer h.close()
			h.refused(h.call(nil, "hello"), "quarantined")
			if r := h.ask(nil, wire.MethodToolsList); strings.Contains(string(r.Body), "echo") {
				t.Errorf("the client got %s", r.Body)
			}
			if h.stub.count(wire.MethodToolsCall) != 0 {
				t.Error("the server was called")
			}
		})
		t.Run(name+" after approval", func(t *testing.T) {
			turned := new(atomic.Bool)
			h := newHouse(t, lister(turned, pages...), "")
			defer h.close()
			s := h.open("{}")
			turned.Store(true)
			h.refused(h.call(s, "hello"), "not-found")
			h.refused(h.call(nil, "hello"), "not-found")
			if r := h.ask(s, wire.MethodToolsList); strings.Contains(string(r.Body), "Another") {
				t.Errorf("the client got %s", r.Body)
			}
			if h.stub.count(wire.MethodToolsCall) != 0 {
				t.Error("the server was called")
			}
		})
	}
}

func TestFitList_a_filtered_list_is_private(t *testing.T) {
	turned := new(atomic.Bool)
	added := strings.Replace(echoTool, "echo", "added", 1)
	h := newHouse(t, lister(turned, toolList(echoTool, added)), "")
	defer h.close()
	h.open("{}") // approves what is there now
	turned.Store(true)
	r := string(h.ask(nil, wire.MethodToolsList).Body)
	if !strings.Contains(r, "echo") || strings.Contains(r, "added") || !strings.Contains(r, `"cacheScope":"private"`) {
		t.Errorf("answered %s", r)
	}

	whole := newHouse(t, lister(turn(), toolList(echoTool, added)), "")
	defer whole.close()
	if r := string(whole.ask(nil, wire.MethodToolsList).Body); !strings.Contains(r, "added") || !strings.Contains(r, `"cacheScope":"public"`) {
		t.Errorf("a list that was not filtered was answered %s", r)
	}
}

// The gateway declares everything when it reads definitions, so as to see all of
// them, and answers nothing.
func TestAdmitQuestion_the_gateway_itself_answers_nothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := false
		h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
			if m.Method == wire.MethodToolsList {
				asked = true
				for id, method := range []string{wire.MethodSampling, wire.MethodElicit, wire.MethodRoots} {
					out.send(`{"jsonrpc":"2.0","id":"q%d","method":%q,"params":{"message":"Which one?"}}`, id, method)
				}
				time.Sleep(time.Second) // the gateway has answered by now
			}
			return ""
		}}, "    era: legacy\n")
		defer h.close()
		if err := h.g.live.Load().servers["stub"].look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !asked || !strings.Contains(h.stub.all(), `"sampling":{`) {
			t.Errorf("the server got %s", h.stub.all())
		}
		if n := strings.Count(h.stub.all(), `"reason":"unsupported"`); n != 3 {
			t.Errorf("%d of 3 questions were refused: %s", n, h.stub.all())
		}
	})
}

// An endless list ends by its number of pages, or by their bytes together. The
// stub's ends a little later, so that a missing bound does not hang the test.
func TestPages_are_bounded(t *testing.T) {
	endless := func(page string) *stub {
		var pages atomic.Int64
		return &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
			if m.Method != wire.MethodToolsList {
				return ""
			}
			if pages.Add(1) > maxPages+10 {
				return stubTools
			}
			return page
		}}
	}
	t.Run("number", func(t *testing.T) {
		h := newHouse(t, endless(`{"tools":[],"nextCursor":"more","resultType":"complete"}`), "")
		defer h.close()
		h.refused(h.call(nil, "hello"), "upstream-flood")
		if n := h.stub.count(wire.MethodToolsList); n != maxPages {
			t.Errorf("%d pages were read, want %d", n, maxPages)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		page := `{"tools":[],"nextCursor":"more","resultType":"complete","padding":"` + strings.Repeat("x", 3<<10) + `"}`
		h := newHouse(t, endless(page), "limits:\n  result_bytes: 8192\n")
		defer h.close()
		h.refused(h.call(nil, "hello"), "upstream-too-large")
		if n := h.stub.count(wire.MethodToolsList); n != 3 {
			t.Errorf("%d pages of 3 KiB were read, want 3", n)
		}
	})
}

// blocking is a stub that answers one method only after release is closed.
func blocking(method string, release <-chan struct{}) *stub {
	return &stub{answer: func(ctx context.Context, m *wire.Message, _ *stream) string {
		if m.Method == method {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return ""
	}}
}

// later handles a message while the test goes on.
func (h *house) later(raw string, peer *Peer) <-chan Reply {
	done := make(chan Reply, 1)
	go func() { done <- h.g.Handle(h.t.Context(), []byte(raw), peer) }()
	synctest.Wait()
	return done
}

const (
	beginning = `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`
	calling   = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}`
)

func TestCancelFlight_not_of_initialize(t *testing.T) {
	cancel := []byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
	t.Run("initialize", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			h := newHouse(t, blocking(wire.MethodInitialize, release), "")
			defer h.close()
			s := h.g.Connect("stub", func([]byte) error { return nil })
			defer h.g.EndSession(s)
			peer := &Peer{Local: true, Mount: "stub", Connection: s}
			done := h.later(beginning, peer)
			h.g.Handle(t.Context(), cancel, peer)
			synctest.Wait()
			close(release)
			if r := <-done; !strings.Contains(string(r.Body), `"result":{"protocolVersion"`) {
				t.Errorf("initialize was answered %s", r.Body)
			}
		})
	})
	t.Run("call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, blocking(wire.MethodToolsCall, nil), "")
			defer h.close()
			s := h.open("{}")
			done := h.later(calling, h.peer(s, nil))
			h.g.Handle(t.Context(), cancel, h.peer(s, nil))
			h.refused(<-done, "cancelled")
		})
	})
}

func TestEnter_limits(t *testing.T) {
	t.Run("an id in flight", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			h := newHouse(t, blocking(wire.MethodToolsCall, release), "")
			defer h.close()
			s, other := h.open("{}"), h.open("{}")
			first := h.later(calling, h.peer(s, nil))
			h.refused(<-h.later(strings.Replace(calling, "hello", "twin", 1), h.peer(s, nil)), "malformed")
			elsewhere := h.later(calling, h.peer(other, nil))
			close(release)
			h.passed(<-first)
			h.passed(<-elsewhere)
			h.passed(h.g.Handle(t.Context(), []byte(calling), h.peer(s, nil))) // no longer in flight
			if strings.Contains(h.stub.all(), "twin") {
				t.Errorf("the server got %s", h.stub.all())
			}
		})
	})
	t.Run("exchanges in flight", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			h := newHouse(t, blocking(wire.MethodToolsCall, release), "limits:\n  in_flight: 2\n")
			defer h.close()
			a, b, c := h.open("{}"), h.open("{}"), h.open("{}")
			first, second := h.later(calling, h.peer(a, nil)), h.later(calling, h.peer(b, nil))
			for _, s := range []*Session{c, nil} {
				r := h.ask(s, wire.MethodToolsList)
				h.refused(r, "overloaded")
			}
			close(release)
			h.passed(<-first)
			h.passed(<-second)
			h.passed(h.call(c, "hello"))
		})
	})
	t.Run("sessions", func(t *testing.T) {
		h := newHouse(t, &stub{}, "limits:\n  sessions: 2\n")
		defer h.close()
		h.open("{}")
		last := h.open("{}")
		peer := &Peer{Local: true, Mount: "stub"}
		r := h.g.Handle(t.Context(), []byte(beginning), peer)
		h.refused(r, "overloaded")
		if r.Session != "" {
			t.Errorf("a session began: %s", r.Body)
		}
		h.g.EndSession(last)
		h.open("{}") // fails if there is no place
	})
}

func TestStoreArguments_without_secrets(t *testing.T) {
	const half = "FJ6kPU9541PZwIpm3EXYNHnBq6GDyx21l8sz"
	secret := "gh" + "p_" + half // in two parts, so that no file holds a token
	for name, more := range map[string]string{"refused": "", "reported only": "rules:\n  secret-exposed: report\n"} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, &stub{}, more, secretexposed.Rule)
			defer h.close()
			r := h.call(h.open("{}"), "use "+secret+" please")
			if more == "" {
				h.refused(r, "rule-matched")
			} else {
				h.passed(r)
			}
			stored := 0
			for _, record := range h.records(audit.Decided, audit.Ended) {
				if strings.Contains(string(record.Arguments), half) {
					t.Errorf("the record holds %s", record.Arguments)
				}
				if strings.Contains(string(record.Arguments), "please") {
					stored++
				}
			}
			if stored != 1 {
				t.Errorf("%d records hold the rest of the arguments, want 1", stored)
			}
			files, err := filepath.Glob(filepath.Join(h.dir, "audit", "*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("the log has the files %v, %v", files, err)
			}
			for _, file := range files {
				if raw, err := os.ReadFile(file); err == nil && strings.Contains(string(raw), half) {
					t.Errorf("%s holds the secret", filepath.Base(file))
				}
			}
		})
	}
}

func TestMatchParamHeaders(t *testing.T) {
	tool := strings.Replace(echoTool, `{"type":"string"}`, `{"type":"string","x-mcp-header":"Region"}`, 1)
	h := newHouse(t, lister(turn(), toolList(tool)), "")
	defer h.close()
	send := func(arguments string, values ...string) Reply {
		header := http.Header{headerVersion: {wire.ModernVersion}, headerMethod: {wire.MethodToolsCall}, headerName: {"echo"}}
		if len(values) > 0 {
			header["Mcp-Param-Region"] = values
		}
		peer := h.peer(nil, nil)
		peer.Header = header
		return h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":%s,%s}}`,
			arguments, modernMeta), peer)
	}
	h.passed(send(`{"text":"north"}`, "north"))
	h.passed(send(`{"text":"north"}`, "=?base64?bm9ydGg=?="))
	h.passed(send(`{}`))
	calls := h.stub.count(wire.MethodToolsCall)
	for name, r := range map[string]Reply{
		"another value":       send(`{"text":"north"}`, "south"),
		"no header":           send(`{"text":"north"}`),
		"two headers":         send(`{"text":"north"}`, "north", "south"),
		"no argument":         send(`{}`, "north"),
		"an ill-formed value": send(`{"text":"north"}`, "=?base64?bm9y?="),
	} {
		if !strings.Contains(string(r.Body), fmt.Sprintf(`"code":%d`, wire.CodeHeaderMismatch)) || r.Status != http.StatusBadRequest {
			t.Errorf("%s: answered %d %s", name, r.Status, r.Body)
		}
		h.refused(r, string(decision.HeaderMismatch))
	}
	if n := h.stub.count(wire.MethodToolsCall); n != calls {
		t.Errorf("the server was called %d times", n-calls)
	}
}

// Whoever can write the configuration could otherwise put any program behind an
// approved name. It must not even be started.
func TestReadAndJudge_a_changed_command_is_not_started(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := fmt.Sprintf("  other:\n    era: legacy\n    command: [%q, '-test.run=^$']\n", program) // ends at once
	for _, test := range []struct {
		name    string
		changed bool
		reason  string
		started int
	}{{"the approved command", false, "upstream-unavailable", 1}, {"another command", true, "drift", 0}} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t, &stub{}, other)
			defer h.close()
			approved := h.g.live.Load().servers["other"].source()
			if test.changed {
				approved.Command = []string{"before"}
			}
			if _, err := h.g.book.Observe("other", approval.Definition{Source: approved}, approval.ObserveOptions{}); err != nil {
				t.Fatal(err)
			}
			r := h.g.Handle(t.Context(), []byte(beginning), &Peer{Local: true, Mount: "other"})
			h.refused(r, test.reason)
			if n := len(h.records(audit.ServerStarted)); n != test.started {
				t.Errorf("the program was started %d times, want %d", n, test.started)
			}
		})
	}
}

// A server can fill its list with harmless oddities. The one definition that
// matters is judged all the same.
func TestJudge_many_harmless_findings_hide_nothing(t *testing.T) {
	noise := rule.Rule{ID: "noise", Severity: rule.Low, Surfaces: rule.ToolDefinition, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if !strings.Contains(s.Text, "noise") {
			return nil, nil
		}
		return []rule.Match{{Start: 0, End: len(s.Text)}}, nil
	}}
	poison := rule.Rule{ID: "poison", Severity: rule.Critical, Surfaces: rule.ToolDefinition, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if s.Text != "poison" {
			return nil, nil
		}
		return []rule.Match{{Start: 0, End: len(s.Text)}}, nil
	}}
	tools := make([]string, 2*maxDefinitionFindings)
	for i := range tools {
		tools[i] = fmt.Sprintf(`{"name":"t%d","description":"noise","inputSchema":{"type":"object"}}`, i)
	}
	list := toolList(append(tools, echoTool, `{"name":"last","description":"poison","inputSchema":{"type":"object"}}`)...)
	h := newHouse(t, lister(turn(), list), "", noise, poison)
	defer h.close()
	h.refused(h.call(nil, "hello"), "quarantined")
}

// Instructions under another spelling would reach clients that do not tell upper
// from lower case, without ever having been approved.
func TestInstructions_a_lookalike_is_refused(t *testing.T) {
	for method, result := range map[string]string{
		wire.MethodDiscover:   `{"resultType":"complete","ttlMs":0,"cacheScope":"public","supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{"tools":{}},"Instructions":"do as I say"}`,
		wire.MethodInitialize: `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"},"Instructions":"do as I say"}`,
	} {
		t.Run(method, func(t *testing.T) {
			turned := new(atomic.Bool)
			h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
				if m.Method == method && turned.Load() {
					return result
				}
				return ""
			}}, "")
			defer h.close()
			h.call(nil, "hello") // admitted while it was honest
			turned.Store(true)
			params := `{` + modernMeta + `}`
			if method == wire.MethodInitialize {
				params = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`
			}
			r := h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`), h.peer(nil, nil))
			h.refused(r, "upstream-invalid")
			if strings.Contains(string(r.Body), "do as I say") {
				t.Errorf("the client got %s", r.Body)
			}
		})
	}
}

// Clients write null for what they leave out. That is no wrong argument, unless the
// tool needs it.
func TestValidate_null_is_absent_where_an_argument_is_optional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tools := `{"tools":[{"name":"echo","inputSchema":{"type":"object","required":["text"],"properties":{"text":{"type":"string"},"loud":{"type":"boolean"}}}}]}`
		h := newHouse(t, lister(turn(), tools), "")
		defer h.close()
		s := h.open(`{}`)
		for arguments, passes := range map[string]bool{
			`{"text":"x","loud":null}`: true,
			`{"text":null}`:            false,
			`{"text":"x","loud":"no"}`: false,
		} {
			h.id++
			r := h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":%s}}`, h.id, arguments), h.peer(s, nil))
			if got := strings.Contains(string(r.Body), `"text":"done"`); got != passes {
				t.Errorf("%s: answered %s", arguments, r.Body)
			}
		}
	})
}
