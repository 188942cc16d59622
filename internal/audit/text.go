package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Widths of the columns that people read, in characters: together with the last
// one a line has at most 120.
const (
	kindWidth      = 15
	decisionWidth  = 5
	principalWidth = 12
	whereWidth     = 30
	whatWidth      = 33
)

// WriteLine writes a record as one line for people: time, kind, decision,
// principal, server and target, and what came of it. Text of clients and servers
// is cut to its column, and characters that a terminal would obey or hide are
// written as \u{…}.
func WriteLine(w io.Writer, r *Record) error {
	line := strings.Join([]string{
		r.Time.UTC().Format(time.RFC3339),
		column(string(r.Kind), kindWidth),
		column(r.Decision, decisionWidth),
		column(r.Principal, principalWidth),
		column(r.where(), whereWidth),
		column(r.what(), whatWidth),
	}, " ")
	_, err := io.WriteString(w, strings.TrimRight(line, " ")+"\n")
	return err
}

// WriteJSON writes a record as one line of JSON. Characters that a terminal would
// obey or hide are escaped.
func WriteJSON(w io.Writer, r *Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var out []byte
	for _, c := range string(line) { // outside of strings JSON is printable ASCII
		if strconv.IsPrint(c) {
			out = utf8.AppendRune(out, c)
			continue
		}
		if high, low := utf16.EncodeRune(c); high != utf8.RuneError {
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
			continue
		}
		out = fmt.Appendf(out, `\u%04x`, c)
	}
	_, err = w.Write(append(out, '\n'))
	return err
}

// where names what a record is about, as a client would call it.
func (r *Record) where() string {
	switch {
	case r.Server != "" && r.Target != "":
		return r.Server + "__" + r.Target
	case r.Server != "" && r.Method != "":
		return r.Server + " " + r.Method
	case r.Server != "":
		return r.Server
	case r.Target != "":
		return r.Target
	case r.Method != "":
		return r.Method
	}
	return r.Mount
}

func (r *Record) what() string {
	var parts []string
	if r.Micros > 0 {
		parts = append(parts, strconv.FormatFloat(float64(r.Micros)/1000, 'f', 1, 64)+" ms")
	}
	if r.Reason != "" {
		parts = append(parts, r.Reason)
	}
	if r.Rule != "" {
		parts = append(parts, "("+r.Rule+")")
	}
	for i, f := range r.Findings {
		if f.Rule == r.Rule || i > 0 && f.Rule == r.Findings[i-1].Rule {
			continue
		}
		parts = append(parts, f.Rule+" "+f.Effect)
	}
	if r.Detail != "" {
		parts = append(parts, r.Detail)
	}
	return strings.Join(parts, " ")
}

// column escapes text and makes it exactly width characters wide.
func column(text string, width int) string {
	var b strings.Builder
	used := 0
	for _, r := range text {
		piece := printable(r)
		size := utf8.RuneCountInString(piece)
		if used+size > width {
			return cut(b.String(), width)
		}
		b.WriteString(piece)
		used += size
	}
	return b.String() + strings.Repeat(" ", width-used)
}

func cut(text string, width int) string {
	runes := []rune(text)
	runes = runes[:min(len(runes), width-1)]
	return string(runes) + "…" + strings.Repeat(" ", width-1-len(runes))
}

// printable escapes every character that is not letter, mark, number,
// punctuation, symbol or the ordinary space: control, format and bidirectional
// characters above all.
func printable(r rune) string {
	if strconv.IsPrint(r) {
		return string(r)
	}
	return fmt.Sprintf(`\u{%x}`, r)
}
