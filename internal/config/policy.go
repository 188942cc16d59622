package config

import (
	"regexp"
	"strconv"
	"strings"
)

// Policy says where the policies are and what follows from them.
type Policy struct {
	Configured bool     // there is such a section, so that everything is denied that no policy permits
	Files      []string // patterns of file names, absolute
	Ready      []string // names of policies that come with the program
	Mode       string   // Enforce or Report
}

// ToolLabels are labels of the tools whose names match a pattern.
type ToolLabels struct {
	Pattern string
	Labels  []string
}

const (
	// maxPolicyFiles bounds the patterns; one names a whole folder.
	maxPolicyFiles = 100
	// maxLabels keeps the labels of a server ones that people know.
	maxLabels = 64
)

var (
	// labelForm has the signs that are common in labels of other systems.
	labelForm       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._:/@-]{0,127}$`)
	environmentForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
)

func policyKey(p *Policy) key {
	texts := schema{"type": "array", "items": schema{"type": "string"}}
	k := section("policy", "Who may do what. Without it the one local user may do everything.",
		key{"files", described(texts, "Files with policies in the language Cedar; * stands for any characters of a name."), func(r *reader, n *node, field string) {
			p.Files = r.policyFiles(n, field)
		}},
		key{"ready", described(schema{"type": "array", "items": schema{"type": "string"}}, "Policies that come with Gatehouse, by name."), func(r *reader, n *node, field string) {
			p.Ready = r.texts(n, field, "name", func(text string) string {
				if ruleID.MatchString(text) {
					return ""
				}
				return "expected the name of a ready policy, such as read-only"
			})
		}},
		oneOf("mode", "Whether a call that no policy permits is refused, or only recorded.", &p.Mode, Enforce, Report),
	)
	read := k.read
	k.read = func(r *reader, n *node, field string) {
		read(r, n, field)
		p.Configured = n.kind != null
		if p.Configured && p.Mode == Report {
			r.warn(n.at("mode"), field+".mode", "policies only report; what they would refuse passes")
		}
	}
	return k
}

func (r *reader) policyFiles(n *node, field string) []string {
	if n.kind == list && len(n.list) > maxPolicyFiles {
		r.refuse(n.pos, field, "found %d patterns, expected at most %d", len(n.list), maxPolicyFiles)
		return nil
	}
	var out []string
	for _, name := range r.texts(n, field, "file name", func(name string) string {
		if name == "" || strings.ContainsAny(name, "\x00\n") || !strings.HasSuffix(name, ".cedar") {
			return "expected the name of a file that ends in .cedar, or a pattern such as policies/*.cedar"
		}
		return ""
	}) {
		absolute, err := resolvePath(r.dir, name)
		if err != nil {
			r.refuse(n.pos, field, "%v", err)
			continue
		}
		out = append(out, absolute)
	}
	return out
}

// labelKeys are what the administrator says of a server and its tools for policies.
func labelKeys(s *Server) []key {
	labels := schema{"type": "array", "maxItems": maxLabels, "items": schema{"type": "string", "pattern": labelForm.String()}}
	return []key{
		{"labels", described(labels, "Words about the server for policies."), func(r *reader, n *node, field string) { s.Labels = r.labels(n, field) }},
		{"tool_labels", schema{"type": "object", "description": "Words about tools for policies, by name; * stands for any characters.", "additionalProperties": schema{"type": "array", "items": schema{"type": "string"}}}, func(r *reader, n *node, field string) {
			s.ToolLabels = r.toolLabels(n, field)
		}},
		{"environment", schema{"type": "string", "pattern": environmentForm.String(), "description": "What the server belongs to, such as production."}, func(r *reader, n *node, field string) {
			if n.kind != text || !environmentForm.MatchString(n.text) {
				r.wrong(n, field, "a word in small letters, such as production")
				return
			}
			s.Environment = n.text
		}},
	}
}

func (r *reader) labels(n *node, field string) []string {
	if n.kind == list && len(n.list) > maxLabels {
		r.refuse(n.pos, field, "found %d labels, expected at most %d", len(n.list), maxLabels)
		return nil
	}
	return r.texts(n, field, "label", func(label string) string {
		if labelForm.MatchString(label) {
			return ""
		}
		return "expected letters, digits and the signs . _ : / @ -, at most 128"
	})
}

func (r *reader) toolLabels(n *node, field string) []ToolLabels {
	if n.kind != mapping || len(n.members) > maxArguments {
		r.wrongKind(n, field, "a mapping of tool names to lists of labels, at most "+strconv.Itoa(maxArguments))
		return nil
	}
	var out []ToolLabels
	for _, m := range n.members {
		at := join(field, m.name)
		if problem := checkNamePattern(m.name); problem != "" {
			r.refuse(m.pos, at, "%s", problem)
			continue
		}
		out = append(out, ToolLabels{m.name, r.labels(m.value, at)})
	}
	return out
}

// LabelsOf are the labels of one tool of the server: the server's and its own.
func (s *Server) LabelsOf(tool string) []string {
	labels := s.Labels
	for _, l := range s.ToolLabels {
		if matchPattern(l.Pattern, tool) {
			labels = append(labels[:len(labels):len(labels)], l.Labels...)
		}
	}
	return labels
}
