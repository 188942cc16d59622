// Package credential finds the secrets that stand in clients' files as they are: by the
// form that a service gives its tokens, by the place where they stand, and by the name
// beside them. References, placeholders and the values of examples are none. What a
// credential is can be asked for; that it never prints is up to its type.
package credential

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
	"gatehouse/internal/rules/secretexposed"
)

// Place is where in an entry a credential stands.
type Place string

const (
	Variable Place = "variable"
	Header   Place = "header"
	Argument Place = "argument"
	Address  Place = "address" // of the server: everybody on the way who logs addresses has it
)

// Credential is one secret.
type Credential struct {
	Place Place  `json:"place"`
	Name  string `json:"name,omitempty"` // of the variable, header, option or query
	// Kind says what it is, such as "GitHub token". Where only the name speaks for it, it
	// is "secret".
	Kind string `json:"kind"`
	// Known says that the form is that of a service's tokens.
	Known bool `json:"known,omitempty"`

	value client.Raw
}

// Value is the secret itself, to look at. It never leaves the machine and no report.
func (c Credential) Value() string { return string(c.value) }

// Same reports whether two places hold the same secret.
func (c Credential) Same(other Credential) bool { return c.value == other.value }

// String says where it stands, and not what it is.
func (c Credential) String() string { return c.Where() }

// GoString is String.
func (c Credential) GoString() string { return c.Where() }

// Where says for people where it stands.
func (c Credential) Where() string {
	switch {
	case c.Place == Address:
		return "the address"
	case c.Name == "":
		return "an argument"
	}
	return map[Place]string{Variable: "the variable ", Header: "the header ", Argument: "the argument "}[c.Place] + c.Name
}

// Of finds the credentials of an entry, in the order in which they stand.
func Of(e client.Entry) []Credential {
	f := &finder{}
	for _, v := range inventory.Environment(e) {
		f.value(Variable, v.Name, string(v.Raw))
	}
	for _, v := range e.Headers {
		f.value(Header, v.Name, string(v.Raw))
	}
	if e.URL != "" {
		f.address(Address, "", e.URL)
	}
	for _, w := range inventory.Words(e) {
		f.word(w)
	}
	return f.found
}

type finder struct{ found []Credential }

func (f *finder) add(c Credential) {
	if !slices.ContainsFunc(f.found, c.Same) {
		f.found = append(f.found, c)
	}
}

// word looks at a word of a command: --api-key KEY, NAME=value, --header "Name: value",
// an address.
func (f *finder) word(w inventory.Word) {
	name, value := w.Option, w.Value
	if first, rest, found := strings.Cut(value, "="); found && !strings.ContainsAny(first, " :/?") {
		name, value = first, rest // -e NAME=value
	} else if first, rest, found := strings.Cut(value, ":"); found && headerName.MatchString(first) && !strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, `\`) {
		name, value = first, rest
	}
	f.value(Argument, strings.TrimLeft(name, "-"), value)
}

var (
	headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*$`)
	// scheme stands before a token and says nothing of it.
	scheme = regexp.MustCompile(`(?i)^\s*(?:bearer|basic|token)\s+`)
	// inDSN is a password in the forms of libpq and of ODBC.
	inDSN = regexp.MustCompile(`(?i)(?:^|[;\s])(?:password|pwd)\s*=\s*([^;\s]+)`)
	// inAuthority is a password before a host.
	inAuthority = regexp.MustCompile(`://[^:@\s]*:([^@\s]+)@`)
)

func (f *finder) value(place Place, name, raw string) {
	value := strings.TrimSpace(scheme.ReplaceAllString(raw, ""))
	if value == "" || IsReference(value) {
		return
	}
	if strings.Contains(value, "://") {
		f.address(place, name, value)
		return
	}
	if m := inDSN.FindStringSubmatch(value); m != nil && strings.Contains(value, "=") {
		if !IsExample(m[1]) && !IsReference(m[1]) {
			f.add(Credential{place, name, "password", true, client.Raw(m[1])})
		}
		return
	}
	if kind, token := Form(value); kind != "" {
		f.add(Credential{place, name, kind, true, client.Raw(token)})
		return
	}
	if sure := named(name); sure != nothing && !IsExample(value) && mayBeSecret(value) && (sure == strong || machineMade(value)) {
		f.add(Credential{place, name, "secret", false, client.Raw(value)})
	}
}

// address looks at the parts of an address that may hold a secret: what stands before
// the host, the query, and the path.
func (f *finder) address(place Place, name, address string) {
	u, err := url.Parse(address)
	if err != nil {
		// A password with a character that should stand there encoded, or a list of hosts.
		if m := inAuthority.FindStringSubmatch(address); m != nil && !IsReference(m[1]) && !IsExample(m[1]) {
			f.add(Credential{place, name, "password", true, client.Raw(m[1])})
		} else if kind, token := Form(address); kind != "" {
			f.add(Credential{place, name, kind, true, client.Raw(token)})
		}
		return
	}
	if password, set := u.User.Password(); set && password != "" && !IsReference(password) && !IsExample(password) && !(inventory.Loopback(u.Hostname()) && trivial(u.User.Username(), password)) {
		f.add(Credential{place, name, "password", true, client.Raw(password)})
	} else if kind, token := Form(u.User.Username()); kind != "" {
		f.add(Credential{place, name, kind, true, client.Raw(token)}) // https://TOKEN@host
	}
	query := u.Query()
	for _, key := range sortedKeys(query) {
		for _, value := range query[key] {
			part := &finder{}
			part.value(place, key, value)
			for _, c := range part.found {
				f.add(c)
			}
		}
	}
	for _, part := range strings.Split(u.Path, "/") {
		if kind, token := Form(part); kind != "" {
			f.add(Credential{place, name, kind, true, client.Raw(token)})
		}
	}
}

