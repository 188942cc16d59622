// Package evaluate measures the rules on labelled texts: how many attacks they
// find, how many ordinary texts they flag, and how long they take. Texts are shown
// to them by the inspector of the gateway, so what is measured is what happens.
package evaluate

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/finding"
	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// Corpus is a source of labelled texts, one JSON object a line.
type Corpus struct {
	Name string // as in messages and in Report.ByFile
	Open func() (io.ReadCloser, error)
}

// Options of a run. The zero value measures and tells nobody on the way.
type Options struct {
	Verdicts io.Writer      // receives a JSON line for each row; may be nil
	Progress func(rows int) // is called now and then with how many rows are done; may be nil
	// Exposures are rules that find data which must not be seen, not attacks
	// (rule.Rule.Exposure). They are counted by rule and flag no row: a document with a
	// password in it is no attack.
	Exposures map[string]bool
}

// Run shows every row of the corpora to the inspector. Rows that cannot be read or
// judged are in Report.Problems and nowhere else; the error is about the verdicts.
func Run(inspector *inspect.Inspector, corpora []Corpus, options Options) (*Report, error) {
	r := &run{inspector: inspector, options: options, tally: newTally(), seen: map[string]bool{}}
	if options.Verdicts != nil {
		r.verdicts = bufio.NewWriter(options.Verdicts)
	}
	for _, corpus := range corpora {
		if err := r.corpus(corpus); err != nil {
			return nil, err
		}
	}
	if r.verdicts != nil {
		if err := r.verdicts.Flush(); err != nil {
			return nil, fmt.Errorf("writing verdicts: %w", err)
		}
	}
	return r.report(), nil
}

type run struct {
	inspector *inspect.Inspector
	options   Options
	verdicts  *bufio.Writer
	tally     *tally
	timing    timing
	seen      map[string]bool // IDs
	repeated  int
	rows      int
	problems  problems
}

func (r *run) report() *Report {
	report := r.tally.report()
	var err error
	if report.Speed, err = r.timing.measure(r.inspector); err != nil {
		r.problems.add(Problem{Message: "measuring time: " + err.Error()})
	}
	report.Rows, report.RepeatedIDs = r.rows, r.repeated
	report.Problems, report.ProblemCount = append([]Problem{}, r.problems.kept...), r.problems.count
	return report
}

const (
	// batchRows and batchBytes bound what is in memory at once, beside the counts.
	batchRows  = 1024
	batchBytes = 32 << 20
)

func (r *run) corpus(corpus Corpus) error {
	file, err := corpus.Open()
	if err != nil {
		r.problems.add(Problem{File: corpus.Name, Message: err.Error()})
		return nil
	}
	defer file.Close()
	reader := newRowReader(file)
	for more := true; more; {
		var batch []Row
		for size := 0; more && len(batch) < batchRows && size < batchBytes; {
			row, err := reader.next()
			switch {
			case errors.Is(err, io.EOF):
				more = false
			case err != nil:
				r.problems.add(Problem{File: corpus.Name, Line: reader.line, Message: err.Error()})
				more = !reader.broken
			default:
				row.file, row.line = corpus.Name, reader.line
				batch, size = append(batch, row), size+len(row.Text)
			}
		}
		if err := r.judge(batch); err != nil {
			return err
		}
	}
	return nil
}

// judge shows a batch to the rules on all processors and counts in the order of the
// rows.
func (r *run) judge(batch []Row) error {
	verdicts := make([]verdict, len(batch))
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(batch); i += workers {
				verdicts[i] = r.verdict(&batch[i])
			}
		})
	}
	group.Wait()
	for i := range batch {
		if err := r.count(&batch[i], &verdicts[i]); err != nil {
			return err
		}
	}
	if r.options.Progress != nil {
		r.options.Progress(r.rows)
	}
	return nil
}

