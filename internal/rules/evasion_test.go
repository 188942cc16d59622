package rules_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"unicode"

	"gatehouse/internal/finding"
	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/sample"
	"gatehouse/internal/rules"
	"gatehouse/internal/wire"
)

// evasionFloor is the share of transformed attacks that must still be found: in all, of
// each room and of each transformation.
const evasionFloor = 0.90

// transformation is a mechanical change of a text that leaves its sense.
type transformation struct {
	name  string
	apply func(text string) string
	// hides says that the change itself hides the text from people. hidden-text says so of
	// a harmless text too, and rightly.
	hides bool
	// encodes says that the change makes a run of encoded text. In a definition
	// encoded-payload says so of a harmless text too, and rightly.
	encodes bool
	// split spreads the text over this many strings of one message.
	split int
}

func same(text string) string { return text }

var transformations = []transformation{
	{name: "upper case", apply: strings.ToUpper},
	{name: "lower case", apply: strings.ToLower},
	{name: "random case", apply: randomCase},
	{name: "double spaces", apply: spaces("  ")},
	{name: "tabs", apply: spaces("\t")},
	{name: "line breaks between words", apply: spaces("\n")},
	{name: "no-break spaces", apply: spaces("\u00a0")},
	{name: "letters spaced out", apply: spacedOut},
	{name: "zero-width between letters", apply: between("\u200b"), hides: true},
	{name: "soft hyphens between letters", apply: between("\u00ad"), hides: true},
	{name: "Cyrillic letters", apply: letters("aceiopsxyABCEHIKMOPTXS", "асеіорѕхуАВСЕНІКМОРТХЅ")},
	{name: "Greek letters", apply: letters("oviABEHIKMNOPTXYZ", "ονιΑΒΕΗΙΚΜΝΟΡΤΧΥΖ")},
	{name: "fullwidth letters", apply: shifted('！', '!', '~')},
	{name: "mathematical bold letters", apply: mathematicalBold},
	{name: "combining marks", apply: between("\u0332"), hides: true},
	{name: "leetspeak", apply: letters("aeiostAEIOST", "431057431057")},
	{name: "Base64", apply: func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }, encodes: true},
	{name: "Base64 for URLs", apply: func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }, encodes: true},
	{name: "hexadecimal", apply: func(text string) string { return hex.EncodeToString([]byte(text)) }, encodes: true},
	{name: "percent-encoding", apply: eachByte("%%%02X")},
	{name: "HTML entities", apply: eachRune("&#%d;")},
	{name: "\\u escapes", apply: escapes},
	{name: "ROT13", apply: rot13},
	{name: "reversed", apply: reversed},
	{name: "split over two content blocks", apply: same, split: 2},
	{name: "split over three content blocks", apply: same, split: 3},
	{name: "hyphens at line ends", apply: hyphenated},
	{name: "emphasis on each word", apply: eachWord("**", "**", "_", "_")},
	{name: "tags around each word", apply: eachWord("<b>", "</b>", "<i>", "</i>")},
	{name: "in an HTML comment", apply: func(text string) string {
		return "<p>Opening hours</p><!-- " + strings.ReplaceAll(text, "--", "- -") + " -->"
	}, hides: true},
	{name: "in a code fence", apply: func(text string) string { return "Notes:\n\n```\n" + text + "\n```\n" }},
	{name: "in a block quote", apply: func(text string) string { return "> " + strings.ReplaceAll(text, "\n", "\n> ") }},
	{name: "in a JSON string", apply: inJSON},
	{name: "in YAML", apply: func(text string) string {
		return "id: 17\nnote: |\n  " + strings.ReplaceAll(text, "\n", "\n  ") + "\nopen: true\n"
	}},
	{name: "in a table cell", apply: func(text string) string {
		return "| id | note |\n|---|---|\n| 17 | " + strings.NewReplacer("\n", "<br>", "|", "\\|").Replace(text) + " |\n"
	}},
	{name: "between other languages", apply: func(text string) string {
		return "Das Büro ist am Freitag geschlossen, die Post wird am Montag verteilt.\n\n" + text + "\n\n会議室は三階にあります。予約は受付でお願いします。"
	}},
}

