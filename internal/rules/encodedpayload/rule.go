// Package encodedpayload recognises programs and texts that are written in an
// encoding where none belongs.
package encodedpayload

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:         "encoded-payload",
	Title:      "Program or text in an encoding where none belongs",
	Severity:   rule.High,
	Confidence: reported,
	Surfaces:   rule.FromServer,
	Refs:       []string{"OWASP-MCP03:2025", "SAFE-T1402", "SAFE-T1912", "CWE-506", "CWE-502"},
	Doc:        doc,
	Literals:   []*rule.Literals{heads},
	AsWritten:  true,
	Detect:     detect,
}

const (
	certain = 0.95 // a definition has no use for it
	// reported is for what some tool may be there to return.
	reported = 0.6

	// minRun is the shortest run that is looked at, in characters. Digests are shorter:
	// SHA-512 has 128 hexadecimal digits, and 88 characters of Base64.
	minRun = 132
	// minProgram is the same for what begins as a program does.
	minProgram = 64
	// maxLook is how much of a run is decoded, in characters; a multiple of four.
	maxLook = 4096
)

// heads are what the first bytes of programs look like in Base64 and in hexadecimal
// digits.
var heads = rule.NewLiterals(rule.Written,
	"f0VMRg", "7f454c46", // ELF
	"TVqQAA", "TVpQAA", "TVoAAA", "4d5a9000", // PE
	"IyEv",                       // a script: #!/
	"z/rt/g", "yv66vg", "AGFzbQ", // Mach-O, Java, WebAssembly
	"gASV", "gAST", "rO0AB", // objects of Python and Java
	"SQBFAFgA", "aQBlAHgA", "SQBuAHYAbwBrAGUA", "JABj", "JABz", "JABw", "cABvAHcAZQByAHMA", // PowerShell
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	if carries(subject.Key) {
		return nil, nil
	}
	var matches []rule.Match
	done := 0
	add := func(start, end int, confidence float64, detail, says string) {
		m := rule.Match{Start: start, End: end, Confidence: confidence, Detail: detail, Decoded: excerpt(says)}
		if subject.Surface&rule.Definitions == 0 {
			m.Confidence, m.Action, m.Replacement = min(confidence, reported), rule.Redact, "[encoded content withheld by Gatehouse]"
		}
		matches, done = append(matches, m), end
	}
	if subject.Holds(heads) {
		subject.Each(heads, func(literal, start, end int) {
			if start < done || start > 0 && encoding(subject.Text[start-1]) {
				return
			}
			stop := runEnd(subject.Text, start)
			raw := decode(subject.Text[start:min(stop, start+maxLook)])
			if detail := program(raw); detail != "" && stop-start >= minProgram {
				add(start, stop, certain, detail, "")
			}
		})
	}
	if subject.Surface&rule.Definitions != 0 {
		found := matches
		matches, done = nil, 0
		runs(subject.Text, func(start, end int) {
			if slices.ContainsFunc(found, func(m rule.Match) bool { return m.Start < end && start < m.End }) || innocent(subject.Text, start, end) {
				return
			}
			raw := decode(subject.Text[start:min(end, start+maxLook)])
			if readable(raw) {
				// What it says is judged by the rules that read it decoded.
				add(start, end, reported, "a text that is written in an encoding, in a definition", string(raw))
			} else if end-start >= maxLook {
				add(start, end, reported, "a long run of encoded data, in a definition", "")
			}
		})
		matches = append(found, matches...)
		slices.SortFunc(matches, func(a, b rule.Match) int { return a.Start - b.Start })
	}
	return matches, nil
}

// carries says whether a member is there to hold encoded data.
func carries(key string) bool {
	return slices.Contains([]string{"blob", "data", "icon", "icons", "src", "image", "logo", "thumbnail", "audio"}, key)
}

// encoding says whether a byte belongs to a run of Base64, in either alphabet, or of
// hexadecimal digits.
func encoding(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '+' || c == '/' || c == '-' || c == '_'
}

