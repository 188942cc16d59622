//go:build unix

package rules

import (
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/rule"
)

// Test_time_grows_with_the_text_and_not_faster compares texts of which one is many
// times as long. Only a ratio holds on any machine, and only the time of the processor
// where other programs run.
func Test_time_grows_with_the_text_and_not_faster(t *testing.T) {
	const small = 1 << 20
	for _, tt := range []struct {
		name, text string
		times      int
	}{{"clean", clean, 10}, {"documents", documents(t), 4}} {
		before, after := worked(t, sized(tt.text, small)), worked(t, sized(tt.text, small*tt.times))
		if allowed := time.Duration(3 * tt.times); after > before*allowed { // quadratic would be times²
			t.Errorf("%s: 1 MiB takes %v, %d MiB take %v", tt.name, before, tt.times, after)
		}
	}
}

// worked is the time that the processors work for all rules on a text, the shorter of
// two.
func worked(t *testing.T, text string) time.Duration {
	t.Helper()
	detect := func() time.Duration {
		start := processorTime(t)
		if _, err := readers[rule.ToolResult].Detect(rule.Subject{Surface: rule.ToolResult, Text: text}, nil); err != nil {
			t.Fatal(err)
		}
		return processorTime(t) - start
	}
	return min(detect(), detect())
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
