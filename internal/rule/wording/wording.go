// Package wording lists the ways in which a text gives orders to a model. The
// patterns are general: each describes what is said (set the earlier
// instructions aside, keep it from the user, carry data to an address) by the
// words that it needs, with room between them, and not one known sample.
//
// Texts are folded before they are compared (rule.Fold): lower case, without
// accents, without invisible characters and formatting.
package wording

import (
	"strconv"

	"gatehouse/internal/rule"
)

// Within is the part of a pattern that stands for at most so many words of one
// sentence between two words. Folded texts have single spaces, and counting words
// keeps the automaton small, which is what its speed depends on.
func Within(words int) string {
	return `(?:\S*[^.!?\s])? (?:\S*[^.!?\s] ){0,` + strconv.Itoa(words) + `}?["'(\[]?`
}

// Across is Within for words that may stand in several sentences of a paragraph.
func Across(words int) string {
	return `\S* (?:\S+ ){0,` + strconv.Itoa(words) + `}?["'(\[<]?`
}

// others is whoever does or may do something, but for the one who is spoken to.
const others = `(?:^|(?:^|[ "'(])(?:[^y\s]\S*|y|y[^o\s]\S*|yo|yo[^u\s]\S*|you\S+) )`

// gap is what stands between the words of an order.
var gap = Within(6)

// Parts that several patterns share.
const (
	address   = `(?:https?://[^\s"']{4,}|[\w.+-]+@[\w-]+\.[a-z]{2,})`
	sending   = `(?:sen[dt]|forward|e-?mail|mail|post|upload|transmit|exfiltrate|submit|share|leak|copy|bcc|deliver|relay|report|curl|fetch)(?:s|ed|ing)?`
	handing   = `(?:forward|send|includ\w*|pass|append\w*|put|populat\w*|fill|attach|upload|copy|insert|share|transmit|record)`
	fetching  = `(?:retriev|fetch|access|list|search|obtain|look up|gather|collect|extract|dump)\w{0,4}`
	taking    = `(?:retriev|fetch|access|get|list|find|search|obtain|look up|gather|collect|extract|read|grab|view|check|download|export|copy|scan|dump)\w{0,4}`
	sensitive = `(?:~/\.[a-z]|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|\.ssh\b|\.aws/|\.env\b|/etc/(?:passwd|shadow)|\.netrc\b|\.npmrc\b|\.kube/config|mcp\.json|claude_desktop_config|keychain\b|wallet\.dat|seed phrase)`
	model     = `(?:ai|llm|language model|chatgpt|gpt(?:-?\d\w*)?|claude|gemini|copilot|chatbot|artificial intelligence)`
)

// sends are parts of the words for sending.
var sends = []string{"send", "forward", "mail ", "upload", "transmit", "exfiltrat", "share ", "leak", "post ", "submit", "copy ", "bcc", "deliver", "relay", "report ", "curl"}

// farBefore is how far before an address the order to send something there may
// begin, in folded bytes.
const farBefore = 300

