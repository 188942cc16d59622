package secretexposed

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"testing"

	"gatehouse/internal/rule"
)

// sample makes characters that a format allows after its prefix.
func sample(t *testing.T, random *rand.Rand, one token) string {
	t.Helper()
	var out strings.Builder
	if one.shape != nil {
		expression, err := syntax.Parse(one.shape().String(), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		write(&out, random, expression)
		return out.String()
	}
	alphabet := strings.Trim(one.alphabet, ".-_=+/%$")
	for out.Len() < max(one.min, 1) {
		out.WriteByte(alphabet[random.IntN(len(alphabet))])
	}
	return out.String()
}

func write(out *strings.Builder, random *rand.Rand, e *syntax.Regexp) {
	repeat := func(n int) {
		for range n {
			write(out, random, e.Sub[0])
		}
	}
	switch e.Op {
	case syntax.OpLiteral:
		out.WriteString(string(e.Rune))
	case syntax.OpCharClass:
		for {
			low := random.IntN(len(e.Rune)/2) * 2
			c := e.Rune[low] + rune(random.IntN(int(e.Rune[low+1]-e.Rune[low])+1))
			if c != '_' && c != '-' {
				out.WriteRune(c)
				return
			}
		}
	case syntax.OpAnyCharNotNL:
		out.WriteByte('k')
	case syntax.OpRepeat:
		repeat(e.Min)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		repeat(map[syntax.Op]int{syntax.OpStar: 18, syntax.OpPlus: 60, syntax.OpQuest: 1}[e.Op])
	case syntax.OpConcat:
		for _, part := range e.Sub {
			write(out, random, part)
		}
	case syntax.OpAlternate:
		write(out, random, e.Sub[0])
	case syntax.OpCapture:
		write(out, random, e.Sub[0])
	}
}

// Test_every_format_is_recognised makes each token once, in a sentence, and once cut
// short. Those of a shape or with a checksum say by themselves what they want.
func Test_every_format_is_recognised(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, one := range tokens {
		body := sample(t, random, one)
		for tries := 0; tries < 100 && (entropy(body) < 3.3 || placeholder(body) || !withDigits(body) && one.digits); tries++ {
			body = sample(t, random, one)
		}
		found := func(text string) []rule.Match {
			matches, err := Rule.Detect(rule.Subject{Surface: rule.ToolResult, Text: text})
			if err != nil {
				t.Fatal(err)
			}
			return matches
		}
		text := "use " + one.prefix + body + ", please"
		if matches := found(text); len(matches) != 1 || matches[0].Action != rule.Redact || text[matches[0].Start:matches[0].End] != one.prefix+body {
			t.Errorf("%s: %q gives %v", one.kind, one.prefix+"…", matches)
		}
		if matches := found("use " + one.prefix + body[:len(body)/3] + ", please"); len(matches) > 0 {
			t.Errorf("%s: a third of it gives %v", one.kind, matches)
		}
		if matches := found("x" + text[4:]); len(matches) > 0 && matches[0].Start < 2 {
			t.Errorf("%s: the end of a longer word gives %v", one.kind, matches)
		}
	}
}

func Test_no_prefix_hides_a_longer_one(t *testing.T) {
	seen := map[string]bool{}
	for _, one := range tokens {
		if seen[one.prefix] {
			t.Errorf("the prefix %q stands twice", one.prefix)
		}
		seen[one.prefix] = true
		if one.min == 0 || one.max < one.min || one.kind == "" {
			t.Errorf("the format %q is not complete", one.kind)
		}
	}
}

func Test_checksums_of_wallets(t *testing.T) {
	phrase := func(numbers ...int) []int { return append(make([]int, 12-len(numbers)), numbers...) }
	if !seedChecks(phrase(3)) { // the phrase of zero entropy ends in the fourth word
		t.Error("a right phrase is refused")
	}
	if seedChecks(phrase(4)) {
		t.Error("a wrong phrase is accepted")
	}
	if n := len(wordNumbers()); n != 2048 {
		t.Errorf("the list has %d words, want 2048", n)
	}
}
