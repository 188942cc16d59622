package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/internal/config"
)

const defaultConfig = "gatehouse.yaml"

// loadConfig reads a configuration, and says what to do if there is none.
func loadConfig(path string) (*config.Config, error) {
	c, err := config.Load(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w; name the configuration with --config", err)
	}
	return c, err
}

// defaultStateDir is where the state is when no flag says so: beside
// ./gatehouse.yaml, as that file says, else in the user's state folder, where
// `gatehouse run` keeps its own.
func defaultStateDir() string {
	c, err := config.Load(defaultConfig)
	if err == nil {
		return c.State
	}
	if _, noState := os.Stat(".gatehouse"); noState == nil || !errors.Is(err, os.ErrNotExist) {
		return ".gatehouse" // a configuration with an error still stands for its own state
	}
	return userStateDir()
}

// userStateDir follows the XDG base directory specification.
func userStateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "gatehouse")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".gatehouse"
	}
	return filepath.Join(home, ".local", "state", "gatehouse")
}