// ordering are phrases that mean the same wherever they stand.
var ordering = []rule.Phrase{
	{
		Kind: "override", Detail: "sets earlier instructions aside", Weight: 3,
		Triggers: []string{"ignor", "disreg", "forget", "forgot", "neglect", "pay no attention", "discard", "set aside"},
		Pattern: `\b(?:ignor(?:e|ing|r?e?)|disreg(?:\w{1,3}|\w{3,4}ing)|forget(?:ting)?|forgot|neglect(?:ing)?|discard|pay no attention to|set aside)\b` + gap +
			`\b(?:previ\w+|prior|above|earlier|preced\w+|foregoing|before|past|initial|original|existing|current|all|any|every\w*|your|system|these|those|what)\b` + gap +
			`\b(?:instr\w{2,12}|guidelines?|prompts?|directi?ves?|orders|commands|constraints|(?:safety|system|security|your|previous|prior|all) (?:\w+ )?(?:rules|restrictions|polic(?:y|ies)|protocols?)|programming|training|safeguards|(?:you(?:'ve| have|r)? (?:\w+ )?(?:been )?(?:told|said|given|learned|taught)))\b`,
		Unless: `\b(?:never|not|n't|cannot|to avoid|that|which|or|attempts?|try|tries|trying)\s+(?:to\s+)?|` + others + `(?:may|might|can|will|would|could)\s+|` + told,
	},
	{
		Kind: "override", Detail: "sets everything before aside", Weight: 3,
		Triggers: []string{"ignore ", "disregard ", "forget "},
		Pattern:  `\b(?:ignore|disregard|forget) (?:all |about |every ?thing |(?:all )?(?:of )?(?:the )?(?:text |content )?)?(?:that was |that came |you were told |i said |was said |written )?(?:the )?(?:above|before|previous|beforehand|so far)(?: (?:text|content|context|task|request|conversation|messages?|tasks|questions?|assignment|documents?|paragraphs?|directions))?(?:[.,:;!]| and | print | now | then | instead|$)|\b(?:ignore|disregard) (?:the )?user's (?:actual |real |original )?(?:request|question|instructions?|input)\b`,
		Unless:   `\b(?:never|not|n't|or|to|(?:may|can)(?: (?:just|safely|simply|also|then))?)\s+|` + others + `will\s+`,
	},
	{
		Kind: "override", Detail: "overrides rules or safety of the model", Weight: 3,
		Triggers: []string{"overrid", "bypass", "disabl", "circumvent", "supersed", "turn off", "deactivat", "remove all", "lift all", "stop following", "not follow", "n't follow", "be set aside"},
		Pattern: `\b(?:override|bypass|disable|circumvent|supersede|turn off|deactivate|remove|lift|(?:do not|don't|stop) follow(?:ing)?)\b` + gap +
			`\b(?:(?:previous|prior|your|user|system|safety|earlier)\b` + gap + `\b(?:instructions?|(?:system )prompts?|directives|guidelines|guardrails|safety (?:polic\w+|filters?|rules|guidelines|protocols?|settings))|(?:safety|content|ethical|ethics) (?:filter\w*|guideline\w*|polic\w+|constraint\w*|restriction\w*)|(?:all|any|your) safety (?:filter\w*|polic\w+|rules|guidelines|protocols?))\b|\b(?:previous|prior|earlier) instructions? (?:should|must|can|are)(?: now)? (?:be )?(?:set aside|ignored|disregarded|void|cancel\w+)`,
		Unless: `\b(?:never|not|n't|or|to|may|might|can|could|cannot|that)\s+|` + others + `(?:will|would)\s+|` + told,
	},
	{
		Kind: "new-task", Detail: "announces new instructions", Weight: 2,
		Triggers: []string{"new instruction", "new task", "new directive", "new objective", "new goal", "new system prompt", "new role", "updated instruction", "real task", "actual task", "true purpose", "new_instructions", "new-instructions", "primary directive", "new mission", "new persona", "new priority"},
		Pattern:  `\b(?:your|here are|these are|following)\b` + Within(3) + `(?:new|updated|real|actual|true|primary)[ _-](?:instructions?|task|directives?|objective|goal|system prompt|role|purpose|mission|persona|priority)\b(?: (?:is|are)\b|:)?|\b(?:new|updated)[ _-](?:system )?(?:instructions?|directives?|task|system prompt|objective)(?: for (?:you|the (?:ai|assistant|model|agent)))?\s?:|</?new[ _-]instructions?\b`,
	},
	{
		Kind: "new-task", Detail: "demands strict obedience to what follows", Weight: 2,
		Triggers: []string{"adhere to the following", "follow these instructions", "follow the following", "follow my instructions", "obey", "following instructions instead", "comply with"},
		Pattern:  `\b(?:strictly|instead|only|exactly|must|immediately)\b` + Within(3) + `\b(?:adher\w+ to|follow|obey|comply with|execute)\b` + Within(2) + `\b(?:following|these|my|this)\b` + Within(2) + `\b(?:instructions?|orders?|commands?|directives?)\b|\byou must obey\b`,
	},
	{
		Kind: "exfiltration", Detail: "asks to fetch private data and send it to an address", Weight: 3,
		Triggers: []string{"@", "http://", "https://"}, Before: farBefore, Needs: sends,
		Pattern: `\b` + taking + `\b` + Across(9) + `\b(?:my|the user'?s?|all|their|confidential|private|personal|saved|stored|credentials?|passwords?|secrets?|api[ _]keys?)\b` + Across(23) + `\b(?:sen[dt]|e-?mail|forward|mail|share|transmit|upload|post|exfiltrate|copy|submit|deliver)(?:ing|s)?\b` + Across(11) + `\b(?:to|with|at)\b` + Across(9) + address +
			`|\b(?:` + fetching + `|(?:get|download|check)(?: \S+){0,4}? (?:information|details|records?|history|data|logs?|list)) ` + Across(23) + `\b(?:and|then|also|after\w*)\b` + Across(6) + `\b(?:send|e-?mail|forward|mail|transmit|upload|exfiltrate)\b (?:it|them|this|that|these|those|the|a copy|all)\b` + Across(11) + `\b(?:to|at)\b` + Across(6) + `[\w.+-]+@[\w-]+\.[a-z]{2,}`,
	},
	{
		Kind: "exfiltration", Detail: "asks to send conversation, secrets or files to an address", Weight: 3,
		Triggers: []string{"@", "http://", "https://"}, Before: farBefore, Needs: sends,
		Pattern: `\b` + sending + `\b` + Across(11) + `\b(?:conversation|chat (?:history|log)|message history|chat messages|user'?s? (?:\w+ )?(?:data|files?|messages?|input|credentials|secrets|quer(?:y|ies)|info\w*|emails?)|every message|all (?:user )?(?:messages|emails|files|data)|api[ _-]keys?|credentials|passwords?|secrets|environment variables|env vars|private keys?|access tokens|ssh keys?|system prompt|sensitive (?:data|info\w*|files?))\b` + Across(11) + `\b(?:to|at|via)\b` + Across(9) + address,
		Unless:  `\b(?:never|not|n't|avoid|cannot)\s+`,
	},
	{
		Kind: "prompt-leak", Detail: "asks for the system prompt", Weight: 3,
		Triggers: []string{"your system prompt", "your initial", "your instructions", "your hidden", "your original", "your prompt", "your full system", "your complete system", "your entire", "your secret", "your internal", "your system instructions", "your configuration"},
		Pattern:  `\b(?:reveal|print|output|repeat|show|display|tell|share|disclose|leak|dump|give|return|include|write|send|expose|list)\b` + Within(6) + `\byour\b` + Within(3) + `\b(?:system prompt|prompt|(?:initial|hidden|secret|original|system|internal|full|complete|entire)(?: system)? (?:instructions?|prompt|message|configuration))\b`,
		Unless:   `\b(?:never|not|n't|avoid|cannot|to)\s+`,
	},
	{
		Kind: "jailbreak", Detail: "puts the model into a mode without rules", Weight: 3,
		Triggers: []string{"unrestricted mode", "developer mode", "maintenance mode", "debug mode", "god mode", "admin mode", "dan mode", "jailbr", "unrestricted", "hacker assistant", "evil ", "no restrictions", "without restrictions", "without any restrictions", "do anything now", "no longer bound", "no ethical", "unfiltered", "no longer need to follow", "free of all", "free from all", "sudo mode", "root mode"},
		Pattern:  `\byou(?: are|'re| will be)\b` + Within(6) + `\b(?:unrestricted|developer|maintenance|debug|god|admin|dan|sudo|root|jailbr\w+|unfiltered|evil|hacker)(?: \w+)? (?:mode|ai|assistant|model|version|chatbot)\b|\b(?:enter|enable|activate|switch to|operate in|act (?:as|in))\b` + Within(3) + `\b(?:unrestricted|god|dan|jailbr\w+|unfiltered) (?:mode|ai|assistant|model|chatbot)\b|\byou (?:are|can|will|may)\b` + Within(7) + `\b(?:without (?:any )?(?:restrictions|filters|limits)|no (?:restrictions|ethical \w+|filters)|do anything now|no longer bound|free (?:of|from) all)\b`,
		Unless:   `\b(?:if|when|whether)\s+`,
	},
	{
		Kind: "persona", Detail: "gives the model another role", Weight: 1,
		Triggers: []string{"you are now", "from now on", "you will now", "pretend to be", "pretend you", "act as if", "you must now", "roleplay as", "act as a", "act as an"},
		Pattern:  `\byou are now (?:a|an|the|my|in|no|free|act|operat|required)\w*\b|\bfrom now on,? (?:you|always|every|when|all|do|forward|send|respond|answer)\b|\byou (?:will|must) now\b|\bpretend (?:to be|you)\b|\bact as if\b|\broleplay as\b|\bact as an? (?:unrestricted|evil|hacker|different)`,
	},
	{
		Kind: "addressed", Detail: "speaks to the model", Weight: 2,
		Triggers: []string{"ai assistant", "ai agent", "ai model", "language model", "to the assistant", "to assistant", "to the ai", "to ai", "for ai", "for the ai", "if you are a", "dear ai", "hey ai", "attention ai", "attention:", "assistant:", "assistants:", "llm", "to the model", "to the agent", "ai reading", "ai system", "ai tool", "chatgpt", "claude", "copilot", "assistant must", "assistant should", "agents:", "for any ai"},
		Pattern: `\b(?:note|notes|message|instructions?|memo|notice|directive|hint|reminder|warning|alert|important|attention)\b ?(?:to|for):? (?:the |any |all )?(?:` + model + `(?: (?:assistants?|agents?|models?|systems?|readers?))?|assistants?|model|agents?)\b` + Within(6) + `[:,\]]` +
			`|\b(?:attention|dear|hey)[:,]? (?:all )?` + model + `\b|\bif you(?: are|'re) an? (?:` + model + `|automated|assistant|agent)\b|\b` + model + ` (?:assistants?|agents?|models?|systems?|tools?) (?:reading|processing|parsing|summari[sz]ing|handling|viewing|that read)\b|\b(?:ai )?(?:assistant|agent)s?(?: reading this| processing this)?:? (?:you )?must (?:now |also |immediately |first )?(?:send|call|forward|ignore|read|execute|include|run|use|email|upload|delete|output|reveal)`,
	},
	{
		Kind: "completion", Detail: "pretends that the task is done and gives another", Weight: 2,
		Triggers: []string{"task complete", "task is complete"},
		Pattern:  `\b(?:answer|response|result|status)\s?: task (?:is )?completed?\b`,
	},
	{
		Kind: "conversation", Detail: "asks for the conversation", Weight: 2,
		Triggers: []string{"chat", "conversation", "session history", "message history", "dialog", "transcript"},
		Pattern: `\b` + handing + `\b` + Within(6) + `\b(?:full|entire|complete|whole|all)\b(?: of)?(?: the| our| your| this)? (?:\w+ )?(?:chat|conversation|session|message|dialog(?:ue)?)s? ?(?:history|transcript|context|log|messages|so far|data)?\b` +
			`|\b` + handing + `\b` + Within(6) + `\b(?:chat|conversation|dialog(?:ue)?|transcript)\b (?:of (?:this|the) (?:chat|conversation|session) )?(?:so far|(?:up )?(?:to|until) (?:now|here|this (?:point|moment|message)))\b`,
		Unless: `\b(?:never|not|n't|avoid|cannot)\s+`,
	},
	{
		Kind: "harm", Detail: "asks for damage", Weight: 3,
		Triggers: []string{"please "},
		Pattern:  `\bplease (?:\w+ly )?(?:corrupt|hijack|sabotage|steal|exfiltrate|tamper|wipe|deploy (?:ransomware|malware|spyware)|permanently delete|execute a hijack\w*|initiate an? (?:unauthori[sz]ed|forced)|(?:obtain|gain) unauthori[sz]ed|escalate your privileges|elevate your privileges|install (?:a )?(?:backdoor|keylogger|malware))\b`,
	},
	{
		Kind: "carry", Detail: "asks to put data into an argument", Weight: 1,
		Triggers: []string{"parameter", "argument", "sidenote", " field", " variable", "as the ", "as '", "as \"", " var", "query string", "url"},
		Pattern:  `\b(?:pass|includ\w*|put|append\w*|add|plac\w+|insert|provid\w*|attach|embed|send|encod\w+)\b` + gap + `\b(?:contents?|it|its|them|data|file|value|key|keys|history|conversation|messages?|variables|secrets?|credentials?)\b` + gap + `\b(?:as|in|into|to|through|via|inside)\b` + Across(4) + `\b(?:parameter|argument|sidenote|field|var|variable|note|metadata|context|query string|url)\b`,
	},
	{
		Kind: "trigger", Detail: "asks for an action on every call", Weight: 1,
		Triggers: []string{"always ", "every time", "whenever", "each time", "each call", "every message", "every email", "also ", "then ", "before using", "before any", "before call", "after each", "after every", "automatically", "when the user ", "first,", "first ", "in order to", "before respond", "before answer", "before summar", "before doing"},
		Pattern: `\b(?:always|every time|whenever|each time|when(?:ever)? (?:this|the) tool is|must also|also|then|after each|after every|from now on|automatically|when the user (?:says|types|asks|mentions))\b` + Within(9) + `\b(?:` + sending + `|append|bcc|cc|include|call|invoke|read|attach|exfiltrate|execute|run|redirect)\b` + Within(9) + `\b(?:to|a copy|copies|all|every|any|the user|user's|contents?|also|file|tool|external|server|endpoint|webhook|it|them|this)\b` +
			`|\bbefore (?:using|calling|invoking|doing|answering|responding|summari[sz]ing|any)\b` + Within(9) + `\b(?:read|call|fetch|open|send|access|load|execute|run)\b`,
	},
	{
		Kind: "tool-order", Detail: "orders a tool to be called", Weight: 1,
		Triggers: []string{"call ", "invoke ", "execute "},
		Pattern:  `\b(?:call|invoke|execute)\b (?:the )?(?:tool |function )?["'(]?[a-z][\w.-]*[_.-]\w+["')]?(?: (?:tool|function))?\b(?: with\b| to\b| using\b|[,.:]|$)`,
		Unless:   `\b(?:never|not|n't|cannot|to avoid|can|may|could)\s+`,
	},
	{
		Kind: "transfer", Detail: "sends something to an address", Weight: 1,
		Triggers: []string{"@", "http://", "https://"}, Needs: sends,
		Pattern: `\b` + sending + `\b` + Across(14) + `\b(?:to|at|via|with)\b` + Across(9) + address,
		Unless:  `\b(?:never|not|n't|avoid|cannot)\s+`,
	},
	{
		Kind: "transfer", Detail: "sends something to an outsider", Weight: 2,
		Triggers: []string{"external ", "remote server", "third-party ", "third party "},
		Pattern:  `\b` + sending + `\b` + Within(14) + `\b(?:to|at|via|with)\b(?: \S+){0,3}? (?:external|remote|third[- ]party|unknown)(?: \w+)? (?:server|endpoint|host|service|url|webhook|address|domain|site|collector)s?\b`,
		Unless:   `\b(?:never|not|n't|avoid|cannot)\s+`,
	},
	{
		Kind: "pressure", Detail: "presses with urgency or authority", Weight: 1,
		Triggers: []string{"important!!", "urgent", "mandatory", "authorized instruction", "you must comply", "failure to comply", "this is an emergency", "critical instruction", "top priority", "highest priority", "do not question", "without question", "without validation", "without verif", "without confirm", "will crash", "will fail", "will not work", "immediately", "skip all", "skip confirmation", "get upset", "be upset", "otherwise"},
		Pattern:  `\bimportant ?!{2,}|\burgent\b[^.\n]{0,12}[:!]|\bauthorized (?:instruction|system admin\w*)|\byou must comply|\bfailure to comply|\bthis is an emergency|\bcritical (?:system )?instructions?\b|\b(?:top|highest|maximum) priority\b|\b(?:do not|without) question|\bwithout (?:validation|verif\w+|confirm\w+|asking|approval)|\b(?:tool|application|system|request|server) will (?:crash|not work|fail|be shut)|\bskip (?:all|confirmation|any)\b|\b(?:get|be|become) (?:very )?(?:upset|offended|scared|confused)`,
	},
}
