package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Position names a record and the value of the chain there. Its text form is
// SEQ:HASH with 64 hexadecimal digits.
type Position struct {
	Seq  uint64
	Hash string
}

func (p Position) String() string { return strconv.FormatUint(p.Seq, 10) + ":" + p.Hash }

// ParsePosition reads the text form of a position.
func ParsePosition(text string) (Position, error) {
	number, hash, _ := strings.Cut(text, ":")
	seq, err := strconv.ParseUint(number, 10, 64)
	sum, hexErr := hex.DecodeString(hash)
	if err != nil || hexErr != nil || len(sum) != sha256.Size {
		return Position{}, fmt.Errorf("%q is not a head: expected SEQ:HASH with %d hexadecimal digits", text, 2*sha256.Size)
	}
	return Position{Seq: seq, Hash: strings.ToLower(hash)}, nil
}

func (p position) export() Position { return Position{Seq: p.seq, Hash: hex.EncodeToString(p.hash[:])} }

// Report is what Verify found: one entry for each log.
type Report struct {
	Chains []Chain
}

// Tampered says that at least one log was changed or cut.
func (r Report) Tampered() bool {
	return slices.ContainsFunc(r.Chains, func(c Chain) bool { return c.Problem != nil })
}

// Chain is what Verify found out about the log in one directory.
type Chain struct {
	Dir      string
	Segments int
	Last     Position // last record that fits the chain, to be noted elsewhere
	Signed   uint64   // last record that the signed head covers
	Open     bool     // the log is being written, or its writer was killed
	Torn     int64    // bytes of an incomplete last line behind the head, which was never acknowledged
	Problem  *Problem // the first bad position; nil when everything fits
	Err      error    // why the log could not be checked; then nothing else is known
}

// Problem is the first position at which a log is not what was written.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"` // from 1; 0 when the whole file is meant
	Offset int64  `json:"offset"`         // bytes before the line
	Seq    uint64 `json:"seq"`            // the last record before it that fits
	Text   string `json:"text"`
}

func (p *Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where += fmt.Sprintf(", line %d, byte %d", p.Line, p.Offset)
	}
	return fmt.Sprintf("%s, after record %d: %s", where, p.Seq, p.Text)
}

// maxChains bounds the logs below one directory, each of which holds a file open
// while it is read.
const maxChains = 1000

// Verify checks every byte of the log in dir and of the logs in its
// subdirectories against chain and head. It only reads, and may be called while
// the log is written. The error joins what could not be checked; it is nil only
// when every log was. Tampering is in the report, not in the error.
func Verify(dir string) (Report, error) {
	return verify(dir, nil)
}

// VerifyHead is Verify for one log, which must also hold the record that was
// noted. That finds what nobody can see in the directory alone: an older copy
// put back, or a log written anew by someone who has the key.
func VerifyHead(dir string, noted Position) (Report, error) {
	list, err := chains(dir)
	if err != nil {
		return Report{}, err
	}
	if len(list) != 1 {
		return Report{}, fmt.Errorf("%w: %s holds %d logs, and a noted head belongs to one; name its directory", ErrNoLog, dir, len(list))
	}
	return verify(list[0], &noted)
}

func verify(dir string, noted *Position) (Report, error) {
	list, err := chains(dir)
	if err != nil {
		return Report{}, err
	}
	var report Report
	var errs []error
	for _, each := range list {
		c := verifyChain(each, noted)
		report.Chains = append(report.Chains, c)
		errs = append(errs, c.Err)
	}
	return report, errors.Join(errs...)
}

// chains lists the directories that hold a log: dir, if it does, and every
// subdirectory, which is there for nothing else.
func chains(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLog, err)
	}
	var list []string
	own := false
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, filepath.Join(dir, e.Name()))
			continue
		}
		own = own || e.Name() == keyName || e.Name() == headName || strings.HasSuffix(e.Name(), segmentSuffix)
	}
	if own {
		list = append([]string{dir}, list...)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: %s is empty", ErrNoLog, dir)
	}
	if len(list) > maxChains {
		return nil, fmt.Errorf("%s holds more than %d logs; name one of its subdirectories", dir, maxChains)
	}
	return list, nil
}

func verifyChain(dir string, noted *Position) Chain {
	c := Chain{Dir: dir}
	key, err := readKey(dir)
	if err != nil {
		c.Err = fmt.Errorf("%w: %w", ErrNoLog, err)
		return c
	}
	// The head is read first: what is appended meanwhile stands behind it.
	h, _, other, err := newSigner(key).read(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Problem = &Problem{File: headName, Text: "the head is missing"}
		return c
	case errors.Is(err, ErrDamaged):
		c.Problem = &Problem{File: headName, Text: err.Error()}
		return c
	case err != nil:
		c.Err = err
		return c
	}
	c.Open, c.Signed = !h.shut, h.seq
	if err := c.walk(h, noted); err != nil {
		c.Err = fmt.Errorf("reading %s: %w", dir, err)
		return c
	}
	if c.Problem == nil && other != nil && !h.crashed() {
		c.Problem = &Problem{File: headName, Seq: h.seq, Text: other.Error()}
	}
	return c
}

func (c *Chain) walk(h head, noted *Position) error {
	list, err := segments(c.Dir)
	if err != nil {
		return err
	}
	c.Segments = len(list)
	reached := h.segment == 0
	agrees := noted == nil
	end, stop, err := walk(c.Dir, list, position{}, func(p position) {
		reached = reached || p == h.position
		agrees = agrees || p.seq == noted.Seq && p.export() == *noted
	})
	if err != nil {
		return err
	}
	c.Last = end.export()
	c.Problem = judge(h, end, stop, reached)
	if c.Problem == nil && !agrees {
		c.Problem = &Problem{File: segmentName(end.segment), Seq: end.seq, Text: notedText(*noted, end)}
	}
	if c.Problem == nil && stop != nil {
		c.Torn, err = tornBytes(c.Dir, stop)
	}
	return err
}

// judge says what is wrong with a chain that fits up to end, nil for nothing.
func judge(h head, end position, stop *fault, reached bool) *Problem {
	at := &Problem{File: segmentName(max(end.segment, 1)), Seq: end.seq}
	if stop != nil {
		at.File, at.Line, at.Offset, at.Text = segmentName(stop.segment), stop.line, stop.offset, stop.reason
	}
	switch {
	case !reached && h.crashed() && h.durable <= end.seq && end.seq < h.seq:
		at.Text = fmt.Sprintf("records up to %d are missing; they were not yet on disk when the machine was last started, and a crash of it would explain that", h.seq)
	case !reached && stop == nil:
		at.Text = missing(h, end, nil)
	case !reached:
	case h.shut && end != h.position:
		at.Seq, at.Text = h.seq, fmt.Sprintf("the log was closed with record %d, and more was written behind it", h.seq)
	case stop != nil && (h.shut || !stop.partial && !h.crashed()):
	default:
		return nil
	}
	return at
}

func notedText(noted Position, end position) string {
	if end.seq < noted.Seq {
		return fmt.Sprintf("it ends with record %d, but record %d was noted elsewhere", end.seq, noted.Seq)
	}
	return fmt.Sprintf("record %d has another hash than the one that was noted elsewhere", noted.Seq)
}

func tornBytes(dir string, stop *fault) (int64, error) {
	info, err := os.Stat(filepath.Join(dir, segmentName(stop.segment)))
	if err != nil {
		return 0, err
	}
	return max(info.Size()-stop.offset, 0), nil
}
