package rule

import (
	"cmp"
	"slices"
	"strings"
)

// Hiding is how markup keeps text from the eyes of people.
type Hiding uint8

const (
	Comment         Hiding = iota + 1 // of HTML
	Unshown                           // an element of HTML that is not shown
	Inert                             // an element that is no part of the page: a template, a script
	Attribute                         // an attribute of HTML whose text is shown late or never
	MarkdownComment                   // a reference that nothing refers to
	LinkTitle                         // the title of a link in Markdown
	AltText                           // the text for a picture in Markdown
)

func (h Hiding) String() string {
	return [...]string{"", "an HTML comment", "an HTML element that is not shown", "an HTML element that is no part of the page", "an attribute of an HTML element",
		"a Markdown comment", "the title of a Markdown link", "the text for a picture in Markdown"}[h]
}

// HiddenPart is text[Start:End] that markup hides, with the markup that does.
type HiddenPart struct {
	Start, End int
	How        Hiding
}

// Hidden says whether a part of text[start:end] is hidden by markup: from people, not
// from a model. What is hidden around something encoded hides it as well.
func (s *Subject) Hidden(start, end int) bool {
	for r := s.known(); ; r = r.above.outer {
		hidden := r.hiding()
		n, _ := slices.BinarySearchFunc(hidden, end, func(h HiddenPart, at int) int { return h.Start - at })
		// Parts can lie in each other, and few lie in many.
		if n--; n >= 0 && hidden[n].Start >= start {
			return true
		}
		if n >= 0 && r.covered[n] > start {
			return true
		}
		if r.above == nil {
			return false
		}
		start, end = r.above.view.Span(start, max(end, start+1))
	}
}

// HiddenParts are the parts of the text that markup hides, in order of their starts.
// They can lie in each other.
func (s *Subject) HiddenParts() []HiddenPart { return s.known().hiding() }

func (r *reading) hiding() []HiddenPart {
	if !r.isHiding {
		r.isHiding = true
		m := markup{text: r.text, hidden: r.hidden[:0]}
		m.html()
		m.markdown()
		slices.SortStableFunc(m.hidden, func(a, b HiddenPart) int { return cmp.Or(a.Start-b.Start, b.End-a.End) })
		r.hidden, r.covered = m.hidden, r.covered[:0]
		furthest := 0
		for _, h := range r.hidden {
			furthest = max(furthest, h.End)
			r.covered = append(r.covered, furthest)
		}
	}
	return r.hidden
}

// markup reads HTML and Markdown as far as they hide text. It reads no byte twice.
type markup struct {
	text   string
	hidden []HiddenPart
	// The element that hides what is read: its name, how many of that name are open in
	// it, and where it begins.
	name  string
	open  int
	start int
	how   Hiding
	quote [2]int // where the next " and ' stand, or before where there is none
}

func (m *markup) add(start, end int, how Hiding) {
	m.hidden = append(m.hidden, HiddenPart{start, end, how})
}

func (m *markup) html() {
	for i := strings.IndexByte(m.text, '<'); i >= 0; {
		next := m.element(i)
		n := strings.IndexByte(m.text[next:], '<')
		if n < 0 {
			break
		}
		i = next + n
	}
	if m.open > 0 {
		m.add(m.start, len(m.text), m.how)
	}
}

// element reads what begins with the sign at a place and returns where it ends.
func (m *markup) element(i int) int {
	text := m.text
	if strings.HasPrefix(text[i:], "<!--") {
		end := len(text)
		if n := strings.Index(text[i+4:], "-->"); n >= 0 {
			end = i + 4 + n + 3
		}
		m.add(i, end, Comment)
		return end
	}
	at := i + 1
	closing := at < len(text) && text[at] == '/'
	if closing {
		at++
	}
	from := at
	for at < len(text) && (letter(text[at]) || at > from && (digit(text[at]) || text[at] == '-')) {
		at++
	}
	if at == from {
		return i + 1
	}
	tag := tag{start: i, name: text[from:at]}
	end, complete := m.attributes(at, &tag)
	if complete {
		m.nest(&tag, closing, end)
	}
	return end
}

// tag is what is known of a tag.
type tag struct {
	start  int
	name   string
	unseen bool // an attribute says that its element is not shown
	empty  bool // it closes itself
}

