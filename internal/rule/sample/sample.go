// Package sample reads the samples of a rule: the cases in testdata of its folder,
// and the blocks of its documentation.
package sample

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/internal/rule"
)

// Sample is a text in its place.
type Sample struct {
	Name    string // file name of a case without its ending, "Bad 1" or "Good 2" of documentation
	Subject rule.Subject
	Want    string         // of a case, a line for each match
	Archive *txtar.Archive // of a case, as it stands in the file
}

// written is a Subject as it stands in a case or in documentation.
type written struct {
	Surface    string           `json:"surface"`
	Server     string           `json:"server"`
	Owner      string           `json:"owner"`
	Name       string           `json:"name"`
	Key        string           `json:"key"`
	IsKey      bool             `json:"isKey"`
	Text       string           `json:"text"`
	Neighbours []rule.Neighbour `json:"neighbours"`
	Known      []string         `json:"known"`
}

func (w written) subject(r rule.Rule) (rule.Subject, error) {
	surface := DefaultSurface(r)
	if w.Surface != "" {
		surface = 0
		for bit := rule.Surface(1); bit <= rule.Other; bit <<= 1 {
			if bit.String() == w.Surface {
				surface = bit
			}
		}
	}
	if surface&r.Surfaces == 0 {
		return rule.Subject{}, fmt.Errorf("surface %q is none of the rule's", w.Surface)
	}
	return rule.Subject{Surface: surface, Server: w.Server, Owner: w.Owner, Name: w.Name, Key: w.Key, IsKey: w.IsKey, Text: w.Text, Neighbours: w.Neighbours, Known: w.Known}, nil
}

// DefaultSurface is the one that a sample without a surface stands on.
func DefaultSurface(r rule.Rule) rule.Surface {
	for _, surface := range []rule.Surface{rule.ToolResult, rule.ToolDefinition, rule.Arguments} {
		if r.Surfaces&surface != 0 {
			return surface
		}
	}
	return r.Surfaces & -r.Surfaces
}

func decode(data []byte, w *written) error {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(w)
}

// Case reads one case.
func Case(path string, r rule.Rule) (Sample, error) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return Sample{}, err
	}
	s := Sample{Name: strings.TrimSuffix(filepath.Base(path), ".txtar"), Archive: archive}
	var w written
	for _, file := range archive.Files {
		switch file.Name {
		case "subject":
			err = decode(file.Data, &w)
		case "text":
			w.Text = strings.TrimSuffix(string(file.Data), "\n")
		case "text.json":
			err = json.Unmarshal(file.Data, &w.Text)
		case "want":
			s.Want = string(file.Data)
		default:
			err = fmt.Errorf("unknown section %q", file.Name)
		}
		if err != nil {
			return Sample{}, fmt.Errorf("%s, section %s: %w", path, file.Name, err)
		}
	}
	if s.Subject, err = w.subject(r); err != nil {
		return Sample{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Cases reads all cases in the folder of a rule.
func Cases(folder string, r rule.Rule) ([]Sample, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "testdata", "*.txtar"))
	if err != nil {
		return nil, err
	}
	var all []Sample
	for _, path := range paths {
		s, err := Case(path, r)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Headings are the parts of a rule's documentation, in order.
var Headings = []string{"## What it is", "## Why it matters", "## Bad", "## Good", "## What it cannot see", "## What to do"}

// Documented reads the blocks under Bad and under Good of the rule's documentation:
// a subject in a block that is marked json, a text on the default surface in any
// other.
func Documented(r rule.Rule) (bad, good []Sample, err error) {
	if bad, err = blocks(r, "Bad", "## Good"); err != nil {
		return nil, nil, err
	}
	good, err = blocks(r, "Good", "## What it cannot see")
	return bad, good, err
}

func blocks(r rule.Rule, heading, end string) (all []Sample, err error) {
	_, part, _ := strings.Cut(r.Doc, "## "+heading+"\n")
	part, _, _ = strings.Cut(part, end+"\n")
	pieces := strings.Split(part, "```")
	for i := 1; i < len(pieces); i += 2 {
		kind, body, _ := strings.Cut(pieces[i], "\n")
		name := fmt.Sprintf("%s %d", heading, len(all)+1)
		w := written{Text: strings.TrimSuffix(body, "\n")}
		if kind == "json" {
			w = written{}
			err = decode([]byte(body), &w)
		}
		s := Sample{Name: name}
		if err == nil {
			s.Subject, err = w.subject(r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s in the documentation of %s: %w", name, r.ID, err)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the documentation of %s has no sample under %q", r.ID, heading)
	}
	return all, nil
}

// Acts says whether a case wants a match that acts: of high severity, and as sure as
// rule.Hard.
func (s Sample) Acts() bool {
	for line := range strings.Lines(s.Want) {
		word, _, _ := strings.Cut(line, " ")
		var severity rule.Severity
		if severity.UnmarshalText([]byte(word)) == nil && severity >= rule.High && confidence(line) >= rule.Hard {
			return true
		}
	}
	return false
}

// Silent says whether a case wants no match at all.
func (s Sample) Silent() bool { return strings.TrimSpace(s.Want) == "" }

var inBrackets = regexp.MustCompile(`\((0\.\d\d)\)\n?$`)

// confidence is at the end of a wanted line if it is below 1.
func confidence(line string) float64 {
	if m := inBrackets.FindStringSubmatch(line); m != nil {
		if c, err := strconv.ParseFloat(m[1], 64); err == nil {
			return c
		}
	}
	return 1
}
