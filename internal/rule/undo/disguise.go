package undo

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// disguise is a way to write words of which only the words tell that it was used.
type disguise struct {
	way   Way
	write func(word string) []string // how it writes a word of lower-case letters
	undo  func(text string) string
	exact bool // undo keeps every byte in its place
}

// disguises are looked for by the words below. Two ways to go backwards are tried: all
// of a text, and each of its words; and two to read digits: as a careful reader does, and
// all of them, of which a one is an i.
var disguises = []disguise{
	{ROT13, one(rot13), rot13, true},
	{Atbash, one(atbash), atbash, true},
	{Reversed, one(reverse), reverse, false},
	{Reversed, nil, reverseWords, true},
	{UpsideDown, one(func(word string) string { return turn(reverse(word)) }), upright, false},
	{Leet, leetForms, unleet, true},
	{Leet, nil, unleetAll, true},
	{Joined, signed, unsigned, true},
	{Run, together, apartWords, false},
}

func one(write func(string) string) func(string) []string {
	return func(word string) []string { return []string{write(word)} }
}

// telling are words without which an order to a model is hardly given, long enough to
// be no other word in a disguise.
var telling = strings.Fields("ignore previous instruct disregard system prompt password override forget reveal secret assistant please execute command " +
	"credential delete message without follow always before token content important instead another answer should mention using address private attach upload transfer silent notify hidden required conversation history memory future recovery")

// everyday are words that many sentences need, of which only whole words tell. None of
// them is another word, or a part of one, in the disguise.
var everyday = map[Way][]string{
	ROT13:    strings.Fields("user this your from with that must call tool about every nothing again benutzer nichts sofort immer bitte passwort utilisateur votre usuario continuar nuestra conversacion imagen"),
	Reversed: strings.Fields("this your from with that must about every again nothing benutzer nichts sofort immer bitte passwort utilisateur votre usuario continuar nuestra"),
	Leet:     strings.Fields("user this your from with that must tool about every again nothing call first benutzer nichts sofort immer bitte passwort utilisateur desormais votre usuario continuar nuestra imagen"),
}

// backwards are words of orders in scripts that have no other disguise.
var backwards = strings.Fields("用户 密码 指示 必须 告诉 聊天 пользовател парол истори всегда")

// leetTelling are those whose forms with digits are looked for; each has several.
var leetTelling = strings.Fields("ignore previous instruct disregard system prompt password override reveal secret execute delete please assist credential " +
	"important instead before always message content another without mention answer should using address private attach upload hidden required conversation recovery")

// joinTelling are those that names of programs seldom begin with.
var joinTelling = strings.Fields("ignore previous disregard forget prior reveal")

// A Hint is a place where one of Words stands in the folded form of a text.
type Hint struct {
	Word int // index in Words
	At   int // in the text as it is written
}

// Words are what tells disguises, in lower case.
func Words() []string { return words }

var words, wordWay, firstEveryday = func() (all []string, ways []Way, first int) {
	known := make(map[string]bool, 1<<11)
	add := func(form string, way Way) {
		if !known[form] {
			known[form] = true
			all, ways = append(all, form), append(ways, way)
		}
	}
	for _, d := range disguises {
		if d.write == nil {
			continue
		}
		from := telling
		switch d.way {
		case Leet:
			from = leetTelling
		case Joined, Run:
			from = joinTelling
		}
		for _, word := range from {
			for _, form := range d.write(word) {
				if !slices.Contains(telling, form) {
					add(form, d.way)
				}
			}
		}
	}
	for _, word := range backwards {
		add(reverse(word), Reversed)
	}
	first = len(all)
	for _, d := range disguises {
		for _, word := range everyday[d.way] {
			if d.write == nil {
				continue
			}
			for _, form := range d.write(word) {
				if len(form) > 3 {
					add(form, d.way)
				}
			}
		}
	}
	return all, ways, first
}()

// Whole says whether one of Words tells only where it is a whole word.
func Whole(word int) bool { return word >= firstEveryday }

// maxParagraph is how far from a hint its text is taken to go on, in bytes.
const maxParagraph = 2000

// disguised makes a view for each disguise of which there are hints.
func disguised(text string, hints []Hint, not Way) []*View {
	if len(hints) == 0 {
		return nil
	}
	var all []*View
	for _, d := range disguises {
		if d.way == not {
			continue
		}
		r := runs{}
		done := 0
		for _, h := range hints {
			if wordWay[h.Word] != d.way || h.At < done {
				continue
			}
			start, end := paragraph(text, done, h.At)
			if plain := d.undo(text[start:end]); plain != text[start:end] {
				r.add(start, end, d.way, plain)
				r.list[len(r.list)-1].exact = d.exact && len(plain) == end-start
			}
			done = end
		}
		if len(r.list) > 0 {
			all = append(all, r.splice(text))
		}
	}
	return all
}

