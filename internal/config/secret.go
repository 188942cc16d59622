package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	secretstore "gatehouse/internal/secret"
)

// Secret is a value that may be secret: a text, a reference to one, or a text
// with references inside. However it is printed, encoded or logged, it shows
// references only; Resolve is the one way to the value.
type Secret struct {
	// A function, so that fmt prints an address even where it cannot call our
	// methods, in an unexported field of another struct. It looks through
	// pointers. nil is the empty secret.
	open func() *secret
}

func seal(s *secret) Secret { return Secret{func() *secret { return s }} }

type secret struct {
	parts []part
	at    string // dotted path of the field, for errors
}

type part struct {
	source   source
	text     string  // literal text, variable name or path
	fallback *string // for a variable that is not set
}

type source uint8

const (
	literal source = iota
	fromEnv
	fromFile
	fromKeyring
	fromAge
)

// prefixes begin references.
var prefixes = map[source]string{fromEnv: "env:", fromFile: "file:", fromKeyring: "keyring:", fromAge: "age:"}

// references says in errors how a reference is written.
const references = "env:NAME, file:PATH, keyring:NAME or age:PATH"

// otherwise ends errors about what only begins like a reference.
const otherwise = "; a value that really begins so is put in a variable (env:NAME) or a file (file:PATH)"

// NewSecret makes a Secret of a value at hand.
func NewSecret(value string) Secret {
	return seal(&secret{parts: []part{{text: value}}})
}

// kept reports whether any of the value comes from a place that is made for secrets.
func (s Secret) kept() bool {
	return slices.ContainsFunc(s.parts(), func(p part) bool { return p.source != literal && p.source != fromEnv })
}

// maxSecretBytes bounds a file that holds a secret; keys and tokens are far
// smaller.
const maxSecretBytes = 64 << 10

// Resolve reads the value. An error names the field and the variable or file,
// never the value.
func (s Secret) Resolve() (string, error) {
	var out strings.Builder
	for _, p := range s.parts() {
		value, err := p.resolve()
		if err != nil && s.at() != "" {
			return "", fmt.Errorf("%s: %w", s.at(), err)
		}
		if err != nil {
			return "", err
		}
		out.WriteString(value)
	}
	return out.String(), nil
}

func (p part) resolve() (string, error) {
	switch p.source {
	case fromEnv:
		value := os.Getenv(p.text)
		if value != "" {
			return value, nil
		}
		if p.fallback != nil {
			return *p.fallback, nil
		}
		return "", fmt.Errorf("environment variable %s is not set, or empty", p.text)
	case fromFile:
		raw, err := readRegular(p.text, maxSecretBytes)
		if err != nil {
			return "", fmt.Errorf("reading a secret: %w", err)
		}
		value := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
		if value == "" {
			return "", fmt.Errorf("reading a secret: %s is empty", p.text)
		}
		return value, nil
	case fromKeyring:
		value, err := secretstore.Keyring{}.Get(p.text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p, err)
		}
		return value, nil
	case fromAge:
		value, err := p.decrypt()
		if err != nil {
			return "", fmt.Errorf("%s: %w", p, err)
		}
		return value, nil
	}
	return p.text, nil
}

func (p part) decrypt() (string, error) {
	identity, err := secretstore.IdentityFile()
	if err != nil {
		return "", err
	}
	value, err := secretstore.Decrypt(p.text, identity)
	value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	if err == nil && value == "" {
		err = errors.New("it is empty")
	}
	return value, err
}

func (s Secret) parts() []part {
	if s.open == nil {
		return nil
	}
	return s.open().parts
}

func (s Secret) at() string {
	if s.open == nil {
		return ""
	}
	return s.open().at
}

// plain reports whether the value stands in the file.
func (s Secret) plain() bool {
	return !slices.ContainsFunc(s.parts(), func(p part) bool { return p.source != literal })
}

// Equal reports whether two secrets are written the same. It does not resolve.
func (s Secret) Equal(other Secret) bool {
	return slices.EqualFunc(s.parts(), other.parts(), func(a, b part) bool {
		return a.source == b.source && a.text == b.text && (a.fallback == nil) == (b.fallback == nil) &&
			(a.fallback == nil || *a.fallback == *b.fallback)
	})
}

const redacted = "[redacted]"

