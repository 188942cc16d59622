package rules

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/rule"
)

func TestAll_lists_every_folder_in_order(t *testing.T) {
	folders, err := filepath.Glob("*/rule.go")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, folder := range folders {
		want = append(want, filepath.Dir(folder))
	}
	var ids []string
	for _, r := range All() {
		ids = append(ids, r.ID)
		got = append(got, strings.ReplaceAll(r.ID, "-", ""))
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("IDs are not unique and in order: %v", ids)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the list is stale; run go generate (-folders +list):\n%s", diff)
	}
}

func TestPages_are_fresh(t *testing.T) {
	folder := filepath.Join("..", "..", "docs", "rules")
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[entry.Name()] = string(content)
	}
	if diff := cmp.Diff(Pages(All()), got); diff != "" {
		t.Errorf("docs/rules is stale; run go generate (-want +got):\n%s", diff)
	}
}

func TestPrepare_is_fresh(t *testing.T) {
	want, err := rule.Prepare(All())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", "rule", "prepared.gen.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Error("internal/rule/prepared.gen.go is stale; run go generate ./internal/rules")
	}
}

func TestByID(t *testing.T) {
	for _, r := range All() {
		if found, ok := ByID(r.ID); !ok || found.Title != r.Title {
			t.Errorf("ByID(%q) finds %q, %v", r.ID, found.Title, ok)
		}
	}
	if _, ok := ByID("no-such-rule"); ok {
		t.Error("a rule that does not exist is found")
	}
}

// What a person asks a model stands in prompts and in questions to it, and in results
// that hold such; there no rule acts upon it.
func Test_prompts_are_no_attacks(t *testing.T) {
	texts := []string{"You are a helpful assistant that reviews code.", "Please summarise the following text for the user."}
	for _, r := range All() {
		for bit := rule.Surface(1); bit <= rule.Other; bit <<= 1 {
			if r.Surfaces&bit == 0 || bit == rule.ToolDefinition || bit == rule.ResourceDefinition {
				continue
			}
			for _, text := range texts {
				matches, err := r.Detect(rule.Subject{Surface: bit, Server: "s", Name: "t", Key: "text", Text: text})
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range matches {
					if m = r.Rated(m); m.Confidence >= rule.Hard {
						t.Errorf("%s on %v acts, %+v: %q", r.ID, bit, m, text)
					}
				}
			}
		}
	}
}

// Test_ordinary_texts_stay_silent holds all rules to texts that every server has.
func Test_ordinary_texts_stay_silent(t *testing.T) {
	texts := []string{
		"", "ok", clean, "SELECT * FROM users WHERE id = 1", "Error: ENOENT: no such file or directory, open '/tmp/x'",
		picture(9000),
		"Résumé: naïve façade, 日本語, हिन्दी, עברית, Ελληνικά, кириллица 🎉👨‍👩‍👧❤️",
	}
	for _, r := range All() {
		for bit := rule.Surface(1); bit <= rule.Other; bit <<= 1 {
			if r.Surfaces&bit == 0 {
				continue
			}
			for _, text := range texts {
				matches, err := r.Detect(rule.Subject{Surface: bit, Server: "s", Name: "t", Key: "description", Text: text})
				if err != nil || len(matches) > 0 {
					t.Errorf("%s on %v raises %v, %v: %.60q", r.ID, bit, matches, err, text)
				}
			}
		}
	}
}

// picture is Base64 of bytes as those of a compressed picture are.
func picture(size int) string {
	source := rand.NewChaCha8([32]byte{1})
	raw := make([]byte, size)
	source.Read(raw) //nolint:errcheck // it has no errors
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(append([]byte("\x89PNG\r\n\x1a\n"), raw...))
}
