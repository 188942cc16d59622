package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

const (
	allMayAll       = `permit (principal, action, resource);`
	onlyDataIsAsked = `forbid (principal, action == Action::"elicitation/create", resource) unless { principal in Team::"data" };`
)

// annMoved is ann in another team.
var annMoved = identity.Principal{ID: ann.ID, Kind: identity.User, Teams: []string{"art"}, Means: identity.ByJWT, Issuer: "corp"}

// begin begins a session as h.who and returns it, nil with the answer if it was
// refused.
func (h *house) begin(mount string) (*Session, Reply) {
	peer := h.peer(nil, nil)
	peer.Mount = mount
	r := h.g.Handle(h.t.Context(), []byte(beginning), peer)
	if r.Session == "" {
		return nil, r
	}
	return h.g.sessions.find(r.Session, h.who.ID, mount), r
}

// One client that opens sessions without end must not keep others from connecting,
// neither other callers nor the same caller at another mount.
func TestSessions_one_caller_leaves_room_for_others(t *testing.T) {
	const limit = 200
	h := ruled(t, &stub{}, allMayAll, fmt.Sprintf("limits:\n  sessions: %d\n", limit))
	defer h.close()
	h.who = ann
	fill := func(mount string) []*Session {
		t.Helper()
		var open []*Session
		for range limit {
			s, r := h.begin(mount)
			if s == nil {
				h.refused(r, "overloaded")
				break
			}
			open = append(open, s)
		}
		return open
	}
	here := fill("stub")
	if want := limit / principalShare / mountShare; len(here) != want {
		t.Errorf("one caller has %d sessions on a mount, want %d", len(here), want)
	}
	if all := len(here) + len(fill("")); all != limit/principalShare {
		t.Errorf("one caller has %d sessions, want %d", all, limit/principalShare)
	}
	if err := h.g.sessions.add(newSession(ann, "third"), limit); err == nil {
		t.Error("one caller has more than its share by way of many mounts")
	}
	h.who = bob
	if s, r := h.begin("stub"); s == nil {
		t.Errorf("another caller cannot connect: %s", r.Body)
	}
	h.who = ann
	h.g.EndSession(here[0])
	if s, r := h.begin("stub"); s == nil {
		t.Errorf("a session that ended takes a place: %s", r.Body)
	}
	h.g.sessions.remove(func(*Session) bool { return true })
	if n := len(h.g.sessions.open); n != 0 {
		t.Errorf("%d owners are counted and have no session", n)
	}
}

func TestShare_is_enough_for_a_person(t *testing.T) {
	for _, test := range []struct{ limit, parts, want int }{
		{1000, principalShare, 250}, {250, mountShare, 125}, {40, principalShare, freeSessions}, {2, principalShare, 2}, {1, mountShare, 1},
	} {
		if got := share(test.limit, test.parts); got != test.want {
			t.Errorf("a part of %d is %d, want %d", test.limit, got, test.want)
		}
	}
}

// What a client says of itself chooses the session, and the server keeps something in
// each. Who makes up clients without end must not end the sessions of others.
func TestPool_made_up_clients_end_nobody_elses_session(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ruled(t, &stub{}, allMayAll, legacyOnly)
		defer h.close()
		h.who = bob
		h.passed(h.callAs("bob's client"))
		h.who = ann
		for i := range 2 * maxPooled {
			h.passed(h.callAs(fmt.Sprintf("client %d", i)))
		}
		begun := h.stub.count(wire.MethodInitialize)
		h.who = bob
		h.passed(h.callAs("bob's client"))
		if now := h.stub.count(wire.MethodInitialize); now != begun {
			t.Error("another caller's clients ended the session")
		}
	})
}

// Nobody may be asked, and no quota charged, by what a caller was when the session
// behind its calls began: teams change while the session is kept.
func TestPool_a_question_concerns_the_caller_as_its_call_has_it(t *testing.T) {
	for _, test := range []struct {
		about         string
		first, second *identity.Principal
		asked         bool
	}{
		{"who left the team since", ann, &annMoved, false},
		{"who joined it since", &annMoved, ann, true},
	} {
		t.Run(test.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := asker()
				h := ruled(t, s, allMayAll+onlyDataIsAsked, legacyOnly)
				defer h.close()
				h.who = test.first
				h.ask(nil, wire.MethodPromptsList) // begins a session for what declares nothing
				started := h.later(fmt.Sprintf(`{"jsonrpc":"2.0","id":70,"method":"tools/list","params":{`+asking+`}}`, ""), h.peer(nil, nil))
				<-started // and one for what answers questions
				begun := h.stub.count(wire.MethodInitialize)
				h.who = test.second
				peer := h.peer(nil, nil)
				done := h.later(fmt.Sprintf(`{"jsonrpc":"2.0","id":71,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"},`+asking+`}}`, ""), peer)
				if h.stub.count(wire.MethodInitialize) != begun {
					t.Fatal("the call has a session of its own, so the test shows nothing")
				}
				var answered string
				select {
				case r := <-done:
					answered = string(r.Body)
				default:
				}
				if got := strings.Contains(answered, wire.ResultInputRequired); got != test.asked {
					t.Errorf("the client was asked: %v, want %v; answered %s; the server got %s", got, test.asked, answered, h.stub.all())
				}
			})
		})
	}
}

// Two calls of one caller may share a session and have different tokens.
func TestPool_a_question_does_not_concern_the_call_that_came_last(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, _ := asker()
		ask := s.answer
		s.answer = func(ctx context.Context, m *wire.Message, out *stream) string {
			if m.Params.At("arguments", "text").Text() == "slow" {
				<-release
			}
			return ask(ctx, m, out)
		}
		h := ruled(t, s, allMayAll+onlyDataIsAsked, legacyOnly)
		defer h.close()
		call := func(id int, who *identity.Principal, text string) <-chan Reply {
			h.who = who
			return h.later(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":%q},`+asking+`}}`, id, text, ""), h.peer(nil, nil))
		}
		slow := call(1, &annMoved, "slow")
		says(t, <-call(2, ann, "quick"), wire.ResultInputRequired)
		if n := h.stub.count(wire.MethodToolsCall); n != 2 {
			t.Fatalf("the server got %d calls", n)
		}
		close(release)
		synctest.Wait()
		select {
		case r := <-slow:
			t.Errorf("the client of the other call was asked: %s", r.Body)
		default:
		}
		if !strings.Contains(h.stub.all(), `"reason":"denied"`) {
			t.Errorf("the server was not told that the question is denied: %s", h.stub.all())
		}
	})
}
