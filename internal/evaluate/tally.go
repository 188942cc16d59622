package evaluate

import (
	"maps"
	"math"
	"slices"

	"gatehouse/internal/rule"
)

// Report is what a run has measured. Its names in JSON are stable. Rates are from 0
// to 1, and nil where there was nothing to measure them on.
type Report struct {
	Overall    Rates                 `json:"overall"` // all surfaces but user_text
	BySurface  map[string]*Rates     `json:"by_surface"`
	ByCategory map[string]*Rates     `json:"by_category"` // by what stands before the colon; without user_text, as all that follow
	BySource   map[string]*Rates     `json:"by_source"`   // likewise
	ByFile     map[string]*Rates     `json:"by_file"`
	ByRule     map[string]*RuleCount `json:"by_rule"`
	Curve      map[string]Curve      `json:"curve"` // "overall" and each surface
	Speed      Speed                 `json:"speed"`

	Rows         int       `json:"rows"` // judged, user_text included
	RepeatedIDs  int       `json:"repeated_ids"`
	ProblemCount int       `json:"problem_count"` // rows and files that could not be looked at
	Problems     []Problem `json:"problems"`      // the first of them
}

// Rates are how many rows were flagged, and what that says of more rows of the kind.
type Rates struct {
	Recall            *float64    `json:"recall"`
	RecallInterval    *[2]float64 `json:"recall_interval"` // 95 %
	FalsePositiveRate *float64    `json:"false_positive_rate"`
	FalseInterval     *[2]float64 `json:"false_positive_rate_interval"` // 95 %
	Attacks           int         `json:"attacks"`
	Found             int         `json:"found"` // attacks that are flagged
	Benign            int         `json:"benign"`
	Flagged           int         `json:"flagged"` // benign rows that are flagged
}

func (r *Rates) add(label string, flagged bool) {
	count, hits := &r.Benign, &r.Flagged
	if label == Attack {
		count, hits = &r.Attacks, &r.Found
	}
	*count++
	if flagged {
		*hits++
	}
}

// Rows is the number of rows that were counted.
func (r *Rates) Rows() int { return r.Attacks + r.Benign }

func (r *Rates) finish() {
	r.Recall, r.RecallInterval = share(r.Found, r.Attacks)
	r.FalsePositiveRate, r.FalseInterval = share(r.Flagged, r.Benign)
}

// share is hits of n with its 95 % interval after Wilson, which holds for small
// numbers and near 0 and 1 too.
func share(hits, n int) (*float64, *[2]float64) {
	if n == 0 {
		return nil, nil
	}
	const z = 1.959964
	p, count := float64(hits)/float64(n), float64(n)
	middle := (p + z*z/(2*count)) / (1 + z*z/count)
	half := z / (1 + z*z/count) * math.Sqrt(p*(1-p)/count+z*z/(4*count*count))
	return &p, &[2]float64{max(0, middle-half), min(1, middle+half)}
}

// RuleCount is how many rows a rule flags, and how many no other rule flags.
type RuleCount struct {
	Attacks      int `json:"attacks"`
	AttacksAlone int `json:"attacks_alone"`
	Benign       int `json:"benign"`
	BenignAlone  int `json:"benign_alone"`
}

func (c *RuleCount) add(label string, alone bool) {
	count, only := &c.Benign, &c.BenignAlone
	if label == Attack {
		count, only = &c.Attacks, &c.AttacksAlone
	}
	*count++
	if alone {
		*only++
	}
}

// Curve is what other thresholds would give: a row counts as flagged if its score,
// the highest confidence of a finding of high severity, reaches the threshold.
type Curve struct {
	Points []Point `json:"points"`
	// AtFalsePositiveRate has the highest recall whose false-positive rate is within
	// each limit.
	AtFalsePositiveRate []Limited `json:"at_false_positive_rate"`
}

// Point is one threshold and its rates.
type Point struct {
	Threshold         float64  `json:"threshold"`
	Recall            *float64 `json:"recall"`
	FalsePositiveRate *float64 `json:"false_positive_rate"`
}

