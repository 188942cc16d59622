// Package identity says who makes a request.
package identity

import "time"

// Kind is what a principal is.
type Kind string

const (
	User  Kind = "user"
	Agent Kind = "agent" // a program with its own credential
	Local Kind = "local" // the user of this machine, over loopback or stdio
)

// Principal is who makes a request. Immutable once made.
type Principal struct {
	ID      string   // unique, stable, printable: "local:root", "user:ISSUER/SUBJECT", "key:NAME", "cert:NAME", "proxy:NAME/USER"
	Kind    Kind     // User, Agent, Local
	Name    string   // for people
	Teams   []string // sorted names of teams, from claims, groups or the configuration
	Client  string   // OAuth client id of the token; "" if unknown
	Scopes  []string
	Means   string    // "local", "jwt", "opaque", "key", "certificate", "proxy"
	Issuer  string    // configured name of the issuer
	Expires time.Time // zero: does not expire
}
