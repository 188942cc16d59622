package learned

// maxRescored is how many windows of one text the second tier looks at, the most
// suspicious ones. It bounds what a hostile text can make it cost.
const maxRescored = 4

// second is the second tier: how likely it is, from 0 to 1, that a window is an order
// to a model. It is nil where there is none.
var second func(window string) float64

// rescored shows the windows between the limits to the second tier.
func rescored(text []byte, l limits, found []Suspicion) []Suspicion {
	if second == nil {
		return found
	}
	for _, i := range mostSuspicious(l, found) {
		s := &found[i]
		s.Confidence = combined(s.Confidence, second(string(text[s.Start:s.End])))
	}
	return found
}

// mostSuspicious are the indices of the windows below the hard limit that have the
// highest scores, at most maxRescored.
func mostSuspicious(l limits, found []Suspicion) []int {
	var best []int
	for i := range found {
		if found[i].Score >= l.hard {
			continue
		}
		at := len(best)
		for at > 0 && found[best[at-1]].Score < found[i].Score {
			at--
		}
		if at < maxRescored {
			best = append(best, 0)
			copy(best[at+1:], best[at:])
			best[at] = i
			best = best[:min(len(best), maxRescored)]
		}
	}
	return best
}

// combined is the confidence after both tiers have spoken.
func combined(first, second float64) float64 { return (first + second) / 2 }
