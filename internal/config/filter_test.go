package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func Test_a_filter_passes_what_is_allowed_and_not_denied(t *testing.T) {
	tests := []struct {
		filter Filter
		passes string
		not    string
	}{
		{Filter{}, "anything", ""},
		{Filter{Allow: []string{"read_*"}}, "read_file read_", "write_file xread_file READ_file"},
		{Filter{Deny: []string{"write_*", "*_all"}}, "read_file all", "write_file delete_all _all"},
		{Filter{Allow: []string{"*"}, Deny: []string{"write_*"}}, "read_file", "write_file"},
		{Filter{Allow: []string{"write_file"}, Deny: []string{"write_file"}}, "", "write_file read_file"},
		{Filter{Allow: []string{"a*b*c"}}, "abc aXbYc abcbc", "ab acb bc xabc abcx"},
		{Filter{Allow: []string{"aa*a"}}, "aaa aaxa", "aa a"},
	}
	for _, test := range tests {
		for _, name := range strings.Fields(test.passes) {
			if !test.filter.Passes(name) {
				t.Errorf("%+v does not pass %q", test.filter, name)
			}
		}
		for _, name := range strings.Fields(test.not) {
			if test.filter.Passes(name) {
				t.Errorf("%+v passes %q", test.filter, name)
			}
		}
	}
}

func Test_patterns_that_match_nothing_are_named(t *testing.T) {
	f := Filter{Allow: []string{"read_*", "lst_*"}, Deny: []string{"*_file", "*x"}}
	if diff := cmp.Diff([]string{"lst_*", "*x"}, f.Unmatched([]string{"read_file", "list"})); diff != "" {
		t.Error(diff)
	}
}

// A pattern means what the regular expression means that has .* in place of *.
func FuzzMatchPattern(f *testing.F) {
	f.Add("a*b*c", "aXbYc")
	f.Add("*", "")
	f.Add("**a", "a")
	f.Add("aa*a", "aa")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 64 || strings.ContainsRune(name, '\n') {
			return
		}
		want, err := regexp.Compile("^(?s:" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + ")$")
		if err != nil {
			return // not UTF-8
		}
		if got := matchPattern(pattern, name); got != want.MatchString(name) {
			t.Errorf("%q and %q: %v", pattern, name, got)
		}
	})
}
