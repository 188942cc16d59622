package policy

import (
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// A forbid that is about the size of a number must not be evaded by the way in which
// the number is written; what cannot be read is named, so that a policy can refuse it.
func Test_numbers_however_they_are_written(t *testing.T) {
	c := &config.Config{Servers: []config.Server{{ID: "bank"}}}
	e, err := New(c, []Source{{Name: "p", Text: []byte(`permit (principal, action, resource);
@id("large") forbid (principal, action == Action::"tools/call", resource) when { context.arguments.numbers.hasTag("amount") && context.arguments.numbers.getTag("amount") > 100 };
@id("unread") forbid (principal, action == Action::"tools/call", resource) when { context.arguments.unread.contains("amount") };`)}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		`100`: true, `1e2`: true, `1.0e2`: true, `-5`: true, `100.0`: true,
		`101`: false, `1e3`: false, `1.01e2`: false, `101.0`: false, `9223372036854775808`: false, `1e400`: false, `10100e-2`: false, `1e99`: false, `null`: false,
	} {
		doc, err := wire.Scan([]byte(`{"amount":`+text+`}`), wire.DefaultLimits)
		if err != nil {
			t.Fatal(text, err)
		}
		d := e.Decide(&Request{Principal: &identity.Principal{ID: "user:x/y", Kind: identity.User}, Method: "tools/call", Server: "bank", Kind: KindTool, Name: "pay", Arguments: doc.Root})
		if d.Allow != want {
			t.Errorf("%s: %+v", text, d)
		}
	}
}

// A forbid that asks decimals sees whole numbers too, up to the bound that the page on
// policies names.
func Test_decimals_hold_whole_numbers(t *testing.T) {
	c := &config.Config{Servers: []config.Server{{ID: "bank"}}}
	e, err := New(c, []Source{{Name: "p", Text: []byte(`permit (principal, action, resource);
@id("large") forbid (principal, action == Action::"tools/call", resource) when { context.arguments.decimals.hasTag("amount") && context.arguments.decimals.getTag("amount").greaterThan(decimal("100.0")) };
@id("unread") forbid (principal, action == Action::"tools/call", resource) when { context.arguments.unread.contains("amount") };`)}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		`100`: true, `99.5`: true, `0.0001`: true,
		`100.5`: false, `101`: false, `922337203685477`: false, `9e14`: false, `0.00001`: false,
	} {
		doc, err := wire.Scan([]byte(`{"amount":`+text+`}`), wire.DefaultLimits)
		if err != nil {
			t.Fatal(text, err)
		}
		d := e.Decide(&Request{Principal: &identity.Principal{ID: "user:x/y", Kind: identity.User}, Method: "tools/call", Server: "bank", Kind: KindTool, Name: "pay", Arguments: doc.Root})
		if d.Allow != want {
			t.Errorf("%s: %+v", text, d)
		}
	}
}
