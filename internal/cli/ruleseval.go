package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gatehouse/internal/evaluate"
	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/rules"
)

type evalOptions struct {
	corpora   []string
	verdicts  string
	without   []string
	minRecall float64
	maxFalse  float64
	asJSON    *bool
}

func newRulesEvalCommand(asJSON *bool) *cobra.Command {
	o := evalOptions{asJSON: asJSON}
	command := &cobra.Command{
		Use:   "eval --corpus FILE.jsonl...",
		Short: "Measure the rules on labelled texts of your own",
		Long: `Shows every text of a corpus to the rules, as the gateway would, and says how many
attacks they find, how many ordinary texts they flag, and how long they take. Nothing
leaves this machine.

A corpus is a file with one JSON object a line:

  {"id": "1", "surface": "tool_result", "label": "attack", "text": "…"}

  surface   tool_result, tool_description (Tool: NAME, Description: …, Arguments: …),
            user_text, or a surface that ` + "`gatehouse rules explain`" + ` names
  label     attack or benign
  text      what the model would read, in one line of at most 16 MiB
  id, category (FAMILY:DETAIL), source (SOURCE:PATH) group and name the rows
  server, owner, name, key, isKey, neighbours, known say where the text stood,
            for rules that look at that

Anything else in the object is ignored. A row that cannot be read is named with its file
and line, and the exit code is 3: what nobody looked at is not clean.

A text is flagged if a finding of severity high or critical is sure enough to act by
itself. Its score is the highest confidence of such a finding, sure enough or not; the
curve says what other thresholds would give. Intervals are those of 95 %. user_text is
what people write to a model. A gateway never sees it, so it stands by itself under the
surfaces and in nothing else. Rules about exposed data, such as secret-exposed, are
counted by rule and flag no text: a document with a password in it is no attack.

Exit codes: 0 measured, and within the limits of --min-recall and
--max-false-positive-rate; 1 outside of them; 2 wrong usage; 3 something could not be
looked at.`,
		Example: `  gatehouse rules eval --corpus mail.jsonl --verdicts verdicts.jsonl
  gatehouse rules eval --corpus corpora/ --corpus 'more/*.jsonl' --json
  zcat big.jsonl.gz | gatehouse rules eval --corpus - --max-false-positive-rate 0.01`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeJSONL,
		RunE: func(c *cobra.Command, args []string) error {
			o.corpora = append(o.corpora, args...)
			return o.run(c)
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&o.without, "without", nil, "leave out these `RULES`, to see what the others find")
	flags.StringArrayVar(&o.corpora, "corpus", nil, "measure on `FILE`: a file, a folder of .jsonl files, a pattern, or - for standard input; may be given several times")
	flags.StringVar(&o.verdicts, "verdicts", "", "write a line for each row to `FILE`: id, flagged, score, rules")
	flags.Float64Var(&o.minRecall, "min-recall", 0, "fail if a smaller `SHARE` of the attacks is found, from 0 to 1")
	flags.Float64Var(&o.maxFalse, "max-false-positive-rate", 1, "fail if a larger `SHARE` of the benign rows is flagged, from 0 to 1")
	if err := command.RegisterFlagCompletionFunc("corpus", completeJSONL); err != nil {
		panic("cli: internal error: " + err.Error())
	}
	return command
}

func completeJSONL(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"jsonl"}, cobra.ShellCompDirectiveFilterFileExt
}

func (o *evalOptions) run(c *cobra.Command) (err error) {
	for flag, value := range map[string]float64{"--min-recall": o.minRecall, "--max-false-positive-rate": o.maxFalse} {
		if !(value >= 0 && value <= 1) {
			return exitWith(exitUsage, fmt.Errorf("%s: %v is not from 0 to 1", flag, value))
		}
	}
	list, err := o.rules()
	if err != nil {
		return exitWith(exitUsage, err)
	}
	corpora, err := findCorpora(o.corpora, c.InOrStdin())
	if err != nil {
		return err
	}
	report, err := o.measure(c, list, corpora)
	if err != nil {
		return err
	}
	if err := o.print(c.OutOrStdout(), report); err != nil {
		return exitWith(exitIncomplete, err)
	}
	return o.judge(report)
}

func (o *evalOptions) measure(c *cobra.Command, list []rule.Rule, corpora []evaluate.Corpus) (*evaluate.Report, error) {
	options := evaluate.Options{Exposures: map[string]bool{}}
	for _, r := range list {
		options.Exposures[r.ID] = r.Exposure
	}
	var verdicts *os.File
	if o.verdicts != "" {
		var err error
		if verdicts, err = o.create(corpora); err != nil {
			return nil, err
		}
		defer verdicts.Close()
		options.Verdicts = verdicts
	}
	if stderr := c.ErrOrStderr(); isTerminal(stderr) {
		options.Progress = func(rows int) { fmt.Fprintf(stderr, "\r%d texts", rows) }
		defer fmt.Fprint(stderr, "\r\x1b[K")
	}
	report, err := evaluate.Run(inspect.New(list, nil), corpora, options)
	if err == nil && verdicts != nil {
		err = verdicts.Close()
	}
	if err != nil {
		return nil, exitWith(exitIncomplete, err)
	}
	return report, nil
}

