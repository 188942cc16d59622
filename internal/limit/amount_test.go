package limit

import (
	"math/big"
	"strings"
	"testing"
)

func Test_amounts_are_exact(t *testing.T) {
	tests := []struct{ literal, want string }{
		{"0", "0"}, {"-0", "0"}, {"0.0e99", "0"}, {"1", "1"}, {"0.1", "0.1"}, {"0.01", "0.01"}, {"1.50", "1.5"}, {"12e3", "12000"}, {"1.2E+1", "12"},
		{"125e-2", "1.25"}, {"0.000000000000000001", "0.000000000000000001"}, {"1e-18", "0.000000000000000001"},
		{"999999999999999999.999999999999999999", "999999999999999999.999999999999999999"},
		{"10000000000000000000e-2", "100000000000000000"}, {"0.10000000000000000000000", "0.1"}, {"100.000", "100"}, {"0.00012e5", "12"},
		{"0.0000000000000000001", "!18 digits behind"}, {"1.0000000000000000001", "!18 digits behind"}, {"1e-19", "!18 digits behind"},
		{"1000000000000000000", "!before the point"}, {"1e18", "!before the point"}, {"1e999999999999", "!before the point"}, {"1e-999999999999", "!behind the point"},
		{"-1", "!negative"}, {"-0.1", "!negative"}, {"", "!no number"}, {"true", "!no number"}, {"1e", "!no number"}, {"1.1.1", "!no number"}, {`"5"`, "!no number"},
		{strings.Repeat("1", 65), "!no number"},
	}
	for _, test := range tests {
		got, err := parseAmount(test.literal)
		if want, fails := strings.CutPrefix(test.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s, %v, want an error: %s", test.literal, got.decimal(), err, want)
			}
		} else if err != nil || got.decimal() != test.want {
			t.Errorf("%s: %s, %v, want %s", test.literal, got.decimal(), err, test.want)
		}
	}
}

func Test_ten_tenths_are_one(t *testing.T) {
	tenth, _ := parseAmount("0.1")
	one, _ := parseAmount("1")
	var sum Amount
	for range 10 {
		sum = sum.plus(tenth)
	}
	if sum != one || one.minus(tenth).plus(tenth) != one || !(Amount{}).minus(one).isZero() {
		t.Errorf("ten tenths are %s", sum.decimal())
	}
	if most := (Amount{^uint64(0), 5}); !one.less(most.plus(most)) {
		t.Error("a sum that overflows became small")
	}
}

// What is accepted is what exact arithmetic of the standard library says.
func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{"0.1", "12e3", "1e-18", "999999999999999999.9", "0.0001e5", "1e400"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, literal string) {
		got, err := parseAmount(literal)
		if fromBytes, bytesErr := parseAmount([]byte(literal)); fromBytes != got || bytesErr != err {
			t.Fatalf("%q reads differently as bytes", literal)
		}
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(literal)
		if !ok {
			t.Skip("no number that JSON has")
		}
		if back, _ := new(big.Rat).SetString(got.decimal()); want.Cmp(back) != 0 {
			t.Fatalf("%q is %s", literal, got.decimal())
		}
		if again, err := parseAmount(got.decimal()); err != nil || again != got {
			t.Fatalf("%s is read back as %s, %v", got.decimal(), again.decimal(), err)
		}
	})
}
