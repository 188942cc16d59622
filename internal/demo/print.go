package demo

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Look is how a report is printed.
type Look struct {
	Colour bool
	Kept   string // folder that stays; empty when it is removed
}

// The screen that a report fits on.
const (
	width       = 100 // columns
	titleWidth  = 50
	resultWidth = 16
	labelWidth  = 15
)

// Print writes the report for a person: one screen.
func (r *Report) Print(w io.Writer, look Look) error {
	p := &printer{colour: look.Colour}
	p.line("A client that does whatever it reads uses three servers: files (real), mail (honest) and")
	p.line("weather (hostile). Each attack is played without Gatehouse, then through `gatehouse serve`.")
	p.line("")
	p.line("   %s%s%s", pad("attack", titleWidth), pad("without", resultWidth), "with Gatehouse")
	for i, s := range r.Scenes {
		p.line("")
		p.scene(i+1, s)
	}
	p.line("")
	p.summary(r)
	p.line("")
	p.next(r, look.Kept)
	_, err := io.WriteString(w, p.out.String())
	return err
}

type printer struct {
	out    strings.Builder
	colour bool
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(&p.out, format, args...)
	p.out.WriteByte('\n')
}

// SGR codes of ECMA-48.
const (
	bold  = "1"
	dim   = "2"
	red   = "1;31"
	green = "1;32"
)

func (p *printer) paint(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-utf8.RuneCountInString(text)))
}

// fit cuts a text to a number of columns.
func fit(text string, columns int) string {
	if runes := []rune(text); len(runes) > columns {
		return string(runes[:columns-1]) + "…"
	}
	return text
}

func (p *printer) scene(number int, s Scene) {
	p.line("%d  %s%s%s", number, p.paint(bold, pad(s.Title, titleWidth)), p.outcome(s.Without, resultWidth), p.outcome(s.With, 0))
	p.detail("without", took(s.Without))
	p.detail("audit log", why(s.With))
	p.detail("user's task", work(s.With))
}

// outcome is what came of it, at least so many columns wide.
func (p *printer) outcome(r Result, columns int) string {
	if r.Stolen != "" {
		return p.paint(red, pad("✗ stolen", columns))
	}
	return p.paint(green, pad("✓ stopped", columns))
}

func (p *printer) detail(label, text string) {
	p.line("   %s%s", p.paint(dim, pad(label, labelWidth-3)), fit(text, width-labelWidth))
}

func took(r Result) string {
	if r.Stolen == "" {
		return "nothing was stolen, so this attack proves nothing"
	}
	return r.Stolen
}

// why is the first thing that the gateway did not let through, and if there is
// none, where the last call of the user went.
func why(r Result) string {
	for _, e := range r.Log {
		if e.Action != allowed {
			return explain(e)
		}
	}
	if len(r.Log) > 0 && len(r.Steps) > 0 {
		call, step := r.Log[len(r.Log)-1], r.Steps[len(r.Steps)-1]
		if call.Server == step.Server && call.Target == step.Tool {
			return fmt.Sprintf("#%d %s__%s allowed: the name says whose tool is meant", call.Record, call.Server, call.Target)
		}
	}
	return "nothing was refused"
}

func explain(e Entry) string {
	text := fmt.Sprintf("#%d %s", e.Record, e.Server)
	if e.Target != "" {
		text += "__" + e.Target
	}
	switch {
	case e.Action == "drift":
		return text + " withheld: drift, its definition is not the approved one"
	case len(e.Rules) > 0:
		text += " " + e.Action + " by " + e.Rules[0]
	default:
		text += " " + e.Action
	}
	if first, _, _ := strings.Cut(e.Detail, "; "); first != "" {
		text += ": " + first
	}
	return text
}

// work says how it went with what the user asked for.
func work(r Result) string {
	var parts []string
	for _, s := range r.Steps {
		mark := "✓"
		if s.Outcome != answered {
			mark = s.Outcome
		}
		parts = append(parts, s.Server+" "+mark)
	}
	text := strings.Join(parts, ", ")
	if !r.Honest {
		text += "; the honest servers did not do what was asked"
	}
	return text
}

func (p *printer) summary(r *Report) {
	var stolen, stopped, still, records int
	for _, s := range r.Scenes {
		stolen += one(s.Without.Stolen != "")
		stopped += one(s.With.Stolen == "")
		still += one(s.WordingReported.Stolen == "")
		records += s.With.Records
	}
	all, mark := len(r.Scenes), p.paint(green, "✓")
	if !r.OK {
		mark = p.paint(red, "✗")
	}
	p.line("%s  %d of %d attacks succeeded without Gatehouse, %d of %d were stopped with it.", mark, stolen, all, stopped, all)
	p.line("   Played again with the rules that judge wording only reporting: %d of %d stopped.", still, all)
	p.line("   Audit logs: %d records, chains intact.", records)
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// next says how to look at the log and at what waits for a person.
func (p *printer) next(r *Report, kept string) {
	if kept == "" {
		kept = "played"
		p.line("Look for yourself:  gatehouse demo --keep %s", kept)
	} else {
		p.line("Look for yourself:")
	}
	with := filepath.ToSlash(filepath.Join(kept, r.Scenes[0].Name, "with"))
	p.line("  gatehouse log query --decision deny --dir %s/.gatehouse/audit", with)
	p.line("  gatehouse approve --list --config %s/%s", with, configName)
}
