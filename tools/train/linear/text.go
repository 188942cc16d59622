package main

import (
	"math"

	"gatehouse/internal/rule/learned"
)

// steps and pace of the descent that fits what is put on top of the best window. There
// are few numbers to fit, so it comes to rest long before.
const (
	steps = 3000
	pace  = 0.5
)

// textFit is a logistic regression over what learned.Text looks at.
type textFit struct {
	weights learned.TextWeights
	bias    float64
}

func (t *textFit) of(r reading) float64 {
	if r.words == 0 {
		return math.Inf(-1)
	}
	return t.weights.Score(r.best, r.sum, r.words) + t.bias
}

// fitText fits it to the scores of models that have not seen what they score.
func fitText(all []*example) *textFit {
	var inputs [][4]float64
	var rows []*example
	for _, e := range all {
		if e.Measured && e.reading.words > 0 {
			rows = append(rows, e)
			inputs = append(inputs, learned.TextInputs(e.reading.best, e.reading.sum, e.reading.words))
		}
	}
	mean, spread := moments(inputs)
	var w, sum [5]float64
	for range steps {
		var gradient [5]float64
		total := 0.0
		for i, e := range rows {
			z := w[4]
			for k := range 4 {
				z += w[k] * (inputs[i][k] - mean[k]) / spread[k]
			}
			is := 0.0
			if e.Attack {
				is = 1
			}
			g := (1/(1+math.Exp(-z)) - is) * e.weight
			for k := range 4 {
				gradient[k] += g * (inputs[i][k] - mean[k]) / spread[k]
			}
			gradient[4] += g
			total += e.weight
		}
		for k := range w {
			g := gradient[k] / total
			sum[k] += g * g
			w[k] -= pace * g / (math.Sqrt(sum[k]) + 1e-9) / 10
		}
	}
	t := &textFit{bias: w[4]}
	for k := range 4 {
		t.weights[k] = w[k] / spread[k]
		t.bias -= w[k] * mean[k] / spread[k]
	}
	return t
}

func moments(inputs [][4]float64) (mean, spread [4]float64) {
	n := float64(len(inputs))
	for _, x := range inputs {
		for k := range x {
			mean[k] += x[k] / n
		}
	}
	for _, x := range inputs {
		for k := range x {
			spread[k] += (x[k] - mean[k]) * (x[k] - mean[k]) / n
		}
	}
	for k := range spread {
		spread[k] = math.Sqrt(spread[k])
	}
	return mean, spread
}
