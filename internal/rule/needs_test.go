package rule

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func requirementsOf(t *testing.T, pattern string) [][]string {
	t.Helper()
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	return requirements(parsed)
}

func Test_requirements(t *testing.T) {
	f := func(pattern string, want ...[]string) {
		t.Helper()
		if diff := cmp.Diff(want, requirementsOf(t, pattern)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
	f(`ignore`, []string{"ignore"})
	f(`ignore.{0,9}rules\b`, []string{"ignore"}, []string{"rules"})
	f(`(?:ignore|forget) (?:your )?\w+`, []string{"ignore", "forget"})
	f(`(?:send it|by mail|upload.{3}quickly)`, []string{"send it", "by mail", "quickly"})
	f(`(?:(?:transmitting|send) files|leak it)`, []string{" files", "leak it"})
	f(`(?:words )+(?:more ){2}(?:none )*(?:none ){0,3}(?:none )?`, []string{"words "}, []string{"more "})
	f(`(?:please|\d+) stop`, []string{" stop"})
	f(`an|of`)             // too common
	f(`(?i)ignore`)        // other letters fold to these
	f("ignore\\x{fffd}it") // any wrong byte matches it
	f(`(?:ignore|)`)
	f(`\w+@\w+`)
}

func Test_sequences(t *testing.T) {
	f := func(pattern string, want ...sequence) {
		t.Helper()
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, sequences(parsed)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
	f(`get.{0,9}(?:my|all).*?to \S+@`, sequence{{"get"}, {"my", "all"}, {"to "}, {"@"}})
	f(`\b(?:send (?:it|me)|by mail|to) now`, sequence{{"send "}, {"it", "me"}, {" now"}}, sequence{{"by mail", "to"}, {" now"}})
	f(`(?:in order)+(?:not ){2}(?:here ){0,3}(?:there)?`, sequence{{"in order"}, {"not "}})
	f(`(?:please|\d+) stop`, sequence{{" stop"}})
	f(`a|of`, nil)
	f(`(?i)ignore`, nil)
	f(`(?:aa.bb|cc.dd|ee.ff)(?:aa.bb|cc.dd|ee.ff)(?:aa.bb|cc.dd|ee.ff)`, // the last would make too many
		sequence{{"aa"}, {"bb"}, {"aa"}, {"bb"}}, sequence{{"aa"}, {"bb"}, {"cc"}, {"dd"}}, sequence{{"aa"}, {"bb"}, {"ee"}, {"ff"}},
		sequence{{"cc"}, {"dd"}, {"aa"}, {"bb"}}, sequence{{"cc"}, {"dd"}, {"cc"}, {"dd"}}, sequence{{"cc"}, {"dd"}, {"ee"}, {"ff"}},
		sequence{{"ee"}, {"ff"}, {"aa"}, {"bb"}}, sequence{{"ee"}, {"ff"}, {"cc"}, {"dd"}}, sequence{{"ee"}, {"ff"}, {"ee"}, {"ff"}})
}

func Test_a_sequence_is_held_in_order(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if got := (sequence{{"send", "sen"}, {"d all", "to"}, {"@"}}).heldBy(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
	f("send to a@b", true)
	f("send all@", true) // with the shorter of two words
	f("to send a@b", false)
	f("@ send to", false)
	f("send it@", false)
	f("", false)
}

// FuzzRequirements holds requirements to their promise: what a pattern matches
// has a literal of each set, and one of the sequences.
func FuzzRequirements(f *testing.F) {
	f.Add(`(?:ignore|forget|(?:un)?learn(?:ed){1,2}) (?:all|your) rules?`, "please unlearneded your rule")
	f.Add(`(?:send|sent|sending)+.{0,5}?(?:mail|male)`, "sendsent by mail")
	f.Add(`(?i)stop|halt|(?:wait){2}`, "waitwait")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		compiled, err := regexp.Compile(pattern)
		if err != nil || len(pattern) > 200 {
			t.Skip()
		}
		match := compiled.FindString(text)
		if !compiled.MatchString(text) {
			t.Skip()
		}
		for _, set := range requirementsOf(t, pattern) {
			if !slices.ContainsFunc(set, func(word string) bool { return strings.Contains(match, word) }) {
				t.Errorf("%q matches %q without any of %q", pattern, match, set)
			}
		}
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if all := sequences(parsed); !anyHeldBy(match, all) {
			t.Errorf("%q matches %q without any of %q", pattern, match, all)
		}
	})
}