// Lists of transformations that some rooms leave out together.
var (
	otherLetters  = []string{"upper case", "lower case", "random case", "Cyrillic letters", "Greek letters", "fullwidth letters", "mathematical bold letters", "combining marks", "leetspeak", "ROT13", "reversed"}
	insideWords   = []string{"letters spaced out", "zero-width between letters", "soft hyphens between letters", "hyphens at line ends"}
	encodings     = []string{"Base64", "Base64 for URLs", "hexadecimal", "percent-encoding", "HTML entities", "\\u escapes", "ROT13", "reversed"}
	betweenWords  = []string{"double spaces", "tabs", "line breaks between words", "no-break spaces"}
	markup        = []string{"emphasis on each word", "tags around each word", "in an HTML comment", "in a code fence", "in a block quote", "in a JSON string", "in YAML", "in a table cell", "between other languages"}
	severalFields = []string{"split over two content blocks", "split over three content blocks"}
)

// exemption says which transformations do not apply to the samples of a room, because
// they make something else of what the room is about.
type exemption struct {
	rule   string
	only   func(rule.Subject) bool // nil: all samples
	names  [][]string
	reason string
}

// goodExemptions say which changes make a harmless sample of a room one that it is
// right to raise.
var goodExemptions = []exemption{
	{"tool-shadowing", isName, [][]string{otherLetters, insideWords}, "a name in letters that look like others is what the room is about"},
	{"question-abuse", nil, [][]string{severalFields}, "a part of a question is a question of its own"},
	{"name-imitation", nil, [][]string{otherLetters, insideWords, encodings}, "a name that is written so is what the room is about"},
	{"argument-path", nil, [][]string{otherLetters, encodings}, "steps up in an encoding are what the room is about"},
	{"encoded-payload", nil, [][]string{encodings}, "an encoding around an encoding is what the room is about"},
}

// wrong are harmless samples that a rule acts on in some clothes, which it should not.
// The aim is none.
var wrong = []mistake{}

type mistake struct{ rule, room, sample string }

func wrongOn(id, room, name string) bool { return slices.Contains(wrong, mistake{id, room, name}) }

func raisedBy(acting []finding.Finding, id string) bool {
	return slices.ContainsFunc(acting, func(f finding.Finding) bool { return f.Rule == id })
}

// isAddress says whether the text holds an address.
func isAddress(s rule.Subject) bool { return strings.Contains(s.Text, "//") }

// isPartOfQuestion says whether the text has a form of its own in a question to a client:
// an address, the name, the title or the format of a field.
func isPartOfQuestion(s rule.Subject) bool {
	return s.IsKey || slices.Contains([]string{"url", "format", "title"}, s.Key)
}

func isName(s rule.Subject) bool { return s.Key == "name" }

// isSequence says whether the text holds a control sequence or markup.
func isSequence(s rule.Subject) bool { return strings.ContainsAny(s.Text, "\x1b\u009b\b<") }

var exemptions = []exemption{
	{"secret-exposed", nil, [][]string{otherLetters, insideWords, severalFields, {"emphasis on each word", "tags around each word"}},
		"a credential with other characters, or in parts, opens nothing"},
	{"hidden-text", nil, [][]string{encodings, {"in a JSON string"}},
		"in an encoding nothing is hidden: everybody sees the characters, and what they say is for other rooms"},
	{"hidden-text", isSequence, [][]string{otherLetters, insideWords, betweenWords, {"emphasis on each word", "tags around each word"}},
		"a control sequence or a tag of which a character is changed is none"},
	{"tool-shadowing", isName, [][]string{insideWords, encodings, betweenWords, severalFields, markup, {"leetspeak", "combining marks"}},
		"no client takes it for the name of a tool"},
	{"data-beacon", isAddress, [][]string{otherLetters, insideWords},
		"an address with other letters leads nowhere"},
	{"binary-content", nil, [][]string{otherLetters, insideWords, encodings}, "with other letters the Base64 stands for other bytes, and no client opens what is no data: URI"},
	{"question-abuse", isPartOfQuestion, [][]string{otherLetters, insideWords, encodings, markup},
		"no client takes it for an address, or for the name or the format of a field"},
	{"argument-command", nil, [][]string{notRun, notUndone, markup, severalFields, {"line breaks between words", "no-break spaces"}},
		"no shell runs it so: a line break ends a command, and a no-break space is a letter of its name"},
	{"argument-path", nil, [][]string{notRun, notUndone, markup, severalFields, {"HTML entities", "\\u escapes"}},
		"no file has that name; the characters that programs take for dots and slashes are cases of the room"},
	{"argument-sql", nil, [][]string{notRun, notUndone, markup, severalFields}, "no database runs it so"},
	{"argument-url", nil, [][]string{notRun, encodings, markup, severalFields, {"fullwidth letters"}},
		"it leads nowhere, because its scheme is written so, too; encoded hosts and the spellings that resolvers know are cases of the room"},
	{"encoded-payload", nil, [][]string{otherLetters, insideWords, encodings}, "with another character it decodes to something else"},
	{"context-flooding", nil, [][]string{encodings, insideWords, severalFields, {"fullwidth letters", "mathematical bold letters", "combining marks", "leetspeak", "random case"}}, "what is not the same words, or no words, is another kind of flood"},
	{"name-imitation", isName, [][]string{encodings, betweenWords, severalFields, markup, {"leetspeak"}}, "no client takes it for the name of a tool"},
}

