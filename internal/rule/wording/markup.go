package wording

import "gatehouse/internal/rule"

// Markup is the kind of marks that imitate those of a conversation.
const Markup = "role-markup"

const (
	// token is what only a chat template writes.
	token = `(?:<\|(?:im_start|im_end|im_sep|system|user|assistant|start_header_id|end_header_id|eot_id|eom_id|begin_of_text|endofprompt|endoftext|channel|message|start|end|return|call)\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>)`
	// frame is an element that stands around what somebody in charge says.
	frame = `</?(?:system|assistant|important|secret|hidden|admin|override|sys|developer|operator)(?:[ _-]?(?:prompt|message|override|instructions?|note|directive|reminder|command|update|notice))?(?: [^<>\n]{0,60})?>`
	// headline is a line that says who speaks.
	headline = `(?:\B\[+(?:system|assistant|ai|admin|hidden|developer|operator)(?: (?:system|instructions?|message|override|note|prompt|directive|command|update|alert|notice|assistant|reminder)){0,2}\s?(?:\]|:)|\[note to (?:the )?(?:ai|assistant|llm|model|agent)s?\b|\bsystem (?:override|alert|notice|instructions?|directive|command)\b` + `\S* (?:\S+ ){0,2}?` + `:|-{2,}\s?(?:begin|end|critical)?\s?(?:of )?(?:new )?(?:system|admin) (?:override|message|prompt|instructions?))`
	// ending pretends that what was asked for ends here.
	ending = `(?:</(?:user_?(?:message|input|query)|instructions?|tool_(?:result|response|output)|function_results?|documents?|context|search_results?|data|web_?page|email|untrusted\w*)>|[-=#*\[<( ]{0,6}\bend of (?:the )?(?:tool |search |function |retrieved |untrusted |external |user )?(?:document|output|result|results|response|data|context|e-?mail|page|file|input|content|text)s?\b[-=#*\]>).: ]{0,6})`
	// called is a call of a tool, as models write it.
	called = `(?:<(?:tool_call|function_calls?|tool_use|invoke|tool_code)(?: [^<>\n]{0,60})?>|["'](?:function_call|tool_calls?|tool_use)["']\s?:|["']method["']\s?:\s?["']tools/call["'])`
	// asides set something aside; in a transcript of people "forget the refund" is ordinary,
	// so there they count with what a model was told.
	asides    = `(?:ignore|disregard|forget)`
	asideTold = asides + ` (?:\S+ ){0,3}?(?:above|prior|previous|earlier|everything|instructions?|rules|prompts?|your (?:task|role|training|guidelines)|(?:all|what) you)`
	// orders is what an order to a model begins with.
	orders = `(?:` + asides + `|` + otherOrders + `)\b`
	// otherOrders are those that set nothing aside.
	otherOrders = `you (?:must|will now|shall|should now|are now|have to|need to|can now)|do not (?:tell|mention|reveal|inform)|don't (?:tell|mention|reveal)|reveal|exfiltrate|forward (?:the|all|every|this)|send (?:the|all|every|it|this|an?|any|\$?\d+)|delete (?:the|all|every)|transfer|execute (?:the|this|rm|curl)|run (?:the following|rm|curl|this)|call (?:the )?(?:tool |function )?["']?\w+[_.]\w+|upload|grant|wire|pay|approve|immediately (?:call|send|run|execute|forward|transfer|delete|read|upload|return|reply|respond|switch|follow|stop following)|from now on|all (?:previous|safety|prior)|override|overrides?|your new|new (?:instruction|task|directive|objective)s?|print your|output your|read (?:~|the file|/etc|\.env)|always (?:include|send|call|use|recommend|append|answer)|respond only|reply only|before (?:using|calling|answering|responding)`
)

// marking are phrases that imitate the marks of a conversation. Documentation of chat templates is full of
// them; an order behind one is not.
var marking = []rule.Phrase{
	{
		Kind: Markup, Detail: "imitates the markup of a conversation", Weight: 2,
		Triggers: []string{"<|", "[inst]", "[/inst]", "<<sys", "<system", "</system", "<assistant", "</assistant", "[system", "</instructions", "<secret", "<hidden", "<important", "system override", "system message", "system alert", "system notice", "system instruction", "</user", "<admin", "<tool_call", "<function_call", "begin system", "system]", "<override", "[assistant", "[ai ", "[admin", "<sys", "[[system", "[hidden", "</tool_", "</function_result", "</document", "</context", "<tool_use", "[note to", "hidden instruction", "hidden directive", "secret instruction", "<developer", "_of_turn>", "<operator", "[developer", "[operator"},
		Pattern: `\b(?:hidden|secret) (?:instruction|directive)s?\b ?[\[:(]|` + token + `|` + frame + `|</(?:user_?(?:message|input|query)|instructions?|tool_(?:result|response|output)|function_results?|document|context)>|<(?:tool_call|function_calls?|tool_use)>` +
			`|` + headline + `|(?:^|[.!?\n] ?)(?:end )?system (?:instructions?|override)[ #\n]`,
	},
	{
		Kind: Markup, Detail: "imitates the markup of a conversation around an order", Weight: 3,
		Triggers: []string{"<|", "[inst]", "<<sys", "<system", "[system", "<secret", "<hidden", "<important", "system override", "system message", "system alert", "system notice", "system instruction", "<admin", "begin system", "system]", "<override", "[assistant", "[ai ", "[admin", "<sys", "[[system", "[hidden", "[note to", "<developer", "_of_turn>", "<operator", "[developer", "[operator", "<assistant"},
		Pattern:  `(?:` + token + `|` + frame + `|` + headline + `)` + `[^\s]* ?(?:(?:system|user|assistant|developer|final|message|:|role|header)\S* ?){0,3}(?:\S+ ){0,8}?["'(\[<]?\b` + orders,
	},
	{
		Kind: Markup, Detail: "pretends that the text ends, and gives an order", Weight: 3,
		Triggers: []string{"</user", "</instructions", "</tool_", "</function_result", "</document", "</context", "</search_result", "</data>", "</webpage", "</web_page", "</email", "</untrusted", "end of "},
		Pattern:  ending + `\S* ?(?:\S+ ){0,6}?["'(\[<]?(?:\b` + orders + `|` + token + `|` + frame + `)`,
	},
	{
		Kind: Markup, Detail: "imitates the call of a tool", Weight: 1, Alone: true,
		Triggers: []string{"<tool_call", "<function_call", "<tool_use", "<invoke", "<tool_code", "function_call\"", "tool_calls\"", "tool_call\"", "tool_use\"", "tools/call"},
		Pattern:  called,
	},
	{
		Kind: Markup, Detail: "imitates the turns of a conversation", Weight: 2,
		Triggers: []string{"human:", "assistant:", "system:"},
		Pattern:  `(?:^|[.!?\n"'] ?)(?:(?:human|user|assistant|system): (?:\S+ ){0,8}?["'(\[<]?\b(?:` + asideTold + `|` + otherOrders + `)\b)`,
		Unless:   `\b(?:operating|file|the|a|your|our|this)\s+`,
	},
}
