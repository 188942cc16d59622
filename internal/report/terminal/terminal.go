// Package terminal writes a report for a person in front of a terminal: the worst first,
// one line for each finding, and below it why and how to fix it. Nothing from a file
// reaches the terminal as it is.
package terminal

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"gatehouse/internal/approval"
	"gatehouse/internal/client"
	"gatehouse/internal/report"
	"gatehouse/internal/rule"
)

// Options say how it is written. The zero value is for a pipe.
type Options struct {
	Width   int  // columns; DefaultWidth if zero
	Colour  bool // the terminal understands colours
	Quiet   bool // findings in one line each, and the summary
	Verbose bool // everything
}

const (
	// DefaultWidth is that of a terminal about which nothing is known.
	DefaultWidth = 80
	leastWidth   = 60
	// mostText is how long lines of text get on a wide terminal: longer ones are hard to
	// read.
	mostText = 110
	// indent is where explanations begin; what comes before is the severity.
	indent = 10
	// nameWidth is how much of a name is shown at most in a column, whoWidth how much of the
	// clients that have it.
	nameWidth = 20
	leastName = 12
	whoWidth  = 20
)

// Write writes a report.
func Write(out io.Writer, r *report.Report, o Options) error {
	if o.Width == 0 {
		o.Width = DefaultWidth
	}
	o.Width = max(o.Width, leastWidth)
	buffered := bufio.NewWriter(out)
	p := &printer{out: buffered, r: r, o: o}
	p.column = p.widest()
	p.findings()
	p.changes()
	if !o.Quiet {
		p.servers()
		p.unchecked()
		p.files()
	}
	p.summary()
	return buffered.Flush()
}

type printer struct {
	out    *bufio.Writer
	r      *report.Report
	o      Options
	column int // of names
}

