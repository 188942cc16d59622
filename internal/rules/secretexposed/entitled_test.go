package secretexposed

import (
	"strings"
	"testing"

	"gatehouse/internal/rule"
)

// A switch in the environment of a server must not open the way for every token in
// which its value happens to stand.
func Test_a_short_configured_value_speaks_for_no_token(t *testing.T) {
	token := made()
	text := "https://somebody:" + token + "@host.example/"
	for known, refused := range map[string]bool{
		"": true, token[10:11]: true, token[10:17]: true, // as DEBUG=1 does
		token: false, "Bearer " + token: false, "somebody:" + token: false,
	} {
		for _, shown := range []string{"use " + token, text} {
			matches, err := Rule.Detect(rule.Subject{Surface: rule.Arguments, Text: shown, Known: []string{known}})
			if err != nil {
				t.Fatal(err)
			}
			got := false
			for _, m := range matches {
				got = got || m.Action == rule.Refuse && strings.Contains(shown[m.Start:m.End], token)
			}
			if got != refused {
				t.Errorf("%q with the configured value %q: refused is %v, want %v", shown, known, got, refused)
			}
		}
	}
}
