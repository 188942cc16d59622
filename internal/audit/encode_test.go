package audit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// checkString checks what a reader gets and what a terminal would be shown.
func checkString(t *testing.T, text string) {
	t.Helper()
	line := appendString(nil, text)
	if other := appendString(nil, json.RawMessage(text)); string(other) != string(line) {
		t.Fatalf("%q became %s and, as bytes, %s", text, line, other)
	}
	var got string
	if err := json.Unmarshal(line, &got); err != nil || got != replaced(text) {
		t.Fatalf("%q became %s and was read as %q (%v)", text, line, got, err)
	}
	if !utf8.Valid(line) || strings.ContainsFunc(string(line), func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }) {
		t.Fatalf("%q became %q", text, line)
	}
}

// replaced is text with U+FFFD for each byte that is no UTF-8.
func replaced(text string) string { return string([]rune(text)) }

func Test_every_byte_at_every_place_of_a_string_reads_back(t *testing.T) {
	for size := range 20 {
		for at := range size {
			for c := range 256 {
				text := []byte(strings.Repeat("x", size))
				text[at] = byte(c)
				checkString(t, string(text))
				text[size-1-at] = '"' // a second one, before or behind it
				checkString(t, string(text))
			}
		}
	}
}

func Fuzz_strings_read_back(f *testing.F) {
	f.Add("plain")
	f.Add("ä\u0085\u00a0 漢 \xff\xc2 \"\\\n\t\x7f\u2028")
	f.Fuzz(checkString)
}

func Test_the_clock_writes_what_the_format_says(t *testing.T) {
	var c clock
	at := time.Date(2026, 12, 31, 23, 59, 58, 0, time.UTC)
	for range 3000 {
		if got, want := string(c.stamp(at)), at.Format(timeFormat); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		at = at.Add(1_234_567)
	}
	if got, want := string(c.stamp(at.Add(-time.Hour))), at.Add(-time.Hour).Format(timeFormat); got != want {
		t.Errorf("the clock was put back: got %s, want %s", got, want)
	}
}
