// Package halt is the kill switch: it stops a server, a tool, a principal or
// everything, at once, until a person lets it go on. The halts are in one file, so
// that they outlive the gateway and any process may add one. What cannot be read
// halts everything.
package halt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What is the kind of thing that a halt stops.
type What string

const (
	All       What = "all"
	Server    What = "server"    // Halt.Server
	Tool      What = "tool"      // Halt.Name of Halt.Server
	Prompt    What = "prompt"    // Halt.Name of Halt.Server
	Resource  What = "resource"  // those of Halt.Server whose URI begins with Halt.Name
	Principal What = "principal" // Halt.Name is its id
	Team      What = "team"      // everybody in the team Halt.Name
)

// Target is what a halt stops.
type Target struct {
	What   What
	Server string // id; of a server, tool, prompt or resource
	Name   string // of all but a server and everything
}

// Halt is one order to stop.
type Halt struct {
	Target
	Reason string // a person reads it, and the model
	By     string
	Since  time.Time
	Until  time.Time // zero: until somebody resumes it
}

// Call is what a halt may be about.
type Call struct {
	Principal string
	Teams     []string
	Server    string // id; "" where it is about no single one
	Kind      string // of Name: tool, prompt, resource or template; "" where nothing is named
	Name      string
}

const (
	// maxHalts bounds the file. Whoever needs more should halt more at once.
	maxHalts = 10_000
	// maxName bounds a name, in bytes; a URI may be long.
	maxName = 2048
	// maxReason keeps a reason within what a model should read.
	maxReason = 300
	// maxBy bounds who halts.
	maxBy = 256
)

var whats = []What{All, Server, Tool, Prompt, Resource, Principal, Team}

// Whats lists what can be halted.
func Whats() []What { return append([]What{}, whats...) }

// check refuses what could halt nothing, or something else than it says.
func (h Halt) check() error {
	needsServer, needsName := false, false
	switch h.What {
	case All:
	case Server:
		needsServer = true
	case Tool, Prompt, Resource:
		needsServer, needsName = true, true
	case Principal, Team:
		needsName = true
	default:
		return fmt.Errorf("%q cannot be halted", printable(string(h.What)))
	}
	switch {
	case needsServer != (h.Server != "") || needsName != (h.Name != ""):
		return fmt.Errorf("a halt of %s needs %s", h.What, needs(needsServer, needsName))
	case len(h.Server) > maxName || len(h.Name) > maxName:
		return fmt.Errorf("a name has more than %d bytes", maxName)
	case strings.TrimSpace(h.Reason) == "" || len(h.Reason) > maxReason:
		return fmt.Errorf("a reason must be given, in at most %d bytes", maxReason)
	case h.By == "" || len(h.By) > maxBy:
		return fmt.Errorf("who halts must be named, in at most %d bytes", maxBy)
	case h.Since.IsZero():
		return errors.New("it must say since when")
	case !h.Until.IsZero() && !h.Since.Before(h.Until):
		return errors.New("it would end before it begins")
	}
	for _, text := range []string{h.Server, h.Name, h.Reason, h.By} {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return errors.New("names and reasons are text on one line")
		}
	}
	return nil
}

func needs(server, name bool) string {
	switch {
	case server && name:
		return "a server and a name, and nothing else"
	case server:
		return "a server, and nothing else"
	case name:
		return "a name, and no server"
	}
	return "neither server nor name"
}

// Stops reports whether the halt is about the call.
func (h Halt) Stops(c *Call) bool {
	switch h.What {
	case All:
		return true
	case Server:
		return h.Server == c.Server
	case Tool, Prompt:
		return string(h.What) == c.Kind && h.Server == c.Server && h.Name == c.Name
	case Resource:
		return (c.Kind == "resource" || c.Kind == "template") && h.Server == c.Server && beginsWith(c.Name, h.Name)
	case Principal:
		return h.Name == c.Principal
	case Team:
		for _, team := range c.Teams {
			if team == h.Name {
				return true
			}
		}
	}
	return false
}

// ended reports whether the time of the halt is over.
func (h Halt) ended(now time.Time) bool { return !h.Until.IsZero() && !now.Before(h.Until) }

// String names what is halted, for people.
func (t Target) String() string {
	switch t.What {
	case All:
		return "everything"
	case Server:
		return "server " + t.Server
	case Tool, Prompt:
		return string(t.What) + " " + t.Name + " of server " + t.Server
	case Resource:
		return "resources " + t.Name + "… of server " + t.Server
	}
	return string(t.What) + " " + t.Name
}

// Sentence tells the model and the person what is halted and why.
func (h Halt) Sentence() string {
	text := h.Target.String()
	if h.What == Principal || h.What == Team {
		text = "the caller" // who else is in a team is not the model's to know
	}
	text += " is halted: " + h.Reason
	if !h.Until.IsZero() {
		text += " (until " + h.Until.UTC().Format(time.RFC3339) + ")"
	}
	return text
}

// beginsWith compares URIs so that one written in another way is not missed: what
// is percent-encoded is decoded, upper and lower case are the same, and so are paths
// that lead to the same file. It may halt a resource too many, never one too few.
func beginsWith(uri, prefix string) bool {
	return strings.HasPrefix(uri, prefix) || strings.HasPrefix(plain(uri), plain(prefix))
}

// maxDecoding bounds how often a URI is decoded that is encoded again and again.
const maxDecoding = 4

func plain(uri string) string {
	for range maxDecoding {
		next := decodePercent(uri)
		if next == uri {
			break
		}
		uri = next
	}
	return plainPath(strings.ToLower(strings.ReplaceAll(uri, `\`, "/")))
}

// thisMachine may stand before the path of a file, and says nothing (RFC 8089,
// section 2).
var thisMachine = []string{"localhost", "127.0.0.1"}

// plainPath drops what changes nothing: slashes in a row, segments of one dot, and
// in a file URI the name of this machine. The last segment may be the beginning of
// one and stays.
func plainPath(uri string) string {
	scheme, rest, isURI := strings.Cut(uri, ":")
	if !isURI {
		return uri
	}
	segments := strings.Split(rest, "/")
	last := segments[len(segments)-1]
	segments = slices.DeleteFunc(segments[:len(segments)-1], func(s string) bool { return s == "" || s == "." })
	if scheme == "file" && len(segments) > 0 && slices.Contains(thisMachine, segments[0]) {
		segments = segments[1:]
	}
	return scheme + ":/" + strings.Join(append(segments, last), "/")
}

// decodePercent leaves alone what is no encoding.
func decodePercent(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
			if high >= 0 && low >= 0 {
				out.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
