package personaldata

import (
	"slices"
	"strings"

	"gatehouse/internal/rule"
)

// kind is a number that has a name: the name is looked for, the number is read
// behind it.
type kind struct {
	names    []string
	detail   string
	alphabet string                   // of the number, in upper case
	length   []int                    // without spaces and signs
	valid    func(number string) bool // of the characters of the alphabet alone
	severity rule.Severity
}

const (
	decimal = "0123456789"
	latin   = decimal + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// kinds are facts about numbers of persons.
var kinds = []kind{
	{[]string{"iban", "account number", "kontonummer", "compte"}, "IBAN of a bank account", latin, []int{15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33}, iban, rule.Medium},
	{[]string{"ssn", "social security", "social-security", "itin"}, "US Social Security number", decimal, []int{9}, ssn, rule.Medium},
	{[]string{"national insurance", "nino"}, "UK National Insurance number", latin, []int{9}, nino, rule.Medium},
	{[]string{"nhs number", "nhs no", "nhs:"}, "UK NHS number", decimal, []int{10}, nhs, rule.Medium},
	{[]string{"steuer-id", "steuerid", "steueridentifikationsnummer", "idnr", "tax id", "tax_id"}, "German tax number", decimal, []int{11}, steuerID, rule.Medium},
	{[]string{"nir:", "num\u00e9ro de s\u00e9curit\u00e9", "securite sociale", "s\u00e9curit\u00e9 sociale", "insee"}, "French social security number", latin, []int{15}, nir, rule.Medium},
	{[]string{"dni", "nie:", "nie ", "n.i.e", "nif"}, "Spanish identity number", latin, []int{9}, dni, rule.Medium},
	{[]string{"codice fiscale", "codice_fiscale", "codicefiscale"}, "Italian tax code", latin, []int{16}, codiceFiscale, rule.Medium},
	{[]string{"bsn", "burgerservicenummer"}, "Dutch citizen number", decimal, []int{9}, bsn, rule.Medium},
	{[]string{"pesel"}, "Polish identity number", decimal, []int{11}, pesel, rule.Medium},
	{[]string{"rijksregister", "registre national", "national register"}, "Belgian identity number", decimal, []int{11}, belgian, rule.Medium},
	{[]string{"personnummer"}, "Swedish identity number", decimal, []int{10, 12}, swedish, rule.Medium},
	{[]string{"f\u00f8dselsnummer", "fodselsnummer"}, "Norwegian identity number", decimal, []int{11}, norwegian, rule.Medium},
	{[]string{"henkil\u00f6tunnus", "henkilotunnus", "hetu"}, "Finnish identity number", latin, []int{10}, finnish, rule.Medium},
	{[]string{"cpf"}, "Brazilian tax number", decimal, []int{11}, cpf, rule.Medium},
	{[]string{"cnpj"}, "Brazilian company number", decimal, []int{14}, cnpj, rule.Low},
	{[]string{"aadhaar", "aadhar", "uidai"}, "Indian identity number", decimal, []int{12}, aadhaar, rule.Medium},
	{[]string{"\u8eab\u4efd\u8bc1", "resident identity", "resident id", "citizen id"}, "Chinese identity number", latin, []int{18}, chinese, rule.Medium},
	{[]string{"tfn", "tax file number"}, "Australian tax number", decimal, []int{9}, tfn, rule.Medium},
	{[]string{"social insurance"}, "Canadian social insurance number", decimal, []int{9}, func(n string) bool { return n[0] != '0' && luhn(n) }, rule.Medium},
	{[]string{"id number", "id no", "id_number", "identity number"}, "South African identity number", decimal, []int{13}, func(n string) bool { return month(n[2:4]) && day(n[4:6]) && luhn(n) }, rule.Medium},
	{[]string{"phone", "mobile", "telefon", "t\u00e9l\u00e9phone", "tel:", "tel.", "cell:", "whatsapp", "fax"}, "telephone number", decimal + "+", []int{8, 9, 10, 11, 12, 13, 14, 15, 16}, telephone, rule.Info},
	{[]string{"street", "address", "adresse", "direcci\u00f3n", "shipping"}, "postal address", "", nil, nil, rule.Info},
}

// labels are the names of all kinds; owners[i] is the kind of the i-th.
var labels, owners = func() (*rule.Literals, []int) {
	var words []string
	var of []int
	for i, k := range kinds {
		for _, name := range k.names {
			words, of = append(words, name), append(of, i)
		}
	}
	return rule.NewLiterals(rule.Written, words...), of
}()

const (
	// gap is how far behind its name a number may begin, in bytes.
	gap = 40
	// maxNumber is the longest number, with spaces and signs, in bytes.
	maxNumber = 48
	// maxStarts bounds how many places behind a name are tried.
	maxStarts = 4
)

// labelled reads the number behind a name.
func (f *finder) labelled(k kind, end int) {
	if k.valid == nil {
		f.postal(end)
		return
	}
	text := f.text
	for i, tried := end, 0; i < min(len(text), end+gap) && tried < maxStarts; i++ {
		c := text[i]
		if c == '\n' && i > end+4 {
			return
		}
		if strings.IndexByte(k.alphabet, upper(c)) < 0 || i > 0 && word(text[i-1]) {
			continue
		}
		tried++
		number, stop := read(text, i, k)
		if stop > 0 && (stop >= len(text) || !word(text[stop])) && k.valid(number) && !repeated(number) {
			confidence := likely
			if k.severity == rule.Info {
				confidence = perhaps
			}
			f.add(i, stop, k.severity, confidence, k.detail)
			return
		}
	}
}

// read takes the characters of a number from a place on, past the signs that people
// write between them, and returns where it ends; 0 if it has another length.
func read(text string, at int, k kind) (number string, end int) {
	var out [maxNumber]byte
	n, stop := 0, 0
	longest := slices.Max(k.length)
	for i := at; i < len(text) && i-at < maxNumber; i++ {
		c := upper(text[i])
		switch {
		case strings.IndexByte(k.alphabet, c) >= 0 && n <= longest:
			out[n] = c
			n++
			stop = i + 1
		case n > 0 && strings.IndexByte(" -./()", c) >= 0:
			if c == ' ' && slices.Contains(k.length, n) && (i+1 >= len(text) || upper(text[i+1]) > '9') && k.alphabet == latin && k.valid(string(out[:n])) {
				return string(out[:n]), i
			}
		default:
			i = len(text)
		}
	}
	if !slices.Contains(k.length, n) {
		return "", 0
	}
	return string(out[:n]), stop
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

// repeated says whether a number is one of documentation: all the same, or in order.
func repeated(number string) bool {
	same, next := 0, 0
	for i := 1; i < len(number); i++ {
		if number[i] == number[i-1] {
			same++
		}
		if number[i] == number[i-1]+1 || number[i] == '0' && number[i-1] == '9' {
			next++
		}
	}
	return same >= len(number)-2 || next >= len(number)-2
}

const maxLocal, maxHost = 64, 255 // characters before and behind the @ (RFC 5321)

// mails looks at each address. Those of examples and of services that nobody reads
// are no person's.
func (f *finder) mails() {
	text := f.text
	for at := 0; ; at++ {
		next := strings.IndexByte(text[at:], '@')
		if next < 0 {
			return
		}
		at += next
		local, end := at, at+1
		for local > 0 && at-local < maxLocal && (word(text[local-1]) || strings.IndexByte(".+%'", text[local-1]) >= 0) {
			local--
		}
		for end < len(text) && end-at < maxHost && text[end] < 0x80 && (word(text[end]) && text[end] != '_' || text[end] == '.') {
			end++
		}
		end = at + 1 + len(strings.TrimRight(text[at+1:end], ".-"))
		if local < at && (local == 0 || strings.IndexByte("/:@", text[local-1]) < 0 || strings.HasSuffix(text[:local], "mailto:")) && person(strings.ToLower(text[local:at]), strings.ToLower(text[at+1:end])) {
			f.add(local, end, rule.Info, perhaps, "e-mail address")
		}
	}
}

// person says whether an address can be somebody's.
func person(name, host string) bool {
	dot := strings.LastIndexByte(host, '.')
	if dot <= 0 || len(host)-dot < 3 || strings.Trim(host[dot+1:], "abcdefghijklmnopqrstuvwxyz") != "" {
		return false
	}
	return !strings.Contains("."+host, ".example.") && !strings.HasSuffix(host, ".example") && !slices.Contains(roles, name)
}

// roles are names of mailboxes that are no person's.
var roles = []string{"noreply", "no-reply", "git", "info", "support", "admin", "security", "hello", "contact", "sales", "help", "abuse", "postmaster", "webmaster", "user", "you", "me", "test"}

// postal recognises a house number and a street, or the other way round, behind a word
// for an address.
func (f *finder) postal(end int) {
	part := f.text[end:min(len(f.text), end+gap+maxNumber)]
	fields := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(" \t:\",={}[]'", r) })
	for i, field := range fields[:min(len(fields), 7)] {
		if len(field) < 3 || !slices.ContainsFunc(streets, func(s string) bool { return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(field, ".")), s) }) {
			continue
		}
		for _, near := range fields[max(0, i-3):min(len(fields), i+2)] {
			if len(near) <= 5 && near[0] >= '1' && near[0] <= '9' {
				at := strings.Index(part, near)
				to := strings.Index(part, field) + len(field)
				from := end + min(at, to-len(field))
				f.add(from, end+max(to, at+len(near)), rule.Info, perhaps, "postal address")
				return
			}
		}
	}
}

var streets = []string{"street", "avenue", "road", "lane", "boulevard", "drive", "court", "stra\u00dfe", "strasse", "weg", "platz", "rue", "calle", "straat"}
