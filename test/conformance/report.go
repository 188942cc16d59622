package conformance

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Score is what one scenario of the suite counted.
type Score struct {
	Passed, Failed int
	// Scored is false for scenarios that the suite runs without requiring them
	// of the revision.
	Scored bool
}

func (s Score) String() string { return fmt.Sprintf("%d/%d", s.Passed, s.Failed) }

// Report is one run of the suite, by scenario.
type Report map[string]Score

var (
	scenarioLine = regexp.MustCompile(`^[✓✗] (\S+): (\d+) passed, (\d+) failed`)
	unscoredLine = regexp.MustCompile(`^  [✓✗] (\S+) \(`)
)

// ParseReport reads what the suite prints. Text that it does not recognise is
// passed over, so a caller checks that it found as many scenarios as it expects.
func ParseReport(output string) Report {
	report := Report{}
	for line := range strings.Lines(output) {
		if m := scenarioLine.FindStringSubmatch(line); m != nil {
			passed, _ := strconv.Atoi(m[2])
			failed, _ := strconv.Atoi(m[3])
			report[m[1]] = Score{Passed: passed, Failed: failed, Scored: true}
		}
		if m := unscoredLine.FindStringSubmatch(line); m != nil {
			score := report[m[1]]
			score.Scored = false
			report[m[1]] = score
		}
	}
	return report
}

// Scored counts the scenarios that the revision requires.
func (r Report) Scored() int {
	n := 0
	for _, score := range r {
		if score.Scored {
			n++
		}
	}
	return n
}

// worse reports whether the score lost something that other has. To pass more is
// no loss: the gateway refuses some malformed requests that a server takes.
func (s Score) worse(other Score, skips int) bool {
	return s.Passed+skips < other.Passed || s.Failed > other.Failed || s.Scored != other.Scored
}

// skipped is how many checks of a scenario the suite leaves out, as information
// and not as a failure, when an answer is plain JSON and no stream. The server
// behind streams every answer; Gatehouse streams only what comes in several
// messages or takes long, and resumes a stream that the server closed early by itself.
var skipped = map[string]int{
	"server-sse-multiple-streams": 1,
	"server-sse-polling":          1,
}

// Compare lists what the gateway made worse, one sentence each: a required
// scenario that fails, a scenario that is missing, a check that no longer passes.
func Compare(direct, through Report) []string {
	var problems []string
	for _, name := range names(direct, through) {
		d, wasRun := direct[name]
		g, isRun := through[name]
		switch {
		case !wasRun || !isRun:
			problems = append(problems, fmt.Sprintf("%s ran only once: directly %v, through the gateway %v", name, wasRun, isRun))
		case g.worse(d, skipped[name]):
			problems = append(problems, fmt.Sprintf("%s: directly %v passed/failed, through the gateway %v", name, d, g))
		case g.Scored && g.Failed > 0:
			problems = append(problems, fmt.Sprintf("%s is required and fails: %v passed/failed", name, g))
		}
	}
	return problems
}
