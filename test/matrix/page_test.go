//go:build unix

package matrix

import (
	"fmt"
	"strings"
)

const introduction = `# Compatibility

Which clients work with which servers through Gatehouse, found by running them: ` + "`make matrix`" + ` writes this page, and
` + "`make test`" + ` fails when it is no longer true. All servers stand behind one gateway with every guard on; its
configuration says how to start them, and which era those speak that speak only one.

| column | the client |
|---|---|
| list | lists the tools |
| call | calls a tool and gets its answer |
| read | reads a resource |
| subscribe | subscribes to a resource (2026-07-28: listens) and hears of a change |
| elicit | answers a question that the server asks the user during a call |
| sample | answers a question that the server asks the model during a call |
| cancel | cancels a call that is running; the gateway records it, and servers of our own notice it |

` + "`yes`" + `: works. ` + "`–`" + `: the server has nothing of the kind. ` + "`no`" + `: does not work, for the reason in the note. Where client and server
speak different eras of the protocol, the gateway translates.

`

// page is docs/COMPATIBILITY.md.
func (tb *table) page(all []client, behind []server) string {
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString("## Versions\n\n| client | version | speaks |\n|---|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.title, c.version, speaks[c.era])
	}
	b.WriteString("\n| server | version | offers |\n|---|---|---|\n")
	for _, s := range behind {
		if s.id != "" {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", s.title, s.version, speaks[s.era])
		}
	}
	for _, s := range behind {
		tb.section(&b, all, s)
	}
	return b.String()
}

// speaks describes the eras to people.
var speaks = map[era]string{
	legacy: "up to 2025-11-25",
	modern: "2026-07-28",
	auto:   "2026-07-28, else up to 2025-11-25",
	both:   "2026-07-28 and up to 2025-11-25",
}

// section is the table of one server, and the notes to it.
func (tb *table) section(b *strings.Builder, all []client, s server) {
	fmt.Fprintf(b, "\n## %s, `%s`\n\n| client |", capital(s.title), s.mount())
	for _, op := range operations {
		fmt.Fprintf(b, " %s |", op)
	}
	fmt.Fprintf(b, "\n|---|%s\n", strings.Repeat("---|", len(operations)))
	var notes []string
	for _, c := range all {
		fmt.Fprintf(b, "| %s |", c.title)
		for _, op := range operations {
			is := tb.cells[key(c, s, op)]
			fmt.Fprintf(b, " %s |", is.mark+note(&notes, is.why))
		}
		b.WriteString("\n")
	}
	for i, why := range notes {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(b, "%d. %s.\n", i+1, capital(why))
	}
}

// note is the reference to a note, which is added if there is none like it.
func note(notes *[]string, why string) string {
	if why == "" {
		return ""
	}
	for i, known := range *notes {
		if known == why {
			return fmt.Sprintf(" (%d)", i+1)
		}
	}
	*notes = append(*notes, why)
	return fmt.Sprintf(" (%d)", len(*notes))
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
