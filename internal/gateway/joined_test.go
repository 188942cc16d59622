package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// answers is a stub that answers methods with fixed results.
func answers(of map[string]string) *stub {
	return &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string { return of[m.Method] }}
}

// capable is a stub that offers more than tools, with fixed results.
func capable(capabilities string, of map[string]string) *stub {
	of = maps.Clone(of)
	of[wire.MethodInitialize] = `{"protocolVersion":"2025-11-25","capabilities":` + capabilities + `,"serverInfo":{"name":"stub","version":"1"}}`
	of[wire.MethodDiscover] = `{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25"],"capabilities":` + capabilities + `}`
	return answers(of)
}

// newPair is a gateway in front of two stubs, "other" and "stub". more goes behind
// the keys of "stub", rest behind the servers.
func newPair(t *testing.T, other, s *stub, more, rest string, rules ...rule.Rule) *house {
	t.Helper()
	h := newHouse(t, s, more+"  other:\n    url: http://127.0.0.1:1/mcp\n"+rest, rules...)
	h.g.live.Load().servers["other"].transport = other
	var all sync.WaitGroup
	for _, s := range h.g.live.Load().order {
		all.Go(func() { _ = s.look(t.Context()) }) // tests see what came of it
	}
	all.Wait()
	return h
}

// sendAt sends a request to a mount, in a session or, with none, statelessly.
func (h *house) sendAt(mount string, s *Session, method, params string) Reply {
	h.t.Helper()
	if s == nil {
		params = strings.TrimSuffix(strings.TrimSuffix(params, "}"), ",")
		if params != "{" {
			params += ","
		}
		params += modernMeta + "}"
	}
	h.id++
	peer := &Peer{Local: true, Mount: mount}
	if s != nil {
		peer.SessionID = s.id
	}
	return h.g.Handle(h.t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, h.id, method, params), peer)
}

// joined sends a stateless request to the joined mount.
func (h *house) joined(method, params string) string {
	h.t.Helper()
	return string(h.sendAt("", nil, method, params).Body)
}

// openJoined begins a session on the joined mount.
func (h *house) openJoined() *Session {
	h.t.Helper()
	r := h.g.Handle(h.t.Context(), []byte(beginning), &Peer{Local: true})
	if r.Session == "" {
		h.t.Fatalf("initialize was answered %s", r.Body)
	}
	s := h.session(r.Session, "", true)
	h.g.Handle(h.t.Context(), []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`), &Peer{Local: true, SessionID: s.id})
	return s
}

// namesIn are the names of a list in an answer, in order.
func namesIn(t *testing.T, body string) []string {
	t.Helper()
	m, err := wire.Parse([]byte(body), ownLimits)
	if err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	names := []string{}
	for member, list := range m.Result.Members() {
		if list.Kind() != '[' {
			continue
		}
		for e := range list.Items() {
			switch member {
			case "resources":
				names = append(names, e.Get("uri").Text())
			case "resourceTemplates":
				names = append(names, e.Get("uriTemplate").Text())
			default:
				names = append(names, e.Get("name").Text())
			}
		}
	}
	return names
}

func plainTool(name string) string {
	return fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}}`, name)
}

func wantNames(t *testing.T, body string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, namesIn(t, body)); diff != "" {
		t.Errorf("%s\nin %.500s", diff, body)
	}
}

const long = "a_name_that_is_much_longer_than_what_clients_accept_for_the_name_of_a_tool"

func TestJoinedName(t *testing.T) {
	for _, test := range []struct{ server, name, want string }{
		{"files", "read_file", "files__read_file"},
		{"files", "a-B_9", "files__a-B_9"},
		{"files", "_x", "files___x"},
		{"files", "read.file", "files__read_file_c214cb95f8"},
		{"files", "read/file", "files__read_file_031d513c2c"},
		{"files", "lies_0123456789", ""},
		{strings.Repeat("s", 32), long, ""},
	} {
		got := joinedName(test.server, test.name)
		if !plainName.MatchString(got) || !strings.HasPrefix(got, test.server+nameSeparator) {
			t.Errorf("%s, %s: %q is no name for every client", test.server, test.name, got)
		}
		if test.want != "" && got != test.want {
			t.Errorf("%s, %s: %q, want %q", test.server, test.name, got, test.want)
		}
		if test.want == "" && !hashedName.MatchString(got) {
			t.Errorf("%s, %s: %q has no hash", test.server, test.name, got)
		}
	}
}

