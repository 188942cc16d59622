package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// memory is a peer that keeps what it is sent.
type memory struct{ sent []string }

func (m *memory) message(raw []byte) error {
	m.sent = append(m.sent, string(raw))
	return nil
}

func (m *memory) last(fill func(io.Writer) error) error {
	var b bytes.Buffer
	err := fill(&b)
	m.sent = append(m.sent, b.String())
	return err
}

// ask starts a server with these flags and returns all that it sends for the
// requests, each "method params".
func ask(t *testing.T, args []string, requests ...string) []string {
	t.Helper()
	opt, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{}
	for i, request := range requests {
		method, params, _ := strings.Cut(request, " ")
		if params == "" {
			params = "{}"
		}
		s.handle(context.Background(), envelope{
			ID: json.RawMessage(fmt.Sprint(i + 1)), Method: method, Params: json.RawMessage(params),
		}, m)
	}
	return m.sent
}

const (
	callEcho   = `tools/call {"name":"echo","arguments":{"text":"hello"}}`
	modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
)

func TestModes_are_listed_and_stand_in_their_files(t *testing.T) {
	names := map[string]bool{}
	for _, m := range modes {
		if names[m.name] || m.about == "" {
			t.Errorf("mode %q is listed twice or not described", m.name)
		}
		names[m.name] = true
		if m.name == "ok" || m.name == "orphan-escape" {
			continue
		}
		file := "mode_" + strings.ReplaceAll(m.name, "-", "_") + ".go"
		if _, err := os.Stat(file); err != nil {
			t.Errorf("mode %q: %v", m.name, err)
		}
	}
	var listed bytes.Buffer
	if err := run([]string{"-list"}, nil, &listed); err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if !strings.Contains(listed.String(), name+" ") {
			t.Errorf("-list does not name %q", name)
		}
	}
}

func TestPlain_answers(t *testing.T) {
	tests := []struct{ request, want string }{
		{`initialize {"protocolVersion":"2025-06-18"}`, `"protocolVersion":"2025-06-18"`},
		{`initialize {"protocolVersion":"2026-07-28"}`, `"protocolVersion":"2025-11-25"`},
		{`server/discover {` + modernMeta + `}`, `"2026-07-28"`},
		{`server/discover {` + modernMeta + `}`, `"resultType":"complete"`},
		{`tools/list {` + modernMeta + `}`, `"cacheScope":"private"`},
		{callEcho, `"text":"hello"`},
		{`tools/call {"name":"add","arguments":{"a":2,"b":0.5}}`, `"text":"2.5"`},
		{`tools/call {"name":"big","arguments":{"bytes":5}}`, `"text":"xxxxx"`},
		{`tools/call {"name":"slow","arguments":{"ms":1}}`, `"text":"done"`},
		{`tools/call {"name":"fail","arguments":{}}`, `"isError":true`},
		{`tools/call {"name":"nothing"}`, `"code":-32602`},
		{`prompts/get {"name":"greeting"}`, `"messages"`},
		{`resources/read {"uri":"note://welcome"}`, `"contents"`},
		{`completion/complete`, `"values"`},
		{`vendor/thing`, `"code":-32601`},
	}
	for _, test := range tests {
		sent := ask(t, nil, test.request)
		if len(sent) != 1 || !strings.Contains(sent[0], test.want) {
			t.Errorf("%s: sent %q, want one message with %s", test.request, sent, test.want)
		}
	}
}

func TestPoison_every_surface_shows_the_text(t *testing.T) {
	for _, surface := range sortedKeys(poisonSurfaces) {
		args := []string{"-mode", "poison", "-surface", surface, "-text", "OBEY"}
		sent := ask(t, args, "initialize", "tools/list", "prompts/list", "resources/list", "resources/templates/list")
		if n := strings.Count(strings.Join(sent, "\n"), "OBEY"); n != 1 {
			t.Errorf("surface %s: the text stands %d times, want once", surface, n)
		}
	}
}

func TestInject_every_surface_shows_the_text(t *testing.T) {
	for name, surface := range injectSurfaces {
		if name == "sampling" || name == "elicitation" {
			continue // these wait for an answer; see the modern era below
		}
		request := surface.method
		if request == "" {
			request = "initialize"
		}
		sent := strings.Join(ask(t, []string{"-mode", "inject", "-surface", name, "-text", "OBEY"},
			request+` {"name":"echo","_meta":{"progressToken":7}}`), "\n")
		if name == "blob" {
			sent = strings.ReplaceAll(sent, "T0JFWQ==", "OBEY")
		}
		if n := strings.Count(sent, "OBEY"); n != 1 {
			t.Errorf("surface %s: the text stands %d times in %s, want once", name, n, sent)
		}
	}
}

