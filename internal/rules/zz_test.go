package rules

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/rule"
)

func Test_zz(t *testing.T) {
	out, _ := os.Create("/tmp/langrooms.jsonl")
	defer out.Close()
	w := bufio.NewWriter(out)
	defer w.Flush()
	files, _ := filepath.Glob("/work/shared/corpora/dev/*.jsonl")
	more, _ := filepath.Glob("/tmp/lr_train/*.jsonl")
	var spent time.Duration
	var bytes int
	for _, p := range append(files, more...) {
		f, _ := os.Open(p)
		sc := bufio.NewScanner(f)
		sc.Buffer(nil, 1<<22)
		for sc.Scan() {
			var r struct{ ID, Source, Surface, Label, Category, Text string }
			if json.Unmarshal(sc.Bytes(), &r) != nil || r.Surface == "user_text" {
				continue
			}
			surface := rule.ToolResult
			if r.Surface == "tool_description" {
				surface = rule.ToolDefinition
			}
			subject := rule.Subject{Surface: surface, Text: r.Text}
			if strings.HasSuffix(p, "/documents.jsonl") {
				begin := time.Now()
				readers[surface].Detect(subject, nil)
				spent += time.Since(begin)
				bytes += len(r.Text)
			}
			found, err := readers[surface].Detect(subject, nil)
			if err != nil {
				t.Fatal(err)
			}
			found = rule.Combine(found)
			var all []map[string]any
			for _, m := range found {
				all = append(all, map[string]any{"rule": m.Rule, "sev": m.Severity.String(), "conf": m.Confidence, "detail": m.Detail, "span": r.Text[m.Start:m.End]})
			}
			b, _ := json.Marshal(map[string]any{"file": filepath.Base(p), "id": r.ID, "source": r.Source, "surface": r.Surface, "label": r.Label, "cat": r.Category, "found": all, "len": len(r.Text)})
			fmt.Fprintln(w, string(b))
		}
		f.Close()
	}
	fmt.Printf("documents: %.1f us per 10 KB\n", float64(spent.Microseconds())/(float64(bytes)/10240))
}
