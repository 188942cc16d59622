// Command linear trains the first tier of the learned classifier.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/learned"
)

type example struct {
	Family   string `json:"family"`
	File     string `json:"file"`
	Fold     int    `json:"fold"`
	Measured bool   `json:"measured"`
	Surface  string `json:"surface"`
	Attack   bool   `json:"attack"`
	Category string `json:"category"`
	Text     string `json:"text"`
	Span     []int  `json:"span"`

	f        learned.Features
	from, to int // words of the span; to is 0 if there is none
	weight   float64
	score    float64 // out of fold
}

var (
	sizesFlag = flag.String("sizes", "64", "")
	epochs    = flag.Int("epochs", 8, "")
	rate      = flag.Float64("rate", 0.05, "")
	l2        = flag.Float64("l2", 1e-6, "")
	drop      = flag.Float64("drop", 0.2, "")
	bits      = flag.Int("bits", 20, "")
	workers   = flag.Int("workers", 2, "")
	only      = flag.Int("fold", -1, "")
	posw      = flag.Float64("posw", 1, "")
	fampow    = flag.Float64("fampow", 0.5, "")
	normpow   = flag.Float64("normpow", 0.5, "")
	outw      = flag.Float64("outw", 0.5, "")
	export    = flag.String("export", "", "")
	dump      = flag.String("dump", "", "")
)

func load(path string) []*example {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	var all []*example
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		e := &example{}
		if err := json.Unmarshal(lines.Bytes(), e); err != nil {
			log.Fatal(err)
		}
		all = append(all, e)
	}
	var wg sync.WaitGroup
	for w := range *workers {
		wg.Go(func() {
			for i := w; i < len(all); i += *workers {
				all[i].extract()
			}
		})
	}
	wg.Wait()
	return all
}

func (e *example) extract() {
	folded := rule.Fold(e.Text)
	e.f = learned.Extract(folded.Text)
	if e.Span == nil {
		return
	}
	e.from = -1
	for i, s := range e.f.Starts {
		at, _ := folded.Span(int(s), int(s))
		if at >= e.Span[0] && at < e.Span[1] {
			if e.from < 0 {
				e.from = i
			}
			e.to = i + 1
		}
	}
	if e.from < 0 {
		e.from, e.to = 0, 0
	}
}

type model struct {
	mask  uint32
	w, g  []float32
	b     []float64
	bg    []float64
	sizes []int
}

func newModel(sizes []int) *model {
	n := 1 << *bits
	m := &model{mask: uint32(n - 1), w: make([]float32, n), g: make([]float32, n), b: make([]float64, len(sizes)), bg: make([]float64, len(sizes)), sizes: sizes}
	for i := range m.b {
		m.b[i] = -2
	}
	return m
}

func norm(n int) float64 { return 1 / math.Pow(float64(n)+8, *normpow) }

// prefix sums of word scores
func (m *model) prefix(f *learned.Features, out []float64) []float64 {
	out = append(out[:0], 0)
	sum := 0.0
	start := int32(0)
	for _, end := range f.Ends {
		s := float32(0)
		for _, id := range f.All[start:end] {
			s += m.w[id&m.mask]
		}
		start = end
		sum += float64(s)
		out = append(out, sum)
	}
	return out
}

// best window: size index, from, to, logit
func (m *model) best(p []float64, lo, hi int) (k, from, to int, z float64) {
	n := len(p) - 1
	z = math.Inf(-1)
	for i, size := range m.sizes {
		if n <= size {
			if v := (p[n]-p[0])*norm(n) + m.b[i]; v > z {
				k, from, to, z = i, 0, n, v
			}
			continue
		}
		a, b := 0, n-size
		if hi > 0 { // must overlap the span well
			a = max(0, min(lo, hi-size))
			b = min(n-size, max(lo, hi-size))
			if a > b {
				a = b
			}
		}
		nn := norm(size)
		for s := a; s <= b; s++ {
			if v := (p[s+size]-p[s])*nn + m.b[i]; v > z {
				k, from, to, z = i, s, s+size, v
			}
		}
	}
	return
}

