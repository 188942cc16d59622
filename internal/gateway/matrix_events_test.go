package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// Whatever the eras are: a server asks the client only of a principal of whom
// policies let it ask.
func TestMatrix_questions(t *testing.T) {
	const policies = dataMayAll + `permit (principal in Team::"art", action == Action::"tools/call", resource);`
	for _, modernServer := range []bool{false, true} {
		eachMount(t, func(t *testing.T, modern bool, mount string) {
			for _, who := range twoPeople {
				stub, _ := asker()
				era := legacyOnly
				if modernServer {
					stub, era = needy(), modernOnly
				}
				h := ruled(t, stub, policies, era)
				m := &matrix{h, modern}
				m.who = who
				capabilities := `"capabilities":{"elicitation":{}}`
				begin := strings.Replace(cells[wire.MethodInitialize].params, `"capabilities":{}`, capabilities, 1)
				session := ""
				if !modern {
					session = m.at(mount, "", wire.MethodInitialize, begin).Session
					m.at(mount, session, wire.NotifyInitialized, "")
				}
				var mu sync.Mutex
				told := ""
				var peer func() *Peer
				peer = func() *Peer {
					p := m.peer(nil, func(raw []byte) error {
						mu.Lock()
						told += string(raw)
						mu.Unlock()
						if q, err := wire.Parse(raw, wire.Limits{}); err == nil && q.Kind == wire.Request {
							go h.g.Handle(t.Context(), wire.NewResult(q.ID, []byte(ada)), peer())
						}
						return nil
					})
					p.Mount, p.SessionID = mount, session
					return p
				}
				raw := m.message(modern, wire.MethodToolsCall, cells[wire.MethodToolsCall].of(mount, "stub", "echo"))
				raw = []byte(strings.Replace(string(raw), `clientCapabilities":{}`, `clientCapabilities":{"elicitation":{}}`, 1))
				r := h.g.Handle(t.Context(), raw, peer())
				synctest.Wait()
				mu.Lock()
				asked := strings.Contains(told+string(r.Body), "Who is it?")
				mu.Unlock()
				if want := who == ann; asked != want {
					t.Errorf("modern server %v, %s: asked %v; answered %s", modernServer, who.ID, asked, r.Body)
				}
				h.close()
			}
		})
	}
}

// Who may read one resource hears of that one, as long as it may.
func TestMatrix_announcements(t *testing.T) {
	const little = dataMayAll + `permit (principal in Team::"art", action in Action::"read", resource == Resource::"stub/docs:a");`
	eachMount(t, func(t *testing.T, modern bool, mount string) {
		changes := make(chan string)
		defer func(every time.Duration) { lookAgainEvery = every }(lookAgainEvery)
		lookAgainEvery = time.Hour
		m := newMatrix(t, &changing{stub: listening(changes)}, true, little)
		defer m.close()
		m.modern = modern
		m.who = bob
		var mu sync.Mutex
		told := ""
		hear := func(raw []byte) error {
			mu.Lock()
			defer mu.Unlock()
			told += string(raw)
			return nil
		}
		uri := "docs:a"
		if mount == "" {
			uri = "stub" + uriSeparator + uri
		}
		if modern {
			peer := m.peer(nil, hear)
			peer.Mount = mount
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go m.g.Handle(ctx, m.message(true, wire.MethodListen, fmt.Sprintf(`"notifications":{"toolsListChanged":true,"resourceSubscriptions":[%q,%q]}`, uri, strings.Replace(uri, "docs:a", "docs:b", 1))), peer)
			synctest.Wait()
		} else {
			session := m.sessionAt(mount)
			if r := m.at(mount, session, wire.MethodSubscribe, fmt.Sprintf(`"uri":%q`, uri)); !strings.Contains(string(r.Body), `"result"`) {
				t.Fatalf("answered %s", r.Body)
			}
			s := m.g.sessions.find(session, bob.ID, mount)
			s.mu.Lock() // the sweeper looks at it
			s.direct = hear
			s.mu.Unlock()
		}
		announce := func(uri string) string {
			mu.Lock()
			told = ""
			mu.Unlock()
			changes <- uri
			synctest.Wait()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			return told
		}
		if got := announce("docs:a"); !strings.Contains(got, "docs:a") {
			t.Errorf("of what it may read, it hears %q", got)
		}
		for _, other := range []string{"docs:a/secret", "docs:ab", "docs:b"} {
			if got := announce(other); got != "" {
				t.Errorf("of %s it hears %s", other, got)
			}
		}
		m.g.live.Store(m.without(t, dataMayAll))
		if got := announce("docs:a"); got != "" {
			t.Errorf("after its right has ended it hears %s", got)
		}
	})
}

