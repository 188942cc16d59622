package questionabuse

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

// "Servers MUST NOT use form mode elicitation to request sensitive information such as
// passwords, API keys, access tokens, or payment credentials."

// secretNames are names of fields, without what stands between their words; a name may have words before.
var secretNames = []string{
	"password", "passwd", "pwd", "passcode", "passphrase", "apikey", "secretkey", "privatekey", "secret", "clientsecret", "accesstoken", "authtoken", "refreshtoken", "bearertoken",
	"sessiontoken", "seedphrase", "recoveryphrase", "mnemonic", "creditcard", "cardnumber", "creditcardnumber", "cvv", "cvc", "ssn", "socialsecuritynumber", "onetimecode", "onetimepassword",
	"otp", "totp", "mfacode", "twofactorcode", "verificationcode", "smscode", "pincode", "credentials", "sshkey", "passwort", "kennwort", "motdepasse", "contrasena", "密码", "密钥", "пароль",
}

// shortNames are none of a longer one: a pin is not a spin.
var shortNames = []string{"pin", "tan", "token", "pat", "pass"}

func secretName(name string) bool {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-. ", r) {
			return -1
		}
		return r
	}, string(rule.Fold(name).Text))
	return slices.Contains(shortNames, name) || slices.ContainsFunc(secretNames, func(secret string) bool { return strings.HasSuffix(name, secret) })
}

const yours = `(?:your|the|ihr\w*|dein\w*|votre|ton|ta|tes|su|tu|sus|tus)`

// isSecret says whether a title or a description names a secret as what belongs into the
// field: "Password", "Your GitHub API key".
func isSecret(subject *rule.Subject) bool {
	text := subject.Folded().Text
	return len(text) <= maxLabel && label().Match(text)
}

// maxLabel bounds a label, in folded bytes; what is longer is prose.
const maxLabel = 80

var label = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:(?:please )?(?:enter|type|paste|provide|confirm|repeat)? ?` + yours + `? ?(?:(?:new|current|old|\w+(?:'s)?) ){0,2}(?:` + wording.SecretNames + `|\bpin\b|\btoken\b)|(?:您的|你的|请输入|您的账户)?(?:\S{0,6})` + wording.SecretNames + `|(?:ваш\S*|твой|введите) (?:\S+ )?` + wording.SecretNames + `\S*)(?: (?:for|of|fur|pour|para|de) .{0,40})?(?: ?\(.*\))?[ .:?*!]*$`)
})

var phrases = rule.NewPhrases([]rule.Phrase{
	{
		Kind: "ask", Detail: "asks for a secret in a form", Weight: 3,
		Triggers: []string{"passw", "passcode", "pass phrase", "credential", "login detail", "log-in detail", "api key", "api-key", "api_key", "apikey", "token", "secret key", "private key", "client secret", "ssh key", "seed", "recovery", "mnemonic", "one-time", "one time", "otp", "2fa", "mfa", "totp", "two-factor", "authenticator", "sms", "digit code", "cvv", "cvc", "card number", "security code", "credit card", "social security", "ssn"},
		Pattern:  `\b(?:enter|provide|type|paste|give|share|supply|submit|input|send|tell|need|needs|require|requires|what is|what's|fill in)\b` + wording.Within(5) + `\b(?:your|the user's|you)\b` + wording.Within(3) + wording.SecretNames,
		Unless:   never,
	},
	{
		Kind: "ask", Detail: "asks for a secret in a form, in another language", Weight: 3,
		Triggers: []string{"passwort", "kennwort", "zugangsdaten", "mot de passe", "identifiants", "contrasena", "clave", "credenciales", "密码", "密碼", "密钥", "私钥", "助记词", "验证码", "парол", "ключ"},
		Pattern:  `\b(?:geben sie|gib|nennen sie|nenne|tragen sie|bestatigen sie)\b` + wording.Within(5) + wording.SecretNames + `|\b(?:saisissez|entrez|indiquez|donnez|fournissez|saisis|entre)\b` + wording.Within(5) + wording.SecretNames + `|\b(?:introduzca|introduce|ingrese|ingresa|escriba|escribe|proporcione|indique)\b` + wording.Within(5) + wording.SecretNames + `|(?:请输入|請輸入|请提供|输入您的|输入你的|提供您的|提供你的)[^。!?\n]{0,12}?` + wording.SecretNames + `|(?:введите|укажите|сообщите|введи|укажи)[^.!?\n]{0,40}?` + wording.SecretNames,
		Unless:   `\b(?:nie|niemals|nicht|jamais|nunca|no)\s+|(?:никогда не|не)\s+`,
	},
	{
		Kind: "conversation", Detail: "asks the model for the conversation", Weight: 3,
		Triggers: []string{"conversation", "chat", "messages", "everything above", "text above", "dialogue", "transcript", "context"},
		Pattern:  `\b(?:summari[sz]e|repeat|quote|list|recite|print|output|include|return|copy|reveal|give me|give us|show|write out|reproduce|extract)\b` + wording.Within(5) + `\b(?:this|our|your|previous|entire|whole|full|complete|all|earlier|the user's|everything)\b` + wording.Within(2) + `\b(?:conversations?|chat|messages|context|dialogue|transcript|above)\b(?: (?:\w+ ){0,3}?(?:verbatim|word for word|so far|until now|up to now|with the user|from the user|history|above|before this|in full|exactly)\b|[.!?]|$)`,
		Unless:   `\b(?:following|below|never|not|n't)\s+`,
	},
	{
		Kind: "pressure", Detail: "presses with a threat or a deadline", Weight: 2,
		Triggers: []string{"suspended", "locked", "terminated", "deleted", "disabled", "closed", "final notice", "final warning", "legal action", "lose access", "last chance", "immediately", "within "},
		Pattern:  `\b(?:account|access|data|files|subscription|session|profile|wallet)\b` + wording.Within(3) + `\b(?:will be|has been|is being|have been|are going to be)\b` + wording.Within(2) + `\b(?:suspended|locked|terminated|deleted|disabled|closed|lost|erased|blocked)\b|\bfinal (?:notice|warning)\b|\blegal action\b|\byou will lose access\b|\blast chance\b|\b(?:immediately|within (?:the next )?\d+ (?:minutes?|hours?)),? (?:or|otherwise)\b`,
	},
})

const never = `\b(?:never|not|n't|without|no need to|instead of|nobody|forgot|reset|change|how to)\s+(?:\S+ ){0,2}`
