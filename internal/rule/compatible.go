package rule

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// form is what a rune can fold to; a zero byte stands for none.
type form struct {
	latin     byte // wherever it stands
	lookalike byte // in a word with ASCII letters
	lower     rune // several and above: an index in severals
}

// several is beyond all runes.
const several = unicode.MaxRune + 1

// severals are the texts that one character stands for.
var severals []string

// pages are the forms of all runes but those that fold to their lower case, by the
// rune without its last byte. Most have none.
var pages = func() (table [unicode.MaxRune>>8 + 1]*[256]form) {
	page := func(r rune) *form {
		if table[r>>8] == nil {
			table[r>>8] = new([256]form)
			for i := range rune(256) {
				table[r>>8][i].lower = unicode.ToLower(r&^0xff + i)
			}
		}
		return &table[r>>8][r&0xff]
	}
	for r := range rune(0x800) { // most alphabets
		page(r)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(compatible, "\n"), "\n") {
		r, size := utf8.DecodeRuneInString(line)
		first, width := utf8.DecodeRuneInString(line[size:])
		switch {
		case size+width < len(line):
			severals = append(severals, line[size:])
			page(r).lower = several + rune(len(severals)-1)
		case first < utf8.RuneSelf:
			page(r).latin = byte(first)
		default:
			page(r).lower, page(r).lookalike = first, lookalikes[first]
		}
	}
	for r, b := range lookalikes {
		page(r).lookalike = b
	}
	for r, b := range typefaces {
		page(r).latin = b
	}
	for r := rune(0x1f150); r <= 0x1f189; r++ { // white letters on black circles and squares
		if n := (r - 0x1f150) % 32; n < 26 {
			page(r).latin = 'a' + byte(n)
		}
	}
	return table
}()

func formOf(r rune) form {
	if page := pages[r>>8]; page != nil {
		return page[r&0xff]
	}
	return form{lower: unicode.ToLower(r)}
}

// decorates says whether a rune is a mark that is drawn over, under or around another
// and belongs to no spelling, as it stands in stacks of marks.
func decorates(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r <= 0x36f, r >= 0x483 && r <= 0x489, r >= 0x1ab0 && r <= 0x1aff, r >= 0x1dc0 && r <= 0x1dff, r >= 0x20d0 && r <= 0x20f0, r >= 0xfe20 && r <= 0xfe2f:
		return true
	}
	return false
}

// The parts of Korean syllables, as the Unicode standard numbers them.
const (
	firstLead, lastLead   = 0x1100, 0x1112
	firstVowel, lastVowel = 0x1161, 0x1175
	firstTail, lastTail   = 0x11a8, 0x11c2
	tails                 = lastTail - firstTail + 2 // none is one
	vowels                = lastVowel - firstVowel + 1
	firstSyllable         = 0xac00
	lastSyllable          = 0xd7a3
)

// oneOfTwo is the one character that another and a mark behind it are, or 0.
func oneOfTwo(base, mark rune) rune {
	switch {
	case base >= firstLead && base <= lastLead && mark >= firstVowel && mark <= lastVowel:
		return firstSyllable + ((base-firstLead)*vowels+mark-firstVowel)*tails
	case base >= firstSyllable && base <= lastSyllable && (base-firstSyllable)%tails == 0 && mark >= firstTail && mark <= lastTail:
		return base + mark - firstTail + 1
	}
	return compositions[[2]rune{base, mark}]
}

var compositions = func() map[[2]rune]rune {
	table := map[[2]rune]rune{}
	for line := range strings.SplitSeq(strings.TrimSuffix(composed, "\n"), "\n") {
		r := []rune(line)
		table[[2]rune{r[0], r[1]}] = r[2]
	}
	return table
}()

func pairs(list ...string) map[rune]byte {
	table := map[rune]byte{}
	for _, item := range list {
		for _, r := range item[1:] {
			table[r] = item[0]
		}
	}
	return table
}

