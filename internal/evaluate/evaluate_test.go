package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
)

// word is a rule that recognises a word with a confidence.
func word(id, text string, severity rule.Severity, confidence float64) rule.Rule {
	return rule.Rule{ID: id, Severity: severity, Confidence: confidence, Surfaces: rule.FromServer, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if i := strings.Index(s.Text, text); i >= 0 {
			return []rule.Match{{Start: i, End: i + len(text), Detail: text}}, nil
		}
		return nil, nil
	}}
}

// four rules: two that act, one that is unsure, one of no weight.
func four() *inspect.Inspector {
	return inspect.New([]rule.Rule{
		word("sure", "danger", rule.High, 0), word("certain", "peril", rule.Critical, rule.Hard),
		word("unsure", "doubt", rule.High, 0.4), word("mild", "odd", rule.Medium, 0),
	}, nil)
}

func corpusOf(name, text string) Corpus {
	return Corpus{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func row(surface, label, text string) string {
	line, err := json.Marshal(map[string]any{"surface": surface, "label": label, "text": text, "category": "kind:detail", "source": "https://x.example/a:path", "licence": []int{1}})
	if err != nil {
		panic(err)
	}
	return string(line) + "\n"
}

func measure(t *testing.T, inspector *inspect.Inspector, text string) (*Report, string) {
	t.Helper()
	var verdicts strings.Builder
	report, err := Run(inspector, []Corpus{corpusOf("c.jsonl", text)}, Options{Verdicts: &verdicts})
	if err != nil {
		t.Fatal(err)
	}
	return report, verdicts.String()
}

func Test_rows_are_counted_by_what_acts(t *testing.T) {
	report, verdicts := measure(t, four(), "\uFEFF"+row("tool_result", Attack, "danger and peril")+row("tool_result", Attack, "doubt")+"\n"+
		row("tool_description", Attack, "peril")+row("tool-definition", Benign, "odd")+row("tool_result", Benign, "danger")+row("tool_result", Benign, "calm")+
		row(UserText, Attack, "danger")+row(UserText, Benign, "danger"))
	if diff := cmp.Diff(map[string][4]int{
		"tool_result": {2, 1, 2, 1}, "tool_description": {1, 1, 0, 0}, "tool-definition": {0, 0, 1, 0}, UserText: {1, 1, 1, 1},
	}, counts(report.BySurface)); diff != "" {
		t.Errorf("by surface (-want +got):\n%s", diff)
	}
	whole := [4]int{3, 2, 3, 1}
	for name, groups := range map[string]map[string]*Rates{"all": {"x": &report.Overall}, "category": report.ByCategory, "source": report.BySource, "file": report.ByFile} {
		for key, got := range counts(groups) {
			if got != whole || len(groups) != 1 {
				t.Errorf("%s: %d groups, %q has %v, want one with %v", name, len(groups), key, got, whole)
			}
		}
	}
	if report.ByCategory["kind"] == nil || report.BySource["https://x.example/a"] == nil || report.ByFile["c.jsonl"] == nil {
		t.Errorf("wrong names: %v, %v, %v", report.ByCategory, report.BySource, report.ByFile)
	}
	if diff := cmp.Diff(map[string]*RuleCount{"sure": {1, 0, 1, 1}, "certain": {2, 1, 0, 0}}, report.ByRule); diff != "" {
		t.Errorf("by rule (-want +got):\n%s", diff)
	}
	want := `{"id":"c.jsonl:1","flagged":true,"score":1,"rules":["certain","sure"]}
{"id":"c.jsonl:2","flagged":false,"score":0.4,"rules":["unsure"]}
{"id":"c.jsonl:4","flagged":true,"score":0.9,"rules":["certain"]}
{"id":"c.jsonl:5","flagged":false,"score":0,"rules":[]}
{"id":"c.jsonl:6","flagged":true,"score":1,"rules":["sure"]}
{"id":"c.jsonl:7","flagged":false,"score":0,"rules":[]}
{"id":"c.jsonl:8","flagged":true,"score":1,"rules":["sure"]}
{"id":"c.jsonl:9","flagged":true,"score":1,"rules":["sure"]}
`
	if diff := cmp.Diff(want, verdicts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if report.Rows != 8 || report.ProblemCount != 0 {
		t.Errorf("%d rows, %d problems, want 8 and none", report.Rows, report.ProblemCount)
	}
}

func counts(groups map[string]*Rates) map[string][4]int {
	all := map[string][4]int{}
	for name, r := range groups {
		all[name] = [4]int{r.Attacks, r.Found, r.Benign, r.Flagged}
	}
	return all
}

func Test_what_cannot_be_read_is_a_problem_and_the_rest_is_read(t *testing.T) {
	good := row("tool_result", Benign, "calm")
	for _, tt := range []struct{ name, line, want string }{
		{"no JSON", "calm\n", "invalid character"},
		{"two objects", "{}{}\n", "invalid character"},
		{"no surface", `{"label":"attack","text":"x"}` + "\n", "surface is missing"},
		{"another surface", `{"surface":"page","label":"attack","text":"x"}` + "\n", `"page"`},
		{"no label", `{"surface":"tool_result","text":"x"}` + "\n", "label"},
		{"another label", `{"surface":"tool_result","label":"Attack","text":"x"}` + "\n", `"Attack"`},
		{"no text", `{"surface":"tool_result","label":"attack"}` + "\n", "text is missing"},
		{"text of another type", `{"surface":"tool_result","label":"attack","text":["x"]}` + "\n", "text"},
		{"too long", strings.Repeat(" ", maxLine+1) + "\n", "16 MiB"},
		{"a name that no message can have", `{"surface":"tool_result","label":"attack","text":"a\u0000","isKey":true}` + "\n", "NUL"},
	} {
		report, _ := measure(t, four(), good+tt.line+good)
		if len(report.Problems) != 1 || report.ProblemCount != 1 || report.Problems[0].File != "c.jsonl" || report.Problems[0].Line != 2 || !strings.Contains(report.Problems[0].Message, tt.want) {
			t.Errorf("%s: got %v, want one in line 2 about %q", tt.name, report.Problems, tt.want)
		}
		if report.Rows != 2 {
			t.Errorf("%s: %d rows are read, want 2", tt.name, report.Rows)
		}
	}
}

func Test_a_file_or_a_rule_that_fails_is_a_problem(t *testing.T) {
	broken := errors.New("broken")
	failing := Corpus{Name: "f", Open: func() (io.ReadCloser, error) { return nil, broken }}
	torn := Corpus{Name: "t", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(row("tool_result", Benign, "calm")), failingReader{broken})), nil
	}}
	report, err := Run(four(), []Corpus{failing, torn}, Options{})
	if err != nil || report.ProblemCount != 2 || report.Rows != 1 {
		t.Errorf("%d problems %v in %d rows, %v; want 2 in 1", report.ProblemCount, report.Problems, report.Rows, err)
	}
	blind := inspect.New([]rule.Rule{{ID: "blind", Surfaces: rule.ToolResult, Detect: func(rule.Subject) ([]rule.Match, error) { return nil, broken }}}, nil)
	report, _ = measure(t, blind, row("tool_result", Benign, "calm"))
	if report.ProblemCount != 1 || report.Rows != 0 || report.Overall.Benign != 0 {
		t.Errorf("a rule that fails: %d problems, %d rows, want 1 and 0", report.ProblemCount, report.Rows)
	}
	if _, err := Run(four(), []Corpus{corpusOf("c", row("tool_result", Benign, "calm"))}, Options{Verdicts: failingWriter{broken}}); !errors.Is(err, broken) {
		t.Errorf("verdicts that cannot be written: got %v", err)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func Test_problems_are_all_counted_and_few_are_kept(t *testing.T) {
	report, _ := measure(t, four(), strings.Repeat("x\n", 10*maxProblems))
	if report.ProblemCount != 10*maxProblems || len(report.Problems) != maxProblems {
		t.Errorf("%d counted, %d kept", report.ProblemCount, len(report.Problems))
	}
}

func Test_repeated_ids_are_counted(t *testing.T) {
	line := `{"id":"1","surface":"tool_result","label":"benign","text":"x"}` + "\n"
	if report, _ := measure(t, four(), line+line+line); report.RepeatedIDs != 2 || report.Rows != 3 {
		t.Errorf("%d repeated of %d, want 2 of 3", report.RepeatedIDs, report.Rows)
	}
}

// Rules are told all that a row says of where its text stood.
func Test_a_row_is_shown_in_its_place(t *testing.T) {
	for _, tt := range []struct {
		row  string
		want rule.Subject
	}{
		{`"surface":"tool_result","text":"a\u0000\"b"`, rule.Subject{Surface: rule.ToolResult, Key: "text", Text: "a\x00\"b"}},
		{`"surface":"user_text","text":"a"`, rule.Subject{Surface: rule.ToolResult, Key: "text", Text: "a"}},
		{`"surface":"tool_description","text":"Tool: list_all\nDescription: a"`, rule.Subject{Surface: rule.ToolDefinition, Key: "description", Name: "list_all", Text: "Tool: list_all\nDescription: a"}},
		{`"surface":"instructions","text":"Tool: x\n"`, rule.Subject{Surface: rule.Instructions, Key: "description", Text: "Tool: x\n"}},
		{`"surface":"tool-definition","key":"","text":"a","name":"n","isKey":true`, rule.Subject{Surface: rule.ToolDefinition, Key: "", IsKey: true, Name: "n", Text: "a"}},
		{`"surface":"arguments","server":"s","owner":"o","key":"k","text":"a","neighbours":[{"server":"m","name":"send"}],"known":["v"]`,
			rule.Subject{Surface: rule.Arguments, Server: "s", Owner: "o", Key: "k", Text: "a", Neighbours: []rule.Neighbour{{Server: "m", Name: "send"}}, Known: []string{"v"}}},
	} {
		var got []rule.Subject
		inspector := inspect.New([]rule.Rule{{ID: "r", Surfaces: rule.FromServer | rule.ToServer, Detect: func(s rule.Subject) ([]rule.Match, error) {
			s.Text, s.Key = strings.Clone(s.Text), strings.Clone(s.Key)
			got = append(got, s)
			return nil, nil
		}}}, nil)
		report, _ := measure(t, inspector, `{"label":"attack",`+tt.row+"}\n")
		if report.ProblemCount > 0 || len(got) != 1 {
			t.Errorf("%s: shown %d times, %v", tt.row, len(got), report.Problems)
			continue
		}
		if diff := cmp.Diff(tt.want, got[0], cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "reading" }, cmp.Ignore())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.row, diff)
		}
	}
}

