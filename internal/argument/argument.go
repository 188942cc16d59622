// Package argument is the vocabulary of what the arguments of a call mean: a text is a
// statement of SQL, a path, a URL, a command, a recipient. A Kind reads one sort of
// text; an Understanding is what is known of a whole call. Policies, holds, flow,
// behaviour and the log are told the same. What could not be understood says so: it is
// never read-only, never inside a folder, and never a host that is allowed.
package argument

import "gatehouse/internal/wire"

// Kind is one sort of text, in a folder of its own below internal/arguments.
type Kind struct {
	ID  string // never renamed: policies and configurations name it
	Doc string // doc.md of its folder
	// Likely says how sure it is, from 0 to 1, that a text is of this kind, without
	// reading it whole. It costs little, because it is asked for every text.
	Likely func(Hint) float64
	// Read understands a text. It does not fail: Value.Why says what it could not tell.
	Read func(text string, o Options) Value
}

// Sure is what Likely answers to be read; several kinds may read one text.
const Sure = 0.5

// Hint is what is known of a text before it is read.
type Hint struct {
	Server, Tool string
	Name         string // of the innermost member that holds it, such as "query"
	Description  string // of the member in the tool's schema
	Format       string // of the schema, such as "uri"
	Text         string
}

// Options are what a server's configuration says about its arguments.
type Options struct {
	Dialect string   // of SQL: "postgresql", "mysql", "sqlite", "mssql"; "" is unknown: what any of them does counts
	Dir     string   // the folder in which the server runs; "" if unknown
	Folders []string // it is allowed to use; paths are inside or outside of them
	Files   bool     // paths may be looked up on this machine, for symbolic links: the server runs here
	Windows bool     // paths are those of Windows too
}

// Value is one text of the arguments, understood.
type Value struct {
	Kind    string `json:"kind"`    // ID of the Kind
	Pointer string `json:"pointer"` // JSON Pointer (RFC 6901) into the arguments
	// Why is what could not be told; empty: all of the text is understood.
	Why string `json:"why,omitempty"`

	Statements   []Statement `json:"statements,omitempty"`   // of SQL
	Paths        []Path      `json:"paths,omitempty"`        //
	Hosts        []Host      `json:"hosts,omitempty"`        // that would be reached
	URLs         []string    `json:"urls,omitempty"`         // in normal form
	Commands     []Command   `json:"commands,omitempty"`     // of a shell
	Recipients   []string    `json:"recipients,omitempty"`   // addresses, numbers, channels, in normal form
	Repositories []string    `json:"repositories,omitempty"` // owner/name, with branch as owner/name@branch
	Accounts     []string    `json:"accounts,omitempty"`     // of clouds and banks: projects, buckets, IBANs
	Amount       *Amount     `json:"amount,omitempty"`
}

// Statement is one statement of SQL.
type Statement struct {
	Verb   string   `json:"verb"`   // "select", "insert", "delete", "create", "set", … in lower case; "unknown"
	Tables []string `json:"tables"` // in lower case unless quoted, with schema where it is written
	// ReadOnly is true only if no part of it can change anything, in any dialect in
	// question: data-modifying parts, functions with side effects, locks, settings,
	// files and programs all count.
	ReadOnly bool     `json:"readOnly"`
	Effects  []string `json:"effects,omitempty"` // why it is not: "writes", "runs a program", "calls dblink", …
}

// Path is a place in a file system.
type Path struct {
	Written  string `json:"written"`
	Resolved string `json:"resolved"` // absolute and clean, links followed where they could be; "" if that cannot be told
	// Inside is true only if the place lies in an allowed folder however it is read.
	Inside bool     `json:"inside"`
	Tricks []string `json:"tricks,omitempty"` // "traversal", "symbolic link", "device", "UNC", …
}

// Host is a place in a network.
type Host struct {
	Name    string `json:"name"` // lower case, punycode, no trailing dot; an address in normal form
	Port    int    `json:"port,omitempty"`
	Scheme  string `json:"scheme,omitempty"`
	Private bool   `json:"private,omitempty"` // loopback, private, link-local, metadata, or a name for one
	// Tricks are what makes it look like another: "userinfo", "look-alike", "encoded address", "redirector", …
	Tricks []string `json:"tricks,omitempty"`
}

// Command is one program that a line for a shell starts.
type Command struct {
	Program string   `json:"program"` // its name without folder; "" if it cannot be told
	Words   []string `json:"words"`
	// Destructive and Network are true unless it is known that it neither destroys nor sends.
	Destructive bool     `json:"destructive,omitempty"`
	Network     bool     `json:"network,omitempty"`
	Tricks      []string `json:"tricks,omitempty"` // "substitution", "pipe to a shell", "encoded", …
}

// Amount is a sum.
type Amount struct {
	Number   string `json:"number"`             // a decimal number
	Currency string `json:"currency,omitempty"` // ISO 4217
}

// Effect is what a call may do to the world outside the conversation. It is learned from
// the configuration first, then from the verbs of the tool's name; annotations of the
// server are claims, which can make it worse and never better.
type Effect uint8

const (
	Unknown Effect = iota // counts as the worst where it matters
	Reads                 // from a place that is private or trusted
	Fetches               // brings in text that others wrote: web pages, mail, issues, tickets
	Writes                // changes what stays within the user's own things
	Sends                 // lets others see something: mail, posts, requests, comments, pushes
	Deletes
	Runs   // programs or code
	Grants // rights, keys, memberships, settings of security
	Spends // money
)

// Understanding is what is known of a call.
type Understanding struct {
	Values  []Value
	Effects []Effect // of the tool
	// Texts are all texts of the arguments, in order, with their pointers. They are there
	// for flow, which looks for where they came from.
	Texts []Text
}

// Text is one text of the arguments.
type Text struct {
	Pointer string
	Name    string
	Value   string
}

// Reader understands calls. internal/arguments makes one from the configuration.
type Reader interface {
	Understand(server, tool string, schema, arguments wire.Value) *Understanding
}
