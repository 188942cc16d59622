package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// EnsureState makes the state folder, readable by its owner only, with a
// .gitignore that keeps it out of every repository. A folder that holds other
// things and is open to others is left alone and refused: making it private
// could lock someone out of their own files.
func (c *Config) EnsureState() error {
	if err := ensureState(c.State); err != nil {
		return fmt.Errorf("preparing the state folder: %w", err)
	}
	return nil
}

func ensureState(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := makePrivate(dir); err != nil {
			return err
		}
	}
	ignore := filepath.Join(dir, ".gitignore")
	if _, err := os.Lstat(ignore); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(ignore, []byte("*\n"), 0o600)
}

func makePrivate(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	ignore, _ := os.ReadFile(filepath.Join(dir, ".gitignore"))
	if len(entries) > 0 && string(ignore) != "*\n" {
		return fmt.Errorf("%s is open to others and holds files that are not Gatehouse's; name a folder of its own under state", dir)
	}
	return os.Chmod(dir, 0o700)
}
