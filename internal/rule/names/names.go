// Package names compares names the way a reader does who looks at them briefly. Rules
// about names share it.
package names

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/rule"
)

// Skeleton is what is left of a name without case, separators and disguise.
func Skeleton(name string) string {
	folded := string(rule.Fold(name).Text)
	return disguise.Replace(folded)
}

var disguise = strings.NewReplacer("_", "", "-", "", ".", "", " ", "", "\n", "", "0", "o", "1", "l")

// OneEdit says whether one insertion, deletion or replacement leads from a to b.
func OneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i < len(a) && a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}

// Exchanged says whether two neighbouring letters lead from one word to the other.
func Exchanged(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i+1 < len(a); i++ {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

// MixesScripts says whether a name has ASCII letters together with Cyrillic or
// Greek ones, or characters that nobody sees.
func MixesScripts(name string) bool {
	ascii, foreign := false, false
	for _, r := range name {
		switch {
		case r < utf8.RuneSelf:
			ascii = ascii || unicode.IsLetter(r)
		case unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Cherokee, unicode.Armenian) || rule.Invisible(r):
			foreign = true
		}
	}
	return ascii && foreign
}
