// Package sarif writes a report in the Static Analysis Results Interchange Format,
// version 2.1.0, for code scanning and for other programs that show findings.
package sarif

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/approval"
	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/report"
	"gatehouse/internal/rule"
)

const (
	schema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
	version = "2.1.0"
	// root names the folder of the project, to which paths are relative.
	root = "%SRCROOT%"
)

// Names of fingerprints. They carry a version, as the standard wants: one is the same as
// long as the same check finds something in the same server, the other as long as the
// facts are the same.
const (
	printSubject = "gatehouseSubject/v1"
	printFacts   = "gatehouseFacts/v1"
)

type log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool        tool         `json:"tool"`
	Invocations []invocation `json:"invocations"`
	ColumnKind  string       `json:"columnKind"`
	Results     []result     `json:"results"`
}

type tool struct {
	Driver driver `json:"driver"`
}

type driver struct {
	Name    string       `json:"name"`
	Version string       `json:"version"`
	Rules   []descriptor `json:"rules"`
}

type descriptor struct {
	ID               string     `json:"id"`
	ShortDescription message    `json:"shortDescription"`
	FullDescription  message    `json:"fullDescription"`
	Help             message    `json:"help"`
	Default          setting    `json:"defaultConfiguration"`
	Properties       properties `json:"properties"`
}

type setting struct {
	Level string `json:"level"`
}

type properties struct {
	Tags             []string `json:"tags,omitempty"`
	SecuritySeverity string   `json:"security-severity,omitempty"`
	Severity         string   `json:"severity,omitempty"`
	Server           string   `json:"server,omitempty"`
	Clients          []string `json:"clients,omitempty"`
	Evidence         string   `json:"evidence,omitempty"`
	References       []string `json:"references,omitempty"`
}

type message struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type invocation struct {
	Successful    bool           `json:"executionSuccessful"`
	EndTime       string         `json:"endTimeUtc"`
	Notifications []notification `json:"toolExecutionNotifications,omitempty"`
}

type notification struct {
	Level     string     `json:"level"`
	Message   message    `json:"message"`
	Locations []location `json:"locations,omitempty"`
	Rule      *reference `json:"associatedRule,omitempty"`
}

type reference struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
}

type result struct {
	RuleID        string            `json:"ruleId"`
	RuleIndex     int               `json:"ruleIndex"`
	Level         string            `json:"level"`
	Message       message           `json:"message"`
	Locations     []location        `json:"locations"`
	Related       []location        `json:"relatedLocations,omitempty"`
	Fingerprints  map[string]string `json:"partialFingerprints"`
	BaselineState string            `json:"baselineState,omitempty"`
	Suppressions  []suppression     `json:"suppressions,omitempty"`
	Properties    properties        `json:"properties"`
}

type suppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

type location struct {
	ID       int       `json:"id,omitempty"`
	Physical *physical `json:"physicalLocation,omitempty"`
	Logical  []logical `json:"logicalLocations,omitempty"`
	Message  *message  `json:"message,omitempty"`
}

type physical struct {
	Artifact artifact `json:"artifactLocation"`
	Region   *region  `json:"region,omitempty"`
}

type artifact struct {
	URI  string `json:"uri"`
	Base string `json:"uriBaseId,omitempty"`
}

type region struct {
	StartLine int `json:"startLine"`
}

type logical struct {
	Name string `json:"name"`
	Full string `json:"fullyQualifiedName,omitempty"`
	Kind string `json:"kind"`
}

// Write writes a report.
func Write(out io.Writer, r *report.Report) error {
	w := &writer{r: r, index: map[string]int{}}
	one := run{
		Tool: tool{driver{Name: "Gatehouse", Version: r.Program.Version, Rules: w.rules()}}, ColumnKind: "unicodeCodePoints", Results: []result{},
	}
	for _, f := range r.Findings {
		one.Results = append(one.Results, w.result(f))
	}
	one.Invocations = []invocation{{Successful: r.Summary.Complete, EndTime: r.Time.Format("2006-01-02T15:04:05Z"), Notifications: w.notifications()}}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(log{schema, version, []run{one}})
}

type writer struct {
	r     *report.Report
	index map[string]int // of rules
}

