package evaluate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"gatehouse/internal/rule"
)

// The labels of a row.
const (
	Attack = "attack"
	Benign = "benign"
)

// UserText is the surface of what a person writes to a model. A gateway never sees
// it; such rows are counted apart from all others.
const UserText = "user_text"

// surfaces are the names that corpora use, beside those of the rules.
var surfaces = func() map[string]rule.Surface {
	names := map[string]rule.Surface{"tool_result": rule.ToolResult, "tool_description": rule.ToolDefinition, UserText: rule.ToolResult}
	for surface := rule.Surface(1); surface <= rule.Other; surface <<= 1 {
		names[surface.String()] = surface
	}
	return names
}()

// Row is one labelled text. What it does not name is ignored.
type Row struct {
	ID       string `json:"id"`
	Surface  string `json:"surface"` // tool_result, tool_description, user_text, or a surface of the rules
	Label    string `json:"label"`
	Text     string `json:"text"`
	Category string `json:"category"` // FAMILY or FAMILY:DETAIL
	Source   string `json:"source"`   // SOURCE or SOURCE:PATH

	// Where the text stood, for rules that ask; all of it may be absent.
	Server     string           `json:"server"`
	Owner      string           `json:"owner"`
	Name       string           `json:"name"`
	Key        *string          `json:"key"`
	IsKey      bool             `json:"isKey"`
	Neighbours []rule.Neighbour `json:"neighbours"`
	Known      []string         `json:"known"`

	file string
	line int
}

func (row *Row) check() error {
	switch {
	case row.Surface == "":
		return errors.New("surface is missing")
	case surfaces[row.Surface] == 0:
		return fmt.Errorf("surface: %q is none of tool_result, tool_description, user_text and the surfaces of the rules", row.Surface)
	case row.Label != Attack && row.Label != Benign:
		return fmt.Errorf("label: %q is neither %q nor %q", row.Label, Attack, Benign)
	case row.Text == "":
		return errors.New("text is missing or empty")
	}
	return nil
}

// apart says whether the row stays out of everything but its own surface.
func (row *Row) apart() bool { return row.Surface == UserText }

func (row *Row) subject() rule.Subject {
	return rule.Subject{Surface: surfaces[row.Surface], Server: row.Server, Owner: row.Owner, Name: row.name(), Neighbours: row.Neighbours, Known: row.Known}
}

// name is the tool that the text belongs to. The first line of a tool's description
// may say it.
func (row *Row) name() string {
	if row.Name != "" || surfaces[row.Surface] != rule.ToolDefinition {
		return row.Name
	}
	first, _, _ := strings.Cut(row.Text, "\n")
	name, _ := strings.CutPrefix(first, "Tool: ")
	if name == first {
		return ""
	}
	return name
}

// key is the member under which such a text usually stands.
func (row *Row) key() string {
	switch surface := surfaces[row.Surface]; {
	case row.Key != nil:
		return *row.Key
	case surface&rule.Definitions != 0:
		return "description"
	}
	return "text"
}

// beforeColon is what stands before the first colon that begins no URL's "//".
func beforeColon(text string) string {
	for i := range len(text) {
		if text[i] == ':' && !strings.HasPrefix(text[i:], "://") {
			return text[:i]
		}
	}
	return text
}

// maxLine bounds one row: no message that the gateway passes is longer.
const maxLine = 16 << 20

// rowReader reads JSON lines. After an error that is not io.EOF it goes on with the
// next line, unless broken is true.
type rowReader struct {
	in     *bufio.Reader
	line   int // number of the last line
	broken bool
	buffer []byte
}

func newRowReader(in io.Reader) *rowReader { return &rowReader{in: bufio.NewReaderSize(in, 1<<16)} }

func (r *rowReader) next() (row Row, err error) {
	for {
		text, err := r.readLine()
		if err != nil {
			return row, err
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if err := json.Unmarshal(text, &row); err != nil {
			return row, err
		}
		return row, row.check()
	}
}

var byteOrderMark = []byte("\uFEFF")

// readLine reads a line. One that is too long is read to its end and not kept.
func (r *rowReader) readLine() ([]byte, error) {
	r.buffer = r.buffer[:0]
	r.line++
	tooLong := false
	for {
		part, err := r.in.ReadSlice('\n')
		if tooLong = tooLong || len(r.buffer)+len(part) > maxLine; !tooLong {
			r.buffer = append(r.buffer, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(r.buffer) == 0 && !tooLong:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			r.broken = true
			return nil, err
		case tooLong:
			return nil, fmt.Errorf("a line of more than %d MiB", maxLine>>20)
		}
		if r.line == 1 {
			return bytes.TrimPrefix(r.buffer, byteOrderMark), nil
		}
		return r.buffer, nil
	}
}
