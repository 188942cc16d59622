// Package decision is the vocabulary of refusals: a closed list of reasons, each
// with the sentence that the model and the person read.
package decision

import (
	"errors"
	"fmt"
)

// Reason is why an exchange was refused. The list is closed: logs, policies and
// clients may rely on it.
type Reason string

const (
	Malformed           Reason = "malformed"
	TooLarge            Reason = "too-large"
	Unsupported         Reason = "unsupported"
	EraMismatch         Reason = "era-mismatch"
	Unidentified        Reason = "unidentified"
	NotFound            Reason = "not-found"
	Denied              Reason = "denied"
	Quarantined         Reason = "quarantined"
	Drift               Reason = "drift"
	InvalidArguments    Reason = "invalid-arguments"
	HeaderMismatch      Reason = "header-mismatch"
	RuleMatched         Reason = "rule-matched"
	QuotaExceeded       Reason = "quota-exceeded"
	Halted              Reason = "halted"
	UpstreamUnavailable Reason = "upstream-unavailable"
	UpstreamAuth        Reason = "upstream-auth"
	UpstreamTimeout     Reason = "upstream-timeout"
	UpstreamInvalid     Reason = "upstream-invalid"
	UpstreamTooLarge    Reason = "upstream-too-large"
	UpstreamFlood       Reason = "upstream-flood"
	ClientGone          Reason = "client-gone"
	Cancelled           Reason = "cancelled"
	Overloaded          Reason = "overloaded"
	AuditUnavailable    Reason = "audit-unavailable"
	InternalError       Reason = "internal-error"
)

// sentences are shown to the model and the person. They never contain the
// injected text or a secret; what to do comes first where something can be done.
var sentences = map[Reason]string{
	Malformed:           "the message is not one strict JSON-RPC message",
	TooLarge:            "the message is larger than the configured bound",
	Unsupported:         "this method is not supported here",
	EraMismatch:         "this revision of the protocol is not spoken here",
	Unidentified:        "the caller could not be identified",
	NotFound:            "there is no such server, tool, prompt or resource here",
	Denied:              "no policy allows this call; a person can look at it with `gatehouse policy explain`",
	Quarantined:         "the server's definition waits for review; a person can look at it with `gatehouse approve`",
	Drift:               "the definition differs from the approved one; a person can review the change with `gatehouse approve`",
	InvalidArguments:    "the arguments do not fit the tool's input schema",
	HeaderMismatch:      "the HTTP headers and the body of the request disagree",
	RuleMatched:         "a rule forbids this content",
	QuotaExceeded:       "a quota leaves no room for this",
	Halted:              "a person has halted this",
	UpstreamUnavailable: "the server cannot be reached or did not start",
	UpstreamAuth:        "the server wants a token that the gateway does not have; a person can mend that",
	UpstreamTimeout:     "the server did not answer in time",
	UpstreamInvalid:     "the server sent something that cannot be used",
	UpstreamTooLarge:    "the server's answer is larger than the configured bound",
	UpstreamFlood:       "the server sent more messages than the configured bound",
	ClientGone:          "the client that was asked is gone",
	Cancelled:           "the request was cancelled",
	Overloaded:          "too many requests are in flight",
	AuditUnavailable:    "the audit log cannot be written, so nothing may pass",
	InternalError:       "an internal error; nothing was let through",
}

// Reasons lists the closed list in no particular order.
func Reasons() []Reason {
	list := make([]Reason, 0, len(sentences))
	for r := range sentences {
		list = append(list, r)
	}
	return list
}

// Sentence is what a person or a model reads for the reason.
func (r Reason) Sentence() string { return sentences[r] }

// Advice is what a model can do about the reason.
func (r Reason) Advice() string {
	switch r {
	case InvalidArguments:
		return "Correct the arguments and call again."
	case NotFound:
		return "Choose one of the listed names."
	case TooLarge, UpstreamTooLarge:
		return "Send or ask for less."
	case QuotaExceeded:
		return "Do what the quota says; trying again before that will be refused too."
	case Halted:
		return "Stop, and tell the user; trying another way around it will be refused too."
	case UpstreamUnavailable, UpstreamTimeout, UpstreamInvalid, UpstreamFlood, Overloaded, AuditUnavailable, InternalError:
		return "It may work later; if it does not, tell the user."
	}
	return "Tell the user; trying another way around it will be refused too."
}

// Refusal is an error that stops an exchange.
type Refusal struct {
	Reason Reason
	Detail string // for people: safe to show, no secret, no text from the server
	Rule   string // with RuleMatched: the rule
	Err    error  // for the log only
}

// Refuse makes a Refusal with a detail that may be shown to the caller.
func Refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Wrap makes a Refusal whose cause goes to the log only.
func Wrap(reason Reason, err error) *Refusal { return &Refusal{Reason: reason, Err: err} }

func (r *Refusal) Error() string {
	text := string(r.Reason)
	if r.Rule != "" {
		text += " (" + r.Rule + ")"
	}
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

func (r *Refusal) Unwrap() error { return r.Err }

// From turns any error into a Refusal: one that is not a Refusal already is an
// internal error, and an internal error refuses.
func From(err error) *Refusal {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return Wrap(InternalError, err)
}
