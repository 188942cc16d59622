// Package policy is a stub.
package policy

import (
	"net/netip"
	"time"

	"gatehouse/internal/identity"
)

type Request struct {
	Principal    *identity.Principal
	ClientName   string
	Method       string
	Server       string
	Kind, Name   string
	Arguments    []byte
	Address      netip.Addr
	Time         time.Time
	Score        float64
	Conversation []string
}

type Decision struct {
	Allow    bool
	Reason   string
	Policies []string
	Would    []string
	Err      error
}

type Engine struct{}

func (*Engine) Decide(*Request) Decision { return Decision{} }
func (*Engine) Lists(*Request) bool      { return false }
