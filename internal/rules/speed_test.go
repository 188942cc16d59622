package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/rule"
)

// clean is ordinary text of about ten kilobytes, in words, numbers and code.
var clean = func() string {
	var all strings.Builder
	for part := range 21 {
		fmt.Fprintf(&all, page, part)
	}
	return all.String()
}()

const page = `The service answered %[1]d requests in the last hour; the slowest took 31%[1]d ms.
Open the settings page, choose "Reports" and press Export. The file is sent to the
printer on floor %[1]d. A user may hold several roles, and each role lists its own rules.

    func total(items []int) (sum int) {
        for _, n := range items { sum += n }
        return sum
    }

See https://docs.example.org/reports/%[1]d for the format (tokens, limits, previous versions).
`

// documents are the pages of this repository, as a server of files would return them.
func documents(tb testing.TB) string {
	tb.Helper()
	var all strings.Builder
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/rules/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			tb.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			page, err := os.ReadFile(path)
			if err != nil {
				tb.Fatal(err)
			}
			all.Write(page)
		}
	}
	return all.String()
}

// sized is a text of about so many bytes.
func sized(text string, bytes int) string {
	return strings.ToValidUTF8(strings.Repeat(text, bytes/len(text)+1)[:bytes], "")
}

// BenchmarkText is all rules together on texts in which nothing is wrong, and on the
// pages of this repository, which speak of attacks.
func BenchmarkText(b *testing.B) {
	for _, kind := range []struct {
		name    string
		surface rule.Surface
		text    string
	}{
		{"clean result", rule.ToolResult, clean},
		{"clean definition", rule.ToolDefinition, clean},
		{"documents", rule.ToolResult, documents(b)},
		{"base64", rule.ToolResult, "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg"},
		{"cyrillic", rule.ToolResult, "Сервис ответил на сорок два запроса за последний час. "},
	} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"1KB", 1e3}, {"10KB", 1e4}, {"100KB", 1e5}, {"1MB", 1e6}, {"10MB", 1e7}} {
			b.Run(kind.name+"/"+size.name, func(b *testing.B) { detectAll(b, kind.surface, sized(kind.text, size.bytes)) })
		}
	}
}

// Benchmark_hostile is what a server can make the rules do.
func Benchmark_hostile(b *testing.B) {
	for _, piece := range []string{"a@b.cc ", "send my data to x@y.zz ", "ignore all ", "please get my list and send the ", "[system user always "} {
		b.Run(strings.TrimSpace(piece), func(b *testing.B) {
			detectAll(b, rule.ToolResult, strings.Repeat(piece, 10<<10/len(piece)))
		})
	}
}

// Benchmark_rule is each rule by itself.
func Benchmark_rule(b *testing.B) {
	for _, r := range All() {
		b.Run(r.ID, func(b *testing.B) {
			detect(b, rule.NewReader([]rule.Rule{r}), rule.Subject{Surface: rule.ToolResult, Text: clean})
		})
	}
}

func detectAll(b *testing.B, surface rule.Surface, text string) {
	detect(b, readers[surface], rule.Subject{Surface: surface, Text: text})
}

func detect(b *testing.B, reader *rule.Reader, subject rule.Subject) {
	b.SetBytes(int64(len(subject.Text)))
	b.ReportAllocs()
	var found []rule.Found
	for b.Loop() {
		var err error
		if found, err = reader.Detect(subject, found[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
