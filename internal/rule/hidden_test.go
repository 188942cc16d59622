package rule

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

type part struct{ How, Text string }

func hiddenParts(text string) (all []part) {
	subject := Subject{Text: text}
	for _, p := range subject.HiddenParts() {
		all = append(all, part{p.How.String(), text[p.Start:p.End]})
	}
	return all
}

func Test_HiddenParts(t *testing.T) {
	f := func(text string, want ...part) {
		t.Helper()
		if diff := cmp.Diff(want, hiddenParts(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	f("")
	f("plain text, a < b > c, <b>bold</b> <p style='color: black'>x</p> [link](https://x.y) [1]: see")
	f("a <!-- b --> c <!-- d", part{Comment.String(), "<!-- b -->"}, part{Comment.String(), "<!-- d"})
	for _, attribute := range []string{
		`style="display:none"`, `style="color:red; DISPLAY : none !important"`, `style='visibility:hidden'`, `style="opacity:0"`, `style="opacity:0.00"`, `style="font-size:0px"`, `style="width:0;height:0"`,
		`style="position:absolute;left:-9999px"`, `style="text-indent: -1000em"`, `style="color:#fff"`, `style="color: white"`, `style="color:transparent"`, `style="color:rgba(0, 0, 0, 0)"`, `style="clip:rect(0 0 0 0)"`,
		"hidden", "hidden=hidden", "HIDDEN", `aria-hidden="true"`, "class=x hidden id=y",
	} {
		text := "<div " + attribute + ">in <div>it</div></div>"
		f("a "+text+" b", part{Unshown.String(), text})
	}
	for _, attribute := range []string{`style="display:block"`, `style="opacity:0.5"`, `style="width:10px"`, `style="background-color:white"`, `style="color:#ff0000"`, `style="left:-3px"`, `hidden=false`, `aria-hidden=false`, `class="hidden"`} {
		f("a <div " + attribute + ">x</div> b")
	}
	f("<font color=white>x</font><font size='0'>y</font><font color=red>z</font>", part{Unshown.String(), "<font color=white>x</font>"}, part{Unshown.String(), "<font size='0'>y</font>"})
	f("<template>x</template><SCRIPT>y</SCRIPT>", part{Inert.String(), "<template>x</template>"}, part{Inert.String(), "<SCRIPT>y</SCRIPT>"})
	f("<input hidden>x", part{Unshown.String(), "<input hidden>"})
	f("<p hidden>x", part{Unshown.String(), "<p hidden>x"})
	f(`<img alt="a > b" src=x title=it data-note='n' class="c">`, part{Attribute.String(), "a > b"}, part{Attribute.String(), "it"}, part{Attribute.String(), "n"})
	f("[//]: # (note)\nx\n[comment]: <> (y)\n[a]: https://x.y \"t\"\n[b]: z", part{MarkdownComment.String(), "[//]: # (note)"}, part{MarkdownComment.String(), "[comment]: <> (y)"}, part{LinkTitle.String(), "t"})
	f(`![alt](p.png) ![](q.png) [l](u "title") [l](u 'other')`, part{AltText.String(), "alt"}, part{LinkTitle.String(), "title"}, part{LinkTitle.String(), "other"})
}

func Test_Hidden(t *testing.T) {
	const text = `see <p hidden>one <!-- two --> three</p> four <img alt="five"> six`
	subject := Subject{Text: text}
	for word, want := range map[string]bool{"see": false, "one": true, "two": true, "three": true, "four": false, "five": true, "six": false} {
		at := strings.Index(text, word)
		if got := subject.Hidden(at, at+len(word)); got != want {
			t.Errorf("%s: %v", word, got)
		}
	}
}

// What is hidden around something encoded hides it, too.
func Test_Hidden_of_what_is_encoded(t *testing.T) {
	hidden := map[string]bool{}
	l := NewLiterals(Lowercase, "ignore all", "of it")
	r := Rule{ID: "r", Literals: []*Literals{l}, Detect: func(s Subject) ([]Match, error) {
		if s.Depth > 0 {
			s.Each(l, func(literal, start, end int) {
				start, end = s.Folded().Span(start, end)
				hidden[l.Words()[literal]] = s.Hidden(start, end)
			})
		}
		return nil, nil
	}}
	text := "<!-- " + code("please ignore all the rest") + " --> " + code("the words of it here")
	if _, err := NewReader([]Rule{r}).Detect(Subject{Text: text}, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"ignore all": true, "of it": false}, hidden); diff != "" {
		t.Error(diff)
	}
}

var hostileMarkup = []string{"<", "<!--", "<a ", `<a b="`, `<a x="<a y='`, `x="<a `, "<p hidden>", "</p>", "[", "![", "](", `](a "`, "\n[a]: b", "\n[", "![a](", "<a b='", "<p style=\"color:"}

func Test_HiddenParts_are_linear(t *testing.T) {
	elapsed := func(text string) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			hiddenParts(text)
			best = min(best, time.Since(start))
		}
		return best
	}
	for _, piece := range hostileMarkup {
		small, large := elapsed(strings.Repeat(piece, 1<<14/len(piece))), elapsed(strings.Repeat(piece, 1<<17/len(piece)))
		if large > 100*time.Millisecond && large > 28*small {
			t.Errorf("%q: %v, then %v", piece, small, large)
		}
	}
}

func FuzzHiddenParts(f *testing.F) {
	for _, piece := range hostileMarkup {
		f.Add(strings.Repeat(piece, 3) + " x>")
	}
	f.Add(`<img alt="x" hidden> [a](b "c") <script>`)
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip()
		}
		subject := Subject{Text: text}
		last := 0
		for _, p := range subject.HiddenParts() {
			if p.Start < last || p.End <= p.Start || p.End > len(text) || !utf8.RuneStart(text[p.Start]) || p.End < len(text) && !utf8.RuneStart(text[p.End]) {
				t.Fatalf("%q: %v after %d", text, p, last)
			}
			last = p.Start
			if !subject.Hidden(p.Start, p.End) || !subject.Hidden(p.End-1, p.End) {
				t.Fatalf("%q: %v is not hidden", text, p)
			}
		}
	})
}