// Limited is the point with the lowest threshold within the limit; without a
// threshold there is none, and nothing would be found.
type Limited struct {
	Limit             float64  `json:"limit"`
	Threshold         *float64 `json:"threshold"`
	Recall            float64  `json:"recall"`
	FalsePositiveRate float64  `json:"false_positive_rate"`
}

var (
	thresholds = []float64{0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, rule.Hard, 0.95, 0.98, 0.99, 1}
	limits     = []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05}
)

// overall names all rows but user_text among the surfaces.
const overall = "overall"

type tally struct {
	overall                       Rates
	surface, category, from, file map[string]*Rates
	rules                         map[string]*RuleCount
	scores                        map[string]*scores
}

type scores struct{ attack, benign []float64 }

func newTally() *tally {
	return &tally{
		surface: map[string]*Rates{}, category: map[string]*Rates{}, from: map[string]*Rates{}, file: map[string]*Rates{},
		rules: map[string]*RuleCount{}, scores: map[string]*scores{},
	}
}

func (t *tally) add(row *Row, v *verdict) {
	at(t.surface, row.Surface).add(row.Label, v.flagged())
	at(t.scores, row.Surface).add(row.Label, v.score)
	if row.apart() {
		return
	}
	t.overall.add(row.Label, v.flagged())
	at(t.scores, overall).add(row.Label, v.score)
	at(t.file, row.file).add(row.Label, v.flagged())
	at(t.category, beforeColon(row.Category)).add(row.Label, v.flagged())
	at(t.from, beforeColon(row.Source)).add(row.Label, v.flagged())
	for _, id := range v.acting {
		at(t.rules, id).add(row.Label, len(v.acting) == 1)
	}
	for _, id := range v.exposed {
		at(t.rules, id).add(row.Label, false)
	}
}

// at is the entry of the key, made if there is none.
func at[T any](all map[string]*T, key string) *T {
	if all[key] == nil {
		all[key] = new(T)
	}
	return all[key]
}

func (t *tally) report() *Report {
	r := &Report{Overall: t.overall, BySurface: t.surface, ByCategory: t.category, BySource: t.from, ByFile: t.file, ByRule: t.rules, Curve: map[string]Curve{}}
	r.Overall.finish()
	for _, group := range []map[string]*Rates{t.surface, t.category, t.from, t.file} {
		for rates := range maps.Values(group) {
			rates.finish()
		}
	}
	for name, s := range t.scores {
		r.Curve[name] = s.curve()
	}
	return r
}

func (s *scores) add(label string, score float64) {
	if label == Attack {
		s.attack = append(s.attack, score)
	} else {
		s.benign = append(s.benign, score)
	}
}

func (s *scores) curve() Curve {
	slices.Sort(s.attack)
	slices.Sort(s.benign)
	c := Curve{}
	for _, threshold := range thresholds {
		p := Point{Threshold: threshold}
		p.Recall, _ = share(reach(s.attack, threshold), len(s.attack))
		p.FalsePositiveRate, _ = share(reach(s.benign, threshold), len(s.benign))
		c.Points = append(c.Points, p)
	}
	if len(s.attack) == 0 || len(s.benign) == 0 {
		return c
	}
	all := slices.Concat(s.attack, s.benign)
	slices.Sort(all)
	for _, limit := range limits {
		c.AtFalsePositiveRate = append(c.AtFalsePositiveRate, s.within(limit, slices.Compact(all)))
	}
	return c
}

// within looks for the lowest score that, as a threshold, flags no more than the
// limit.
func (s *scores) within(limit float64, candidates []float64) Limited {
	rate := func(scores []float64, threshold float64) float64 {
		return float64(reach(scores, threshold)) / float64(len(scores))
	}
	for _, threshold := range candidates {
		if wrong := rate(s.benign, threshold); threshold > 0 && wrong <= limit {
			return Limited{limit, &threshold, rate(s.attack, threshold), wrong}
		}
	}
	return Limited{Limit: limit}
}

// reach counts the scores, which are in order, from the threshold on.
func reach(scores []float64, threshold float64) int {
	i, _ := slices.BinarySearch(scores, threshold)
	return len(scores) - i
}
