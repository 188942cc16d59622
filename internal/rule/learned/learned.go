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
// order.
func Find(subject *rule.Subject) []Suspicion {
	text, l := subject.Folded().Text, of(subject.Surface)
	var found []Suspicion
	for _, w := range Windows(text, l.soft) {
		found = append(found, Suspicion{w, l.confidence(w.Score)})
	}
	return rescored(text, l, found)
}
