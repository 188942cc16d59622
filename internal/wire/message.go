package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
)

// Kind tells the three forms of a JSON-RPC message.
type Kind uint8

const (
	Request Kind = iota + 1
	Notification
	Response
)

// ID is the id of a request in canonical form: the literal of an integer, or a
// JSON string with the fewest escapes. "" is no id. Two ids are the same exactly
// if they are equal.
type ID string

// Message is one JSON-RPC message inside the bytes it was read from.
type Message struct {
	Document
	Kind   Kind
	ID     ID
	Method string
	Params Value
	Result Value // of a Response: either Result or Error exists
	Error  Value

	id Value
}

// maxIDBytes bounds an id. It is kept while the request is in flight and echoed.
const maxIDBytes = 256

// errBatch names the one form of JSON-RPC that MCP knew and gave up.
var errBatch = errors.New("a batch of messages: MCP 2025-06-18 removed batching; send one message at a time")

// Parse accepts raw if it is exactly one JSON-RPC 2.0 message as MCP restricts
// it: "The ID MUST NOT be null", ids are strings or integers, a response has
// either a result or an error.
func Parse(raw []byte, lim Limits) (*Message, error) {
	doc, err := Scan(raw, lim)
	if err != nil {
		return nil, err
	}
	return newMessage(doc)
}

func newMessage(doc Document) (*Message, error) {
	switch doc.Root.Kind() {
	case '{':
	case '[':
		return nil, errBatch
	default:
		return nil, errors.New("a JSON-RPC message must be an object")
	}
	m := &Message{Document: doc}
	version, method, err := m.envelope()
	if err != nil {
		return nil, err
	}
	if version.Kind() != '"' || !equalText(m.Raw[version.start+1:version.end-1], "2.0") {
		return nil, errors.New(`"jsonrpc" must be "2.0"`)
	}
	if m.ID, err = readID(m.id); err != nil {
		return nil, err
	}
	if err := m.classify(method); err != nil {
		return nil, err
	}
	return m, nil
}

// Names by which this program or a server decides what a message is and does. A
// variant of one in other case, even alone, is read by decoders that do not tell
// case (CVE-2026-27896) and overlooked by those that do.
var (
	envelopeNames = []string{"jsonrpc", "id", "method", "params", "result", "error"}
	paramsNames   = []string{
		"_meta", "name", "arguments", "uri", "ref", "argument", "context", "cursor", "level",
		"protocolVersion", "capabilities", "clientInfo", "requestId", "progressToken",
		"task", "taskId", "notifications", "inputResponses", "requestState",
	}
)

var errLookalike = errors.New("a member name of the protocol in other upper and lower case")

func (m *Message) envelope() (version, method Value, err error) {
	for _, t := range m.top {
		v := Value{m.Raw, int(t.Start), int(t.End)}
		switch name := m.bytes(m.Strings[t.Key]); string(name) {
		case "jsonrpc":
			version = v
		case "id":
			m.id = v
		case "method":
			method = v
		case "params":
			m.Params = v
			if m.lookalikeInside(t) {
				return Value{}, Value{}, errLookalike
			}
		case "result":
			m.Result = v
		case "error":
			m.Error = v
		default:
			if lookalike(name, envelopeNames) {
				return Value{}, Value{}, errLookalike
			}
		}
	}
	return version, method, nil
}

// lookalikeInside looks at the names of the direct members of params.
func (m *Message) lookalikeInside(params String) bool {
	for _, s := range m.Strings[params.Key+1:] {
		if s.Start >= params.End {
			break
		}
		if s.IsKey && s.Key == params.Key && lookalike(m.bytes(s), paramsNames) {
			return true
		}
	}
	return false
}

func readID(v Value) (ID, error) {
	if !v.Exists() {
		return "", nil
	}
	if v.end-v.start > maxIDBytes {
		return "", fmt.Errorf("an id longer than %d bytes", maxIDBytes)
	}
	switch v.Kind() {
	case '"':
		if bytes.IndexByte(v.Raw(), '\\') < 0 {
			return ID(v.Raw()), nil // without escapes it is in canonical form
		}
		return ID(AppendString(nil, v.Text())), nil
	case '0':
		for _, c := range v.Raw() {
			if c == '.' || c == 'e' || c == 'E' {
				return "", errors.New("an id must be a string or an integer")
			}
		}
		if string(v.Raw()) == "-0" {
			return "0", nil // the same integer, so the same id
		}
		return ID(v.Raw()), nil
	}
	return "", errors.New("an id must be a string or an integer, never null")
}

func (m *Message) classify(method Value) error {
	if method.Exists() {
		if method.Kind() != '"' {
			return errors.New(`"method" must be a string`)
		}
		if m.Result.Exists() || m.Error.Exists() {
			return errors.New("a message with a method and a result")
		}
		// JSON-RPC allows params by position; MCP params are always an object.
		if m.Params.Exists() && m.Params.Kind() != '{' {
			return errors.New(`"params" must be an object`)
		}
		m.Method = methodName(method)
		m.Kind = Request
		if m.ID == "" {
			m.Kind = Notification
		}
		return nil
	}
	m.Kind = Response
	switch {
	case m.ID == "":
		return errors.New("neither a method nor an id")
	case m.Result.Exists() == m.Error.Exists():
		return errors.New("a response must have either a result or an error")
	case m.Error.Exists():
		if _, ok := m.Error.Get("code").Int(); !ok {
			return errors.New("the code of an error must be an integer")
		}
	}
	return nil
}

