package config

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CheckSuppression accepts what one check found about one server or file, for a while
// and only for as long as the facts are the same.
type CheckSuppression struct {
	Line     int    // of the file, from 1
	Check    string // id
	Server   string // id of the server; empty if it is about a file
	File     string // as an absolute path, if it is about no server
	Name     string // of the server, for people; decides nothing
	Evidence string // of the finding
	Reason   string
	Author   string
	Expires  time.Time // the first moment at which it no longer holds
}

// maxAuthor bounds the name of who accepted something, in bytes.
const maxAuthor = 200

var (
	// inventoryID and findingEvidence are as inventory.Server.ID and check.Bind write them.
	inventoryID     = regexp.MustCompile(`^[0-9a-f]{16}$`)
	findingEvidence = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// LoadCheckSuppressions reads a file of suppressions or a baseline of `gatehouse scan`.
// The error is an *Error when the file could be read and something in it is wrong. An
// expired suppression is no error: the scan says that it ended.
func LoadCheckSuppressions(path string) ([]CheckSuppression, error) {
	path, source, err := readSource(path, maxConfigBytes)
	if err != nil {
		return nil, err
	}
	r := &reader{path: path, dir: filepath.Dir(path)}
	var all []CheckSuppression
	root := r.parseYAML(source)
	if root == nil {
		root = &node{}
	}
	if len(r.problems) == 0 {
		r.section(root, "", []key{{"suppressions", nil, func(r *reader, n *node, field string) { all = r.checkSuppressions(n, field) }}})
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return all, nil
}

func (r *reader) checkSuppressions(n *node, field string) (all []CheckSuppression) {
	if n.kind == null {
		return nil
	}
	if n.kind != list || len(n.list) > maxSuppressions {
		r.wrongKind(n, field, "a list of at most "+strconv.Itoa(maxSuppressions)+" suppressions")
		return nil
	}
	for i, entry := range n.list {
		all = append(all, r.checkSuppression(entry, join(field, strconv.Itoa(i))))
	}
	return all
}

func (r *reader) checkSuppression(n *node, field string) CheckSuppression {
	s := CheckSuppression{Line: n.pos.line}
	if n.kind != mapping {
		r.wrongKind(n, field, "a mapping with check, server or file, evidence, reason, author and expires")
		return s
	}
	r.section(n, field, r.checkSuppressionKeys(&s))
	for _, name := range []string{"check", "evidence", "reason", "author", "expires"} {
		if n.get(name) == nil {
			r.refuse(n.pos, field, "%s is missing", name)
		}
	}
	if (n.get("server") == nil) == (n.get("file") == nil) {
		r.refuse(n.pos, field, "expected either server or file")
	}
	return s
}

func (r *reader) checkSuppressionKeys(s *CheckSuppression) []key {
	matching := func(name string, to *string, what string, pattern *regexp.Regexp) key {
		return key{name, nil, func(r *reader, n *node, field string) {
			// Digits alone are a number to YAML, and an ID to us.
			if !slices.Contains([]kind{text, number}, n.kind) || !pattern.MatchString(n.text) {
				r.wrong(n, field, what)
				return
			}
			*to = n.text
		}}
	}
	words := func(name string, to *string, what string, most int) key {
		return key{name, nil, func(r *reader, n *node, field string) {
			if n.kind != text || strings.TrimSpace(n.text) == "" || len(n.text) > most {
				r.wrong(n, field, what+" in words, at most "+strconv.Itoa(most)+" bytes")
				return
			}
			*to = n.text
		}}
	}
	return []key{
		matching("check", &s.Check, "the id of a check, such as unpinned", ruleID),
		matching("server", &s.Server, "the id of a server, 16 hexadecimal digits", inventoryID),
		words("name", &s.Name, "a name", maxAuthor),
		{"file", nil, func(r *reader, n *node, field string) {
			if n.kind != text || n.text == "" {
				r.wrong(n, field, "a path")
				return
			}
			s.File = filepath.FromSlash(n.text)
			if !filepath.IsAbs(s.File) {
				s.File = filepath.Join(r.dir, s.File)
			}
		}},
		matching("evidence", &s.Evidence, "the evidence that a finding names, 32 hexadecimal digits", findingEvidence),
		words("reason", &s.Reason, "a reason", maxReason),
		words("author", &s.Author, "who accepts it", maxAuthor),
		{"expires", nil, func(r *reader, n *node, field string) {
			day, err := time.Parse(time.DateOnly, n.text)
			if err != nil || time.Until(day) > longestSuppression {
				r.wrong(n, field, "a day at most a year ahead, such as 2027-03-31")
				return
			}
			s.Expires = day
		}},
	}
}
