//go:build unix

package requirements

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/audit"
)

func Test_R117_results_are_not_kept_and_private_lists_stay_private(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", "files", ""} {
		prefix, tools := "", ""
		if mount == "" {
			prefix, tools = "web+", "web__"
		}
		c := g.client(t, true, mount, "elicitation")
		read := func() string { return c.request("resources/read", object{"uri": prefix + "note://welcome"}).raw }
		// The server allows everybody to keep it for an hour.
		first, second := read(), read()
		if first == second || !strings.Contains(first, `"read `) {
			t.Errorf("on %q one answer came twice: %s and %s", mount, first, second)
		}
		for range 2 {
			question, r := c.ask(tools+"ask-name", "elicitation/create", object{"action": "accept", "content": object{"name": "Ada"}})
			if question == nil || !strings.Contains(r.text(), "Ada") {
				t.Errorf("on %q the call asked %v and was answered %s", mount, question, r.raw)
			}
		}
		// Some tools are withheld, and the server itself wants its prompts private.
		for method, ttl := range map[string]float64{"tools/list": 3_600_000, "prompts/list": 1000} {
			r := c.request(method, object{})
			if got, _ := r.result()["ttlMs"].(float64); r.result()["cacheScope"] != "private" || got > ttl {
				t.Errorf("%s on %q may be shared: %s", method, mount, r.raw)
			}
		}
	}
}

func Test_R119_a_state_goes_back_unchanged_and_with_nothing_else(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"newest", ""} {
		prefix := ""
		if mount == "" {
			prefix = "newest__"
		}
		for _, c := range g.both(t, mount, "elicitation") {
			var r reply
			got := only(g.web.during(func() {
				_, r = c.ask(prefix+"ask-name", "elicitation/create", object{"action": "accept", "content": object{"name": "Ada"}})
				c.call(prefix+"echo", object{"text": "hello"})
			}), "tools/call")
			if len(got) != 3 || !strings.Contains(r.text(), "Ada") {
				t.Errorf("on %q in %s: answered %s, the server got %d calls", mount, c.era(), r.raw, len(got))
				continue
			}
			if got[0].params["requestState"] != nil || got[2].params["requestState"] != nil || got[2].params["inputResponses"] != nil {
				t.Errorf("on %q in %s other calls carry a state: %s and %s", mount, c.era(), got[0].raw, got[2].raw)
			}
			if got[1].params["requestState"] != stateOfServer || string(got[1].id) == string(got[0].id) {
				t.Errorf("on %q in %s the call was made again as %s", mount, c.era(), got[1].raw)
			}
		}
	}
}

func Test_R123_icons_lead_to_https_and_data_only(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "files", ""} {
		for _, c := range g.both(t, mount) {
			r := c.request("tools/list", object{})
			if !strings.Contains(r.raw, `icons"`) {
				t.Errorf("on %q in %s the tool is missing: %s", mount, c.era(), r.raw)
			}
			for _, bad := range []string{"javascript:", "file:///"} {
				if strings.Contains(strings.ToLower(r.raw), `"`+bad) {
					t.Errorf("on %q in %s an icon is at %s", mount, c.era(), bad)
				}
			}
		}
	}
}

func Test_R124_annotations_loosen_nothing(t *testing.T) {
	g := open(t)
	token := githubToken()
	for _, mount := range []string{"web", "files", ""} {
		prefix := ""
		if mount == "" {
			prefix = "web__"
		}
		for _, c := range g.both(t, mount) {
			for _, name := range []string{"echo", "trusted"} {
				if r := c.call(prefix+name, object{"text": "hello"}); r.text() != "hello" {
					t.Errorf("%s on %q: answered %s", name, mount, r.raw)
				}
				if r := c.call(prefix+name, object{"text": token}); r.reason() != "rule-matched" {
					t.Errorf("a secret to %s on %q: answered %s", name, mount, r.raw)
				}
				if r := c.call(prefix+name, object{"text": 1}); r.reason() != "invalid-arguments" {
					t.Errorf("wrong arguments of %s on %q: answered %s", name, mount, r.raw)
				}
			}
		}
	}
}

func Test_R125_names_that_both_sides_give_themselves_decide_nothing(t *testing.T) {
	g := open(t)
	// Every server here calls itself "files", as another one is called.
	for _, c := range g.both(t, "") {
		got := g.web.during(func() {
			if r := c.call("files__echo", object{"text": "hello"}); r.text() != "hello" {
				t.Errorf("answered %s", r.raw)
			}
		})
		quiet(t, got, "tools/call")
		for _, name := range c.request("tools/list", object{}).names("tools") {
			id, _, _ := strings.Cut(name, "__")
			if !slices.Contains([]string{"web", "newest", "files"}, id) {
				t.Errorf("the tool %s stands under no configured id", name)
			}
		}
	}
	plain := g.client(t, true, "web")
	plain.call("echo", object{"text": githubToken()})
	for _, name := range []string{"gatehouse", "root", "server:files", "admin"} {
		c := g.client(t, true, "web")
		meta := c.meta()
		meta[metaPrefix+"clientInfo"] = object{"name": name, "version": "1", "title": name}
		params := object{"name": "echo", "arguments": object{"text": githubToken()}, "_meta": meta}
		r := c.send(string(encode(t, object{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})), modernHeader("tools/call", params))
		if r.reason() != "rule-matched" {
			t.Errorf("a client that calls itself %s was answered %s", name, r.raw)
		}
	}
	who := map[string]bool{}
	for _, r := range g.records(t, audit.Filter{Server: "web", Kinds: []audit.Kind{audit.Ended}}) {
		if r.Direction == audit.ClientToServer {
			who[r.Principal] = true
		}
	}
	if len(who) != 1 {
		t.Errorf("the log has the principals %v, want the one local user", who)
	}
}

