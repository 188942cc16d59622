package inventory

import (
	"net/netip"
	"regexp"
	"strings"
)

var (
	homeName = regexp.MustCompile(`(?i)^(?:\$home|\$\{home\}|\$\{env:home\}|\$\{userhome\}|%userprofile%|\$env:userprofile|\$\{env:userprofile\}|%homedrive%%homepath%|/root|/home/[^/]+|/users/[^/]+|[a-z]:/users/[^/]+|/mnt/[a-z]/users/[^/]+)(/|$)`)
	shared   = regexp.MustCompile(`(?i)^(?:/users/shared|[a-z]:/users/public)(/|$)`)
	slashes  = regexp.MustCompile(`/{2,}`)
)

// Place writes a path in one way whatever the system: slashes, ~ for the home of whoever
// it is, no slash at the end, / for the root of a disk. Letters keep their case.
func Place(path, home string) string {
	p := slashes.ReplaceAllString(strings.ReplaceAll(path, `\`, "/"), "/")
	p = strings.TrimPrefix(p, "file:/")
	for strings.Contains(p, "/./") {
		p = strings.ReplaceAll(p, "/./", "/")
	}
	home = strings.TrimRight(strings.ReplaceAll(home, `\`, "/"), "/")
	switch at := homeName.FindStringIndex(p); {
	case home != "" && (p == home || strings.HasPrefix(p, home+"/")):
		p = "~" + p[len(home):]
	case at != nil && !shared.MatchString(p):
		p = "~/" + p[at[1]:]
	}
	trimmed := strings.TrimRight(strings.TrimSuffix(p, "/."), "/")
	if trimmed == "" && strings.HasPrefix(p, "/") || bareDrive.MatchString(trimmed) {
		return "/"
	}
	return trimmed
}

var bareDrive = regexp.MustCompile(`^(?:[A-Za-z]:|/mnt/[a-z])$`)

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.Unmap().IsLoopback()
}

// Near reports whether a host is one of a network that not everybody reaches, by its
// name or its address.
func Near(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsPrivate() || address.Unmap().IsLinkLocalUnicast()
	}
	if !strings.Contains(host, ".") {
		return true
	}
	for _, ending := range []string{".local", ".internal", ".lan", ".home", ".corp", ".intranet", ".home.arpa"} {
		if strings.HasSuffix(host, ending) {
			return true
		}
	}
	return false
}
