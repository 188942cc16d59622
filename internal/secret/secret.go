// Package secret keeps secrets outside configuration files: in the keyring of the
// operating system, or in files that are encrypted with age. A configuration names
// them by a reference, keyring:NAME or age:PATH, which package config resolves when
// a server starts.
package secret

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Store keeps secrets by name.
type Store interface {
	// Reference is what a configuration says instead of the secret.
	Reference(name string) string
	// Get is ErrNotFound if there is no secret of that name.
	Get(name string) (string, error)
	// Set keeps a secret, in the place of one of that name.
	Set(name, value string) error
	// Delete forgets a secret. That there is none is no error.
	Delete(name string) error
}

var (
	// ErrNotFound says that a store has no such secret.
	ErrNotFound = errors.New("there is no such secret")
	// ErrUnavailable says that a store cannot be used on this machine, or not now.
	ErrUnavailable = errors.New("cannot be used here")
)

// IsReference reports whether a text is a reference to one of the stores here.
func IsReference(text string) bool {
	return strings.HasPrefix(text, "keyring:") || strings.HasPrefix(text, "age:")
}

// maxBytes bounds a secret; keys and tokens are far smaller.
const maxBytes = 64 << 10

// nameForm is a path of words. It becomes the name of a file, so that it must not
// lead anywhere.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,3}$`)

// CheckName refuses what is no name of a secret: words of letters, digits and _ . -
// with slashes between them, such as github/TOKEN.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return errors.New("expected a name of letters, digits and _ . - with slashes between its parts, such as github/TOKEN")
	}
	return nil
}

// check refuses a name or a value that no store takes.
func check(name, value string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if value == "" || len(value) > maxBytes {
		return fmt.Errorf("the secret %s has %d bytes, expected 1 to %d", name, len(value), maxBytes)
	}
	return nil
}
