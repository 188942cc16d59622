// Package policy decides who may do what. Policies are written in Cedar, checked
// against a schema when they are loaded, and loaded whole or not at all. What no
// policy permits is denied, what one forbids is denied, and what could not be
// evaluated is denied too: Cedar itself would skip a forbid that fails.
package policy

import (
	"net/netip"
	"time"

	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// Request is one question: may this principal do this? It is not kept.
type Request struct {
	Principal  *identity.Principal
	ClientName string // what the client calls itself: a claim

	Method string // of MCP; one that the schema does not name is the action "other"
	Server string // id; "" for KindGateway
	Kind   string // of what the method is about, KindTool and so on
	Name   string // of the tool or prompt, or the URI, as the server knows it
	Claims Claims // what the server says of a tool

	Arguments wire.Value // an object; zero if there are none
	Facts     *Facts     // what is understood of the arguments; nil: nothing

	Address      netip.Addr // of the peer; zero on stdio
	Time         time.Time
	Score        float64  // of the rules, 0 to 1
	Conversation []string // labels of the conversation
}

// Claims are annotations of a tool. Nobody but the server vouches for them.
type Claims struct{ ReadOnly, Destructive, Idempotent, OpenWorld Claim }

// Claim is yes, no, or nothing said.
type Claim uint8

const (
	Unsaid Claim = iota
	No
	Yes
)

// Facts are what the gateway understood of the arguments. A nil list means that it
// could not tell, an empty one that there is nothing of the kind.
type Facts struct {
	Paths, Hosts, Tables, Statements, Recipients []string
	Amount                                       string // a decimal number with at most four places; "" if unknown
}

// Decision is the answer to a Request.
type Decision struct {
	Allow bool
	// Policies are the ids of those that decided, in the order in which they stand in
	// the files: the forbids if one applied, else the permits; none if no policy
	// permits the request.
	Policies []string
	// Reason is what the forbids that decided say under @reason, for people and
	// models; "" if they say nothing.
	Reason string
	// Would are the ids of policies in report mode that would have refused. In it is
	// NoPermit if the whole section is in report mode and no policy permits.
	Would []string
	// Scopes are what the token lacks, and what it has of what is needed, where a
	// permit with @scope would allow the request if it had them; nil otherwise.
	Scopes []string
	// Err is why a policy, which it names, could not be evaluated; then Allow is false.
	Err error
}

// NoPermit stands in Decision.Would for the policy that is missing.
const NoPermit = "no-permit"
