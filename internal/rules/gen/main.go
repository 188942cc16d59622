// Command gen writes what follows from the folders of the rules: the list in
// all.go ("gen list"), the pages in docs/rules ("gen pages"), and what the patterns of
// the phrases need, in internal/rule/prepared.gen.go ("gen needs"). It runs in the folder
// internal/rules, by go generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/rooms"
	"gatehouse/internal/rule"
	"gatehouse/internal/rules"
)

const (
	pages    = "../../docs/rules"
	prepared = "../rule/prepared.gen.go"
)

func main() {
	rooms.Main(map[string]func() error{"list": writeList, "pages": writePages, "needs": writeNeeds})
}

func writeNeeds() error {
	source, err := rule.Prepare(rules.All())
	if err != nil {
		return err
	}
	return os.WriteFile(prepared, source, 0o644)
}

// ruleID finds the ID where a rule is defined.
var ruleID = regexp.MustCompile(`(?s)= rule\.Rule\{.*?\bID:\s*"([a-z-]+)"`)

// writeList lists the rules in the order of their IDs.
func writeList() error {
	kind := rooms.Kind{Package: "rules", Type: "rule.Rule", Comment: "All lists every rule, in the order of their IDs."}
	files, err := kind.Files()
	if err != nil {
		return err
	}
	ids := map[string]string{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		id := ruleID.FindSubmatch(source)
		if id == nil {
			return fmt.Errorf("%s defines no rule with an ID", file)
		}
		ids[file] = string(id[1])
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(ids[a], ids[b]) })
	return kind.Write(files)
}

func writePages() error {
	if err := os.MkdirAll(pages, 0o755); err != nil {
		return err
	}
	written := rules.Pages(rules.All())
	for name, content := range written {
		if err := os.WriteFile(filepath.Join(pages, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return removeOthers(written)
}

// removeOthers removes the pages of rules that are no more.
func removeOthers(written map[string]string) error {
	entries, err := os.ReadDir(pages)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if _, ok := written[entry.Name()]; ok {
			continue
		}
		if err := os.Remove(filepath.Join(pages, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
