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
}

// Find returns the windows of a subject's folded text that are at least suspicious, in
// order. The first tier reads the whole text, the second one the windows that the first
// suspects most.
func Find(subject *rule.Subject) []Suspicion {
	text, c := subject.Folded().Text, combinationOf(subject.Surface)
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
		l := of(subject.Surface)
		if slices.Contains(again, i) {
			l = c.limits
		}
		if w.Score >= l.soft {
			found = surest(found, Suspicion{w, l.confidence(w.Score)})
		}
	}
	return found
}

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
