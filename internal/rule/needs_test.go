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

// FuzzRequirements holds requirements to their promise: what a pattern matches
// has a literal of each set.
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
	})
}
