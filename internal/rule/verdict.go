package rule

import (
	"cmp"
	"slices"
	"strings"
)

const (
	// companyWithin is how near, in bytes, matches of different rules must stand to
	// count together: about a paragraph.
	companyWithin = 320
	// companyAmong bounds how many matches on either side are looked at, so that a text
	// full of them costs no more than its length.
	companyAmong = 32
	// lends bounds what one match adds to another, however sure it is: that a text
	// holds a secret does not make an order of the sentence beside it.
	lends = 0.8
	// hiding is how likely it is, by itself, that markup hides a text because people are
	// not meant to read what a model is told. Pages hide a lot.
	hiding = 0.5
	// hider is the rule about hidden text. What it says of a part is not added to hiding.
	hider = "hidden-text"
)

// Combine adds up the matches in one text. Evidence that is sure enough stands alone.
// What is less sure, by Hard, needs company: matches of other rules near it, each of
// which leaves it less likely to be harmless. The confidences are taken as independent:
// p = 1 - (1-p1)(1-p2)…, one match for each rule. Matches that are mild if right (below
// Medium) are no company; that markup hides the evidence from people is. The order of the
// matches is kept.
func Combine(found []Found) []Found {
	if !slices.ContainsFunc(found, soft) {
		return found
	}
	places := make([]int, len(found))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(found[a].Start, found[b].Start) })
	raised := slices.Clone(found) // company is judged as it was found, not as it was raised
	for at, i := range places {
		if soft(found[i]) {
			raised[i] = accompanied(found, places, at)
		}
	}
	return raised
}

// soft is evidence of something bad that is not sure enough to act.
func soft(f Found) bool { return f.Severity >= High && f.Confidence < Hard }

// accompanied is the match at a place with the confidence that its company gives it.
func accompanied(found []Found, places []int, at int) Found {
	f := found[places[at]]
	best := map[string]float64{}
	for n := max(0, at-companyAmong); n < min(len(places), at+companyAmong+1); n++ {
		other := found[places[n]]
		if other.Rule == f.Rule || other.Sum && !f.Sum || other.Severity < Medium || other.Start-f.End > companyWithin || f.Start-other.End > companyWithin {
			continue
		}
		best[other.Rule] = max(best[other.Rule], other.Confidence)
	}
	if f.Hidden && f.Rule != hider {
		best[hider] = max(best[hider], hiding)
	}
	harmless := 1 - f.Confidence
	var company []string
	for id, confidence := range best {
		company = append(company, id)
		harmless *= 1 - min(confidence, lends)
	}
	if 1-harmless < Hard {
		return f
	}
	slices.Sort(company)
	f.Confidence = 1 - harmless
	f.Detail += "; beside " + strings.Join(company, ", ")
	return f
}
