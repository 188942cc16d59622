package gateway

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// cell is how the matrix sends one method.
type cell struct {
	params string // %s: the name of what it is about, if it is about one thing
	uri    bool   // where servers are joined, names are URIs or ids
	item   bool   // what it is about can be permitted by itself
	asks   bool   // servers send it; from a client it is no method
}

// cells are all methods and notifications.
var cells = map[string]cell{
	wire.MethodInitialize:    {params: `"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}`},
	wire.MethodDiscover:      {},
	wire.MethodPing:          {},
	wire.MethodSetLevel:      {params: `"level":"info"`},
	wire.MethodToolsList:     {},
	wire.MethodPromptsList:   {},
	wire.MethodTemplatesList: {},
	wire.MethodResourcesList: {},
	wire.MethodToolsCall:     {params: `"name":"%s","arguments":{}`, item: true},
	wire.MethodPromptsGet:    {params: `"name":"%s"`, item: true},
	wire.MethodResourcesRead: {params: `"uri":"%s"`, uri: true, item: true},
	wire.MethodSubscribe:     {params: `"uri":"%s"`, uri: true, item: true},
	wire.MethodUnsubscribe:   {params: `"uri":"%s"`, uri: true, item: true},
	wire.MethodComplete:      {params: `"ref":{"type":"ref/prompt","name":"%s"},"argument":{"name":"x","value":""}`, item: true},
	wire.MethodTasksGet:      {params: `"taskId":"%s"`, uri: true, item: true},
	wire.MethodTasksResult:   {params: `"taskId":"%s"`, uri: true, item: true},
	wire.MethodTasksCancel:   {params: `"taskId":"%s"`, uri: true, item: true},
	wire.MethodTasksUpdate:   {params: `"taskId":"%s","inputResponses":{}`, uri: true, item: true},
	wire.MethodTasksList:     {},
	wire.MethodListen:        {params: `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["%s"]}`, uri: true},

	wire.MethodSampling: {asks: true},
	wire.MethodElicit:   {asks: true},
	wire.MethodRoots:    {asks: true},

	wire.NotifyInitialized:         {},
	wire.NotifyCancelled:           {params: `"requestId":1`},
	wire.NotifyProgress:            {params: `"progressToken":1,"progress":1`},
	wire.NotifyMessage:             {params: `"level":"info","data":""`},
	wire.NotifyRootsChanged:        {},
	wire.NotifyToolsChanged:        {},
	wire.NotifyPromptsChanged:      {},
	wire.NotifyResourcesChanged:    {},
	wire.NotifyResourceUpdated:     {params: `"uri":"%s"`, uri: true},
	wire.NotifyElicitationComplete: {params: `"elicitationId":"1"`},
	wire.NotifyTaskStatus:          {params: `"taskId":"%s"`, uri: true},
	wire.NotifyTask:                {params: `"taskId":"%s"`, uri: true},
	wire.NotifyAcknowledged:        {},

	"vendor/unknown":               {},
	"notifications/vendor/unknown": {},
}

// uncovered says what is missing for methods: an action in policies, or a place in
// the matrix.
func uncovered(methods []string) (missing []string) {
	actions := policy.Methods()
	for _, method := range methods {
		if !slices.Contains(actions, method) {
			missing = append(missing, method+" has no action in the schema of policies")
		}
		if _, ok := cells[method]; !ok {
			missing = append(missing, method+" is not in the matrix")
		}
	}
	return missing
}

// notifications are those that the reader of messages knows.
func notifications(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../wire/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != len(spec.Names) {
				return true
			}
			for i, name := range spec.Names {
				if value, isText := spec.Values[i].(*ast.BasicLit); isText && strings.HasPrefix(name.Name, "Notify") {
					text, _ := strconv.Unquote(value.Value)
					list = append(list, text)
				}
			}
			return true
		})
	}
	if len(list) < 10 {
		t.Fatalf("found %d notifications only", len(list))
	}
	return list
}

func TestMatrix_covers_every_method(t *testing.T) {
	all := append(slices.Collect(maps.Keys(methods)), notifications(t)...)
	if missing := uncovered(all); len(missing) > 0 {
		t.Error(strings.Join(missing, "\n"))
	}
	for _, action := range policy.Methods() {
		if !slices.Contains(all, action) {
			t.Errorf("the schema has an action %s, which is no method", action)
		}
	}
	// A method that somebody adds to the table without the rest is found.
	more := maps.Clone(methods)
	more["tools/brew"] = methods[wire.MethodToolsCall]
	want := []string{"tools/brew has no action in the schema of policies", "tools/brew is not in the matrix"}
	if diff := cmp.Diff(want, uncovered(slices.Collect(maps.Keys(more)))); diff != "" {
		t.Error(diff)
	}
}

// unlike is what differs between any two answers.
var unlike = regexp.MustCompile(`"exchange":"[^"]*"|"id":[0-9]+`)

