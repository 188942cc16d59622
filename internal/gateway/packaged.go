package gateway

import (
	"errors"
	"fmt"
	"path/filepath"

	"gatehouse/internal/command"
	"gatehouse/internal/config"
	"gatehouse/internal/install"
	"gatehouse/internal/profile"
	"gatehouse/internal/upstream"
)

// startPackage starts a server whose command would fetch a package, from what is
// installed of it. The gateway itself never fetches one: what is not installed, or was
// changed since, does not start.
func (s *server) startPackage(request command.Request, err error, c upstream.Command, limits upstream.Limits, inbound upstream.Inbound) (upstream.Conn, error) {
	if err == nil && s.config.Sandbox == nil {
		err = errors.New("it has no sandbox")
	}
	var start install.Start
	if err == nil {
		start, err = install.InState(s.live().config.State).Start(request)
	}
	if err != nil {
		if errors.Is(err, install.ErrNotInstalled) || errors.Is(err, install.ErrChanged) {
			err = fmt.Errorf("%w; this installs it: %s", err, install.InState(s.live().config.State).Advice(request))
		}
		s.notStarted(err)
		return nil, fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
	}
	c.Args = start.Command
	conn, err := s.startConfined(s.config.Sandbox.With(profile.Profile{Read: []string{start.Folder}}), c, limits, inbound)
	if err != nil {
		return nil, fmt.Errorf("%w; a command such as %s has a sandbox unless unsafe_no_sandbox says otherwise", err, s.config.Command[0])
	}
	return conn, err
}

// maxTold bounds of how many places a person is told; the log has them all.
const maxTold = 32

// tellRefused says which place a server was not let reach, and which key would let it:
// what fails inside a server often says nothing of why.
func (s *server) tellRefused(place string) {
	s.mu.Lock()
	if s.told == nil {
		s.told = map[string]bool{}
	}
	tell := !s.told[place] && len(s.told) < maxTold
	if tell {
		s.told[place] = true
	}
	s.mu.Unlock()
	if tell {
		s.log.Warn("the sandbox did not let the server reach a place on the network; to allow it, name it with its port", "place", s.live().clean(place), "key", "servers."+s.id+".sandbox.network", "flag", "--network")
	}
}

// hiddenState are places of our own state. They are named one by one because the
// packages that servers start from lie beside them.
func hiddenState(c *config.Config) []string {
	hidden := []string{c.State, c.Lock}
	for _, name := range []string{"audit", "pending", "oauth", "keys", "quotas", "halts.json", filepath.Join("packages", "records")} {
		hidden = append(hidden, filepath.Join(c.State, name))
	}
	return hidden
}
