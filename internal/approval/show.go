package approval

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// printer writes changes for people. Text from a server goes through Visible, and
// every line of it begins with what we print, so that it cannot pass for ours.
type printer struct {
	out    *bufio.Writer
	colour bool
	whole  bool // show new items whole even if no rule found anything in them
}

// SGR codes of the terminal (ECMA-48).
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (p *printer) paint(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// printf and line leave write errors to Flush, which reports the first.
func (p *printer) printf(format string, args ...any) { fmt.Fprintf(p.out, format, args...) }
func (p *printer) line(text string)                  { p.printf("%s\n", text) }

func (p *printer) list(group []Change) {
	for _, c := range group {
		note := ""
		if n := len(c.Findings); n > 0 {
			note = fmt.Sprintf(", findings: %d", n)
		}
		if !c.Waits() {
			note = ", needs no approval"
		}
		p.printf("%s: %s %s%s, since %s\n", Visible(c.Server), label(c.Kind, c.Name), c.What(), note, c.Since.Format(time.RFC3339))
	}
}

// server shows all changes of one server, those with findings first.
func (p *printer) server(group []Change, findings []finding.Finding) {
	title := Visible(group[0].Server)
	if group[0].Quarantined {
		title += ": new here; nothing of it may be used until it is approved"
	}
	p.line(p.paint(bold, title))
	p.findings(findings)
	group = slices.Clone(group)
	slices.SortStableFunc(group, func(a, b Change) int { return int(worst(b.Findings)) - int(worst(a.Findings)) })
	abbreviated := 0
	for _, c := range group {
		if c.Quarantined && len(c.Findings) == 0 && !p.whole && c.Kind != KindSource && c.Kind != KindInstructions {
			p.brief(c)
			abbreviated++
			continue
		}
		p.change(c)
	}
	if abbreviated > 0 {
		p.printf("  Items shown by their first words: %d. Name an item after the server to see it whole.\n", abbreviated)
	}
}

func worst(findings []finding.Finding) rule.Severity {
	worst := rule.Unrated
	for _, f := range findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

func (p *printer) change(c Change) {
	seen := ""
	if c.Versions > 1 {
		seen = fmt.Sprintf(", %d versions seen", c.Versions)
	}
	p.printf("  %s %s, since %s%s\n", p.paint(bold, label(c.Kind, c.Name)), c.What(), c.Since.Format(time.RFC3339), seen)
	switch {
	case c.Duplicate:
		p.line("    The server defines this name more than once. None of them can be approved.")
	case !c.Waits():
		p.line("    The server no longer has it. This needs no approval; approving forgets it.")
		return
	}
	p.findings(c.Findings)
	for _, l := range Diff(c.Old.Definition, c.New.Definition) {
		p.diff(l)
	}
}

func (p *printer) findings(list []finding.Finding) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b finding.Finding) int { return int(b.Severity) - int(a.Severity) })
	for _, f := range list {
		text := fmt.Sprintf("! %s %s", f.Severity, f.Rule)
		if f.Field != "" {
			text += " at " + f.Field
		}
		if f.Detail != "" {
			text += ": " + f.Detail
		}
		if f.Excerpt != "" {
			text += ": " + f.Excerpt
		}
		// A finding shows hidden characters already; its backslashes stay.
		p.line("    " + p.paint(yellow, strings.ReplaceAll(Visible(text), `\\`, `\`)))
	}
}

// brief shows a new item in which no rule found anything.
func (p *printer) brief(c Change) {
	p.printf("  %s %s: %s\n", label(c.Kind, c.Name), c.What(), summary(c.New.Definition))
}

// summaryRunes is how much of a description is shown of an item without findings.
const summaryRunes = 80

func summary(definition json.RawMessage) string {
	doc, err := wire.Scan(definition, fileLimits)
	if err != nil {
		return "not readable"
	}
	runes := []rune(doc.Root.Get("description").Text())
	if len(runes) > summaryRunes {
		return Visible(string(runes[:summaryRunes])) + " …"
	}
	return Visible(string(runes))
}

func (p *printer) diff(l Line) {
	pointer := l.Pointer
	if pointer != "" {
		pointer += ": "
	}
	switch l.Op {
	case Added:
		p.block("+ ", pointer+l.Parts[0].Text, green)
	case Removed:
		p.block("- ", pointer+l.Parts[0].Text, red)
	case Reordered:
		p.block("~ ", pointer+l.Parts[0].Text, yellow)
	case Changed:
		p.block("~ ", pointer+p.words(l.Parts), "")
	}
}

// block writes text with the mark before each of its lines.
func (p *printer) block(mark, text, colour string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if colour != "" {
			line = p.paint(colour, line)
		}
		p.printf("    %s%s\n", mark, line)
	}
}

// marks that the server wrote itself are told from ours by a backslash, which
// Visible never leaves single in text.
var foreignMarks = strings.NewReplacer("[-", `\[-`, "-]", `\-]`, "{+", `\{+`, "+}", `\+}`)

// words marks what was replaced: [-old-]{+new+}.
func (p *printer) words(parts []Part) string {
	var out strings.Builder
	for _, part := range parts {
		text := foreignMarks.Replace(part.Text)
		switch part.Op {
		case Removed:
			text = p.eachLine(red, "[-"+text+"-]")
		case Added:
			text = p.eachLine(green, "{+"+text+"+}")
		}
		out.WriteString(text)
	}
	return out.String()
}

// eachLine colours every line by itself, because a mark of ours stands between.
func (p *printer) eachLine(code, text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = p.paint(code, line)
	}
	return strings.Join(lines, "\n")
}
