package encodedpayload

import (
	"encoding/base64"
	"strings"
	"testing"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

func Test_programs_are_told_by_their_first_bytes(t *testing.T) {
	for _, head := range []string{
		"\x7fELF\x02\x01\x01", "MZ\x90\x00\x03\x00 this cannot be run in DOS mode", "\xcf\xfa\xed\xfe\x07", "\xca\xfe\xba\xbe\x00\x00\x00\x34", "\x00asm\x01\x00", "#!/bin/sh\necho", "\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system", "\xac\xed\x00\x05sr",
		"I\x00E\x00X\x00 \x00(\x00n\x00e\x00t\x00.\x00w\x00e\x00b\x00c\x00l\x00i\x00e\x00n\x00t\x00",
	} {
		raw := head + strings.Repeat("\x00\x01", 60)
		if program([]byte(raw)) == "" {
			t.Errorf("%q is no program", head)
		}
		for surface, want := range map[rule.Surface]float64{rule.ToolDefinition: certain, rule.ToolResult: reported} {
			text := "x " + base64.StdEncoding.EncodeToString([]byte(raw)) + " y"
			matches, err := Rule.Detect(rule.Subject{Surface: surface, Key: "text", Text: text})
			if err != nil || len(matches) != 1 || matches[0].Confidence != want || matches[0].Start != 2 || matches[0].End != len(text)-2 {
				t.Errorf("%q on %v gives %v, %v", head, surface, matches, err)
			}
		}
	}
	for _, head := range []string{"", "MZ", "\x7fELF", "GIF89a", "\x89PNG", "PK\x03\x04", "#!shebang", "\x80\x04\x95 list"} {
		if got := program([]byte(head)); got != "" {
			t.Errorf("%q is %s", head, got)
		}
	}
}

func Fuzz_matches_lie_inside(f *testing.F) {
	for _, seed := range []string{"f0VMRg", "IyEvYmluL3No", "eyJ.", strings.Repeat("QUFB", 40), strings.Repeat("61", 80)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		matches, err := Rule.Detect(rule.Subject{Surface: rule.ToolDefinition, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range matches {
			if m.Start >= m.End || m.End > len(text) || len(m.Decoded) > rule.MaxDecoded {
				t.Errorf("%q: %+v", text, m)
			}
		}
	})
}
