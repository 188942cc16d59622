package cli

import (
	"fmt"
	"os"

	"gatehouse/internal/config"
)

// follow gives the server the variables whose values are references. They are read when
// the server starts; one that leads nowhere keeps it from starting.
func (o runOptions) follow(s *config.Server) error {
	for _, name := range o.resolve {
		value := os.Getenv(name)
		if value == "" {
			return fmt.Errorf("--resolve-env %s: the variable is not set, or empty", name)
		}
		reference, err := config.ParseReference(value, name, s.Dir)
		if err != nil {
			return fmt.Errorf("--resolve-env %s: %w", name, err)
		}
		if s.Env == nil {
			s.Env = map[string]config.Secret{}
		}
		s.Env[name] = reference
	}
	return nil
}