func Test_intervals_are_those_of_Wilson(t *testing.T) {
	for _, tt := range []struct {
		hits, n   int
		low, high float64
	}{{0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {1, 10, 0.0179, 0.4042}, {50, 100, 0.4038, 0.5962}, {1, 1000, 0.00018, 0.00564}} {
		_, got := share(tt.hits, tt.n)
		if math.Abs(got[0]-tt.low) > 0.0001 || math.Abs(got[1]-tt.high) > 0.0001 {
			t.Errorf("%d of %d: got %v, want %v–%v", tt.hits, tt.n, *got, tt.low, tt.high)
		}
	}
	if rate, interval := share(0, 0); rate != nil || interval != nil {
		t.Errorf("nothing of nothing has a rate: %v, %v", rate, interval)
	}
}

func Test_the_curve_is_what_counting_gives(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var s scores
		var attack, benign []float64
		for range 1 + source.IntN(300) {
			attack = append(attack, float64(source.IntN(21))/20)
			benign = append(benign, float64(source.IntN(21))/20*source.Float64())
		}
		for i := range attack {
			s.add(Attack, attack[i])
			s.add(Benign, benign[i])
		}
		c := s.curve()
		for _, p := range c.Points {
			if *p.Recall != above(attack, p.Threshold) || *p.FalsePositiveRate != above(benign, p.Threshold) {
				t.Fatalf("at %v: got %v and %v", p.Threshold, *p.Recall, *p.FalsePositiveRate)
			}
		}
		for _, l := range c.AtFalsePositiveRate {
			best := 0.0
			for _, threshold := range append(attack, benign...) {
				if threshold > 0 && above(benign, threshold) <= l.Limit {
					best = max(best, above(attack, threshold))
				}
			}
			if l.Recall != best || l.FalsePositiveRate > l.Limit {
				t.Fatalf("within %v: got %v with %v, want %v", l.Limit, l.Recall, l.FalsePositiveRate, best)
			}
		}
	}
}

