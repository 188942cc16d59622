package wording

import "gatehouse/internal/rule"

// Concealment is the kind of phrases that keep something from the user.
const Concealment = "secrecy"

// person is whom something is kept from.
const person = `(?:users?|human|operator|customer|victim|owner|anyone|anybody|him|her|them)`

// told stands before what somebody else is told, or may do: a report, and no order.
const told = `\b(?:advice|orders|requests|attempts?|instructions|asked|told|led|tries|trying|try|whether|how|which|who|agents? that|texts? that|tools? that|attackers?|malware|(?:instructs?|instructing|instructed|tells|telling|asks|asking|tricks?|tricking|causes?|causing|manipulates?|makes|making) (?:it|them|the \w+|an? \w+|\w+s))\s+(?:to\s+|not\s+|could\s+|may\s+|might\s+|can\s+)*`

// concealing are the ways to keep something from the user. "Never show internal ids to
// the user" is ordinary in a definition: what is certain is about this very text, or
// about what the user may know.
var concealing = []rule.Phrase{
	{
		Kind: Concealment, Detail: "asks to hide something from the user", Weight: 2,
		Triggers: []string{"the user", "tell the", "tell any", "inform", "mention", "notify", "alert the", "disclos", "reveal", "user's knowledge", "user knowing", "keep this", "secret from", "user must not", "user should not", "user know", "without telling", "without asking", "acknowledg", "without notif", "aware of", "show to user", "show to the user", "to users", "human must", "human should", "human need", "person must", "person should", "person need", "person does", "human does"},
		Pattern: `\b(?:do not|don't|never|must not|should not|shouldn't|without|avoid|refrain from|not to|no need to)\b` + Within(3) + `\b(?:tell|telling|inform\w*|mention\w*|reveal\w*|notify\w*|alert\w*|disclos\w*|letting|let|acknowledg\w*|warn\w*|asking|report\w*|say\w*|describ\w*|explain\w*)\b` + Within(7) + `\b` + person + `\b` +
			`|\b(?:do not|don't|never) (?:show|display)(?: (?:this|it|that|these|them))?(?: text| message| instructions?)? to (?:the )?users?\b` +
			`|\bwithout\b` + Within(3) + `\b(?:user|human|owner)(?:'s)?\b` + Within(2) + `\b(?:know\w*|consent|notic\w+|approval|permission|aware\w*|confirm\w+)` +
			`|\b(?:keep|hide|conceal)\b` + Within(6) + `\b(?:secret|hidden|from)\b` + Within(1) + `\b(?:the |your )?(?:user|human)\b|\b(?:user|human) (?:must|should|does|need|will|shall) ?(?:not|never|n't)\b` + Within(2) + `\b(?:know|see|notice|learn|be (?:told|informed|aware|notified)|find out)` +
			`|\bperson (?:must|should|does|need) ?(?:not|never|n't)\b(?: need)?(?: to| ever)? (?:know|see|notice|learn|hear|be (?:told|informed|aware|notified)|find out)(?: of| about)? (?:this|these|any of this|that you)\b`,
		Unless: told,
	},
	{
		Kind: Concealment, Detail: "asks to keep this very order from the user", Weight: 3,
		Triggers: []string{"mention", "reveal", "disclos", "tell the", "tell your", "inform the", "notify the", "alert the", "acknowledg", "let the user", "warn the", "letting the", "say nothing", "say anything"},
		Pattern: `\b(?:do not|don't|never|must not|without|refrain from|avoid|nor)\b(?: (?:ever|then|also|under any circumstances))?,? (?:mention\w*|reveal\w*|disclos\w*|acknowledg\w*|say\w*)(?: (?:any of|about|anything about|that you (?:did|do|used|read|saw|sent|received)))? (?:this|these|it|anything about (?:this|it))\b(?: (?:instructions?|steps?|tool|text|note|message|step|action|transfer|request|call|order|part|rule|check|detail)s?)*(?: (?:at all|anywhere|in any way))?(?:,? (?:to|in front of|when \w+ to|in your (?:answer|reply|response|summary) to) (?:the |your )?` + person + `\b)` +
			`|\b(?:do not|don't|never|must not|without|refrain from)\b(?: (?:ever|then|also))? (?:tell\w*|inform\w*|notify\w*|alert\w*|warn\w*|let(?:ting)?)\b (?:the |your |any )?` + person + `\b (?:about|of|that you|know (?:about|that|of)) (?:this|these|it|the (?:instruction|order|transfer|copy|step|request|message|upload)\w*|(?:have|are|did|were|sent|read|used|called|saw|do)\b)` +
			`|\bsay (?:nothing|not a word) (?:about|of) (?:this|it|these)\b`,
		Unless: `\b(?:if you|unless you)\s+`,
	},
	{
		Kind: Concealment, Detail: "asks to keep a secret from the user", Weight: 3,
		Triggers: []string{"from the user", "from the human", "from your user", "from the owner", "from the operator", "user must not", "user should not", "user must never", "user should never", "user shall not", "user does not need to know", "user doesn't need to know", "user need not know"},
		Pattern: `\b(?:keep|hide|hiding|conceal|withhold|mask)\w*\b (?:this|these|it|that|the (?:instruction|call|transfer|request|fact|copy|order|step|message|upload|action|tool|following|real|true|actual)\w*|what you (?:do|did|read|sent|send))\b` + Within(4) + `\bfrom (?:the|your) (?:user|human|owner|operator)\b` +
			`|\b(?:the|your) (?:user|human) (?:must|should|shall|may) (?:not|never) (?:know|notice|learn|find out|be (?:told|informed|aware|notified)|become aware)\b(?: (?:of|about|that) (?:this|it|these|you|the (?:instruction|call|transfer|copy|request))|[.,;!]|$)` +
			`|\b(?:user|human) (?:does not|doesn't|need not|needn't)(?: need)?(?: to)? know (?:about |of )?(?:this|it|that)\b`,
		Unless: `\b(?:attacks?|malware|attackers?|may|might|can|could|prevents?|detects?|even|risks?|never|not|n't)\s+(?:\S+ ){0,4}`,
	},
	{
		Kind: Concealment, Detail: "asks to act unnoticed", Weight: 2,
		Triggers: []string{"silent", "secretly", "covert", "quietly", "discreet", "invisibly", "stealth", "without mentioning", "surreptitious", "inconspicuous"},
		Pattern:  `\b(?:silently|secretly|covertly|quietly|discreetly|invisibly|stealthily|surreptitiously|inconspicuously)[ ,]+(?:\w+ ){0,3}?(?:send|forward|copy|append|includ|call|upload|read|add|attach|post|bcc|pass|execut|run|invok|collect|record|transmit|email|insert|exfiltrat|log|redirect|replac|writ|modif|delet)\w*|\b(?:send|forward|copy|append|include|call|upload|transmit|exfiltrate|redirect)\w*\b` + Within(7) + `\b(?:silently|secretly|covertly|quietly|discreetly)\b|\bwithout mentioning (?:this|it|that|these)`,
		Unless:   told,
	},
	{
		Kind: Concealment, Detail: "asks to say nothing to others", Weight: 2,
		Triggers: []string{"between us", "between you and me", "nothing happened", "nothing has happened", "nothing is wrong", "nothing had", "nothing unusual"},
		Pattern: `\b(?:keep|leave|stay\w*|remain\w*)\b(?: \S+){0,4}? (?:strictly |just |only )?between (?:us|you and me)\b` +
			`|\b(?:act|behave|continue|respond|reply|proceed|carry on|go on|pretend|answer)\b(?: \S+){0,2}? (?:as (?:if|though)|like|that) nothing (?:(?:has|had|ever) )?(?:happened|is wrong|was wrong|unusual|was changed|changed)\b`,
		Unless: told,
	},
	{
		Kind: Concealment, Detail: "asks to act in the background", Weight: 1, Alone: true,
		Triggers: []string{"in the background", "behind the scenes", "under the hood", "without a word"},
		Pattern:  `\b(?:then|also|and|please|must|should|first)\b` + Within(2) + `\b(?:send|forward|copy|call|upload|read|post|transmit|fetch|run|execute|collect)\b` + Within(9) + `\b(?:in the background|behind the scenes|under the hood|without a word)\b|\b(?:in the background|behind the scenes|without a word),? (?:then |also |please )?(?:send|forward|copy|call|upload|read|post|transmit|collect)\b`,
	},
	{
		Kind: Concealment, Detail: "asks to hide something from the user, in German", Weight: 3,
		Triggers: []string{"nutzer", "anwender", "behalte das fur", "behalte dies fur"},
		Pattern: `\b(?:sag|sage|erzahle?|erwahne?|verrate?|informiere?|melde|offenbare?)\b` + Within(5) + `\b(?:be)?(?:nutzer|anwender)\w*\b` + Within(3) + `\b(?:nicht|nichts|kein\w*)\b` +
			`|\b(?:sag|sage|erzahle?|erwahne?|verrate?|informiere?|melde|offenbare?)\b` + Within(3) + `\b(?:nicht|nichts)\b` + Within(4) + `\b(?:be)?(?:nutzer|anwender)\w*` +
			`|\bohne das{1,2}z? (?:der|die|es der) (?:be)?(?:nutzer|anwender)\w*\b` + Within(3) + `\b(?:be)?(?:merk|erfahr|weis|mitbekomm|mitkrieg)\w*` +
			`|\bohne (?:das )?wissen (?:des|der) (?:be)?(?:nutzer|anwender)\w*|\b(?:verheimlich|verschweig|verbirg|verberge)\w*\b` + Within(4) + `\b(?:be)?(?:nutzer|anwender)\w*|\bbehalte (?:das|dies) fur dich\b`,
	},
	{
		Kind: Concealment, Detail: "asks to hide something from the user, in French", Weight: 3,
		Triggers: []string{"utilisateur", "usager"},
		Pattern: `\bn(?:e |')(?:en |le |la |les |lui |l')?(?:dites|dis|mentionne\w*|parle\w*|revele\w*|informe\w*|previens|prevenez|signale\w*|avertis\w*)\b` + Within(6) + `(?:\bl')?(?:utilisateur|usager)\w*` +
			`|\b(?:sans que)\b` + Within(2) + `(?:\bl')?(?:utilisateur|usager)\w* (?:ne |n'|s'en )?(?:le |l'|en )?(?:sache|voie|remarque|apercoive|apprenne|doute)\w*|\b(?:a l'insu de|sans en informer|sans en parler a|sans prevenir|sans le dire a)\b` + Within(2) + `(?:\bl')?(?:utilisateur|usager)\w*|\b(?:cache|cachez|dissimule|dissimulez)\b` + Within(4) + `(?:\bl')?(?:utilisateur|usager)\w*`,
	},
	{
		Kind: Concealment, Detail: "asks to hide something from the user, in Spanish", Weight: 3,
		Triggers: []string{"usuario", "usuaria"},
		Pattern: `\bno (?:se lo |le |lo |les )?(?:digas?|menciones?|reveles?|informes?|avises?|cuentes?|notifiques?)\b` + Within(6) + `\busuari\w+` +
			`|\bsin que\b` + Within(2) + `\busuari\w+\b` + Within(3) + `\b(?:sepa|note|entere|perciba|dee? cuenta)\w*|\bsin (?:avisar|informar|decirselo|mencionarlo|contarselo)\b` + Within(3) + `\busuari\w+|\b(?:oculta|ocultalo|ocultaselo|ocultale|esconde|escondelo|escondele)\b` + Within(4) + `\b(?:al|del|a la|de la) usuari\w+`,
	},
	{
		Kind: Concealment, Detail: "asks to hide something from the user, in Chinese", Weight: 3,
		Triggers: []string{"用户", "用戶", "使用者"},
		Pattern: `(?:不要|别|勿|不得|切勿|请勿|禁止)[^。!?\n]{0,10}?(?:告诉|告訴|告知|透露|提及|提到|通知|说明给)[^。!?\n]{0,6}?(?:用户|用戶|使用者)` +
			`|(?:不要|别|勿|切勿)(?:向|对|跟|和|让)(?:用户|用戶|使用者)[^。!?\n]{0,6}?(?:提及|提到|透露|说起|知道|察觉|发现|告知)|(?:瞒着|瞞著|背着)(?:用户|用戶|使用者)|(?:在)?(?:用户|用戶|使用者)(?:毫)?不知情`,
	},
	{
		Kind: Concealment, Detail: "asks to hide something from the user, in Russian", Weight: 3,
		Triggers: []string{"пользовател"},
		Pattern: `не (?:говори|сообщай|упоминай|рассказывай|раскрывай|уведомляй|информируй)\S*[^.!?\n]{0,40}?пользовател` +
			`|(?:без ведома|втайне от|незаметно для|тайком от|скрой от|скрывай от|утаи от)[^.!?\n]{0,24}?пользовател|пользовател\S* не (?:долж\S+|нужно) (?:знать|узнать|заметить)`,
	},
}
