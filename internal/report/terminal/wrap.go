package terminal

import (
	"strings"
	"unicode"

	eastasian "golang.org/x/text/width"
)

// columns is how many a character takes: those of East Asia two, marks that stand on the
// letter before none.
func columns(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch eastasian.LookupRune(r).Kind() {
	case eastasian.EastAsianWide, eastasian.EastAsianFullwidth:
		return 2
	}
	return 1
}

// width is how many columns a text takes.
func width(s string) (n int) {
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// padded fills a text up to a number of columns.
func padded(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }

// fitting is the longest beginning of a text that takes at most n columns.
func fitting(s string, n int) string {
	for i, r := range s {
		if n -= columns(r); n < 0 {
			return s[:i]
		}
	}
	return s
}

// shorten makes a text safe, and cuts its end where it is too long.
func shorten(s string, n int) string { return cut(safe(s), n) }

func cut(s string, n int) string {
	if width(s) <= n {
		return s
	}
	return fitting(s, max(0, n-1)) + "…"
}

// shortenPath cuts a safe path in the middle: its end says most.
func shortenPath(s string, n int) string {
	if width(s) <= n {
		return s
	}
	const begin = 12
	if n < 2*begin {
		return cut(s, n)
	}
	return fitting(s, begin) + tail(s, n-begin)
}

// tail is the end of a safe text that is too long.
func tail(s string, n int) string {
	if width(s) <= n {
		return s
	}
	end := []rune(s)
	for width(string(end)) > n-1 {
		end = end[1:]
	}
	return "…" + string(end)
}

// wrap breaks a text into lines of at most n columns, at spaces where it can.
func wrap(s string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && width(line)+1+width(word) <= n {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for line = word; width(line) > n; {
			head := fitting(line, n)
			if head == "" {
				break // one character is wider than the line
			}
			lines = append(lines, head)
			line = line[len(head):]
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
