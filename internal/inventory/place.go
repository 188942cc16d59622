package inventory

import (
	"net/netip"
	"path"
	"regexp"
	"strings"
)

var (
	homeName = regexp.MustCompile(`(?i)^(?:\$home|\$\{home\}|\$\{env:home\}|\$\{userhome\}|%userprofile%|\$env:userprofile|\$\{env:userprofile\}|%homedrive%%homepath%|/root|/home/[^/]+|/users/[^/]+|[a-z]:/users/[^/]+|/mnt/[a-z]/users/[^/]+)(/|$)`)
	shared   = regexp.MustCompile(`(?i)^(?:/users/shared|[a-z]:/users/public)(/|$)`)
	slashes  = regexp.MustCompile(`/{2,}`)
)

// Place writes a path in one way whatever the system: slashes, ~ for the home of whoever
// it is, no slash at the end, / for the root of a disk, no .. behind a root. Letters keep
// their case.
func Place(name, home string) string {
	home = strings.TrimSuffix(clean(home), "/") // that of a container may be the root
	p := fromHome(clean(name), home)
	if strings.HasPrefix(p, "~/") && strings.Contains(p, "/..") && home != "" {
		p = fromHome(clean(home+p[1:]), home)
	}
	if bareDrive.MatchString(p) {
		return "/"
	}
	return p
}

// clean makes slashes of what separates, and leaves out what leads nowhere.
func clean(p string) string {
	p = strings.TrimPrefix(strings.ReplaceAll(p, `\`, "/"), "file:")
	disk := ""
	if m := drive.FindStringSubmatch(p); m != nil {
		disk, p = m[1], p[len(m[0]):]
	}
	if strings.HasPrefix(p, "/") {
		if p = path.Clean(p); p == "/" && disk != "" {
			p = ""
		}
		return disk + p
	}
	p = slashes.ReplaceAllString(p, "/")
	for strings.Contains(p, "/./") {
		p = strings.ReplaceAll(p, "/./", "/")
	}
	return disk + strings.TrimRight(strings.TrimSuffix(p, "/."), "/")
}

// fromHome writes ~ for a home.
func fromHome(p, home string) string {
	switch at := homeName.FindStringIndex(p); {
	case home != "" && (p == home || strings.HasPrefix(p, home+"/")):
		return "~" + p[len(home):]
	case at != nil && !shared.MatchString(p):
		return strings.TrimSuffix("~/"+p[at[1]:], "/")
	}
	return p
}

// drive is the letter of a disk, behind a slash where it stands in an address.
var drive = regexp.MustCompile(`^(?:/+)?([A-Za-z]:)`)

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
