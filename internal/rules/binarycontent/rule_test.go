package binarycontent

import (
	"strings"
	"testing"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/media"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

func Test_what_is_said_of_content(t *testing.T) {
	limits := media.Limits{Bytes: 100, Pixels: 1000}
	for name, c := range map[string]struct {
		file   media.File
		want   string
		action rule.Action
	}{
		"a picture":       {media.File{Declared: "image/png", Type: media.PNG, Size: 100, Width: 10, Height: 100}, "", 0},
		"another name":    {media.File{Declared: "image/jpg", Type: media.JPEG, Size: 1}, "image/jpeg called image/jpg", rule.Report},
		"a program":       {media.File{Declared: "image/png", Type: media.Executable, Size: 1}, "a program called image/png", rule.Refuse},
		"a document":      {media.File{Declared: "image/png", Type: media.PDF, Size: 1}, "application/pdf called image/png", rule.Report},
		"nothing known":   {media.File{Declared: "image/png", Size: 1}, "called image/png, and the bytes are of no known kind", rule.Report},
		"too large":       {media.File{Type: media.PNG, Size: 101}, "101 bytes, more than 100", rule.Redact},
		"too many pixels": {media.File{Type: media.PNG, Size: 1, Width: 1001, Height: 1}, "a picture of 1001 × 1 pixels, more than 1000", rule.Redact},
		"too much text":   {media.File{Type: media.PNG, Size: 1, Cut: true}, "more text beside the content than is looked at", rule.Redact},
		"no Base64":       {media.File{Type: media.PNG, Size: 1, Damaged: true}, "no proper Base64, so readers differ about the bytes", rule.Report},
		"not expected":    {media.File{Type: media.ZIP, Size: 1}, "application/zip, which is not expected", rule.Report},
		"an ugly name":    {media.File{Declared: "image/\x1b[2J" + strings.Repeat("x", 99), Type: media.PDF, Size: 1}, "application/pdf called image/?[2j" + strings.Repeat("x", 50), rule.Report},
	} {
		matches, err := Rule.Detect(rule.Subject{Surface: rule.ToolResult, Text: "QUJD", Media: limits, Binary: &c.file})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if len(matches) > 0 {
			got = matches[0].Detail
			if matches[0].Action != c.action || matches[0].Start != 0 || matches[0].End != 4 {
				t.Errorf("%s: %+v", name, matches[0])
			}
		}
		if got != c.want || len(matches) > 2 {
			t.Errorf("%s: %+v, want %q", name, matches, c.want)
		}
	}
}

// Fuzz_rule holds the rule to matches that lie inside of the text, in order.
func Fuzz_rule(f *testing.F) {
	f.Add("x data:image/png;base64,f0VMRgIBAQA= y", "data:image/png;base64,")
	f.Add("\u2c62\u0130\xff data:;base64,AAAA", ";base64,;base64,")
	f.Fuzz(func(t *testing.T, text, more string) {
		text += ";base64," + more
		matches, err := Rule.Detect(rule.Subject{Surface: rule.ToolResult, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range matches {
			if m.Start < 0 || m.Start >= m.End || m.End > len(text) || !strings.EqualFold(text[m.Start:min(m.Start+5, m.End)], "data:") {
				t.Errorf("%q: %+v", text, m)
			}
		}
	})
}