func (r *run) count(row *Row, v *verdict) error {
	if v.err != nil {
		r.problems.add(Problem{File: row.file, Line: row.line, Message: v.err.Error()})
		return nil
	}
	r.rows++
	if row.ID == "" {
		row.ID = fmt.Sprintf("%s:%d", row.file, row.line)
	}
	if r.seen[row.ID] {
		r.repeated++
	}
	r.seen[row.ID] = true
	r.tally.add(row, v)
	if row.Label == Benign && !row.apart() {
		r.timing.add(row)
	}
	if r.verdicts == nil {
		return nil
	}
	line, err := json.Marshal(struct {
		ID      string   `json:"id"`
		Flagged bool     `json:"flagged"`
		Score   float64  `json:"score"`
		Rules   []string `json:"rules"`
	}{row.ID, v.flagged(), v.score, v.rules})
	if err != nil {
		return fmt.Errorf("writing verdicts: %w", err)
	}
	if _, err = r.verdicts.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing verdicts: %w", err)
	}
	return nil
}

// verdict is what the rules say of one row.
type verdict struct {
	// score is the highest confidence of a finding of high severity, 0 if there is none.
	score   float64
	rules   []string // with a finding of high severity, in order
	acting  []string // those of them that act
	exposed []string // rules about exposure that act
	err     error    // it could not be judged
}

func (v *verdict) flagged() bool { return len(v.acting) > 0 }

func (r *run) verdict(row *Row) (v verdict) {
	shown, err := row.exhibit()
	if err != nil {
		return verdict{err: err}
	}
	findings, err := shown.to(r.inspector)
	if err != nil {
		return verdict{err: err}
	}
	rules, acting := map[string]bool{}, map[string]bool{}
	for i := range findings {
		f := &findings[i]
		if f.Severity < rule.High {
			continue
		}
		if r.options.Exposures[f.Rule] {
			if confidence(f) >= rule.Hard && !slices.Contains(v.exposed, f.Rule) {
				v.exposed = append(v.exposed, f.Rule)
			}
			continue
		}
		rules[f.Rule] = true
		v.score = max(v.score, confidence(f))
		if confidence(f) >= rule.Hard {
			acting[f.Rule] = true
		}
	}
	v.rules, v.acting = append([]string{}, slices.Sorted(maps.Keys(rules))...), slices.Sorted(maps.Keys(acting))
	return v
}

func confidence(f *finding.Finding) float64 {
	if f.Confidence == 0 {
		return 1
	}
	return f.Confidence
}

// exhibit is a text in the place in a message where it would stand.
type exhibit struct {
	doc     wire.Document
	region  wire.Value
	subject rule.Subject
}

func (e *exhibit) to(inspector *inspect.Inspector) ([]finding.Finding, error) {
	out, err := inspector.Message(&e.doc, e.region, e.subject)
	return out.Findings, err
}

// exhibit puts the text under its key: as the value there or, if it is a member
// name, as a name inside.
func (row *Row) exhibit() (exhibit, error) {
	text := wire.AppendString(nil, row.Text)
	if row.IsKey {
		text = append(append([]byte{'{'}, text...), ":0}"...)
	}
	e := exhibit{subject: row.subject()}
	raw := append(append(wire.AppendString([]byte{'{'}, row.key()), ':'), append(text, '}')...)
	var err error
	if e.doc, err = wire.Scan(raw, wire.Limits{Bytes: maxExhibit}); err != nil {
		return exhibit{}, fmt.Errorf("no message can hold this text: %w", err)
	}
	e.region = e.doc.Root.Get(row.key())
	return e, nil
}

// maxExhibit is what the longest line can become when every byte is written as an
// escape.
const maxExhibit = 6*maxLine + 1024

// maxProblems of a run are kept, to be shown; all are counted.
const maxProblems = 20

// Problem is something that could not be looked at.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // 0 if it is the whole file
	Message string `json:"message"`
}

func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return strings.TrimPrefix(place+": "+p.Message, ": ")
}

type problems struct {
	kept  []Problem
	count int
}

func (p *problems) add(problem Problem) {
	if p.count++; len(p.kept) < maxProblems {
		p.kept = append(p.kept, problem)
	}
}
