package names

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func Test_skeletons_are_equal_where_names_look_alike(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if got := Skeleton(a) == Skeleton(b); got != want {
			t.Errorf("%q and %q look alike: %v, want %v", a, b, got, want)
		}
	}
	f("send_mail", "sendMail", true)
	f("send_mail", "send-m\u0430il", true)
	f("read_file", "read_fi1e", true)
	f("read_file", "read_\u200bfile", true)
	f("read_file", "read_files", false)
}

func Test_one_edit(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if OneEdit(a, b) != want || OneEdit(b, a) != want {
			t.Errorf("%q and %q are one edit apart: want %v", a, b, want)
		}
	}
	f("github", "githib", true)
	f("github", "githubs", true)
	f("github", "gthub", true)
	f("github", "github", false)
	f("github", "gihtub", false)
}

func Test_exchanged_letters(t *testing.T) {
	for pair, want := range map[[2]string]bool{{"github", "gihtub"}: true, {"github", "github"}: false, {"github", "githbu"}: true, {"github", "gith"}: false, {"ab", "cd"}: false} {
		if Exchanged(pair[0], pair[1]) != want || Exchanged(pair[1], pair[0]) != want {
			t.Errorf("%q: want %v", pair, want)
		}
	}
}

func Test_mixed_scripts(t *testing.T) {
	for name, want := range map[string]bool{"send_mail": false, "send_m\u0430il": true, "\u043f\u043e\u0447\u0442\u0430": false, "read\u200b": true, "na\u00efve": false, "\u65e5\u672c_tool": false} {
		if MixesScripts(name) != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}

func Test_punycode(t *testing.T) {
	for encoded, want := range map[string]string{
		"mnchen-3ya": "m\u00fcnchen", "pple-43d": "\u0430pple", "wgv71a": "\u65e5\u672c", "plain-": "plain",
		"99999999": "", "a!": "", "mnchen-3": "", strings.Repeat("a", maxLabel) + "-": "",
	} {
		if got, ok := Punycode(encoded); got != want || ok != (want != "") {
			t.Errorf("Punycode(%q) = %q, %v, want %q", encoded, got, ok, want)
		}
	}
}

func Fuzz_punycode_gives_a_bounded_text(f *testing.F) {
	for _, seed := range []string{"mnchen-3ya", "wgv71a", "-", "zzzzzzzz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		if got, ok := Punycode(encoded); utf8.RuneCountInString(got) > maxLabel || !ok && got != "" {
			t.Errorf("%q: %q, %v", encoded, got, ok)
		}
	})
}
