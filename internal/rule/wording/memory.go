package wording

import "gatehouse/internal/rule"

// Memory is the kind of phrases that want to outlast the conversation.
const Memory = "memory"

const (
	memoryFile = `(?:claude\.md|agents\.md|gemini\.md|\.cursorrules|\.cursor/rules|\.windsurfrules|\.clinerules|copilot-instructions(?:\.md)?|memory\.md|soul\.md|system prompt|custom instructions)`
	memory     = `(?:(?:your|the (?:ai|assistant|agent|model)'s|its|long[- ]term|persistent|permanent|core)(?: \w+)? (?:memory|memories|knowledge base)|memory (?:bank|store|file|tool)|` + memoryFile + `)`
	stores     = `(?:save|store|add|write|append|record|commit|persist|put|insert|note|update|edit|modify|remember)`
	lasting    = `(?:(?:in|for|during|across|to) (?:all|every|any|each)(?: \w+)? (?:future|subsequent|later|coming|upcoming|new)? ?(?:conversations?|sessions?|chats?|requests?|responses?|answers|replies|interactions|tasks|messages|queries)|from (?:now on|this (?:point|moment|message) (?:on|onwards?|forward))|going forward|henceforth|from here on(?: out)?|for (?:all future|ever|good|all time)|forever|permanently|until (?:told|instructed) otherwise|every time (?:the user|you|someone))`
	rules      = `(?:always|never|you must|you should|must (?:always|never)|do not|don't|only|send|forward|bcc|cc|recommend|prefer|trust|approve|skip|ignore|route|use|treat|answer|respond|include|call|add|refuse|recommending|assume|tell|say|start|begin|end|insert)`
	leads      = `[,:;]? (?:\S+ ){0,6}?`
)

