package personaldata

import "strings"

const minCard, maxCard = 13, 19

// card verifies a number of a payment card: who issues it, its length, its checksum
// (ISO/IEC 7812-1).
func card(n string) bool {
	prefix := func(digits int) int { return atoi(n[:digits]) }
	two, three, four := prefix(2), prefix(3), prefix(4)
	known := false
	switch length := len(n); {
	case n[0] == '4':
		known = length == 13 || length == 16 || length == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		known = length == 16
	case two == 34 || two == 37:
		known = length == 15
	case four == 6011, two == 65, three >= 644 && three <= 649:
		known = length >= 16
	case two == 62:
		known = length >= 16
	case four >= 3528 && four <= 3589:
		known = length >= 16
	case two == 36 || two == 38 || three >= 300 && three <= 305:
		known = length >= 14
	case four == 5018 || four == 5020 || four == 5038 || four == 6304 || four == 6759 || four == 6761 || four == 6762 || four == 6763:
		known = true
	}
	return known && luhn(n) && !repeated(n) && !test(n)
}

// test are numbers that payment services publish for tests.
func test(n string) bool {
	return strings.HasPrefix(n, "4242424242") || strings.HasPrefix(n, "411111111111") || strings.HasPrefix(n, "400000") || strings.HasPrefix(n, "555555555555") || strings.HasPrefix(n, "37828224631") || strings.HasPrefix(n, "60111111111") || strings.HasPrefix(n, "510510510510") || strings.HasPrefix(n, "401288888888") || strings.HasSuffix(n, "00000000")
}

// grouped says whether the signs inside of a number stand where people put them: in
// groups of four, or of four, six and five; or nowhere.
func grouped(written string, digits int) bool {
	if len(written) == digits {
		return true
	}
	parts := strings.FieldsFunc(written, func(r rune) bool { return r == ' ' || r == '-' })
	for i, part := range parts {
		if len(part) != 4 && !(digits == 15 && i == 1 && len(part) == 6) && i != len(parts)-1 && !(digits == 14 && i == 1 && len(part) == 6) {
			return false
		}
	}
	return len(parts) >= 3 && len(parts) <= 5
}

