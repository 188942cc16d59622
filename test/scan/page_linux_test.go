package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/report"
	"gatehouse/internal/rule"
)

// markdown is the page.
func markdown(all []outcome) string {
	var out strings.Builder
	fmt.Fprintf(&out, `# Right and wrong findings

What [`+"`gatehouse scan`](scan.md)"+` says of packages that are in use everywhere, installed from npm and
PyPI, in a file of Claude Code. A person judged every finding. `+"`make test-wide`"+` installs the
packages, scans them and writes this page; it fails where a finding is not judged, where one that
is right is not made any more, and where one of high or critical severity is wrong.

Nobody on the network was asked: advisories are those that come with the program. A finding
of several things at once is one row.

| | servers | critical | high | medium | low | right | wrong | missed |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
`)
	for _, o := range all {
		rows := o.rows()
		fmt.Fprintf(&out, "| %s | %d |", strings.ToLower(o.title), len(o.servers))
		for _, s := range []rule.Severity{rule.Critical, rule.High, rule.Medium, rule.Low} {
			fmt.Fprintf(&out, " %d |", count(rows, func(r row) bool { return r.Severity == s }))
		}
		right := count(rows, func(r row) bool { return r.right })
		fmt.Fprintf(&out, " %d | %d | %d |\n", right, len(rows)-right, len(o.missed()))
	}
	for _, o := range all {
		o.write(&out)
	}
	return out.String()
}

func count(rows []row, fits func(row) bool) (n int) {
	for _, r := range rows {
		if fits(r) {
			n++
		}
	}
	return n
}

// row is what one check finds of one server.
type row struct {
	report.Finding
	judgement
}

// rows are the findings, the worst first.
func (o outcome) rows() (out []row) {
	seen := map[key]bool{}
	for _, f := range o.findings {
		if k := (key{o.title, f.Name, f.Check}); !seen[k] {
			seen[k] = true
			out = append(out, row{f, judgements[k]})
		}
	}
	return out
}

func (o outcome) missed() (out []key) {
	for k := range missed {
		if k.setup == o.title {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b key) int { return cmp.Or(cmp.Compare(a.server, b.server), cmp.Compare(a.check, b.check)) })
	return out
}

func (o outcome) write(out *strings.Builder) {
	fmt.Fprintf(out, "\n## %s\n\n", o.title)
	what := "| server | started by | a reference server |\n|---|---|---|\n"
	if o.connect {
		what = "| server | started by | a reference server | its definitions |\n|---|---|---|---|\n"
	}
	out.WriteString(what)
	for _, s := range o.servers {
		yes := ""
		if s.reference {
			yes = "yes"
		}
		fmt.Fprintf(out, "| %s | `%s` | %s |", s.name, s, yes)
		if o.connect {
			fmt.Fprintf(out, " %s |", cmp.Or(s.unread, "read"))
		}
		out.WriteString("\n")
	}
	out.WriteString("\n| severity | server | finding | | why |\n|---|---|---|---|---|\n")
	for _, r := range o.rows() {
		fmt.Fprintf(out, "| %s %s\n", r.Severity, r.cells(key{o.title, r.Name, r.Check}))
	}
	for _, k := range o.missed() {
		fmt.Fprintf(out, "| – %s\n", cells(k, "**missed**", missed[k]))
	}
}

// cells are the row of a finding, behind its severity.
func (j judgement) cells(k key) string {
	verdict := "right"
	if !j.right {
		verdict = "**wrong**"
	}
	return cells(k, verdict, j.why)
}

func cells(k key, verdict, why string) string {
	return fmt.Sprintf("| %s | [%s](checks.md#%s) | %s | %s |", k.server, k.check, k.check, verdict, why)
}

// String is what starts it, as a person would say it.
func (s server) String() string {
	if s.url != "" {
		return s.url
	}
	var words []string
	for name, value := range s.env {
		words = append(words, name+"="+value)
	}
	slices.Sort(words)
	text := strings.Join(append(words, s.words...), " ")
	// A token that looks like one is not for a page.
	return strings.NewReplacer(notes, "~/notes", home, "~", "|", `\|`, classicToken, "ghp_…").Replace(text)
}