func TestServerRequest_modern_asks_once_and_reports(t *testing.T) {
	for _, kind := range sortedKeys(clientRequests) {
		sent := ask(t, []string{"-mode", "server-request", "-kind", kind},
			`tools/call {`+modernMeta+`}`,
			`tools/call {`+modernMeta+`,"requestState":"asked-once","inputResponses":{"question":{"said":"yes"}}}`,
			`tools/call {`+modernMeta+`,"requestState":"forged","inputResponses":{}}`)
		want := []string{`"resultType":"input_required"`, `said`, `"code":-32602`}
		for i := range want {
			if !strings.Contains(sent[i], want[i]) {
				t.Errorf("%s: answer %d is %s, want %s in it", kind, i, sent[i], want[i])
			}
		}
	}
}

func TestServerRequest_legacy_asks_on_the_stream(t *testing.T) {
	opt, err := parse([]string{"-mode", "server-request", "-kind", "roots"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	clientIn, serverOut := io.Pipe()
	serverIn, clientOut := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveStdio(context.Background(), s, serverIn, serverOut) }()

	lines := bufio.NewScanner(clientIn)
	receive := func() (message map[string]any) {
		lines.Scan()
		if err := json.Unmarshal(lines.Bytes(), &message); err != nil {
			t.Fatal(err)
		}
		return message
	}
	fmt.Fprintln(clientOut, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`)
	question := receive()
	if question["method"] != "roots/list" {
		t.Fatalf("asked %v, want roots/list", question)
	}
	fmt.Fprintf(clientOut, `{"jsonrpc":"2.0","id":%q,"result":{"roots":[]}}`+"\n", question["id"])
	if answer := receive(); !strings.Contains(fmt.Sprint(answer["result"]), `"roots":[]`) {
		t.Errorf("answered %v, want what the client said", answer)
	}
	clientOut.Close()
	if err := <-ended; err != nil {
		t.Errorf("serving ended with %v", err)
	}
}

func TestRugpull_changes_after_the_call(t *testing.T) {
	sent := ask(t, []string{"-mode", "rugpull", "-after", "2", "-text", "OBEY"},
		"tools/list", callEcho, "tools/list", callEcho, "tools/list", callEcho, "tools/list")
	var changed []bool
	for i := 0; i < len(sent); i += 2 {
		changed = append(changed, strings.Contains(sent[i], "OBEY"))
	}
	if want := []bool{false, false, true, true}; !slices.Equal(changed, want) {
		t.Errorf("changed in the lists: %v, want %v", changed, want)
	}
}

func TestPost_and_redefine_record_messages(t *testing.T) {
	for _, name := range []string{"post", "redefine"} {
		record := filepath.Join(t.TempDir(), "record")
		ask(t, []string{"-mode", name, "-record", record},
			`tools/call {"name":"send_message","arguments":{"to":"a@example.org","text":"two\nlines"}}`)
		got, err := os.ReadFile(record)
		if err != nil {
			t.Fatal(err)
		}
		if want := `a@example.org "two\nlines"` + "\n"; string(got) != want {
			t.Errorf("%s recorded %q, want %q", name, got, want)
		}
	}
}

func TestLeak_fresh_and_in_form(t *testing.T) {
	for _, kind := range sortedKeys(credentials) {
		if first, second := credentials[kind](), credentials[kind](); first == second {
			t.Errorf("%s: the same credential twice", kind)
		}
	}
	token := githubToken()
	if len(token) != 40 || githubChecksum(token[4:34]) != token[34:] {
		t.Errorf("%q is not a classic token with its checksum", token)
	}
}

func TestBrokenAnswers_are_broken_as_described(t *testing.T) {
	for name, want := range map[string]string{
		"garbage":          `Segmentation fault`,
		"wrong-id":         `"id":"never-used"`,
		"null-id":          `"id":null`,
		"duplicate-keys":   `],"content":[`,
		"case-keys":        `],"Content":[`,
		"result-and-error": `"error":{`,
		"trailing":         `}} {"`,
		"batch":            `[{"`,
		"bad-utf8":         "\xff",
		"deep":             `[[[[[[[[`,
	} {
		sent := ask(t, []string{"-mode", name}, "tools/list", callEcho)
		if len(sent) != 2 || !strings.Contains(sent[1], want) {
			t.Errorf("%s: want %q in the second of %.300q", name, want, sent)
		}
		if !json.Valid([]byte(sent[0])) {
			t.Errorf("%s: tools/list is broken too: %s", name, sent[0])
		}
	}
	if sent := ask(t, []string{"-mode", "two-answers"}, callEcho); len(sent) != 2 {
		t.Errorf("two-answers: sent %q", sent)
	}
	if sent := ask(t, []string{"-mode", "huge", "-size", "100000"}, callEcho); len(sent[0]) < 100_000 || !json.Valid([]byte(sent[0])) {
		t.Errorf("huge: %d bytes", len(sent[0]))
	}
	if sent := ask(t, []string{"-mode", "many-tools", "-count", "123"}, "tools/list"); strings.Count(sent[0], `"inputSchema"`) != 123 {
		t.Errorf("many-tools: %s", sent[0])
	}
}

func TestHTTP_sessions(t *testing.T) {
	opt, err := parse([]string{"-mode", "session-lost", "-after", "1"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(newFront(s))
	defer web.Close()
	post := func(session, body string) (*http.Response, string) {
		request, err := http.NewRequest(http.MethodPost, web.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(sessionHeader, session)
		response, err := web.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(text)
	}
	const call = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}`
	const modernCall = `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"},` + modernMeta + `}}`

	opened, _ := post("", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`)
	session := opened.Header.Get(sessionHeader)
	for _, step := range []struct {
		name, session, body string
		status              int
	}{
		{"a stranger", "unknown", call, http.StatusNotFound},
		{"the session", session, call, http.StatusOK},
		{"the session after it was lost", session, call, http.StatusNotFound},
		{"the modern era without a session", "", modernCall, http.StatusOK},
		{"a notification", "", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{` + modernMeta + `}}`, http.StatusAccepted},
	} {
		response, text := post(step.session, step.body)
		if response.StatusCode != step.status {
			t.Errorf("%s: status %d, want %d", step.name, response.StatusCode, step.status)
		}
		if step.status == http.StatusOK && !strings.Contains(text, "hello") {
			t.Errorf("%s: answered %s", step.name, text)
		}
	}
}

func TestUnknown_choices_are_refused(t *testing.T) {
	for _, args := range [][]string{
		{"-mode", "nothing"},
		{"-mode", "poison", "-surface", "nothing"},
		{"-mode", "inject", "-surface", "nothing"},
		{"-mode", "leak", "-kind", "nothing"},
		{"-mode", "server-request", "-kind", "nothing"},
		{"-mode", "exit-on-start"},
		{"-mode", "raw", "-answers", "/nonexistent"},
		{"stray"},
	} {
		if err := run(args, strings.NewReader(""), io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func TestHang_tells_when_it_was_cancelled(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	s := start(t, "-mode", "hang", "-record", record)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.handle(ctx, envelope{ID: json.RawMessage("1"), Method: "tools/call"}, &memory{})
	s.handle(ctx, envelope{Method: "notifications/cancelled"}, &memory{})
	if got := read(t, record); got != "waiting\ncancelled\ncancelled\n" {
		t.Errorf("recorded %q", got)
	}
}

func TestVerbatim_keeps_the_bytes(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	sent := ask(t, []string{"-mode", "verbatim", "-record", record, "-text", `{"z":1, "a":9007199254740993}`},
		`vendor/thing {"b": 1,"a":9007199254740993}`, "ping")
	if want := `{"jsonrpc":"2.0","id":1,"result":{"z":1, "a":9007199254740993}}`; sent[0] != want {
		t.Errorf("sent %s, want %s", sent[0], want)
	}
	if got, want := read(t, record), `vendor/thing {"b": 1,"a":9007199254740993}`+"\nping {}\n"; got != want {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestRaw_sends_what_the_file_says_now(t *testing.T) {
	answers := filepath.Join(t.TempDir(), "answers.json")
	s, m := start(t, "-mode", "ok"), &memory{}
	s.mode, s.opt.answers = raw, answers
	for _, text := range []string{`{"tools/list":[{"note":1},{"id":"$id","name":"t$n"}]}`, `{"tools/list":[{"id":"$id","n":"$n"}]}`} {
		if err := os.WriteFile(answers, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.handle(context.Background(), envelope{ID: json.RawMessage("7"), Method: "tools/list"}, m)
	}
	if got, want := strings.Join(m.sent, "\n"), `{"note":1}`+"\n"+`{"id":7,"name":"t1"}`+"\n"+`{"id":7,"n":"2"}`; got != want {
		t.Errorf("sent\n%s, want\n%s", got, want)
	}
}

func TestUpdates_tells_listeners_of_the_subscribed_resource(t *testing.T) {
	s, m := start(t, "-mode", "updates"), &memory{}
	s.listen(&listener{peer: m})
	s.handle(context.Background(), envelope{ID: json.RawMessage("1"), Method: "resources/subscribe",
		Params: json.RawMessage(`{"uri":"note://welcome"}`)}, m)
	if got := strings.Join(m.sent, "\n"); len(m.sent) != 2 || !strings.Contains(got, `resources/updated","params":{"uri":"note://welcome"}`) {
		t.Errorf("sent %s", got)
	}
}

func TestLists_that_change_or_repeat(t *testing.T) {
	for mode, want := range map[string]struct {
		text string
		then int // how often it stands in the list after the first call
	}{"newcomer": {`"run_command"`, 1}, "twins": {`"name":"add"`, 2}} {
		sent := ask(t, []string{"-mode", mode}, callEcho, "tools/list")
		if n := strings.Count(sent[1], want.text); n != want.then {
			t.Errorf("%s: %s stands %d times in the list, want %d", mode, want.text, n, want.then)
		}
	}
	if sent := ask(t, []string{"-mode", "newcomer"}, "tools/list"); strings.Contains(sent[0], "run_command") {
		t.Errorf("newcomer lists its tool from the start: %s", sent[0])
	}
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	opt, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