// paragraph is the text around a place, between blank lines, not before done.
func paragraph(text string, done, at int) (int, int) {
	start, end := max(done, at-maxParagraph), min(len(text), at+maxParagraph)
	if n := strings.LastIndex(text[start:at], "\n\n"); n >= 0 {
		start += n + 2
	}
	if n := strings.Index(text[at:end], "\n\n"); n >= 0 {
		end = at + n
	}
	for start < at && !utf8.RuneStart(text[start]) {
		start++
	}
	for end < len(text) && end > at && !utf8.RuneStart(text[end]) {
		end--
	}
	return start, end
}

// letterwise changes the letters of ASCII and keeps their case.
func letterwise(text string, change func(n byte) byte) string {
	out := []byte(text)
	for i, c := range out {
		if letter(c) {
			out[i] = change(c|0x20-'a') + 'a' - 0x20&^c
		}
	}
	return string(out)
}

func rot13(text string) string  { return letterwise(text, func(n byte) byte { return (n + 13) % 26 }) }
func atbash(text string) string { return letterwise(text, func(n byte) byte { return 25 - n }) }

func reverse(text string) string {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		_, size := utf8.DecodeLastRuneInString(text)
		out = append(out, text[len(text)-size:]...)
		text = text[:len(text)-size]
	}
	return string(out)
}

// reverseWords turns each word of ASCII letters.
func reverseWords(text string) string {
	out := []byte(text)
	for i := 0; i < len(out); {
		from := i
		for i < len(out) && letter(out[i]) {
			i++
		}
		slices.Reverse(out[from:i])
		if i == from {
			i++
		}
	}
	return string(out)
}

// turned are letters and the letters that they are upside down; each stands for the
// other, too.
var turned = strings.NewReplacer("u", "n", "n", "u", "b", "q", "q", "b", "d", "p", "p", "d", "ɐ", "a", "ɔ", "c", "ǝ", "e", "ə", "e", "ɟ", "f", "ƃ", "g", "ᵷ", "g", "ɓ", "g", "ɥ", "h", "ᴉ", "i", "ı", "i", "ɾ", "j", "ſ", "j",
	"ʞ", "k", "ꞁ", "l", "ʃ", "l", "ɯ", "m", "ɹ", "r", "ʇ", "t", "ʌ", "v", "ʍ", "w", "ʎ", "y", "˙", ".", "‘", ",", "¿", "?", "¡", "!")

// turn writes a word of lower-case letters as folding leaves it when it was turned.
func turn(word string) string {
	return strings.NewReplacer("u", "n", "n", "u", "b", "q", "q", "b", "d", "p", "p", "d").Replace(word)
}

func upright(text string) string { return turned.Replace(reverse(text)) }

// leet are the signs for letters, the most usual first.
var leet = map[byte]string{'a': "4@", 'e': "3", 'i': "1!", 'o': "0", 's': "5$", 't': "7"}

// leetForms are the ways to write a word with signs for some of its letters: with the
// most usual sign for any of them, or with one sign for all that are the same.
func leetForms(word string) []string {
	var places []int // of letters that have a sign
	for i := range len(word) {
		if leet[word[i]] != "" {
			places = append(places, i)
		}
	}
	all := make([]string, 0, 2<<len(places))
	for set := 1; set < 1<<len(places); set++ {
		form := []byte(word)
		for n, at := range places {
			if set>>n&1 != 0 {
				form[at] = leet[word[at]][0]
			}
		}
		all = append(all, string(form))
	}
	alike := []string{word}
	for c, signs := range leet {
		if strings.IndexByte(word, c) < 0 {
			continue
		}
		for _, form := range alike[:len(alike):len(alike)] {
			for i := range len(signs) {
				alike = append(alike, strings.ReplaceAll(form, string(c), signs[i:i+1]))
			}
		}
	}
	all = append(all, alike[1:]...)
	slices.Sort(all)
	return slices.Compact(all)
}

// unleet reads signs as letters in words that have letters, too.
func unleet(text string) string {
	out := []byte(text)
	for i := 0; i < len(out); {
		from, letters, signs := i, 0, 0
		for i < len(out) && (letter(out[i]) || unleeted[out[i]] != 0) {
			if letter(out[i]) {
				letters++
			} else {
				signs++
			}
			i++
		}
		if letters > 0 && signs > 0 {
			unleetWord(out[from:i])
		}
		if i == from {
			i++
		}
	}
	return string(out)
}

// unleetAll reads each sign as the letter that it stands for most often, in numbers, too.
// The sign in an address stays.
func unleetAll(text string) string {
	out := []byte(text)
	for i := 0; i < len(out); i++ {
		c := unleeted[out[i]]
		switch {
		case c == 0 || out[i] == '!' && (i+1 == len(out) || !alnum(out[i+1])):
		case out[i] == '@' && inAddress(text[i+1:min(len(text), i+maxHost)]):
		default:
			out[i] = c
		}
	}
	return string(out)
}

