package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/rule"
)

// clean is ordinary text of about ten kilobytes, in words, numbers and code.
var clean = strings.Repeat(`The service answered 42 requests in the last hour; the slowest took 310 ms.
Open the settings page, choose "Reports" and press Export. The file is sent to the
printer on floor 3. A user may hold several roles, and each role lists its own rules.

    func total(items []int) (sum int) {
        for _, n := range items { sum += n }
        return sum
    }

See https://docs.example.org/reports for the format (tokens, limits, previous versions).
`, 21)

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

// Test_time_grows_with_the_text_and_not_faster compares texts of which one is many
// times as long. Only a ratio holds on any machine, and only the shorter of two times.
func Test_time_grows_with_the_text_and_not_faster(t *testing.T) {
	const small = 1 << 20
	for _, tt := range []struct {
		name, text string
		times      int
	}{{"clean", clean, 10}, {"documents", documents(t), 4}} {
		before, after := elapsed(t, sized(tt.text, small)), elapsed(t, sized(tt.text, small*tt.times))
		if allowed := time.Duration(3 * tt.times); after > before*allowed { // quadratic would be times²
			t.Errorf("%s: 1 MiB takes %v, %d MiB take %v", tt.name, before, tt.times, after)
		}
	}
}

func elapsed(t *testing.T, text string) time.Duration {
	t.Helper()
	detect := func() time.Duration {
		start := time.Now()
		if _, err := readers[rule.ToolResult].Detect(rule.Subject{Surface: rule.ToolResult, Text: text}, nil); err != nil {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	return min(detect(), detect())
}

// A clean text costs no memory for each rule: with every rule four times there are no
// more allocations than with every rule once. One is for the race detector, under which
// pools forget.
func Test_memory_does_not_grow_with_the_rules(t *testing.T) {
	for _, surface := range []rule.Surface{rule.ToolResult, rule.ToolDefinition, rule.Arguments} {
		var many []rule.Rule
		for n := range 4 {
			for _, r := range reading(surface) {
				r.ID = fmt.Sprint(r.ID, n)
				many = append(many, r)
			}
		}
		subject := rule.Subject{Surface: surface, Text: clean}
		allocations := func(reader *rule.Reader) float64 {
			return testing.AllocsPerRun(200, func() {
				if found, err := reader.Detect(subject, nil); err != nil || len(found) > 0 {
					t.Fatal(found, err)
				}
			})
		}
		if once, fourTimes := allocations(readers[surface]), allocations(rule.NewReader(many)); fourTimes > once+1 {
			t.Errorf("%v: %v allocations with %d rules, %v with %d", surface, once, len(many)/4, fourTimes, len(many))
		}
	}
}
