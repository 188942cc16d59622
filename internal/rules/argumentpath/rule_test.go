package argumentpath

import (
	"testing"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

func judged(t *testing.T, key, text string) rule.Match {
	t.Helper()
	matches, err := Rule.Detect(rule.Subject{Surface: rule.Arguments, Name: "read_file", Key: key, Text: text})
	if err != nil || len(matches) > 1 {
		t.Fatalf("%q gives %v, %v", text, matches, err)
	}
	if len(matches) == 0 {
		return rule.Match{}
	}
	return Rule.Rated(matches[0])
}

func Test_what_no_honest_caller_writes_is_refused(t *testing.T) {
	for _, path := range []string{
		"..%2f..%2fetc", "%2e%2e/%2e%2e/x", "..%252f..%252fx", "%252e%252e%252fx", "..%c0%afx", "%c0%ae%c0%ae/x", "..%u2215x", "\uff0e\uff0e/x", "..\u2215x", "..%5c..%5cx", "..%5Cx", "&#46;&#46;/x",
		"....//....//etc", "..;/admin", "a/../../etc/passwd", "../../../etc/passwd", `..\..\windows\win.ini`, "/srv/data/../../etc/shadow",
		"report.txt\x00.png", "report.txt%00.png", "file.php::$DATA",
		"/etc/shadow", "/proc/self/environ", "file:///proc/self/environ", "/var/run/secrets/kubernetes.io/serviceaccount/token", `C:\Windows\System32\config\SAM`, "../.ssh/id_rsa",
	} {
		if m := judged(t, "path", path); m.Confidence < rule.Hard || m.Action != rule.Refuse {
			t.Errorf("%q gives %+v", path, m)
		}
	}
}

func Test_what_a_person_may_ask_for_is_reported(t *testing.T) {
	for _, path := range []string{
		"~/.ssh/id_rsa", "/home/me/.aws/credentials", "/etc/passwd", ".env", "/app/.env", "../../../../x", "/a/../../x", `\\10.0.0.9\share\x`, `\\?\C:\x`, "logs/nul", "~/.kube/config", "/home/u/.config/google-chrome/Default/Login Data",
	} {
		if m := judged(t, "path", path); m.Confidence == 0 || m.Confidence >= rule.Hard {
			t.Errorf("%q gives %+v", path, m)
		}
	}
}

func Test_ordinary_paths_are_silent(t *testing.T) {
	for _, path := range []string{
		"/tmp/x", "/", ".", "..", "../README.md", "../../shared/style.css", "src/app/main.go", "./...", "docs/2024...final.md", "C:\\Users\\me\\notes.txt", "/etc/hosts", "/etc/nginx/nginx.conf",
		"a%20b/c.txt", "100%/x", "/dev/null", "~/.ssh/config", "~/.ssh/id_rsa.pub", ".envrc", ".env.example", "environment/.envs", "https://example.com/a/../b?next=%2Fhome", "file:///home/me/a%20b.txt",
		"/usr/share/.../x", "console.log", "nullable/aux_data.csv", "community/com10.txt", "//server/path", "org/repo", "photo\u2024jpg", "名前/ファイル.txt", "and / or", "1/2",
	} {
		if m := judged(t, "path", path); m.Confidence != 0 {
			t.Errorf("%q gives %+v", path, m)
		}
	}
}

func Test_texts_for_people_are_silent(t *testing.T) {
	for _, key := range []string{"content", "body", "message", "description", "search"} {
		if m := judged(t, key, "../../../etc/passwd"); m.Confidence != 0 {
			t.Errorf("%s gives %+v", key, m)
		}
	}
}

func Fuzz_decoding_ends_and_never_grows_much(f *testing.F) {
	for _, seed := range []string{"..%2f", "%25%32%65", "\u2025", "%", "&#46;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		plain, encoded := decode(path)
		if len(plain) > len(path) {
			t.Errorf("%q became longer: %q", path, plain)
		}
		if !encoded && plain != path {
			t.Errorf("%q changed to %q without being encoded", path, plain)
		}
		if route := follow(plain); route.climbs < 0 || route.climbs > len(plain)/2 {
			t.Errorf("%q goes up %d times", plain, route.climbs)
		}
	})
}