// notRun changes what no program undoes that takes an argument.
var notRun = []string{"Cyrillic letters", "Greek letters", "mathematical bold letters", "combining marks", "leetspeak", "letters spaced out", "zero-width between letters", "soft hyphens between letters"}

// notUndone are encodings that no program undoes by itself that takes an argument.
var notUndone = []string{"Base64", "Base64 for URLs", "hexadecimal", "ROT13", "reversed"}

func applies(list []exemption, id string, s rule.Subject, name string) bool {
	for _, e := range list {
		if e.rule != id || e.only != nil && !e.only(s) {
			continue
		}
		for _, list := range e.names {
			if slices.Contains(list, name) {
				return false
			}
		}
	}
	return true
}

// Test_evasion changes the samples of all rooms. What was found must still be found,
// and what was harmless must stay so. With -v it prints what was, by transformation
// and by room.
func Test_evasion(t *testing.T) {
	inspector := inspect.New(rules.All(), nil)
	counts := map[string]map[string]*outcome{} // by transformation, by rule
	for _, tf := range transformations {
		counts[tf.name] = map[string]*outcome{}
	}
	var raised, missed []string
	mistaken := map[mistake]bool{}
	for _, r := range rules.All() {
		if r.Severity < rule.High {
			continue // what it finds is reported and changes nothing
		}
		bad, good := samplesOf(t, inspector, r)
		for _, tf := range transformations {
			o := &outcome{}
			counts[tf.name][r.ID] = o
			for _, s := range bad {
				if applies(exemptions, r.ID, s.Subject, tf.name) {
					found := len(shown(t, inspector, s.Subject, tf)) > 0
					if o.count(found); !found {
						missed = append(missed, fmt.Sprintf("%s, %s, %s: %.200q", r.ID, s.Name, tf.name, tf.apply(s.Subject.Text)))
					}
				}
			}
			for _, s := range good {
				if !applies(slices.Concat(exemptions, goodExemptions), r.ID, s.Subject, tf.name) {
					continue
				}
				acting := shown(t, inspector, s.Subject, tf)
				if len(acting) == 0 || tf.hides && raisedBy(acting, "hidden-text") || tf.encodes && raisedBy(acting, "encoded-payload") {
					continue
				}
				o.raised++
				f := acting[0]
				mistaken[mistake{f.Rule, r.ID, s.Name}] = true
				if !wrongOn(f.Rule, r.ID, s.Name) {
					raised = append(raised, fmt.Sprintf("%s, %s, %s: %s: %s", r.ID, s.Name, tf.name, f.Rule, f.Detail))
				}
			}
		}
	}
	for _, m := range wrong {
		if !mistaken[m] {
			t.Errorf("%v is wrong no more: take it from the list", m)
		}
	}
	all, parts := report(t, counts)
	t.Logf("not found:\n%s", strings.Join(missed, "\n"))
	if share := all.share(); share < evasionFloor {
		t.Errorf("%d of %d transformed attacks are found, %.1f %%, want %.0f %%; -v shows which", all.found, all.of, 100*share, 100*evasionFloor)
	}
	for name, o := range parts {
		if share := o.share(); share < evasionFloor {
			t.Errorf("%s: %d of %d transformed attacks are found, want %.0f %%; -v shows which", name, o.found, o.of, 100*evasionFloor)
		}
	}
	for _, line := range raised {
		t.Errorf("a good sample raises something: %s", line)
	}
}

