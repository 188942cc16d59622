// Package binarycontent recognises binary content that is not what its sender calls
// it, or more of it than anybody should have to decode.
package binarycontent

import (
	_ "embed"
	"fmt"
	"strings"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/media"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines. It judges what is known of binary content
// (Subject.Binary), and data: URIs in any text.
var Rule = rule.Rule{
	ID:        "binary-content",
	Title:     "Binary content that is not what it is called, or too large",
	Severity:  rule.High,
	Surfaces:  rule.FromServer,
	Refs:      []string{"CWE-434", "CWE-351", "CWE-409", "CWE-770"},
	Doc:       doc,
	AsWritten: true,
	Literals:  []*rule.Literals{marks},
	Detect:    detect,
}

// marks stand before the payload of a data: URI.
var marks = rule.NewLiterals(rule.Written, ";base64,")

const (
	// longestHead is how far before its payload a data: URI begins, in bytes.
	longestHead = 128
	// looked is how much of a data: URI in a text is decoded, in bytes. What it is and how
	// large a picture claims to be stands in the beginning.
	looked = 48 << 10
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	limits := subject.Media.OrDefault()
	if subject.Binary != nil {
		return judge(nil, subject.Surface, subject.Binary, limits, 0, len(subject.Text)), nil
	}
	if !subject.Holds(marks) {
		return nil, nil
	}
	var matches []rule.Match
	text, done := subject.Text, 0
	subject.Each(marks, func(_, _, end int) {
		if end < done {
			return // inside of the one before
		}
		start := scheme(text, max(done, end-longestHead), end)
		if start < 0 {
			return
		}
		done = end + payload(text[end:])
		uri, ok := media.ParseURI(text[start:done])
		if !ok {
			return
		}
		raw, whole := uri.Bytes(looked)
		f := media.Read(raw)
		if f.Declared = uri.Declared; !whole {
			f.Size = (done - end) / 4 * 3
		}
		matches = judge(matches, subject.Surface, &f, limits, start, done)
	})
	return matches, nil
}

// scheme is where the last data: between two places begins; -1 if there is none.
func scheme(text string, from, to int) int {
	const word = "data:"
	for at := to - len(word); at >= from; at-- {
		if strings.EqualFold(text[at:at+len(word)], word) {
			return at
		}
	}
	return -1
}

// payload is how long the Base64 is that a text begins with.
func payload(text string) int {
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("+/-_=%\r\n", c) >= 0:
		default:
			return i
		}
	}
	return len(text)
}

// judge adds what is to be said of some content that stands in a text.
func judge(matches []rule.Match, surface rule.Surface, f *media.File, limits media.Limits, start, end int) []rule.Match {
	if start == end {
		return matches
	}
	add := func(severity rule.Severity, action rule.Action, format string, args ...any) {
		m := rule.Match{Start: start, End: end, Severity: severity, Action: action, Detail: fmt.Sprintf(format, args...)}
		if surface&(rule.Definitions|rule.ToServer) != 0 {
			m.Action = rule.Report
		}
		if m.Action == rule.Redact {
			m.Replacement = "[content withheld by Gatehouse: binary-content]"
		}
		matches = append(matches, m)
	}
	declared, _ := media.Declaration(f.Declared)
	declared = printable(declared)
	switch f.Fit() {
	case media.Dangerous:
		add(rule.High, rule.Refuse, "%s called %s", what(f), declared)
	case media.Differs:
		add(rule.Medium, rule.Report, "%s called %s", what(f), declared)
	case media.Unclear:
		add(rule.Low, rule.Report, "called %s, and the bytes are of no known kind", declared)
	case media.Near:
		add(rule.Info, rule.Report, "%s called %s", what(f), declared)
	}
	if f.Size > limits.Bytes {
		add(rule.Medium, rule.Redact, "%d bytes, more than %d", f.Size, limits.Bytes)
	}
	if f.Pixels() > limits.Pixels {
		add(rule.High, rule.Redact, "a picture of %d × %d pixels, more than %d", f.Width, f.Height, limits.Pixels)
	}
	if f.Cut {
		add(rule.Medium, rule.Redact, "more text beside the content than is looked at")
	}
	if f.Damaged {
		add(rule.Medium, rule.Report, "no proper Base64, so readers differ about the bytes")
	}
	if f.Size > 0 && !limits.Expected(f) {
		add(rule.Low, rule.Report, "%s, which is not expected", what(f))
	}
	return matches
}

// what names the bytes.
func what(f *media.File) string {
	switch f.Type {
	case media.Unknown:
		return "content of no known kind"
	case media.Executable:
		return "a program"
	case media.Script:
		return "a script"
	}
	return string(f.Type)
}

// printable is the name of a type as it may stand in a record.
func printable(name string) string {
	const longest = 60
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, name[:min(len(name), longest)])
}