// create makes the file for the verdicts. One that is measured would be empty before it
// is read.
func (o *evalOptions) create(corpora []evaluate.Corpus) (*os.File, error) {
	if info, err := os.Stat(o.verdicts); err == nil {
		for _, corpus := range corpora {
			if measured, err := os.Stat(corpus.Name); err == nil && os.SameFile(info, measured) {
				return nil, exitWith(exitUsage, fmt.Errorf("--verdicts: %s is a corpus; name another file", o.verdicts))
			}
		}
	}
	file, err := os.OpenFile(o.verdicts, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, exitWith(exitIncomplete, fmt.Errorf("writing verdicts: %w", err))
	}
	return file, nil
}

func (o *evalOptions) print(out io.Writer, report *evaluate.Report) error {
	if *o.asJSON {
		return printJSON(out, report)
	}
	return printReport(out, report)
}

// judge says what the exit code says.
func (o *evalOptions) judge(report *evaluate.Report) error {
	if report.ProblemCount > 0 {
		return exitWith(exitIncomplete, unread(report))
	}
	all := report.Overall
	switch {
	case report.Rows == 0:
		return exitWith(exitIncomplete, errors.New("there is no row to look at"))
	case o.minRecall > 0 && all.Recall == nil:
		return exitWith(exitIncomplete, errors.New("--min-recall: no row is an attack that the gateway would see"))
	case o.maxFalse < 1 && all.FalsePositiveRate == nil:
		return exitWith(exitIncomplete, errors.New("--max-false-positive-rate: no row is a benign text that the gateway would see"))
	case o.minRecall > 0 && *all.Recall < o.minRecall:
		return exitWith(exitFindings, fmt.Errorf("recall is %s, less than %s", percent(*all.Recall), percent(o.minRecall)))
	case o.maxFalse < 1 && *all.FalsePositiveRate > o.maxFalse:
		return exitWith(exitFindings, fmt.Errorf("the false-positive rate is %s, more than %s", percent(*all.FalsePositiveRate), percent(o.maxFalse)))
	}
	return nil
}

func unread(report *evaluate.Report) error {
	lines := []string{fmt.Sprintf("not everything could be looked at (%d):", report.ProblemCount)}
	for _, p := range report.Problems {
		lines = append(lines, "  "+p.String())
	}
	if more := report.ProblemCount - len(report.Problems); more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// findCorpora turns names, folders and patterns into files. What names nothing is an
// error, not an empty corpus.
func findCorpora(names []string, stdin io.Reader) ([]evaluate.Corpus, error) {
	if len(names) == 0 {
		return nil, exitWith(exitUsage, errors.New("name a corpus: --corpus FILE.jsonl"))
	}
	var corpora []evaluate.Corpus
	seen := map[string]bool{}
	for _, name := range names {
		if name == "-" {
			corpora = append(corpora, evaluate.Corpus{Name: "standard input", Open: func() (io.ReadCloser, error) { return io.NopCloser(stdin), nil }})
			continue
		}
		paths, err := corpusFiles(name)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if !seen[path] {
				seen[path] = true
				corpora = append(corpora, evaluate.Corpus{Name: path, Open: func() (io.ReadCloser, error) { return os.Open(path) }})
			}
		}
	}
	return corpora, nil
}

func corpusFiles(name string) ([]string, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && !info.IsDir():
		return []string{name}, nil
	case err == nil:
		name = filepath.Join(escapePattern(name), "*.jsonl")
	case !errors.Is(err, fs.ErrNotExist):
		return nil, exitWith(exitIncomplete, err)
	case !strings.ContainsAny(name, "*?["):
		return nil, exitWith(exitUsage, err)
	}
	paths, err := filepath.Glob(name)
	if err != nil {
		return nil, exitWith(exitUsage, fmt.Errorf("%s: %w", name, err))
	}
	if len(paths) == 0 {
		return nil, exitWith(exitUsage, fmt.Errorf("%s: no such file", name))
	}
	return paths, nil
}

// escapePattern keeps the name of a folder from being read as a pattern.
func escapePattern(folder string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(folder)
}

