package clients

import (
	"bytes"
	"fmt"
	"strings"

	"gatehouse/internal/client"
)

// Page is docs/clients.md.
func Page(list []client.Client) []byte {
	var out bytes.Buffer
	out.WriteString(`<!-- Written by go generate from the folders of internal/clients. Edit doc.md there. -->

# Clients

Where ` + "`gatehouse scan`" + ` looks. ` + "`~`" + ` is a person's home, ` + "`./`" + ` a project, ` + "`$APP`" + ` the folder of applications:
` + "`~/Library/Application Support`" + ` on macOS, ` + "`%APPDATA%`" + ` on Windows, ` + "`$XDG_CONFIG_HOME`" + ` or ` + "`~/.config`" + ` on Linux.
What stands in ` + "`~/.config`" + ` is looked for in ` + "`$XDG_CONFIG_HOME`" + ` too. ` + "`*`" + ` is any name, ` + "`**`" + ` any folders, at most six
deep and without ` + "`node_modules`" + `.
`)
	for _, c := range list {
		body := strings.TrimPrefix(c.Doc, "# "+c.Name+"\n")
		fmt.Fprintf(&out, "\n## %s\n\n`%s`. %s\n\n", c.Name, c.ID, strings.ReplaceAll(strings.TrimSpace(body), "## What is not seen\n\n", "Not seen: "))
		out.WriteString("| file | scope | where | servers under |\n|---|---|---|---|\n")
		for _, p := range c.Places {
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", p.Path, p.Scope, systems(p.On), keys(p))
		}
	}
	return out.Bytes()
}

func systems(on client.System) string {
	if on == 0 || on == client.Everywhere {
		return "everywhere"
	}
	var names []string
	for _, s := range []struct {
		system client.System
		name   string
	}{{client.Linux, "Linux"}, {client.MacOS, "macOS"}, {client.Windows, "Windows"}} {
		if on&s.system != 0 {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, ", ")
}

func keys(p client.Place) string {
	var out []string
	for _, path := range p.Servers {
		out = append(out, "`"+strings.Join(path, " → ")+"`")
	}
	if p.Flat {
		out = append(out, "the file itself")
	}
	if len(out) == 0 {
		return "settings only"
	}
	return strings.Join(out, ", ")
}