func Test_R126_a_short_value_of_the_configuration_lets_no_secret_pass(t *testing.T) {
	g := open(t)
	token := githubToken()
	for !strings.Contains(token, "1") { // which "files" has in its environment
		token = githubToken()
	}
	for _, c := range g.both(t, "files") {
		if r := c.call("echo", object{"text": token}); r.reason() != "rule-matched" {
			t.Errorf("in %s: answered %s", c.era(), r.raw)
		}
	}
}

func Test_R128_addresses_of_resources_are_validated(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", ""} {
		prefix := ""
		if mount == "" {
			prefix = "web+"
		}
		listening := object{"notifications": object{"resourceSubscriptions": []string{prefix + "note://welcome", prefix + "file:///srv/../etc"}}}
		got := g.web.during(func() {
			if r := g.client(t, true, mount).request("subscriptions/listen", listening); r.code() != -32602 {
				t.Errorf("listening on %q: answered %d %s", mount, r.status, r.raw)
			}
		})
		quiet(t, got, "subscriptions/listen")
		for _, c := range g.both(t, mount) {
			methods := []string{"resources/read"}
			if !c.modern && mount != "newest" {
				methods = append(methods, "resources/subscribe", "resources/unsubscribe")
			}
			for _, uri := range []string{
				"file:///srv/../etc/passwd", "file:///srv/%2e%2e/etc/passwd", "file:///srv/.%2E/etc", "file:///srv/..%2fetc", "file:///srv/..",
				`file:///srv/..\etc`, "file:///srv/%2e%2e%5cetc", "file:///srv/a\x00b", "file:///srv/a%00b", "file:///srv/a\nb", "no address", "/srv/notes", "..",
			} {
				for _, method := range methods {
					got := g.web.during(func() {
						if r := c.request(method, object{"uri": prefix + uri}); r.result() != nil || r.code() == 0 && r.status < 400 {
							t.Errorf("%s of %q on %q in %s: answered %d %s", method, uri, mount, c.era(), r.status, r.raw)
						}
					})
					quiet(t, got, method)
				}
			}
			for _, uri := range []string{"file:///srv/notes.txt", "note://welcome", "urn:isbn:0451450523", "file:///srv/a..b/...", "https://a.example/x?y=../z", "note:täxt"} {
				if r := c.request("resources/read", object{"uri": prefix + uri}); len(r.entries("contents")) != 1 {
					t.Errorf("%q on %q in %s: answered %d %s", uri, mount, c.era(), r.status, r.raw)
				}
			}
		}
	}
}

func Test_R129_arguments_of_prompts_are_validated(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", ""} {
		prefix := ""
		if mount == "" {
			prefix = "web__"
		}
		for _, c := range g.both(t, mount) {
			get := func(arguments any) reply {
				params := object{"name": prefix + "greeting"}
				if arguments != nil {
					params["arguments"] = arguments
				}
				return c.request("prompts/get", params)
			}
			for _, good := range []object{{"who": "you"}, {"who": "", "how": "loudly"}} {
				if r := get(good); len(r.entries("messages")) != 1 {
					t.Errorf("%v on %q in %s: answered %s", good, mount, c.era(), r.raw)
				}
			}
			for _, bad := range []any{nil, object{}, object{"how": "loudly"}, object{"who": 1}, object{"who": nil}, object{"who": object{}}, []string{"you"}, "you"} {
				got := g.web.during(func() {
					if r := get(bad); r.code() != -32602 {
						t.Errorf("%v on %q in %s: answered %d %s, want -32602", bad, mount, c.era(), r.status, r.raw)
					}
				})
				quiet(t, got, "prompts/get")
			}
			if r := get(object{"who": githubToken()}); r.reason() != "rule-matched" {
				t.Errorf("a secret on %q in %s: answered %s", mount, c.era(), r.raw)
			}
		}
	}
}

func Test_R140_requests_about_tasks_name_them_in_a_header(t *testing.T) {
	g := open(t)
	c := g.client(t, true, "newest")
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		for _, id := range []string{"task-1", "täsk"} {
			got := only(g.web.during(func() {
				if r := c.request(method, object{"taskId": id}); r.result() == nil {
					t.Errorf("%s of %s: answered %d %s", method, id, r.status, r.raw)
				}
			}), method)
			name := id
			if id != "task-1" {
				name = sentinel(id)
			}
			if len(got) != 1 || got[0].header.Get("Mcp-Name") != name {
				t.Errorf("%s of %s: the server got %v, want the header %s", method, id, got, name)
			}
			got = g.web.during(func() {
				r := c.requestWith(method, object{"taskId": id}, map[string][]string{"Mcp-Name": {"task-2"}})
				if r.status != 400 || r.code() != -32020 {
					t.Errorf("%s of %s under another name: answered %d %s", method, id, r.status, r.raw)
				}
			})
			quiet(t, got, method)
		}
	}
}

func Test_R142_lists_are_the_same_for_every_connection(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "files", ""} {
		for _, method := range []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"} {
			for _, modern := range []bool{false, true} {
				lists := map[string]bool{}
				for range 3 {
					c := g.client(t, modern, mount)
					for range 2 {
						lists[fmt.Sprint(c.request(method, object{}).result())] = true
					}
				}
				if len(lists) != 1 {
					t.Errorf("%s on %q (modern: %v) was answered in %d ways: %v", method, mount, modern, len(lists), lists)
				}
			}
		}
	}
	names := g.client(t, true, "").request("tools/list", object{}).names("tools")
	if !slices.IsSorted(names) || len(names) < 2 {
		t.Errorf("servers, and the tools of these servers, are in no order: %q", names)
	}
}
