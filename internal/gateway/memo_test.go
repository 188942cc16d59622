package gateway

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

func Test_a_memo_answers_for_the_same_text_only(t *testing.T) {
	var m memo
	const texts = 10 * memoPlaces
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < texts; i += 4 {
				text := fmt.Sprint("text ", i)
				if _, ok := m.find(text); ok {
					t.Errorf("%q is known before it was kept", text)
				}
				m.keep(text, "result of "+text)
			}
		})
	}
	wg.Wait()
	known := 0
	for i := range texts {
		text := fmt.Sprint("text ", i)
		result, ok := m.find(text)
		again, okAgain := m.findBytes([]byte(text))
		if ok != okAgain || result != again || ok && result != "result of "+text {
			t.Errorf("%q led to %q, %v and %q, %v", text, result, ok, again, okAgain)
		}
		if ok {
			known++
		}
	}
	if known < memoPlaces/2 || known > memoPlaces {
		t.Errorf("%d texts are known, want many and at most %d", known, memoPlaces)
	}
	long := strings.Repeat("x", memoText+1)
	m.keep(long, "")
	if _, ok := m.find(long); ok {
		t.Error("a text without bound was kept")
	}
}

// What was clean under one configuration says nothing about another one, and what
// was not clean is never taken for it.
func Test_texts_of_records_are_clean_however_often_they_come(t *testing.T) {
	secret := func(text string) *live {
		find := func(s rule.Subject) (all []rule.Match, _ error) {
			if i := strings.Index(s.Text, text); i >= 0 {
				all = append(all, rule.Match{Start: i, End: i + len(text), Action: rule.Redact, Replacement: "[gone]"})
			}
			return all, nil
		}
		return &live{redactor: inspect.New([]rule.Rule{{ID: inspect.SecretRule, Surfaces: rule.ToolResult, Detect: find}}, nil)}
	}
	info, err := wire.Scan([]byte(`{"name":"app hunter2","version":"swordfish"}`), wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*live{secret("hunter2"), secret("swordfish")} {
		hidden := "hunter2"
		if l.clean("hunter2") == "hunter2" {
			hidden = "swordfish"
		}
		for range 3 {
			for text, want := range map[string]string{
				"plain": "plain", "my hunter2": strings.ReplaceAll("my hunter2", hidden, "[gone]"),
				"my swordfish": strings.ReplaceAll("my swordfish", hidden, "[gone]"),
			} {
				if got := l.clean(text); got != want {
					t.Errorf("%q became %q, want %q", text, got, want)
				}
			}
			if got, want := l.clientName(info.Root), strings.ReplaceAll("app hunter2/swordfish", hidden, "[gone]"); got != want {
				t.Errorf("the client is called %q, want %q", got, want)
			}
		}
		for i := range l.cleanTexts.places {
			if r := l.cleanTexts.places[i].Load(); r != nil && strings.Contains(r.text, hidden) {
				t.Errorf("%q is remembered", r.text)
			}
		}
		if _, ok := l.clients.find(string(info.Raw)); ok {
			t.Error("a client with a secret in its name is remembered")
		}
	}
}
