package container

import (
	"context"
	"fmt"
	"strings"

	"gatehouse/internal/profile"
)

// Engine is what there is of Docker or Podman on this machine.
type Engine struct {
	Name    string
	Version string
	Whole   bool     // our program locks servers up once more, and proves what holds
	Cannot  []string // controls that it says it does not have
}

// String says it in one sentence.
func (e Engine) String() string {
	text := fmt.Sprintf("%s %s", e.Name, e.Version)
	if e.Whole {
		text += ", on this machine: everything is enforced, and proven from inside"
	} else {
		text += ", not on this machine's own kernel: no landlock, no network but none, and what holds is what the engine says"
	}
	if len(e.Cannot) > 0 {
		text += "; it does not have: " + strings.Join(e.Cannot, ", ")
	}
	return text
}

// Installed reports whether the engine's command is there.
func Installed(name string) bool {
	_, err := find(name)
	return err == nil
}

// Available asks an engine what it can do. It starts nothing.
func Available(ctx context.Context, name string) (Engine, error) {
	e, err := find(name)
	if err != nil {
		return Engine{}, err
	}
	about, err := e.about(ctx)
	if err != nil {
		return Engine{}, err
	}
	return Engine{name, about.version, canEnter && about.local, about.cannot}, nil
}

// Check reports whether the image of a profile is there, and everything else that
// can be told without a container.
func Check(ctx context.Context, p profile.Profile) error {
	e, err := find(p.Runtime)
	if err != nil {
		return err
	}
	if _, err := grantsOf(p); err != nil {
		return err
	}
	_, err = e.image(ctx, p.Image)
	return err
}
