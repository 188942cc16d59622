// Package page writes a report as one HTML page that needs nothing else: a picture of
// clients, servers and what they reach, the findings, and everything that was read. It
// loads nothing, works without scripts, and its policy lets no other script or style run
// than the two that it brings.
package page

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"unicode"

	"gatehouse/internal/approval"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
	"gatehouse/internal/rule"
)

//go:embed page.html
var source string

//go:embed page.css
var style string

//go:embed page.js
var script string

// layout escapes everything that is put into it, by where it is put.
var layout = template.Must(template.New("page").Funcs(template.FuncMap{
	"show": show, "class": class, "join": func(list []string) string { return show(strings.Join(list, ", ")) }, "plural": report.Count,
}).Parse(source))

// policy allows the style and the script of this page, by their digests, and nothing
// else: whatever a hostile name in a client's file might become, it loads and runs
// nothing.
var policy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", digest(style), digest(script))

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// view is what the template is given.
type view struct {
	*report.Report
	Policy  string
	Style   template.CSS
	Script  template.JS
	Picture picture
	Width   int
	Tiles   []tile
	Shown   []finding
	Open    []report.Open
	Rows    []row
	Read    []report.File
	Unread  int
}

type tile struct {
	Severity rule.Severity
	Number   int
}

type finding struct {
	report.Finding
	At   []string
	Open bool   // shown in full from the start
	Text string // for searching
}

type row struct {
	inventory.Server
	Runs  string
	Worst rule.Severity
	Reach []string
	Found int
}

// Write writes a report.
func Write(out io.Writer, r *report.Report) error {
	v := view{Report: r, Policy: policy, Style: template.CSS(style), Script: template.JS(script), Picture: draw(r), Width: pictureWidth}
	for _, s := range []rule.Severity{rule.Critical, rule.High, rule.Medium, rule.Low, rule.Info} {
		v.Tiles = append(v.Tiles, tile{s, *r.Summary.Findings.Of(s)})
	}
	for _, f := range r.Findings {
		v.Shown = append(v.Shown, findingOf(r, f))
	}
	v.Open = r.Open()
	for _, s := range r.Servers {
		v.Rows = append(v.Rows, rowOf(r, s))
	}
	v.Read = slices.Clone(r.Files)
	slices.SortStableFunc(v.Read, func(a, b report.File) int { return cmp.Compare(unread(b), unread(a)) })
	v.Unread = r.Summary.Incomplete
	return layout.Execute(out, v)
}

func unread(f report.File) int {
	if f.State == client.Parsed {
		return 0
	}
	return 1
}

func findingOf(r *report.Report, f report.Finding) finding {
	out := finding{Finding: f, Open: f.Severity >= rule.High && f.Suppressed == nil}
	for _, p := range f.Places {
		out.At = append(out.At, r.At(p))
	}
	if f.Server == "" {
		out.Name = r.Short(f.Name)
	}
	out.Text = strings.ToLower(show(strings.Join([]string{f.Severity.String(), f.Check, f.Title, out.Name, f.Why, f.Fix, strings.Join(f.Clients, " "), strings.Join(out.At, " ")}, " ")))
	return out
}

func rowOf(r *report.Report, s inventory.Server) row {
	out := row{Server: s, Runs: report.Runs(s), Worst: r.Worst(s.ID)}
	for _, t := range reaches(r, s) {
		out.Reach = append(out.Reach, t.name)
	}
	for _, f := range r.Findings {
		if f.Server == s.ID && f.Suppressed == nil {
			out.Found++
		}
	}
	return out
}

// show is a text with every character to be seen: a page obeys directions of writing as
// a terminal does.
func show(s string) string { return approval.Visible(s) }

// fit cuts what is too long for a box of the picture, which has room for a number of
// ordinary letters. Which font a browser has is not known: capitals count for more, and
// the letters of East Asia for two.
func fit(s string, most int) string {
	s = show(s)
	room := 10 * most
	for i, r := range s {
		switch {
		case r >= 0x1100:
			room -= 20
		case unicode.IsUpper(r) || strings.ContainsRune("mwMW@_", r):
			room -= 13
		default:
			room -= 10
		}
		if room < 0 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}