// without is the configuration in force with other policies.
func (m *matrix) without(t *testing.T, policies string) *live {
	t.Helper()
	now := m.g.live.Load()
	engine, err := policy.New(now.config, []policy.Source{{Name: "other.cedar", Text: []byte(policies)}})
	if err != nil {
		t.Fatal(err)
	}
	return &live{
		config: now.config, servers: now.servers, order: now.order, inspector: now.inspector, redactor: now.redactor,
		seal: now.seal, identifier: now.identifier, policies: engine, reporting: now.reporting,
	}
}

// Two principals with different views ask in turn, and a cursor of one is none of the
// other's; the lists of a modern server that says they are public are private.
func TestMatrix_lists_of_one_are_not_the_others(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("x", 200<<10)
		s := &changing{stub: &stub{}}
		s.answer = func(_ context.Context, m *wire.Message, _ *stream) string {
			if m.Method != wire.MethodToolsList {
				return ""
			}
			var tools []string
			for i := range 20 {
				tools = append(tools, fmt.Sprintf(`{"name":"t%02d","inputSchema":{"type":"object","description":%q}}`, i, long))
			}
			return `{"resultType":"complete","ttlMs":1000,"cacheScope":"public","tools":[` + strings.Join(tools, ",") + `]}`
		}
		m := newMatrix(t, s, true, dataMayAll+`permit (principal in Team::"art", action, resource) when { ["t00", "t01", "t02", "t03", "t04", "t05", "t06"].contains(resource.name) };`)
		defer m.close()
		cursors := map[string]string{}
		for round := range 3 {
			for _, mount := range []string{"stub", ""} {
				for _, who := range twoPeople {
					m.who = who
					r := m.send(mount, wire.MethodToolsList, "")
					if got, want := strings.Contains(string(r.Body), "t07"), who == ann && mount == "stub"; got != want && mount == "stub" {
						t.Errorf("round %d, mount %q: %s sees t07: %v", round, mount, who.ID, got)
					}
					if !strings.Contains(string(r.Body), `"cacheScope":"private"`) {
						t.Errorf("the list of %s is not private", who.ID)
					}
					doc, err := wire.Parse(r.Body, ownLimits)
					if err != nil {
						t.Fatal(err)
					}
					if mount == "" {
						cursors[who.ID] = doc.Result.Get("nextCursor").Text()
					}
				}
			}
		}
		if cursors[ann.ID] == "" || cursors[bob.ID] == "" || cursors[ann.ID] == cursors[bob.ID] {
			t.Fatalf("cursors %v, want two", cursors)
		}
		m.who = bob
		m.refused(m.send("", wire.MethodToolsList, fmt.Sprintf(`"cursor":%q`, cursors[ann.ID])), "invalid-arguments")
		if r := m.send("", wire.MethodToolsList, fmt.Sprintf(`"cursor":%q`, cursors[bob.ID])); !strings.Contains(string(r.Body), "t06") || strings.Contains(string(r.Body), "t07") {
			t.Errorf("the next page of bob holds other tools (%d bytes)", len(r.Body))
		}
	})
}

// A request that began before a reload leaves no wider view to those after it.
func TestViewFor_policies_of_before_leave_nothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMatrix(t, talkative(), true, `permit (principal, action, resource);`)
		defer m.close()
		m.who = bob
		m.send("stub", wire.MethodToolsList, "")
		s := m.g.live.Load().servers["stub"]
		var p *page
		for _, each := range s.pages {
			if each.kind == "tool" {
				p = each
			}
		}
		before := &audience{engine: m.g.live.Load().policies, who: bob, peer: &Peer{}, key: "bob"}
		m.g.live.Store(m.without(t, artMayEcho))
		after := &audience{engine: m.g.live.Load().policies, who: bob, peer: &Peer{}, key: "bob"}
		for _, test := range []struct {
			a    *audience
			want []bool
		}{{before, []bool{true, true, true}}, {after, []bool{true, false, true}}} {
			v, err := s.viewFor(test.a, p)
			if err != nil || !slices.Equal(v.see, test.want) {
				t.Errorf("got %v (%v), want %v", v.see, err, test.want)
			}
		}
	})
}
