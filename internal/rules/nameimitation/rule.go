// Package nameimitation recognises names that are made to be taken for others, and
// names that claim what nobody has confirmed.
package nameimitation

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
	"gatehouse/internal/rule/names"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:         "name-imitation",
	Title:      "Name that imitates a well-known one or claims to be confirmed",
	Severity:   rule.High,
	Confidence: reported,
	Surfaces:   rule.Definitions,
	Refs:       []string{"OWASP-MCP09:2025", "SAFE-T1004", "SAFE-T1405", "SAFE-T1406", "CWE-1007", "CWE-451"},
	Doc:        doc,
	Literals:   []*rule.Literals{claims},
	Detect:     detect,
}

const (
	certain  = 0.95 // nobody names a thing so by accident
	likely   = 0.75
	reported = 0.6 // a word that is near by chance

	// maxName is the longest text that is taken for a name, in bytes.
	maxName = 256
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	if subject.IsKey || subject.Text == "" {
		return nil, nil
	}
	if len(subject.Text) <= maxName && (subject.Key == "name" && subject.Text == subject.Name || subject.Key == "title") {
		if confidence, detail := imitates(subject.Text, subject.Key == "name", subject.Owner+" "+subject.Server); detail != "" {
			return []rule.Match{{Start: 0, End: len(subject.Text), Confidence: confidence, Detail: detail}}, nil
		}
		return nil, nil
	}
	return claimed(&subject), nil
}

// imitates says what a name imitates. The owner is who runs the server, as far as it
// is known: a server of GitHub may call itself so.
func imitates(name string, isName bool, owner string) (float64, string) {
	parts := strings.FieldsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || r < 0x80 && strings.ContainsRune("_-. /:,;()[]{}<>|`*#\"'\t\n", r)
	})
	if slices.ContainsFunc(parts, names.MixesScripts) { // a word of another script beside others is ordinary
		return certain, "a name with letters of another script, or with some that nobody sees"
	}
	words := argument.Words(name)
	if isName {
		if tool := official(name); tool != "" {
			return certain, "a name that looks like the well-known tool " + tool
		}
		if len(words) >= 2 && slices.ContainsFunc(words, func(w string) bool { return slices.Contains(titles, w) }) {
			if brand := brandAmong(words); brand != "" && !strings.Contains(owner, brand) {
				return likely, "a name that claims to be the real one of " + brand
			}
		}
	}
	for _, word := range words {
		if brand, confidence := near(word); brand != "" {
			return confidence, "a name that is nearly " + brand
		}
	}
	return 0, ""
}

// titles are words by which a name claims to be the right one.
var titles = []string{"official", "verified", "genuine", "legit", "authentic", "trusted", "certified", "original"}

// official is the well-known tool that a name is disguised as: the same to the eye,
// and not the same in letters and digits. Case and separators are a matter of taste.
func official(name string) string {
	tool, found := tools()[names.Skeleton(name)]
	if !found || strings.EqualFold(separators.Replace(name), separators.Replace(tool)) {
		return ""
	}
	return tool
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

// tools are names of tools of widely used servers, by their skeletons.
var tools = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for _, name := range strings.Fields(`read_file read_text_file read_media_file read_multiple_files write_file edit_file create_directory list_directory list_directory_with_sizes directory_tree move_file search_files get_file_info list_allowed_directories
		create_entities create_relations add_observations delete_entities delete_observations delete_relations read_graph search_nodes open_nodes sequentialthinking
		git_status git_diff_unstaged git_diff_staged git_diff git_commit git_add git_reset git_log git_create_branch git_checkout git_show git_branch
		get_file_contents create_or_update_file push_files create_repository fork_repository create_branch create_issue create_pull_request merge_pull_request search_repositories search_code search_issues list_commits list_issues update_issue add_issue_comment get_issue get_pull_request
		slack_list_channels slack_post_message slack_reply_to_thread slack_add_reaction slack_get_channel_history slack_get_users send_email send_message send_mail gmail_send_email search_emails
		browser_navigate browser_click browser_snapshot browser_take_screenshot browser_type browser_evaluate puppeteer_navigate puppeteer_screenshot puppeteer_click puppeteer_evaluate
		execute_sql execute_query run_query read_query write_query list_tables describe_table get_table_schema list_databases brave_web_search brave_local_search web_search google_search fetch_url
		execute_command run_command run_terminal_cmd list_projects create_payment_link list_customers create_customer create_invoice get_current_time convert_time resolve_library_id get_library_docs`) {
		all[names.Skeleton(name)] = name
	}
	return all
})

