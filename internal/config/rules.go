package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values of RulePolicy.Action.
const (
	Enforce  = "enforce"  // what the rule proposes
	Report   = "report"   // nothing
	Annotate = "annotate" // a warning to the model before the text
	Redact   = "redact"   // a note in the place of what was found
	Cut      = "cut"      // a note in the place of the whole text
	Refuse   = "refuse"   // no answer
)

var ruleActions = []string{Enforce, Report, Annotate, Redact, Cut, Refuse}

// RulePolicy is what follows when a rule finds something.
type RulePolicy struct {
	Action     string
	Confidence float64 // the bar from which a match acts, above 0, at most 1; 0: the rule's own
	Severity   string  // the least that acts, where Action is neither Enforce nor Report; empty: any
}

// Suppression accepts what one rule finds in one text, for a while.
type Suppression struct {
	Rule   string
	Server string // id; empty: any
	Digest string // of the text, as a finding names it
	Reason string
	Until  time.Time // the first moment at which it no longer holds
}

const (
	// maxSuppressions keeps the list one that a person can review.
	maxSuppressions = 1000
	// longestSuppression is how far ahead one may end: what nobody looks at again is
	// not accepted but forgotten.
	longestSuppression = 366 * 24 * time.Hour
	// maxReason bounds a reason, in bytes.
	maxReason = 500
)

var (
	ruleID     = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	textDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

	severities = []string{"info", "low", "medium", "high", "critical"}
)

func rulesSchema() schema {
	action := schema{"enum": ruleActions}
	return schema{"type": "object", "description": "What follows when a rule finds something; enforce unless it is named here.", "additionalProperties": schema{"anyOf": []schema{
		action,
		{"type": "object", "additionalProperties": false, "properties": schema{
			"action":     action,
			"confidence": schema{"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "How sure a match must be to act."},
			"severity":   schema{"enum": severities, "description": "The least that acts."},
		}},
	}}}
}

func (r *reader) rules(n *node, field string, c *Config) {
	if n.kind == null {
		return
	}
	if n.kind != mapping {
		r.wrongKind(n, field, "a mapping of rule ids to "+oneOfThese(ruleActions))
		return
	}
	for _, m := range n.members {
		at := join(field, m.name)
		if !ruleID.MatchString(m.name) {
			r.refuse(m.pos, at, "expected the id of a rule, such as hidden-text")
			continue
		}
		policy := RulePolicy{Action: Enforce}
		if m.value.kind == mapping {
			r.section(m.value, at, policyKeys(&policy))
		} else {
			oneOf("", "", &policy.Action, ruleActions...).read(r, m.value, at)
		}
		c.Rules[m.name] = policy
		c.rulesUsed = append(c.rulesUsed, ruleUse{m.name, at, m.pos})
		switch policy.Action {
		case Report:
			r.warn(m.pos, at, "the rule only reports; what it finds passes")
		case Annotate:
			r.warn(m.pos, at, "what the rule finds passes, behind a warning to the model")
		}
	}
}

func policyKeys(p *RulePolicy) []key {
	return []key{
		oneOf("action", "", &p.Action, ruleActions...),
		{"confidence", nil, func(r *reader, n *node, field string) {
			value, err := strconv.ParseFloat(n.text, 64)
			if n.kind != number || err != nil || !(value > 0 && value <= 1) {
				r.wrong(n, field, "a number above 0 and up to 1, such as 0.9")
				return
			}
			p.Confidence = value
		}},
		oneOf("severity", "", &p.Severity, severities...),
	}
}

func oneOfThese(words []string) string {
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func suppressionsSchema() schema {
	return schema{"type": "array", "maxItems": maxSuppressions, "description": "What rules find and a person has accepted, until the text changes or the day comes.", "items": schema{
		"type": "object", "additionalProperties": false, "required": []string{"rule", "digest", "reason", "until"}, "properties": schema{
			"rule":   schema{"type": "string", "pattern": ruleID.String(), "description": "Id of the rule."},
			"server": schema{"type": "string", "description": "Id of the server; any if absent."},
			"digest": schema{"type": "string", "pattern": textDigest.String(), "description": "Of the text, as the finding names it."},
			"reason": schema{"type": "string", "minLength": 1, "maxLength": maxReason, "description": "Why it is accepted."},
			"until":  schema{"type": "string", "format": "date", "description": "The first day on which it no longer holds, at most a year ahead."},
		}}}
}

func (r *reader) suppressions(n *node, field string, c *Config) {
	if n.kind == null {
		return
	}
	if n.kind != list || len(n.list) > maxSuppressions {
		r.wrongKind(n, field, "a list of at most "+strconv.Itoa(maxSuppressions)+" suppressions")
		return
	}
	for i, entry := range n.list {
		at := join(field, strconv.Itoa(i))
		if s, ok := r.suppression(entry, at); ok {
			c.Suppressions = append(c.Suppressions, s)
			c.rulesUsed = append(c.rulesUsed, ruleUse{s.Rule, join(at, "rule"), entry.pos})
		}
	}
}

// suppression reads one. An expired one is no error: a gateway must start on the day
// after; it suppresses nothing and says so.
func (r *reader) suppression(n *node, field string) (s Suppression, ok bool) {
	before := len(r.problems)
	matching := func(to *string, what string, pattern *regexp.Regexp) func(*reader, *node, string) {
		return func(r *reader, n *node, field string) {
			if n.kind != text || !pattern.MatchString(n.text) {
				r.wrong(n, field, what)
				return
			}
			*to = n.text
		}
	}
	if n.kind != mapping {
		r.wrongKind(n, field, "a mapping with rule, digest, reason and until")
		return s, false
	}
	r.section(n, field, []key{
		{"rule", nil, matching(&s.Rule, "the id of a rule, such as hidden-text", ruleID)},
		{"server", nil, matching(&s.Server, "the id of a server", serverID)},
		{"digest", nil, matching(&s.Digest, "the digest that a finding names, sha256: and 64 hexadecimal digits", textDigest)},
		{"reason", nil, func(r *reader, n *node, field string) {
			if n.kind != text || strings.TrimSpace(n.text) == "" || len(n.text) > maxReason {
				r.wrong(n, field, "a reason in words, at most "+strconv.Itoa(maxReason)+" bytes")
				return
			}
			s.Reason = n.text
		}},
		{"until", nil, func(r *reader, n *node, field string) {
			day, err := time.Parse(time.DateOnly, n.text)
			if err != nil || time.Until(day) > longestSuppression {
				r.wrong(n, field, "a day at most a year ahead, such as 2027-03-31")
				return
			}
			s.Until = day
		}},
	})
	for _, name := range []string{"rule", "digest", "reason", "until"} {
		if !slices.ContainsFunc(n.members, func(m member) bool { return m.name == name }) {
			r.refuse(n.pos, field, "%s is missing", name)
		}
	}
	if len(r.problems) > before {
		return s, false
	}
	if !time.Now().Before(s.Until) {
		r.warn(n.pos, field, "it ended on %s and suppresses nothing; look at the text again, then renew or remove it", s.Until.Format(time.DateOnly))
	}
	return s, true
}
