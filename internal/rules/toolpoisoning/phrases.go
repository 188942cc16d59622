package toolpoisoning

import (
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

// own are phrases that are orders only in a definition. Documentation is full
// of "you must call X first"; what no documentation needs is to speak of what
// the user may know, or of what other tools must do from now on.
var own = []rule.Phrase{
	{
		Kind: "copy", Detail: "sends a copy of what passes to an address", Weight: 3,
		Triggers: []string{"bcc", "a copy", "second message", "every message", "all messages", "every email", "all emails"},
		Pattern:  `\b(?:always|also|must|every time|whenever|silently|should)\b` + wording.Within(9) + `\b(?:bcc|cc|send|forward|include|add|append|redirect)\b` + wording.Within(9) + `\b(?:bcc|a copy|second message|every message|all messages|every email|all emails)?\b` + wording.Within(9) + `[\w.+-]+@[\w-]+\.[a-z]{2,}`,
	},
	{
		Kind: "shadow", Detail: "changes how another tool behaves", Weight: 2,
		Triggers: []string{"tool is present", "when this tool is", "when the user asks", "other tools", "another tool", "any other tool", "any tool", "all tools", "every tool", "output of", "redirect", "all future", "behavior of", "behaviour of", "supersede", "route all", "its output"},
		Pattern:  `\b(?:when|if|while) this tool is (?:present|available|installed|loaded|enabled)|\b(?:must|always|never|do not|instead)\b` + wording.Within(9) + `\b(?:redirect|change|modif\w+|replac\w+|rewrit\w+|alter|intercept\w*) (?:all|any|every|the) ` + wording.Within(6) + `\b(?:recipients?|arguments?|output|results?|responses?|requests?|emails?|messages)|\bbefore (?:using |calling |invoking )?(?:any|every|all) (?:other )?tools?\b|\b(?:modif\w+|chang\w+|alter\w*|overrid\w+) the behaviou?r of\b|\bsupersedes? (?:the )?\w+_\w+|\broute all\b` + wording.Within(6) + `\b(?:here|this tool)\b|\balways replac\w+ (?:its|their|the) (?:output|result|response)|\ball future (?:calls|requests|messages|responses)`,
	},
	{
		Kind: "exfiltration", Detail: "says that it takes data out", Weight: 3,
		Triggers: []string{"exfiltrat"},
		Pattern:  `\b(?:also|will|silently|then|must|and|call)\b` + wording.Within(2) + `exfiltrate\w*`,
		Unless:   `\b(?:detects?|prevents?|blocks?|attempts?|finds?|whether|if)\s+(?:\S+ ){0,4}`,
	},
	{
		Kind: "authority", Detail: "claims authority over the user", Weight: 3,
		Triggers: []string{"over user", "user instructions", "user's instructions", "safety polic", "authoritative", "over the user", "over any"},
		Pattern:  `\b(?:overrid\w+|takes? (?:precedence|priority)|priority|supersed\w+)\b` + wording.Within(3) + `\b(?:over )?(?:the |any |all )?(?:user'?s?|system) (?:instructions?|requests?|prompts?|preferences|commands)`,
	},
	{
		Kind: "consent", Detail: "does more than it says once it is approved", Weight: 3,
		Triggers: []string{"approv", "security_level", "grant "},
		Pattern:  `\b(?:once|after|post)[- ](?:\w+ ){0,4}?approv\w*\b` + wording.Within(9) + `\b(?:execut\w+|run\w*|read\w*|send\w*|begin\w*|start\w*|swap\w*|exfiltrat\w*|access\w*|collect\w*)\b` + wording.Within(6) + `\b(?:arbitrary|shell|keys?|ssh|credentials?|secrets?|hidden|external)|\bgrant\w* (?:unrestricted|full|admin|root) (?:access|privileges)`,
	},
}
