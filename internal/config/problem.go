package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in a file.
type Problem struct {
	Line    int    `json:"line,omitempty"` // from 1; 0 when the whole file is meant
	Column  int    `json:"column,omitempty"`
	Field   string `json:"field,omitempty"` // dotted path, servers.files.command
	Message string `json:"message"`         // what was found and what was expected, never a secret
}

// Error is everything that is wrong with one file.
type Error struct {
	Path     string    `json:"path"`
	Problems []Problem `json:"problems"` // at least one, in the order of the file
}

// Error writes one problem on a line, as file:line:column: field: message.
// There is no excerpt of the source: the line at fault may hold a secret.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.Path
		if p.Line > 0 {
			lines[i] += fmt.Sprintf(":%d:%d", p.Line, p.Column)
		}
		if p.Field != "" {
			lines[i] += ": " + p.Field
		}
		lines[i] += ": " + p.Message
	}
	return strings.Join(lines, "\n")
}

// maxProblems bounds one report. After that many a person starts from the top
// again anyway.
const maxProblems = 50

// reader collects what is said about a file while it is read.
type reader struct {
	path, dir string
	problems  []Problem
	warnings  []string
}

func (r *reader) refuse(at position, field, format string, args ...any) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, Problem{at.line, at.column, field, fmt.Sprintf(format, args...)})
	}
}

// wrong refuses a value of a field that never holds a secret.
func (r *reader) wrong(n *node, field, expected string) {
	r.refuse(n.pos, field, "found %s, expected %s", n.describe(), expected)
}

// wrongKind refuses a value without repeating it.
func (r *reader) wrongKind(n *node, field, expected string) {
	r.refuse(n.pos, field, "found %s, expected %s", n.kind, expected)
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Field, b.Field))
	})
	return &Error{Path: r.path, Problems: r.problems}
}

// maxQuoted bounds what a message repeats of a file, in bytes.
const maxQuoted = 60

// quote repeats a piece of a file in a message, unless it may be a secret.
func quote(s string) string {
	if looksSecret(s) {
		return "a value that looks like a secret"
	}
	if len(s) > maxQuoted {
		s = strings.ToValidUTF8(s[:maxQuoted], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// didYouMean names the known word next to a mistyped one, as an ending for a
// sentence.
func didYouMean(word string, known []string) string {
	const far = 1 << 30
	best, distance := "", far
	for _, candidate := range known {
		if d := editDistance(word, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	// A third of the letters may be wrong before it is another word.
	if distance > max(1, len(word)/3) {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the letters to insert, remove, replace or swap with their
// neighbour to turn a into b. Words beyond any key of ours are infinitely far.
func editDistance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest * 2
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