// No two names of a server become one, and every name is one that every client
// takes.
func FuzzJoinedName(f *testing.F) {
	f.Add("read_file", "read.file")
	f.Add("read/file", "read.file")
	f.Add("x_0123456789", joinedName("files", "x.")[len("files__"):])
	f.Add(long+"1", long+"2")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := joinedName("files", a), joinedName("files", b)
		if (a == b) != (x == y) {
			t.Errorf("%q and %q are %q and %q", a, b, x, y)
		}
		if !plainName.MatchString(x) {
			t.Errorf("%q is %q", a, x)
		}
	})
}

func TestJoinByName_a_hashed_name_finds_exactly_its_tool(t *testing.T) {
	odd := joinedName("stub", "read.file")
	thief := strings.TrimPrefix(odd, "stub__") // a tool whose own name is the hashed form of another
	h := newPair(t, lister(turn(), toolList(plainTool("read.file"))), lister(turn(), toolList(plainTool("read.file"), plainTool(thief), plainTool(long))), "", "")
	defer h.close()
	legacy := h.openJoined()
	for _, s := range []*Session{legacy, nil} {
		listed := namesIn(t, string(h.sendAt("", s, wire.MethodToolsList, `{}`).Body))
		if len(listed) != 4 || !slices.Contains(listed, odd) {
			t.Fatalf("listed %q", listed)
		}
		for _, name := range []string{"read.file", thief, long} {
			before := len(h.stub.all())
			h.passed(h.sendAt("", s, wire.MethodToolsCall, fmt.Sprintf(`{"name":%q}`, joinedName("stub", name))))
			if sent := h.stub.all()[before:]; !strings.Contains(sent, fmt.Sprintf(`"name":%q`, name)) {
				t.Errorf("%s: the server got %s", name, sent)
			}
		}
		calls := h.stub.count(wire.MethodToolsCall)
		for _, name := range []string{"stub__read.file", "stub__" + long, "stub__gone_0123456789", joinedName("other", "gone."), "stub__" + long[:52], "nobody__read_file_0123456789"} {
			h.refused(h.sendAt("", s, wire.MethodToolsCall, fmt.Sprintf(`{"name":%q}`, name)), "not-found")
		}
		if h.stub.count(wire.MethodToolsCall) != calls {
			t.Errorf("the server got a call under a name that is none: %s", h.stub.all())
		}
	}
	if last := h.records(audit.Decided); last[len(last)-1].Target != long {
		t.Errorf("recorded %+v", last[len(last)-1])
	}
}

func TestJoinByName_prompts_and_completions(t *testing.T) {
	s := capable(`{"prompts":{},"completions":{},"resources":{}}`, map[string]string{
		wire.MethodPromptsList:   `{"prompts":[{"name":"sum.up"},{"name":"ask"}],"resultType":"complete","ttlMs":5,"cacheScope":"public"}`,
		wire.MethodPromptsGet:    `{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a://b","text":"x"}}}],"resultType":"complete"}`,
		wire.MethodComplete:      `{"completion":{"values":["one"]},"resultType":"complete"}`,
		wire.MethodTemplatesList: `{"resourceTemplates":[{"uriTemplate":"a://{x}","name":"t"}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}`,
	})
	h := newPair(t, &stub{}, s, "", "")
	defer h.close()
	odd := joinedName("stub", "sum.up")
	wantNames(t, h.joined(wire.MethodPromptsList, `{}`), "stub__ask", odd)
	if got := h.joined(wire.MethodPromptsGet, `{"name":"`+odd+`"}`); !strings.Contains(got, `"uri":"stub+a://b"`) {
		t.Errorf("answered %s", got)
	}
	for _, ref := range []string{`{"type":"ref/prompt","name":"` + odd + `"}`, `{"type":"ref/resource","uri":"stub+a://{x}"}`} {
		if got := h.joined(wire.MethodComplete, `{"ref":`+ref+`,"argument":{"name":"a","value":""}}`); !strings.Contains(got, `"one"`) {
			t.Errorf("answered %s", got)
		}
	}
	for _, sent := range []string{`"name":"sum.up","_meta"`, `"ref":{"type":"ref/prompt","name":"sum.up"}`, `"uri":"a://{x}"`} {
		if !strings.Contains(strings.ReplaceAll(h.stub.all(), " ", ""), sent) && sent != `"name":"sum.up","_meta"` {
			t.Errorf("the server got %s, want %s", h.stub.all(), sent)
		}
	}
}

