package inspect

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

const (
	// edge is how much of the beginning and of the end of a long string is joined with
	// its neighbours, in bytes: as far as one wording reaches.
	edge = 320
	// joinedMost is how much joined text is shown at once, in bytes.
	joinedMost = 8 << 10
)

// joined is the text of the strings of a message one after another, as a model reads
// them: a sentence can be spread over several.
type joined struct {
	active bool
	text   []byte
	parts  []part
	shown  int // how much of text has been shown before
	old    int // how many parts have been
	// block says that the last string was the text of a block, next that the one to be
	// added goes on with it.
	block, next bool
	followed    []followed // what acted in it
	known       []followed // what acted in another form of it
	pieces      bool       // the message is one of several
	// glued is the first string right behind the message before; nil if that says nothing
	// else. crossed says that something was found over the border as it is.
	glued   *joined
	crossed bool
}

// followed is what was found over parts of a joined text.
type followed struct {
	rule        string
	first, last int // indexes of strings
}

// Window is the end of what was said in the messages before, at most edge bytes. Each is
// for messages that belong together, such as those of one exchange.
type Window struct {
	mu   sync.Mutex // one message after another
	text []byte
}

// keep keeps the end of what a message said for the next.
func (w *Window) keep(j *joined) {
	if w == nil || len(j.text) == 0 {
		return
	}
	end := j.text[max(0, len(j.text)-edge):]
	for len(end) > 0 && !utf8.RuneStart(end[0]) {
		end = end[1:]
	}
	w.text = append(w.text[:0], end...)
}

// part is a string, or a piece of one, in a joined text.
type part struct {
	index int // in Document.Strings; earlier for the messages before
	start int // in the joined text
	from  int // in the string
	size  int
	// mended says that the string was changed before, so that the places in it are those of
	// what is left.
	mended bool
	// tight says that the string can go on with the word before: many put blocks of text
	// together as they come.
	tight bool
}

// earlier is the index of what stands in no string of the message.
const earlier = -1

func (j *joined) begin(i *Inspector, subject rule.Subject, window *Window) {
	j.empty()
	j.active, j.glued, j.crossed = i.joins && subject.Surface&rule.FromServer != 0, nil, false
	if j.pieces = window != nil; j.active && j.pieces && len(window.text) > 0 {
		j.add(earlier, 0, string(window.text), false)
		j.shown, j.old = len(j.text), 1
	}
}

func (j *joined) empty() {
	j.text, j.parts, j.shown, j.old, j.followed = j.text[:0], j.parts[:0], 0, 0, j.followed[:0]
	j.block, j.next = false, false
}

func (j *joined) end() {
	if cap(j.text) > 2*joinedMost {
		j.text = nil
	}
	clear(j.text[:cap(j.text)]) // nothing of a message is kept
	clear(j.followed[:cap(j.followed)])
	j.empty()
}

func (j *joined) add(index, from int, text string, mended bool) {
	if len(j.text) > 0 {
		j.text = append(j.text, ' ')
	}
	j.parts = append(j.parts, part{index: index, start: len(j.text), from: from, size: len(text), mended: mended, tight: j.next})
	j.next = false
	j.text = append(j.text, text...)
}

// isSaid says whether the string under a key is read as part of what is said. The names
// of kinds and of schemas are not: they would stand between every two strings, and the
// address of a schema would be the place to which the sentence before it sends something.
// Neither is the envelope of the message, without which it would be none. What looks like
// none of these is said under any key.
func (j *joined) isSaid(key, text string) bool {
	switch key {
	case "type", "jsonrpc", "resultType":
		return !isEnvelope(key, text)
	case "mimeType", "$schema", "$id", "$ref":
		return worded(text) || !strings.ContainsAny(text, "/#")
	case "method":
		return worded(text)
	case "blob":
		return worded(text) || len(text) < leastBinary
	case "data":
		return j.pieces || worded(text) || len(text) < leastBinary // it is what a log message says, else binary content
	case "progressToken", "level", "logger":
		return !j.pieces || worded(text)
	}
	return true
}

// isEnvelope says whether a text under a key is one that the protocol gives.
func isEnvelope(key, text string) bool {
	switch key {
	case "type":
		return kinds[text]
	case "jsonrpc":
		return text == "2.0"
	case "resultType":
		return text == wire.ResultComplete || text == wire.ResultInputRequired
	}
	return false
}

