//go:build unix

package requirements

import (
	"fmt"
	"strings"
	"testing"
)

func Test_R132_only_proper_roots_reach_a_server(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", "files", ""} {
		prefix := ""
		if mount == "" {
			prefix = "web__"
		}
		for _, c := range g.both(t, mount, "roots") {
			_, r := c.ask(prefix+"ask-roots", "roots/list", rootsTold)
			if !strings.Contains(r.text(), "file:///home/me/project") {
				t.Errorf("on %q in %s the good root did not arrive: %s", mount, c.era(), r.raw)
			}
			for _, bad := range []string{"attacker.example", "etc", "javascript", "relative"} {
				if strings.Contains(r.text(), bad) {
					t.Errorf("on %q in %s the server was told the root %s: %s", mount, c.era(), bad, r.text())
				}
			}
		}
	}
}

func Test_R134_a_question_says_which_server_asks(t *testing.T) {
	g := open(t)
	for _, server := range []string{"web", "newest", "files"} {
		for _, c := range g.both(t, "", "elicitation") {
			question, r := c.ask(server+"__ask-name", "elicitation/create", object{"action": "accept", "content": object{"name": "Ada"}})
			message, _ := question["message"].(string)
			if !strings.Contains(message, server) || !strings.Contains(message, "What is the name?") {
				t.Errorf("%s asked in %s: %q; answered %s", server, c.era(), message, r.raw)
			}
		}
	}
}

func Test_R136_an_address_to_open_arrives_whole_and_is_not_fetched(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", ""} {
		prefix := ""
		if mount == "" {
			prefix = "web__"
		}
		for _, c := range g.both(t, mount, "elicitation") {
			question, r := c.ask(prefix+"ask-page", "elicitation/create", object{"action": "accept"})
			if question["url"] != g.web.page || question["mode"] != "url" {
				t.Errorf("on %q in %s: asked %v, answered %s", mount, c.era(), question, r.raw)
			}
		}
	}
	g.web.mu.Lock()
	defer g.web.mu.Unlock()
	if g.web.visits != 0 {
		t.Errorf("the page was fetched %d times", g.web.visits)
	}
}

func Test_R136_an_address_that_runs_code_reaches_no_client(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", "files"} {
		for _, c := range g.both(t, mount, "elicitation") {
			if question, _ := c.ask("ask-script", "elicitation/create", object{"action": "accept"}); question != nil {
				t.Errorf("on %q in %s: asked %v", mount, c.era(), question)
			}
		}
	}
}

func Test_R137_forms_ask_for_no_passwords(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", "files"} {
		for _, tool := range []string{"ask-password", "ask-key"} {
			for _, c := range g.both(t, mount, "elicitation") {
				if question, r := c.ask(tool, "elicitation/create", object{"action": "decline"}); question != nil {
					t.Errorf("%s on %q in %s: asked %v", tool, mount, c.era(), fmt.Sprint(question, r.raw))
				}
			}
		}
	}
}