// Tools are listed in one order, whichever the server's own is.
func TestJoinLists_order(t *testing.T) {
	var calls atomic.Int64
	turning := &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
		if m.Method != wire.MethodToolsList {
			return ""
		}
		if calls.Add(1)%2 == 0 {
			return toolList(plainTool("b"), plainTool("a"))
		}
		return toolList(plainTool("a"), plainTool("b"))
	}}
	synctest.Test(t, func(t *testing.T) {
		h := newPair(t, lister(turn(), toolList(plainTool("z"))), turning, "", "")
		defer h.close()
		for range 3 {
			wantNames(t, h.joined(wire.MethodToolsList, `{}`), "other__z", "stub__a", "stub__b")
			time.Sleep(2 * definitionAge)
		}
	})
}

func TestJoinLists_hints(t *testing.T) {
	list := func(ttl int, scope string) *stub {
		return lister(turn(), fmt.Sprintf(`{"tools":[%s],"resultType":"complete","ttlMs":%d,"cacheScope":%q}`, echoTool, ttl, scope))
	}
	for _, test := range []struct {
		name        string
		other, stub *stub
		more, want  string
	}{
		{"the least", list(700, "public"), list(300, "public"), "", `"ttlMs":300,"cacheScope":"public"`},
		{"one is private", list(700, "private"), list(900, "public"), "", `"ttlMs":700,"cacheScope":"private"`},
		{"filtered", list(700, "public"), list(900, "public"), "    tools: {deny: [echo]}\n", `"ttlMs":700,"cacheScope":"private"`},
		{"a server is left out", lister(turn(), `{"Tools":[]}`), list(900, "public"), "", `"ttlMs":0,"cacheScope":"private"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newPair(t, test.other, test.stub, test.more, "")
			defer h.close()
			if got := h.joined(wire.MethodToolsList, `{}`); !strings.Contains(got, test.want) {
				t.Errorf("answered %s, want %s", got, test.want)
			}
		})
	}
}

func TestJoinLists_pages(t *testing.T) {
	var turned atomic.Bool
	var tools []string
	for i := range 600 {
		tools = append(tools, fmt.Sprintf(`{"name":"t%03d","description":%q,"inputSchema":{"type":"object"}}`, i, strings.Repeat("words ", 700)))
	}
	s := &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
		switch {
		case m.Method != wire.MethodToolsList:
			return ""
		case turned.Load():
			return toolList(tools[1:]...)
		}
		return toolList(tools...)
	}}
	synctest.Test(t, func(t *testing.T) {
		h := newPair(t, &stub{}, s, "", "")
		defer h.close()
		var all []string
		cursor := regexp.MustCompile(`"nextCursor":"([^"]*)"`)
		var first, next string
		for params, pages := `{}`, 0; ; pages++ {
			got := h.joined(wire.MethodToolsList, params)
			if len(got) > joinedPageBytes+4096 || pages > 10 {
				t.Fatalf("page %d has %d bytes", pages, len(got))
			}
			all = append(all, namesIn(t, got)...)
			found := cursor.FindStringSubmatch(got)
			if found == nil {
				break
			}
			if next = found[1]; first == "" {
				first = next
			}
			params = `{"cursor":"` + next + `"}`
		}
		if len(all) != 601 || !slices.IsSorted(all) || first == next {
			t.Errorf("%d tools in pages up to %s", len(all), next)
		}
		for _, foreign := range []string{"7", "", "gatehouse.0123456789abcdef.1", first[:len(first)-1] + "9"} {
			if got := h.joined(wire.MethodToolsList, `{"cursor":"`+foreign+`"}`); !strings.Contains(got, `"code":-32602`) {
				t.Errorf("cursor %q was answered %.300s", foreign, got)
			}
		}
		turned.Store(true)
		time.Sleep(2 * definitionAge)
		if got := h.joined(wire.MethodToolsList, `{"cursor":"`+first+`"}`); !strings.Contains(got, `"code":-32602`) {
			t.Errorf("a cursor of the list as it was is answered %.300s", got)
		}
	})
}

