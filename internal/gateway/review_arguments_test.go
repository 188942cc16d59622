package gateway

import (
	"context"
	"strings"
	"testing"

	"gatehouse/internal/wire"
)

// Many servers read the names of arguments without regard to case. A forbid about an
// argument must not be evaded by that.
func Test_an_argument_that_looks_like_another_is_refused(t *testing.T) {
	var got []string
	s := &stub{}
	s.answer = func(_ context.Context, m *wire.Message, _ *stream) string {
		switch m.Method {
		case wire.MethodInitialize:
			return `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}`
		case wire.MethodDiscover:
			return `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}`
		case wire.MethodToolsList:
			return `{"resultType":"complete","tools":[{"name":"read","description":"Reads a file.","inputSchema":{"type":"object","properties":{"path":{"type":"string"},"edits":{"type":"array","items":{"type":"object","properties":{"text":{"type":"string"}}}}}}}]}`
		}
		if m.Method == wire.MethodToolsCall {
			got = append(got, string(m.Params.Get("arguments").Raw()))
		}
		return `{"resultType":"complete","content":[{"type":"text","text":"done"}]}`
	}
	h := ruled(t, s, `permit (principal, action, resource);
@id("no-etc") forbid (principal, action, resource) when { context.arguments.hasTag("path") && context.arguments.getTag("path") like "/etc/*" };`, "")
	h.who = ann
	for arguments, want := range map[string]bool{
		`{"path":"/tmp/a"}`:              true,
		`{"other":"x"}`:                  true,
		`{"edits":[{"text":"x","n":1}]}`: true,
		`{"edits":[{"Text":"x"}]}`:       false,
		`{"path":"/etc/passwd"}`:         false,
		`{"Path":"/etc/passwd"}`:         false,
		`{"PATH":"/etc/passwd"}`:         false,
		`{"path":"/a","pAth":"/etc/x"}`:  false,
	} {
		before := len(got)
		r := h.send(true, "stub", wire.MethodToolsCall, `"name":"read","arguments":`+arguments)
		if passed := len(got) > before; passed != want {
			t.Errorf("%s: reached the server: %v, answer %s", arguments, passed, strings.TrimSpace(string(r.Body)))
		}
	}
}
