package databeacon

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/rule"
)

// What a place to fill in, or a name, speaks of.
var (
	// talk is what was said, or what is private: no page has a place for it in an address.
	talk = regexp.MustCompile(`conversation|dialog(?:ue)?|chat[ _-]?(?:history|log|content|so)|transcript|history|secrets?\b|password|credential|cookie|system[ _-]?prompt|private[ _-]?(?:data|info\w*|keys?|messages?|notes?)|stolen|exfil|user[ _-]?(?:data|info|messages?|input|prompts?|secrets?|emails?|quer(?:y|ies)|question)|(?:previous|all|last)[ _-]?(?:messages?|results?|answers?)|personal|confidential|sensitive|environment|env[ _-]?vars?|file[ _-]?contents?|memory|memories|gesprach|verlauf|对话|聊天|переписк|диалог`)
	// plain is what may be data and may be anything.
	plain = regexp.MustCompile(`\b(?:data|info|information|contents?|text|messages?|summary|answer|response|output|results?|prompt|context|api[ _-]?key|token|body|payload|encoded|base64|b64|leak|dump)\b|_data\b|data_`)
	// own is a place for the reader's own.
	own = regexp.MustCompile(`^(?:your|my|dein|votre|tu|su)[ _-]`)
)

// Hosts. They and those below them.
var (
	// collectors show whoever made the address what was sent to it, and serve nothing else.
	collectors = []string{
		"webhook.site", "webhook.cool", "requestbin.com", "requestbin.net", "requestbin.io", "requestcatcher.com", "requestrepo.com", "requestinspector.com",
		"interact.sh", "interactsh.com", "oast.pro", "oast.live", "oast.site", "oast.online", "oast.fun", "oast.me", "oastify.com", "burpcollaborator.net",
		"dnslog.cn", "ceye.io", "hookbin.com", "pipedream.net", "postb.in", "beeceptor.com", "canarytokens.com", "bxss.me", "ptsv2.com", "ptsv3.com", "typedwebhook.tools",
	}
	// tunnels lead to whatever runs on somebody's machine.
	tunnels = []string{"ngrok.io", "ngrok.app", "ngrok.dev", "ngrok-free.app", "ngrok-free.dev", "trycloudflare.com", "loca.lt", "serveo.net", "lhr.life", "localhost.run", "bore.pub", "pagekite.me"}
)

// hooks are addresses that post into somebody's chat.
var hooks = []struct{ host, path string }{
	{"discord.com", "/api/webhooks/"}, {"discordapp.com", "/api/webhooks/"}, {"api.telegram.org", "/bot"}, {"hooks.slack.com", "/services/"}, {"hooks.slack.com", "/workflows/"},
}

func below(host string, domains []string) (sub, listed bool) {
	for _, domain := range domains {
		if host == domain {
			return false, true
		}
		if at := len(host) - len(domain); at > 0 && host[at-1] == '.' && host[at:] == domain {
			return true, true
		}
	}
	return false, false
}

// Confidences. What a client loads by itself needs nobody's click.
const (
	sure = 0.95
	fair = 0.6
	weak = 0.3
)

// judge says how likely it is that the address carries data out, and why; 0 if nothing
// speaks for it, as for nearly every address.
func (a *address) judge(text string) (confidence float64, detail, decoded string) {
	private, some := a.asks()
	sub, collects := below(a.host, collectors)
	collects = collects && (sub || len(a.rest) > 1)
	posts := a.isHook() || a.isTunnel()
	decoded = a.message()
	if !private && !some && !collects && !posts && decoded == "" {
		return 0, "", ""
	}
	switch use := a.use(text); {
	case collects && (use == loaded || private || some):
		return sure, "an address of a host that collects what is sent to it", ""
	case collects || posts:
		confidence, detail = a.ordered(text, collects || use == loaded)
		return confidence, detail, ""
	case private && use == loaded:
		return sure, "loads an address with a place for what was said or is private", ""
	case private && use == linked:
		return fair, "links to an address with a place for what was said or is private", ""
	case some && use == loaded:
		return fair, "loads an address with a place for data", ""
	case decoded != "" && use == loaded:
		return fair, "loads an address that carries an encoded text", decoded
	case decoded != "" && use == linked:
		return weak, "links to an address that carries an encoded text", decoded
	case private:
		return weak, "names an address with a place for what was said or is private", ""
	}
	return 0, "", ""
}

