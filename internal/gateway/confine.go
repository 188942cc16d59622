package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"gatehouse/internal/audit"
	"gatehouse/internal/container"
	"gatehouse/internal/egress"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
	"gatehouse/internal/upstream"
)

// startConfined starts a server in its sandbox. What the profile asks for and
// cannot be held keeps it from starting; there is no other way to start it.
func (s *server) startConfined(p profile.Profile, command upstream.Command, limits upstream.Limits, inbound upstream.Inbound) (upstream.Conn, error) {
	secrets := map[string]string{}
	for name, secret := range s.config.SecretFiles {
		value, err := secret.Resolve()
		if err != nil {
			return nil, err
		}
		secrets[name] = value
	}
	network, err := s.network()
	if err != nil {
		s.notStarted(err)
		return nil, fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
	}
	c := s.live().config
	box, err := confine(p, sandbox.Command{
		Args: command.Args, Dir: command.Dir, Env: command.Env, Secrets: secrets, Network: network, Refused: s.confined,
		Hidden: hiddenState(c),
	})
	if err != nil {
		s.notStarted(err)
		return nil, fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
	}
	command.Confine = box
	if s.config.Sandbox.InContainer() {
		command.Args = []string{s.config.Sandbox.Runtime} // what is started on this machine is the engine's command
	}
	process, err := upstream.Start(command, limits, s.log, inbound)
	if err != nil {
		s.notStarted(err)
		return nil, err
	}
	if missing := box.Report().Missing(); len(missing) > 0 {
		s.log.Warn("the server runs although its sandbox is not whole, because unsafe_missing allows it", "missing", missing)
	}
	return process, nil
}

// box is what a server is started in.
type box interface {
	upstream.Confinement
	Report() sandbox.Report
}

// confine plans what holds a server, by the runtime that its profile names.
func confine(p profile.Profile, c sandbox.Command) (box, error) {
	if p.InContainer() {
		return container.New(p, c)
	}
	return sandbox.New(p, c)
}

// network serves what the profile lets the server reach, and nothing else; nil if that
// is nothing.
func (s *server) network() (func(context.Context, *net.UnixConn) error, error) {
	if len(s.config.Sandbox.Network) == 0 {
		return nil, nil
	}
	var rules []egress.Rule
	for _, d := range s.config.Sandbox.Network {
		r := egress.Rule{Host: d.Host}
		if _, err := netip.ParseAddr(d.Host); err != nil && d.Host != "*" && d.Host != "localhost" {
			r.UnsafePrefixes = s.config.Sandbox.UnsafeAddresses
		}
		for _, port := range d.Ports {
			r.Ports = append(r.Ports, uint16(port))
		}
		rules = append(rules, r)
	}
	broker, err := egress.NewBroker(rules, s.reached, egress.Options{})
	if err != nil {
		return nil, err
	}
	return broker.Serve, nil
}

// reached records what a server reached for. What cannot be recorded is not reached.
func (s *server) reached(e egress.Event) error {
	switch e.Reason {
	case egress.NameNotAllowed:
		s.tellRefused("the name " + e.Name)
	case egress.AddressNotAllowed, egress.PortNotAllowed:
		s.tellRefused(net.JoinHostPort(e.Name, strconv.Itoa(int(e.Port))))
	}
	return s.gateway.append(&audit.Record{Kind: audit.Reached, Server: s.id, Detail: s.live().clean(e.String())})
}

// confined records what the sandbox of a server did not let it do.
func (s *server) confined(f sandbox.Refusal) {
	if f.Control == sandbox.Network {
		s.tellRefused(f.What)
	}
	detail := f.What
	if f.Times > 1 {
		detail += fmt.Sprintf(", %d times", f.Times)
	}
	s.gateway.note(&audit.Record{Kind: audit.SandboxRefused, Server: s.id, Rule: f.Control, Detail: s.live().clean(detail)})
}

// notStarted records why a server is not there.
func (s *server) notStarted(err error) {
	s.gateway.note(&audit.Record{Kind: audit.ServerEnded, Server: s.id, Detail: "it was not started, because its sandbox is not whole: " + s.live().clean(err.Error())})
}

// confinement says what holds a process, for the log.
func confinement(p *upstream.Process) string {
	switch b := p.Confinement().(type) {
	case *container.Box:
		return ", in a container; " + b.Report().String()
	case box:
		return ", in a sandbox; " + b.Report().String()
	}
	return ""
}
