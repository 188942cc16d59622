package wording

import "gatehouse/internal/rule"

// Secrets is the kind of phrases that are after credentials.
const Secrets = "sensitive"

const (
	// keyFile is what holds credentials and has no other use.
	keyFile = `[~$%\w/\\.{}:-]*?(?:\.ssh\b|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|\.aws/cred|\.aws\b|\.gnupg\b|\.netrc\b|\.git-credentials\b|\.npmrc\b|\.pypirc\b|\.pgpass\b|\.docker/config|\.kube/config|/etc/shadow\b|mcp\.json\b|claude_desktop_config|\bkeychain\b|\bwallet\.dat|\bwallet file|cookies\.sqlite|\bcookie (?:store|jar|database|file)|\b(?:browser|session|login|saved|stored) cookies\b|\b(?:saved|stored) (?:passwords|logins)\b|\bpassword (?:manager|store|vault)|\bprintenv\b|gcloud/(?:credentials|application)|solana/id\.json|(?:bash|zsh)_history)`
	// file is that, or what often holds them besides other things.
	file = `(?:` + keyFile + `|~/\.[a-z]|(?:^|[\s"'/(])\.env\b|/etc/passwd\b|\bprocess\.env\b|\bos\.environ\b|\b(?:all|every|each|full|complete|whole|current|your|list of|the user's|names and values of)(?: \w+){0,3} (?:environment variables?|env vars?|environment)\b|database_url\b|\bkubeconfig\b)`

	reads = `\b(?:read|open|cat|load|fetch|get|retriev\w*|access|look up|looks up|look for|collect|gather|extract|export|grab|copy|take|dump|run|find|list|` +
		`lies|lese|offne|kopiere|lis|lisez|ouvre|ouvrez|lee|lea|abre|copia|copie)\b|(?:读取|讀取|打开|прочитай|прочти|открой|скопируй|считай)`
	hands = `(?:\b(?:pass|send|includ\w*|attach|upload|supply|hand|transmit|forward|return|give|provide|submit|share|report|post|deliver|reveal|quote|append|e-?mail|relay|` +
		`sende|schicke|ubergib|ubermittle|fuge|gib|envoie|envoyez|transmets|transmettez|ajoute|ajoutez|joins|envia|envie|pasa|pase|incluye|incluya|adjunta)\b|发送|上传|传给|附上|放入|填入|отправь|передай|пришли|вставь|приложи)`
	// puts is followed by the place where something is put.
	puts = `\b(?:put|place|paste|add|insert|write|slip|fill|enter|drop|encode)\b` + `\S* (?:\S+ ){0,9}?` + `(?:argument|parameter|field|sidenote|note|context|input|metadata|property|header|comment)s?\b`

	// secret is what opens something; strong is what nobody but its owner ever needs.
	secret       = `(?:passwords?|passcodes?|pass ?phrases?|credentials?|log-?in details|api[ _-]?keys?|(?:access|auth|bearer|session|refresh|api|secret)[ _-]?tokens?|secret keys?|private keys?|client secrets?|ssh keys?)`
	strong       = `(?:(?:seed|recovery|mnemonic|backup|secret recovery)[ -](?:phrases?|words)|mnemonics?|one[- ]time (?:codes?|passwords?|passcodes?|pins?)|otps?|(?:2fa|mfa|totp|two[- ]factor|authenticator|sms|six[- ]digit|6[- ]digit)(?: \w+)? codes?|(?:card|cvv|cvc|security) (?:number|code)s?|cvv2?|credit card (?:number|detail)s?|social security numbers?|ssn|bank (?:log-?in|pin|password)s?|wallet(?:'s)? private keys?)`
	notSaid      = `\b(?:never|not|n't|avoid|cannot|without|nobody|no one|stop|phish\w*|attackers?|scam\w*|malware|who|which|that|may|might|could|would|will ever)\s+(?:\S+ ){0,3}`
	secretGerman = `(?:pass(?:wort|phrase)|kennwort|zugangsdaten|api-?schlussel|seed-?phrase|wiederherstellungsphrase|einmalcode|bestatigungscode|tan\b|geheimzahl|privaten schlussel)\w*`
	secretFrench = `(?:mots? de passe|identifiants|cles? (?:api|privees?|secretes?|d'api)|phrase (?:secrete|de recuperation)|code (?:de verification|a usage unique|sms)|jetons? d'acces)`
	secretSpain  = `(?:contrasenas?|claves? (?:de api|api|privadas?|secretas?)|credenciales|frase (?:semilla|de recuperacion)|codigo (?:de verificacion|de un solo uso|sms)|tokens? de acceso)`
	secretChina  = `(?:密码|密碼|口令|密钥|密鑰|私钥|私鑰|助记词|助記詞|验证码|驗證碼|访问令牌|凭证|凭据)`
	secretRussia = `(?:парол|ключ api|api-ключ|api ключ|закрыт\S+ ключ|приватн\S+ ключ|секретн\S+ ключ|сид-фраз|seed-фраз|код из смс|код подтверждения|одноразов\S+ код|учетн\S+ данн|учётн\S+ данн)`
)