// remembering are the ways to plant an order for later. A server with a memory says that
// it stores things for later, too: what tells them apart is that the thing is an order.
var remembering = []rule.Phrase{
	{
		Kind: Memory, Detail: "wants an order kept in the memory", Weight: 3,
		Triggers: []string{"your memory", "your long", "long-term memory", "long term memory", "persistent memory", "permanent memory", "core memory", "'s memory", "its memory", "your memories", "'s memories", "your knowledge base", "memory bank", "memory store", "memory file", "memory tool", "claude.md", "agents.md", "gemini.md", ".cursorrules", ".cursor/rules", ".windsurfrules", ".clinerules", "copilot-instructions", "system prompt", "custom instructions", "soul.md"},
		Pattern: `\b` + stores + `\b` + Within(8) + `\b(?:to|in|into|on|with|of)\b` + Within(2) + memory + `\b` + `(?: \S+){0,3}?` + `[,:;.]? ?["'(]?(?:that |this: ?|the following: ?|and )?(?:\S+ ){0,7}?\b(?:always|never|you must|must always|must never|from now on|in (?:all|every) future|is (?:trusted|authori[sz]ed|approved|allowed|safe)|are (?:trusted|authori[sz]ed|approved|allowed|safe)|(?:has|have) (?:pre-?)?(?:approved|authori[sz]ed|agreed|consented))\b` +
			`|\b` + stores + ` (?:this|these|it|the following)(?: \w+){0,3} (?:instructions?|rules?|orders?|directives?|policy|note|line|text|message)?s? ?(?:to|in|into) ` + memory + `\b` + Within(8) + `\b(?:so that|so it|and (?:follow|obey|apply|use)|for (?:all|every|any)|every|always|permanently)\b` +
			`|\b` + memory + `\b[^.!?\n]{0,40}?\b(?:that|:) (?:\S+ ){0,4}?(?:the user|user|owner) (?:has |have )?(?:wants?|prefers?|agreed|approved|authori[sz]ed|consents?|pre-?approved)\b[^.!?\n]{0,60}?\b(?:all|any|every|without|always|never)\b`,
		Unless: `\b(?:can|could|may|might|never|not|n't|lets? you|allows? you to|used to|attackers?)\s+(?:\S+ ){0,2}`,
	},
	{
		Kind: Memory, Detail: "gives an order for all that comes later", Weight: 3,
		Triggers: []string{"from now on", "from this point", "from this moment", "going forward", "henceforth", "from here on", "all future", "every future", "any future", "future conversation", "future session", "future response", "future request", "future answer", "future interaction", "future chat", "subsequent request", "subsequent response", "subsequent conversation", "until told otherwise", "until instructed otherwise"},
		Pattern: `(?:^|[.!?:;"'\n(] ?|\b(?:that|and|remember|note|important|please),? )(?:in (?:all|every|any) future (?:\w+ )?(?:conversations?|sessions?|chats?|requests?|responses?|answers|interactions|messages|tasks|replies)|for (?:all|every|any) (?:future|subsequent) (?:\w+ )?(?:conversations?|sessions?|chats?|requests?|responses?|answers|interactions|messages|tasks)|from (?:now on|this (?:point|moment|message) (?:on|onwards?|forward)|here on(?: out)?)|going forward|henceforth|until (?:told|instructed) otherwise)` +
			`,? (?:you (?:must|should|will|shall|have to)|always|never|all (?:e-?mails?|messages|payments?|answers|responses|requests|files|code|links|transfers?)|every (?:answer|response|message|e-?mail|payment|request|reply|file)|every time (?:you|i|the user|a user|someone)|whenever|when(?:ever)? (?:the|a|any) user|when asked|send|forward|bcc|route|recommend|trust|treat|approve|answer|respond|reply|call|include|append|begin|start|end|ignore|skip|do not|don't|the user (?:wants|prefers|has))\b` +
			`|\b(?:always|never|you must|must|must never|remember to)\b` + Within(8) + `\b(?:in|for|during|across) (?:all|every|any) (?:your )?(?:future|subsequent|later) (?:conversations?|sessions?|chats?|requests?|responses?|answers|interactions|messages)\b`,
		Unless: `\b(?:if|unless)\s+(?:\S+ ){0,3}`,
	},
	{
		Kind: Memory, Detail: "wants something remembered for good", Weight: 2,
		Triggers: []string{"remember", "memoriz", "memoris", "permanent", "keep in mind", "forever", "store ", "save "},
		Needs:    []string{"future", "permanent", "forever", "from now on", "across session", "going forward", "every session", "every conversation", "all conversation", "all session", "henceforth", "always"},
		Pattern:  `(?:^|[.!?:;"'\n(] ?|\b(?:and|please|must|you should|also|then) )(?:remember|memori[sz]e|keep in mind|store|save|note)\b` + Within(8) + `\b(?:permanently|forever|for (?:all )?future|in (?:all|every|any) future|across (?:all )?(?:sessions|conversations|chats)|from now on|going forward|henceforth|for (?:every|each|all) (?:session|conversation|chat)s?)\b|\bremember (?:this |that )?(?:forever|permanently|always)\b|\bremember,? (?:that )?(?:you|the user|user)\b` + Within(4) + `\b(?:always|never|must|has approved|has authori[sz]ed|wants all|pre-?approved)\b`,
	},
	{
		Kind: Memory, Detail: "wants a file of standing instructions changed", Weight: 1, Alone: true,
		Triggers: []string{"claude.md", "agents.md", "gemini.md", ".cursorrules", ".cursor/rules", ".windsurfrules", ".clinerules", "copilot-instructions", "custom instructions", "your memory", "long-term memory"},
		Pattern:  `(?:^|[.!?:;\n] ?|\b(?:and|please|must|also|then|now) )(?:add|append|write|insert|save|put|record|update|edit|modify|store|commit)\b` + Within(9) + `\b(?:to|in|into|at the (?:top|end) of)\b` + Within(2) + memory + `|(?:^|[.!?:;\n] ?|\b(?:and|please|must|also|then|now) )(?:update|edit|modify|overwrite|replace|change) (?:the |your )?(?:\S+ ){0,2}?` + memory,
	},
	{
		Kind: Memory, Detail: "gives an order for all that comes later, in German", Weight: 3,
		Triggers: []string{"ab jetzt", "ab sofort", "von nun an", "von jetzt an", "kunftig", "merke dir", "merk dir", "gedachtnis", "dauerhaft"},
		Pattern: `\b(?:ab jetzt|ab sofort|von nun an|von jetzt an|in zukunft|(?:in|bei|fur) (?:allen|alle|jeder|jedem) (?:zu)?kunftigen \w+)\b` + Within(7) + `\b(?:immer|stets|nie|niemals|jede\w*|alle\w*|musst du|sollst du)\b` +
			`|\bmerke? dir\b` + Within(8) + `\b(?:immer|dauerhaft|fur (?:immer|alle|die zukunft)|kunftig|stets|nie|niemals|ab jetzt)\b|\b(?:speichere?|schreibe?|trage?|nimm|lege?|sichere?)\b` + Within(7) + `\b(?:gedachtnis|langzeitgedachtnis|langzeitspeicher)\w*`,
	},
	{
		Kind: Memory, Detail: "gives an order for all that comes later, in French", Weight: 3,
		Triggers: []string{"desormais", "dorenavant", "a partir de maintenant", "a l'avenir", "futures conversations", "conversations futures", "memorise", "retiens", "retenez", "memoire"},
		Pattern: `\b(?:desormais|dorenavant|a partir de maintenant|a l'avenir|dans toutes (?:les|tes|vos) (?:futures conversations|conversations futures|prochaines \w+))\b` + Within(8) + `\b(?:toujours|jamais|tu dois|vous devez)\b` +
			`|\b(?:memorise|memorisez|retiens|retenez|souviens-toi|n'oublie pas)\b` + Within(8) + `\b(?:toujours|jamais|pour toujours|definitivement|a l'avenir|desormais)\b|\b(?:enregistre|enregistrez|sauvegarde|ecris|inscris|ajoute|ajoutez)\b` + Within(7) + `\b(?:ta|votre|sa) memoire\b`,
	},
	{
		Kind: Memory, Detail: "gives an order for all that comes later, in Spanish", Weight: 3,
		Triggers: []string{"a partir de ahora", "de ahora en adelante", "en adelante", "en el futuro", "conversaciones futuras", "futuras conversaciones", "recuerda", "memoriza", "tu memoria", "su memoria"},
		Pattern: `\b(?:a partir de (?:ahora|este momento)|de ahora en adelante|en lo sucesivo|en todas las (?:conversaciones futuras|futuras conversaciones))\b` + Within(8) + `\b(?:siempre|nunca|jamas|debes)\b` +
			`|\b(?:recuerda|recuerde|memoriza|memorice)\b` + Within(8) + `\b(?:para siempre|permanentemente|siempre debes|de ahora en adelante|en el futuro|nunca|siempre)\b|\b(?:guarda|guarde|graba|anade|escribe|almacena)\b` + Within(7) + `\b(?:tu|su) memoria\b`,
	},
	{
		Kind: Memory, Detail: "gives an order for all that comes later, in Chinese", Weight: 3,
		Triggers: []string{"从现在起", "从现在开始", "從現在起", "從現在開始", "从今以后", "今后", "以后所有", "以后每次", "永远记住", "永久记住", "请记住", "记忆", "記憶"},
		Pattern: `(?:从现在起|从现在开始|從現在起|從現在開始|从今以后|今后|以后所有|以后每次)[^。!?\n]{0,24}?(?:始终|总是|永远|必须|一律|都要|不要|不得|務必|务必|每次)` +
			`|(?:永远|永久|请)记住[^。!?\n]{0,24}?(?:始终|总是|永远|必须|一律|今后|以后)|(?:保存|写入|存入|存储|添加|记录)(?:到|在|进)?(?:你的|您的|长期|永久|持久)[^。!?\n]{0,4}?(?:记忆|記憶)|(?:把|将|將)[^。!?\n]{1,24}?(?:保存|写入|存入|存储|添加|记录)(?:到|在|进)?(?:你的|您的|长期|永久|持久)?[^。!?\n]{0,4}?(?:记忆|記憶)`,
	},
	{
		Kind: Memory, Detail: "gives an order for all that comes later, in Russian", Weight: 3,
		Triggers: []string{"с этого момента", "отныне", "впредь", "с сегодняшнего дня", "запомни", "память", "памяти", "будущих"},
		Pattern: `(?:с этого момента|отныне|впредь|во всех будущих \S+)[^.!?\n]{0,60}?(?:всегда|никогда|кажд|все |ты долж|вы долж|обязательно|не )` +
			`|запомни\S*[^.!?\n]{0,60}?(?:навсегда|всегда|никогда|впредь|отныне|на будущее)|(?:сохрани|запиши|добавь|внеси|занеси)\S*[^.!?\n]{0,60}?(?:в (?:свою |твою |вашу )?(?:долговременную |постоянную |долгосрочную )?память)`,
	},
}
