package gateway

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/identity"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

var (
	ann = &identity.Principal{ID: "user:corp/ann", Kind: identity.User, Teams: []string{"data"}, Means: identity.ByJWT, Issuer: "corp"}
	bob = &identity.Principal{ID: "user:corp/bob", Kind: identity.User, Teams: []string{"art"}, Means: identity.ByJWT, Issuer: "corp"}
)

// ruled is a house with policies: Cedar, as a file has them.
func ruled(t *testing.T, s *stub, policies, more string) *house {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.cedar")
	if err := os.WriteFile(file, []byte(policies), 0o600); err != nil {
		t.Fatal(err)
	}
	return newHouse(t, s, fmt.Sprintf("%spolicy:\n  files: [%q]\n", more, file))
}

const dataMayAll = `permit (principal in Team::"data", action, resource);`

func Test_every_method_has_an_action(t *testing.T) {
	known := policy.Methods()
	for method := range methods {
		if !slices.Contains(known, method) {
			t.Errorf("%s: policies have no action for it; it belongs into the schema", method)
		}
	}
	for _, method := range []string{
		wire.NotifyInitialized, wire.NotifyRootsChanged, wire.NotifyElicitationComplete, wire.NotifyTaskStatus, wire.NotifyTask,
		wire.NotifyCancelled, wire.NotifyProgress, wire.NotifyMessage, wire.NotifyToolsChanged, wire.NotifyPromptsChanged,
		wire.NotifyResourcesChanged, wire.NotifyResourceUpdated, wire.NotifyAcknowledged,
	} {
		if !slices.Contains(known, method) {
			t.Errorf("%s: policies have no action for it; it belongs into the schema", method)
		}
	}
	for _, method := range known {
		if _, ok := methods[method]; !ok && !strings.HasPrefix(method, "notifications/") && method != "other" {
			t.Errorf("the schema has an action %s, which is no method", method)
		}
	}
}

// paramsOf are params with which a method gets as far as it can at the stub.
var paramsOf = map[string]string{
	wire.MethodInitialize:    `"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}`,
	wire.MethodToolsCall:     `"name":"%secho","arguments":{}`,
	wire.MethodPromptsGet:    `"name":"%sgreet"`,
	wire.MethodResourcesRead: `"uri":"%sdocs://a"`,
	wire.MethodSubscribe:     `"uri":"%sdocs://a"`,
	wire.MethodUnsubscribe:   `"uri":"%sdocs://a"`,
	wire.MethodComplete:      `"ref":{"type":"ref/prompt","name":"%sgreet"},"argument":{"name":"x","value":""}`,
	wire.MethodTasksGet:      `"taskId":"%s7"`,
	wire.MethodTasksResult:   `"taskId":"%s7"`,
	wire.MethodTasksCancel:   `"taskId":"%s7"`,
	wire.MethodTasksUpdate:   `"taskId":"%s7","inputResponses":{}`,
	wire.MethodSetLevel:      `"level":"info"`,
	wire.MethodListen:        `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["%sdocs://a"]}`,
}

// canary stands in everything that the server says.
const canary = "canary-word"

func talkative() *stub {
	s := &stub{}
	s.answer = func(_ context.Context, m *wire.Message, _ *stream) string {
		switch m.Method {
		case wire.MethodInitialize:
			return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{"subscribe":true},"completions":{},"logging":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}},"instructions":"` + canary + `","serverInfo":{"name":"` + canary + `","version":"1"}}`
		case wire.MethodDiscover:
			return `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"prompts":{},"resources":{"subscribe":true},"completions":{}},"instructions":"` + canary + `"}`
		case wire.MethodToolsList:
			return `{"resultType":"complete","ttlMs":1000,"cacheScope":"public","tools":[{"name":"echo","description":"` + canary + `","inputSchema":{"type":"object"}},{"name":"wipe","description":"` + canary + `","inputSchema":{"type":"object"}}]}`
		case wire.MethodPromptsList:
			return `{"resultType":"complete","prompts":[{"name":"greet","description":"` + canary + `"}]}`
		case wire.MethodResourcesList:
			return `{"resultType":"complete","resources":[{"uri":"docs://a","name":"` + canary + `"},{"uri":"docs://b","name":"` + canary + `"}]}`
		case wire.MethodTemplatesList:
			return `{"resultType":"complete","resourceTemplates":[{"uriTemplate":"docs://{x}","name":"` + canary + `"}]}`
		case wire.MethodTasksList:
			return `{"tasks":[{"taskId":"7","status":"working","statusMessage":"` + canary + `"}]}`
		case wire.MethodResourcesRead:
			return `{"resultType":"complete","contents":[{"uri":"docs://a","text":"` + canary + `"}]}`
		case wire.MethodPromptsGet:
			return `{"resultType":"complete","messages":[{"role":"user","content":{"type":"text","text":"` + canary + `"}}]}`
		case wire.MethodComplete:
			return `{"resultType":"complete","completion":{"values":["` + canary + `"]}}`
		case wire.MethodPing, wire.MethodSetLevel, wire.MethodSubscribe, wire.MethodUnsubscribe:
			return `{"resultType":"complete"}`
		}
		return `{"resultType":"complete","taskId":"7","status":"working","content":[{"type":"text","text":"` + canary + `"}]}`
	}
	return s
}

var unlike = regexp.MustCompile(`"exchange":"[^"]*"|"id":[0-9]+`)

