package gateway

import (
	"fmt"
	"path/filepath"

	"gatehouse/internal/audit"
	"gatehouse/internal/sandbox"
	"gatehouse/internal/upstream"
)

// startConfined starts a server in its sandbox. What the profile asks for and
// cannot be held keeps it from starting; there is no other way to start it.
func (s *server) startConfined(command upstream.Command, limits upstream.Limits, inbound upstream.Inbound) (upstream.Conn, error) {
	secrets := map[string]string{}
	for name, secret := range s.config.SecretFiles {
		value, err := secret.Resolve()
		if err != nil {
			return nil, err
		}
		secrets[name] = value
	}
	if len(s.config.Sandbox.Network) > 0 {
		return nil, fmt.Errorf("%w: a sandbox with a network is not supported; take network out of its profile", upstream.ErrUnavailable)
	}
	c := s.live().config
	box, err := sandbox.New(*s.config.Sandbox, sandbox.Command{
		Args: command.Args, Dir: command.Dir, Env: command.Env, Secrets: secrets,
		Hidden: []string{c.State, c.Lock, filepath.Join(c.State, "audit")},
	})
	if err != nil {
		s.notStarted(err)
		return nil, fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
	}
	command.Confine = box
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

// notStarted records why a server is not there.
func (s *server) notStarted(err error) {
	s.gateway.note(&audit.Record{Kind: audit.ServerEnded, Server: s.id, Detail: "it was not started, because its sandbox is not whole: " + s.live().clean(err.Error())})
}

// confinement says what holds a process, for the log.
func confinement(p *upstream.Process) string {
	if box, ok := p.Confinement().(*sandbox.Sandbox); ok {
		return ", in a sandbox; " + box.Report().String()
	}
	return ""
}
