package rules

import (
	"strings"
	"testing"

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

// Benchmark_clean is all rules on a result in which nothing is wrong.
func Benchmark_clean(b *testing.B) {
	for _, surface := range []rule.Surface{rule.ToolResult, rule.ToolDefinition} {
		b.Run(surface.String(), func(b *testing.B) { detectAll(b, surface, clean) })
	}
	b.Run("base64", func(b *testing.B) {
		detectAll(b, rule.ToolResult, strings.Repeat("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg", 105))
	})
	b.Run("cyrillic", func(b *testing.B) {
		detectAll(b, rule.ToolResult, strings.Repeat("Сервис ответил на сорок два запроса за последний час. ", 105))
	})
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