func sortedKeys(query url.Values) (keys []string) {
	for key := range query {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// trivial reports whether a password protects nothing, as those of databases that run
// on the machine of a developer.
func trivial(user, password string) bool {
	return strings.EqualFold(user, password) || slices.Contains([]string{"postgres", "root", "mysql", "admin", "password", "test", "dev"}, strings.ToLower(password))
}

// awsID is the detail of a key id, which is no secret by itself.
const awsID = "AWS access key id"

// Form recognises a token by its form, and says what it is. A form that more than one
// service uses, and one that a service never issued, count too: in a file of a client
// nobody quotes tokens.
func Form(text string) (kind, token string) {
	matches, err := secretexposed.Rule.Detect(rule.Subject{Surface: rule.ToolResult, Text: text})
	if err != nil {
		return "", ""
	}
	for _, m := range matches {
		if m.Detail == awsID || strings.HasSuffix(m.Detail, "in an assignment") {
			continue
		}
		return m.Detail, text[m.Start:m.End]
	}
	return "", ""
}

var (
	// secretWords are names, or their last words, that say that a value is secret.
	secretWords = strings.Fields("token secret password passwd passphrase pwd pat apikey accesskey secretkey privatekey apitoken authtoken accesstoken credential credentials authorization")
	// keyWords make a key a secret one.
	keyWords = strings.Fields("api access private secret auth signing encryption master service account admin app subscription license")
	// weakWords say it only together with a value that a machine made: a cookie may hold a
	// language, a key may be one to sort by.
	weakWords = strings.Fields("key keys auth cookie bearer")
	// describing words at the end make the value something about a secret.
	describing = strings.Fields("file path name id url uri host endpoint type method mode version ttl limit max count expiry expires region scope scopes length prefix header arn ref env var variable provider source stdin")
	// other words say that everybody may know, or that the value is a switch or a number.
	other = strings.Fields("public publishable anon max min budget limit tokens no disable disabled enable enabled without skip allow require required use")
)

// sureness is how much a name says about its value.
type sureness int

const (
	nothing sureness = iota
	weak
	strong
)

// NamesSecret reports whether a name says that its value is secret.
func NamesSecret(name string) bool { return named(name) != nothing }

func named(name string) sureness {
	words := argument.Words(name)
	if len(words) == 0 || slices.Contains(describing, words[len(words)-1]) || slices.ContainsFunc(words, func(w string) bool { return slices.Contains(other, w) }) {
		return nothing
	}
	for i, word := range words {
		if slices.Contains(secretWords, word) || word == "key" && i > 0 && slices.Contains(keyWords, words[i-1]) {
			return strong
		}
	}
	if slices.Contains(weakWords, words[len(words)-1]) {
		return weak
	}
	return nothing
}

var (
	reference = regexp.MustCompile(`\$\{[^}]*\}|\$\([^)]*\)|\{\{[^}]*\}\}|\{(?:env|file|input):[^}]*\}|%[A-Za-z_][A-Za-z0-9_]*%|^\$[A-Za-z_][A-Za-z0-9_]*$|^(?:op|vault|keyring|keychain|age|env|file|input|secret|secrets|doppler|infisical|bws?|pass|ssm|sops|gcp-sm|azure-kv):|^arn:aws:secretsmanager:`)
	// plainWord is a value of letters that a person would set as a switch.
	plainWord = regexp.MustCompile(`^[A-Za-z]{1,20}$`)
	number    = regexp.MustCompile(`^[0-9.]{1,9}$`)
)

// IsReference reports whether somebody else fills in a value.
func IsReference(value string) bool {
	return strings.ContainsAny(value, "${%:") && reference.MatchString(value)
}

// examples are parts of values that documentation uses in place of secrets.
var examples = strings.Fields("your example placeholder changeme change-me change_me xxxx **** .... <  > … insert replace dummy redacted todo paste_ enter_ -here _here abc123 1234567 abcdef 0000000 not-needed not_needed")

// IsExample reports whether a value stands where one is to be put.
func IsExample(value string) bool {
	lower := strings.ToLower(value)
	return slices.ContainsFunc(examples, func(part string) bool { return strings.Contains(lower, part) })
}

// shortest is how long a value must be to be a secret that only its name speaks for.
// Shorter ones are switches.
const shortest = 6

var (
	// aFile is the path of one that holds the secret.
	aFile = regexp.MustCompile(`^(?:/|~/|\.{1,2}/|[A-Za-z]:[\\/])|\.(?:json|pem|key|txt|ya?ml|toml|p12|pfx|crt|env)$`)
	// aName is that of a variable.
	aName = regexp.MustCompile(`^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$`)
)

func mayBeSecret(value string) bool {
	return len(value) >= shortest && !number.MatchString(value) && !aFile.MatchString(value) && !aName.MatchString(value) && !aWord(value)
}

// aWord reports whether a value is a word that a person sets as a switch: none, default,
// development.
func aWord(value string) bool {
	const longest = 12
	return len(value) < longest && plainWord.MatchString(value) && (value == strings.ToLower(value) || value == strings.ToUpper(value))
}

// machineMade reports whether a value has letters and digits and is long enough to have
// been made by a machine.
func machineMade(value string) bool {
	const least = 10
	return len(value) >= least && strings.ContainsAny(value, "0123456789") && strings.ContainsFunc(value, unicode.IsLetter) && !strings.Contains(value, " ")
}
