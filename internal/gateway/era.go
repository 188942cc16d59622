package gateway

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// The headers of 2026-07-28 that repeat what the body says. Intermediaries route
// on them, so "servers that process the request body MUST reject requests where
// the values do not match".
const (
	headerVersion = "Mcp-Protocol-Version"
	headerMethod  = "Mcp-Method"
	headerName    = "Mcp-Name"
	headerParam   = "Mcp-Param-"
)

// ModernHeader reports whether HTTP headers claim a revision that has no sessions
// and in which the end of the connection cancels the request.
func ModernHeader(h http.Header) bool {
	if h == nil {
		return false
	}
	if version := h.Get(headerVersion); version != "" {
		return !slices.Contains(wire.LegacyVersions, version)
	}
	// Some clients of the revisions before send Mcp-Method too, within a session.
	return h.Get(headerMethod) != "" && h.Get("Mcp-Session-Id") == ""
}

// modernMeta checks the _meta that every request of 2026-07-28 must carry.
func (g *Gateway) modernMeta(ex *exchange) error {
	meta := ex.msg.Params.Get("_meta")
	version := meta.Get(wire.MetaVersion)
	if version.Kind() != '"' {
		return &protocolError{code: wire.CodeInvalidParams, status: http.StatusBadRequest,
			refusal: decision.Refuse(decision.Malformed, "_meta lacks %s", wire.MetaVersion)}
	}
	if version.Text() != wire.ModernVersion {
		if h := ex.peer.Header; h != nil && h.Get(headerVersion) != version.Text() {
			return headerMismatch(headerVersion)
		}
		return unsupportedVersion(version.Text())
	}
	if meta.Get(wire.MetaCapabilities).Kind() != '{' {
		return &protocolError{code: wire.CodeInvalidParams, status: http.StatusBadRequest,
			refusal: decision.Refuse(decision.Malformed, "_meta lacks %s", wire.MetaCapabilities)}
	}
	ex.version = wire.ModernVersion
	return nil
}

// unsupportedVersion is the error for a revision that nobody here speaks.
func unsupportedVersion(requested string) error {
	data := object(wire.Change{Key: "supported", Raw: supportedVersions()}, wire.Change{Key: "requested", Raw: wire.AppendString(nil, requested)})
	return &protocolError{code: wire.CodeUnsupportedVersion, status: http.StatusBadRequest, data: data,
		refusal: decision.Refuse(decision.EraMismatch, "unsupported protocol version")}
}

// supportedVersions are the revisions in which a client may speak, whatever the
// server speaks: the newest first.
func supportedVersions() []byte {
	list := []string{wire.ModernVersion}
	for _, v := range slices.Backward(wire.LegacyVersions) {
		list = append(list, v)
	}
	return texts(list)
}

// eraOfMethod refuses a method in the era that does not have it.
func (g *Gateway) eraOfMethod(ex *exchange) error {
	if ex.modern && ex.meta.legacy || !ex.modern && ex.meta.modern {
		return decision.Refuse(decision.Unsupported, "%s does not exist in this revision", printable(ex.msg.Method))
	}
	return nil
}

// matchHeaders compares the headers of a modern HTTP request with its body.
func matchHeaders(ex *exchange) error {
	h := ex.peer.Header
	if h == nil {
		return nil
	}
	if ex.request() && !headerIs(h, headerVersion, ex.version) {
		return headerMismatch(headerVersion)
	}
	if ex.msg.Method != "" && !headerIs(h, headerMethod, ex.msg.Method) {
		return headerMismatch(headerMethod)
	}
	switch ex.msg.Method {
	case wire.MethodToolsCall, wire.MethodPromptsGet, wire.MethodResourcesRead, wire.MethodTasksGet, wire.MethodTasksUpdate, wire.MethodTasksCancel:
		if !headerIs(h, headerName, ex.msg.Params.Get(ex.meta.name).Text()) {
			return headerMismatch(headerName)
		}
	}
	return nil
}

// matchStrayHeaders looks at the headers of 2026-07-28 on a request of a revision
// before. Some clients send them there; whoever routes on them must not be told
// something else than the body says.
func matchStrayHeaders(ex *exchange) error {
	h := ex.peer.Header
	if h == nil || ex.msg.Method == "" {
		return nil
	}
	if h.Values(headerMethod) != nil && !headerIs(h, headerMethod, ex.msg.Method) {
		return headerMismatch(headerMethod)
	}
	if h.Values(headerName) != nil && !headerIs(h, headerName, ex.msg.Params.Get(ex.meta.name).Text()) {
		return headerMismatch(headerName)
	}
	return nil
}

