//go:build !linux || !(amd64 || arm64)

package container

import "gatehouse/internal/sandbox"

// canEnter says that containers are no processes of this machine.
const canEnter = false

// canServe refuses: the network of a container is in another machine.
func canServe() error { return errNoNetwork }

// settable does nothing: the limits of the machine that Podman runs in are not known.
func (*options) settable() {}

// gate is the way to the first process of a container; there is none here.
type gate struct{}

func (b *Box) enter(*options, about, image) error { return sandbox.ErrUnsupported }

func (*gate) begin(int) (sandbox.Report, error) { return sandbox.Report{}, sandbox.ErrUnsupported }

func (*gate) shut() {}
