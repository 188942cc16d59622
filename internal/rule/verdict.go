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
	// companyAmong bounds how many matches of each other rule are looked at on either side,
	// so that a text full of them costs no more than its length.
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
// Medium) and attacks that are only quoted are no company; that markup hides the evidence
// from people is. The order of the matches is kept.
func Combine(found []Found) []Found {
	if !slices.ContainsFunc(found, soft) {
		return found
	}
	company := companies(found)
	raised := slices.Clone(found) // company is judged as it was found, not as it was raised
	for i := range found {
		if soft(found[i]) {
			raised[i] = accompanied(found[i], company)
		}
	}
	return raised
}

// companies are the matches that can be company for others, by rule, in order of their
// starts: what one rule finds in any number does not hide what another does.
func companies(found []Found) [][]Found {
	var all [][]Found
	byRule := map[string]int{}
	for _, f := range found {
		if f.Severity < Medium || f.Mention {
			continue
		}
		n, known := byRule[f.Rule]
		if !known {
			n = len(all)
			byRule[f.Rule], all = n, append(all, nil)
		}
		all[n] = append(all[n], f)
	}
	for _, list := range all {
		slices.SortStableFunc(list, func(a, b Found) int { return cmp.Compare(a.Start, b.Start) })
	}
	slices.SortFunc(all, func(a, b []Found) int { return strings.Compare(a[0].Rule, b[0].Rule) })
	return all
}

// soft is evidence of something bad that is not sure enough to act.
func soft(f Found) bool { return f.Severity >= High && f.Confidence < Hard }

// accompanied is a match with the confidence that its company gives it.
func accompanied(f Found, companies [][]Found) Found {
	hidden := 0.0
	if f.Hidden && f.Rule != hider {
		hidden = hiding
	}
	harmless := 1 - f.Confidence
	var company []string
	for _, list := range companies {
		best := beside(f, list)
		if list[0].Rule == hider {
			best, hidden = max(best, hidden), 0
		}
		if best > 0 {
			company = append(company, list[0].Rule)
			harmless *= 1 - min(best, lends)
		}
	}
	if hidden > 0 {
		company = append(company, hider)
		harmless *= 1 - hidden
		slices.Sort(company)
	}
	if 1-harmless < Hard {
		return f
	}
	f.Confidence = 1 - harmless
	f.Detail += "; beside " + strings.Join(company, ", ")
	return f
}

// beside is the confidence of the surest match of another rule near f.
func beside(f Found, list []Found) (best float64) {
	if list[0].Rule == f.Rule {
		return 0
	}
	at, _ := slices.BinarySearchFunc(list, f.Start, func(o Found, start int) int { return cmp.Compare(o.Start, start) })
	for _, other := range list[max(0, at-companyAmong):min(len(list), at+companyAmong+1)] {
		if other.Sum && !f.Sum || other.Start-f.End > companyWithin || f.Start-other.End > companyWithin {
			continue
		}
		best = max(best, other.Confidence)
	}
	return best
}
