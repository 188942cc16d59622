package gateway

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/approval"
)

// listener is a client on a pipe at the joined mount.
type listener struct {
	house   *house
	session *Session

	mu   sync.Mutex
	told []string
}

func (h *house) listen() *listener {
	c := &listener{house: h}
	c.session = h.g.Connect("", func(raw []byte) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told = append(c.told, string(raw))
		return nil
	})
	c.send(beginning)
	c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

func (c *listener) send(raw string) string {
	return string(c.house.g.Handle(c.house.t.Context(), []byte(raw), &Peer{Local: true, Connection: c.session}).Body)
}

func (c *listener) tools() string {
	return c.send(`{"jsonrpc":"2.0","id":"list","method":"tools/list"}`)
}

// heard is what the client was told since it was asked last.
func (c *listener) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := c.told
	c.told = nil
	return told
}

const toolsChanged = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`

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
		c, another := h.listen(), h.listen()
		wantNames(t, c.tools(), "stub__echo")
		c.heard() // of the server that was there
		there.Store(true)
		time.Sleep(lastBackOff)
		wantNames(t, another.tools(), "other__echo", "stub__echo")
		synctest.Wait()
		if diff := cmp.Diff([]string{toolsChanged}, c.heard()); diff != "" {
			t.Error(diff)
		}
		h.g.EndSession(c.session)
		h.g.EndSession(another.session)
		synctest.Wait()
		if n := len(h.g.joiners.sessions); n != 0 {
			t.Errorf("%d sessions that have ended are told", n)
		}
	})
}

func TestJoiners_an_approval_and_a_reload_are_announced(t *testing.T) {
	h := newPair(t, &stub{}, &stub{}, "", "")
	defer h.close()
	c := h.listen()
	told := func() int { return len(c.heard()) }
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
	h.g.EndSession(c.session)
}
