package config

import (
	"encoding/json"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PolicyCase is one question to policies with the wanted answer.
type PolicyCase struct {
	Name string
	Line int // of the file, from 1

	Principal, Kind string // id and kind: user, agent or local; the kind may be empty
	PrincipalName   string
	Teams           []string
	Client          string // OAuth client id
	Means, Issuer   string
	Scopes          []string

	Method, Server                   string
	Tool, Prompt, Resource, Template string // at most one
	Claims                           map[string]bool
	Arguments                        []byte // a JSON object; nil: none
	Facts                            map[string][]string
	Amount                           string

	Time         time.Time
	Address      netip.Addr
	ClientName   string
	Score        float64
	Conversation []string

	Decision string   // "allow" or "deny"
	Reason   string   // "": any
	Policies []string // nil: any
	Would    []string // nil: any
}

// maxCases bounds the cases of one file.
const maxCases = 10_000

// LoadPolicyCases reads a file of cases for `gatehouse policy test`. The error is an
// *Error when the file could be read and something in it is wrong.
func LoadPolicyCases(path string) ([]PolicyCase, error) {
	path, source, err := readSource(path, maxConfigBytes)
	if err != nil {
		return nil, err
	}
	r := &reader{path: path, dir: filepath.Dir(path)}
	var cases []PolicyCase
	root := r.parseYAML(source)
	if root == nil {
		root = &node{}
	}
	if len(r.problems) == 0 {
		cases = r.policyCases(root)
	}
	return cases, r.err()
}

func (r *reader) policyCases(root *node) []PolicyCase {
	var cases []PolicyCase
	r.section(root, "", []key{{"cases", nil, func(r *reader, n *node, field string) {
		if n.kind != list || len(n.list) > maxCases {
			r.wrongKind(n, field, "a list of at most "+strconv.Itoa(maxCases)+" cases")
			return
		}
		for i, item := range n.list {
			cases = append(cases, r.policyCase(item, join(field, strconv.Itoa(i))))
		}
	}}})
	if len(cases) == 0 && len(r.problems) == 0 {
		r.refuse(root.pos, "cases", "there are none")
	}
	return cases
}

func (r *reader) policyCase(n *node, field string) PolicyCase {
	c := PolicyCase{Line: n.pos.line}
	if n.kind != mapping {
		r.wrongKind(n, field, "a mapping with principal, method, server and decision")
		return c
	}
	r.section(n, field, caseKeys(&c))
	for _, name := range []string{"principal", "method", "decision"} {
		if n.get(name) == nil {
			r.refuse(n.pos, field, "%s is missing", name)
		}
	}
	about := 0
	for _, name := range []string{"tool", "prompt", "resource", "template"} {
		if n.get(name) != nil {
			about++
		}
	}
	if about > 1 || about == 1 && c.Server == "" {
		r.refuse(n.pos, field, "a call is about one tool, prompt, resource or template of a server")
	}
	return c
}

func caseKeys(c *PolicyCase) []key {
	plain := func(name string, to *string) key {
		return key{name, nil, func(r *reader, n *node, field string) {
			if !n.scalar() {
				r.wrongKind(n, field, "text")
				return
			}
			*to = n.text
		}}
	}
	plains := func(name string, to *[]string) key {
		return key{name, nil, func(r *reader, n *node, field string) {
			*to = append([]string{}, r.texts(n, field, "name", func(string) string { return "" })...)
		}}
	}
	return []key{
		plain("name", &c.Name), plain("principal", &c.Principal), oneOf("kind", "", &c.Kind, "user", "agent", "local"), plain("principal_name", &c.PrincipalName),
		plains("teams", &c.Teams), plain("client", &c.Client), plain("means", &c.Means), plain("issuer", &c.Issuer), plains("scopes", &c.Scopes),
		plain("method", &c.Method), plain("server", &c.Server),
		plain("tool", &c.Tool), plain("prompt", &c.Prompt), plain("resource", &c.Resource), plain("template", &c.Template),
		{"claims", nil, func(r *reader, n *node, field string) { c.Claims = r.caseClaims(n, field) }},
		{"arguments", nil, func(r *reader, n *node, field string) { c.Arguments = r.caseArguments(n, field) }},
		{"facts", nil, func(r *reader, n *node, field string) { r.caseFacts(n, field, c) }},
		{"time", nil, func(r *reader, n *node, field string) {
			t, err := time.Parse(time.RFC3339, n.text)
			if err != nil {
				r.wrong(n, field, "a time with its zone, such as 2026-11-25T12:30:00+01:00")
				return
			}
			c.Time = t
		}},
		{"address", nil, func(r *reader, n *node, field string) {
			a, err := netip.ParseAddr(n.text)
			if err != nil {
				r.wrong(n, field, "an IP address")
				return
			}
			c.Address = a
		}},
		plain("client_name", &c.ClientName),
		{"score", nil, func(r *reader, n *node, field string) {
			score, err := strconv.ParseFloat(n.text, 64)
			if n.kind != number || err != nil || !(score >= 0 && score <= 1) {
				r.wrong(n, field, "a number from 0 to 1")
				return
			}
			c.Score = score
		}},
		plains("conversation", &c.Conversation),
		oneOf("decision", "", &c.Decision, "allow", "deny"), plain("reason", &c.Reason), plains("policies", &c.Policies), plains("would", &c.Would),
	}
}

func (r *reader) caseClaims(n *node, field string) map[string]bool {
	claims := map[string]bool{}
	var keys []key
	for _, name := range []string{"readOnly", "destructive", "idempotent", "openWorld"} {
		keys = append(keys, key{name, nil, func(r *reader, n *node, field string) {
			if n.kind != boolean {
				r.wrong(n, field, "true or false")
				return
			}
			claims[name] = n.text == "true"
		}})
	}
	r.section(n, field, keys)
	return claims
}

func (r *reader) caseFacts(n *node, field string, c *PolicyCase) {
	c.Facts = map[string][]string{}
	var keys []key
	for _, name := range []string{"paths", "hosts", "tables", "statements", "recipients"} {
		keys = append(keys, key{name, nil, func(r *reader, n *node, field string) {
			c.Facts[name] = append([]string{}, r.texts(n, field, "name", func(string) string { return "" })...)
		}})
	}
	keys = append(keys, key{"amount", nil, func(r *reader, n *node, field string) {
		if n.kind != number {
			r.wrong(n, field, "a number")
			return
		}
		c.Amount = n.text
		if !strings.Contains(c.Amount, ".") {
			c.Amount += ".0"
		}
	}})
	r.section(n, field, keys)
}

func (r *reader) caseArguments(n *node, field string) []byte {
	if n.kind != mapping {
		r.wrongKind(n, field, "a mapping of names to values")
		return nil
	}
	return r.appendJSON(nil, n, field)
}

// appendJSON writes a value as the JSON that a client would send.
func (r *reader) appendJSON(b []byte, n *node, field string) []byte {
	switch n.kind {
	case null:
		return append(b, "null"...)
	case boolean:
		return append(b, n.text...)
	case number:
		if json.Valid([]byte(n.text)) {
			return append(b, n.text...) // every digit of it
		}
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			r.wrong(n, field, "a number that JSON has")
			return append(b, "null"...)
		}
		return strconv.AppendFloat(b, f, 'g', -1, 64)
	case list:
		b = append(b, '[')
		for i, item := range n.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = r.appendJSON(b, item, join(field, strconv.Itoa(i)))
		}
		return append(b, ']')
	case mapping:
		b = append(b, '{')
		for i, m := range n.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, m.name), ':')
			b = r.appendJSON(b, m.value, join(field, m.name))
		}
		return append(b, '}')
	}
	return appendText(b, n.text)
}

func appendText(b []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic("config: internal error: " + err.Error()) // texts always marshal
	}
	return slices.Concat(b, quoted)
}
