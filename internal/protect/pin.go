package protect

import (
	"slices"
	"strings"

	"gatehouse/internal/inventory"
)

// pin fixes the version of what is fetched at each start, if it is known which one.
func (s *Server) pin(words []string, o Options) []string {
	if s.source.Pinned() {
		return words
	}
	version, from := o.Pins[s.source.Package], "--pin"
	if version == "" && o.Version != nil {
		version, from = o.Version(s.entry, s.source)
	}
	if version == "" {
		s.note("its version is not fixed: which one is installed here cannot be told; give --pin %s=VERSION", s.source.Package)
		return words
	}
	pinned := slices.Clone(words)
	for i, word := range words {
		fixed, ok := withVersion(s.source, word, version)
		if !ok {
			continue
		}
		pinned[i] = fixed
		// Somebody else's file may say the version: what is no version is not written.
		if now := inventory.Of(entryOf(pinned)); now.Pinned() && now.Version == version {
			s.Pinned = &Pinned{Package: s.source.Package, Version: version, From: from}
			return pinned
		}
		pinned[i] = word
	}
	s.note("its version is not fixed: no word of the command names the package so that %s could stand behind it", version)
	return words
}

// withVersion is a word of a command with the version of its package, if it names the
// package.
func withVersion(s inventory.Source, word, version string) (fixed string, ok bool) {
	option, name, found := strings.Cut(word, "=")
	if !found || !strings.HasPrefix(word, "--") {
		option, name = "", word
	} else {
		option += "="
	}
	switch s.Kind {
	case inventory.NPM:
		bare := strings.TrimPrefix(name, "npm:")
		if at := strings.LastIndexByte(bare, '@'); at > 0 {
			bare = bare[:at]
		}
		if bare != s.Package {
			return "", false
		}
		if strings.HasPrefix(name, "npm:") {
			option += "npm:"
		}
		return option + bare + "@" + version, true
	case inventory.PyPI:
		return pinPython(s, option, name, version)
	case inventory.Go:
		if bare, _, _ := strings.Cut(name, "@"); bare == s.Package {
			return option + bare + "@" + version, true
		}
	case inventory.OCI:
		bare, _, _ := strings.Cut(name, "@")
		tagged := strings.LastIndexByte(bare, ':')
		if tagged > strings.LastIndexByte(bare, '/') {
			bare = bare[:tagged]
		}
		if bare == s.Package && strings.HasPrefix(version, "sha256:") {
			return bare + "@" + version, true
		}
	}
	return "", false
}

// pinPython: uvx wants name@version where it is the command, and name==version behind
// --from; pipx takes the latter everywhere.
func pinPython(s inventory.Source, option, name, version string) (string, bool) {
	bare := name
	if i := strings.IndexAny(bare, "=<>!~@ "); i > 0 {
		bare = bare[:i]
	}
	plain, _, extras := strings.Cut(bare, "[")
	if normalized(plain) != s.Package {
		return "", false
	}
	if option == "" && strings.HasPrefix(s.Launcher, "uv") && !extras && !slices.Contains(s.Options, "--from") {
		return bare + "@" + version, true
	}
	return option + bare + "==" + version, true
}

// normalized is a name as PEP 503 compares them.
func normalized(name string) string {
	name = strings.ToLower(name)
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' }), "-")
}
