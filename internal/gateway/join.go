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
			err := recovered(func() (err error) {
				if err = s.admitted(each, ex.modern); err == nil {
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
		version := ex.msg.Params.Get("protocolVersion").Text()
		if !slices.Contains(wire.LegacyVersions, version) {
			version = wire.LegacyVersions[len(wire.LegacyVersions)-1]
		}
		result := wire.AppendString([]byte(`{"protocolVersion":`), version)
		result = append(append(result, `,"capabilities":`...), g.capabilities(ctx, ex)...)
		result = append(append(result, `,"serverInfo":`...), g.serverInfo()...)
		return localAnswer(ex, append(result, '}'))
	case wire.MethodDiscover:
		result := append([]byte(`{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["`), wire.ModernVersion...)
		result = append(append(result, `"],"capabilities":`...), g.capabilities(ctx, ex)...)
		result = append(append(result, `,"_meta":{"`+wire.MetaServerInfo+`":`...), g.serverInfo()...)
		return localAnswer(ex, append(result, `}}`...))
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

func localAnswer(ex *exchange, result []byte) (upstream.Answer, error) {
	m, err := wire.Parse(wire.NewResult(ex.msg.ID, result), ownLimits)
	return upstream.Answer{Message: m, Status: http.StatusOK}, err
}

// capabilities are what any admitted server of the client's era offers. Servers
// that are not ready when a client asks are awaited for as long as starting one
// may take.
func (g *Gateway) capabilities(ctx context.Context, ex *exchange) []byte {
	offered := map[string]bool{}
	each, stop := g.forEach(ctx)
	defer stop()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, s := range g.live.Load().order {
		all.Go(func() {
			if s.admitted(each, ex.modern) != nil {
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
	for _, c := range []struct{ name, legacy, modern string }{
		{"completions", `{}`, `{}`},
		{"logging", `{}`, `{}`},
		{"prompts", `{"listChanged":true}`, `{}`},
		{"resources", `{"listChanged":true,"subscribe":true}`, `{}`},
		{"tools", `{"listChanged":true}`, `{}`},
	} {
		value := c.legacy
		if ex.modern {
			value = c.modern
		}
		if offered[c.name] {
			out = append(out, fmt.Sprintf("%q:%s", c.name, value))
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
	ex.session.mu.Lock()
	ex.session.level = ex.msg.Params.Raw()
	ex.session.mu.Unlock()
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
