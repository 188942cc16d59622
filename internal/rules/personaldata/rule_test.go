package personaldata

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

func found(t *testing.T, text string) []rule.Match {
	t.Helper()
	matches, err := Rule.Detect(rule.Subject{Surface: rule.ToolResult, Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return matches
}

// Test_numbers_count_with_their_checksum gives each number once as it is and once with
// another last digit or letter.
func Test_numbers_count_with_their_checksum(t *testing.T) {
	for label, number := range map[string]string{
		"card: ": "4539 1488 0343 6467", "card ": "371449635398431", "IBAN ": "GB82 WEST 1234 5698 7654 32", "iban=": "DE44500105175407324931", "iban: ": "FR1420041010050500013M02606",
		"NHS number: ": "943 476 5919", "Steuer-ID ": "86095742719", "DNI ": "54362315K", "NIE: ": "X1234567L", "codice fiscale ": "RSSMRA85T10A562S", "BSN ": "111222333",
		"PESEL: ": "44051401359", "personnummer ": "811228-9874", "hetu ": "131052-308T", "CPF: ": "529.982.247-25", "CNPJ ": "11.222.333/0001-81", "Aadhaar ": "2341 2341 2346", "resident identity ": "11010519491231002X", "TFN ": "876 543 210", "social insurance ": "193 456 787",
		"registre national ": "85.07.30-033.28", "NIR: ": "255081416802538", "id number ": "8001015009087",
	} {
		matches := found(t, "the "+label+number+" of it")
		if len(matches) != 1 || Rule.Rated(matches[0]).Confidence < rule.Hard {
			t.Errorf("%s%s gives %v", label, number, matches)
			continue
		}
		if got := ("the " + label + number)[matches[0].Start:]; got != number {
			t.Errorf("%s%s: found %q", label, number, got)
		}
		last := number[len(number)-1]
		wrong := number[:len(number)-1] + string(rune((last-'0'+3)%10+'0'))
		if last > '9' {
			wrong = number[:len(number)-1] + string(rune((last-'A'+3)%20+'A'))
		}
		if matches := found(t, "the "+label+wrong+" of it"); len(matches) > 0 {
			t.Errorf("%s%s with a wrong checksum gives %v", label, wrong, matches)
		}
	}
}

func Test_numbers_without_a_checksum_need_their_form(t *testing.T) {
	for _, text := range []string{"SSN: 536-90-4399", "national insurance AB 12 34 56 C"} {
		if len(found(t, text)) != 1 {
			t.Errorf("%q gives %v", text, found(t, text))
		}
	}
	for _, text := range []string{"SSN: 000-12-3456", "SSN: 666-12-3456", "SSN 9", "ssn field with 123456789", "national insurance QQ 12 34 56 C"} {
		if len(found(t, text)) != 0 {
			t.Errorf("%q gives %v", text, found(t, text))
		}
	}
}

func Test_verhoeff_notices_swapped_digits(t *testing.T) {
	if !aadhaar("234123412346") || aadhaar("234123412364") || aadhaar("234123412347") {
		t.Error("the checksum is wrong")
	}
}

// A policy may redact what is found: nothing of a long table may be left out.
func Test_a_large_table_has_a_bounded_list_and_no_gap(t *testing.T) {
	row, card := "anna.smith@company.org, ", "card 4539 1488 0343 6467; "
	text := strings.Repeat(row, 3*maxMatches) + card + row
	matches := found(t, text)
	if len(matches) != maxMatches+1 {
		t.Fatalf("%d matches, want %d", len(matches), maxMatches+1)
	}
	last := matches[maxMatches]
	if last.Start != maxMatches*len(row) || last.End != len(text)-len(", ") || last.Severity != rule.Medium {
		t.Errorf("the rest is %+v of %d bytes", last, len(text))
	}
}

func Test_of_matches_that_overlap_the_first_to_know_stays(t *testing.T) {
	f := finder{text: strings.Repeat("x", 20)}
	for _, span := range [][2]int{{12, 20}, {5, 15}, {0, 6}, {6, 12}} {
		f.add(span[0], span[1], rule.Info, perhaps, "x")
	}
	var got [][2]int
	for _, m := range f.sorted() {
		got = append(got, [2]int{m.Start, m.End})
	}
	if want := [][2]int{{0, 6}, {6, 12}, {12, 20}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func Fuzz_matches_lie_inside_and_apart(f *testing.F) {
	for _, seed := range []string{"card 4539 1488 0343 6467", "a@b.cc@d.ee", "iban DE", "tel: +49 (0) 30 1", "address 1 2 3street", "cpf \xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		end := 0
		for _, m := range found(t, text) {
			if m.Start < end || m.Start >= m.End || m.End > len(text) {
				t.Fatalf("%q: match %d-%d after %d", text, m.Start, m.End, end)
			}
			end = m.End
		}
	})
}
