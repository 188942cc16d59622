package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// Where servers are joined, names and URIs carry the configured id of their
// server: "aggregated tool collisions SHOULD be disambiguated by prefixing", and
// serverInfo, which a server chooses, is not to be used for that. An id holds
// neither separator, so the first one ends it.
const (
	nameSeparator = "__" // tools and prompts: files__read_file
	uriSeparator  = "+"  // resources and tasks: files+file:///notes.txt, still a valid scheme
)

const (
	// maxJoinedName is what every client and model API takes; several refuse a whole
	// list over one longer name.
	maxJoinedName = 64
	// nameHash is the number of hexadecimal digits behind a name that had to change.
	// Forty bits keep the few thousand names of a server apart; should two meet all
	// the same, neither is shown.
	nameHash = 10
)

var (
	plainName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	hashedName   = regexp.MustCompile(`_[0-9a-f]{10}$`)
	unusableSign = regexp.MustCompile(`[^A-Za-z0-9_-]`)
)

// joinedName is the name of a server's tool or prompt where servers are joined:
// server__name, if every client takes that. Another name keeps its readable
// beginning and ends in a hash of the whole, so that it depends on nothing but
// itself and no two names become one. A name that ends like that by itself is
// hashed too, or it could take the place of another.
func joinedName(server, name string) string {
	whole := server + nameSeparator + name
	if plainName.MatchString(whole) && !hashedName.MatchString(whole) {
		return whole
	}
	sum := sha256.Sum256([]byte(whole))
	readable := unusableSign.ReplaceAllString(whole, "_")
	if most := maxJoinedName - 1 - nameHash; len(readable) > most {
		readable = readable[:most]
	}
	return readable + "_" + hex.EncodeToString(sum[:])[:nameHash]
}

// joinedURI is the URI of a server's resource, or the id of its task, where
// servers are joined.
func joinedURI(server, uri string) string { return server + uriSeparator + uri }

// joinByName resolves server__name, and find_tools, where it is listed.
func joinByName(g *Gateway, ex *exchange) route {
	if ex.msg.Method == wire.MethodToolsCall && ex.msg.Params.Get("name").Text() == findTools && g.live.Load().progressive() {
		ex.target = findTools
		return local
	}
	return g.joinToName(ex, ex.msg.Params.Get(ex.meta.name))
}

// joinByURI resolves server+uri, and server+id for tasks.
func joinByURI(g *Gateway, ex *exchange) route {
	return g.joinToURI(ex, ex.msg.Params.Get(ex.meta.name))
}

// joinByRef resolves the prompt or resource template that a completion is for.
func joinByRef(g *Gateway, ex *exchange) route {
	kind, name := refOf(ex.msg)
	if kind == approval.KindTemplate {
		return g.joinToURI(ex, name)
	}
	return g.joinToName(ex, name)
}

// refOf is the definition that a completion is for.
func refOf(m *wire.Message) (approval.Kind, wire.Value) {
	ref := m.Params.Get("ref")
	if ref.Get("type").Text() == "ref/resource" {
		return approval.KindTemplate, ref.Get("uri")
	}
	return approval.KindPrompt, ref.Get("name")
}

// joinToName finds the server of a name. Each definition has exactly one name
// here; any other spelling of it is no name. What a hashed name stands for is
// found among the server's definitions, when these are known to be admitted.
func (g *Gateway) joinToName(ex *exchange, name wire.Value) route {
	given := name.Text()
	id, rest, found := strings.Cut(given, nameSeparator)
	s := g.live.Load().servers[id]
	switch {
	case !found || s == nil || rest == "":
		return 0
	case hashedName.MatchString(given) && plainName.MatchString(given):
		ex.server, ex.target, ex.hashed = s, given, true
		return toServer
	case joinedName(id, rest) != given:
		return 0
	}
	return ex.joinTo(s, name, rest)
}