// The matrix of the issue: every method and notification, each era, each mount. Who
// may use nothing of a server learns nothing of it, is answered as if it were not
// there, and nothing of the message gets there.
func TestAuthorize_nothing_leaks(t *testing.T) {
	all := slices.Collect(maps.Keys(methods))
	all = append(all, "vendor/unknown", wire.NotifyInitialized, wire.NotifyCancelled, wire.NotifyProgress, wire.NotifyRootsChanged, "notifications/unknown")
	slices.Sort(all)
	for _, modern := range []bool{false, true} {
		for _, mount := range []string{"stub", ""} {
			t.Run(fmt.Sprintf("modern %v, mount %q", modern, mount), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := talkative()
					more := ""
					if !modern {
						more = legacyOnly
					}
					h := ruled(t, s, dataMayAll, more)
					defer h.close()
					// The server was looked at, for somebody who may.
					h.who = ann
					if r := h.send(modern, mount, wire.MethodToolsList, ""); !strings.Contains(string(r.Body), canary) {
						t.Fatalf("who may use the server sees nothing of it: %s", r.Body)
					}
					for _, method := range all {
						prefix := ""
						if mount == "" {
							prefix = map[bool]string{true: "stub" + nameSeparator, false: "stub" + uriSeparator}[method == wire.MethodToolsCall || method == wire.MethodPromptsGet || method == wire.MethodComplete]
						}
						params := paramsOf[method]
						if strings.Contains(params, "%s") {
							params = fmt.Sprintf(params, prefix)
						}
						synctest.Wait()
						before := len(s.seen())
						h.who = bob
						denied := h.send(modern, mount, method, params)
						synctest.Wait()
						if got := s.seen()[before:]; len(got) > 0 {
							t.Errorf("%s of somebody who may not: the server got %v", method, got)
						}
						if strings.Contains(string(denied.Body), canary) || denied.Session != "" && mount != "" {
							t.Errorf("%s of somebody who may not: answered %s", method, denied.Body)
						}
						if mount != "" { // as if the server were not there
							there := h.send(modern, "nosuch", method, params)
							if diff := cmp.Diff(unlike.ReplaceAllString(string(there.Body), ""), unlike.ReplaceAllString(string(denied.Body), "")); diff != "" || there.Status != denied.Status {
								t.Errorf("%s: a server that is not there and one that is denied are told apart (%d, %d): %s", method, there.Status, denied.Status, diff)
							}
						}
						// Nobody at all.
						h.who = nil
						unknown := h.g.Handle(t.Context(), h.message(modern, method, params), &Peer{Mount: mount})
						if unknown.Status < 400 || strings.Contains(string(unknown.Body), canary) || unknown.Session != "" {
							t.Errorf("%s of nobody: %d %s", method, unknown.Status, unknown.Body)
						}
					}
				})
			})
		}
	}
}

func (s *stub) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (h *house) message(modern bool, method, params string) []byte {
	h.id++
	id := fmt.Sprintf(`"id":%d,`, h.id)
	if strings.HasPrefix(method, "notifications/") {
		id = ""
	}
	if modern {
		if params != "" {
			params += ","
		}
		params += `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0",%s"method":%q,"params":{%s}}`, id, method, params)
}

// send sends a message as h.who. In the revisions before, whoever is not ann uses
// ann's session.
func (h *house) send(modern bool, mount, method, params string) Reply {
	peer := h.peer(nil, func([]byte) error { return nil })
	peer.Mount = mount
	if !modern && method != wire.MethodInitialize {
		peer.SessionID = h.sessionOfAnn(mount)
	}
	ctx, stop := context.WithCancel(h.t.Context())
	defer stop()
	if method == wire.MethodListen {
		time.AfterFunc(time.Second, stop) // it answers when the client goes
	}
	return h.g.Handle(ctx, h.message(modern, method, params), peer)
}

func (h *house) sessionOfAnn(mount string) string {
	h.g.sessions.mu.Lock()
	for id, s := range h.g.sessions.all {
		if s.mount == mount && s.principal == ann.ID {
			h.g.sessions.mu.Unlock()
			return id
		}
	}
	h.g.sessions.mu.Unlock()
	peer := &Peer{Local: true, Mount: mount}
	peer.who.Store(ann)
	r := h.g.Handle(h.t.Context(), h.message(false, wire.MethodInitialize, paramsOf[wire.MethodInitialize]), peer)
	if r.Session == "" {
		return "no-session"
	}
	peer = &Peer{Local: true, Mount: mount, SessionID: r.Session}
	peer.who.Store(ann)
	h.g.Handle(h.t.Context(), h.message(false, wire.NotifyInitialized, ""), peer)
	return r.Session
}