// widest is how wide the column of names must be.
func (p *printer) widest() int {
	n := leastName
	for _, f := range p.r.Findings {
		n = max(n, width(p.name(f)))
	}
	for _, s := range p.r.Servers {
		n = max(n, width(shorten(s.Name, nameWidth)))
	}
	return n
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// heading begins a part.
func (p *printer) heading(words string) {
	if p.o.Colour {
		words = bold + words + plain
	}
	p.line("%s", words)
}

const (
	bold  = "\x1b[1m"
	plain = "\x1b[0m"
)

var colours = map[rule.Severity]string{
	rule.Critical: "\x1b[1;37;41m", rule.High: "\x1b[1;31m", rule.Medium: "\x1b[33m", rule.Low: "\x1b[36m", rule.Info: "\x1b[2m",
}

// label is the word for a severity, in a column of its own.
func (p *printer) label(s rule.Severity) string {
	word := strings.ToUpper(s.String())
	gap := strings.Repeat(" ", max(1, indent-len(word)))
	if p.o.Colour {
		return colours[s] + word + plain + gap
	}
	return word + gap
}

func (p *printer) findings() {
	shown := 0
	for _, f := range p.r.Findings {
		if f.Suppressed == nil || p.o.Verbose {
			p.finding(f)
			shown++
		}
	}
	switch {
	case len(p.r.Findings) == 0:
		p.line("No check found anything in what was read.")
	case shown == 0:
		p.line("Everything that was found is suppressed; --verbose shows it.")
	}
	if !p.o.Quiet || shown == 0 {
		p.line("")
	}
}

// finding writes the line of a finding and, below it, what to know about it. What is of
// low severity has its line only, unless everything is wanted or it was accepted before.
func (p *printer) finding(f report.Finding) {
	name := padded(p.name(f), p.column)
	marks := p.marks(f)
	room := p.o.Width - indent - width(name) - 1 - width(marks)
	p.line("%s%s %s%s", p.label(f.Severity), name, shorten(f.Title, room), marks)
	if p.o.Quiet || f.Severity <= rule.Low && f.Lapsed == nil && !p.o.Verbose {
		return
	}
	p.about("why", f.Why)
	p.about("fix", f.Fix)
	p.about("at", p.places(f))
	if s := f.Suppressed; s != nil {
		p.about("ok", fmt.Sprintf("accepted by %s until %s: %s", s.Author, s.Expires, s.Reason))
	}
	if s := f.Lapsed; s != nil {
		p.about("was", lapse(s))
	}
	if p.o.Verbose {
		p.about("see", strings.Join(f.References, ", "))
		p.about("id", fmt.Sprintf("check %s, server %s, evidence %s", f.Check, cmp.Or(f.Server, "–"), f.Evidence))
	}
}

func lapse(s *report.Suppression) string {
	if s.Lapsed == report.Expired {
		return fmt.Sprintf("accepted by %s until %s, which is over: %s", s.Author, s.Expires, s.Reason)
	}
	return fmt.Sprintf("accepted by %s in another form, which has changed since: %s", s.Author, s.Reason)
}

// name is that of a server, or the end of the path of a file.
func (p *printer) name(f report.Finding) string {
	if f.Server == "" {
		return tail(safe(p.r.Short(f.Name)), nameWidth)
	}
	return shorten(f.Name, nameWidth)
}

// marks stand behind the title.
func (p *printer) marks(f report.Finding) string {
	var marks []string
	if f.Change == report.IsNew || f.Change == report.IsChanged {
		marks = append(marks, string(f.Change))
	}
	if f.Suppressed != nil {
		marks = append(marks, "suppressed")
	}
	if f.Lapsed != nil {
		marks = append(marks, "lapsed")
	}
	if len(marks) == 0 {
		return ""
	}
	return " (" + strings.Join(marks, ", ") + ")"
}

// fewPlaces is how many places are named unless everything is wanted.
const fewPlaces = 2

func (p *printer) places(f report.Finding) string {
	var at []string
	for i, place := range f.Places {
		if i == fewPlaces && !p.o.Verbose {
			at = append(at, fmt.Sprintf("%d more", len(f.Places)-i))
			break
		}
		at = append(at, p.r.At(place))
	}
	text := strings.Join(at, ", ")
	if len(f.Clients) > 1 || p.o.Verbose && len(f.Clients) > 0 {
		text += " (" + strings.Join(f.Clients, ", ") + ")"
	}
	return strings.TrimSpace(text)
}

// about writes a word and a text beside it, on as many lines as it takes.
func (p *printer) about(word, text string) {
	if text != "" {
		p.paragraph(strings.Repeat(" ", indent)+padded(word, 4)+" ", text)
	}
}

// paragraph wraps a text behind a beginning; the lines below stand under the text.
func (p *printer) paragraph(begin, text string) {
	room := max(min(p.o.Width, mostText)-width(begin), leastWidth/2)
	for i, line := range wrap(safe(text), room) {
		if i > 0 {
			begin = strings.Repeat(" ", width(begin))
		}
		p.line("%s%s", begin, line)
	}
}

func (p *printer) changes() {
	c := p.r.Changes
	if c == nil {
		return
	}
	if c.First {
		p.line("There is no earlier scan of these places: everything is new.")
		p.line("")
		return
	}
	p.heading("SINCE " + c.Since.Format("2006-01-02 15:04 MST"))
	p.paragraph("  ", fmt.Sprintf("%d new, %d changed, %d unchanged, %d fixed, %d that cannot be told now.", c.New, c.Changed, c.Unchanged, len(c.Fixed), len(c.Unknown)))
	for _, k := range c.Fixed {
		p.kept("fixed", k)
	}
	for _, k := range c.Unknown {
		p.kept("unknown", k)
	}
	p.line("")
}

func (p *printer) kept(word string, k report.Kept) {
	name := p.name(report.Finding{Server: k.Server, Name: k.Name})
	begin := fmt.Sprintf("  %s%s ", padded(word, indent-2), padded(name, p.column))
	p.line("%s%s", begin, shorten(fmt.Sprintf("%s (%s)", k.Check, k.Severity), p.o.Width-width(begin)))
}

func (p *printer) servers() {
	if len(p.r.Servers) == 0 {
		return
	}
	p.heading("SERVERS")
	for _, s := range p.r.Servers {
		begin := fmt.Sprintf("  %s ", padded(shorten(s.Name, nameWidth), p.column))
		who := strings.Join(s.Clients, ", ")
		if p.o.Verbose {
			p.paragraph(begin, fmt.Sprintf("%s (%s) %s", report.Runs(s), who, s.ID))
			continue
		}
		who = shorten(who, whoWidth)
		room := min(p.o.Width, mostText) - width(begin)
		p.line("%s%s  %s", begin, padded(shorten(report.Runs(s), room-whoWidth-2), room-whoWidth-2), who)
	}
	p.line("")
}

// unchecked writes one paragraph for each reason.
func (p *printer) unchecked() {
	all := p.r.Open()
	if len(all) == 0 && len(p.r.Summary.Problems) == 0 {
		return
	}
	p.heading("NOT CHECKED")
	for _, problem := range p.r.Summary.Problems {
		p.paragraph("  ", problem)
	}
	for _, o := range all {
		who := "all"
		if len(o.Servers) > 0 {
			who = p.listed(o.Servers, "server")
		}
		p.paragraph(fmt.Sprintf("  %s ", padded(shorten(who, p.column), p.column)), fmt.Sprintf("%s (%s)", o.Why, p.listed(o.Checks, "check")))
	}
	p.line("")
}

// listed names a few things, and counts more of them unless everything is wanted.
func (p *printer) listed(names []string, what string) string {
	const few = 3
	if text := strings.Join(names, ", "); len(names) == 1 || p.o.Verbose || len(names) <= few && (what == "check" || width(text) <= p.column) {
		return text
	}
	return report.Count(len(names), what)
}

// files is the table of what was read, the unread first.
func (p *printer) files() {
	if len(p.r.Files) == 0 {
		p.line("No client has a file here.")
		p.line("")
		return
	}
	p.heading("FILES")
	files := slices.Clone(p.r.Files)
	slices.SortStableFunc(files, func(a, b report.File) int { return cmp.Compare(rank(b.State), rank(a.State)) })
	for _, f := range files {
		begin := fmt.Sprintf("  %-8s%3d  ", f.State, f.Servers)
		path := safe(p.r.Short(f.Path))
		if p.o.Verbose {
			p.line("%s%s", begin, path)
		} else {
			p.line("%s%s", begin, shortenPath(path, p.o.Width-width(begin)))
		}
		for _, problem := range f.Problems {
			p.paragraph(strings.Repeat(" ", width(begin)), problem)
		}
	}
	p.line("")
}

// rank puts what could not be read first.
func rank(s client.State) int {
	return slices.Index([]client.State{client.Parsed, client.Partial, client.Skipped, client.Failed}, s)
}

func (p *printer) summary() {
	s := p.r.Summary
	p.paragraph("", p.counts())
	p.paragraph("", fmt.Sprintf("%s in %s. %s: %d parsed, %d in part, %d failed, %d skipped; %s looked at.",
		report.Count(s.Servers, "server"), report.Count(s.Clients, "client"), report.Count(s.Found, "file"), s.Parsed, s.Partial, s.Failed, s.Skipped, report.Count(s.Places, "place")))
	complete := 0
	for _, c := range p.r.Checks {
		if c.Unchecked == 0 {
			complete++
		}
	}
	p.paragraph("", fmt.Sprintf("%s: %d made everywhere, %d not or not everywhere.", report.Count(s.Checks, "check"), complete, s.Checks-complete))
	if p.o.Quiet {
		for _, problem := range s.Problems {
			p.paragraph("", problem)
		}
	}
	if s.Incomplete > 0 {
		what := "Mend or remove what is named above, and scan again."
		if p.o.Quiet {
			what = "Without --quiet each is named."
		}
		p.paragraph("", fmt.Sprintf("%s could not be read as a whole, and not everything there is judged. %s", report.Count(s.Incomplete, "file"), what))
	}
	if n := len(p.r.Unused); n > 0 {
		p.paragraph("", fmt.Sprintf("%s about nothing that was found; remove what is no longer needed.", isAre(n, "suppression")))
	}
}

func (p *printer) counts() string {
	s := p.r.Summary
	var parts []string
	for _, severity := range []rule.Severity{rule.Critical, rule.High, rule.Medium, rule.Low, rule.Info} {
		if n := *s.Findings.Of(severity); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, severity))
		}
	}
	text := "0 findings"
	if len(parts) > 0 {
		text = fmt.Sprintf("%s: %d of %s with findings", strings.Join(parts, ", "), s.Risky, report.Count(s.Servers, "server"))
	}
	if s.Suppressed > 0 {
		text += fmt.Sprintf("; %d suppressed", s.Suppressed)
	}
	if s.Lapsed > 0 {
		text += fmt.Sprintf("; %s no longer valid", isAre(s.Lapsed, "suppression"))
	}
	if s.Unchecked > 0 {
		text += fmt.Sprintf("; %s not checked", isAre(s.Unchecked, "thing"))
	}
	return text + "."
}

func isAre(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return report.Count(n, what) + " are"
}

// safe is a text of which a terminal obeys nothing.
func safe(text string) string { return approval.Visible(text) }