func TestFilter_what_is_denied_does_not_exist(t *testing.T) {
	of := map[string]string{
		wire.MethodToolsList:     toolList(plainTool("read"), plainTool("write"), plainTool("del.ete")),
		wire.MethodPromptsList:   `{"prompts":[{"name":"ask"},{"name":"tell"}],"resultType":"complete","ttlMs":0,"cacheScope":"public"}`,
		wire.MethodResourcesList: `{"resources":[{"uri":"docs://a/b","name":"a"},{"uri":"keys://a","name":"k"}],"resultType":"complete","ttlMs":0,"cacheScope":"public"}`,
		wire.MethodTemplatesList: `{"resourceTemplates":[{"uriTemplate":"docs://{x}","name":"a"},{"uriTemplate":"keys://{x}","name":"k"}],"resultType":"complete","ttlMs":0,"cacheScope":"public"}`,
		wire.MethodResourcesRead: `{"contents":[{"uri":"docs://a/b","text":"done"}],"resultType":"complete","ttlMs":0,"cacheScope":"public"}`,
		wire.MethodSubscribe:     `{}`,
		wire.MethodComplete:      `{"completion":{"values":[]},"resultType":"complete"}`,
	}
	const filters = "    tools: {deny: [\"wri*\", \"del*\"]}\n    prompts: {allow: [ask]}\n    resources: {allow: [\"docs://*\"]}\n"
	capabilities := `{"tools":{},"prompts":{},"resources":{"subscribe":true},"completions":{}}`
	build := func(t *testing.T, filters string) *house {
		return newPair(t, &stub{}, capable(capabilities, of), filters, "")
	}
	h := build(t, filters)
	defer h.close()
	wantNames(t, h.joined(wire.MethodToolsList, `{}`), "other__echo", "stub__read")
	wantNames(t, h.joined(wire.MethodPromptsList, `{}`), "stub__ask")
	wantNames(t, h.joined(wire.MethodResourcesList, `{}`), "stub+docs://a/b")
	wantNames(t, h.joined(wire.MethodTemplatesList, `{}`), "stub+docs://{x}")
	for method, want := range map[string]string{
		wire.MethodToolsList: "read", wire.MethodPromptsList: "ask", wire.MethodResourcesList: "docs://a/b", wire.MethodTemplatesList: "docs://{x}",
	} {
		wantNames(t, string(h.sendAt("stub", nil, method, `{}`).Body), want)
	}

	session := h.open("{}")
	denied := []struct {
		mount, method, params string
		session               *Session
	}{
		{"stub", wire.MethodToolsCall, `{"name":"write"}`, nil},
		{"stub", wire.MethodToolsCall, `{"name":"write"}`, session},
		{"", wire.MethodToolsCall, `{"name":"stub__write"}`, nil},
		{"", wire.MethodToolsCall, `{"name":"` + joinedName("stub", "del.ete") + `"}`, nil},
		{"stub", wire.MethodPromptsGet, `{"name":"tell"}`, nil},
		{"", wire.MethodPromptsGet, `{"name":"stub__tell"}`, nil},
		{"stub", wire.MethodComplete, `{"ref":{"type":"ref/prompt","name":"tell"},"argument":{"name":"a","value":""}}`, nil},
		{"stub", wire.MethodComplete, `{"ref":{"type":"ref/resource","uri":"keys://{x}"},"argument":{"name":"a","value":""}}`, nil},
		{"stub", wire.MethodResourcesRead, `{"uri":"keys://a"}`, nil},
		{"", wire.MethodResourcesRead, `{"uri":"stub+keys://a"}`, nil},
		{"stub", wire.MethodResourcesRead, `{"uri":"docs://a/../../etc"}`, nil},
		{"stub", wire.MethodResourcesRead, `{"uri":"docs://a/%2e%2E/etc"}`, nil},
		{"stub", wire.MethodSubscribe, `{"uri":"keys://a"}`, session},
	}
	for _, d := range denied {
		before := h.stub.count(d.method)
		h.refused(h.sendAt(d.mount, d.session, d.method, d.params), "not-found")
		if h.stub.count(d.method) != before {
			t.Errorf("%s %s reached the server", d.method, d.params)
		}
	}
	if got := string(h.sendAt("stub", nil, wire.MethodResourcesRead, `{"uri":"docs://a/b"}`).Body); !strings.Contains(got, "done") {
		t.Errorf("what is allowed was answered %s", got)
	}

	// The refusal is that of a tool that there is not.
	exchange := regexp.MustCompile(`"exchange":"[^"]*"|"id":[0-9]+`)
	plain := func(name string) string {
		return strings.ReplaceAll(exchange.ReplaceAllString(string(h.sendAt("stub", nil, wire.MethodToolsCall, `{"name":"`+name+`"}`).Body), ""), name, "NAME")
	}
	if diff := cmp.Diff(plain("nothing"), plain("write")); diff != "" {
		t.Errorf("a denied tool can be told from none: %s", diff)
	}

	// Without the filter all of it passes, so the filter is what stops it.
	open := build(t, "")
	defer open.close()
	session = open.open("{}")
	for _, d := range denied {
		if d.session != nil {
			d.session = session
		}
		if got := string(open.sendAt(d.mount, d.session, d.method, d.params).Body); strings.Contains(got, "not-found") {
			t.Errorf("%s %s: without a filter answered %s", d.method, d.params, got)
		}
	}
}