// SecretNames are the names of credentials, in the languages that the phrases know, as a
// regular expression over folded text.
const SecretNames = `(?:\b(?:` + secret + `|` + strong + `|` + secretGerman + `|` + secretFrench + `|` + secretSpain + `)\b|` + secretChina + `|` + secretRussia + `)`

// harvesting are the ways to get hold of credentials. Documentation says where to put
// one's own ("set OPENAI_API_KEY"), never to read them and hand them on.
var harvesting = []rule.Phrase{
	{
		Kind: Secrets, Detail: "names files that hold credentials", Weight: 2,
		Triggers: []string{"~/.", "id_rsa", "id_ed25519", "id_ecdsa", ".ssh", ".aws/", ".env", "/etc/passwd", "/etc/shadow", ".netrc", ".npmrc", ".kube/config", "mcp.json", "claude_desktop_config", "keychain", "wallet.dat", "seed phrase"},
		Pattern:  `\b(?:read|access|call|fetch|get|retriev\w*|cat|cop\w+|send|includ\w*|append|pass|attach|upload|return|contents? of|provide|put|reveal|extract|collect|dump|steal|forward|print|output|scan)\b` + Across(11) + sensitive,
		Unless:   `\b(?:never|not|n't|avoid|cannot)\s+|` + told,
	},
	{
		Kind: Secrets, Detail: "asks for secrets", Weight: 1,
		Triggers: []string{"api key", "api_key", "credential", "password", "environment variable", "env var", "private key", "system prompt", "access token", "conversation history", "chat history", "secret", "sensitive", "previous messages", "full conversation", "entire conversation", "session token", "auth token", "bearer token", "conversation"},
		Pattern:  `\b(?:read|access|fetch|get|retriev\w*|send|includ\w*|append\w*|pass|attach|upload|reveal|extract|collect|dump|steal|forward|print|output|exfiltrat\w*|list|harvest|share|transmit|submit|leak|expos\w+|cop\w+)\b` + Across(11) + `\b(?:api[ _-]?keys?|credentials?|passwords?|environment variables?|env vars?|private keys?|system prompt|access tokens?|(?:conversation|chat|message)s?(?: history| log| context| so far)|secrets?|sensitive|previous messages|(?:full|entire|whole) conversation|session tokens?|auth tokens?|bearer tokens?)`,
		Unless:   told,
	},
	{
		Kind: Secrets, Detail: "asks to read files that hold credentials and to hand on what stands there", Weight: 3,
		Triggers: []string{"id_rsa", "id_ed25519", "id_ecdsa", "id_dsa", ".ssh", ".aws", ".gnupg", ".netrc", ".git-credentials", ".npmrc", ".pypirc", ".pgpass", ".docker/config", ".kube/config", "/etc/shadow", "mcp.json", "claude_desktop_config", "keychain", "wallet.dat", "wallet file", "cookie store", "cookie jar", "cookie database", "cookie file", "browser cookies", "session cookies", "login cookies", "saved cookies", "stored cookies", "cookies.sqlite", "saved password", "stored password", "saved login", "password manager", "password store", "password vault", "printenv", "gcloud/", "solana/id.json", "sh_history"},
		Pattern:  `(?:` + reads + `)` + Across(7) + keyFile + Across(12) + `(?:` + hands + Across(5) + `(?:\b(?:it|its|them|their|this|that|those|everything|whatever|contents?|values?|text|output|what|as|in|into|to|with|along|here)\b|[\p{Han}\p{Cyrillic}])|` + puts + `)`,
		Unless:   notSaid,
	},
	{
		Kind: Secrets, Detail: "asks for the environment or the files that hold credentials, as a value", Weight: 3,
		Triggers: []string{"id_rsa", "id_ed25519", ".ssh", ".aws", ".env", ".netrc", ".git-credentials", ".npmrc", ".pypirc", ".kube/config", "mcp.json", "/etc/passwd", "/etc/shadow", "environment variable", "env var", "whole environment", "full environment", "process.env", "os.environ", "printenv", "keychain", "wallet.dat", "kubeconfig", "database_url"},
		Pattern:  `\b(?:before|first|prior to|to (?:use|call|run|verify|unlock|authenticate)|must|required|always|whenever|each time|every time|so|therefore|need to|have to|on the first|when)\b` + Across(10) + `(?:` + reads + `)` + Across(6) + file + Across(14) + `(?:\b(?:pass|send|includ\w*|attach|supply|hand|transmit|forward|give|provide|submit|append)\b` + Across(4) + `\b(?:it|its|them|their|that|those|everything|contents?|values?|what|here|as|in)\b|` + puts + `)`,
		Unless:   notSaid,
	},
	{
		Kind: Secrets, Detail: "has the user asked for a secret", Weight: 2,
		Triggers: []string{"ask the", "ask your", "ask for", "ask them", "prompt the", "prompt them", "request the user", "tell the user", "instruct the user", "get the user", "have the user", "require the user", "convince", "persuade"},
		Needs:    []string{"passw", "passcode", "pass phrase", "passphrase", "credential", "api key", "api-key", "api_key", "apikey", "token", "secret key", "private key", "client secret", "ssh key", "log-in detail", "login detail"},
		Pattern:  `\b(?:ask|prompt|request|tell|instruct|get|have|require|convince|persuade|trick)\b(?: for)?(?: the| your)? (?:users?|human|customer|person|operator|them|him|her)\b` + Within(8) + `\b` + secret + `\b`,
		Unless:   notSaid,
	},
	{
		Kind: Secrets, Detail: "asks for a secret that nobody else ever needs", Weight: 3,
		Triggers: []string{"seed phrase", "seed-phrase", "recovery phrase", "mnemonic", "backup phrase", "seed words", "recovery words", "one-time", "one time", " otp", "2fa", "mfa ", "totp", "two-factor", "two factor", "authenticator", "sms code", "digit code", "cvv", "cvc", "card number", "security code", "credit card", "social security", " ssn", "bank login", "bank pin", "bank password", "wallet's private key", "wallet private key"},
		Pattern: `\b(?:ask|prompt|request|tell|instruct|convince|persuade|get)\b(?: for)?(?: the| your)? (?:users?|human|customer|person|them|him|her)\b` + Within(8) + `\b` + strong + `\b` +
			`|\b(?:send|share|give|tell|provide|reply with|respond with|answer with|forward|reveal|disclose|hand over|write|message|e-?mail|paste|supply)\b(?: (?:me|us|here|the|them))?` + Within(4) + `\b(?:your|the user's|user's|their|his|her|full|complete|(?:12|24|twelve|twenty-four)[- ]word)\b` + Within(3) + `\b` + strong + `\b` +
			`|\b(?:enter|type|confirm|submit|paste|provide)\b` + Within(4) + `\b(?:your|the user's|their)\b` + Within(3) + `\b(?:(?:seed|recovery|mnemonic|secret recovery)[ -](?:phrases?|words)|mnemonic|wallet(?:'s)? private keys?)\b` + Within(6) + `\b(?:to (?:verify|confirm|continue|restore access|unlock|keep|avoid|receive|claim|validate|secure)|below|here|now|immediately)\b`,
		Unless: notSaid,
	},
	{
		Kind: Secrets, Detail: "asks to answer with a secret", Weight: 3,
		Triggers: []string{"reply with", "respond with", "answer with", "write back"},
		Needs:    []string{"passw", "passcode", "passphrase", "credential", "api key", "api-key", "api_key", "apikey", "token", "secret key", "private key", "client secret", "ssh key"},
		Pattern:  `\b(?:reply|respond|answer|write back)\b` + Within(2) + `\bwith\b` + Within(3) + `\b(?:your|the user's|user's|all|every|any|stored|saved|current|full)\b` + Within(4) + `\b` + secret + `\b`,
		Unless:   notSaid,
	},
	{
		Kind: Secrets, Detail: "asks to be given a secret", Weight: 2,
		Triggers: []string{"send me", "send us", "give me", "give us", "tell me", "tell us", "show me", "hand over", "message me", "dm me"},
		Needs:    []string{"passw", "passcode", "passphrase", "credential", "api key", "api-key", "api_key", "apikey", "token", "secret key", "private key", "client secret", "ssh key"},
		Pattern:  `\b(?:(?:send|give|tell|show|message|dm) (?:me|us)|hand over)\b` + Within(3) + `\b(?:your|the user's|user's|all|every|any|stored|saved|current|full)\b` + Within(4) + `\b` + secret + `\b`,
		Unless:   notSaid,
	},
	{
		Kind: Secrets, Detail: "asks to give a secret away", Weight: 2,
		Triggers: []string{"exfiltrat", "upload", "transmit", "forward", "leak", "reveal", "hand over", "harvest", "steal", "dump", "disclose", "send "},
		Needs:    []string{"passw", "passcode", "passphrase", "credential", "api key", "api-key", "api_key", "apikey", "token", "secret key", "private key", "client secret", "ssh key"},
		Pattern:  `(?:^|[.!?:;,\n] ?|\b(?:and|then|also|must|please|to|now|should) )(?:exfiltrate|upload|transmit|forward|leak|reveal|hand over|harvest|steal|dump|disclose|send)\b` + Within(3) + `\b(?:your|the user's|user's|all|every|any|stored|saved)\b` + Within(3) + `\b` + secret + `\b`,
		Unless:   notSaid,
	},
	{
		Kind: Secrets, Detail: "asks for a code that came by message", Weight: 3,
		Triggers: []string{" code", "otp", " pin"},
		Needs:    []string{"sms", "text message", "authenticator", "phone", "inbox"},
		Pattern:  `\b(?:send|tell|give|forward|share|read out|relay|reply with|message|paste)\b` + Within(5) + `\b(?:codes?|otp|pin)\b` + Within(8) + `\b(?:sms|text message|authenticator(?: app)?|(?:your|their|the user's) (?:phone|inbox)|by (?:phone|text))\b`,
		Unless:   `\b(?:never|not|n't|avoid|we|we'll|we will|will|can|to)\s+(?:\S+ ){0,2}`,
	},
	{
		Kind: Secrets, Detail: "asks for a secret under a pretext", Weight: 2,
		Triggers: []string{"expired", "suspended", "locked", "verify your identity", "verification failed", "security check", "unusual activity", "deactivated", "re-authenticat", "reauthenticat"},
		Needs:    []string{"passw", "passcode", "passphrase", "credential", "api key", "api-key", "api_key", "token", "secret key", "private key", "code", " pin"},
		Pattern:  `\b(?:expired|suspended|locked|verify your identity|verification failed|security check|unusual activity|deactivated|re-?authenticat\w+)\b` + Across(10) + `\b(?:enter|provide|send|confirm|re-?enter|type|submit|paste|reply|supply)\b` + Within(3) + `\byour\b` + Within(3) + `\b(?:` + secret + `|` + strong + `)\b`,
		Unless:   notSaid,
	},
	{
		Kind: Secrets, Detail: "asks for a secret, in German", Weight: 3,
		Triggers: []string{"passwort", "passphrase", "kennwort", "zugangsdaten", "schlussel", "seed-phrase", "wiederherstellungsphrase", "einmalcode", "bestatigungscode", "geheimzahl"},
		Pattern:  `\b(?:frag|frage|fragen sie|bitte|bitten sie|fordere)\b` + Within(3) + `\b(?:be)?(?:nutzer|anwender|kunde)\w*\b` + Within(6) + `\b` + secretGerman + `|\b(?:sende|schicke?|nenne?|verrate?|teile?|antworte)\b` + Within(2) + `\b(?:mir|uns|mit)\b` + Within(5) + `\b` + secretGerman,
	},
	{
		Kind: Secrets, Detail: "asks for a secret, in French", Weight: 3,
		Triggers: []string{"mot de passe", "mots de passe", "identifiants", "cle api", "cles api", "cle d'api", "cle privee", "phrase secrete", "phrase de recuperation", "code de verification", "code a usage unique", "jeton d'acces"},
		Pattern:  `\b(?:demande\w*)\b` + Within(3) + `(?:\bl')?(?:utilisateur|client)\w*\b` + Within(6) + `\b` + secretFrench + `|\b(?:envoie|envoyez|donne|donnez|communique\w*|transmets|transmettez)[ -](?:moi|nous)\b` + Within(5) + `\b` + secretFrench + `|\b(?:reponds|repondez)\b` + Within(2) + `\bavec\b` + Within(4) + `\b` + secretFrench,
		Unless:   `\b(?:ne|jamais)\s+`,
	},
	{
		Kind: Secrets, Detail: "asks for a secret, in Spanish", Weight: 3,
		Triggers: []string{"contrasena", "clave api", "clave de api", "clave privada", "credenciales", "frase semilla", "frase de recuperacion", "codigo de verificacion", "codigo de un solo uso", "token de acceso"},
		Pattern:  `\b(?:pide|pidele|pida|solicita|solicite|pregunta|preguntale)\b` + Within(1) + `\b(?:al|a la|del) (?:usuari|client)\w+\b` + Within(6) + `\b` + secretSpain + `|\b(?:enviame|envianos|dame|danos|dime|mandame|facilitame)\b` + Within(5) + `\b` + secretSpain + `|\b(?:responde|responda|contesta)\b` + Within(2) + `\bcon\b` + Within(4) + `\b` + secretSpain,
		Unless:   `\b(?:no|nunca)\s+`,
	},
	{
		Kind: Secrets, Detail: "asks for a secret, in Chinese", Weight: 3,
		Triggers: []string{"密码", "密碼", "口令", "密钥", "密鑰", "私钥", "私鑰", "助记词", "助記詞", "验证码", "驗證碼", "访问令牌", "凭证", "凭据"},
		Pattern:  `(?:向|让|要求|请|詢問|询问)(?:用户|用戶|使用者|对方)[^。!?\n]{0,10}?(?:提供|索要|索取|输入|告知|说出|交出|询问)?[^。!?\n]{0,8}?` + secretChina + `|(?:把|将|將)[^。!?\n]{0,10}?` + secretChina + `[^。!?\n]{0,8}?(?:发给|发送给|告诉|发到|发送到|上传到|交给)(?:我|我们|以下|这个|http)|(?:回复|告诉我|发给我)[^。!?\n]{0,8}?` + secretChina,
		Unless:   `(?:不要|切勿|请勿|不得|不会)[^。!?\n]{0,6}`,
	},
	{
		Kind: Secrets, Detail: "asks for a secret, in Russian", Weight: 3,
		Triggers: []string{"парол", "api-ключ", "ключ api", "api ключ", "ключ", "сид-фраз", "seed-фраз", "код из смс", "код подтверждения", "одноразов", "учетн", "учётн"},
		Pattern:  `(?:попроси|спроси|запроси)\S*[^.!?\n]{0,20}?(?:пользовател|клиент)[^.!?\n]{0,50}?` + secretRussia + `|(?:пришли|отправь|сообщи|назови|скажи|перешли)\S*(?: \S+){0,2}? (?:мне|нам)[^.!?\n]{0,40}?` + secretRussia + `|(?:ответь|ответьте)[^.!?\n]{0,20}?` + secretRussia,
		Unless:   `(?:не|никогда)\s+(?:\S+ ){0,2}`,
	},
}
