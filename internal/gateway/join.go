package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// Where servers are joined, names and URIs carry the configured id of their
// server: "aggregated tool collisions SHOULD be disambiguated by prefixing", and
// serverInfo, which a server chooses, is not to be used for that.
const (
	nameSeparator = "__" // tools and prompts: files__read_file
	uriSeparator  = "+"  // resources: files+file:///notes.txt, still a valid scheme
)

func joinLocal(*Gateway, *exchange) route { return local }
func joinAll(*Gateway, *exchange) route   { return toAll }

// joinByName resolves server__name.
func joinByName(g *Gateway, ex *exchange) route {
	return g.joinTo(ex, ex.msg.Params.Get(ex.meta.name), nameSeparator)
}

// joinByURI resolves server+uri.
func joinByURI(g *Gateway, ex *exchange) route {
	return g.joinTo(ex, ex.msg.Params.Get(ex.meta.name), uriSeparator)
}

// joinByRef resolves the prompt or resource template that a completion is for.
func joinByRef(g *Gateway, ex *exchange) route {
	kind, name := refOf(ex.msg)
	_, separator := entryName(kind)
	return g.joinTo(ex, name, separator)
}

// refOf is the definition that a completion is for.
func refOf(m *wire.Message) (approval.Kind, wire.Value) {
	ref := m.Params.Get("ref")
	if ref.Get("type").Text() == "ref/resource" {
		return approval.KindTemplate, ref.Get("uri")
	}
	return approval.KindPrompt, ref.Get("name")
}

// joinTo takes the server's id off a name and writes the rest into what is sent.
func (g *Gateway) joinTo(ex *exchange, name wire.Value, separator string) route {
	id, rest, found := strings.Cut(name.Text(), separator)
	s := g.live.Load().servers[id]
	if !found || s == nil || rest == "" {
		return 0
	}
	out := ex.msg
	if err := replaceMessage(&out, []wire.Edit{name.Replace(wire.AppendString(nil, rest))}); err != nil {
		return 0
	}
	ex.server, ex.target, ex.out = s, rest, out
	return toServer
}

// entryName is the member by which an entry of a list is known, and what stands
// between it and the id of its server in the joined mount. The kind "" is that of
// resources.
func entryName(kind approval.Kind) (member, separator string) {
	switch kind {
	case approval.KindTemplate:
		return "uriTemplate", uriSeparator
	case "":
		return "uri", uriSeparator
	}
	return "name", nameSeparator
}

// properEntry reports whether an entry has the one name that every reader finds.
func properEntry(kind approval.Kind, entry wire.Value) bool {
	member, _ := entryName(kind)
	_, twin := entry.Lookalike("name", "uri", "uriTemplate", "title", "description", "inputSchema", "outputSchema", "annotations", "icons")
	return !twin && entry.Get(member).Text() != "" && (kind != approval.KindTool || properMirrors(entry.Raw()))
}

// prefixEntry gives one proper entry of a list its name or URI in the joined mount.
func prefixEntry(kind approval.Kind, entry wire.Value, server string) []byte {
	if server == "" {
		return entry.Raw()
	}
	member, separator := entryName(kind)
	name := entry.Get(member)
	start, _ := entry.Span()
	edit := name.Replace(wire.AppendString(nil, server+separator+name.Text()))
	edit.Start -= start
	edit.End -= start
	return wire.Splice(entry.Raw(), edit)
}

// prefixURIs finds the resources that a result names: embedded ones, links, and
// what resources/read and prompts/get return.
func prefixURIs(result wire.Value, server string) []wire.Edit {
	var edits []wire.Edit
	add := func(v wire.Value) {
		if v.Kind() == '"' {
			edits = append(edits, v.Replace(wire.AppendString(nil, server+uriSeparator+v.Text())))
		}
	}
	block := func(v wire.Value) {
		if v.Get("type").Text() == "resource_link" {
			add(v.Get("uri"))
		}
		add(v.At("resource", "uri"))
	}
	for content := range result.Get("content").Items() {
		block(content)
	}
	for content := range result.Get("contents").Items() {
		add(content.Get("uri"))
	}
	for message := range result.Get("messages").Items() {
		block(message.Get("content"))
	}
	return edits
}

// fitNotification gives the URI in a notification its joined form.
func (g *Gateway) fitNotification(ex *exchange) error {
	if ex.msg.Method == wire.NotifyCancelled && ex.session != nil {
		return ex.session.fitCancelled(ex)
	}
	uri := ex.msg.Params.Get("uri")
	if ex.peer.Mount != "" || ex.msg.Method != wire.NotifyResourceUpdated || uri.Kind() != '"' {
		return nil
	}
	return replaceMessage(&ex.out, []wire.Edit{
		uri.Replace(wire.AppendString(nil, ex.server.id+uriSeparator+uri.Text())),
	})
}

