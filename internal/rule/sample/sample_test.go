package sample

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/rule"
)

var reader = rule.Rule{ID: "r", Surfaces: rule.ToolResult | rule.ToolDefinition, Doc: "# R\n## Bad\n```\na\nb\n```\n```json\n{\"surface\": \"tool-definition\", \"text\": \"c\"}\n```\n## Good\n```\nd\n```\n## What it cannot see\n```\ne\n```\n"}

func Test_documentation_is_read_by_its_headings(t *testing.T) {
	bad, good, err := Documented(reader)
	if err != nil || len(bad) != 2 || len(good) != 1 {
		t.Fatalf("got %v, %v, %v", bad, good, err)
	}
	if s := bad[0]; s.Name != "Bad 1" || s.Subject.Text != "a\nb" || s.Subject.Surface != rule.ToolResult {
		t.Errorf("the first is %+v", s)
	}
	if s := bad[1]; s.Subject.Text != "c" || s.Subject.Surface != rule.ToolDefinition {
		t.Errorf("the second is %+v", s)
	}
	if good[0].Subject.Text != "d" {
		t.Errorf("good is %+v", good)
	}
	for _, doc := range []string{"", "## Bad\n```\na\n```\n", "## Bad\n```json\n{\"txt\":\"a\"}\n```\n## Good\n```\nd\n```\n", "## Bad\n```json\n{\"surface\":\"arguments\",\"text\":\"a\"}\n```\n## Good\n```\nd\n```\n"} {
		broken := reader
		broken.Doc = doc
		if _, _, err := Documented(broken); err == nil {
			t.Errorf("%q is read", doc)
		}
	}
}

func Test_a_case_is_read(t *testing.T) {
	folder := t.TempDir()
	write := func(text string) {
		if err := os.MkdirAll(filepath.Join(folder, "testdata"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "testdata", "one.txtar"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("-- subject --\n{\"name\": \"n\"}\n-- text.json --\n\"a\\u0041\"\n-- want --\nhigh report 0-1 x\n")
	all, err := Cases(folder, reader)
	if err != nil || len(all) != 1 || all[0].Name != "one" || all[0].Subject.Text != "aA" || all[0].Subject.Name != "n" || !all[0].Acts() {
		t.Errorf("got %+v, %v", all, err)
	}
	for _, text := range []string{"-- subject --\n{\"nam\": 1}\n", "-- other --\n", "-- text.json --\nx\n", "-- subject --\n{\"surface\": \"arguments\"}\n"} {
		write(text)
		if all, err := Cases(folder, reader); err == nil || !strings.Contains(err.Error(), "one.txtar") {
			t.Errorf("%q: got %v, %v, want an error that names the file", text, all, err)
		}
	}
}

func TestActs(t *testing.T) {
	for _, tt := range []struct {
		want         string
		acts, silent bool
	}{
		{"", false, true},
		{"\n", false, true},
		{"medium report 0-3 x\n", false, false},
		{"medium report 0-3 x\ncritical redact 0-3 x\n", true, false},
		{"high report 0-3 x (0.89)\n", false, false},
		{"high report 0-3 x (0.90)\n", true, false},
		{"high report 0-3 the version (0.10) of x\n", true, false},
	} {
		s := Sample{Want: tt.want}
		if s.Acts() != tt.acts || s.Silent() != tt.silent {
			t.Errorf("%q: acts %v, silent %v", tt.want, s.Acts(), s.Silent())
		}
	}
}
