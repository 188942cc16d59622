package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/learned"
)

// maxLine bounds one example, in bytes.
const maxLine = 1 << 24

// example is a text and what data.py says of it.
type example struct {
	ID       string `json:"id"`
	Family   string `json:"family"`
	File     string `json:"file"`
	Fold     int    `json:"fold"`
	Measured bool   `json:"measured"`
	Trained  bool   `json:"trained"`
	Surface  string `json:"surface"`
	Attack   bool   `json:"attack"`
	Category string `json:"category"`
	Text     string `json:"text"`
	Span     []int  `json:"span"`

	features learned.Features
	from, to int // words of the span; to is 0 if it is not known
	weight   float64
	reading  reading // by a model that has not seen it
	score    float64
}

func (e *example) words() int { return len(e.features.Ends) }

// between are the features of some words.
func (e *example) between(from, to int) []uint32 {
	start := int32(0)
	if from > 0 {
		start = e.features.Ends[from-1]
	}
	return e.features.All[start:e.features.Ends[to-1]]
}

func load(path string) ([]*example, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []*example
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		e := &example{}
		if err := json.Unmarshal(lines.Bytes(), e); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		all = append(all, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	extract(all)
	return all, nil
}

// extract folds texts and makes their features, as the product does.
func extract(all []*example) {
	var group sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	for first := range n {
		group.Go(func() {
			for i := first; i < len(all); i += n {
				all[i].extract()
			}
		})
	}
	group.Wait()
}

func (e *example) extract() {
	folded := rule.Fold(e.Text)
	e.features = learned.Extract(folded.Text)
	if len(e.Span) != 2 {
		return
	}
	for i, start := range e.features.Starts {
		if at, _ := folded.Span(int(start), int(start)); at >= e.Span[0] && at < e.Span[1] {
			if e.to == 0 {
				e.from = i
			}
			e.to = i + 1
		}
	}
}

// maxWeight bounds what one example counts, where a source has few of them.
const maxWeight = 20

// weigh lets attacks count as much as benign texts in sum, and a source by the square
// root of its size, so that the largest does not decide what an attack is.
func weigh(all []*example) {
	source := func(e *example) string { return fmt.Sprint(e.File, e.Surface, e.Attack) }
	size, sum, number := map[string]float64{}, map[bool]float64{}, map[bool]float64{}
	for _, e := range all {
		size[source(e)]++
	}
	for _, e := range all {
		e.weight = 1
		if e.Attack || e.File == "user_text" {
			e.weight = 1 / math.Sqrt(size[source(e)])
		}
		sum[e.Attack] += e.weight
		number[e.Attack]++
	}
	for _, e := range all {
		e.weight = min(maxWeight, e.weight*number[false]/sum[e.Attack])
	}
}
