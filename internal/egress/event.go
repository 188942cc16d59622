package egress

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Event is one entry of the record of what a server reached for.
type Event struct {
	Kind Kind
	// Connection numbers the connections of a Broker, from 1; 0 where a name was
	// refused.
	Connection uint64
	// Name that was asked for, as the rules write it; the address where a rule names
	// one, or where nothing but an address is known.
	Name string
	// Port that was asked for.
	Port uint16
	// Address that is dialled, of those that were checked the first; the one that
	// was connected to, in Closed.
	Address netip.AddrPort
	// Protocol that was recognised or asked for, empty if unknown.
	Protocol Protocol
	// Up and Down are the bytes that the server sent and got, in Closed.
	Up, Down int64
	// Duration of the connection, in Closed and Refused.
	Duration time.Duration
	// Times is how often the same was refused so far, in Refused. The first ten times
	// are on record, and then each tenth power.
	Times int
	// Reason of a refusal, or of an end that the broker brought about.
	Reason Reason
	// Detail is for people. It may hold what the server sent, made printable.
	Detail string
}

// String says the event in one line, for a log.
func (e Event) String() string {
	text := string(e.Kind) + " " + e.Name
	if e.Kind != NameRefused {
		text = string(e.Kind) + " " + net.JoinHostPort(e.Name, strconv.Itoa(int(e.Port)))
	}
	if e.Kind == Closed {
		text += fmt.Sprintf(", %d bytes sent, %d received", e.Up, e.Down)
	}
	if e.Address.IsValid() {
		text += ", at " + e.Address.Addr().String()
	}
	if e.Reason != "" {
		text += ": " + string(e.Reason)
	}
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	if e.Times > 1 {
		text += fmt.Sprintf(", %d times", e.Times)
	}
	return text
}

// Kind of an Event.
type Kind string

// Opened is recorded before anything leaves; a connection whose Opened cannot be
// recorded is refused. Closed follows for each connection that was opened and may
// follow a Refused, where a later request on a connection is not allowed.
const (
	Opened      Kind = "opened"
	Closed      Kind = "closed"
	Refused     Kind = "refused"
	NameRefused Kind = "name-refused"
)

// Reason is why something was refused or ended, from a closed list.
type Reason string

// The reasons.
const (
	AddressNotAllowed  Reason = "address-not-allowed"   // no rule names the address, and no name was answered with it
	PortNotAllowed     Reason = "port-not-allowed"      // a rule names the host, with other ports
	NameNotAllowed     Reason = "name-not-allowed"      // no rule names the name that was asked for
	BadQuery           Reason = "bad-query"             // what came to port 53 is not a query for a name
	TooManyNames       Reason = "too-many-names"        // a wildcard has been used for too many names
	NoName             Reason = "no-name"               // the client did not say which host it means
	WrongName          Reason = "wrong-name"            // the client means another host than the address stands for
	NotTLS             Reason = "not-tls"               // the rule wants TLS
	NotHTTP            Reason = "not-http"              // the rule wants HTTP
	NotPublic          Reason = "not-public"            // the name leads to an address that no rule names
	Unreachable        Reason = "unreachable"           // the host did not resolve or did not answer
	TooManyConnections Reason = "too-many-connections"  // at once
	TooManyBytes       Reason = "too-many-bytes"        // in a day
	Idle               Reason = "idle"                  // nothing came for too long
	NotRecorded        Reason = "could-not-be-recorded" // nothing leaves that is not on record
)

// Log takes the events, from several goroutines at once. An error from it refuses
// the connection if the event is Opened.
type Log func(Event) error
