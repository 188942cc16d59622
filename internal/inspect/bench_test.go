package inspect_test

import (
	"fmt"
	"os"
	"testing"

	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/rules"
	"gatehouse/internal/wire"
)

// ordinary is the text that `make bench` sends, too. No rule finds anything in it.
const ordinary = "../../test/bench/page.txt"

// result is a message with size bytes of ordinary text.
func result(b *testing.B, size int) *wire.Message {
	b.Helper()
	page, err := os.ReadFile(ordinary)
	if err != nil {
		b.Fatal(err)
	}
	var text []byte
	for part := 1; len(text) < size; part++ {
		text = append(fmt.Appendf(text, "Part %d\n\n", part), page...)
	}
	raw := append([]byte(`{"content":[{"type":"text","text":`), wire.AppendString(nil, string(text[:size]))...)
	m, err := wire.Parse(wire.NewResult("1", append(raw, `}]}`...)), wire.Limits{Bytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	return m
}

var benchSizes = []struct {
	name  string
	bytes int
}{{"200B", 200}, {"10KB", 10_000}, {"100KB", 100_000}}

// BenchmarkRule is each rule by itself on a tool result, and all of them.
func BenchmarkRule(b *testing.B) {
	sets := map[string][]rule.Rule{"all": rules.All()}
	names := []string{"all"}
	for _, r := range rules.All() {
		if r.Surfaces&rule.ToolResult != 0 {
			sets[r.ID] = []rule.Rule{r}
			names = append(names, r.ID)
		}
	}
	for _, name := range names {
		for _, size := range benchSizes {
			b.Run(name+"/"+size.name, func(b *testing.B) {
				m := result(b, size.bytes)
				inspector := inspect.New(sets[name], nil)
				b.SetBytes(int64(size.bytes))
				b.ReportAllocs()
				for b.Loop() {
					out, err := inspector.Message(&m.Document, m.Result, rule.Subject{Surface: rule.ToolResult, Server: "stub", Name: "page"})
					if err != nil || len(out.Findings) > 0 {
						b.Fatal(out.Findings, err)
					}
				}
			})
		}
	}
}
