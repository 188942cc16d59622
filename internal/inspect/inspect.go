// Package inspect shows every string of a message to the rules and says what
// follows: a list of findings, the edits that take out what must not pass, or a
// refusal. It decides nothing by itself; the mode of each rule comes from the
// configuration.
package inspect

import (
	"encoding/base64"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/media"
	"gatehouse/internal/wire"
)

// maxFindings of one message are kept, the worst of them: admission judges by what
// is kept, so nothing harmless may push out what is not. Edits and refusals do not
// depend on it.
const maxFindings = 50

// Inspector holds the rules in force. It is immutable.
type Inspector struct {
	readers    map[rule.Surface]*rule.Reader
	policies   map[string]Policy // by rule
	suppressed []Suppression
	suppresses map[string]bool // rules that have a suppression
	joins      bool            // some rule reads more than secrets
	clean      *clean
	binary     *rule.Rule // BinaryRule; nil if it is not among the rules
	media      media.Limits
}

// New makes an Inspector. A rule without a policy is enforced.
func New(rules []rule.Rule, policies map[string]Policy, suppressed ...Suppression) *Inspector {
	i := &Inspector{readers: map[rule.Surface]*rule.Reader{}, policies: policies, suppressed: suppressed, suppresses: map[string]bool{}, clean: newClean()}
	for _, s := range suppressed {
		i.suppresses[s.Rule] = true
	}
	i.joins = slices.ContainsFunc(rules, func(r rule.Rule) bool { return r.ID != SecretRule })
	if n := slices.IndexFunc(rules, func(r rule.Rule) bool { return r.ID == BinaryRule }); n >= 0 {
		binary := rules[n]
		i.binary = &binary
	}
	search := rule.NewSearch(rules)
	made := map[string]*rule.Reader{} // by the IDs of their rules: most surfaces are read by the same
	for surface := rule.Surface(1); surface <= rule.Other; surface <<= 1 {
		var ids string
		var reading []rule.Rule
		for _, r := range rules {
			if r.Surfaces&surface != 0 {
				ids, reading = ids+" "+r.ID, append(reading, r)
			}
		}
		if made[ids] == nil && len(reading) > 0 {
			made[ids] = search.Reader(reading)
		}
		i.readers[surface] = made[ids]
	}
	return i
}

// Outcome is what the rules said about one message.
type Outcome struct {
	Findings []finding.Finding
	Edits    []wire.Edit       // to be applied to the inspected bytes
	Refusal  *decision.Refusal // nil if the message may pass

	secretNames []string    // member names that are secrets, as in a JSON Pointer
	removed     []wire.Edit // of binary content, which prevail over all others
}

// Message inspects every string inside region, which is part of doc, but for those
// inside an exception. The subject is a template: it says all but the text. A rule
// that fails refuses: "could not look" is never "found nothing".
func (i *Inspector) Message(doc *wire.Document, region wire.Value, subject rule.Subject, except ...wire.Value) (Outcome, error) {
	return i.message(nil, doc, region, subject, except)
}

// Piece is Message for one of several messages that belong together. What reaches over
// the border to the one before is followed in this one.
func (i *Inspector) Piece(window *Window, doc *wire.Document, region wire.Value, subject rule.Subject, except ...wire.Value) (Outcome, error) {
	window.mu.Lock()
	defer window.mu.Unlock()
	return i.message(window, doc, region, subject, except)
}

func (i *Inspector) message(window *Window, doc *wire.Document, region wire.Value, subject rule.Subject, except []wire.Value) (Outcome, error) {
	var out Outcome
	reader := i.readers[subject.Surface]
	if reader == nil || !region.Exists() {
		return out, nil
	}
	work := scratches.Get().(*scratch)
	defer work.end()
	start, end := region.Span()
	first := sort.Search(len(doc.Strings), func(n int) bool { return int(doc.Strings[n].Start) > start })
	keyIndex, key := int32(-1), ""
	subject.Media = i.media
	work.joined.begin(i, subject, window)
	for n := first; n < len(doc.Strings) && int(doc.Strings[n].Start) < end; n++ {
		s := doc.Strings[n]
		if after := inside(s, except); after > 0 { // a long list has many strings
			n += sort.Search(len(doc.Strings)-n, func(i int) bool { return int(doc.Strings[n+i].Start) >= after }) - 1
			continue
		}
		if s.Start == s.End {
			continue
		}
		if s.Key != keyIndex {
			keyIndex, key = s.Key, ""
			if s.Key >= 0 {
				key, _ = doc.View(int(s.Key), nil)
			}
		}
		subject.Key, subject.IsKey = key, s.IsKey
		subject.Text, work.text = doc.View(n, work.text)
		var err error
		if work.decoded, err = i.showBinary(&out, doc, n, subject, work); err != nil {
			return Outcome{}, err
		}
		if err := i.show(&out, doc, s, subject, nil, work); err != nil {
			return Outcome{}, err
		}
		if work.clean != "" {
			subject.Text = work.clean // what was found where it stands is gone already
		}
		if err := i.join(&out, doc, n, subject, work); err != nil {
			return Outcome{}, err
		}
	}
	if err := i.showJoined(&out, doc, subject, work); err != nil {
		return Outcome{}, err
	}
	if err := i.showGlued(&out, doc, subject, work); err != nil {
		return Outcome{}, err
	}
	window.keep(&work.joined)
	out.settle()
	return out, nil
}

