package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sameAsParse holds Spliced to its promise, errors included.
func sameAsParse(t *testing.T, m *Message, lim Limits, edits ...Edit) {
	t.Helper()
	got, gotErr := m.Spliced(lim, edits...)
	want, wantErr := Parse(Splice(m.Raw, edits...), lim)
	if (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error() {
		t.Fatalf("%q with %v: error %v, Parse says %v", m.Raw, edits, gotErr, wantErr)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Message{}, Document{}, Value{})); diff != "" {
		t.Fatalf("%q with %v (-Parse +Spliced):\n%s", m.Raw, edits, diff)
	}
}

func Test_spliced_is_the_parsed_message(t *testing.T) {
	raws := []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":"a\u0062c"},"name":"x","arguments":{"a":[1,"b"]}}}`,
		` { "jsonrpc" : "2.0" , "params" : { "progressToken" : 17 , "list" : [ "one" , { "two" : "three" } ] } , "method" : "m" , "id" : "i" } `,
		`{"id":"long enough to matter","result":{"content":[{"type":"text","text":"t"}],"n":null},"jsonrpc":"2.0"}`,
	}
	fresh := []string{`1`, `"x"`, `"caf\u00e9 \" "`, `123456789012345`, `null`, `true`, `-0`, `1.5`, `""`, `{}`, `["a"]`, `"a" `, ``, `1,2`, `"open`, "\"\xff\""}
	for _, raw := range raws {
		m, err := Parse([]byte(raw), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var values []Value
		for start := range m.Raw {
			for end := start + 1; end <= len(m.Raw); end++ {
				if doc, err := Scan(m.Raw[start:end], Limits{}); err == nil && doc.Root.start == 0 && doc.Root.end == end-start {
					values = append(values, Value{m.Raw, start, end})
				}
			}
		}
		for i, v := range values {
			for _, one := range fresh {
				sameAsParse(t, m, Limits{}, v.Replace([]byte(one)))
				for _, other := range values[i+1:] {
					if other.start >= v.end {
						sameAsParse(t, m, Limits{}, v.Replace([]byte(one)), other.Replace([]byte(`"other"`)))
					}
				}
			}
		}
	}
}

func Test_spliced_keeps_to_the_limits(t *testing.T) {
	m, err := Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"m"}`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	sameAsParse(t, m, Limits{Bytes: len(m.Raw)}, m.IDEdit(`1234`))
	sameAsParse(t, m, Limits{Strings: 5}, m.IDEdit(`"a"`))
}

func Fuzz_spliced_is_the_parsed_message(f *testing.F) {
	for _, raw := range []string{`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"b"}}`, `{"id":"x","jsonrpc":"2.0","result":{"a":[1,{"b":"c"}]}}`} {
		f.Add([]byte(raw), uint(22), uint(23), []byte(`"new"`), uint(30), uint(33), []byte(`1`))
	}
	f.Fuzz(func(t *testing.T, raw []byte, start, end uint, text []byte, otherStart, otherEnd uint, other []byte) {
		m, err := Parse(raw, fuzzLimits)
		if err != nil {
			return
		}
		n := uint(len(raw))
		one := Edit{int(start % n), int(end % (n + 1)), text}
		two := Edit{int(otherStart % n), int(otherEnd % (n + 1)), other}
		if one.Start > one.End {
			return
		}
		sameAsParse(t, m, fuzzLimits, one)
		if one.End <= two.Start && two.Start <= two.End {
			sameAsParse(t, m, fuzzLimits, two, one)
		}
		// Places inside a message are hit by chance too seldom.
		for _, s := range m.Strings {
			one := Edit{int(s.Start) - 1, int(s.End) + 1, text}
			if id := m.IDEdit(ID(other)); id.End <= one.Start || one.End <= id.Start {
				sameAsParse(t, m, fuzzLimits, one, id)
			}
		}
	})
}

func BenchmarkSpliced(b *testing.B) {
	raw := mixedText(100 << 10)
	m, err := Parse(raw, Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Spliced(Limits{}, m.IDEdit(`"another"`)); err != nil {
			b.Fatal(err)
		}
	}
}