// Every exemption names transformations that exist, and leaves some to its room.
func Test_exemptions_from_evasion(t *testing.T) {
	var names []string
	for _, tf := range transformations {
		names = append(names, tf.name)
	}
	if unique := slices.Compact(slices.Sorted(slices.Values(names))); len(unique) != len(names) || len(names) < 20 {
		t.Errorf("%d transformations, %d of them different", len(names), len(unique))
	}
	for _, e := range slices.Concat(exemptions, goodExemptions) {
		if _, ok := rules.ByID(e.rule); !ok || e.reason == "" {
			t.Errorf("%q: no such rule, or no reason", e.rule)
		}
		exempt := slices.Concat(e.names...)
		for _, name := range exempt {
			if !slices.Contains(names, name) {
				t.Errorf("%s: there is no transformation %q", e.rule, name)
			}
		}
		if left := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(exempt, n) }); len(left) < 5 {
			t.Errorf("%s: only %q are left", e.rule, left)
		}
	}
}

type outcome struct{ found, of, raised int }

func (o *outcome) count(found bool) {
	if o.of++; found {
		o.found++
	}
}

func (o *outcome) add(other *outcome) {
	o.found, o.of, o.raised = o.found+other.found, o.of+other.of, o.raised+other.raised
}

func (o *outcome) share() float64 {
	if o.of == 0 {
		return 1
	}
	return float64(o.found) / float64(o.of)
}

func (o *outcome) String() string {
	text := "–"
	if o.of > 0 {
		text = fmt.Sprintf("%d/%d", o.found, o.of)
	}
	if o.raised > 0 {
		text += fmt.Sprintf(" (!%d)", o.raised)
	}
	return text
}

