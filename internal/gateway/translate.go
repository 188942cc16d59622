package gateway

import (
	"fmt"
	"net/http"
	"slices"

	"gatehouse/internal/wire"
)

// What one era writes into its messages and the other does not. Only that is
// changed here; everything else keeps its bytes.

// requestMeta are the members of _meta in which a modern request repeats what a
// session of the revisions before agrees on once.
var requestMeta = []string{wire.MetaVersion, wire.MetaCapabilities, wire.MetaClientInfo, wire.MetaLogLevel}

// tasksExtension is the extension of 2026-07-28 that took the place of the tasks
// of 2025-11-25. On the wire they have nothing in common, so neither is offered
// across eras.
const tasksExtension = "io.modelcontextprotocol/tasks"

// object writes a JSON object with the members that have a value.
func object(members ...wire.Change) []byte {
	doc, err := wire.Scan([]byte(`{}`), wire.Limits{})
	if err != nil {
		panic("gateway: internal error: " + err.Error())
	}
	return doc.Root.Update(members...).New
}

// updated is an object with changes, or a new one if v is none.
func updated(v wire.Value, changes ...wire.Change) []byte {
	if v.Kind() != '{' {
		return object(changes...)
	}
	return v.Update(changes...).New
}

// legacyRequest is a modern client's request in the words of the revisions
// before. Many clients share a session there and all of them count from one, so
// it gets an id and a progress token of our own.
func legacyRequest(m *wire.Message, id wire.ID, token []byte) (*wire.Message, error) {
	meta := m.Params.Get("_meta")
	changes := []wire.Change{{Key: "progressToken", Raw: token}}
	for _, name := range requestMeta {
		changes = append(changes, wire.Change{Key: name})
	}
	metaRaw := updated(meta, changes...)
	if string(metaRaw) == `{}` {
		metaRaw = nil
	}
	params := updated(m.Params, wire.Change{Key: "_meta", Raw: metaRaw},
		wire.Change{Key: "inputResponses"}, wire.Change{Key: "requestState"})
	return reread(wire.NewRequest(id, m.Method, params))
}

// modernRequest is a request for a server without sessions: all that a session
// agreed on stands in it.
func modernRequest(m *wire.Message, id wire.ID, s *Session, more ...wire.Change) (*wire.Message, error) {
	s.mu.Lock()
	client, level := s.params, s.level
	s.mu.Unlock()
	changes := []wire.Change{
		{Key: wire.MetaVersion, Raw: wire.AppendString(nil, wire.ModernVersion)},
		{Key: wire.MetaCapabilities, Raw: sharedCapabilities(client.Params.Get("capabilities"))},
		{Key: wire.MetaClientInfo, Raw: client.Params.Get("clientInfo").Raw()},
		{Key: wire.MetaLogLevel, Raw: levelOf(level)},
	}
	// "If the receiver does not declare the task capability, it MUST process the
	// request normally, ignoring the task-augmentation" (2025-11-25): task goes.
	changes = append([]wire.Change{
		{Key: "_meta", Raw: updated(m.Params.Get("_meta"), changes...)}, {Key: "task"},
	}, more...)
	return reread(wire.NewRequest(id, m.Method, updated(m.Params, changes...)))
}

// levelOf is the level in the parameters of logging/setLevel, nil if none was set.
func levelOf(params []byte) []byte {
	doc, err := wire.Scan(params, wire.Limits{})
	if err != nil {
		return nil
	}
	return doc.Root.Get("level").Raw()
}

// sharedCapabilities are what a client or server declares, without what exists in
// one era only.
func sharedCapabilities(declared wire.Value) []byte {
	changes := []wire.Change{{Key: "tasks"}}
	if roots := declared.Get("roots"); roots.Kind() == '{' {
		changes = append(changes, wire.Change{Key: "roots", Raw: updated(roots, wire.Change{Key: "listChanged"})})
	}
	if extensions := declared.Get("extensions"); extensions.Kind() == '{' {
		changes = append(changes, wire.Change{Key: "extensions", Raw: updated(extensions, wire.Change{Key: tasksExtension})})
	}
	return updated(declared, changes...)
}

// cacheable are the methods whose complete results say how long they may be kept.
var cacheable = []string{
	wire.MethodDiscover, wire.MethodToolsList, wire.MethodPromptsList, wire.MethodResourcesList,
	wire.MethodTemplatesList, wire.MethodResourcesRead,
}

// modernAnswer is a legacy server's answer for a modern client.
func modernAnswer(method string, id wire.ID, m *wire.Message) (*wire.Message, int, error) {
	if m.Error.Exists() {
		code, _ := m.Error.Get("code").Int()
		edits := []wire.Edit{m.IDEdit(id)}
		if code == wire.CodeResourceNotFound { // "-32602 (was -32002)"
			edits = append(edits, m.Error.Get("code").Replace(fmt.Appendf(nil, "%d", wire.CodeInvalidParams)))
		}
		out, err := reread(wire.Splice(m.Raw, edits...))
		return out, modernStatus(int(code)), err
	}
	changes := []wire.Change{{Key: "resultType", Raw: []byte(`"` + wire.ResultComplete + `"`)}}
	if slices.Contains(cacheable, method) {
		// A server that says nothing about keeping its answer allows nothing.
		changes = append(changes, wire.Change{Key: "ttlMs", Raw: []byte(`0`)}, wire.Change{Key: "cacheScope", Raw: []byte(`"private"`)})
	}
	out, err := reread(wire.Splice(m.Raw, m.IDEdit(id), resultEdit(m.Result, changes)))
	return out, http.StatusOK, err
}

// legacyAnswer is a modern server's answer for a legacy client.
func legacyAnswer(method string, id wire.ID, m *wire.Message) (*wire.Message, error) {
	edits := []wire.Edit{m.IDEdit(id)}
	if m.Error.Exists() {
		code := m.Error.Get("code")
		if n, _ := code.Int(); n == wire.CodeInvalidParams && method == wire.MethodResourcesRead && m.Error.At("data", "uri").Exists() {
			edits = append(edits, code.Replace(fmt.Appendf(nil, "%d", wire.CodeResourceNotFound)))
		}
	} else {
		edits = append(edits, resultEdit(m.Result, []wire.Change{{Key: "resultType"}, {Key: "ttlMs"}, {Key: "cacheScope"}}))
	}
	return reread(wire.Splice(m.Raw, edits...))
}

// resultEdit changes a result that is an object, as every result of MCP is; any
// other is left for the client to judge.
func resultEdit(result wire.Value, changes []wire.Change) wire.Edit {
	if result.Kind() != '{' {
		return wire.Edit{}
	}
	return result.Update(changes...)
}
