package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

func joinLocal(*Gateway, *exchange) route { return local }
func joinAll(*Gateway, *exchange) route   { return toAll }

// joinLists answers a list request with the lists of all servers, in the order of
// their ids. A server that cannot be reached or was not approved is left out; the
// record says so.
func (g *Gateway) joinLists(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	cursor := ex.msg.Params.Get("cursor")
	if cursor.Exists() && cursorForm.FindString(cursor.Text()) == "" {
		return upstream.Answer{}, foreignCursor()
	}
	if ex.msg.Method == wire.MethodTasksList {
		return g.joinTasks(ctx, ex)
	}
	if ex.msg.Method == wire.MethodToolsList && g.live.Load().progressive() {
		if cursor.Exists() {
			return upstream.Answer{}, foreignCursor() // there is one page
		}
		return listProgressive(ex)
	}
	joined, err := g.joinedList(ctx, ex, ex.msg.Method)
	if err != nil {
		return upstream.Answer{}, err
	}
	n := 0
	if cursor.Exists() {
		if n = joined.pageAt(cursor.Text()); n < 0 {
			return upstream.Answer{}, foreignCursor()
		}
	}
	m, err := joined.answers[n].Answering(ex.msg.ID)
	return upstream.Answer{Message: m, Status: http.StatusOK}, err
}

// fromEach asks all servers at once and says for each what came of it, in the order
// of their ids. take is called in goroutines of its own, never twice for a server.
func (g *Gateway) fromEach(ctx context.Context, ex *exchange, live *live, take func(context.Context, int, *server) (left int, err error)) error {
	notes := make([]string, len(live.order))
	each, stop := g.forEach(ctx)
	defer stop()
	var all sync.WaitGroup
	for i, s := range live.order {
		all.Go(func() {
			var left int
			if !ex.audience.reaches(s) {
				return
			}
			err := recovered(func() (err error) {
				if err = s.admitted(each); err == nil {
					left, err = take(each, i, s)
				}
				return err
			})
			switch {
			case err != nil:
				notes[i] = fmt.Sprintf("%s left out (%s)", s.id, decision.From(err).Reason)
			case left > 0:
				notes[i] = s.id + " " + withheld(left)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	ex.detail = strings.Join(slices.DeleteFunc(notes, func(note string) bool { return note == "" }), ", ")
	return nil
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

// answerHere answers what concerns no server, or all of them.
func (g *Gateway) answerHere(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	switch ex.msg.Method {
	case wire.MethodInitialize:
		if err := ex.session.introduce(ex.msg, g.live.Load()); err != nil {
			return upstream.Answer{}, err
		}
		result := wire.AppendString([]byte(`{"protocolVersion":`), legacyVersion(ex.msg))
		result = append(append(result, `,"capabilities":`...), g.capabilities(ctx, ex)...)
		result = append(append(result, `,"serverInfo":`...), g.serverInfo()...)
		return localAnswer(ex, append(result, '}'))
	case wire.MethodDiscover:
		result := append([]byte(`{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":`), supportedVersions()...)
		result = append(append(result, `,"capabilities":`...), g.capabilities(ctx, ex)...)
		result = append(append(result, `,"_meta":{"`+wire.MetaServerInfo+`":`...), g.serverInfo()...)
		return localAnswer(ex, append(result, `}}`...))
	case wire.MethodListen:
		return g.listen(ctx, ex)
	case wire.MethodSetLevel:
		return g.setLevels(ctx, ex)
	case wire.MethodToolsCall:
		return g.findToolsHere(ctx, ex)
	default: // ping
		return localAnswer(ex, []byte(`{}`))
	}
}

// ownLimits are for texts that were put together here from what was bounded when it
// came.
var ownLimits = wire.Limits{Bytes: 1 << 30, Items: 1 << 20, Strings: 1 << 28}

// reread reads a message that was put together here, so that what is sent has
// passed the strict scan in the form in which it is sent.
func reread(raw []byte) (*wire.Message, error) { return wire.Parse(raw, ownLimits) }

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
	m, err := wire.Parse(wire.NewResult(ex.msg.ID, result), ownLimits)
	return upstream.Answer{Message: m, Status: http.StatusOK}, err
}

// capabilities are what any admitted server offers. Servers that are not ready when
// a client asks are awaited for as long as starting one may take.
func (g *Gateway) capabilities(ctx context.Context, ex *exchange) []byte {
	each, stop := g.forEach(ctx)
	defer stop()
	order := g.live.Load().order
	offers := make([]wire.Value, len(order))
	var all sync.WaitGroup
	for i, s := range order {
		all.Go(func() {
			if ex.audience.reaches(s) && s.admitted(each) == nil {
				offers[i] = s.capabilities()
			}
		})
	}
	all.Wait()
	var out []wire.Change
	for _, c := range []struct{ name, value string }{
		{"completions", `{}`},
		{"logging", `{}`},
		{"prompts", `{"listChanged":true}`},
		{"resources", `{"listChanged":true,"subscribe":true}`},
		{"tools", `{"listChanged":true}`},
	} {
		if slices.ContainsFunc(offers, func(offer wire.Value) bool { return offer.Get(c.name).Exists() }) {
			out = append(out, wire.Change{Key: c.name, Raw: []byte(c.value)})
		}
	}
	if !ex.modern {
		out = append(out, wire.Change{Key: "tasks", Raw: joinedTasks(order, offers)})
	}
	return object(append(out, wire.Change{Key: "extensions", Raw: joinedExtensions(ex, order, offers)})...)
}

// joinedTasks is the capability for the tasks of 2025-11-25, nil if no server has
// them.
func joinedTasks(order []*server, offers []wire.Value) []byte {
	var found, list, cancel, call bool
	for i, offer := range offers {
		if tasks := offer.Get("tasks"); tasks.Exists() && order[i].speaks(false) {
			found = true
			list = list || tasks.Get("list").Exists()
			cancel = cancel || tasks.Get("cancel").Exists()
			call = call || tasks.At("requests", "tools", "call").Exists()
		}
	}
	if !found {
		return nil
	}
	present := func(on bool, raw string) []byte {
		if !on {
			return nil
		}
		return []byte(raw)
	}
	return object(wire.Change{Key: "cancel", Raw: present(cancel, `{}`)}, wire.Change{Key: "list", Raw: present(list, `{}`)},
		wire.Change{Key: "requests", Raw: present(call, `{"tools":{"call":{}}}`)})
}

// uiExtension is MCP Apps: tools that bring pages.
const uiExtension = "io.modelcontextprotocol/ui"

// joinedExtensions are those extensions of servers whose names and URIs are given
// their joined form here; nil if there are none. What the gateway does not know, it
// could not join.
func joinedExtensions(ex *exchange, order []*server, offers []wire.Value) []byte {
	var out []wire.Change
	for _, name := range []string{tasksExtension, uiExtension} {
		for i, offer := range offers {
			has := offer.At("extensions", name)
			if has.Kind() == '{' && (name == uiExtension || ex.modern && order[i].speaks(true)) {
				out = append(out, wire.Change{Key: name, Raw: has.Raw()})
				break
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return object(out...)
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