// nest keeps account of which element hides what follows.
func (m *markup) nest(t *tag, closing bool, end int) {
	same := m.open > 0 && strings.EqualFold(t.name, m.name)
	switch {
	case same && closing:
		if m.open--; m.open == 0 {
			m.add(m.start, end, m.how)
		}
	case closing || t.empty || void[strings.ToLower(t.name)]:
		if t.unseen && !closing && m.open == 0 {
			m.add(t.start, end, Unshown)
		}
	case same:
		m.open++
	case m.open == 0 && (t.unseen || inert[strings.ToLower(t.name)]):
		m.name, m.open, m.start, m.how = t.name, 1, t.start, Inert
		if t.unseen {
			m.how = Unshown
		}
	}
}

// void are the elements without content.
var void = set("area base br col embed hr img input link meta source track wbr")

// inert are elements whose content is not shown as text.
var inert = set("template noscript script style noframes noembed")

// telling are the attributes that hold text.
var telling = set("alt title content value placeholder summary label abbr longdesc aria-label aria-description aria-roledescription")

func set(words string) map[string]bool {
	all := map[string]bool{}
	for _, word := range strings.Fields(words) {
		all[word] = true
	}
	return all
}

// attributes reads up to the end of a tag and says whether it has one.
func (m *markup) attributes(i int, t *tag) (end int, complete bool) {
	text := m.text
	for i < len(text) {
		switch c := text[i]; {
		case c == '>':
			return i + 1, true
		case c == '<':
			return i, false
		case c == '/':
			t.empty = strings.HasPrefix(text[i:], "/>")
			i++
		case asciiSpace(c) || c == '"' || c == '\'' || c == '=':
			i++
		default:
			i = m.attribute(i, t)
		}
	}
	return i, false
}

// attribute reads a name and its value.
func (m *markup) attribute(i int, t *tag) int {
	text, from := m.text, i
	for i < len(text) && !asciiSpace(text[i]) && strings.IndexByte("=<>/\"'", text[i]) < 0 {
		i++
	}
	name := strings.ToLower(text[from:min(i, from+maxAttribute)])
	at := i
	for at < len(text) && asciiSpace(text[at]) {
		at++
	}
	if at == len(text) || text[at] != '=' {
		t.unseen = t.unseen || name == "hidden"
		return i
	}
	for at++; at < len(text) && asciiSpace(text[at]); {
		at++
	}
	start, end := at, at
	if at < len(text) && (text[at] == '"' || text[at] == '\'') {
		if start++; m.closing(text[at], start) < 0 {
			return start
		}
		end = m.closing(text[at], start)
		at = end + 1
	} else {
		for end < len(text) && !asciiSpace(text[end]) && text[end] != '>' && text[end] != '<' {
			end++
		}
		at = end
	}
	t.unseen = t.unseen || unseen(t.name, name, text[start:end])
	if (telling[name] || strings.HasPrefix(name, "data-")) && end > start {
		m.add(start, end, Attribute)
	}
	return at
}

// maxAttribute bounds the name of an attribute, in bytes.
const maxAttribute = 40

// closing is where the next quotation mark stands, or -1. Each is looked for once.
func (m *markup) closing(mark byte, from int) int {
	next := &m.quote[boolIndex(mark == '"')]
	if *next >= 0 && *next < from {
		if *next = strings.IndexByte(m.text[from:], mark); *next >= 0 {
			*next += from
		}
	}
	return *next
}

func boolIndex(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unseen says whether an attribute makes its element disappear.
func unseen(element, name, value string) bool {
	switch name {
	case "hidden":
		return !strings.EqualFold(value, "false")
	case "aria-hidden":
		return strings.EqualFold(value, "true")
	case "color":
		return strings.EqualFold(element, "font") && noColour(strings.ToLower(value))
	case "size":
		return strings.EqualFold(element, "font") && value == "0"
	case "style":
		for declaration := range strings.SplitSeq(strings.ToLower(value), ";") {
			if property, is, found := strings.Cut(declaration, ":"); found && vanishes(strings.TrimSpace(property), strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(is), "!important"))) {
				return true
			}
		}
	}
	return false
}

