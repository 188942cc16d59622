// Package argument says what an argument of a tool is meant to be, by the names of
// the argument and of the tool. What is an attack in a host name is ordinary in a
// command, and a text about attacks is a text. Rules about arguments share it.
package argument

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/rule"
)

// Meaning is what an argument can be meant to be. It is a set.
type Meaning uint16

const (
	Command Meaning = 1 << iota // for a shell or an interpreter
	SQL                         // a statement or a part of one
	Path                        // of a file or a folder
	Address                     // a URL, or a host
	Atom                        // an identifier, a name, a number: nothing with a grammar
	Prose                       // text or data that somebody reads or stores
	Search                      // what somebody looks for, in words
)

// byKey are words of argument names; the last one that is known decides, because
// names end in what they are: file_content, url_list, path_to_script.
var byKey = table(map[Meaning]string{
	Command: "command commands cmd cmdline shell script exec bash powershell program args argv arguments code snippet expression formula pipeline",
	SQL:     "sql query statement statements where having predicate soql cypher",
	Path:    "path paths file files filename filenames filepath pathname dir directory folder cwd root workdir workspace location src dst attachment template",
	Address: "url urls uri uris href link links endpoint webhook callback website site host hostname domain ip server address origin baseurl proxy redirect feed",
	Atom:    "id ids name username user login email port number limit offset page count branch ref tag commit sha repo repository owner package version sort order column table database schema currency date time lang language locale format host hostname domain ip key slug uuid account timezone",
	Prose:   "content contents text body message messages description title comment comments prompt note notes summary data markdown html json yaml xml csv diff patch instructions reason context details input subject caption bio question answer document entry string value values example payload thought observation observations old new replacement",
	Search:  "search keyword keywords q term terms pattern regex filter topic",
})

// byTool are words of tool names that say what all their arguments are for.
var byTool = table(map[Meaning]string{
	Command: "bash shell terminal exec execute command commands cmd powershell script ssh python repl eval interpreter sandbox process javascript node console code run",
	SQL:     "sql query database db postgres postgresql mysql sqlite mariadb mssql oracle bigquery snowflake clickhouse duckdb redshift cypher neo4j explain psql",
	Address: "fetch request http curl browse browser navigate goto download scrape crawl screenshot webpage open webhook",
	Search:  "search find lookup google ask",
})

func table(words map[Meaning]string) map[string]Meaning {
	of := map[string]Meaning{}
	for meaning, list := range words {
		for _, word := range strings.Fields(list) {
			of[word] |= meaning
		}
	}
	return of
}

// Of says what the subject's text is meant to be; 0 if its names say nothing. A
// command that is given in parts stands under names of its own, and a statement in
// the arguments of a tool for statements, so the name of the tool counts as well.
func Of(subject rule.Subject) Meaning {
	meaning := ofName(subject.Key, byKey)
	for word := range words(subject.Name) {
		switch tool := byTool[word]; {
		case tool&(Command|SQL|Address) != 0 && meaning&(Prose|Search) != 0 && meaning&SQL == 0:
		default:
			meaning |= tool
		}
	}
	return meaning
}

func ofName(name string, table map[string]Meaning) (meaning Meaning) {
	for word := range words(name) {
		if m, known := table[word]; known {
			meaning = m
		}
	}
	return meaning
}

// maxName bounds the names that are looked at, in bytes. They come from outside.
const maxName = 200

// Words splits a name as programmers write it: search_files, searchFiles, search-files.
func Words(name string) []string { return slices.Collect(words(name)) }

// words are those of Words, without memory for all of them.
func words(name string) iter.Seq[string] {
	name = name[:min(len(name), maxName)]
	return func(yield func(string) bool) {
		start := 0
		for i := range len(name) {
			next := start
			switch c := name[i]; {
			case c >= 'A' && c <= 'Z' && i > start && name[i-1] >= 'a' && name[i-1] <= 'z':
				next = i
			case c == '_' || c == '-' || c == '.' || c == '/' || c == ' ' || c == ':':
				next = i + 1
			default:
				continue
			}
			if i > start && !yield(strings.ToLower(name[start:i])) {
				return
			}
			start = next
		}
		if len(name) > start {
			yield(strings.ToLower(name[start:]))
		}
	}
}

// Unescape undoes percent-encoding once, and leaves what is none as it stands.
func Unescape(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if b, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(b))
				i += 2
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// Narrow writes full-width forms as ASCII, as programs do that normalise, and Windows
// where a program asks for its arguments in an old code page.
func Narrow(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '\uff01' && r <= '\uff5e' {
			return r - '\uff01' + '!'
		}
		return r
	}, text)
}