// joinLists answers a list request with the lists of all servers, in the order of
// their ids. A server that cannot be reached or was not approved is left out; the
// record says so.
func (g *Gateway) joinLists(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	live := g.live.Load()
	type part struct {
		entries [][]byte
		note    string
	}
	parts := make([]part, len(live.order))
	each, stop := g.forEach(ctx)
	defer stop()
	var all sync.WaitGroup
	for i, s := range live.order {
		all.Go(func() {
			var entries [][]byte
			var left int
			err := recovered(func() (err error) {
				entries, left, err = g.listOf(each, ex, s)
				return err
			})
			parts[i].entries = entries
			switch {
			case err != nil:
				parts[i].note = fmt.Sprintf("%s left out (%s)", s.id, decision.From(err).Reason)
			case left > 0:
				parts[i].note = s.id + " " + withheld(left)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return upstream.Answer{}, cancelled(ctx)
	}
	var entries [][]byte
	var notes []string
	for _, p := range parts {
		entries = append(entries, p.entries...)
		if p.note != "" {
			notes = append(notes, p.note)
		}
	}
	ex.detail = strings.Join(notes, ", ")
	result := append(wire.AppendString([]byte{'{'}, ex.meta.list), ':')
	result = append(result, joinArray(entries)...)
	if ex.modern {
		// The joined list depends on what each server answered just now, so nobody
		// may keep it, and it belongs to this principal alone.
		result = append(result, `,"resultType":"complete","ttlMs":0,"cacheScope":"private"`...)
	}
	return localAnswer(ex, append(result, '}'))
}

// forEach bounds the wait for each of several servers, so that one that does not
// answer is left out and the others are not lost with it.
func (g *Gateway) forEach(ctx context.Context) (context.Context, context.CancelFunc) {
	most := g.live.Load().config.Limits.Timeout * 3 / 4 // the rest is for the answer
	return context.WithTimeoutCause(ctx, most, decision.Refuse(decision.UpstreamTimeout, "no answer within %s", most))
}

func withheld(n int) string {
	if n == 1 {
		return "1 entry withheld: not approved as it stands"
	}
	return fmt.Sprintf("%d entries withheld: not approved as they stand", n)
}

func (g *Gateway) listOf(ctx context.Context, ex *exchange, s *server) (entries [][]byte, left int, err error) {
	if err := s.admitted(ctx); err != nil {
		return nil, 0, err
	}
	l, release, err := s.linkFor(ex)
	if err != nil {
		return nil, 0, err
	}
	if release != nil {
		defer release()
	}
	err = l.pages(ctx, ex.msg.Method, func(result wire.Value) error {
		if err := listForm(result, ex.meta.list); err != nil {
			return err
		}
		kept, n, err := g.keep(s, ex.meta.kind, result.Get(ex.meta.list), s.id)
		if err != nil {
			return err
		}
		entries, left = append(entries, kept...), left+n
		if len(entries) > s.limits().Tools {
			return decision.Refuse(decision.UpstreamTooLarge, "over %d entries in %s", s.limits().Tools, ex.meta.list)
		}
		return nil
	})
	return entries, left, err
}

// answerHere answers what concerns no server, or all of them.
func (g *Gateway) answerHere(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	switch ex.msg.Method {
	case wire.MethodInitialize:
		if err := ex.session.introduce(ex.msg, g.live.Load()); err != nil {
			return upstream.Answer{}, err
		}
		result := wire.AppendString([]byte(`{"protocolVersion":`), legacyVersion(ex.msg))
		result = append(append(result, `,"capabilities":`...), g.capabilities(ctx)...)
		result = append(append(result, `,"serverInfo":`...), g.serverInfo()...)
		return localAnswer(ex, append(result, '}'))
	case wire.MethodDiscover:
		result := append([]byte(`{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":`), supportedVersions()...)
		result = append(append(result, `,"capabilities":`...), g.capabilities(ctx)...)
		result = append(append(result, `,"_meta":{"`+wire.MetaServerInfo+`":`...), g.serverInfo()...)
		return localAnswer(ex, append(result, `}}`...))
	case wire.MethodListen:
		return g.listen(ctx, ex)
	case wire.MethodSetLevel:
		return g.setLevels(ctx, ex)
	default: // ping
		return localAnswer(ex, []byte(`{}`))
	}
}

// legacyVersion is the revision in which initialize is answered: "if the server
// supports the requested protocol version, it MUST respond with the same version.
// Otherwise, … SHOULD be the latest".
func legacyVersion(m *wire.Message) string {
	if version := m.Params.Get("protocolVersion").Text(); slices.Contains(wire.LegacyVersions, version) {
		return version
	}
	return wire.LegacyVersions[len(wire.LegacyVersions)-1]
}

func localAnswer(ex *exchange, result []byte) (upstream.Answer, error) {
	m, err := wire.Parse(wire.NewResult(ex.msg.ID, result), wire.Limits{Bytes: 1 << 30, Items: 1 << 20})
	return upstream.Answer{Message: m, Status: http.StatusOK}, err
}

// capabilities are what any admitted server offers. Servers
// that are not ready when a client asks are awaited for as long as starting one
// may take.
func (g *Gateway) capabilities(ctx context.Context) []byte {
	offered := map[string]bool{}
	each, stop := g.forEach(ctx)
	defer stop()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, s := range g.live.Load().order {
		all.Go(func() {
			if s.admitted(each) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for name := range s.capabilities().Members() {
				offered[name] = true
			}
		})
	}
	all.Wait()
	var out []string
	for _, c := range []struct{ name, value string }{
		{"completions", `{}`},
		{"logging", `{}`},
		{"prompts", `{"listChanged":true}`},
		{"resources", `{"listChanged":true,"subscribe":true}`},
		{"tools", `{"listChanged":true}`},
	} {
		if offered[c.name] {
			out = append(out, fmt.Sprintf("%q:%s", c.name, c.value))
		}
	}
	return []byte("{" + strings.Join(out, ",") + "}")
}

func (g *Gateway) serverInfo() []byte {
	info := append([]byte(`{"name":"gatehouse","title":"Gatehouse","version":`), wire.AppendString(nil, g.version)...)
	return append(info, '}')
}

// setLevels passes the log level to the servers that are connected and keeps it
// for those that will be.
func (g *Gateway) setLevels(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	ex.session.keepLevel(ex.msg.Params.Raw())
	for _, l := range ex.session.openLinks() {
		if l.current() == nil || !l.server.capabilities().Get("logging").Exists() {
			continue
		}
		if _, err := l.call(ctx, ex.msg, nil, nil); err != nil {
			return upstream.Answer{}, err
		}
	}
	return localAnswer(ex, []byte(`{}`))
}
