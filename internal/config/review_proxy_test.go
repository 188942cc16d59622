package config

import (
	"net/netip"
	"testing"
)

func Test_a_range_that_holds_this_machine_is_known(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1/32": true, "127.0.0.0/8": true, "64.0.0.0/2": true, "126.0.0.0/7": true, "::1/128": true, "::/1": true,
		"10.0.0.0/8": false, "128.0.0.0/1": false, "fd00::/8": false,
	} {
		if got := holdsLoopback(netip.MustParsePrefix(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