// methodName is the text of a method. The known ones need no copy of their own.
func methodName(v Value) string {
	if name, known := methods[string(v.doc[v.start+1:v.end-1])]; known {
		return name
	}
	return v.Text()
}

// WithID is the message with another id, everything else byte for byte. A
// notification has none and stays as it is.
func (m *Message) WithID(id ID) []byte { return Splice(m.Raw, m.IDEdit(id)) }

// Answering is a response like m with another id, everything else byte for byte:
// what Parse makes of WithID, without a second scan of a text that may be large.
func (m *Message) Answering(id ID) (*Message, error) {
	raw := m.WithID(id)
	if m.Kind != Response || m.id.Kind() != '0' || id == "" {
		return Parse(raw, Limits{Bytes: len(raw), Items: math.MaxInt, Members: math.MaxInt, Strings: math.MaxInt})
	}
	return m.answering(raw, id), nil
}

// answering is m as it is read from raw, which holds another id in the place of
// its own, a number, and is the same in all else.
func (m *Message) answering(raw []byte, id ID) *Message {
	shift := len(raw) - len(m.Raw)
	move := func(pos int) int {
		if pos > m.id.start {
			return pos + shift
		}
		return pos
	}
	value := func(v Value) Value {
		if !v.Exists() {
			return v
		}
		return Value{raw, move(v.start), move(v.end)}
	}
	next := *m
	next.ID, next.Raw, next.Root, next.id = id, raw, value(m.Root), value(m.id)
	next.Result, next.Error = value(m.Result), value(m.Error)
	if shift == 0 && id[0] != '"' {
		return &next // every string stands where it stood
	}
	first := sort.Search(len(m.Strings), func(i int) bool { return int(m.Strings[i].Start) > m.id.start })
	next.Strings = make([]String, 0, len(m.Strings)+1)
	next.Strings = append(next.Strings, m.Strings[:first]...)
	added := int32(0)
	if id[0] == '"' {
		added = 1
		next.Strings = append(next.Strings, String{
			Start: int32(m.id.start) + 1, End: int32(m.id.start+len(id)) - 1, Key: int32(first) - 1,
			Escaped: strings.Contains(string(id), `\`),
		})
	}
	for _, s := range m.Strings[first:] {
		s.Start, s.End = s.Start+int32(shift), s.End+int32(shift)
		if s.Key >= int32(first) {
			s.Key += added
		}
		next.Strings = append(next.Strings, s)
	}
	next.top = slices.Clone(m.top)
	for i := range next.top {
		t := &next.top[i]
		t.Start, t.End = int32(move(int(t.Start))), int32(move(int(t.End)))
		if t.Key >= int32(first) {
			t.Key += added
		}
	}
	return &next
}

// IDEdit is the edit that gives the message another id. For a notification it
// changes nothing.
func (m *Message) IDEdit(id ID) Edit {
	if !m.id.Exists() {
		return Edit{}
	}
	return m.id.Replace([]byte(id))
}

// Spliced is the message that the edits make of m, the same as Parse of the spliced
// bytes under the limits under which m was parsed. Where each edit puts one string,
// number or literal in the place of another, as a new id or progress token does, only
// the edits are scanned: everything else keeps its bytes, and what is known of it
// moves along.
func (m *Message) Spliced(lim Limits, edits ...Edit) (*Message, error) {
	raw := Splice(m.Raw, edits...)
	moved, ok := m.moved(raw, lim, edits)
	if !ok {
		return Parse(raw, lim)
	}
	return newMessage(moved)
}

// NewRequest writes a request; params may be nil.
func NewRequest(id ID, method string, params []byte) []byte {
	out := append([]byte(`{"jsonrpc":"2.0","id":`), id...)
	return appendCall(out, method, params)
}

// NewNotification writes a notification; params may be nil.
func NewNotification(method string, params []byte) []byte {
	return appendCall([]byte(`{"jsonrpc":"2.0"`), method, params)
}

func appendCall(out []byte, method string, params []byte) []byte {
	out = AppendString(append(out, `,"method":`...), method)
	if params != nil {
		out = append(append(out, `,"params":`...), params...)
	}
	return append(out, '}')
}

// NewResult writes the response to a request.
func NewResult(id ID, result []byte) []byte {
	out := append([]byte(`{"jsonrpc":"2.0","id":`), id...)
	out = append(append(out, `,"result":`...), result...)
	return append(out, '}')
}

// NewError writes the error response to a request. Without an id it answers a
// message whose id could not be read: JSON-RPC 2.0 section 5 then wants null.
func NewError(id ID, code int, message string, data []byte) []byte {
	if id == "" {
		id = "null"
	}
	out := append([]byte(`{"jsonrpc":"2.0","id":`), id...)
	out = fmt.Appendf(out, `,"error":{"code":%d,"message":`, code)
	out = AppendString(out, message)
	if data != nil {
		out = append(append(out, `,"data":`...), data...)
	}
	return append(out, "}}"...)
}
