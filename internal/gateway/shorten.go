package gateway

import (
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/wire"
)

const (
	// shortenedMark tells the model that there was more.
	shortenedMark = "… [shortened]"
	// leastDescription of a tool is kept, whatever the budget: less says nothing.
	leastDescription = 80
)

// shortened cuts the longest descriptions of tools until all of them together fit
// the budget, which is in bytes; 0 is none. What was approved is the whole
// description; what is shown is its beginning.
func shortened(entries []joinedEntry, budget int) ([]joinedEntry, error) {
	if budget == 0 {
		return entries, nil
	}
	descriptions := make([]wire.Value, len(entries))
	lengths := make([]int, len(entries))
	for i, e := range entries {
		doc, err := wire.Scan(e.raw, ownLimits)
		if err != nil {
			return nil, err
		}
		descriptions[i] = doc.Root.Get("description")
		lengths[i] = len(descriptions[i].Text())
	}
	most := max(leastDescription, fair(lengths, budget))
	out := slices.Clone(entries)
	for i, v := range descriptions {
		if lengths[i] > most {
			out[i].raw = wire.Splice(out[i].raw, v.Replace(wire.AppendString(nil, firstPart(v.Text(), most))))
		}
	}
	return out, nil
}

// fair is the length to which the longest must be cut so that the sum fits.
func fair(lengths []int, budget int) int {
	sorted := slices.Sorted(slices.Values(lengths))
	for i, length := range sorted {
		if left := len(sorted) - i; length*left > budget {
			return budget / left
		}
		budget -= length
	}
	return 1<<31 - 1
}

// firstPart is at most size bytes of a text, the mark included: whole sentences if
// they are more than half of it.
func firstPart(text string, size int) string {
	size -= len(shortenedMark)
	cut := size
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	part := text[:cut]
	end := -1
	for _, stop := range []string{". ", ".\n", "! ", "? ", "。", "\n\n"} {
		if at := strings.LastIndex(part, stop); at >= 0 {
			end = max(end, at+len(strings.TrimRight(stop, " \n")))
		}
	}
	if end > size/2 {
		part = part[:end]
	}
	return strings.TrimRight(part, " \n") + shortenedMark
}