// joinToURI finds the server of a URI or task id.
func (g *Gateway) joinToURI(ex *exchange, uri wire.Value) route {
	id, rest, found := strings.Cut(uri.Text(), uriSeparator)
	s := g.live.Load().servers[id]
	if !found || s == nil || rest == "" {
		return 0
	}
	return ex.joinTo(s, uri, rest)
}

// joinTo writes the server's own name into what is sent.
func (ex *exchange) joinTo(s *server, name wire.Value, own string) route {
	out := ex.msg
	edits := []wire.Edit{name.Replace(wire.AppendString(nil, own))}
	edits = append(edits, relatedTask(ex.msg.Params, func(id string) string { return strings.TrimPrefix(id, s.id+uriSeparator) })...)
	if err := replaceMessage(&out, edits); err != nil {
		return 0
	}
	ex.server, ex.target, ex.out = s, own, out
	return toServer
}

// unhash finds the definition that a hashed name stands for, in what the server
// defines now, and writes its own name into what is sent.
func (ex *exchange) unhash(ctx context.Context) error {
	if !ex.hashed {
		return nil
	}
	kind, name := ex.definition()
	if ex.msg.Method == wire.MethodComplete {
		kind, name = approval.KindPrompt, ex.target
	}
	defined, err := ex.link.definitions(ctx, kind)
	if err != nil {
		return err
	}
	own, found := defined.named(ex.server.id, name)
	if !found {
		return decision.Refuse(decision.NotFound, "%s", printable(name))
	}
	value := ex.msg.Params.Get("name")
	if ex.msg.Method == wire.MethodComplete {
		_, value = refOf(ex.msg)
	}
	if ex.joinTo(ex.server, value, own) == 0 {
		return decision.Refuse(decision.NotFound, "%s", printable(name))
	}
	ex.hashed = false
	return nil
}

// named is the one name among the definitions whose joined form is given; there is
// none if it could be one of several.
func (d *definitions) named(server, given string) (own string, found bool) {
	for name := range d.items {
		if joinedName(server, name) != given {
			continue
		}
		if found {
			return "", false
		}
		own, found = name, true
	}
	return own, found
}

// entryName is the member by which an entry of a list is known. The kind "" is
// that of resources.
func entryName(kind approval.Kind) string {
	switch kind {
	case approval.KindTemplate:
		return "uriTemplate"
	case "":
		return "uri"
	}
	return "name"
}

// joinEntryName is the name or URI of an entry where servers are joined.
func joinEntryName(kind approval.Kind, server, name string) string {
	if kind == approval.KindTemplate || kind == "" {
		return joinedURI(server, name)
	}
	return joinedName(server, name)
}

// joinEntry gives one proper entry of a list its name or URI where servers are
// joined, and to the references in it.
func joinEntry(kind approval.Kind, entry wire.Value, server string) []byte {
	name := entry.Get(entryName(kind))
	edits := []wire.Edit{name.Replace(wire.AppendString(nil, joinEntryName(kind, server, name.Text())))}
	edits = keepOnly(edits, entry.Get("icons"), properIcon)
	if kind == approval.KindTool {
		edits = append(edits, uiEdits(entry, server)...)
	}
	return spliceValue(entry, edits)
}

// uiEdits are for the page of an MCP App that a tool brings: "hosts must check
// both formats".
func uiEdits(tool wire.Value, server string) []wire.Edit {
	var edits []wire.Edit
	meta := tool.Get("_meta")
	for _, uri := range []wire.Value{meta.At("ui", "resourceUri"), meta.Get("ui/resourceUri")} {
		if uri.Kind() == '"' {
			edits = append(edits, uri.Replace(wire.AppendString(nil, joinedURI(server, uri.Text()))))
		}
	}
	return edits
}

// spliceValue applies edits to one value of a larger text.
func spliceValue(entry wire.Value, edits []wire.Edit) []byte {
	start, _ := entry.Span()
	for i := range edits {
		edits[i].Start -= start
		edits[i].End -= start
	}
	return wire.Splice(entry.Raw(), edits...)
}

