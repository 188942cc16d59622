package secretexposed

import (
	"hash/crc32"
	"strings"
	"testing"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

// made is a token with a true checksum, put together here so that no file holds
// one.
func made() string { return issued("Q7vK2mZ9xL4pT8bN3cR6wY1sD5fG0h") }

func issued(random string) string {
	alphabet := digits + letters
	sum, check := crc32.ChecksumIEEE([]byte(random)), ""
	for range 6 {
		check = string(alphabet[sum%62]) + check
		sum /= 62
	}
	return "gh" + "p_" + random + check
}

func Test_checksum_tells_a_token_from_a_look_alike(t *testing.T) {
	token := made()
	if !checksum(token[4:]) {
		t.Error("a true checksum is refused")
	}
	if checksum(token[4:len(token)-1] + "!") {
		t.Error("a false checksum is accepted")
	}
}

// One token in some thousands looks like a placeholder by chance.
func Test_a_true_checksum_is_no_placeholder(t *testing.T) {
	found := func(token string) int {
		matches, err := Rule.Detect(rule.Subject{Surface: rule.ToolResult, Text: "token " + token})
		if err != nil {
			t.Fatal(err)
		}
		return len(matches)
	}
	token := issued("pUOlaj80UXXxxXJEfAg9LccH8ydsqN")
	if found(token) != 1 {
		t.Error("a token with a true checksum and xxxx in it is not found")
	}
	if found(token[:len(token)-1]+"-") != 0 {
		t.Error("a placeholder without a checksum is found")
	}
}

func Test_no_match_repeats_the_secret(t *testing.T) {
	token := made()
	for _, surface := range []rule.Surface{rule.ToolResult, rule.Arguments, rule.ToolDefinition} {
		matches, err := Rule.Detect(rule.Subject{Surface: surface, Text: "token " + token})
		if err != nil || len(matches) != 1 {
			t.Fatalf("got %v, %v", matches, err)
		}
		if m := matches[0]; strings.Contains(m.Detail+m.Replacement, token[4:12]) {
			t.Errorf("%v repeats the secret", m)
		}
	}
}

func Test_a_server_may_have_its_own_secret_and_no_other(t *testing.T) {
	f := func(subject rule.Subject, refused bool) {
		t.Helper()
		subject.Surface, subject.Text = rule.Arguments, "use "+made()
		matches, err := Rule.Detect(subject)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(matches) == 1 && matches[0].Action == rule.Refuse; got != refused {
			t.Errorf("refused is %v for %+v", got, subject)
		}
	}
	f(rule.Subject{}, true)
	f(rule.Subject{Owner: "notes npx notes-server"}, true)
	f(rule.Subject{Owner: "gh npx github-server"}, false)
	f(rule.Subject{Known: []string{made()}}, false)
	f(rule.Subject{Known: []string{"", "other"}}, true)
}