func (m *model) outside(p []float64, lo, hi int) (k, from, to int, z float64) {
	n := len(p) - 1
	k, z = -1, math.Inf(-1)
	for i, size := range m.sizes {
		nn := norm(size)
		for s := 0; s <= n-size; s++ {
			if s+size > lo && s < hi {
				continue
			}
			if v := (p[s+size]-p[s])*nn + m.b[i]; v > z {
				k, from, to, z = i, s, s+size, v
			}
		}
	}
	return
}

func (m *model) update(e *example, k, from, to int, z, y, weight float64, rng *rand.Rand) {
	prob := 1 / (1 + math.Exp(-z))
	grad := (prob - y) * weight
	if math.Abs(grad) < 1e-4 {
		return
	}
	g := float32(grad * norm(to-from))
	start := int32(0)
	if from > 0 {
		start = e.f.Ends[from-1]
	}
	lr := float32(*rate)
	reg := float32(*l2)
	cut := uint32(*drop * (1 << 16))
	salt := rng.Uint32()
	for _, id := range e.f.All[start:e.f.Ends[to-1]] {
		if ((id^salt)*0x9e3779b1)>>16 < cut {
			continue
		}
		i := id & m.mask
		gi := g + reg*m.w[i]
		m.g[i] += gi * gi
		m.w[i] -= lr * gi / float32(math.Sqrt(float64(m.g[i])+1e-6))
	}
	m.bg[k] += grad * grad
	m.b[k] -= *rate * grad / math.Sqrt(m.bg[k]+1e-6)
}

func train(all []*example, sizes []int, keep func(*example) bool) *model {
	m := newModel(sizes)
	rng := rand.New(rand.NewPCG(1, 2))
	var rows []*example
	for _, e := range all {
		if keep(e) && len(e.f.Ends) > 0 {
			rows = append(rows, e)
		}
	}
	var p []float64
	for epoch := range *epochs {
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, e := range rows {
			n := len(e.f.Ends)
			y := 0.0
			if e.Attack {
				y = 1
			}
			var k, from, to int
			var z float64
			p = m.prefix(&e.f, p)
			if epoch == 0 && (!e.Attack || e.to == 0) {
				k = rng.IntN(len(sizes))
				size := min(sizes[k], n)
				from = rng.IntN(n - size + 1)
				to = from + size
				z = (p[to]-p[from])*norm(to-from) + m.b[k]
			} else if e.Attack {
				k, from, to, z = m.best(p, e.from, e.to)
			} else {
				k, from, to, z = m.best(p, 0, 0)
			}
			m.update(e, k, from, to, z, y, e.weight, rng)
			if !e.Attack && n > 2*sizes[0] { // one more window
				size := sizes[rng.IntN(len(sizes))]
				k = slices.Index(sizes, size)
				size = min(size, n)
				from = rng.IntN(n - size + 1)
				to = from + size
				m.update(e, k, from, to, (p[to]-p[from])*norm(to-from)+m.b[k], 0, e.weight, rng)
			}
			if e.Attack && e.to > 0 { // what it was put into is no attack
				k, from, to, z = m.outside(p, e.from, e.to)
				if k >= 0 {
					m.update(e, k, from, to, z, 0, *outw, rng)
				}
			}
		}
	}
	return m
}

func weigh(all []*example) {
	count := map[string]float64{}
	key := func(e *example) string { return e.File + e.Surface + fmt.Sprint(e.Attack) }
	for _, e := range all {
		count[key(e)]++
	}
	sum, n := map[bool]float64{}, map[bool]float64{}
	for _, e := range all {
		e.weight = math.Pow(count[key(e)], *fampow-1)
		if !e.Attack && e.File != "user_text" {
			e.weight = 1
		}
		sum[e.Attack] += e.weight
		n[e.Attack]++
	}
	for _, e := range all {
		e.weight *= n[false] / sum[e.Attack]
		if e.Attack {
			e.weight *= *posw
		}
	}
	for _, e := range all {
		e.weight = min(e.weight, 20)
	}
}