// report prints a line for each transformation and a column for each room, and returns
// the sums: all, and of each line and column.
func report(t *testing.T, counts map[string]map[string]*outcome) (*outcome, map[string]*outcome) {
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	ids := slices.Sorted(maps.Keys(counts[transformations[0].name]))
	all, columns, lines := &outcome{}, map[string]*outcome{}, map[string]*outcome{}
	fmt.Fprintf(table, "\tALL\t%s\n", strings.Join(ids, "\t"))
	for _, tf := range transformations {
		row := &outcome{}
		lines[tf.name] = row
		cells := ""
		for _, id := range ids {
			o := counts[tf.name][id]
			row.add(o)
			if columns[id] == nil {
				columns[id] = &outcome{}
			}
			columns[id].add(o)
			cells += "\t" + o.String()
		}
		all.add(row)
		fmt.Fprintf(table, "%s\t%v%s\n", tf.name, row, cells)
	}
	fmt.Fprintf(table, "ALL\t%v", all)
	for _, id := range ids {
		fmt.Fprintf(table, "\t%v", columns[id])
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("found, of how many (!good samples that raise something)\n%s", out.String())
	maps.Copy(lines, columns)
	return all, lines
}

// samplesOf are the samples of a room that act, and those that are silent.
func samplesOf(t *testing.T, inspector *inspect.Inspector, r rule.Rule) (bad, good []sample.Sample) {
	t.Helper()
	bad, good, err := sample.Documented(r)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := sample.Cases(strings.ReplaceAll(r.ID, "-", ""), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range cases {
		switch {
		case s.Acts():
			bad = append(bad, s)
		case s.Silent() && s.Subject.Text != "":
			good = append(good, s)
		}
	}
	as := transformation{apply: same}
	for _, s := range bad {
		if len(shown(t, inspector, s.Subject, as)) == 0 {
			t.Errorf("%s: %s is not found as it stands", r.ID, s.Name)
		}
	}
	for _, s := range good {
		f := shown(t, inspector, s.Subject, as)
		if len(f) > 0 && !wrongOn(f[0].Rule, r.ID, s.Name) {
			t.Errorf("%s: %s raises %v as it stands", r.ID, s.Name, f)
		}
	}
	return bad, good
}

// shown are the findings that act when the inspector is shown a message with the
// transformed text.
func shown(t *testing.T, inspector *inspect.Inspector, s rule.Subject, tf transformation) (acting []finding.Finding) {
	t.Helper()
	text := tf.apply(s.Text)
	if s.Name == s.Text {
		s.Name = text
	}
	doc, err := wire.Scan(messageOf(s, text, max(tf.split, 1)), wire.Limits{})
	if err != nil {
		if s.IsKey {
			return nil // no message can hold it
		}
		t.Fatal(err)
	}
	s.Text = ""
	out, err := inspector.Message(&doc, doc.Root.Get("m"), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range out.Findings {
		// A room that finds nothing of high severity is measured by its own.
		r, _ := rules.ByID(f.Rule)
		if f.Severity >= min(rule.High, r.Severity) && (f.Confidence == 0 || f.Confidence >= rule.Hard) {
			acting = append(acting, f)
		}
	}
	return acting
}

// messageOf is a message in whose member "m" the text stands in its place.
func messageOf(s rule.Subject, text string, pieces int) []byte {
	key := s.Key
	if key == "" {
		key = "text"
	}
	var blocks []string
	for _, piece := range cut(text, pieces) {
		value := string(wire.AppendString(nil, piece))
		if s.IsKey {
			value = "{" + value + ":0}"
		}
		blocks = append(blocks, "{"+string(wire.AppendString(nil, key))+":"+value+"}")
	}
	return []byte(`{"m":[` + strings.Join(blocks, ",") + "]}")
}

// cut makes pieces of about the same number of words.
func cut(text string, pieces int) []string {
	words := strings.Split(text, " ")
	pieces = min(pieces, len(words))
	var all []string
	for n := range pieces {
		all = append(all, strings.Join(words[n*len(words)/pieces:(n+1)*len(words)/pieces], " "))
	}
	return all
}

func randomCase(text string) string {
	source := rand.New(rand.NewPCG(1, 2))
	return strings.Map(func(r rune) rune {
		if source.IntN(2) == 0 {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, text)
}

func spaces(with string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(text, " ", with) }
}

// inWord says of each rune whether it and the next are letters or digits.
func inWord(text string, each func(r rune, followed bool)) {
	runes := []rune(text)
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for i, r := range runes {
		each(r, i+1 < len(runes) && word(r) && word(runes[i+1]))
	}
}

func between(what string) func(string) string {
	return func(text string) string {
		var out strings.Builder
		inWord(text, func(r rune, followed bool) {
			if out.WriteRune(r); followed {
				out.WriteString(what)
			}
		})
		return out.String()
	}
}

// spacedOut puts a space between letters, and more between words so that a reader
// sees where they end.
func spacedOut(text string) string { return between(" ")(strings.ReplaceAll(text, " ", "   ")) }

func letters(from, to string) func(string) string {
	with := []rune(to)
	return func(text string) string {
		return strings.Map(func(r rune) rune {
			if i := strings.IndexRune(from, r); i >= 0 {
				return with[i]
			}
			return r
		}, text)
	}
}

// shifted moves the runes from first to last to a block that begins at base.
func shifted(base, first, last rune) func(string) string {
	return func(text string) string {
		return strings.Map(func(r rune) rune {
			if r >= first && r <= last {
				return base + r - first
			}
			return r
		}, text)
	}
}

func mathematicalBold(text string) string {
	return shifted('𝟎', '0', '9')(shifted('𝐚', 'a', 'z')(shifted('𝐀', 'A', 'Z')(text)))
}

func eachByte(format string) func(string) string {
	return func(text string) string {
		var out strings.Builder
		for _, b := range []byte(text) {
			fmt.Fprintf(&out, format, b)
		}
		return out.String()
	}
}

func eachRune(format string) func(string) string {
	return func(text string) string {
		var out strings.Builder
		for _, r := range text {
			fmt.Fprintf(&out, format, r)
		}
		return out.String()
	}
}

func escapes(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r > 0xffff {
			fmt.Fprintf(&out, `\U%08x`, r)
		} else {
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

func rot13(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, text)
}

func reversed(text string) string {
	runes := []rune(text)
	slices.Reverse(runes)
	return string(runes)
}

// hyphenated breaks long words in the middle, as narrow columns do.
func hyphenated(text string) string {
	words := strings.Split(text, " ")
	for i, word := range words {
		if runes := []rune(word); len(runes) >= 6 && !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }) {
			words[i] = string(runes[:len(runes)/2]) + "-\n" + string(runes[len(runes)/2:])
		}
	}
	return strings.Join(words, " ")
}

// eachWord puts pairs of marks around words, in turn.
func eachWord(marks ...string) func(string) string {
	return func(text string) string {
		words := strings.Split(text, " ")
		for i, word := range words {
			if n := i * 2 % len(marks); word != "" {
				words[i] = marks[n] + word + marks[n+1]
			}
		}
		return strings.Join(words, " ")
	}
}

func inJSON(text string) string {
	encoded, err := json.Marshal(map[string]any{"id": 17, "note": text})
	if err != nil {
		panic(err)
	}
	return string(encoded)
}
