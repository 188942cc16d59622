package conformance

import (
	"fmt"
	"strings"
)

// Page is everything that docs/CONFORMANCE.md shows.
type Page struct {
	Pairings []Pairing
	Clients  []ClientRun
}

// Pairing is the suite of one revision against a server directly, through the
// gateway, and through the gateway at a server of the other era.
type Pairing struct {
	Revision                string
	Direct, Through, Across Report
}

// Markdown is the page.
func (p Page) Markdown() string {
	var b strings.Builder
	b.WriteString(`# Conformance

The official suite of the Model Context Protocol, version 0.2.0-alpha.12, against the
everything-server of the official Go SDK, v1.8.0. ` + "`make conformance`" + ` runs all of it and
writes this page; ` + "`make test`" + ` runs it and fails where the page would differ.

Each cell is the number of checks that passed and that failed. Only scenarios that a
revision requires are shown. What differs has its reason.

`)
	for _, pairing := range p.Pairings {
		pairing.write(&b)
	}
	writeClients(&b, p.Clients)
	return b.String()
}

func (p Pairing) write(b *strings.Builder) {
	fmt.Fprintf(b, "## Servers, client of %s\n\n", p.Revision)
	fmt.Fprintf(b, "| scenario | directly | through Gatehouse | through Gatehouse, server of the other era |\n|---|---|---|---|\n")
	var notes []string
	for _, name := range names(p.Direct) {
		if !p.Direct[name].Scored {
			continue
		}
		across := p.Across[name].String()
		if reason, differs := untranslated[p.Revision][name]; differs {
			across += fmt.Sprintf(" [%d]", note(&notes, reason))
		}
		through := p.Through[name].String()
		if n := skipped[name]; n > 0 {
			through += fmt.Sprintf(" [%d]", note(&notes, "the suite leaves out a check, as information, where an answer is plain JSON; Gatehouse streams only what comes in several messages"))
		}
		fmt.Fprintf(b, "| %s | %v | %s | %s |\n", name, p.Direct[name], through, across)
	}
	b.WriteByte('\n')
	writeNotes(b, notes)
}

// writeClients shows what a client achieves directly and through the gateway.
func writeClients(b *strings.Builder, runs []ClientRun) {
	b.WriteString("## Clients\n\nThe everything-client of the official Go SDK, v1.8.0, at the suite's own servers, directly and " +
		"with Gatehouse in the middle. In the auth/ scenarios Gatehouse is the OAuth client, and the client behind it has no " +
		"credentials. The four scenarios about skills (sep-2640) are for clients that load skills.\n\n" +
		"| scenario | revision | directly | with Gatehouse |\n|---|---|---|---|\n")
	var notes []string
	for _, r := range runs {
		with := r.Gateway.String()
		if r.Reason != "" {
			with += fmt.Sprintf(" [%d]", note(&notes, r.Reason))
		}
		fmt.Fprintf(b, "| %s | %s | %v | %s |\n", r.Scenario, r.Revision, r.Direct, with)
	}
	b.WriteByte('\n')
	writeNotes(b, notes)
}

func writeNotes(b *strings.Builder, notes []string) {
	for i, text := range notes {
		fmt.Fprintf(b, "%d. %s.\n", i+1, capitalised(text))
	}
	if len(notes) > 0 {
		b.WriteByte('\n')
	}
}

// note is the number of a note, which is added if it is not there.
func note(notes *[]string, text string) int {
	for i, known := range *notes {
		if known == text {
			return i + 1
		}
	}
	*notes = append(*notes, text)
	return len(*notes)
}

func capitalised(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
