// Package learned recognises text that reads like an order to a model, by weights that
// were trained on attacks and on ordinary texts (docs/model.md).
//
// A folded text is read as words. Each word has features: itself, itself with the words
// before it, its pieces, and what kinds of words stand in which order. Each feature has
// a weight, and a window of words is scored by the sum of its weights, so that the whole
// costs one addition a feature. Weights are small integers, hence the score of a text is
// the same on every machine.
package learned

import (
	"slices"

	"gatehouse/internal/rule"
)

// limits are the scores from which a window counts.
type limits struct{ soft, hard float64 }

func of(surface rule.Surface) limits {
	if surface&rule.Definitions != 0 {
		return definitionLimits
	}
	return resultLimits
}

// Confidence at the limits. Above the hard one a window acts by itself, which at most
// the share of ordinary texts does that docs/model.md states.
const (
	softConfidence = 0.5
	hardConfidence = rule.Hard
)

// confidence is how sure a score makes one: linear between the limits, and above the
// hard one ever closer to 1.
func (l limits) confidence(score float64) float64 {
	if score < l.hard {
		return softConfidence + (hardConfidence-softConfidence)*(score-l.soft)/(l.hard-l.soft)
	}
	over := (score - l.hard) / (l.hard - l.soft)
	return 1 - (1-hardConfidence)/(1+over)
}

// Suspicion is a window and how sure it is that it is an order to a model.
type Suspicion struct {
	Window
	Confidence float64 // from 0.5 to 1; from rule.Hard on the window acts by itself
	// Mention says that the window is suspicious only for what is quoted in it by a
	// text about attacks. Its confidence is rule.Quoted.
	Mention bool
}

// Find returns the windows of a subject's folded text that are at least suspicious, in
// order. The first tier reads the whole text, the second one the windows that the first
// suspects most.
func Find(subject *rule.Subject) []Suspicion {
	text := subject.Folded().Text
	found := find(text, subject.Surface)
	if rest, quoted := withoutMentions(text, found); len(quoted) > 0 {
		still := find(rest, subject.Surface)
		for _, i := range quoted {
			found[i].weigh(still)
		}
	}
	return found
}

// mostQuoting is in how many suspicious windows of a text quotations are looked for, so
// that marks without end cost no more. More of them are none of a paper's.
const mostQuoting = 64

// withoutMentions is the text with spaces in the place of what is quoted in suspicious
// windows by a text about attacks, and the windows that have such quotations.
func withoutMentions(text []byte, found []Suspicion) (rest []byte, quoted []int) {
	for i, s := range found[:min(len(found), mostQuoting)] {
		mentions := rule.Mentions(text, s.Start, s.End)
		if len(mentions) == 0 {
			continue
		}
		if quoted = append(quoted, i); rest == nil {
			rest = slices.Clone(text)
		}
		for _, m := range mentions {
			for at := m[0]; at < m[1]; at++ {
				rest[at] = ' '
			}
		}
	}
	return rest, quoted
}

// weigh makes the confidence that of what is still suspicious there without quotations.
func (s *Suspicion) weigh(still []Suspicion) {
	most := 0.0
	for _, other := range still {
		if other.Start < s.End && s.Start < other.End {
			most = max(most, other.Confidence)
		}
	}
	s.Mention = most == 0
	s.Confidence = min(s.Confidence, max(most, rule.Quoted))
}

// find returns the windows of a folded text that are at least suspicious.
func find(text []byte, surface rule.Surface) []Suspicion {
	c := combinationOf(surface)
	s := scorers.Get().(*scorer)
	defer s.end()
	windows := s.windows(text, c.gate)
	best, n := asked(windows)
	again := best[:n]
	for _, i := range again {
		c.rescore(text, &windows[i])
	}
	var found []Suspicion
	for i, w := range windows {
		l := of(surface)
		if slices.Contains(again, i) {
			l = c.limits
		}
		if w.Score >= l.soft && w.Words >= fewestWords {
			found = surest(found, Suspicion{Window: w, Confidence: l.confidence(w.Score)})
		}
	}
	return found
}

// fewestWords is how many words say something: a name or a heading has less.
const fewestWords = 4

// surest appends what was found, but of two that overlap it keeps the surer one.
func surest(found []Suspicion, s Suspicion) []Suspicion {
	last := len(found) - 1
	switch {
	case last < 0 || s.Start >= found[last].End:
		return append(found, s)
	case s.Confidence > found[last].Confidence:
		return surest(found[:last], s)
	}
	return found
}
