package gateway

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/wire"
)

// A server that is not there is left out at first; when it is there, clients are
// told.
func TestJoiners_a_server_that_comes_late_is_announced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, "  other:\n    url: http://127.0.0.1:1/mcp\n")
		defer h.close()
		var there atomic.Bool
		late := &stub{}
		h.g.live.Load().servers["other"].transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if !there.Load() {
				return nil, errors.New("connection refused")
			}
			return late.RoundTrip(r)
		})
		s, another := h.openJoined(), h.openJoined()
		wantNames(t, string(h.sendAt("", s, wire.MethodToolsList, `{}`).Body), "stub__echo")
		for len(s.Outbox()) > 0 {
			<-s.Outbox() // of the server that was there
		}
		there.Store(true)
		time.Sleep(lastBackOff)
		wantNames(t, string(h.sendAt("", another, wire.MethodToolsList, `{}`).Body), "other__echo", "stub__echo")
		synctest.Wait()
		if len(s.Outbox()) != 1 {
			t.Fatalf("%d notifications, want one", len(s.Outbox()))
		}
		if got := string(<-s.Outbox()); got != `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` {
			t.Errorf("told %s", got)
		}
		h.g.EndSession(s)
		h.g.EndSession(another)
		synctest.Wait()
		if n := len(h.g.joiners.sessions); n != 0 {
			t.Errorf("%d sessions that have ended are told", n)
		}
	})
}

func TestJoiners_an_approval_and_a_reload_are_announced(t *testing.T) {
	h := newPair(t, &stub{}, &stub{}, "", "")
	defer h.close()
	s := h.openJoined()
	told := func() int {
		n := len(s.Outbox())
		for range n {
			<-s.Outbox()
		}
		return n
	}
	told()
	h.g.refreshBook()
	if n := told(); n != 0 {
		t.Errorf("%d notifications about nothing", n)
	}
	elsewhere, err := approval.Open(h.g.book.LockPath(), h.g.book.PendingDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Observe("third", approval.Definition{Source: approval.Source{URL: "https://example.com/"}}, approval.ObserveOptions{}); err != nil {
		t.Fatal(err)
	}
	h.g.refreshBook()
	if n := told(); n != 3 {
		t.Errorf("%d notifications about an approval, want 3", n)
	}
	if err := h.g.Reload(h.g.live.Load().config); err != nil {
		t.Fatal(err)
	}
	if n := told(); n != 3 {
		t.Errorf("%d notifications about a reload, want 3", n)
	}
}
