// Package finding is the vocabulary of reports: a match of a rule together with
// where it was found.
package finding

import "gatehouse/internal/rule"

// Finding is one match that is reported to a person or written to the log. It
// never holds the text of a secret.
type Finding struct {
	Rule     string        `json:"rule"`
	Severity rule.Severity `json:"severity"`
	// Confidence is how likely the finding is right, from 0 to 1.
	Confidence float64 `json:"confidence,omitempty"`
	Surface    string  `json:"surface"`
	Server     string  `json:"server,omitempty"`
	Name       string  `json:"name,omitempty"`  // tool, prompt or resource
	Field      string  `json:"field,omitempty"` // JSON Pointer (RFC 6901) into the message or definition
	Detail     string  `json:"detail,omitempty"`
	// Decoded is what the excerpt says once it is decoded; empty if it is readable as it
	// stands.
	Decoded string `json:"decoded,omitempty"`
	Excerpt string `json:"excerpt,omitempty"` // with hidden characters written as \u{…}; empty for secrets
	// Effect says what was done: "reported", "annotated", "redacted", "cut", "refused",
	// "objected" (to a definition), "quarantined", "suppressed", or "would-" and one of them.
	Effect string `json:"effect,omitempty"`
	// Digest is the SHA-256 of the whole text in which it was found, for a suppression.
	Digest string `json:"digest,omitempty"`
}
