package schema

import (
	"testing"

	"gatehouse/internal/wire"
)

// BenchmarkCheck is the check of the arguments of an ordinary call.
func BenchmarkCheck(b *testing.B) {
	s, err := Compile([]byte(`{"type":"object","properties":{"text":{"type":"string"},"limit":{"type":"integer"},"labels":{"type":"array","items":{"type":"string"}}},"required":["text"],"additionalProperties":false}`))
	if err != nil {
		b.Fatal(err)
	}
	for name, arguments := range map[string]string{
		"one":   `{"text":"open issues"}`,
		"three": `{"text":"open issues","limit":20,"labels":["bug","help wanted"]}`,
	} {
		doc, err := wire.Scan([]byte(arguments), wire.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Check(doc.Root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