// String shows references and redacts everything else.
func (s Secret) String() string {
	parts := s.parts()
	switch len(parts) {
	case 0:
		return redacted
	case 1:
		return parts[0].String()
	}
	var out strings.Builder
	for _, p := range parts {
		if p.source == literal {
			out.WriteString(redacted)
			continue
		}
		out.WriteString("${" + p.String() + "}")
	}
	return out.String()
}

func (p part) String() string {
	if p.source == literal {
		return redacted
	}
	return prefixes[p.source] + p.text
}

// Format writes String for every verb.
func (s Secret) Format(state fmt.State, _ rune) { io.WriteString(state, s.String()) }

// GoString writes String.
func (s Secret) GoString() string { return s.String() }

// LogValue writes String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText writes String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON writes String as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalYAML writes String.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// ParseReference reads a value as gatehouse.yaml writes it: a reference, or text in which
// references between ${ and } are replaced and $${ means ${. Paths begin at dir; at names
// the value in errors.
func ParseReference(value, at, dir string) (Secret, error) {
	if p, ok, err := parsePart(value, dir); ok || err != nil {
		return seal(&secret{[]part{p}, at}), err
	}
	s := &secret{at: at}
	for value != "" {
		start := strings.Index(value, "${")
		if start < 0 {
			break
		}
		if start > 0 && value[start-1] == '$' {
			s.literal(value[:start-1] + "${")
			value = value[start+2:]
			continue
		}
		s.literal(value[:start])
		end := strings.IndexByte(value[start:], '}')
		if end < 0 {
			return Secret{}, errors.New("a ${ without }; write $${ for the two characters themselves")
		}
		p, ok, err := parsePart(value[start+2:start+end], dir)
		if err != nil {
			return Secret{}, err
		}
		if !ok {
			return Secret{}, errors.New("expected ${env:NAME}, ${file:PATH}, ${keyring:NAME} or ${age:PATH}; write $${ for the two characters themselves")
		}
		s.parts = append(s.parts, p)
		value = value[start+end+1:]
	}
	s.literal(value)
	if len(s.parts) == 0 {
		s.parts = []part{{}}
	}
	return seal(s), nil
}

// literal appends text, to the last part if that is text too.
func (s *secret) literal(value string) {
	if value == "" {
		return
	}
	if last := len(s.parts) - 1; last >= 0 && s.parts[last].source == literal {
		s.parts[last].text += value
		return
	}
	s.parts = append(s.parts, part{text: value})
}

// parsePart reads a reference. ok is false for anything else.
func parsePart(value, dir string) (p part, ok bool, err error) {
	for from, prefix := range prefixes {
		rest, found := strings.CutPrefix(value, prefix)
		if !found {
			continue
		}
		switch from {
		case fromEnv:
			if checkEnvName(rest) != "" {
				return p, false, errors.New("env: must be followed by the name of an environment variable" + otherwise)
			}
		case fromKeyring:
			if err := secretstore.CheckName(rest); err != nil {
				return p, false, fmt.Errorf("keyring: %w%s", err, otherwise)
			}
		default:
			if rest == "" || strings.ContainsAny(rest, "\x00\n") {
				return p, false, fmt.Errorf("%s must be followed by a path%s", prefix, otherwise)
			}
			rest, err = resolvePath(dir, rest)
		}
		return part{source: from, text: rest}, err == nil, err
	}
	return p, false, nil
}

// warnAboutSecret tells of references that will not work and of files that
// others can read.
func (r *reader) warnAboutSecret(at position, field string, s Secret) {
	for _, p := range s.parts() {
		switch p.source {
		case fromEnv:
			if _, err := p.resolve(); err != nil {
				r.warn(at, field, "%v; the server will not start without it", err)
			}
		case fromKeyring: // is asked when the server starts: a locked keyring asks a person
		case fromFile, fromAge:
			info, err := os.Stat(p.text)
			if err != nil {
				r.warn(at, field, "%v; the server will not start without it", err)
			} else if p.source == fromFile && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
				r.warn(at, field, "%s has mode %04o and can be used by others; run chmod 600 on it", p.text, info.Mode().Perm())
			}
		}
	}
}

// warnAboutFile tells when others may change what the gateway runs, or read the
// secrets that stand in the file.
func (r *reader) warnAboutFile(c *Config) {
	info, err := os.Stat(c.Path)
	if err != nil || runtime.GOOS == "windows" {
		return
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		r.warn(position{}, c.Path, "has mode %04o: others can change what Gatehouse starts; run chmod go-w on it", mode)
	}
}