func (w *writer) rules() []descriptor {
	out := []descriptor{}
	for i, c := range w.r.Checks {
		w.index[c.ID] = i
		_, body, _ := strings.Cut(c.Doc, "\n")
		body = strings.TrimSpace(body)
		first, _, _ := strings.Cut(body, "\n\n")
		out = append(out, descriptor{
			ID: c.ID, ShortDescription: message{Text: sentence(c.Title)}, FullDescription: message{Text: cmp.Or(oneLine(first), sentence(c.Title))},
			Help: message{Text: cmp.Or(body, sentence(c.Title)), Markdown: cmp.Or(body, sentence(c.Title))}, Default: setting{level(c.Severity)},
			Properties: properties{Tags: append([]string{"security", "mcp"}, c.References...), SecuritySeverity: score(c.Severity), Severity: c.Severity.String()},
		})
	}
	return out
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// sentence ends with a full stop, as the standard wants messages to.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// plain is a message with words from files. "Plain text messages … may contain embedded
// links" (SARIF 2.1.0, 3.11.6), which viewers draw: "[text](address)" becomes none. What a
// person would not see is spelled out.
func plain(text string) message {
	return message{Text: strings.ReplaceAll(approval.Visible(text), "](", "] (")}
}

func level(s rule.Severity) string {
	switch {
	case s >= rule.High:
		return "error"
	case s == rule.Medium:
		return "warning"
	}
	return "note"
}

// score is how code scanning orders severities: above 9 is critical, from 7 high, from 4
// medium.
func score(s rule.Severity) string {
	switch s {
	case rule.Critical:
		return "9.5"
	case rule.High:
		return "8.0"
	case rule.Medium:
		return "5.5"
	case rule.Low:
		return "3.0"
	}
	return "0.0"
}

func (w *writer) result(f report.Finding) result {
	out := result{
		RuleID: f.Check, RuleIndex: w.index[f.Check], Level: level(f.Severity), Locations: []location{},
		Message: plain(fmt.Sprintf("%s: %s To fix it: %s", f.Name, sentence(f.Why), sentence(f.Fix))),
		Fingerprints: map[string]string{
			printSubject: check.Bind(f.Check, w.subject(f)), printFacts: check.Bind(f.Check, w.subject(f), f.Evidence),
		},
		Properties: properties{Severity: f.Severity.String(), SecuritySeverity: score(f.Severity), Server: f.Server, Clients: f.Clients, Evidence: f.Evidence, References: f.References},
	}
	for i, p := range f.Places {
		l := w.location(p.File, p.Line)
		if name := f.Name; f.Server != "" {
			l.Logical = []logical{{Name: name, Full: strings.Join(p.Path, "."), Kind: "object"}}
		}
		// "Where else" the same stands: one location is where a result is shown.
		if i > 0 {
			l.ID, l.Message = i, &message{Text: "The same finding in another place."}
			out.Related = append(out.Related, l)
			continue
		}
		out.Locations = append(out.Locations, l)
	}
	if s := f.Suppressed; s != nil {
		out.Suppressions = []suppression{{"external", "accepted", plain(fmt.Sprintf("%s (%s, until %s)", s.Reason, s.Author, s.Expires)).Text}}
	}
	// The standard knows new, unchanged, updated and absent.
	out.BaselineState = map[report.Change]string{report.IsNew: "new", report.IsSame: "unchanged", report.IsChanged: "updated"}[f.Change]
	return out
}

// subject is what a finding is about, without the folder in which the project happens to
// lie.
func (w *writer) subject(f report.Finding) string {
	if rest, ok := w.r.Relative(f.Name); ok && f.Server == "" {
		return rest
	}
	return f.Subject()
}

func (w *writer) location(path string, line int) location {
	p := physical{Artifact: artifact{URI: fileURI(path)}}
	if rest, ok := w.r.Relative(path); ok {
		p.Artifact = artifact{URI: (&url.URL{Path: rest}).EscapedPath(), Base: root}
	}
	if line > 0 {
		p.Region = &region{line}
	}
	return location{Physical: &p}
}

func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// notifications are what could not be read or judged.
func (w *writer) notifications() (out []notification) {
	for _, f := range w.r.Files {
		if f.State == client.Parsed {
			continue
		}
		text := "not read"
		if len(f.Problems) > 0 {
			text = strings.Join(f.Problems, "; ")
		}
		out = append(out, notification{Level: "error", Message: plain(sentence(fmt.Sprintf("%s: %s", f.State, text))), Locations: []location{w.location(f.Path, 0)}})
	}
	for _, problem := range w.r.Summary.Problems {
		out = append(out, notification{Level: "error", Message: plain(sentence(problem))})
	}
	for _, u := range w.r.Unchecked {
		n := notification{Level: "warning", Message: plain(sentence("Not checked: " + strings.TrimSpace(u.Name+" "+u.Why)))}
		if i, ok := w.index[u.Check]; ok {
			n.Rule = &reference{u.Check, i}
		}
		out = append(out, n)
	}
	return slices.Clip(out)
}