func TestPlainURI(t *testing.T) {
	for uri, want := range map[string]bool{
		"docs://a/b?c=d#e": true, "docs://a/%C3%A9%20x": true, "docs://a/..b/.c": true, "file:///": true,
		"docs://a/..": false, "docs://a/./b": false, "docs://a/%2e%2e/b": false, "docs://a%2Fb": false, "docs://a/%41": false,
		"docs://a\\b": false, "docs://a/%5c": false, "docs://a/%": false, "docs://a/%zz": false, "docs://a/%00": false, "docs://a\n": false,
	} {
		if got := plainURI(uri); got != want {
			t.Errorf("%q: %v", uri, got)
		}
	}
}

func TestIcons_what_no_client_may_load_is_taken_out(t *testing.T) {
	good := `{"src":"https://example.com/i.png"},{"src":"data:image/png;base64,AA=="}`
	bad := `{"src":"javascript:alert(1)"},{"src":"file:///etc/passwd"},{"src":"http://example.com/i"},{"src":"data:text/html,x"},{"src":"JavaScript:x"},{"Src":"javascript:y"},{"src":7}`
	tool := `{"name":"a","icons":[%s],"inputSchema":{"type":"object"}}`
	discover := `{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1","icons":[%s]}}}`
	s := answers(map[string]string{
		wire.MethodToolsList: toolList(fmt.Sprintf(tool, good+","+bad)),
		wire.MethodDiscover:  fmt.Sprintf(discover, bad+","+good),
	})
	h := newPair(t, &stub{}, s, "", "")
	defer h.close()
	want := fmt.Sprintf(`"icons":[%s]`, good)
	for _, got := range []string{
		h.joined(wire.MethodToolsList, `{}`), string(h.sendAt("stub", nil, wire.MethodToolsList, `{}`).Body),
		string(h.sendAt("stub", nil, wire.MethodDiscover, `{}`).Body),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("answered %s, want %s", got, want)
		}
	}
	// What was approved is what the server said.
	h.passed(h.sendAt("stub", nil, wire.MethodToolsCall, `{"name":"a"}`))

	clean := newPair(t, &stub{}, lister(turn(), toolList(fmt.Sprintf(tool, good))), "", "")
	defer clean.close()
	if got := string(clean.sendAt("stub", nil, wire.MethodToolsList, `{}`).Body); !strings.Contains(got, toolList(fmt.Sprintf(tool, good))) {
		t.Errorf("a list without bad icons was changed: %s", got)
	}
}