func printReport(out io.Writer, r *evaluate.Report) error {
	apart := 0
	if rates := r.BySurface[evaluate.UserText]; rates != nil {
		apart = rates.Attacks + rates.Benign
	}
	fmt.Fprintf(out, "%d attacks, %d benign texts", r.Overall.Attacks, r.Overall.Benign)
	if apart > 0 {
		fmt.Fprintf(out, "; apart from these, %d texts of users", apart)
	}
	fmt.Fprintln(out)
	if r.RepeatedIDs > 0 {
		fmt.Fprintf(out, "warning: rows with the id of another row: %d\n", r.RepeatedIDs)
	}
	printRates(out, "ALL", map[string]*evaluate.Rates{"overall": &r.Overall})
	printRates(out, "SURFACE", r.BySurface)
	printRates(out, "FILE", r.ByFile)
	printRates(out, "CATEGORY", r.ByCategory)
	printRates(out, "SOURCE", r.BySource)
	printRuleCounts(out, r.ByRule)
	printCurve(out, r.Curve)
	return printSpeed(out, r.Speed)
}

func newTable(out io.Writer) *tabwriter.Writer {
	fmt.Fprintln(out)
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
}

// maxGroups of one kind are printed, the largest of them.
const maxGroups = 20

func printRates(out io.Writer, title string, groups map[string]*evaluate.Rates) {
	if len(groups) == 0 || len(groups) == 1 && groups[""] != nil { // no row says any
		return
	}
	names := slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(groups[b].Rows()-groups[a].Rows(), strings.Compare(a, b))
	})
	table := newTable(out)
	defer table.Flush()
	fmt.Fprintf(table, "%s\tATTACKS FOUND\t\tBENIGN FLAGGED\t\n", title)
	for _, name := range names[:min(len(names), maxGroups)] {
		g := groups[name]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", cmp.Or(name, "(none)"),
			rate(g.Recall, g.RecallInterval), counted(g.Found, g.Attacks),
			rate(g.FalsePositiveRate, g.FalseInterval), counted(g.Flagged, g.Benign))
	}
	if more := len(names) - maxGroups; more > 0 {
		fmt.Fprintf(table, "and %d more; --json has all\n", more)
	}
}

// rate is a share with its interval: 43.4 % (42.3–44.5).
func rate(share *float64, interval *[2]float64) string {
	if share == nil {
		return ""
	}
	return fmt.Sprintf("%s (%.2f–%.2f)", percent(*share), 100*interval[0], 100*interval[1])
}

func counted(hits, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", hits, n)
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

func printRuleCounts(out io.Writer, counts map[string]*evaluate.RuleCount) {
	if len(counts) == 0 {
		return
	}
	table := newTable(out)
	defer table.Flush()
	fmt.Fprintln(table, "RULE\tATTACKS\tNO OTHER RULE\tBENIGN\tNO OTHER RULE")
	for _, id := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b].Attacks-counts[a].Attacks, strings.Compare(a, b))
	}) {
		c := counts[id]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\n", id, c.Attacks, c.AttacksAlone, c.Benign, c.BenignAlone)
	}
}

// printCurve has a line for each surface and a column for each limit.
func printCurve(out io.Writer, curves map[string]evaluate.Curve) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(curves)), func(name string) bool { return len(curves[name].AtFalsePositiveRate) == 0 })
	if len(names) == 0 {
		return
	}
	table := newTable(out)
	defer table.Flush()
	fmt.Fprint(table, "FOUND IF BENIGN FLAGGED MAY BE")
	for _, l := range curves[names[0]].AtFalsePositiveRate {
		fmt.Fprintf(table, "\t%.1f %%", 100*l.Limit)
	}
	fmt.Fprintln(table)
	for _, name := range names {
		fmt.Fprint(table, name)
		for _, l := range curves[name].AtFalsePositiveRate {
			if l.Threshold == nil {
				fmt.Fprint(table, "\tnothing")
			} else {
				fmt.Fprintf(table, "\t%s from %.2f", percent(l.Recall), *l.Threshold)
			}
		}
		fmt.Fprintln(table)
	}
}

func printSpeed(out io.Writer, s evaluate.Speed) error {
	if s.MBPerSecond == nil {
		_, err := fmt.Fprintln(out, "\nspeed: not enough benign text to measure it; ten kilobytes of one surface are")
		return err
	}
	_, err := fmt.Fprintf(out, "\nspeed on one processor: %.0f MB/s, %.0f µs for 10 KB of benign text (median of %d pieces)\n", *s.MBPerSecond, *s.Clean, s.Pieces)
	return err
}

// rules are those that are measured.
func (o *evalOptions) rules() ([]rule.Rule, error) {
	for _, id := range o.without {
		if _, found := rules.ByID(id); !found {
			return nil, fmt.Errorf("--without: there is no rule %q; `gatehouse rules list` shows them", id)
		}
	}
	return slices.DeleteFunc(rules.All(), func(r rule.Rule) bool { return slices.Contains(o.without, r.ID) }), nil
}
