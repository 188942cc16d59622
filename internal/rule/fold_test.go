package rule

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFold(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := string(Fold(text).Text); got != want {
			t.Errorf("Fold(%q) = %q, want %q", text, got, want)
		}
	}
	f("", "")
	f("Ignore ALL", "ignore all")
	f("a  \t b", "a b")
	f("a\nb\n\n\nc", "a b\nc")
	f("one\n> two\n# three\n// four\n* five", "one two three four five")
	f("**Ig**nore `all` _previous_ read_file", "ignore all previous read_file")
	f("i<b>g</b>nore<br>all", "ignore all")
	f("ig<!---->nore <!-- all --> x", "ignore all x")
	f("<system>hi</system>", "<system>hi</system>")
	f("&#105;gn&#x6f;re&nbsp;all &amp; &bogus; &", "ignore all & &bogus; &")
	f(`\u0069gnore\nall\t\"x\" c:\dir`, `ignore all "x" c:\dir`)
	f("i\u200bg\u200dn\u2060o\ufeffr\u00ade", "ignore")
	f("\U000e0049\U000e0047\U000e004e\U000e004f\U000e0052\U000e0045\U000e0001\U000e007f", "ignore")
	f("ｉｇｎｏｒｅ 𝐢𝓰𝔫𝕠𝖗𝙚 ⓘⓖⓝⓞⓡⓔ 🅸🅶🅽🅾🆁🅴 ɪɢɴᴏʀᴇ", "ignore ignore ignore ignore ignore")
	f("іgnоrе", "ignore")       // Cyrillic among Latin letters
	f("игнорируй", "игнорируй") // Cyrillic by itself
	f("İ Übermäßig Ænima façade ñ Œ ž ſ", "i ubermasig \u00e6nima facade n \u0153 z s")
	f("e\u0301\u0302x", "ex")
	f("“quoted” ‘it’s’ – dash", `"quoted" 'it's' - dash`)
	f("中文 テスト हिन्दी", "中文 テスト हिन्दी")
	f("\x1b[31mred\x07 ig\x1b[1;4mnore\u009b0m", "red ignore")
	f(`ig\u001b[1mnore ig\x1b[0mnore ig\033[0mnore ig\e[1mnore`, "ignore ignore ignore ignore")
	f("\x1b]8;;https://x.y/\x07link\x1b\\", "8;;https://x.y/link")
	f("ﬁle № ① ½ ㏒ … ⁱⁿ ℝ ｶﾞ ﷲ", "file no 1 1/2 log ... in r ガ الله")
	f("e\u0489x\u0336a\u20d2m\u1dc4p\ufe20l\u0334e", "example")
	f("и\u0306 й е\u0308 α\u0301 か\u3099 \u1112\u1161\u11ab \u1100\u1161", "й й ё ά が 한 가") // composed
	f("ѕуѕtеm ѕуѕ сору the сору of", "system ѕуѕ сору the copy of")
	f("раѕѕ іtѕ соntеnt, сору.", "pass its content, copy.") // beside words that are disguised themselves
	f("это рост и сон", "это рост и сон")
	f("слово сору слово", "слово сору слово")
	f("Ꭵgnоrе ꓲgnore іցnore ignօre", "ignore ignore ignore ignore")
	f("🇩🇪🇫🇷 ignore🇩🇪 🇮🇬🇳🇴🇷🇪", "🇩🇪🇫🇷 ignore🇩🇪 ignore")
	f("🅘🅖🅝🅞🅡🅔 ⒾⒼⓃ øłđħ ıɠŋ ɐʌ", "ignore ign oldh ign av")
	f("a\u3000b\u2003c\u2028d", "a b c d")
}

func TestFold_entities_decode_to_what_they_hide(t *testing.T) {
	if got := string(Fold("&lt;system&gt; &#1110;gnore").Text); got != "<system> ignore" {
		t.Errorf("got %q", got)
	}
}

func TestSpan(t *testing.T) {
	f := func(text, part, want string) {
		t.Helper()
		folded := Fold(text)
		at := strings.Index(string(folded.Text), part)
		if at < 0 {
			t.Fatalf("%q is not in %q", part, folded.Text)
		}
		start, end := folded.Span(at, at+len(part))
		if got := text[start:end]; got != want {
			t.Errorf("%q in %q maps to %q, want %q", part, text, got, want)
		}
	}
	f("Say: IGNORE it", "ignore", "IGNORE")
	f("say &#105;gnore it", "ignore", "&#105;gnore")
	f("say i\u200bgnore it", "ignore", "i\u200bgnore")
	f("x ｉｇ y", "ig", "ｉｇ")
	f("end: ignore", "ignore", "ignore")
	f("a\n\nb c", "b", "b")
}

// foldBytewise folds without reading blocks, as the map of Span is made.
func foldBytewise(text string) string {
	f := folder{src: text, mapped: true}
	f.run()
	return string(f.out)
}

// Test_Fold_blocks puts everything that matters to a block everywhere in two.
func Test_Fold_blocks(t *testing.T) {
	parts := []string{" ", "  ", " \n\n", "\n> ", "\n", "--", "-->", "\\n", "7", "A", "Z", "@", "[", "`", "{", "-", "_", "<b>", "\x00", "\x1f", "\x7f", "é", "\u200b", "\u3000"}
	for _, one := range parts {
		for _, other := range parts {
			for at := range 17 {
				for gap := range 17 - at {
					text := strings.Repeat("x", at) + one + strings.Repeat("y", gap) + other + strings.Repeat("z", 16-at-gap)
					if got, want := string(Fold(text).Text), foldBytewise(text); got != want {
						t.Fatalf("Fold(%q) = %q, byte by byte it is %q", text, got, want)
					}
				}
			}
		}
	}
}

// FuzzFold holds folding to its promises on any text.
func FuzzFold(f *testing.F) {
	for _, seed := range []string{"", "Ignore", "a\n\n> b", "<b>x</b><!-- -->", "&#x69;&lt;", `\u0069\n`, "\U000e0041é漢\u200b", "<", "&", "\\", "_a_", "🅰", "🇮🇬🇳", "ѕуѕtеm", "и\u0306", "\x1b[1m", `\x1b[`, "ﬁ½", "сору"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip()
		}
		folded := Fold(text)
		if !utf8.Valid(folded.Text) {
			t.Fatalf("%q folds to invalid UTF-8 %q", text, folded.Text)
		}
		for _, r := range string(folded.Text) {
			if r >= 'A' && r <= 'Z' || Invisible(r) || r == '\t' || r == '\r' {
				t.Fatalf("%q folds to %q", text, folded.Text)
			}
		}
		if strings.Contains(string(folded.Text), "  ") {
			t.Fatalf("%q folds to two spaces in a row: %q", text, folded.Text)
		}
		if bytewise := foldBytewise(text); bytewise != string(folded.Text) {
			t.Fatalf("%q folds to %q, byte by byte to %q", text, folded.Text, bytewise)
		}
		last := 0
		for i := 0; i <= len(folded.Text); i++ {
			start, end := folded.Span(i, len(folded.Text))
			if start < last || end != len(text) || start < len(text) && !utf8.RuneStart(text[start]) {
				t.Fatalf("%q: offset %d maps to %d after %d", text, i, start, last)
			}
			last = start
		}
	})
}

func BenchmarkFold(b *testing.B) {
	text := strings.Repeat("The service answered 42 requests in the last hour. ", 200)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Fold(text)
	}
}
