package databeacon

import (
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// maxAddress bounds an address, in bytes: browsers send up to about this much.
	maxAddress = 2048
	// maxBlank bounds a place to fill in, in bytes.
	maxBlank = 80
	// maxBefore is how far before an address its markup is looked for, in bytes.
	maxBefore = 300
)

// use is what becomes of an address.
type use int

const (
	named  use = iota // it stands there
	linked            // somebody may click it
	loaded            // a client that shows the text loads it
)

// address is one in a text.
type address struct {
	start, end int    // in the text
	host       string // lower case, without port and user
	rest       string // from the slash, question mark or number sign on
	blanks     []blank
}

// blank is a place in an address where something is to be filled in.
type blank struct {
	name  string // lower case
	query bool   // it stands behind the question mark or the number sign
}

// parse reads the address of which the scheme, or the two slashes, end at a place.
func parse(text string, start, end int) address {
	if i := strings.LastIndex(text[start:end], "//"); i > 0 && text[start] != 'h' && text[start] != 'H' {
		start += i
	}
	a := address{start: start}
	i := end
	limit := min(len(text), start+maxAddress)
	query := false
	for i < limit {
		c := text[i]
		if closer := closes[c]; closer != 0 {
			if size := blankSize(text[i:limit], c, closer); size > 0 {
				a.add(text[i:i+size], query)
				i += size
				continue
			}
		}
		if strings.IndexByte(" \t\r\n\"'<>)`|\\]}", c) >= 0 {
			break
		}
		query = query || c == '?' || c == '#'
		i++
	}
	for i < limit && !utf8.RuneStart(text[i]) {
		i--
	}
	a.end = i
	body := strings.TrimRight(text[end:i], ".,;:!")
	a.end = end + len(body)
	cut := strings.IndexAny(body, "/?#")
	if cut < 0 {
		cut = len(body)
	}
	host := strings.ToLower(body[:cut])
	a.rest = body[cut:]
	host = host[strings.LastIndexByte(host, '@')+1:]
	host, _, _ = strings.Cut(host, ":")
	a.host = strings.TrimSuffix(host, ".")
	a.words()
	return a
}

var closes = [256]byte{'{': '}', '[': ']', '<': '>', '(': ')'}

// blankSize is the length of a place to fill in, with its brackets; 0 if none begins
// here.
func blankSize(text string, opener, closer byte) int {
	depth := 0
	for i := 0; i < min(len(text), maxBlank); i++ {
		switch text[i] {
		case opener:
			depth++
		case closer:
			if depth--; depth == 0 {
				return i + 1
			}
		case '\n', '"', '/':
			return 0
		}
	}
	return 0
}

func (a *address) add(name string, query bool) {
	a.blanks = append(a.blanks, blank{strings.ToLower(strings.Trim(name, "{}[]<>()$% ")), query})
}

// braced is a name in braces, and nothing else.
var braced = regexp.MustCompile(`^\{{1,2}[\w .-]{2,60}\}{1,2}$`)

// words are the places to fill in that stand without brackets: a value in capitals, or
// none at the very end.
func (a *address) words() {
	_, query, found := strings.Cut(a.rest, "?")
	if !found {
		return
	}
	query, _, _ = strings.Cut(query, "#")
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case strings.Contains(value, "%7"):
			if plain, err := url.QueryUnescape(value); err == nil && braced.MatchString(plain) {
				a.add(plain, true)
			}
		case value == "" && strings.HasSuffix(a.rest, "="):
			a.blanks = append(a.blanks, blank{strings.ToLower(name), true})
		case len(value) >= 4 && value == strings.ToUpper(value) && strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-+") == "":
			a.blanks = append(a.blanks, blank{strings.ToLower(value), true})
		}
	}
}

// loads are the elements, and the attributes, whose address a browser loads by itself
// or sends a form to.
var loads = []string{"<img", "<image", "<iframe", "<frame", "<script", "<link", "<object", "<embed", "<video", "<audio", "<source", "<track", "<form", "<input", "<button", "<body", "<meta", "<picture", "<svg", "<use"}

// use looks at what stands before an address.
func (a *address) use(text string) use {
	before := strings.ToLower(text[max(0, a.start-maxBefore):a.start])
	trimmed := strings.TrimRight(before, " \"'<")
	if strings.HasSuffix(trimmed, "url(") {
		return loaded
	}
	if strings.HasSuffix(trimmed, "](") {
		label := trimmed[:len(trimmed)-2]
		if open := strings.LastIndexByte(label, '['); open > 0 && label[open-1] == '!' {
			return loaded
		}
		return linked
	}
	tag := strings.LastIndexByte(before, '<')
	if tag < 0 || strings.IndexByte(before[tag:], '>') >= 0 {
		return named
	}
	for _, name := range loads {
		if strings.HasPrefix(before[tag:], name) {
			return loaded
		}
	}
	if strings.HasPrefix(before[tag:], "<a ") || strings.HasPrefix(before[tag:], "<area ") {
		return linked
	}
	return named
}