// kinds are those of content and of values in schemas.
var kinds = map[string]bool{
	"text": true, "image": true, "audio": true, "video": true, "resource": true, "resource_link": true, "tool_use": true, "tool_result": true,
	"string": true, "number": true, "integer": true, "boolean": true, "object": true, "array": true, "null": true,
}

// leastBinary is the length from which a word under the name of binary content is taken
// for such.
const leastBinary = 32

// worded says whether a text has more than one word.
func worded(text string) bool { return strings.IndexFunc(text, unicode.IsSpace) >= 0 }

// join enters a string.
func (i *Inspector) join(out *Outcome, doc *wire.Document, n int, subject rule.Subject, work *scratch) error {
	j := &work.joined
	if !j.active || subject.IsKey && !worded(subject.Text) || !subject.IsKey && !j.isSaid(subject.Key, subject.Text) {
		return nil
	}
	j.follows(subject)
	text, mended := subject.Text, work.clean != ""
	if len(j.parts) == 1 && j.parts[0].index == earlier {
		j.glue(n, text, mended)
	}
	if len(text) <= 2*edge {
		j.add(n, 0, text, mended)
		if len(j.text) < joinedMost {
			return nil
		}
		return i.showJoined(out, doc, subject, work)
	}
	j.add(n, 0, text[:boundary(text, edge)], mended)
	if err := i.showJoined(out, doc, subject, work); err != nil {
		return err
	}
	j.empty()
	from := boundary(text, len(text)-edge)
	j.add(n, from, text[from:], mended)
	return nil
}

// follows notes whether a string goes on with the block of text before it.
func (j *joined) follows(subject rule.Subject) {
	block := subject.Key == "text" && !subject.IsKey
	j.next = block && j.block && meet(unsafe.String(unsafe.SliceData(j.text), len(j.text)), subject.Text)
	j.block = block
}

// meet says whether one text ends, and the next one begins, inside of a word.
func meet(before, behind string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(behind)
	return unicode.IsLetter(last) && unicode.IsLetter(first)
}

// tight is the joined text with nothing between blocks that meet inside of a word, nil if
// none do.
func (j *joined) tight() *joined {
	if !slices.ContainsFunc(j.parts, func(p part) bool { return p.tight }) {
		return nil
	}
	t := &joined{known: j.followed}
	for n, p := range j.parts {
		if n > 0 && !p.tight {
			t.text = append(t.text, ' ')
		}
		text := j.text[p.start : p.start+p.size]
		p.start = len(t.text)
		t.text = append(t.text, text...)
		if t.parts = append(t.parts, p); n < j.old {
			t.shown = len(t.text)
		}
	}
	return t
}

// glue puts the first string of a message right behind the message before, for those
// who put pieces together as they come: the border may lie inside of a word.
func (j *joined) glue(n int, text string, mended bool) {
	if !meet(string(j.text), text) {
		return
	}
	head := text[:boundary(text, min(edge, len(text)))]
	j.glued = &joined{
		text:  slices.Concat(j.text, []byte(head)),
		parts: []part{{index: earlier, size: len(j.text)}, {index: n, start: len(j.text), size: len(head), mended: mended}},
		shown: len(j.text),
	}
}

// showGlued shows what glue put together, if the same was not found without it.
func (i *Inspector) showGlued(out *Outcome, doc *wire.Document, subject rule.Subject, work *scratch) error {
	if work.joined.glued == nil || work.joined.crossed {
		return nil
	}
	return i.detectJoined(out, doc, subject, work.joined.glued, work)
}

// boundary is the start of the rune at an offset.
func boundary(text string, at int) int {
	for at > 0 && at < len(text) && text[at]&0xc0 == 0x80 {
		at--
	}
	return at
}

