// Package wide lists and calls servers that other people publish, through one
// gateway, and holds what the rules say of them to nothing: no refusal, nothing in
// quarantine, nothing that acts. `make test-wide` installs the servers, runs it and
// writes docs/NOISE.md.
package wide
