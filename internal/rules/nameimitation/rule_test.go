package nameimitation

import (
	"testing"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

func judged(t *testing.T, subject rule.Subject) rule.Match {
	t.Helper()
	subject.Surface = rule.ToolDefinition
	matches, err := Rule.Detect(subject)
	if err != nil || len(matches) > 1 {
		t.Fatalf("%+v gives %v, %v", subject, matches, err)
	}
	if len(matches) == 0 {
		return rule.Match{}
	}
	return Rule.Rated(matches[0])
}

func Test_disguised_names_wait_for_a_person(t *testing.T) {
	for _, name := range []string{"read_fi1e", "send_m\u0430il", "read\u200b_file", "0penai_chat", "g00gle_search", "git\u04bbub_search", "create_pu11_request"} {
		if m := judged(t, rule.Subject{Key: "name", Name: name, Text: name}); m.Confidence < rule.Hard {
			t.Errorf("%q gives %+v", name, m)
		}
	}
}

func Test_near_names_are_reported(t *testing.T) {
	for _, name := range []string{"githib_search", "gihtub_create_issue", "microsft_login", "supabse_query", "official_github_login", "github-verified", "anthropci_chat"} {
		if m := judged(t, rule.Subject{Key: "name", Name: name, Text: name}); m.Confidence == 0 || m.Confidence >= rule.Hard {
			t.Errorf("%q gives %+v", name, m)
		}
	}
}

func Test_ordinary_names_are_silent(t *testing.T) {
	for _, name := range []string{
		"read_file", "readFile", "read-file", "ReadFile", "github_search", "GitHubSearch", "stripes", "strike_price", "figures", "slacks", "motion_detect", "docket_search", "list_directory", "verify_email", "official_journal_search", "real_estate_search", "mongo_find", "gits", "suche_\u00fcbersicht", "\u043f\u043e\u0438\u0441\u043a", "get_h1_text", "s3_list",
	} {
		if m := judged(t, rule.Subject{Key: "name", Name: name, Text: name}); m.Confidence != 0 {
			t.Errorf("%q gives %+v", name, m)
		}
	}
	if m := judged(t, rule.Subject{Key: "name", Name: "github-official", Text: "github-official", Owner: "npx github mcp server"}); m.Confidence != 0 {
		t.Errorf("a server of the brand gives %+v", m)
	}
}