// showJoined shows the joined text, follows what reaches over more than one string,
// and keeps the end of it for what comes.
func (i *Inspector) showJoined(out *Outcome, doc *wire.Document, subject rule.Subject, work *scratch) error {
	j := &work.joined
	if !j.active || len(j.parts) < 2 {
		return nil
	}
	if err := i.detectJoined(out, doc, subject, j, work); err != nil {
		return err
	}
	if tight := j.tight(); tight != nil {
		if err := i.detectJoined(out, doc, subject, tight, work); err != nil {
			return err
		}
	}
	keep := len(j.parts) - 1
	for keep > 0 && len(j.text)-j.parts[keep].start < edge {
		keep--
	}
	kept := j.parts[keep].start
	j.text = append(j.text[:0], j.text[kept:]...)
	j.parts = slices.Delete(j.parts, 0, keep)
	for n := range j.parts {
		j.parts[n].start -= kept
	}
	j.shown, j.old, j.followed = len(j.text), len(j.parts), j.followed[:0]
	return nil
}

func (i *Inspector) detectJoined(out *Outcome, doc *wire.Document, subject rule.Subject, j *joined, work *scratch) (err error) {
	subject.Text, subject.Key, subject.IsKey, subject.Joined = unsafe.String(unsafe.SliceData(j.text), len(j.text)), "", false, true
	if work.matches, err = i.readers[subject.Surface].Detect(subject, work.matches[:0]); err != nil {
		return err
	}
	secrets := secretsAmong(work.matches)
	for _, m := range rule.Combine(work.matches) {
		if m.Severity >= rule.High && m.Rule != SecretRule && m.End > j.shown {
			i.followJoined(out, doc, subject, j, m, secrets)
		}
	}
	return nil
}

// followJoined follows a match that reaches over several strings.
func (i *Inspector) followJoined(out *Outcome, doc *wire.Document, subject rule.Subject, j *joined, m rule.Found, secrets []rule.Found) {
	var touched []part
	for _, p := range j.parts {
		if start, end := max(m.Start, p.start), min(m.End, p.start+p.size); start < end {
			p.from, p.size = p.from+start-p.start, end-start
			touched = append(touched, p)
		}
	}
	if len(touched) < 2 {
		return // it was found where it stands
	}
	here := followed{m.Rule, touched[0].index, touched[len(touched)-1].index}
	if slices.ContainsFunc(j.known, func(f followed) bool { return f.rule == here.rule && f.first <= here.first && here.last <= f.last }) {
		return
	}
	for _, p := range touched {
		subject.IsKey = subject.IsKey || p.index != earlier && doc.Strings[p.index].IsKey // a name cannot be mended
	}
	effect := i.effect(subject, m)
	if acting(effect) && i.suppresses[m.Rule] && i.isSuppressed(m.Rule, subject.Server, Digest(subject.Text[m.Start:m.End])) {
		effect = Suppressed
	}
	if acting(effect) {
		j.followed = append(j.followed, here)
	}
	over := ", spread over several strings"
	if touched[0].index == earlier {
		touched, over = touched[1:], ", begun in the message before"
		j.crossed = true
	}
	first := doc.Strings[touched[0].index]
	if place := out.place(effect, m.Severity); place != nil {
		*place = finding.Finding{
			Rule: m.Rule, Severity: m.Severity, Confidence: m.Confidence, Decoded: strings.Clone(m.Decoded), Surface: subject.Surface.String(), Server: subject.Server,
			Name: subject.Name, Field: out.field(doc.Pointer(int(first.Start))), Detail: strings.Clone(m.Detail) + over,
			Excerpt: excerpt(subject.Text, m, secrets), Effect: effect,
		}
		if acting(effect) || effect == Suppressed {
			place.Digest = Digest(subject.Text[m.Start:m.End])
		}
	}
	switch effect {
	case Refused:
		if out.Refusal == nil {
			out.Refusal = &decision.Refusal{Reason: decision.RuleMatched, Rule: m.Rule, Detail: strings.Clone(m.Detail)}
		}
	case Redacted, Annotated, Cut:
		for n, p := range touched {
			s := doc.Strings[p.index]
			if p.mended { // what is joined is what was left of it
				out.edit(s, "")
				continue
			}
			text := strings.Clone(doc.Text(p.index))
			var change change
			spread := m
			spread.Start, spread.End = p.from, p.from+p.size
			if n > 0 {
				spread.Replacement = " " // one note is enough
			}
			change.add(effect, spread)
			out.edit(s, change.apply(text))
		}
	}
}
