package hiddentext

import (
	"strings"
	"testing"

	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

func Test_afterPrintable_stops_at_every_other_byte(t *testing.T) {
	for b := range 256 {
		printable := b >= ' ' && b <= '~'
		for at := range 20 {
			text := strings.Repeat("~", at) + string([]byte{byte(b)}) + strings.Repeat(" ", 19-at)
			want := at
			if printable {
				want = len(text)
			}
			if got := afterPrintable(text, 0); got != want {
				t.Fatalf("byte %#x at %d: got %d, want %d", b, at, got, want)
			}
		}
	}
}