func runEnd(text string, at int) int {
	for at < len(text) && encoding(text[at]) {
		at++
	}
	for at < len(text) && text[at] == '=' {
		at++
	}
	return at
}

// runs calls found for each run that is long enough. Its places stand so close that
// one of them is in every such run.
func runs(text string, found func(start, end int)) {
	for i := minRun - 1; i < len(text); {
		if !encoding(text[i]) {
			i += minRun
			continue
		}
		start := i
		for start > 0 && encoding(text[start-1]) {
			start--
		}
		end := runEnd(text, i)
		if end-start >= minRun {
			found(start, end)
		}
		i = end + minRun
	}
}

// innocent says whether a run is what definitions do hold: an image, a digest of a
// lock file, a token, a path or a word of many parts.
func innocent(text string, start, end int) bool {
	before := text[max(0, start-40):start]
	run := text[start:end]
	return slices.ContainsFunc(pictures, func(head string) bool { return strings.HasPrefix(run, head) }) || strings.Contains(before, "base64,") || strings.HasSuffix(before, "-") || strings.HasPrefix(run, "eyJ") || strings.Contains(before, "eyJ") ||
		strings.HasPrefix(run, "//") || strings.Count(run, "/")+strings.Count(run, "-")+strings.Count(run, "_") > len(run)/12
}

// pictures are what the first bytes of images and documents look like in Base64.
var pictures = []string{"iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "PHN2Zy", "JVBERi0"}

// decode decodes what it can of a run.
func decode(run string) []byte {
	if raw, err := hex.DecodeString(run[:len(run)&^1]); err == nil {
		return raw
	}
	run = strings.TrimRight(run, "=")
	run = run[:len(run)&^3]
	alphabet := base64.RawStdEncoding
	if strings.ContainsAny(run, "-_") {
		alphabet = base64.RawURLEncoding
	}
	raw, err := alphabet.DecodeString(run)
	if err != nil {
		return nil
	}
	return raw
}

// readable says whether bytes are words.
func readable(raw []byte) bool {
	printable, spaces := 0, 0
	for _, c := range raw {
		if c >= ' ' && c < 0x7f || c == '\n' || c == '\t' {
			printable++
		}
		if c == ' ' || c == '\n' {
			spaces++
		}
	}
	return len(raw) > 0 && printable*20 >= len(raw)*19 && spaces*20 >= len(raw)
}

var (
	script  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^#!\s*/(?:usr/)?(?:local/)?bin/\w+`) })
	gadgets = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:posix|nt|os|subprocess|builtins|__builtin__|commands)[\s\S]{1,8}(?:system|popen|Popen|exec|eval|execfile|check_output|call|run|getattr)`)
	})
	cradle = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\biex\b|invoke-expression|downloadstring|downloadfile|net\.webclient|invoke-webrequest|start-process|frombase64string|net\.sockets`)
	})
)

// program says what kind of program bytes are; "" if they are none.
func program(raw []byte) string {
	has := func(head string) bool { return bytes.HasPrefix(raw, []byte(head)) }
	switch {
	case has("\x7fELF") && len(raw) > 16 && (raw[4] == 1 || raw[4] == 2):
		return "a program for Linux"
	case has("MZ") && (bytes.Contains(raw, []byte("PE\x00\x00")) || bytes.Contains(raw, []byte("DOS mode"))):
		return "a program for Windows"
	case has("\xcf\xfa\xed\xfe"), has("\xca\xfe\xba\xbe"):
		return "a program for macOS or Java"
	case has("\x00asm\x01"):
		return "a WebAssembly program"
	case script().Match(raw):
		return "a script"
	case has("\x80\x04") && gadgets().Match(raw):
		return "a Python object that runs a command when it is read"
	case has("\xac\xed\x00\x05"):
		return "a Java object, which can run code when it is read"
	case len(raw) > 2 && raw[1] == 0 && cradle().Match(bytes.ReplaceAll(raw, []byte{0}, nil)):
		return "a PowerShell command"
	}
	return ""
}

// excerpt is what a match quotes of a decoded text.
func excerpt(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), rule.MaxDecoded)], "")
}
