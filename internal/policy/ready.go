package policy

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed ready/*.cedar
var readyFiles embed.FS

// ReadyNames lists the policies that come with the program.
func ReadyNames() []string {
	entries, err := readyFiles.ReadDir("ready")
	if err != nil {
		panic("policy: internal error: " + err.Error())
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".cedar"))
	}
	return names
}

// Ready is the text of a policy that comes with the program.
func Ready(name string) ([]byte, error) {
	text, err := readyFiles.ReadFile("ready/" + name + ".cedar")
	if err != nil {
		return nil, fmt.Errorf("there is no ready policy %q; there are %s", name, strings.Join(ReadyNames(), ", "))
	}
	return text, nil
}