// brands are names that people trust, long enough to have no neighbours by chance.
var brands = strings.Fields("github gitlab bitbucket google microsoft anthropic openai atlassian confluence salesforce dropbox cloudflare supabase postgres postgresql mongodb playwright puppeteer linkedin telegram whatsapp shopify hubspot airtable datadog kubernetes stripe paypal coinbase binance metamask filesystem perplexity elasticsearch snowflake databricks bigquery figma notion slack gmail discord docker")

// skeletons are those of the brands, in their order.
var skeletons = sync.OnceValue(func() (all []string) {
	for _, brand := range brands {
		all = append(all, names.Skeleton(brand))
	}
	return all
})

// shortBrand is the length below which a name has neighbours that are words.
const shortBrand = 6

func brandAmong(words []string) string {
	for _, word := range words {
		if slices.Contains(brands, word) {
			return word
		}
	}
	return ""
}

// near finds the brand that a word is meant to be taken for: written with digits, with
// one letter wrong, or with two exchanged.
func near(word string) (string, float64) {
	if len(word) < shortBrand-1 || slices.Contains(ordinary, word) || slices.Contains(brands, word) {
		return "", 0
	}
	skeleton := names.Skeleton(word)
	for i, brand := range brands {
		switch {
		case skeleton == skeletons()[i]:
			return brand, certain
		case len(brand) >= shortBrand && word[0] == brand[0] && (len(brand) > shortBrand || len(word) == len(brand)) && names.OneEdit(word, brand) && !inflected(word, brand), len(brand) >= shortBrand && names.Exchanged(word, brand):
			return brand, reported
		}
	}
	return "", 0
}

// inflected says whether a word is another one with an ending.
func inflected(word, brand string) bool {
	return strings.HasPrefix(word, brand) || strings.HasPrefix(brand, word)
}

// ordinary are words that are near a brand.
var ordinary = []string{"stripes", "striped", "striper", "strips", "goggle", "figure", "strike", "posture", "telegraph", "dockers", "docket", "docked", "locker", "rocker", "gitlabs", "datalog", "filesystems"}

// claims are what a definition says of itself to be trusted.
var claims = rule.NewLiterals(rule.Lowercase, "verified", "certified", "approved by", "audited by", "endorsed", "officially", "security team", "pre-approved", "preapproved", "whitelisted", "allowlisted")

const (
	claimReach = 120 // around a word of a claim, in folded bytes
	whole      = `\b(?:this|the) (?:tool|server|plugin|extension|connector|integration|mcp server|function) `
)

var claim = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(whole + `(?:\w+ ){0,2}(?:is|has been|was) (?:\w+ ){0,3}(?:verified|certified|approved|audited|endorsed|pre-?approved|white-?listed|allow-?listed)(?: \w+){0,3} by (?:the )?(?:anthropic|openai|microsoft|google|github|apple|amazon|claude|cursor|security team|your (?:administrator|company|organi[sz]ation)|platform|system|vendor)\b`)
})

var unasked = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b(?:no|without|skip|not? need(?:ed)?|unnecessary|never|do not|don't)\b[^.\n]*\b(?:confirm\w*|approval|review|permission|consent|ask(?:ing)?|check\w*|warn\w*|verif\w+|scan\w*)\b`)
})

// claimed finds claims to be confirmed by somebody who is trusted. A claim that also
// says what need not be asked is there for the model, not for people.
func claimed(subject *rule.Subject) []rule.Match {
	if !subject.Holds(claims) {
		return nil
	}
	var matches []rule.Match
	folded, done := subject.Folded(), 0
	subject.Each(claims, func(literal, start, end int) {
		if start < done {
			return
		}
		from, to := max(0, start-claimReach), min(len(folded.Text), end+claimReach)
		at := claim().FindIndex(folded.Text[from:to])
		if at == nil {
			return
		}
		done = from + at[1]
		confidence, detail := reported, "claims to be confirmed by somebody who is trusted"
		if unasked().Match(folded.Text[max(0, from-claimReach):min(len(folded.Text), to+claimReach)]) {
			confidence, detail = certain, detail+", so that nobody is asked"
		}
		first, last := folded.Span(from+at[0], from+at[1])
		matches = append(matches, rule.Match{Start: first, End: last, Confidence: confidence, Detail: detail})
	})
	return matches
}