// maxHost is how far behind its sign the dot of an address is looked for, in bytes.
const maxHost = 64

// inAddress says whether the name of a host stands at the beginning of a text.
func inAddress(text string) bool {
	n := 0
	for n < len(text) && (alnum(text[n]) || text[n] == '-') {
		n++
	}
	return n > 0 && n+1 < len(text) && text[n] == '.' && alnum(text[n+1])
}

var unleeted = func() (table [256]byte) {
	for c, signs := range leet {
		for i := range len(signs) {
			table[signs[i]] = c
		}
	}
	return table
}()

// unleetWord reads the signs of one word. Signs behind its last letter are punctuation,
// and a one is an l behind a vowel or at the end.
func unleetWord(word []byte) {
	for i, c := range word {
		plain := unleeted[c]
		switch {
		case plain == 0:
		case c == '!' && i == len(word)-1:
		case c == '1' && i > 0 && (i == len(word)-1 || word[i+1] == '1' || strings.IndexByte("aeiou", word[i-1]|0x20) >= 0 || word[i-1] == 'l'):
			word[i] = 'l'
		default:
			word[i] = plain
		}
	}
}

// joints are the signs that stand between words instead of spaces.
const joints = "_-.+"

// signed are the ways to join a word with the next one by a sign.
func signed(word string) (forms []string) {
	for _, sign := range joints {
		forms = append(forms, word+string(sign))
	}
	return forms
}

// fewestJoints is how many signs of one kind join words to a text. Fewer make a name.
const fewestJoints = 3

// unsigned writes spaces for the signs in what has several of one kind and no space.
func unsigned(text string) string {
	out := []byte(text)
	for i := 0; i < len(out); {
		from := i
		for i < len(out) && !space(out[i]) {
			i++
		}
		for sign := range len(joints) {
			unsign(out[from:i], joints[sign])
		}
		i++
	}
	return string(out)
}

func unsign(token []byte, sign byte) {
	between := func(i int) bool {
		return token[i] == sign && i > 0 && i+1 < len(token) && letter(token[i-1]) && letter(token[i+1])
	}
	count := 0
	for i := range token {
		if between(i) {
			count++
		}
	}
	for i := range token {
		if count >= fewestJoints && between(i) {
			token[i] = ' '
		}
	}
}

// follows are words that follow one of an order.
var follows = strings.Fields("all any previous prior the your every everything these those earlier above instructions my me")

// together are the ways in which a word runs into the next one.
func together(word string) (forms []string) {
	for _, next := range follows {
		forms = append(forms, word+next)
	}
	return forms
}

// common are words that orders are made of, for telling where one ends and the next
// one begins.
var common = strings.Fields(`a about above access account act action actions add address admin after again agent all allow always an and answer any anything api are as ask assistant at attach
	be before begin below best body but by call can chat check code command commands complete confirm contact content contents context conversation copy credentials data database delete details developer
	directly disable disregard do document documents does done email emails end every everything execute export file files find first follow following for forget forward from full get give given go guidelines
	has have he here hidden history host how http https i id if ignore important in include information input instead instruction instructions internal into is it its just key keys know last later let like list
	ls mail make me memory message messages mode model must my name need never new next no not nothing now of on once one only open or order original other our out output override own page password passwords
	path please policy previous print prior private prompt prompts provide public put question read really reason refuse remember remove repeat reply report request requests respond response result return reveal role rule rules run
	safety save say search secret secrets security see send server set shell should show silently so start step stop system task tell text that the their them then there these they this those to token tokens tool tools transfer
	under until up upload url use user users using value via visit want was we web what when where which who will with without word words work write you your yourself`)

// longestCommon is the length of the longest of them.
var isCommon, longestCommon = func() (map[string]bool, int) {
	all, longest := map[string]bool{}, 0
	for _, word := range common {
		all[word] = true
		longest = max(longest, len(word))
	}
	return all, longest
}()

// shortestRun is the length from which letters are taken for several words.
const shortestRun = 9

// apartWords takes words apart that run into each other.
func apartWords(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		n := 0
		for n < len(text) && letter(text[n]) {
			n++
		}
		switch {
		case n >= shortestRun:
			split(&out, text[:n])
		case n == 0:
			n = 1
			fallthrough
		default:
			out.WriteString(text[:n])
		}
		text = text[n:]
	}
	return out.String()
}

// split writes the words that letters hold, the longest first, and leaves together
// what is none.
func split(out *strings.Builder, run string) {
	known := true
	for i := 0; i < len(run); {
		size := min(longestCommon, len(run)-i)
		for size > 0 && !isCommon[strings.ToLower(run[i:i+size])] {
			size--
		}
		if size < 2 && !known { // a letter inside a word that is none of these
			size = 0
		}
		if i > 0 && (size > 0 || known) {
			out.WriteByte(' ')
		}
		known = size > 0
		size = max(size, 1)
		out.WriteString(run[i : i+size])
		i += size
	}
}
