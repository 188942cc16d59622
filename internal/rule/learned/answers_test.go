package learned

import (
	"fmt"
	"testing"
)

// What is remembered is what would be said, however many texts there are, and a text that
// comes again is not asked about again.
func Test_answers_are_remembered_and_never_mistaken(t *testing.T) {
	var a answers
	asked := 0
	ask := func(text []byte) float64 {
		asked++
		return float64(len(text)) + float64(text[len(text)-1])/256
	}
	for range 2 {
		for n := range 3 * maxAnswers {
			text := fmt.Appendf(nil, "text %d", n)
			if got, want := a.logit(text, ask), float64(len(text))+float64(text[len(text)-1])/256; got != want {
				t.Fatalf("%s: %v, want %v", text, got, want)
			}
		}
	}
	asked = 0
	for range 5 {
		a.logit([]byte("again"), ask)
	}
	if asked > 1 {
		t.Errorf("asked %d times", asked)
	}
}
