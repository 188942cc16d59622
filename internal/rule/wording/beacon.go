package wording

import "gatehouse/internal/rule"

// Beacon is the kind of phrases that let an address or a picture carry data out.
const Beacon = "beacon"

const (
	// carried is what has no business in an address.
	carried = `(?:(?:the |this |our |full |whole )?conversation|(?:chat|message|session) (?:history|log)|chat messages|user'?s? (?:data|messages?|input|info\w*|e-?mails?|files?|secrets?|questions?|prompts?)|private data|personal data|confidential (?:data|information)|previous messages?|system prompt|session data|what the user (?:said|wrote|asked)|environment variables?|stolen data|sensitive data|everything (?:you|the user) \w+|(?:stored |saved |the |all |any |their )?(?:credentials|passwords|secrets|api keys))`
	link    = `(?:url|uri|link|image(?:'s)?(?: url| source| address| link)?|img|query(?: string| parameters?)?|src|subdomain|host ?name|domain name|pixel|get request|web address|address of the image|picture)`
	writing = `(?:add|append|attach|encode|put|insert|place|include|embed|substitute|interpolate|concatenate|hide|pass|write|fill|carry|smuggle)(?:s|d|ed|ing)?`
)

// saidBefore are parts of the words for what has no business in an address.
var saidBefore = []string{"conversation", "chat history", "chat log", "chat messages", "message history", "message log", "session history", "session log", "user data", "user's", "users data", "user message", "user input", "user info", "user email", "user e-mail", "user file", "user secret", "user question", "user prompt", "private data", "personal data", "confidential ", "previous message", "system prompt", "session data", "what the user", "environment variable", "stolen data", "sensitive data", "everything you", "everything the user", "credentials", "passwords", "secrets", "api keys"}

// beaconing are orders to let an address carry data.
var beaconing = []rule.Phrase{
	{
		Kind: Beacon, Detail: "asks to put data into an address", Weight: 3,
		Triggers: []string{" url", " uri", " link", "image", "img", "query string", "query param", "subdomain", "hostname", "host name", "pixel", "get request", "picture", "web address"},
		Needs:    saidBefore,
		Pattern:  `\b` + writing + `\b` + Within(5) + `\b` + carried + `\b` + Within(6) + `\b(?:in|into|to|as|inside|via|through|after|onto|at the end of|within)\b` + Within(4) + `\b` + link + `\b`,
		Unless:   `\b(?:never|not|n't|avoid|cannot|attackers?|can|could|may|might)\s+(?:\S+ ){0,3}`,
	},
	{
		Kind: Beacon, Detail: "asks for a picture whose address holds data", Weight: 3,
		Triggers: []string{"image", " img", "picture", "pixel", "markdown", "badge", "iframe"},
		Needs:    saidBefore,
		Pattern:  `\b(?:render|display|show|output|insert|include|add|embed|emit|write|print|return|append|load|request|end)\b` + Across(7) + `\b(?:image|img|picture|pixel|markdown|badge|iframe)\b` + Across(10) + `(?:https?://\S+|\b(?:url|src|link|query|address|parameter)\b)` + Across(12) + `\b` + carried + `\b`,
		Unless:   `\b(?:never|not|n't|avoid|cannot|attackers?|can|could|may|might)\s+(?:\S+ ){0,3}`,
	},
	{
		Kind: Beacon, Detail: "asks to put data into an address, in German", Weight: 3,
		Triggers: []string{" url", " link", "bild", "adresse", "parameter"},
		Needs:    []string{"gesprach", "unterhaltung", "verlauf", "nutzerdaten", "geheim", "passw", "zugangsdaten", "nachrichten"},
		Pattern:  `\b(?:hange?|fuge?|schreibe?|setze?|packe?|kodiere?|baue?|trage?)\b` + Within(8) + `\b\w*(?:gesprach|unterhaltung|verlauf|nutzerdaten|geheimnis|passwort|passworter|zugangsdaten|nachrichten)\w*\b` + Within(6) + `\b(?:an|in|als)\b` + Within(3) + `\b(?:url|link|bild\w*|adresse|parameter|bildadresse)`,
	},
	{
		Kind: Beacon, Detail: "asks to put data into an address, in French", Weight: 3,
		Triggers: []string{"url", "lien", "image", "adresse", "parametre"},
		Needs:    []string{"conversation", "historique", "donnees", "secret", "mot de passe", "mots de passe", "identifiants", "messages"},
		Pattern:  `\b(?:ajoute|ajoutez|mets|mettez|encode|encodez|insere|inserez|place|placez|inclus|incluez)\b` + Within(8) + `\b(?:conversation|historique|donnees (?:de l'utilisateur|privees|personnelles)|secrets?|mots? de passe|identifiants|messages)\b` + Within(6) + `\b(?:a|dans|comme|en)\b` + Within(3) + `(?:\bl')?(?:url|lien|image|adresse|parametre)\b`,
	},
	{
		Kind: Beacon, Detail: "asks to put data into an address, in Spanish", Weight: 3,
		Triggers: []string{"url", "enlace", "imagen", "direccion", "parametro"},
		Needs:    []string{"conversacion", "historial", "datos", "secreto", "contrasena", "credenciales", "mensajes"},
		Pattern:  `\b(?:anade|agrega|pon|incluye|codifica|inserta|coloca|adjunta)\b` + Within(8) + `\b(?:conversacion|historial|datos (?:del usuario|privados|personales)|secretos?|contrasenas?|credenciales|mensajes)\b` + Within(6) + `\b(?:a|al|en|como)\b` + Within(3) + `\b(?:url|enlace|imagen|direccion|parametro)\b`,
	},
	{
		Kind: Beacon, Detail: "asks to put data into an address, in Chinese", Weight: 3,
		Triggers: []string{"链接", "網址", "网址", "图片", "圖片", "url", "参数"},
		Needs:    []string{"对话", "對話", "聊天", "用户数据", "密码", "密钥", "历史", "隐私"},
		Pattern:  `(?:把|将|將)[^。!?\n]{0,10}?(?:对话|對話|聊天记录|聊天|用户数据|密码|密钥|历史记录|隐私)[^。!?\n]{0,12}?(?:附加|添加|写入|放入|放到|放进|编码|拼接|加到|附在|填入)[^。!?\n]{0,10}?(?:链接|网址|網址|图片|圖片|url|参数)`,
	},
	{
		Kind: Beacon, Detail: "asks to put data into an address, in Russian", Weight: 3,
		Triggers: []string{"ссылк", "url", "изображени", "картинк", "адрес", "параметр"},
		Needs:    []string{"диалог", "переписк", "разговор", "беседы", "истори", "данные пользовател", "парол", "секрет"},
		Pattern:  `(?:добавь|вставь|допиши|помести|закодируй|запиши|подставь)\S*[^.!?\n]{0,40}?(?:диалог|переписк|разговор|беседы|истори|данные пользовател|парол|секрет)[^.!?\n]{0,40}?(?:в|к|как) [^.!?\n]{0,24}?(?:ссылк|url|изображени|картинк|адрес|параметр)`,
	},
}
