package toxiccombination

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gatehouse/internal/check"
)

// ability is one part of what it takes to carry data out.
type ability string

const (
	untrusted ability = "read what strangers write"
	private   ability = "read private data"
	outward   ability = "send something out"
)

// packages are servers whose abilities are known from their names.
var packages = []struct {
	form *regexp.Regexp
	can  []ability
}{
	{regexp.MustCompile(`(^|/)(mcp-server-fetch|server-fetch|fetch-mcp|mcp-fetch-server|firecrawl-mcp|server-puppeteer|mcp-server-puppeteer)$`), []ability{untrusted, outward}},
	{regexp.MustCompile(`^@(playwright/mcp|browsermcp/mcp|executeautomation/playwright-mcp-server)$|^(chrome-devtools-mcp|browser-use-mcp)$`), []ability{untrusted, outward}},
	{regexp.MustCompile(`brave-search|tavily-mcp|exa-mcp|duckduckgo`), []ability{untrusted, outward}},
	{regexp.MustCompile(`(^|/)(server-filesystem|mcp-server-filesystem|filesystem-mcp-server)$`), []ability{private}},
	{regexp.MustCompile(`(^|/)(server-postgres|postgres-mcp|server-sqlite|mcp-server-sqlite|mongodb-mcp-server|mcp-server-mysql)$`), []ability{private}},
	{regexp.MustCompile(`(^|/)(server-github|github-mcp-server|server-gitlab|gitlab-mcp)$`), []ability{untrusted, private, outward}},
	{regexp.MustCompile(`(^|/)(server-slack|slack-mcp-server|notion-mcp-server|mcp-atlassian)$`), []ability{untrusted, private, outward}},
	{regexp.MustCompile(`gmail|(^|/)(postmark-mcp|mailtrap-mcp)$`), []ability{untrusted, private, outward}},
}

func ofPackage(name string) []ability {
	for _, p := range packages {
		if p.form.MatchString(name) {
			return p.can
		}
	}
	return nil
}

// Words in names of tools.
var (
	reads = words("get read fetch list search find query show view browse scrape crawl navigate open extract download inspect dump select export load")
	sends = words("send post publish upload share tweet email reply notify push submit forward invite deliver")
	makes = words("create add update write put open merge")
	// strangers write these.
	outside = words("web url urls page pages website site http internet html issue issues comment comments discussion email emails mail mails inbox message messages thread threads tweet tweets feed rss review reviews ticket tickets news browser article articles")
	// these are somebody's own.
	own = words("file files directory directories folder folders database databases table tables sql record records row rows email emails mail mails inbox message messages document documents note notes calendar event events contact contacts repository repositories repo repos code secret secrets env credential credentials customer customers user users log logs drive screenshot clipboard memory graph")
	// what is made in these places is seen by others.
	shared = words("issue issues pr pull gist comment comments page pages ticket tickets message messages webhook email mail repository release post branch tweet")
)

func words(list string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(list) {
		out[w] = true
	}
	return out
}

// ofTool judges a tool by the words of its name. What a server says about its own tools
// (annotations) can only rule out: a tool that says it only reads may still send by what
// it asks for.
func ofTool(t check.Tool) []ability {
	name := split(t.Name)
	has := func(set map[string]bool) bool {
		return slices.ContainsFunc(name, func(w string) bool { return set[w] })
	}
	var out []ability
	read := has(reads)
	if read && has(outside) || len(name) == 1 && (name[0] == "fetch" || name[0] == "browse" || name[0] == "scrape") {
		out = append(out, untrusted)
	}
	if read && has(own) {
		out = append(out, private)
	}
	readOnly := t.ReadOnly != nil && *t.ReadOnly
	closed := t.OpenWorld != nil && !*t.OpenWorld
	switch {
	case closed: // it says that it reaches nobody
	case hasURL(t): // an address carries data, whatever comes back
		out = append(out, outward)
	case !readOnly && (has(sends) || has(makes) && has(shared)):
		out = append(out, outward)
	}
	return out
}

var urlArgument = regexp.MustCompile(`"(url|uri|href|webhook|endpoint|webhook_url|callback_url)"\s*:\s*\{`)

// hasURL reports whether a tool asks for an address.
func hasURL(t check.Tool) bool { return urlArgument.Match(t.Definition) }

// split takes a name apart: read_file, readFile and read-file are two words.
func split(name string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out, word = append(out, strings.ToLower(string(word))), nil
		}
	}
	lower := false
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			flush()
			lower = false
			continue
		case unicode.IsUpper(r) && lower:
			flush()
		}
		word, lower = append(word, r), unicode.IsLower(r)
	}
	flush()
	return out
}
