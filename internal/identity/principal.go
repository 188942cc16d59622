// Package identity says who makes a request.
package identity

import "time"

// Kind is what a principal is.
type Kind string

// The kinds of principals.
const (
	User  Kind = "user"  // a person
	Agent Kind = "agent" // a program with a credential of its own
	Local Kind = "local" // whoever runs the gateway on this machine
)

// Principal is who makes a request. It is immutable once made.
type Principal struct {
	ID      string // unique, stable, printable: "local:root", "user:ISSUER/SUBJECT", "key:NAME", "cert:NAME", "proxy:NAME/USER"
	Kind    Kind
	Name    string   // for people
	Teams   []string // sorted
	Client  string   // OAuth client id of the token; "" if unknown
	Scopes  []string
	Means   string    // "local", "jwt", "opaque", "key", "certificate", "proxy"
	Issuer  string    // configured name of the issuer
	Expires time.Time // zero: does not expire
}
