package argumenturl

import (
	"testing"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

func judged(t *testing.T, key, text string) rule.Match {
	t.Helper()
	matches, err := Rule.Detect(rule.Subject{Surface: rule.Arguments, Name: "get", Key: key, Text: text})
	if err != nil || len(matches) > 1 {
		t.Fatalf("%q gives %v, %v", text, matches, err)
	}
	if len(matches) == 0 {
		return rule.Match{}
	}
	return Rule.Rated(matches[0])
}

func Test_inside_addresses_are_known_in_every_spelling(t *testing.T) {
	for _, url := range []string{
		"http://169.254.169.254/latest/meta-data/", "169.254.169.254", "http://2852039166/", "http://0xa9fea9fe/", "http://0xa9.0xfe.0xa9.0xfe/", "http://0251.0376.0251.0376/", "http://169.254.43518/", "http://[::ffff:169.254.169.254]/",
		"http://[::ffff:a9fe:a9fe]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::]/", "http://[::a9fe:a9fe]/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/", "http://METADATA.google.internal./x", "http://a@169.254.169.254/",
		"http://169.254.169.254.nip.io/", "http://x.a9fea9fe.nip.io", "http://169-254-169-254.sslip.io/", "http://169\u3002254\u3002169\u3002254/", "http://\u2460\u2465\u2468.254.169.254/", "http://%31%36%39.254.169.254/", "//169.254.169.254/x", "http:\\\\169.254.169.254\\x", "ht\ttp://169.254.169.254/",
		"http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://017700000001/", "http://[::ffff:127.0.0.1]:8080/", "http://0x7f000001", "http://10.0.0.1.nip.io/", "http://[64:ff9b::10.0.0.1]/",
		"gopher://x:6379/_FLUSHALL", "dict://127.0.0.1:11211/stat", "phar://a/b", "https://ok.example/?next=http%3A%2F%2F169.254.169.254%2F", "https://ok.example/?a=1&u=http://0x7f.1/",
	} {
		if m := judged(t, "url", url); m.Confidence < rule.Hard || m.Action != rule.Refuse {
			t.Errorf("%q gives %+v", url, m)
		}
	}
}

func Test_what_may_be_meant_is_reported(t *testing.T) {
	for _, url := range []string{
		"http://localhost:3000/", "http://127.0.0.1:8080", "http://192.168.1.10/", "http://[::1]/", "https://github.com@203.0.113.9/x", "https://xn--pple-43d.com/", "https://\u0430pple.com/", "javascript:alert(1)", "http://lvh.me/", "http://3405803785/", "https://xn--99999999.example/",
	} {
		if m := judged(t, "url", url); m.Confidence == 0 || m.Confidence >= rule.Hard {
			t.Errorf("%q gives %+v", url, m)
		}
	}
}

func Test_ordinary_addresses_are_silent(t *testing.T) {
	for _, url := range []string{
		"https://example.com/a?b=c&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb", "https://m\u00fcnchen.de/", "https://xn--mnchen-3ya.de/", "https://\u65e5\u672c.jp/", "http://8.8.8.8/", "http://[2001:db8::1]/", "https://user:pw@example.com/", "https://me@example.com/",
		"file:///tmp/x", "data:image/png;base64,AAAA", "git@github.com:a/b.git", "ssh://git@github.com/a/b", "postgres://db.example.com/x", "https://pypi.org/project/x/1.2.3.4/", "mailto:a@b.cc", "1.2.3", "12345678", "2.0", "v1.2", "example.com:443", "*.example.com", "s3://bucket/key", "notes://1", "https://twitter.com/@name.com",
	} {
		if m := judged(t, "url", url); m.Confidence != 0 {
			t.Errorf("%q gives %+v", url, m)
		}
	}
	if m := judged(t, "content", "http://169.254.169.254/"); m.Confidence != 0 {
		t.Errorf("a text gives %+v", m)
	}
	if m := judged(t, "version", "0x7f.1"); m.Confidence != 0 {
		t.Errorf("a version gives %+v", m)
	}
}
