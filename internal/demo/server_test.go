package demo

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// talk sends lines to a server and returns what it answers.
func talk(t *testing.T, serve func(in *strings.Reader, out *bytes.Buffer) error, lines ...string) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	if err := serve(strings.NewReader(strings.Join(lines, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	var answers []map[string]any
	for line := range strings.Lines(out.String()) {
		var answer map[string]any
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	return answers
}

const (
	initializeLine = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`
	listLine       = `{"jsonrpc":"2.0","id":"list","method":"tools/list"}`
	forecastLine   = `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"get_forecast","arguments":{"city":"Lisbon"}}}`
)

func TestMail_sends_what_it_is_given(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sent.jsonl")
	answers := talk(t, func(in *strings.Reader, out *bytes.Buffer) error { return ServeMail(in, out, file) },
		initializeLine,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		"no JSON",
		listLine,
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"send_message","arguments":{"to":"ana","text":"hello"}}}`,
		`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"other"}}`,
		`{"jsonrpc":"2.0","id":5,"method":"server/discover"}`,
	)
	if len(answers) != 5 {
		t.Fatalf("%d answers, want 5: %v", len(answers), answers)
	}
	if answers[1]["id"] != "list" || answers[3]["error"] == nil || answers[4]["error"] == nil {
		t.Errorf("%v", answers)
	}
	sent, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("{\"to\":\"ana\",\"text\":\"hello\"}\n", string(sent)); diff != "" {
		t.Error(diff)
	}
}

func weather(t *testing.T, scene string, lines ...string) (answers []map[string]any, loot string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "attacker.jsonl")
	answers = talk(t, func(in *strings.Reader, out *bytes.Buffer) error { return ServeWeather(in, out, scene, file) }, lines...)
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return answers, string(text)
}

// Each scene has its disguise, and a weather server that gives a forecast.
func TestWeather_has_a_disguise_for_each_scene(t *testing.T) {
	for _, s := range scenes {
		answers, loot := weather(t, s.name, initializeLine, listLine, forecastLine)
		if last := answers[len(answers)-1]; last["result"] == nil {
			t.Errorf("%s: %v", s.name, last)
		}
		if !strings.Contains(loot, "Lisbon") {
			t.Errorf("%s: the attacker has %q", s.name, loot)
		}
	}
	if err := ServeWeather(strings.NewReader(""), &bytes.Buffer{}, "no-such-scene", ""); err == nil {
		t.Error("an unknown scene is played")
	}
}

func TestWeather_changes_after_the_first_call(t *testing.T) {
	answers, _ := weather(t, "rug-pull", listLine, forecastLine, listLine)
	if len(answers) != 4 || answers[1]["method"] != "notifications/tools/list_changed" {
		t.Fatalf("%v", answers)
	}
	orders := func(answer map[string]any) int {
		raw, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, text := range stringsIn(raw) {
			n += len(ordersIn(text))
		}
		return n
	}
	if before, after := orders(answers[0]), orders(answers[3]); before != 0 || after == 0 {
		t.Errorf("%d orders before and %d after", before, after)
	}
}
