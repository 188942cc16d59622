package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

var surfaces = []string{"tool_result", "tool_description"}

// limit are the scores from which a text of a surface counts.
type limit struct{ soft, hard float64 }

// Shares of benign texts that may reach a limit. The hard one holds for all of them
// together, hard cases and quoted attacks included, and more strictly for ordinary ones.
const (
	softShare         = 0.01
	hardShare         = 0.004
	hardShareOrdinary = 0.001
	// A definition that is flagged stops a whole server: none of the ordinary ones may be,
	// and the limit keeps a distance from the highest of them that silences the servers of
	// "make test-wide" as well.
	definitionsDistance = 0.35
)

// ordinary are the files of texts that nobody chose for being difficult.
var ordinary = []string{"documents", "documents_multilingual", "llmail_benign_emails", "tool_descriptions"}

// public says whether an example belongs to the texts of others, which alone decide the
// limits: ours were written to be difficult.
func (e *example) public() bool { return e.Measured && e.Family != "written" }

func (e *example) ordinary() bool { return slices.Contains(ordinary, e.File) }

func chooseLimits(all []*example) map[string]limit {
	limits := map[string]limit{}
	for _, surface := range surfaces {
		var benign, plain []float64
		for _, e := range all {
			if !e.public() || e.Surface != surface || e.Attack {
				continue
			}
			benign = append(benign, e.score)
			if e.ordinary() {
				plain = append(plain, e.score)
			}
		}
		hard := max(above(benign, hardShare), above(plain, hardShareOrdinary))
		if surface == "tool_description" {
			hard = max(hard, above(plain, 0)+definitionsDistance)
		}
		limits[surface] = limit{above(benign, softShare), hard}
	}
	return limits
}

// above is the score that at most a share of the texts exceeds.
func above(scores []float64, share float64) float64 {
	if len(scores) == 0 {
		return 0
	}
	sorted := slices.Clone(scores)
	slices.Sort(sorted)
	return sorted[len(sorted)-1-int(share*float64(len(sorted)))]
}

func share(scores []float64, limit float64) float64 {
	n := 0
	for _, s := range scores {
		if s > limit {
			n++
		}
	}
	return 100 * float64(n) / float64(max(len(scores), 1))
}

// source is the group under which an example is reported.
func (e *example) source() string {
	name := e.File
	if strings.HasPrefix(e.File, "composite") {
		name = "joined: " + e.Family
	}
	if kind, _, _ := strings.Cut(e.Category, ":"); e.Attack && (e.Family == "bipia" || e.Family == "written") {
		name += ": " + kind
	}
	return name
}

// report writes tables in Markdown: attacks found and benign texts flagged, by source.
func report(w io.Writer, all []*example, limits map[string]limit) {
	for _, surface := range surfaces {
		var benign []float64
		groups := map[bool]map[string][]float64{true: {}, false: {}}
		for _, e := range all {
			if !e.Measured || e.Surface != surface {
				continue
			}
			names := []string{e.source()}
			if e.Family != "written" {
				names = append(names, "~ all public")
			}
			if e.ordinary() {
				names = append(names, "~ ordinary")
			}
			for _, name := range names {
				groups[e.Attack][name] = append(groups[e.Attack][name], e.score)
			}
			if e.public() && !e.Attack {
				benign = append(benign, e.score)
			}
		}
		l := limits[surface]
		fmt.Fprintf(w, "\n%s: attacks found, %%\n\n| source | texts | at 15 %% | 5 %% | 1 %% | 0.2 %% | as shipped |\n|---|---:|---:|---:|---:|---:|---:|\n", surface)
		for _, name := range sortedKeys(groups[true]) {
			s := groups[true][name]
			fmt.Fprintf(w, "| %s | %d | %.1f | %.1f | %.1f | %.1f | %.1f |\n", strings.TrimPrefix(name, "~ "), len(s),
				share(s, above(benign, 0.15)), share(s, above(benign, 0.05)), share(s, above(benign, 0.01)), share(s, above(benign, 0.002)), share(s, l.hard))
		}
		fmt.Fprintf(w, "\n%s: benign texts flagged, %%\n\n| source | texts | suspicious | as shipped |\n|---|---:|---:|---:|\n", surface)
		for _, name := range sortedKeys(groups[false]) {
			s := groups[false][name]
			fmt.Fprintf(w, "| %s | %d | %.2f | %.2f |\n", strings.TrimPrefix(name, "~ "), len(s), share(s, l.soft), share(s, l.hard))
		}
	}
}

func sortedKeys(groups map[string][]float64) []string {
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func writeScores(path string, all []*example) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	for _, e := range all {
		if e.Measured {
			fmt.Fprintf(out, "%.3f\t%s\t%s\t%v\t%s\t%s\n", e.score, e.File, e.Surface, e.Attack, e.Category, e.ID)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// writeWindows writes, for each example, a line {"i": number of the example, "w":
// [[start, end, score], …]}: its most suspicious windows, in bytes of the folded text,
// with the scores that the product gives.
func writeWindows(path string, all []*example, text *textFit) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	for i, e := range all {
		line := struct {
			I int          `json:"i"`
			W [][3]float64 `json:"w"`
		}{I: i}
		r := e.reading
		for _, top := range r.tops {
			start, end := e.features.Starts[top.from], e.features.Stops[top.to-1]
			line.W = append(line.W, [3]float64{float64(start), float64(end), text.weights.Score(top.score, r.sum, r.words)})
		}
		encoded, err := json.Marshal(line)
		if err != nil {
			return err
		}
		out.Write(append(encoded, '\n'))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}
