package wire

import (
	"fmt"
	"strings"
	"testing"
)

// mixedText is a tool result of about size bytes: prose in lines, some of it
// not ASCII, with names and numbers between.
func mixedText(size int) []byte {
	const prose = `The quick brown fox jumps over the lazy dog; \"quoted\" text,\nnew lines and a caf` + "\u00e9 at the end. "
	var b strings.Builder
	b.WriteString(`{"jsonrpc":"2.0","id":17,"result":{"isError":false,"content":[`)
	for i := 0; b.Len() < size-40; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		n := max(1, min(12, (size-b.Len())/len(prose)))
		fmt.Fprintf(&b, `{"type":"text","text":"%s","annotations":{"priority":0.%d,"audience":["user"]}}`, strings.Repeat(prose, n), i)
	}
	b.WriteString(`]}}`)
	return []byte(b.String())
}

var sizes = []struct {
	name  string
	bytes int
}{{"200B", 200}, {"10KB", 10 << 10}, {"100KB", 100 << 10}, {"1MB", 1 << 20}}

func BenchmarkParse(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			raw := mixedText(size.bytes)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(raw, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseCall(b *testing.B) {
	raw := []byte(`{"jsonrpc":"2.0","id":"c-17","method":"tools/call","params":{"_meta":{"progressToken":3},"name":"search","arguments":{"query":"open issues","limit":20,"labels":["bug","help wanted"]}}}`)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(raw, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseLongString(b *testing.B) {
	for _, text := range []struct{ name, unit string }{{"ASCII", "plain text without escapes. "}, {"CJK", "\u6f22\u5b57\u304b\u306a"}} {
		b.Run(text.name, func(b *testing.B) {
			raw := NewResult("1", AppendString(nil, strings.Repeat(text.unit, (1<<20)/len(text.unit))))
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(raw, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// manyMembers is an object whose names share no pattern that a hash could miss.
func manyMembers(n int) []byte {
	b := []byte{'{'}
	for i := range n {
		b = fmt.Appendf(b, `"member%d":%d,`, i, i)
	}
	b[len(b)-1] = '}'
	return b
}

// The time per member must not grow with their number.
func BenchmarkScanMembers(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			raw := manyMembers(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Scan(raw, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/member")
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	b.Run("100KB", func(b *testing.B) {
		raw := mixedText(100 << 10)
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			Canonical(raw)
		}
	})
	// Members in the wrong order on every level move everything below them.
	b.Run("deep", func(b *testing.B) {
		const depth = 127
		raw := []byte(strings.Repeat(`{"b":`, depth) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat(`,"a":1}`, depth))
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			Canonical(raw)
		}
	})
}
