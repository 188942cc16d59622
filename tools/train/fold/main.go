// Command fold folds the texts of examples as rules do, so that training reads what the
// product reads. It copies JSON lines from input to output; "text" becomes the folded
// text, and "span", if there is one, the numbers of the words in it: the first, and the
// one after the last.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"unicode"

	"gatehouse/internal/rule"
)

// maxLine bounds one example, in bytes.
const maxLine = 1 << 24

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(r io.Reader, w io.Writer) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	buffered := bufio.NewWriter(w)
	out := json.NewEncoder(buffered)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		var row map[string]any
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return err
		}
		text, _ := row["text"].(string)
		folded := rule.Fold(text)
		row["text"] = string(folded.Text)
		if span, ok := row["span"].([]any); ok && len(span) == 2 {
			from, _ := span[0].(float64)
			to, _ := span[1].(float64)
			row["span"] = words(folded, int(from), int(to))
		}
		if err := out.Encode(row); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return buffered.Flush()
}

// words are the words of a folded text that stem from a part of the original.
func words(folded *rule.Folded, from, to int) [2]int {
	var span [2]int
	word, inside, seen := -1, false, false
	for i, r := range string(folded.Text) {
		if unicode.IsSpace(r) {
			inside = false
			continue
		}
		if inside {
			continue
		}
		inside = true
		word++
		if at, _ := folded.Span(i, i); at >= from && at < to {
			if !seen {
				span[0], seen = word, true
			}
			span[1] = word + 1
		}
	}
	return span
}
