package argumentcommand

import (
	"strings"

	"gatehouse/internal/rule/argument"
)

// commands are those that attacks begin with.
const commands = `(?:id|whoami|uname|cat|ls|curl|wget|nc|ncat|netcat|bash|sh|zsh|rm|ping|sleep|nslookup|dig|python[23]?|perl|ruby|php|node|powershell|cmd|echo|touch|chmod|chown|kill|env|printenv|base64|eval|exec|ifconfig|ipconfig|hostname|tftp|scp|ssh|telnet|busybox|awk|xxd|tee|calc(?:\.exe)?|net user)`

var (
	// substitution is a command whose output takes its place.
	substitution = lazy("(?:\\$\\(|`|<\\() ?(?:sudo )?(?:/[\\w/]*/)?" + commands + "(?: [^`)]*)?[`)]")
	// chained is a command behind a separator, with something that commands have.
	chained = lazy(`(?:;|\|\|?|&&|\n|%0a|%0d|%3b|%7c) ?(?:sudo )?(?:/[\w/]*/)?` + commands + `(?:\.exe)?(?: +(?:-|/|\$|~|\.|https?:|>|["'|*]|\d+(?:\.\d+){3})|[;|#\x60&>]| *$)`)
	// separated is the same without.
	separated = lazy(`(?:;|\|\|?|&&|\n|%0a) ?(?:sudo )?(?:/[\w/]*/)?` + commands + `(?:[ ;|&]|$)`)
	// options are those with which programs run others; the value of an argument that
	// begins with one is no value.
	options = lazy(`^-{1,2}(?:upload-pack|receive-pack|exec|use-askpass|open-files-in-pager|to-command|use-compress-program|checkpoint-action|rsh)[= ]|^-o ?proxycommand|^ext::|^-c ?core\.|^--config[= ]core\.`)
	// shellshock is CVE-2014-6271.
	shellshock = lazy(`^\(\) ?\{[^}]{0,80}\} ?;`)
)

// breaksOut says how a value would become a command, and how sure that is.
func breaksOut(text string, meaning argument.Meaning) (float64, string) {
	text = argument.Narrow(text)
	if !strings.ContainsAny(text, ";|&`$(\n%-:") {
		return 0, ""
	}
	scheme, _, found := strings.Cut(text, "://")
	isAddress := meaning&argument.Address != 0 && found && !strings.ContainsAny(scheme, " ;|&`$(\n")
	command := simple(text)
	sure := certain
	if strings.Count(text, " ") > 12 || strings.Count(text, "\n") > 2 { // a text
		sure = reported
	}
	switch {
	case strings.Contains(command, "${jndi:"):
		return sure, "a lookup of Log4j, which loads code"
	case shellshock().MatchString(command):
		return sure, "a function of a shell, which old shells run"
	case options().MatchString(command):
		return certain, "an option that runs a program in the place of a value"
	case substitution().MatchString(command):
		return sure, "a command whose output would take its place"
	case !isAddress && chained().MatchString(command):
		return sure, "a second command behind a separator"
	case strings.Contains(strings.ToLower(text), "${ifs}"):
		return sure, "a space as only shells write it"
	case !isAddress && separated().MatchString(command):
		return reported, "what may be a second command behind a separator"
	}
	return 0, ""
}