func atoi(digits string) int {
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// luhn verifies the checksum of ISO/IEC 7812-1.
func luhn(n string) bool {
	sum := 0
	for i := range len(n) {
		d := int(n[len(n)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// weighted is the sum of the digits, each times its weight.
func weighted(n string, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += int(n[i]-'0') * w
	}
	return sum
}

func month(s string) bool { m := atoi(s); return m >= 1 && m <= 12 }
func day(s string) bool   { d := atoi(s); return d >= 1 && d <= 31 }

func decimalOnly(s string) bool { return strings.Trim(s, decimal) == "" }

// ibanLengths are the lengths by country (the SWIFT registry).
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}

// iban verifies an account number (ISO 13616): modulo 97 of its digits, letters
// counting from ten, the first four characters moved to the end, is one.
func iban(n string) bool {
	if len(n) < 15 || ibanLengths[n[:2]] != len(n) || !decimalOnly(n[2:4]) {
		return false
	}
	rest := 0
	for _, c := range []byte(n[4:] + n[:4]) {
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	return rest == 1
}

// ssn says whether a number can have been issued. There is no checksum.
func ssn(n string) bool {
	area := atoi(n[:3])
	return area != 0 && area != 666 && area < 900 && n[3:5] != "00" && n[5:] != "0000" && n != "078051120" && n != "219099999"
}

func nino(n string) bool {
	return strings.IndexByte("DFIQUV", n[0]) < 0 && strings.IndexByte("DFIQUVO", n[1]) < 0 && n[0] >= 'A' && n[1] >= 'A' && decimalOnly(n[2:8]) && n[8] >= 'A' && n[8] <= 'D' &&
		!strings.Contains(" BG GB NK KN TN NT ZZ ", " "+n[:2]+" ")
}

func nhs(n string) bool {
	check := 11 - weighted(n, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11
	return check%11 == int(n[9]-'0') && check != 10
}

// steuerID verifies a German tax number: modulo 11, 10 (ISO 7064).
func steuerID(n string) bool {
	product := 10
	for i := range 10 {
		sum := (int(n[i]-'0') + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	return n[0] != '0' && (11-product)%10 == int(n[10]-'0')
}

// nir verifies a French number: 97 less the rest of the number by 97. The departments
// of Corsica have a letter.
func nir(n string) bool {
	n = strings.Replace(strings.Replace(n, "2A", "19", 1), "2B", "18", 1)
	if !decimalOnly(n) || n[0] != '1' && n[0] != '2' || atoi(n[3:5]) == 0 {
		return false
	}
	return 97-atoi(n[:13])%97 == atoi(n[13:])
}

func dni(n string) bool {
	body := n[:8]
	if i := strings.IndexByte("XYZ", body[0]); i >= 0 {
		body = string(rune('0'+i)) + body[1:]
	}
	return decimalOnly(body) && "TRWAGMYFPDXBNJZSQVHLCKE"[atoi(body)%23] == n[8]
}

// codiceFiscale verifies the last letter: characters at odd places count by a table.
func codiceFiscale(n string) bool {
	const odd = "BAKPLCQDREVOSFTGUHMINJWZYX" // the letter at each value of the table
	sum := 0
	for i := range 15 {
		v := 0
		if c := n[i]; c >= 'A' {
			v = int(c - 'A')
		} else {
			v = int(c - '0')
		}
		if i%2 == 0 {
			v = strings.IndexByte(odd, byte('A'+v))
		}
		sum += v
	}
	return strings.Trim(n[:6], decimal) == n[:6] && byte('A'+sum%26) == n[15]
}

func bsn(n string) bool {
	return (weighted(n, 9, 8, 7, 6, 5, 4, 3, 2)-int(n[8]-'0'))%11 == 0 && n != "000000000"
}

// pesel verifies a Polish number. Its month tells the century, too.
func pesel(n string) bool {
	m := atoi(n[2:4]) % 20
	return (10-weighted(n, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == int(n[10]-'0') && m >= 1 && m <= 12 && day(n[4:6])
}

func belgian(n string) bool {
	check := atoi(n[9:])
	return 97-atoi(n[:9])%97 == check || 97-(2000000000+atoi(n[:9]))%97 == check
}

func swedish(n string) bool {
	n = n[len(n)-10:]
	return month(n[2:4]) && day(n[4:6]) && luhn(n)
}

func norwegian(n string) bool {
	one := 11 - weighted(n, 3, 7, 6, 1, 8, 9, 4, 5, 2)%11
	two := 11 - weighted(n, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11
	return one%11 == int(n[9]-'0') && two%11 == int(n[10]-'0')
}

// finnish verifies DDMMYY and NNN, and the character by the rest of both by 31.
func finnish(n string) bool {
	body := n[:9]
	return decimalOnly(body) && month(n[2:4]) && day(n[:2]) && "0123456789ABCDEFHJKLMNPRSTUVWXY"[atoi(body)%31] == n[9]
}

func cpf(n string) bool {
	digit := func(sum int) int { return sum * 10 % 11 % 10 }
	return digit(weighted(n, 10, 9, 8, 7, 6, 5, 4, 3, 2)) == int(n[9]-'0') && digit(weighted(n, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)) == int(n[10]-'0')
}

func cnpj(n string) bool {
	digit := func(sum int) int { return (11 - sum%11) % 11 % 10 }
	return digit(weighted(n, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) == int(n[12]-'0') && digit(weighted(n, 6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) == int(n[13]-'0')
}

// aadhaar verifies Verhoeff's checksum, which is made of the symmetries of a pentagon.
func aadhaar(n string) bool {
	multiply := func(a, b int) int {
		switch {
		case a < 5 && b < 5:
			return (a + b) % 5
		case a < 5:
			return (a+b-5)%5 + 5
		case b < 5:
			return (a-5-b+5)%5 + 5
		}
		return (a - b + 5) % 5
	}
	const permutation = "1576283094"
	sum := 0
	for i := range len(n) {
		d := int(n[len(n)-1-i] - '0')
		for range i % 8 {
			d = int(permutation[d] - '0')
		}
		sum = multiply(sum, d)
	}
	return n[0] > '1' && sum == 0
}

func chinese(n string) bool {
	if !decimalOnly(n[:17]) || !month(n[10:12]) || !day(n[12:14]) {
		return false
	}
	return "10X98765432"[weighted(n, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11] == n[17]
}

func tfn(n string) bool { return weighted(n, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0 }

// telephone says whether digits can be a number of a person: with its country, or as
// long as a national one (ITU-T E.164).
func telephone(n string) bool {
	body := strings.TrimPrefix(n, "+")
	return decimalOnly(body) && (len(n) > len(body) && len(body) >= 9 && len(body) <= 15 && body[0] != '0' || len(n) == len(body) && len(body) >= 9 && len(body) <= 12) && !strings.Contains(body, "55501") && !strings.Contains(body, "000000")
}