// typefaces are characters that are ASCII whatever stands beside them: small capitals,
// raised, turned and hooked letters, and the quotation marks and dashes of printers.
var typefaces = pairs("aᴀᵃₐⱥⱯɐᶏ", "bʙᵇƀɓƃ", "cᴄᶜƈɕȼↄɔ", "dᴅᵈđðɖɗȡᶁĐÐƉƊ", "eᴇᵉₑɇǝɘᶒ", "fꜰᶠƒɟ", "gɢᵍɡǥɠᵷ", "hʜʰₕħĦɦɥⱨ", "iɪⁱᵢıɨᴉᵻ", "jᴊʲⱼȷɉʝɾ",
	"kᴋᵏₖƙĸʞⱪ", "lʟˡₗłŁƚɫɬɭꞁⱡ", "mᴍᵐₘɱɯ", "nɴⁿₙɲɳŋŊƞŉ", "oᴏᵒₒøØɵ", "pᴘᵖₚƥᵽᵱ", "qꞯɋʠ", "rʀʳᵣɍɽɼɹɻ", "sꜱˢₛʂȿßẞ", "tᴛᵗₜŧŦƫƭʈʇ", "uᴜᵘᵤʉᵾ", "vᴠᵛᵥʋʌ", "wᴡʷⱳʍ",
	"xˣₓᶍ", "yʏʸɏƴʎ", "zᴢᶻƶȥʐʑⱬ", "-‐‑‒–—―−", "'‘’‚‛", "\"“”„‟", "/⁄∕")

// lookalikes are letters of other scripts that are drawn like a Latin one: Cyrillic,
// Greek, Armenian, Cherokee, Coptic, Lisu and Georgian.
var lookalikes = pairs("aаαАΑɑᎪꓮⲁⲀ", "bЬьВвΒβᏴᏏꓐⲃƅ", "cсСϲϹᏟꓚⲥⲤ", "dԁᎠꓓժᏧꓒ", "eеЕΕεєҽᎬꓰⲉ", "fϝϜꓝғ", "gԍԌᏀᏳꓖց", "hһНнΗհᎻꓧҺђћⲎ", "iіІΙιїᎥꓲⲓɩ", "jјЈϳᎫꓙյ",
	"kкКΚκᏦꓗқҝⲕ", "lӀӏᏞꓡǀ", "mмМΜᎷꓟⲙ", "nпΝηոռղПꓠⲛ", "oоОοΟσօՕᎾꓳⲟөჿ", "pрРρΡᏢꓑⲣք", "qԛԚգզ", "rгГᴦᎡᏒꓣⲅ", "sѕЅՏꓢᏕᏚ", "tтТτΤᎢꓔⲧ", "uυսцμՍꓴ", "vνѵѴᏙꓦ", "wшωԝѡщԜШᎳᏔꓪաⲱ",
	"xхХχΧꓫⲭ", "yуУγΥүҮᎩᎽꓬყⲩ", "zΖζᏃꓜⲍ")

const firstRegional, lastRegional = 0x1f1e6, 0x1f1ff

// regionals is where a row of regional letters ends, and whether each pair is a flag.
func regionals(text string, i int) (end int, flags bool) {
	flags = true
	for {
		var pair [2]byte
		for n := range pair {
			r, size := utf8.DecodeRuneInString(text[i:])
			if r < firstRegional || r > lastRegional {
				return i, flags && n == 0
			}
			pair[n] = 'a' + byte(r-firstRegional)
			i += size
		}
		flags = flags && strings.Contains(regions, " "+string(pair[:])+" ")
	}
}

// regions are the codes of ISO 3166-1 and the reserved ones that have flags.
const regions = " ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cp cr cu cv cw cx cy cz " +
	"de dg dj dk dm do dz ea ec ee eg eh er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu ic id ie il im in io iq ir is it " +
	"je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om " +
	"pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz ta tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug um un us uy uz " +
	"va vc ve vg vi vn vu wf ws xk ye yt za zm zw "