func above(scores []float64, threshold float64) float64 {
	n := 0
	for _, s := range scores {
		if s >= threshold {
			n++
		}
	}
	return float64(n) / float64(len(scores))
}

// A score of nothing is no threshold: with it everything would be flagged.
func Test_where_no_threshold_is_good_enough_nothing_is_found(t *testing.T) {
	report, _ := measure(t, four(), row("tool_result", Attack, "danger")+row("tool_result", Benign, "danger"))
	for _, l := range report.Curve["overall"].AtFalsePositiveRate {
		if l.Threshold != nil || l.Recall != 0 {
			t.Errorf("within %v: got %v from %v", l.Limit, l.Recall, *l.Threshold)
		}
	}
}

func Test_speed_is_measured_on_benign_pieces_of_ten_kilobytes(t *testing.T) {
	var sizes []int
	inspector := inspect.New([]rule.Rule{{ID: "r", Surfaces: rule.ToolResult, Detect: func(s rule.Subject) ([]rule.Match, error) {
		sizes = append(sizes, len(s.Text))
		return nil, nil
	}}}, nil)
	var timed timing
	for range 3 * pieceBytes / 1000 {
		timed.add(&Row{Surface: "tool_result", Text: strings.Repeat("x", 1000)})
	}
	speed, err := timed.measure(inspector)
	if err != nil || speed.Pieces != 2 || len(sizes) != 2*rounds || *speed.Clean <= 0 || *speed.MBPerSecond <= 0 {
		t.Fatalf("got %+v of %v, %v", speed, sizes, err)
	}
	for _, size := range sizes {
		if size != pieceBytes {
			t.Errorf("a piece of %d bytes", size)
		}
	}
	report, _ := measure(t, four(), row("tool_result", Attack, "danger")+row(UserText, Benign, "calm"))
	if report.Speed.Clean != nil || report.Speed.Pieces != 0 {
		t.Errorf("without benign rows the speed is %+v", report.Speed)
	}
	if report, _ = measure(t, four(), row("tool_result", Benign, "calm")); report.Speed != (Speed{}) {
		t.Errorf("of a few bytes the speed is %+v", report.Speed)
	}
}

