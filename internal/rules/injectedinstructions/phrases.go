package injectedinstructions

import (
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

// own are phrases that belong in a question to a model, not in an answer of a
// server.
var own = []rule.Phrase{
	{
		Kind: "answer", Detail: "says how the model must answer", Weight: 2,
		Triggers: []string{"your response", "your answer", "your reply", "your output", "your summary", "the response", "your final", "your report", "your translation"},
		Pattern: `\b(?:add|append|includ\w*|insert|render|embed|put|incorporat\w*|prepend|mention|end|begin|start|finish|conclude|attach|modify|alter)\b` + wording.Within(9) + `\b(?:in|to|into|of|with|at|as|within)\b` + wording.Within(3) + `\byour (?:final )?(?:response|answer|reply|output|summary|report|translation)s?\b` +
			`|\b(?:end|begin|start|finish|conclude) (?:each|every|all|any)?` + wording.Within(2) + `\b(?:response|answer|reply|output|summary)s? with\b`,
	},
	{
		Kind: "user-redirect", Detail: "makes the model send the user somewhere", Weight: 2,
		Triggers: []string{"tell the user", "tell users", "inform the user", "instruct the user", "ask the user", "convince the user", "say to the user", "advise the user", "urge the user", "recommend the user"},
		Pattern:  `\b(?:tell|inform|instruct|convince|urge|advise|ask) (?:the )?users?\b` + wording.Within(11) + `(?:\b(?:visit|go to|click|download|install|log ?in|reset|enter|provide|send|buy|share|pay)\b` + wording.Across(11) + `(?:https?://|www\.|\.com\b|password|credentials|link)|\bcompromised)`,
	},
	{
		Kind: "answer-code", Detail: "puts code into the model's answer", Weight: 3,
		Triggers: []string{"following code", "subsequent code", "code below", "following snippet", "following script"},
		Pattern:  `(?:^|[.!?:\n] ?|^ ?)(?:\w+ly )?\w+ (?:\w+ ){0,4}?(?:following|subsequent) (?:code )?(?:code|snippet|script)(?: (?:excerpt|snippet|block|segment|fragment|section|piece|example))?\b` + wording.Within(6) + `\byour (?:\w+ )?(?:response|answer|solution|code|codebase|algorithm|implementation|explanation|elucidation|reply|output|program|project|logic)\b`,
	},
}