// joinResult gives the resources and tasks that a result names the form in which
// clients know them where servers are joined.
func joinResult(ex *exchange, result wire.Value) []wire.Edit {
	edits := joinContent(result, ex.server.id)
	switch ex.msg.Method {
	case wire.MethodTasksGet, wire.MethodTasksCancel, wire.MethodTasksUpdate:
		edits = append(edits, joinText(result.Get("taskId"), ex.server.id)...)
		edits = append(edits, joinContent(result.Get("result"), ex.server.id)...) // 2026-07-28: what the task came to
	default:
		if result.Get("resultType").Text() == "task" { // 2026-07-28
			edits = append(edits, joinText(result.Get("taskId"), ex.server.id)...)
		}
		edits = append(edits, joinText(result.At("task", "taskId"), ex.server.id)...) // 2025-11-25
	}
	return append(edits, relatedTask(result, func(id string) string { return joinedURI(ex.server.id, id) })...)
}

// joinContent finds resources: embedded ones, links, and what resources/read and
// prompts/get return.
func joinContent(result wire.Value, server string) []wire.Edit {
	var edits []wire.Edit
	block := func(v wire.Value) {
		if v.Get("type").Text() == "resource_link" {
			edits = append(edits, joinText(v.Get("uri"), server)...)
		}
		edits = append(edits, joinText(v.At("resource", "uri"), server)...)
	}
	for content := range result.Get("content").Items() {
		block(content)
	}
	for content := range result.Get("contents").Items() {
		edits = append(edits, joinText(content.Get("uri"), server)...)
	}
	for message := range result.Get("messages").Items() {
		block(message.Get("content"))
	}
	return edits
}

// joinText puts the server before a URI or task id, if there is one.
func joinText(v wire.Value, server string) []wire.Edit {
	if v.Kind() != '"' {
		return nil
	}
	return []wire.Edit{v.Replace(wire.AppendString(nil, joinedURI(server, v.Text())))}
}

// fitTasks refuses requests for tasks where client and server do not both have
// them: the tasks of 2025-11-25 and those of the extension are two protocols.
func (ex *exchange) fitTasks() error {
	if ex.meta.name != "taskId" {
		return nil
	}
	has := ex.server.capabilities().Get("tasks")
	if ex.modern {
		has = ex.server.capabilities().At("extensions", tasksExtension)
	}
	if ex.crosses() || ex.peer.Mount == "" && !has.Exists() {
		return decision.Refuse(decision.Unsupported, "%s has no tasks that this client understands", ex.server.id)
	}
	return nil
}

// metaRelatedTask says in 2025-11-25 which task a message belongs to.
const metaRelatedTask = "io.modelcontextprotocol/related-task"

func relatedTask(v wire.Value, to func(id string) string) []wire.Edit {
	id := v.At("_meta", metaRelatedTask, "taskId")
	if id.Kind() != '"' {
		return nil
	}
	return []wire.Edit{id.Replace(wire.AppendString(nil, to(id.Text())))}
}

// fitNotification gives what a server sends by itself the form in which clients know
// its resources and tasks.
func (g *Gateway) fitNotification(ex *exchange) error {
	if ex.msg.Method == wire.NotifyCancelled && ex.session != nil {
		return ex.session.fitCancelled(ex)
	}
	if ex.peer.Mount != "" {
		return nil
	}
	edits := relatedTask(ex.msg.Params, func(id string) string { return joinedURI(ex.server.id, id) })
	switch ex.msg.Method {
	case wire.NotifyResourceUpdated:
		edits = append(edits, joinText(ex.msg.Params.Get("uri"), ex.server.id)...)
	case wire.NotifyTaskStatus, wire.NotifyTask:
		edits = append(edits, joinText(ex.msg.Params.Get("taskId"), ex.server.id)...)
	}
	if len(edits) == 0 {
		return nil
	}
	return replaceMessage(&ex.out, edits)
}