// scratch is the memory for one message.
type scratch struct {
	text    []byte // of the string that is shown
	matches []rule.Found
	joined  joined
	clean   string // of the string that was shown, as it may pass; empty if nothing changes
	decoded bool   // what the string is in Base64 was shown by itself, and whole
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

const (
	// maxKept is how large a text, in bytes, may be for its memory to wait for the next
	// message.
	maxKept = 1 << 20
	// maxKeptMatches is the same for matches, of which most messages have none.
	maxKeptMatches = 64
)

func (w *scratch) end() {
	if cap(w.text) > maxKept {
		w.text = nil
	}
	if cap(w.matches) > maxKeptMatches {
		w.matches = nil
	}
	w.joined.end()
	clear(w.matches[:cap(w.matches)]) // nothing of a message is kept
	scratches.Put(w)
}

// show shows one form of a string to the rules. A nil encoding is the form as it
// stands.
func (i *Inspector) show(out *Outcome, doc *wire.Document, s wire.String, subject rule.Subject, encoding *base64.Encoding, work *scratch) (err error) {
	work.clean = ""
	isName := encoding == nil && i.clean.isName(&subject)
	if isName && i.clean.knows(&subject) {
		return nil
	}
	work.matches, err = i.readers[subject.Surface].Detect(subject, work.matches[:0])
	if err != nil {
		return err
	}
	if encoding == nil && work.decoded {
		// It would be taken out here in the form in which nothing else of it can stay.
		work.matches = slices.DeleteFunc(work.matches, func(m rule.Found) bool { return m.Decoded != "" })
	}
	if len(work.matches) == 0 {
		if isName {
			i.clean.learn(&subject)
		}
		return nil
	}
	change := i.follow(out, doc, s, subject, rule.Combine(work.matches))
	if change.none() {
		return nil
	}
	if work.clean = change.apply(subject.Text); encoding != nil {
		work.clean = encoding.EncodeToString([]byte(work.clean))
	}
	out.edit(s, work.clean)
	return nil
}

// edit puts a text in the place of a string.
func (out *Outcome) edit(s wire.String, text string) {
	out.Edits = append(out.Edits, wire.Edit{Start: int(s.Start) - 1, End: int(s.End) + 1, New: wire.AppendString(nil, text)})
}

// settle leaves one edit for each string, in order. Where several forms of one string
// hold something, mending one would bring back what was taken out of another, so
// nothing of the string stays.
func (out *Outcome) settle() {
	defer out.settleRemoved()
	if len(out.Edits) < 2 {
		return
	}
	slices.SortStableFunc(out.Edits, func(a, b wire.Edit) int { return a.Start - b.Start })
	kept := out.Edits[:1]
	for _, edit := range out.Edits[1:] {
		if last := &kept[len(kept)-1]; last.Start == edit.Start {
			last.New = []byte(`""`)
			continue
		}
		kept = append(kept, edit)
	}
	out.Edits = kept
}

// inside is the end of the region that the string is inside of, 0 if it is in
// none.
func inside(s wire.String, regions []wire.Value) int {
	for _, region := range regions {
		if start, end := region.Span(); start < int(s.Start) && int(s.End) < end {
			return end
		}
	}
	return 0
}

// Text inspects a text that stands in no message, such as an HTTP header, and
// returns it as it may pass. Edits of the Outcome are nil.
func (i *Inspector) Text(subject rule.Subject) (string, Outcome, error) {
	var out Outcome
	reader := i.readers[subject.Surface]
	if reader == nil {
		return subject.Text, out, nil
	}
	matches, err := reader.Detect(subject, nil)
	if err != nil {
		return "", out, err
	}
	doc := wire.Document{Raw: wire.AppendString(nil, subject.Text)}
	change := i.follow(&out, &doc, wire.String{Start: 1, End: int32(len(doc.Raw)) - 1, Key: -1}, subject, rule.Combine(matches))
	return change.apply(subject.Text), out, nil
}

// follow turns the matches in one string into findings or a refusal, and returns how
// the string is to be changed. What it keeps is no part of the string, whose memory
// is used again.
func (i *Inspector) follow(out *Outcome, doc *wire.Document, s wire.String, subject rule.Subject, matches []rule.Found) (change change) {
	secrets := secretsAmong(matches)
	if s.IsKey && len(secrets) > 0 {
		out.secretNames = append(out.secretNames, strings.Clone(escapePointer.Replace(subject.Text)))
	}
	var digest string
	for _, m := range matches {
		effect := i.effect(subject, m)
		if acting(effect) && digest == "" {
			digest = Digest(subject.Text)
		}
		if acting(effect) && i.suppresses[m.Rule] && i.isSuppressed(m.Rule, subject.Server, digest) {
			effect = Suppressed
		}
		switch effect {
		case Redacted, Annotated, Cut:
			change.add(effect, m)
		case Refused:
			if out.Refusal == nil {
				out.Refusal = &decision.Refusal{Reason: decision.RuleMatched, Rule: m.Rule, Detail: strings.Clone(m.Detail)}
			}
		}
		if place := out.place(effect, m.Severity); place != nil {
			*place = finding.Finding{
				Rule: m.Rule, Severity: m.Severity, Confidence: m.Confidence, Decoded: strings.Clone(m.Decoded), Surface: subject.Surface.String(), Server: subject.Server,
				Name: subject.Name, Field: out.field(doc.Pointer(int(s.Start))), Detail: strings.Clone(m.Detail),
				Excerpt: excerpt(subject.Text, m, secrets), Effect: effect,
			}
			if acting(effect) || effect == Suppressed {
				place.Digest = digest
			}
		}
	}
	return change
}

// place is where a finding of this effect and severity is kept: a new one, or that of
// the least if it is less; nil if there is none. What acts comes before what is only
// reported, so that no number of unsure findings hides a sure one.
func (out *Outcome) place(effect string, severity rule.Severity) *finding.Finding {
	if len(out.Findings) < maxFindings {
		out.Findings = append(out.Findings, finding.Finding{})
		return &out.Findings[len(out.Findings)-1]
	}
	least := &out.Findings[0]
	for i := range out.Findings {
		if rank(out.Findings[i].Effect, out.Findings[i].Severity) < rank(least.Effect, least.Severity) {
			least = &out.Findings[i]
		}
	}
	if rank(least.Effect, least.Severity) >= rank(effect, severity) {
		return nil
	}
	return least
}

func rank(effect string, severity rule.Severity) int {
	if acting(effect) {
		return int(rule.Critical) + 1 + int(severity)
	}
	return int(severity)
}

// replace puts the replacements in place of the matches. Where matches overlap,
// the union goes and the replacement of the first stands.
func replace(text string, matches []rule.Found) string {
	sort.SliceStable(matches, func(a, b int) bool { return matches[a].Start < matches[b].Start })
	var out strings.Builder
	pos := 0
	for _, m := range matches {
		if m.Start >= pos {
			out.WriteString(text[pos:m.Start])
			out.WriteString(m.Replacement)
		}
		pos = max(pos, m.End)
	}
	out.WriteString(text[pos:])
	return out.String()
}

// SecretRule is the rule whose matches are secrets. They never stand in a finding,
// whichever rule it is of: findings go to the log and to people.
const SecretRule = "secret-exposed"

func secretsAmong(matches []rule.Found) []rule.Found {
	var secrets []rule.Found
	for _, m := range matches {
		if m.Rule == SecretRule {
			m.Replacement = "[secret]"
			secrets = append(secrets, m)
		}
	}
	return secrets
}

// escapePointer writes a member name as RFC 6901 does.
var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// field is a JSON Pointer without the member names that are secrets. A name comes
// before everything that it stands around, so all of them are known by then.
func (out *Outcome) field(pointer string) string {
	for _, name := range out.secretNames {
		pointer = strings.ReplaceAll(pointer+"/", "/"+name+"/", "/[secret]/")
		pointer = pointer[:len(pointer)-1]
	}
	return pointer
}

// maxExcerpt is how much of a match a finding repeats.
const maxExcerpt = 160

// excerpt shows what was found, without the secrets in it.
func excerpt(text string, m rule.Found, secrets []rule.Found) string {
	if m.Rule == SecretRule {
		return ""
	}
	var inside []rule.Found
	for _, s := range secrets {
		s.Start, s.End = max(s.Start, m.Start)-m.Start, min(s.End, m.End)-m.Start
		if s.Start < s.End {
			inside = append(inside, s)
		}
	}
	part := replace(text[m.Start:m.End], inside)
	cut := len(part) > maxExcerpt
	if cut {
		part = strings.ToValidUTF8(part[:maxExcerpt], "")
	}
	part = strings.Trim(fmt.Sprintf("%+q", part), `"`)
	if cut {
		part += "…"
	}
	return part
}