// alike makes answers comparable: whole ones, but for what every answer has of its own
// and for the name that the client gave itself.
func alike(r Reply, name string) string {
	body := unlike.ReplaceAllString(string(r.Body), "")
	if name != "" {
		body = strings.ReplaceAll(body, name, "NAME")
	}
	return fmt.Sprintf("%d %q challenge %q retry %d: %s", r.Status, r.Session, r.Challenge, r.RetryAfter, body)
}

// matrix is a house for the matrix: the servers "stub" and "gone" are the same stub.
type matrix struct {
	*house
	modern bool
}

func newMatrix(t *testing.T, s *changing, modern bool, policies string) *matrix {
	more := legacyOnly
	if modern {
		more = modernOnly
	}
	h := ruled(t, s.stub, policies, more+"  gone:\n    url: http://127.0.0.1:1/mcp\n"+more)
	h.g.live.Load().servers["gone"].transport = s.stub
	return &matrix{h, modern}
}

// close ends the gateway when nothing is under way, such as a first look at a server.
func (m *matrix) close() {
	synctest.Wait()
	m.house.close()
}

// change puts other policies in force, and takes the server "gone" away.
func (m *matrix) change(policies string) {
	m.t.Helper()
	file := m.g.live.Load().config.Policy.Files[0]
	path := filepath.Join(m.dir, "gatehouse.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "  gone:\n")
	_, after, _ := strings.Cut(rest, "policy:\n")
	for name, content := range map[string]string{file: policies, path: before + "policy:\n" + after} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
	c, err := config.Load(path)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.g.Reload(c); err != nil {
		m.t.Fatal(err)
	}
}

// sessionAt is the session of h.who at a mount, begun if there is none.
func (m *matrix) sessionAt(mount string) string {
	m.g.sessions.mu.Lock()
	for id, s := range m.g.sessions.all {
		if s.mount == mount && s.principal == m.who.ID {
			m.g.sessions.mu.Unlock()
			return id
		}
	}
	m.g.sessions.mu.Unlock()
	r := m.at(mount, "", wire.MethodInitialize, cells[wire.MethodInitialize].params)
	if r.Session != "" {
		m.at(mount, r.Session, wire.NotifyInitialized, "")
	}
	return r.Session
}

// at sends a message as h.who.
func (m *matrix) at(mount, session, method, params string) Reply {
	peer := m.peer(nil, func([]byte) error { return nil })
	peer.Mount, peer.SessionID = mount, session
	ctx, stop := context.WithCancel(m.t.Context())
	defer stop()
	if method == wire.MethodListen {
		time.AfterFunc(time.Second, stop) // it answers when the client goes
	}
	return m.g.Handle(ctx, m.message(m.modern, method, params), peer)
}

// send is at, in the session of h.who if there are sessions.
func (m *matrix) send(mount, method, params string) Reply {
	if m.modern || method == wire.MethodInitialize {
		return m.at(mount, "", method, params)
	}
	return m.at(mount, m.sessionAt(mount), method, params)
}

// params are those of a method about something of a server.
func (c cell) of(mount, server, name string) string {
	if !strings.Contains(c.params, "%s") {
		return c.params
	}
	switch {
	case mount != "":
	case c.uri:
		name = server + uriSeparator + name
	default:
		name = server + nameSeparator + name
	}
	return fmt.Sprintf(c.params, name)
}

// each runs a test for both eras and both mounts.
func eachMount(t *testing.T, test func(t *testing.T, modern bool, mount string)) {
	for _, modern := range []bool{false, true} {
		for _, mount := range []string{"stub", ""} {
			t.Run(fmt.Sprintf("modern %v, mount %q", modern, mount), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { test(t, modern, mount) })
			})
		}
	}
}

