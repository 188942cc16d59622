package toolshadowing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

// A long text times many neighbours is what a hostile server can bring, so each may
// cost once and not once for every word. Only a ratio holds on any machine.
func Test_neighbours_cost_once_for_a_text(t *testing.T) {
	subject := rule.Subject{Surface: rule.ToolDefinition, Server: "here", Name: "tool", Key: "description", Text: strings.Repeat("a_b_cd ", 4<<10)}
	few, many := took(t, subject, 10), took(t, subject, 1000)
	const allowed = 20 // gone through for each word, they take a hundred times as long
	for retries := 3; many > allowed*few && retries > 0; retries-- {
		many = min(many, took(t, subject, 1000))
	}
	if many > allowed*few {
		t.Errorf("%v with ten neighbours, %v with a thousand", few, many)
	}
}

func took(t *testing.T, subject rule.Subject, neighbours int) time.Duration {
	t.Helper()
	for i := range neighbours {
		subject.Neighbours = append(subject.Neighbours, rule.Neighbour{Server: fmt.Sprintf("server%d", i%20), Name: fmt.Sprintf("A_tool_%d", i)})
	}
	start := time.Now()
	if matches, err := detect(subject); err != nil || len(matches) > 0 {
		t.Fatal(matches, err)
	}
	return time.Since(start)
}