// asks says what the places to fill in are for.
func (a *address) asks() (private, some bool) {
	for _, b := range a.blanks {
		switch {
		case own.MatchString(b.name):
		case talk.MatchString(b.name):
			private = true
		case b.query && plain.MatchString(b.name):
			some = true
		}
	}
	return private, some
}

func (a *address) isTunnel() bool {
	sub, listed := below(a.host, tunnels)
	return sub && listed
}

func (a *address) isHook() bool {
	for _, h := range hooks {
		if id, found := strings.CutPrefix(a.rest, h.path); found && a.host == h.host && len(id) > 4 && (id[0] >= '0' && id[0] <= '9' || id[0] == 'T') {
			return true
		}
	}
	return false
}

var (
	sending = regexp.MustCompile(`\b(?:send|post|upload|forward|submit|transmit|exfiltrat\w*|report|copy|append|deliver|relay|leak|mirror|push|curl|sende|schicke|ubermittle|envoie|envoyez|transmets|envia|envie|manda)\b|发送|发给|上传|отправь|отправляй|перешли`)
	things  = regexp.MustCompile(`\b(?:it|them|this|copy|contents?|results?|data|output|messages?|files?|text|answer|response|prompt|tokens?|keys?|everything|argument\w*|input|summary)\b`)
)

// Reach of the words of an order around an address, in bytes.
const (
	orderBefore = 240
	orderAfter  = 160
)

// ordered judges a host that can collect by whether something is to be sent there. A host
// that does nothing else is worth a report by itself.
func (a *address) ordered(text string, collects bool) (confidence float64, detail string) {
	around := string(rule.Fold(text[boundary(text, a.start-orderBefore):boundary(text, a.end+orderAfter)]).Text)
	order := sending.MatchString(around)
	switch {
	case order && talk.MatchString(around):
		return sure, "has what was said or is private sent to a host that can collect it"
	case order && things.MatchString(around) && collects:
		return sure, "has data sent to a host that collects it"
	case order && things.MatchString(around), collects:
		return fair, "an address of a host that can collect what is sent to it"
	}
	return 0, ""
}

// boundary is the start of the rune at an offset that may lie outside the text.
func boundary(text string, at int) int {
	at = min(max(at, 0), len(text))
	for at > 0 && at < len(text) && !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

const (
	// leastMessage is the length of an encoded value, in bytes, from which it can say
	// more than an identifier.
	leastMessage = 32
	// leastWords is what makes a sentence of what a value says.
	leastWords = 4
)

// message is what an encoded value in the address says, if it is a text in words.
// Signatures, identifiers and tokens are none.
func (a *address) message() string {
	for part := range strings.FieldsFuncSeq(a.rest, func(r rune) bool { return strings.ContainsRune("/?&=#;", r) }) {
		if len(part) < leastMessage {
			continue
		}
		value, err := url.PathUnescape(part)
		if err != nil {
			value = part
		}
		if text := say(value); text != "" {
			return text
		}
	}
	return ""
}

func say(value string) string {
	value = strings.TrimRight(value, "=.")
	for _, decode := range []func(string) ([]byte, error){base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString, hex.DecodeString} {
		raw, err := decode(value)
		if err != nil || !utf8.Valid(raw) || len(raw) == 0 || raw[0] == '{' || strings.HasPrefix(string(raw), "http") {
			continue
		}
		text := string(raw)
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) }) || len(strings.Fields(text)) < leastWords {
			continue
		}
		return text[:boundary(text, rule.MaxDecoded)]
	}
	return ""
}