// The matrix of whole servers: who may use nothing of a server learns nothing of it,
// is answered as if it were not there, and nothing of the message gets there.
func TestMatrix_a_server_that_is_denied_is_not_there(t *testing.T) {
	eachMount(t, func(t *testing.T, modern bool, mount string) {
		s := talkative()
		m := newMatrix(t, s, modern, `permit (principal, action, resource);`)
		defer m.close()
		unknownMount := mount
		if mount != "" {
			unknownMount = "gone"
		}
		for _, who := range []string{mount, unknownMount} { // everybody was there, and the server was looked at
			for _, p := range twoPeople {
				m.who = p
				if r := m.send(who, wire.MethodToolsList, ""); !strings.Contains(string(r.Body), canary) {
					t.Fatalf("who may use the server sees nothing of it: %s", r.Body)
				}
			}
		}
		m.change(dataMayAll)
		for _, method := range slices.Sorted(maps.Keys(cells)) {
			c := cells[method]
			synctest.Wait()
			before := len(s.seen())
			m.who = bob
			denied := m.send(mount, method, c.of(mount, "stub", "echo"))
			unknown := m.send(unknownMount, method, c.of(mount, "gone", "echo"))
			if diff := cmp.Diff(alike(unknown, "gone"), alike(denied, "stub")); diff != "" {
				t.Errorf("%s: a server that is not there and one that is denied are told apart: %s", method, diff)
			}
			if strings.Contains(string(denied.Body), canary) || denied.Session != "" {
				t.Errorf("%s of somebody who may not: answered %s", method, denied.Body)
			}
			if !modern && method != wire.MethodInitialize { // somebody else's session
				m.who = ann
				stolen := m.sessionAt(mount)
				m.who = bob
				if diff := cmp.Diff(alike(m.at(mount, "nosuch", method, c.of(mount, "stub", "echo")), ""), alike(m.at(mount, stolen, method, c.of(mount, "stub", "echo")), "")); diff != "" {
					t.Errorf("%s: a stolen session and one that is not there are told apart: %s", method, diff)
				}
			}
			m.who = nil
			nobody := m.g.Handle(t.Context(), m.message(modern, method, c.of(mount, "stub", "echo")), &Peer{Mount: mount})
			if nobody.Status < 400 || strings.Contains(string(nobody.Body), canary) || nobody.Session != "" {
				t.Errorf("%s of nobody: %d %s", method, nobody.Status, nobody.Body)
			}
			synctest.Wait()
			if got := s.seen()[before:]; len(got) > 0 {
				t.Errorf("%s of somebody who may not: the server got %v", method, got)
			}
			m.who = ann
			if r := m.send(mount, method, c.of(mount, "stub", "echo")); strings.Contains(string(r.Body), `"reason":"denied"`) {
				t.Errorf("%s of somebody who may: answered %s", method, r.Body)
			}
		}
	})
}

// artMayEcho permits little of a server: what is named echo, and prey, whose
// definitions have changed.
const artMayEcho = dataMayAll + `
permit (principal in Team::"art", action, resource == Tool::"stub/echo");
permit (principal in Team::"art", action, resource == Tool::"stub/prey");
permit (principal in Team::"art", action, resource == Prompt::"stub/echo");
permit (principal in Team::"art", action, resource == Prompt::"stub/prey");
permit (principal in Team::"art", action, resource == Resource::"stub/echo");
permit (principal in Team::"art", action, resource == Resource::"stub/docs:echo");
`

// The matrix of single things: what is denied, unknown or in quarantine is answered
// alike, after the same requests to the server and about as much work.
func TestMatrix_a_thing_that_is_denied_is_not_there(t *testing.T) {
	eachMount(t, func(t *testing.T, modern bool, mount string) {
		s := talkative()
		m := newMatrix(t, s, modern, artMayEcho)
		defer m.close()
		m.who = ann
		m.send(mount, wire.MethodToolsList, "")
		s.changed.Store(true)
		for _, method := range slices.Sorted(maps.Keys(cells)) {
			c := cells[method]
			if !c.item {
				continue
			}
			m.who = bob
			try := func(name string) (answer string, got []string) {
				time.Sleep(2 * definitionAge)
				synctest.Wait()
				before := len(s.seen())
				r := m.send(mount, method, c.of(mount, "stub", name))
				synctest.Wait()
				if strings.Contains(string(r.Body), canary) {
					t.Errorf("%s of %s: answered %s", method, name, r.Body)
				}
				return alike(r, name), s.seen()[before:]
			}
			try("prey") // what has changed is looked at once
			unknown, wanted := try("none")
			for _, name := range []string{"wipe", "prey"} {
				if name == "prey" && !slices.Contains([]string{wire.MethodToolsCall, wire.MethodPromptsGet, wire.MethodComplete}, method) {
					continue // nobody approves resources and tasks
				}
				answer, got := try(name)
				if diff := cmp.Diff(unknown, answer); diff != "" {
					t.Errorf("%s of %s is told from what is not there: %s", method, name, diff)
				}
				if diff := cmp.Diff(wanted, got); diff != "" {
					t.Errorf("%s of %s: the server gets other requests: %s", method, name, diff)
				}
			}
		}
		for _, method := range []string{wire.MethodToolsList, wire.MethodPromptsList, wire.MethodResourcesList, wire.MethodTemplatesList} {
			if r := m.send(mount, method, ""); strings.Contains(string(r.Body), "wipe") || strings.Contains(string(r.Body), "prey") {
				t.Errorf("%s shows %s", method, r.Body)
			}
		}
	})
}

// send sends a message as h.who, in its session if there are sessions.
func (h *house) send(modern bool, mount, method, params string) Reply {
	return (&matrix{h, modern}).send(mount, method, params)
}

// sessionOfAnn is the id of ann's session at a mount.
func (h *house) sessionOfAnn(mount string) string {
	before := h.who
	h.who = ann
	defer func() { h.who = before }()
	return (&matrix{h, false}).sessionAt(mount)
}
