// Package rule is the vocabulary of detection: what a rule is, what text it is
// shown and what it answers. It depends on the standard library only, so that a
// rule can be read, tested and moved by itself. Detecting is not deciding: a
// rule says what it recognised, the gateway and the scanner say what follows.
package rule

import (
	"fmt"
	"strings"

	"gatehouse/internal/rule/media"
)

//go:generate go run gatehouse/internal/rule/gen

// Severity says how bad a match is if it is right.
type Severity uint8

const (
	Unrated Severity = iota // in a Match: the severity of its rule
	Info
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"unrated", "info", "low", "medium", "high", "critical"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// MarshalText writes the severity as its lower-case name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the lower-case name of a severity.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, name := range severityNames {
		if name == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q", text)
}

// Surface says where in the protocol a text stood. It is a set: a rule names
// all the surfaces that it reads, a Subject names one.
type Surface uint32

const (
	Instructions       Surface = 1 << iota // server instructions in initialize and server/discover
	ToolDefinition                         // every string of one entry of tools/list
	PromptDefinition                       // every string of one entry of prompts/list
	ResourceDefinition                     // every string of one entry of resources/list and resources/templates/list
	Arguments                              // what a client sends to a server: tool and prompt arguments, completion values
	ToolResult                             // every string of the result of tools/call, structured content and _meta included
	ResourceContents                       // the result of resources/read
	PromptMessages                         // the result of prompts/get
	Completion                             // the result of completion/complete
	ClientRequest                          // what a server asks of a client: sampling, elicitation, roots
	ClientAnswer                           // what a client answers to that
	Notification                           // log messages, progress and other notifications
	ErrorText                              // message and data of a JSON-RPC error
	Other                                  // any other result or request

	Definitions = Instructions | ToolDefinition | PromptDefinition | ResourceDefinition
	// FromServer is everything that a server says and a model may read.
	FromServer = Definitions | ToolResult | ResourceContents | PromptMessages | Completion | ClientRequest | Notification | ErrorText | Other
	// ToServer is everything that leaves towards a server.
	ToServer = Arguments | ClientAnswer
)

var surfaceNames = []string{
	"instructions", "tool-definition", "prompt-definition", "resource-definition", "arguments", "tool-result",
	"resource-contents", "prompt-messages", "completion", "client-request", "client-answer", "notification", "error-text", "other",
}

func (s Surface) String() string {
	var names []string
	for i, name := range surfaceNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Names lists the surfaces in the set.
func (s Surface) Names() []string { return strings.Split(s.String(), ", ") }

// Neighbour is a named definition of another server, for rules that compare
// servers with each other.
type Neighbour struct {
	Server string // configured id
	Name   string // tool name as that server lists it
}

// Trust says who writes what a server returns. It moves the confidence from which a
// match acts.
type Trust int8

const (
	TrustNormal Trust = iota
	TrustLow          // strangers: web pages, mail, issues, reviews
	TrustHigh         // the people who use the gateway
)

// Factor is what a bar of confidence is multiplied by.
func (t Trust) Factor() float64 {
	switch t {
	case TrustLow:
		return 0.85
	case TrustHigh:
		return 1.1
	}
	return 1
}

// Subject is one text and where it stood.
type Subject struct {
	Surface Surface
	Server  string // configured id of the server that sent the text or will receive it
	// Owner is what is known of who runs that server, as lower-case words: its
	// id, command and host. It is configuration, never what the server says of
	// itself.
	Owner string
	Name  string // tool, prompt or resource that the text belongs to; may be empty
	// Key is the name of the nearest object member that holds the text
	// ("description", "enum"); for a text that is itself a member name IsKey is
	// true and Key is the name of the member around it.
	Key   string
	IsKey bool
	// Joined says that the text is several strings of one message one after another, in
	// which only what reaches over more than one is asked for.
	Joined bool
	Trust  Trust // in what the server returns
	// Text is decoded, valid UTF-8. Its memory is used again: who keeps a part of it
	// beyond Detect keeps a copy.
	Text string
	// Depth is how many encodings were undone to get the text: 0 for a text as it was
	// sent, else it is a part of such a text in which what was encoded is plain.
	Depth int
	// Binary is what is known of binary content that Text writes in Base64; nil if Text is
	// nothing but a text.
	Binary *media.File
	Media  media.Limits // of binary content
	// Neighbours are the tools of the other servers, and of this one under its own
	// id; only for Definitions.
	Neighbours []Neighbour
	// Configured are the secret values that the configuration gives to any server.
	// They need no recognising.
	Configured []string
	// Known are secret values that this server is entitled to receive, because
	// the configuration gives them to it; only for ToServer.
	Known []string

	reading *reading // what is known of the text; nil if nothing is
}

// Action is what a rule proposes for a matched span. In definitions there is
// nothing to propose: those are quarantined by severity. What leaves towards a
// server cannot be mended, because the server would then get something that nobody
// asked for: there Redact counts as Refuse.
type Action uint8

const (
	// Report changes nothing; the match is recorded.
	Report Action = iota
	// Redact replaces the span by Match.Replacement.
	Redact
	// Refuse withholds the whole message.
	Refuse
)

// Hard is the confidence from which a match stands alone: it acts, which is to say
// that it redacts, refuses or quarantines. What is less sure needs company.
const Hard = 0.9

// MaxDecoded bounds Match.Decoded, in bytes.
const MaxDecoded = 200

// Match is one place in a Subject's text that a rule recognised.
type Match struct {
	Start, End int      // byte offsets in Subject.Text, Start < End
	Severity   Severity // Unrated: the rule's own
	// Confidence is how likely it is, from 0 to 1, that the match is what its rule
	// looks for; 0 means the rule's own. How bad that would be is the severity.
	Confidence float64
	// Sum says that the match adds up what other rules report in parts. It is no company
	// for theirs: nothing counts twice.
	Sum bool
	// Mention says that the text speaks of attacks and quotes one, see Mentioned. That
	// is no company for other matches.
	Mention bool
	Detail  string // what was recognised, in words, without repeating a secret
	// Decoded is what the span says once it is decoded, if it was not readable as it
	// stands; at most MaxDecoded bytes, and never a secret.
	Decoded     string
	Action      Action
	Replacement string // what stands in place of the span after Redact
}

// Rule recognises one kind of danger in a text.
type Rule struct {
	ID       string // kebab-case; never renamed, never reused
	Title    string // one line for people
	Severity Severity
	// Confidence of a match that states none; 0 means certain, so that a rule that
	// says nothing of it is enforced.
	Confidence float64
	// Exposure says that the rule finds data that must not be seen, such as a secret,
	// and not an attack: it is measured apart.
	Exposure bool
	Surfaces Surface  // what it wants to be shown
	Refs     []string // OWASP-MCP03:2025, SAFE-T1001, CWE-…
	Doc      string   // doc.md of the rule's folder
	// AsWritten is for rules that judge how a text is written. They are not shown what
	// its encoded parts say.
	AsWritten bool
	// Secret says that no match of another rule may repeat what this one matches.
	Secret bool
	// Literals are those that Detect asks its Subject for.
	Literals []*Literals
	// Detect reads one text. It must be deterministic, linear in the length of
	// the text and safe for concurrent use. A rule that cannot judge returns an
	// error; the caller then refuses.
	Detect func(Subject) ([]Match, error)
}