func headerMismatch(name string) error {
	return &protocolError{code: wire.CodeHeaderMismatch, status: http.StatusBadRequest,
		refusal: decision.Refuse(decision.HeaderMismatch, "%s is missing or differs from the body", name)}
}

// headerIs reports whether the header stands exactly once and means want.
func headerIs(h http.Header, name, want string) bool {
	values := h.Values(name)
	if len(values) != 1 {
		return false
	}
	got, ok := decodeHeader(values[0])
	return ok && got == want
}

// decodeHeader undoes the sentinel form =?base64?…?= in which values travel that
// are no plain header text.
func decodeHeader(value string) (string, bool) {
	value = strings.Trim(value, " \t")
	inner, begins := strings.CutPrefix(value, "=?base64?")
	inner, ends := strings.CutSuffix(inner, "?=")
	if !begins || !ends {
		return value, true // only both together make the sentinel
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(inner)
	return string(raw), err == nil && utf8.Valid(raw)
}

// encodeHeader writes a value so that every HTTP hop hands it on unchanged.
func encodeHeader(value string) string {
	plain := value != "" && strings.Trim(value, " \t") == value && !strings.HasPrefix(value, "=?base64?")
	for i := 0; plain && i < len(value); i++ {
		plain = value[i] >= 0x20 && value[i] < 0x7F
	}
	if plain {
		return value
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(value)) + "?="
}

// modernHeaders are the headers of a modern request as it is sent on. They are
// derived from the body that is sent, never copied, but for parameters that only
// the server can know.
func modernHeaders(m *wire.Message, from http.Header) http.Header {
	h := http.Header{headerVersion: {wire.ModernVersion}, headerMethod: {encodeHeader(m.Method)}}
	switch m.Method {
	case wire.MethodToolsCall, wire.MethodPromptsGet, wire.MethodResourcesRead, wire.MethodTasksGet, wire.MethodTasksUpdate, wire.MethodTasksCancel:
		h[headerName] = []string{encodeHeader(m.Params.Get(known(m.Method).name).Text())}
	}
	for name, values := range from {
		if strings.HasPrefix(name, headerParam) { // "MUST forward unknown Mcp-Param-*"
			h[name] = values
		}
	}
	return h
}

// matchParamHeaders compares the arguments that a tool wants repeated as headers
// (x-mcp-header in its input schema) with the headers.
func matchParamHeaders(ex *exchange, arguments wire.Value) error {
	if !ex.modern || ex.peer.Header == nil {
		return nil
	}
	doc, err := wire.Scan(ex.item.Definition, wire.Limits{})
	if err != nil {
		return err
	}
	for path, wanted := range mirrored(doc.Root) {
		header := http.CanonicalHeaderKey(headerParam + wanted)
		argument := arguments.At(path...)
		values := ex.peer.Header.Values(header)
		if !argument.Exists() || argument.Kind() == 'n' {
			if len(values) > 0 {
				return headerMismatch(header)
			}
			continue
		}
		if len(values) != 1 {
			return headerMismatch(header)
		}
		got, ok := decodeHeader(values[0])
		if !ok || !sameValue(argument, got) {
			return headerMismatch(header)
		}
	}
	return nil
}

// sameValue compares an argument with a header text: numbers by value, since
// 1 and 1.0 are one number in JSON, everything else as text.
func sameValue(argument wire.Value, text string) bool {
	switch argument.Kind() {
	case '"':
		return argument.Text() == text
	case '0':
		const maxNumber = 64 // longer ones are compared as text
		raw := string(argument.Raw())
		if len(raw) > maxNumber || len(text) > maxNumber || strings.ContainsAny(raw+text, "eE_/") {
			return raw == text
		}
		a, okA := new(big.Rat).SetString(raw)
		b, okB := new(big.Rat).SetString(text)
		return okA && okB && a.Cmp(b) == 0
	default:
		return string(argument.Raw()) == text
	}
}

// statusError is a refusal with an HTTP status of its own.
type statusError struct {
	status  int
	refusal *decision.Refusal
}

func (e *statusError) Error() string { return e.refusal.Error() }
func (e *statusError) Unwrap() error { return e.refusal }

// protocolError is a refusal for which the protocol has an error code.
type protocolError struct {
	code    int
	status  int
	data    []byte
	refusal *decision.Refusal
}

func (e *protocolError) Error() string { return e.refusal.Error() }
func (e *protocolError) Unwrap() error { return e.refusal }

// printable is text from outside made fit for a message to people and models:
// bounded, and without control or hidden characters.
func printable(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Trim(fmt.Sprintf("%+q", s), `"`)
}