func main() {
	flag.Parse()
	log.SetFlags(log.Ltime)
	var sizes []int
	for _, s := range strings.Split(*sizesFlag, ",") {
		var n int
		fmt.Sscan(s, &n)
		sizes = append(sizes, n)
	}
	all := load(flag.Arg(0))
	tokens, feats := 0, 0
	folds := 0
	for _, e := range all {
		tokens += len(e.f.Ends)
		feats += len(e.f.All)
		folds = max(folds, e.Fold+1)
	}
	log.Printf("%d examples, %d words, %d features", len(all), tokens, feats)
	weigh(all)
	var wg sync.WaitGroup
	sem := make(chan bool, *workers)
	for fold := range folds {
		if *only >= 0 && fold != *only {
			continue
		}
		wg.Go(func() {
			sem <- true
			defer func() { <-sem }()
			m := train(all, sizes, func(e *example) bool { return e.Fold != fold })
			var p []float64
			for _, e := range all {
				if e.Fold == fold {
					p = m.prefix(&e.f, p)
					e.score = math.Inf(-1)
					if len(p) > 1 {
						_, _, _, e.score = m.best(p, 0, 0)
					}
				}
			}
		})
	}
	wg.Wait()
	report(all)
	if *export != "" {
		m := train(all, sizes, func(*example) bool { return true })
		if err := m.export(*export, limits(all)); err != nil {
			log.Fatal(err)
		}
	}
	if *dump != "" {
		f, _ := os.Create(*dump)
		for _, e := range all {
			if e.Measured && e.Fold >= 0 {
				fmt.Fprintf(f, "%.3f\t%s\t%s\t%v\t%s\t%.300q\n", e.score, e.File, e.Surface, e.Attack, e.Category, e.Text)
			}
		}
		f.Close()
	}
}

func threshold(scores []float64, rate float64) float64 {
	s := append([]float64{}, scores...)
	sort.Sort(sort.Reverse(sort.Float64Slice(s)))
	i := int(rate * float64(len(s)))
	return s[min(i, len(s)-1)]
}

var surfaces = []string{"tool_result", "tool_description"}

func report(all []*example) {
	for _, surface := range surfaces {
		var benign []float64
		groups := map[string][]float64{}
		ben := map[string][]float64{}
		for _, e := range all {
			if !e.Measured || e.Surface != surface || (*only >= 0 && e.Fold != *only) {
				continue
			}
			if !e.Attack {
				if e.Family != "written" {
					benign = append(benign, e.score)
				}
				k := e.File
				ben[k] = append(ben[k], e.score)
				continue
			}
			g := e.Family
			if strings.HasPrefix(e.File, "composite") {
				g = "composite/" + g
			}
			if e.Family == "bipia" {
				g += "/" + strings.Split(e.Category, ":")[0]
			}
			groups[g] = append(groups[g], e.score)
			groups["~all"] = append(groups["~all"], e.score)
			if !strings.Contains(e.Category, "task-hijack") && !strings.Contains(e.Category, "encoded") {
				groups["~strong"] = append(groups["~strong"], e.score)
			}
		}
		if len(benign) == 0 || len(groups) == 0 {
			continue
		}
		t1, t2, t5 := threshold(benign, 0.01), threshold(benign, 0.002), threshold(benign, 0.05)
		fmt.Printf("%s: thresholds 5%% %.2f 1%% %.2f 0.2%% %.2f\n", surface, t5, t1, t2)
		var names []string
		for g := range groups {
			names = append(names, g)
		}
		sort.Strings(names)
		sum := 0.0
		for _, g := range names {
			r := func(t float64) float64 {
				n := 0
				for _, s := range groups[g] {
					if s > t {
						n++
					}
				}
				return 100 * float64(n) / float64(len(groups[g]))
			}
			fmt.Printf("  %-34s %5d  @5%% %5.1f  @1%% %5.1f  @0.2%% %5.1f\n", g, len(groups[g]), r(t5), r(t1), r(t2))
			if g[0] != '~' {
				sum += r(t1)
			}
		}
		fmt.Printf("  macro @1%% %.1f\n", sum/float64(len(names)-2))
		names = names[:0]
		for g := range ben {
			names = append(names, g)
		}
		sort.Strings(names)
		for _, g := range names {
			n, n2 := 0, 0
			for _, s := range ben[g] {
				if s > t1 {
					n++
				}
				if s > t2 {
					n2++
				}
			}
			fmt.Printf("    FP %-30s %5d  %d (%.2f%%) at 1%%; %d at 0.2%%\n", g, len(ben[g]), n, 100*float64(n)/float64(len(ben[g])), n2)
		}
	}
}
