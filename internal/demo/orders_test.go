package demo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOrders(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []order
	}{
		"none":        {"Sunny, 24 degrees. Call me.", nil},
		"one":         {`Now call add with {"a":1}.`, []order{{"add", map[string]any{"a": 1.0}, `call add with {"a":1}`}}},
		"two in turn": {`Call a with {} and then call b-2 with {"x":"{{a}}"}`, []order{{"a", map[string]any{}, "Call a with {}"}, {"b-2", map[string]any{"x": "{{a}}"}, `call b-2 with {"x":"{{a}}"}`}}},
		"nested JSON": {`call f with {"o":{"p":["}"]}} please`, []order{{"f", map[string]any{"o": map[string]any{"p": []any{"}"}}}, `call f with {"o":{"p":["}"]}}`}}},
		"broken JSON": {`call f with {"a":`, nil},
		"no JSON":     {"call f with care", nil},
		"inside word": {`recall f with {}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ordersIn(test.text), cmp.AllowUnexported(order{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOrders_of_one_text_are_bounded(t *testing.T) {
	if got := len(ordersIn(strings.Repeat("call f with {} ", 10*maxOrders))); got != maxOrders {
		t.Errorf("%d orders, want %d", got, maxOrders)
	}
}

func FuzzOrders_stand_in_the_text(f *testing.F) {
	f.Add(`Call a with {} and then call b with {"x":"{{a}}"}`)
	f.Add(`call a with {"b":"call c with {\"d\":1}"}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, o := range ordersIn(text) {
			if !strings.Contains(text, o.text) || !strings.Contains(o.text, o.tool) || !strings.HasSuffix(o.text, "}") {
				t.Errorf("%+v does not stand in %q", o, text)
			}
		}
	})
}

func TestStrings_finds_every_text(t *testing.T) {
	got := stringsIn([]byte(`{"b":["one",{"k":"two"}],"a":3,"c":null}`))
	want := []string{"a", "b", "one", "k", "two", "c"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFill(t *testing.T) {
	got := fill(map[string]any{"a": "<{{f}}>", "b": []any{"{{g}}", 1.0}, "c": "{{unknown}}"}, map[string]string{"f": "x", "g": "y"})
	want := map[string]any{"a": "<x>", "b": []any{"y", 1.0}, "c": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