func Test_a_long_row_is_one_piece(t *testing.T) {
	var timed timing
	timed.add(&Row{Surface: "tool_result", Text: strings.Repeat("ö", pieceBytes)})
	timed.add(&Row{Surface: "tool_result", Text: "x" + strings.Repeat("ö", pieceBytes)})
	for i, want := range []int{pieceBytes, pieceBytes - 1} {
		if size := len(timed.pieces[i].Text); size != want {
			t.Errorf("piece %d has %d bytes, want %d", i, size, want)
		}
	}
}

func Test_pieces_are_an_even_sample(t *testing.T) {
	var timed timing
	const all = 5 * maxPieces
	for i := range all {
		timed.add(&Row{Surface: "tool_result", Text: fmt.Sprintf("%08d", i) + strings.Repeat("x", pieceBytes)})
	}
	if n := len(timed.pieces); n < maxPieces/2 || n > maxPieces {
		t.Fatalf("%d pieces of %d, want at most %d", n, all, maxPieces)
	}
	for i, piece := range timed.pieces {
		var at int
		if _, err := fmt.Sscanf(piece.Text[:8], "%d", &at); err != nil || at != i*timed.stride {
			t.Fatalf("piece %d is number %d, %v; want %d", i, at, err, i*timed.stride)
		}
	}
}

// A rule about exposed data is counted and makes no attack of a text.
func Test_exposures_flag_nothing(t *testing.T) {
	secret := rule.Rule{ID: "secret", Severity: rule.High, Surfaces: rule.ToolResult, Exposure: true, Detect: func(s rule.Subject) ([]rule.Match, error) {
		return []rule.Match{{Start: 0, End: 1}}, nil
	}}
	corpus := corpusOf("c", row("tool_result", Benign, "calm")+row("tool_result", Attack, "calm"))
	for exposure, want := range map[bool]int{true: 0, false: 1} {
		report, err := Run(inspect.New([]rule.Rule{secret}, nil), []Corpus{corpus}, Options{Exposures: map[string]bool{"secret": exposure}})
		if err != nil || report.Overall.Flagged != want || report.Overall.Found != want {
			t.Errorf("exposure %v: %+v, %v", exposure, report.Overall, err)
		}
		if c := report.ByRule["secret"]; c == nil || c.Benign != 1 || c.Attacks != 1 {
			t.Errorf("exposure %v: counted as %+v", exposure, c)
		}
	}
}