// vanishes says whether a declaration of CSS makes an element disappear.
func vanishes(property, value string) bool {
	switch property {
	case "display":
		return value == "none"
	case "visibility":
		return value == "hidden" || value == "collapse"
	case "opacity", "font-size", "width", "height", "max-height", "max-width", "zoom":
		return zero(value)
	case "left", "top", "right", "bottom", "text-indent", "margin-left", "margin-top":
		return strings.HasPrefix(value, "-") && len(strings.TrimRight(value[1:], "abcdefghijklmnopqrstuvwxyz%")) >= 3
	case "color":
		return noColour(value)
	case "clip":
		return strings.HasPrefix(value, "rect(0") || strings.HasPrefix(value, "rect(1px")
	case "clip-path":
		return strings.HasPrefix(value, "inset(50%") || strings.HasPrefix(value, "inset(100%")
	case "transform":
		return value == "scale(0)"
	}
	return false
}

// zero says whether a length is nothing.
func zero(value string) bool {
	digits := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz%")
	return digits != "" && strings.Trim(digits, "0.") == ""
}

// noColour says whether a colour is that of the page, as most pages are white.
func noColour(value string) bool {
	switch value {
	case "white", "transparent", "#fff", "#ffffff", "#fffffe", "#fefefe":
		return true
	}
	value = strings.ReplaceAll(value, " ", "")
	return value == "rgb(255,255,255)" || strings.HasPrefix(value, "rgba(") && (strings.HasSuffix(value, ",0)") || strings.HasPrefix(value, "rgba(255,255,255,"))
}

func (m *markup) markdown() {
	m.each("](", m.link)
	m.each("![", m.picture)
	if strings.HasPrefix(m.text, "[") {
		m.reference(0)
	}
	m.each("\n[", func(i int) int { return m.reference(i + 1) })
}

// each calls read for each place of a mark that was not read before.
func (m *markup) each(mark string, read func(i int) int) {
	for i := strings.Index(m.text, mark); i >= 0; {
		next := max(read(i), i+1)
		n := strings.Index(m.text[next:], mark)
		if n < 0 {
			return
		}
		i = next + n
	}
}

// maxLink bounds the parts of a link in Markdown, in bytes.
const maxLink = 2000

// line is the rest of the line at a place, within bounds.
func (m *markup) line(i int) string {
	rest := m.text[i:min(len(m.text), i+maxLink)]
	if n := strings.IndexByte(rest, '\n'); n >= 0 {
		rest = rest[:n]
	}
	return rest
}

// link reads the title of a link, ](target "title"), and returns where the link ends.
func (m *markup) link(i int) int {
	target := i + 2
	rest := m.text[target:min(len(m.text), target+maxLink)]
	end := strings.IndexAny(rest, " )\n")
	if end < 0 || rest[end] != ' ' {
		return target
	}
	return m.title(target+end, ")")
}

// title reads a title in quotation marks, and what must stand behind it.
func (m *markup) title(i int, behind string) int {
	rest := m.line(i)
	from := len(rest) - len(strings.TrimLeft(rest, " "))
	if from == len(rest) || strings.IndexByte(`"'(`, rest[from]) < 0 {
		return i
	}
	mark := rest[from : from+1]
	if mark == "(" {
		mark = ")"
	}
	n := strings.Index(rest[from+1:], mark+behind)
	if n > 0 {
		m.add(i+from+1, i+from+1+n, LinkTitle)
	}
	return i + from + 1 + max(n, 0)
}

// picture reads the text for a picture, ![text](…).
func (m *markup) picture(i int) int {
	rest := m.line(i + 2)
	n := strings.Index(rest, "](")
	if n < 0 {
		return i + 2 + strings.LastIndexByte(rest, '[') + 1
	}
	if from := strings.LastIndex(rest[:n], "!["); from >= 0 {
		return i + 2 + from
	}
	if n > 0 {
		m.add(i+2, i+2+n, AltText)
	}
	return i + 2 + n
}

// reference reads a line that defines a reference, [name]: target "title". With a mark
// for a target it is a comment.
func (m *markup) reference(i int) int {
	line := m.line(i)
	name, rest, found := strings.Cut(line, "]:")
	if !found {
		return i + 1
	}
	target := strings.TrimLeft(rest, " ")
	if name == "[comment" || name == "[//" || strings.HasPrefix(target, "# ") || strings.HasPrefix(target, "<> ") {
		m.add(i, i+len(line), MarkdownComment)
		return i + len(line)
	}
	if space := strings.IndexByte(target, ' '); space > 0 {
		m.title(i+len(line)-len(target)+space, "")
	}
	return i + len(line)
}
