//go:build unix

package requirements

import (
	"bufio"
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
)

func Test_R062_session_ids_are_unguessable_visible_ASCII(t *testing.T) {
	g := open(t)
	const sessions, wanted = 50, 120 // bits, as far as this many ids can show
	seen, length := map[string]bool{}, 0
	alphabet := map[rune]bool{}
	shared := ""
	for range sessions {
		c := g.client(t, false, "")
		seen[c.session] = true
		for _, r := range c.session {
			if r < 0x21 || r > 0x7E {
				t.Fatalf("the id %q has the character %q", c.session, r)
			}
			alphabet[r] = true
		}
		if length == 0 {
			length, shared = len(c.session), c.session
		}
		for !strings.HasPrefix(c.session, shared) {
			shared = shared[:len(shared)-1]
		}
		c.end()
	}
	bits := float64(length-len(shared)) * math.Log2(float64(len(alphabet)))
	if len(seen) != sessions || bits < wanted {
		t.Errorf("%d ids of %d differ; they have %.0f bits, want %d", len(seen), sessions, bits, wanted)
	}
}

// end ends the client's session.
func (c *client) end() {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodDelete, c.url, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Mcp-Session-Id", c.session)
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		c.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		c.t.Errorf("ending the session was answered %s", response.Status)
	}
}

// stream opens the standing stream of the client's session; next is the data of its
// next event.
func (c *client) stream(lastEvent string) (next func() string, closed func()) {
	c.t.Helper()
	ctx, closed := context.WithTimeout(c.t.Context(), patience)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Mcp-Session-Id", c.session)
	if lastEvent != "" {
		request.Header.Set("Last-Event-Id", lastEvent)
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		c.t.Fatalf("the stream was answered %s", response.Status)
	}
	lines := bufio.NewReader(response.Body)
	return func() string {
		c.t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				c.t.Fatalf("the stream ended: %v", err)
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				return data
			}
		}
	}, closed
}

func Test_R066_a_message_goes_to_one_stream_and_is_not_replayed(t *testing.T) {
	g := open(t)
	one, other := g.client(t, false, "files"), g.client(t, false, "files")
	defer one.end()
	defer other.end()
	nextOfOne, leave := one.stream("")
	nextOfOther, _ := other.stream("")
	subscribe := func(c *client, uri string) {
		if r := c.request("resources/subscribe", object{"uri": uri}); r.result() == nil {
			t.Errorf("subscribing was answered %s", r.raw)
		}
	}
	hears := func(whose, got, uri string) {
		if !strings.Contains(got, "resources/updated") || !strings.Contains(got, `"`+uri+`"`) {
			t.Errorf("%s heard %s first, want news of %s", whose, got, uri)
		}
	}
	subscribe(one, "note://one")
	hears("one", nextOfOne(), "note://one")
	subscribe(other, "note://other")
	hears("the other", nextOfOther(), "note://other") // and not what was for the first
	leave()
	nextOfOne, _ = one.stream("0")
	subscribe(one, "note://later")
	hears("one, come back,", nextOfOne(), "note://later") // and not what was sent before
}
