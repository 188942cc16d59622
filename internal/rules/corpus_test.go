package rules

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/rule"
)

// row is one labelled text of a corpus file.
type row struct {
	Source, Surface, Label, Category, Text string
}

// Test_corpus measures the rules on labelled texts: files of JSON lines in the
// folder that GATEHOUSE_CORPUS names. It prints, for each file, surface and label,
// how many texts raise a match of high severity, and holds benign texts to the
// budget of false positives. GATEHOUSE_CORPUS_DUMP names a file that receives
// every text with what was found.
func Test_corpus(t *testing.T) {
	folder := os.Getenv("GATEHOUSE_CORPUS")
	if folder == "" {
		t.Skip("GATEHOUSE_CORPUS is not set")
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus in %s: %v", folder, err)
	}
	dump := bufio.NewWriter(os.Stderr)
	if name := os.Getenv("GATEHOUSE_CORPUS_DUMP"); name != "" {
		file, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		dump = bufio.NewWriter(file)
		defer dump.Flush()
	}
	benign := map[string]*tally{}
	for _, path := range paths {
		for key, count := range measure(t, path, dump) {
			t.Logf("%-38s %-26s %5d/%5d %6.2f%%  %v", filepath.Base(path), key, count.found, count.total, count.percent(), count.rules)
			if strings.HasSuffix(key, "benign") {
				if benign[key] == nil {
					benign[key] = &tally{rules: map[string]int{}}
				}
				benign[key].found += count.found
				benign[key].total += count.total
				for id, n := range count.rules {
					benign[key].rules[id] += n
				}
			}
		}
	}
	for key, count := range benign {
		if key == "user_text benign" {
			continue // questions to a model may speak to it
		}
		t.Logf("%s in all: %d of %d, %.2f %%", key, count.found, count.total, count.percent())
		for id, n := range count.rules {
			if share := 100 * float64(n) / float64(count.total); share > budget {
				t.Errorf("%s: %s is wrong on %d of %d, %.2f %% is above %.2f %%", key, id, n, count.total, share, budget)
			}
		}
	}
}

// budget is the share of benign texts, in per cent, that one rule may be wrong on.
const budget = 0.5

type tally struct {
	found, total int
	rules        map[string]int
}

func (c *tally) percent() float64 { return 100 * float64(c.found) / float64(max(c.total, 1)) }

func measure(t *testing.T, path string, dump *bufio.Writer) map[string]*tally {
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	counts := map[string]*tally{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		key := r.Surface + " " + r.Label
		if counts[key] == nil {
			counts[key] = &tally{rules: map[string]int{}}
		}
		count, fired := counts[key], fire(t, r)
		count.total++
		if len(fired) > 0 {
			count.found++
		}
		for id := range fired {
			count.rules[id]++
		}
		if os.Getenv("GATEHOUSE_CORPUS_DUMP") != "" {
			fmt.Fprintf(dump, "%s\t%s\t%s\t%v\t%q\t%s\t%q\n", filepath.Base(path), key, r.Category, len(fired) > 0, slices.Sorted(maps.Values(fired)), r.Source, r.Text)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return counts
}

// fire shows a text to the rules of its surface and returns what each says that
// raises a match of high severity.
func fire(t *testing.T, r row) map[string]string {
	surface := rule.ToolResult
	if r.Surface == "tool_description" {
		surface = rule.ToolDefinition
	}
	fired := map[string]string{}
	for _, one := range All() {
		if one.Surfaces&surface == 0 {
			continue
		}
		matches, err := one.Detect(rule.Subject{Surface: surface, Text: r.Text})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range matches {
			if m.Severity >= rule.High || m.Severity == rule.Unrated {
				fired[one.ID] += fmt.Sprintf("%s[%s: %.600s] ", one.ID, m.Detail, r.Text[m.Start:m.End])
			}
		}
	}
	return fired
}
