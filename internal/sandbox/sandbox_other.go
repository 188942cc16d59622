//go:build !linux || !(amd64 || arm64)

package sandbox

import (
	"os/exec"

	"gatehouse/internal/profile"
)

// Sandbox is one server that is about to start.
type Sandbox struct{}

// New refuses: only Linux is supported.
func New(profile.Profile, Command) (*Sandbox, error) { return nil, ErrUnsupported }

// Configure refuses.
func (*Sandbox) Configure(*exec.Cmd) error { return ErrUnsupported }

// Started refuses.
func (*Sandbox) Started(int) error { return ErrUnsupported }

// Ended does nothing.
func (*Sandbox) Ended() {}

// Report is empty.
func (*Sandbox) Report() Report { return Report{} }

// Uses is empty.
func (*Sandbox) Uses() ([]profile.Use, error) { return nil, ErrUnsupported }

// Shown is empty.
func (*Sandbox) Shown() []Shown { return nil }

// Inside does nothing: there is no inside.
func Inside(Setup) {}

// Available reports that nothing can be enforced.
func Available() (Report, error) { return Report{}, ErrUnsupported }
