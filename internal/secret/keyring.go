package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/zalando/go-keyring"
)

// service is the name under which the keyring shows our secrets to people.
const service = "gatehouse"

// Keyring is the keyring of the operating system: the Secret Service on Linux, the
// Keychain on macOS, the Credential Manager on Windows.
type Keyring struct{}

var _ Store = Keyring{}

// Reference is keyring:NAME.
func (Keyring) Reference(name string) string { return "keyring:" + name }

// Get reads a secret.
func (Keyring) Get(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	value, err := keyring.Get(service, name)
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return "", fmt.Errorf("the keyring, %s: %w", name, ErrNotFound)
	case err != nil:
		return "", fmt.Errorf("the keyring %w: %w", ErrUnavailable, err)
	}
	return unwrapped(value), nil
}

// Set keeps a secret.
func (Keyring) Set(name, value string) error {
	if err := check(name, value); err != nil {
		return err
	}
	err := keyring.Set(service, name, wrapped(value))
	switch {
	case errors.Is(err, keyring.ErrSetDataTooBig):
		return fmt.Errorf("the secret %s is larger than this keyring takes", name)
	case err != nil:
		return fmt.Errorf("the keyring %w: %w", ErrUnavailable, err)
	}
	return nil
}

// Delete forgets a secret.
func (Keyring) Delete(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := keyring.Delete(service, name); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return fmt.Errorf("the keyring %w: %w", ErrUnavailable, err)
	}
	return nil
}

// probeName is a secret that is not there, to see whether the keyring answers.
const probeName = "probe"

// Available asks the keyring for a secret that it does not have. A machine without a desktop
// has no keyring as a rule. That one answers does not say that it can be written now: it may
// be locked.
func (k Keyring) Available() error {
	if _, err := k.Get(probeName); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// lineMark begins what is kept in another form: keyrings keep one line of text, and
// secrets such as private keys have several.
const lineMark = "gatehouse-base64:"

func wrapped(value string) string {
	if strings.ContainsAny(value, "\r\n\x00") || strings.HasPrefix(value, lineMark) {
		return lineMark + base64.StdEncoding.EncodeToString([]byte(value))
	}
	return value
}

func unwrapped(value string) string {
	if coded, found := strings.CutPrefix(value, lineMark); found {
		if raw, err := base64.StdEncoding.DecodeString(coded); err == nil {
			return string(raw)
		}
	}
	return value
}