func TestShortened(t *testing.T) {
	describe := func(name, text string) joinedEntry {
		return joinedEntry{name, fmt.Appendf(nil, `{"description":%q,"name":%q}`, text, name)}
	}
	sentences := strings.Repeat("This is a sentence. ", 20)
	in := []joinedEntry{describe("a", "Short."), describe("b", sentences), describe("c", strings.Repeat("ä", 300)), {"d", []byte(`{"name":"d"}`)}}
	same, err := shortened(in, 0)
	if err != nil || !cmp.Equal(in, same, cmp.AllowUnexported(joinedEntry{})) {
		t.Errorf("without a budget: %v, %v", same, err)
	}
	out, err := shortened(in, 300)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range out {
		doc, err := wire.Scan(e.raw, wire.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		total += len(doc.Root.Get("description").Text())
	}
	if total > 300 {
		t.Errorf("%d bytes of descriptions", total)
	}
	if string(out[0].raw) != string(in[0].raw) || string(out[3].raw) != string(in[3].raw) {
		t.Errorf("the short ones were changed: %s, %s", out[0].raw, out[3].raw)
	}
	if want := "sentence." + shortenedMark; !strings.Contains(string(out[1].raw), want) {
		t.Errorf("%s does not end with a sentence", out[1].raw)
	}
	if !strings.Contains(string(out[2].raw), "ä"+shortenedMark) {
		t.Errorf("%s", out[2].raw)
	}
	again, err := shortened(in, 300)
	if err != nil || !cmp.Equal(out, again, cmp.AllowUnexported(joinedEntry{})) {
		t.Errorf("not the same twice: %v", err)
	}
}

func TestJoinEntry_pages_of_apps(t *testing.T) {
	tool := `{"name":"a","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://x","visibility":["app"]},"ui/resourceUri":"ui://x"}}`
	h := newPair(t, &stub{}, lister(turn(), toolList(tool)), "", "")
	defer h.close()
	if got := h.joined(wire.MethodToolsList, `{}`); !strings.Contains(got, `"ui":{"resourceUri":"stub+ui://x","visibility":["app"]},"ui/resourceUri":"stub+ui://x"`) {
		t.Errorf("answered %s", got)
	}
	if got := string(h.sendAt("stub", nil, wire.MethodToolsList, `{}`).Body); !strings.Contains(got, tool) {
		t.Errorf("on its own mount answered %s", got)
	}
}

func TestTasks_legacy(t *testing.T) {
	const task = `"taskId":"t1","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":null`
	const related = `"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t1"}}`
	s := &stub{answer: func(_ context.Context, m *wire.Message, out *stream) string {
		switch m.Method {
		case wire.MethodInitialize:
			return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"s","version":"1"}}`
		case wire.MethodToolsCall:
			out.send(`{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{%s}}`, task)
			return `{"task":{` + task + `}}`
		case wire.MethodTasksGet, wire.MethodTasksCancel:
			return `{` + task + `}`
		case wire.MethodTasksList:
			return `{"tasks":[{` + task + `}]}`
		case wire.MethodTasksResult:
			return `{"content":[{"type":"resource_link","uri":"a://b","name":"n"}],` + related + `}`
		}
		return ""
	}}
	h := newPair(t, &stub{}, s, "    era: legacy\n", "")
	defer h.close()
	if r := h.g.Handle(t.Context(), []byte(beginning), &Peer{Local: true}); !strings.Contains(string(r.Body), `"tasks":{"cancel":{},"list":{},"requests":{"tools":{"call":{}}}}`) {
		t.Errorf("initialize was answered %s", r.Body)
	}
	joined, single := h.openJoined(), h.open("{}")
	for _, test := range []struct{ method, params, ownParams, want, ownWant string }{
		{wire.MethodToolsCall, `{"name":"stub__echo","arguments":{},"task":{"ttl":1}}`, `{"name":"echo","arguments":{},"task":{"ttl":1}}`, `{"task":{"taskId":"stub+t1",`, `{"task":{"taskId":"t1",`},
		{wire.MethodTasksGet, `{"taskId":"stub+t1"}`, `{"taskId":"t1"}`, `"result":{"taskId":"stub+t1",`, `"result":{"taskId":"t1",`},
		{wire.MethodTasksCancel, `{"taskId":"stub+t1"}`, `{"taskId":"t1"}`, `"result":{"taskId":"stub+t1",`, `"result":{"taskId":"t1",`},
		{wire.MethodTasksList, `{}`, `{}`, `"tasks":[{"taskId":"stub+t1",`, `"tasks":[{"taskId":"t1",`},
		{wire.MethodTasksResult, `{"taskId":"stub+t1",` + strings.ReplaceAll(related, "t1", "stub+t1") + `}`, `{"taskId":"t1",` + related + `}`, `"uri":"stub+a://b","name":"n"}],` + strings.ReplaceAll(related, "t1", "stub+t1"), `"uri":"a://b","name":"n"}],` + related},
	} {
		if got := string(h.sendAt("", joined, test.method, test.params).Body); !strings.Contains(got, test.want) {
			t.Errorf("%s was answered %s, want %s", test.method, got, test.want)
		}
		if got := string(h.sendAt("stub", single, test.method, test.ownParams).Body); !strings.Contains(got, test.ownWant) {
			t.Errorf("%s on its own mount was answered %s, want %s", test.method, got, test.ownWant)
		}
	}
	if strings.Contains(h.stub.all(), "stub+") {
		t.Errorf("the server got a joined id: %s", h.stub.all())
	}
	var told []string
	h.g.Handle(t.Context(), []byte(`{"jsonrpc":"2.0","id":"n","method":"tools/call","params":{"name":"stub__echo"}}`),
		&Peer{Local: true, SessionID: joined.id, Emit: func(raw []byte) error {
			told = append(told, string(raw))
			return nil
		}})
	if len(told) != 1 || !strings.Contains(told[0], `"taskId":"stub+t1"`) {
		t.Errorf("told %q", told)
	}
	// Nobody gets the task of a server that has none, or in the other era.
	h.refused(h.sendAt("", joined, wire.MethodTasksGet, `{"taskId":"other+t1"}`), "unsupported")
	h.refused(h.sendAt("", nil, wire.MethodTasksGet, `{"taskId":"stub+t1"}`), "unsupported")
	h.refused(h.sendAt("stub", nil, wire.MethodTasksGet, `{"taskId":"t1"}`), "unsupported")
	h.refused(h.sendAt("", joined, wire.MethodTasksGet, `{"taskId":"t1"}`), "not-found")
}

func TestTasks_extension(t *testing.T) {
	s := capable(`{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{"mimeTypes":["x"]},"com.example/else":{}}}`, map[string]string{
		wire.MethodToolsCall:   `{"resultType":"task","taskId":"t1","status":"working"}`,
		wire.MethodTasksGet:    `{"resultType":"complete","taskId":"t1","status":"completed","result":{"content":[{"type":"resource_link","uri":"a://b","name":"n"}]}}`,
		wire.MethodTasksUpdate: `{"resultType":"complete"}`,
		wire.MethodTasksCancel: `{"resultType":"complete"}`,
	})
	h := newPair(t, &stub{}, s, "", "")
	defer h.close()
	if got := h.joined(wire.MethodDiscover, `{}`); !strings.Contains(got, `"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{"mimeTypes":["x"]}}`) {
		t.Errorf("server/discover was answered %s", got)
	}
	for _, test := range []struct{ method, params, want string }{
		{wire.MethodToolsCall, `{"name":"stub__echo"}`, `"taskId":"stub+t1"`},
		{wire.MethodTasksGet, `{"taskId":"stub+t1"}`, `"taskId":"stub+t1","status":"completed","result":{"content":[{"type":"resource_link","uri":"stub+a://b"`},
		{wire.MethodTasksUpdate, `{"taskId":"stub+t1","inputResponses":{}}`, `"resultType":"complete"`},
		{wire.MethodTasksCancel, `{"taskId":"stub+t1"}`, `"resultType":"complete"`},
	} {
		if got := h.joined(test.method, test.params); !strings.Contains(got, test.want) {
			t.Errorf("%s was answered %s, want %s", test.method, got, test.want)
		}
	}
	if strings.Contains(h.stub.all(), "stub+") {
		t.Errorf("the server got a joined id: %s", h.stub.all())
	}
	without := newPair(t, &stub{}, &stub{}, "", "")
	defer without.close()
	if got := without.joined(wire.MethodDiscover, `{}`); strings.Contains(got, "extensions") {
		t.Errorf("server/discover was answered %s", got)
	}
}

// approveEverything lets pass what waits.
func (h *house) approveEverything(server string) {
	h.t.Helper()
	if _, err := h.g.book.Approve(server, func(approval.Change) bool { return true }, "ada"); err != nil {
		h.t.Fatal(err)
	}
}

func TestViewOf_approvals_and_drift_show_at_once(t *testing.T) {
	var list atomic.Pointer[string]
	set := func(tools ...string) {
		text := toolList(tools...)
		list.Store(&text)
	}
	set(echoTool)
	s := &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
		if m.Method == wire.MethodToolsList {
			return *list.Load()
		}
		return ""
	}}
	synctest.Test(t, func(t *testing.T) {
		h := newPair(t, &stub{}, s, "", "")
		defer h.close()
		single := func() string { return string(h.sendAt("stub", nil, wire.MethodToolsList, `{}`).Body) }
		wantNames(t, single(), "echo")
		wantNames(t, h.joined(wire.MethodToolsList, `{}`), "other__echo", "stub__echo")
		reads := s.count(wire.MethodToolsList)
		for range 5 {
			wantNames(t, h.joined(wire.MethodToolsList, `{}`), "other__echo", "stub__echo")
		}
		if n := s.count(wire.MethodToolsList) - reads; n != 0 {
			t.Errorf("the list was read %d times within a second", n)
		}

		set(echoTool, plainTool("more"))
		time.Sleep(2 * definitionAge)
		wantNames(t, single(), "echo")
		wantNames(t, h.joined(wire.MethodToolsList, `{}`), "other__echo", "stub__echo")
		h.approveEverything("stub")
		wantNames(t, single(), "echo", "more")
		wantNames(t, h.joined(wire.MethodToolsList, `{}`), "other__echo", "stub__echo", "stub__more")

		set(otherEcho, plainTool("more"))
		wantNames(t, single(), "more")
		time.Sleep(2 * definitionAge)
		wantNames(t, h.joined(wire.MethodToolsList, `{}`), "other__echo", "stub__more")
		set(echoTool, plainTool("more"))
		wantNames(t, single(), "echo", "more")
	})
}

// A resource is judged once, and again when other rules are in force.
func TestCleanResource_is_judged_once(t *testing.T) {
	var judged atomic.Int64
	counting := rule.Rule{ID: "counting", Severity: rule.High, Surfaces: rule.ResourceDefinition, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if s.Text == "file:///a" {
			judged.Add(1)
		}
		if strings.Contains(s.Text, "evil") {
			return []rule.Match{{Start: 0, End: len(s.Text)}}, nil
		}
		return nil, nil
	}}
	var extra atomic.Int64
	s := &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
		if m.Method != wire.MethodResourcesList {
			return ""
		}
		return fmt.Sprintf(`{"resources":[{"uri":"file:///a","name":"a"},{"uri":"file:///b","name":"evil"},{"uri":"file:///%d","name":"x"}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}`, extra.Add(1))
	}}
	h := newPair(t, &stub{}, s, "", "", counting)
	defer h.close()
	for range 3 {
		got := h.joined(wire.MethodResourcesList, `{}`)
		if strings.Contains(got, "evil") || !strings.Contains(got, "stub+file:///a") {
			t.Errorf("answered %s", got)
		}
	}
	if n := judged.Load(); n != 1 {
		t.Errorf("judged %d times, want once", n)
	}
	next, err := h.g.build(h.g.live.Load().config, h.g.live.Load())
	if err != nil {
		t.Fatal(err)
	}
	h.g.live.Store(next)
	h.joined(wire.MethodResourcesList, `{}`)
	if n := judged.Load(); n != 2 {
		t.Errorf("judged %d times after a reload, want twice", n)
	}
}

func TestQuestionDigest_a_question_without_parameters(t *testing.T) {
	if questionDigest(wire.MethodRoots, nil) != questionDigest(wire.MethodRoots, []byte(`{}`)) {
		t.Error("no parameters are other parameters than none")
	}
}

// A name that stands twice is shown to nobody, on whichever pages it stands.
func TestPart_a_name_on_two_pages_is_not_shown(t *testing.T) {
	turned := new(atomic.Bool)
	h := newPair(t, &stub{}, lister(turned, toolList(echoTool), toolList(plainTool("a"), otherEcho)), "", "")
	defer h.close()
	h.passed(h.sendAt("", nil, wire.MethodToolsCall, `{"name":"stub__echo"}`))
	turned.Store(true)
	h.g.live.Load().servers["stub"].shared.changed(approval.KindTool)
	h.approveEverything("stub")
	wantNames(t, h.joined(wire.MethodToolsList, `{}`), "other__echo")
	h.refused(h.sendAt("", nil, wire.MethodToolsCall, `{"name":"stub__echo"}`), "not-found")
}

func TestWarnAboutFilters(t *testing.T) {
	var logged strings.Builder
	h := newPair(t, &stub{}, &stub{}, "    tools: {allow: [\"ec*\", \"exho\"], deny: [\"write_*\"]}\n", "")
	defer h.close()
	s := h.g.live.Load().servers["stub"]
	s.log = slog.New(slog.NewTextHandler(&logged, nil))
	s.warnAboutFilters([]approval.Item{{Kind: approval.KindTool, Name: "echo"}, {Kind: approval.KindPrompt, Name: "exho"}})
	for pattern, want := range map[string]int{"ec*": 0, "exho": 1, "write_*": 1} {
		if n := strings.Count(logged.String(), "pattern="+pattern); n != want {
			t.Errorf("%s was named %d times, want %d, in %s", pattern, n, want, logged.String())
		}
	}
}
