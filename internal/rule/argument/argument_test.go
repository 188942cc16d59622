package argument

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/rule"
)

func Test_words_of_names(t *testing.T) {
	f := func(name string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, Words(name)); diff != "" {
			t.Errorf("Words(%q) (-want +got):\n%s", name, diff)
		}
	}
	f("")
	f("path", "path")
	f("search_files", "search", "files")
	f("searchFiles", "search", "files")
	f("URL", "url")
	f("mail.send-Now", "mail", "send", "now")
}

func Test_meaning_of_arguments(t *testing.T) {
	f := func(tool, key string, want Meaning) {
		t.Helper()
		if got := Of(rule.Subject{Name: tool, Key: key}); got != want {
			t.Errorf("%s(%s) is %b, want %b", tool, key, got, want)
		}
	}
	f("write_file", "path", Path)
	f("write_file", "content", Prose)
	f("write_file", "file_content", Prose)
	f("bash", "command", Command)
	f("ssh", "host", Command|Address|Atom)
	f("query", "sql", SQL)
	f("pg", "where", SQL)
	f("http_request", "body", Prose)
	f("fetch", "url", Address)
	f("web_search", "query", SQL|Search)
	f("git_checkout", "branch", Atom)
	f("", "", 0)
}

func Test_unescape_leaves_what_is_no_escape(t *testing.T) {
	for text, want := range map[string]string{"": "", "a%2Fb": "a/b", "%252e": "%2e", "100%": "100%", "%zz%4": "%zz%4", "%00": "\x00", "%+1": "%+1"} {
		if got := Unescape(text); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", text, got, want)
		}
	}
}

func Test_Narrow(t *testing.T) {
	for text, want := range map[string]string{"": "", "a; b": "a; b", "ａ；　～！": "a;　~!", "名前（二）": "名前(二)"} {
		if got := Narrow(text); got != want {
			t.Errorf("Narrow(%q) = %q, want %q", text, got, want)
		}
	}
}
