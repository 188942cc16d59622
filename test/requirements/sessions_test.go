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

// event is one event of a stream.
type event struct{ id, data string }

// stream opens the standing stream of the client's session; next is its next event
// with data.
func (c *client) stream(lastEvent string) (next func() event, closed func()) {
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
		return nil, closed
	}
	lines := bufio.NewReader(response.Body)
	return func() event {
		c.t.Helper()
		var e event
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				c.t.Fatalf("the stream ended: %v", err)
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			switch value = strings.TrimSpace(value); {
			case name == "id":
				e.id = value
			case name == "data" && value != "":
				e.data = value
			case line == "\n" && e.data != "":
				return e
			}
		}
	}, closed
}

func Test_R066_a_message_goes_to_one_stream_and_is_replayed_on_no_other(t *testing.T) {
	g := open(t)
	one, other := g.client(t, false, "files"), g.client(t, false, "files")
	defer one.end()
	defer other.end()
	nextOfOne, leave := one.stream("")
	nextOfOther, leaveOther := other.stream("")
	subscribe := func(c *client, uri string) {
		t.Helper()
		if r := c.request("resources/subscribe", object{"uri": uri}); r.result() == nil {
			t.Errorf("subscribing was answered %s", r.raw)
		}
	}
	hears := func(whose string, got event, uri string) {
		t.Helper()
		if !strings.Contains(got.data, "resources/updated") || !strings.Contains(got.data, `"`+uri+`"`) {
			t.Errorf("%s heard %s, want news of %s", whose, got.data, uri)
		}
	}
	subscribe(one, "note://one")
	first := nextOfOne()
	hears("one", first, "note://one")
	subscribe(other, "note://other")
	hears("the other", nextOfOther(), "note://other") // and not what was for the first

	// One hears again only what came after the last it heard of.
	subscribe(one, "note://second")
	hears("one", nextOfOne(), "note://second")
	leave()
	if nextOfOne, _ = one.stream(first.id); first.id != "" && nextOfOne != nil {
		hears("one, come back,", nextOfOne(), "note://second")
	}
	// What one heard of is replayed to nobody else.
	leaveOther()
	if nextOfOther, _ = other.stream(first.id); nextOfOther == nil {
		return // refused
	}
	subscribe(other, "note://later")
	hears("the other, come back,", nextOfOther(), "note://later")
}
