package wire

import (
	"strings"
	"testing"
)

func Test_valid_is_what_scan_accepts(t *testing.T) {
	for _, text := range []string{
		`{"a":1,"b":[true,null,"x"]}`, ` 1 `, `"x"`, `{}`, ``, ` `, `{"a":1}x`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `"\ud800"`, "\"\xff\"", `{"a":`,
		strings.Repeat("[", 128) + strings.Repeat("]", 128), strings.Repeat("[", 129) + strings.Repeat("]", 129),
		"[" + strings.Repeat(`"x",`, 2*maxKept) + `"x"]`, `{"a":1}`,
	} {
		for range 2 { // what one text left behind must not show in the next
			if _, err := Scan([]byte(text), Limits{}); Valid([]byte(text)) != (err == nil) {
				t.Errorf("%.60q: Valid says %v, Scan %v", text, err != nil, err)
			}
		}
	}
}

func FuzzValid(f *testing.F) {
	f.Add(`{"a":[1,"b",{"c":null}]}`, `{"a":1,"a":2}`)
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, text := range []string{one, two, one} {
			if _, err := Scan([]byte(text), Limits{}); Valid([]byte(text)) != (err == nil) {
				t.Fatalf("%q: Valid says %v, Scan %v", text, err != nil, err)
			}
		}
	})
}
