// Package argumentpath recognises paths in arguments that lead out of where a tool
// works, or to what nobody should read.
package argumentpath

import (
	_ "embed"
	"strings"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:         "argument-path",
	Title:      "Path in an argument that leads where it must not",
	Severity:   rule.High,
	Confidence: reported,
	Surfaces:   rule.ToServer,
	Refs:       []string{"OWASP-MCP05:2025", "SAFE-T1105", "SAFE-T1502", "SAFE-T1606", "CWE-22", "CWE-158", "CWE-176", "CWE-40"},
	Doc:        doc,
	AsWritten:  true,
	Detect:     detect,
}

const (
	// certain is for what no honest caller writes.
	certain = 0.95
	// reported is for what a person may have asked for.
	reported = 0.6
	// doubtful is for what many people ask for.
	doubtful = 0.4

	// maxPath is the longest text that is taken for a path, in bytes: PATH_MAX of
	// Linux.
	maxPath = 4096
	// manyClimbs is how often a path may go up before it looks like a search for the
	// root. Neighbouring projects are two steps away.
	manyClimbs = 3
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	text := subject.Text
	if len(text) > maxPath || len(text) == 0 || subject.IsKey {
		return nil, nil
	}
	meaning := argument.Of(subject)
	if !isPath(text, meaning) {
		return nil, nil
	}
	confidence, detail := judge(text, meaning)
	if detail == "" {
		return nil, nil
	}
	return []rule.Match{{Start: 0, End: len(text), Confidence: confidence, Detail: detail, Action: rule.Refuse}}, nil
}

// isPath says whether a text can be a path: it is not meant to be read by people and
// has no words beside what a path can hold.
func isPath(text string, meaning argument.Meaning) bool {
	if meaning&(argument.Prose|argument.Search|argument.Command|argument.SQL) != 0 && meaning&argument.Path == 0 {
		return false
	}
	if strings.ContainsAny(text, "\n{}<>|") || strings.Count(text, " ") > strings.Count(text, "/")+strings.Count(text, `\`)+2 {
		return false
	}
	return meaning&argument.Path != 0 || strings.ContainsAny(text, `/\%~`) || strings.Contains(text, "..") || strings.IndexByte(text, 0) >= 0
}

// judge says what is wrong with a path, and how sure that is.
func judge(text string, meaning argument.Meaning) (float64, string) {
	path := text
	if scheme, after, found := strings.Cut(text, "://"); found {
		if path = after; scheme != "file" {
			path, _, _ = strings.Cut(after, "?")
		}
	}
	plain, encoded := decode(path)
	route := follow(plain)
	isURL := strings.Contains(text, "://") && !strings.HasPrefix(text, "file:")
	target, secret := aim(route.path)
	switch {
	case strings.IndexByte(plain, 0) >= 0 && (meaning&argument.Path != 0 || strings.ContainsAny(plain, `/\.`)):
		return certain, "a NUL character, at which programs in C end a path"
	case encoded && route.climbs > follow(path).climbs && !isURL:
		return certain, "steps to the folder above, written so that a filter does not see them"
	case encoded && route.climbs > follow(path).climbs:
		return reported, "steps to the folder above, written so that a filter does not see them"
	case route.tricks:
		return certain, "a step to the folder above that remains when a filter has removed one"
	case route.climbs > 0 && secret != "" && !isURL:
		return certain, "steps to the folder above, up to " + secret
	case route.aboveRoot && !isURL:
		return reported, "more steps up than there are folders"
	case route.climbs >= manyClimbs && !isURL:
		return reported, "many steps to the folder above"
	case isURL:
		return 0, ""
	case strings.HasSuffix(strings.ToLower(plain), "::$data"):
		return certain, "the name of an NTFS stream, which gets past tests of a file's extension"
	case secret != "":
		return target, "the path of " + secret
	}
	return share(text)
}

// share recognises names of Windows that lead out of the file system. A share makes
// the server show who it is to whoever runs it.
func share(text string) (float64, string) {
	switch path := strings.ReplaceAll(text, `\`, "/"); {
	case strings.HasPrefix(text, `\\?\`), strings.HasPrefix(text, `\\.\`):
		return reported, "a device path of Windows"
	case strings.HasPrefix(text, `\\`) && len(text) > 4 && text[2] != '\\':
		return reported, "the path of a share on another machine"
	case device(path[strings.LastIndexByte(path, '/')+1:]) && strings.Contains(path, "/"):
		return doubtful, "the name of a device of Windows"
	}
	return 0, ""
}

// device says whether a file name means a device on Windows, in every folder and with
// every extension.
func device(name string) bool {
	name, _, _ = strings.Cut(strings.ToUpper(name), ".")
	switch name {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	return len(name) == 4 && (strings.HasPrefix(name, "COM") || strings.HasPrefix(name, "LPT")) && name[3] >= '1' && name[3] <= '9'
}
