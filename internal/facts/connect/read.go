package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"gatehouse/internal/check"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// asking is a conversation with one server.
type asking struct {
	conn   upstream.Conn
	modern bool
	ids    int
	bytes  int
}

var clientInfo = []byte(`{"name":"gatehouse","version":"scan"}`)

// read asks a server for everything that it says of itself.
func read(ctx context.Context, conn upstream.Conn) (Definition, error) {
	a := &asking{conn: conn}
	about, err := a.greet(ctx)
	if err != nil {
		return Definition{}, err
	}
	var d Definition
	if text := about.Get("instructions"); text.Exists() {
		d.Others = append(d.Others, check.Item{Kind: "instructions", Definition: slices.Clone(text.Raw())})
	}
	capabilities := about.Get("capabilities")
	for _, list := range []struct{ method, member, capability, kind string }{
		{wire.MethodToolsList, "tools", "tools", "tool"},
		{wire.MethodPromptsList, "prompts", "prompts", "prompt"},
		{wire.MethodResourcesList, "resources", "resources", "resource"},
		{wire.MethodTemplatesList, "resourceTemplates", "resources", "template"},
	} {
		if !capabilities.Get(list.capability).Exists() {
			continue
		}
		if err := a.list(ctx, list.method, list.member, func(entry wire.Value) error { return d.add(list.kind, entry) }); err != nil {
			if list.kind == "template" && errors.Is(err, errRefused) {
				continue // many servers have resources and do not know this method
			}
			return Definition{}, err
		}
	}
	return d, nil
}

func (d *Definition) add(kind string, entry wire.Value) error {
	if len(d.Tools)+len(d.Others) >= maxItems {
		return fmt.Errorf("it lists more than %d definitions", maxItems)
	}
	raw := slices.Clone(entry.Raw())
	if kind != "tool" {
		d.Others = append(d.Others, check.Item{Kind: kind, Name: entry.Get("name").Text(), Definition: raw})
		return nil
	}
	tool, err := check.ParseTool(raw)
	if err != nil {
		return err
	}
	d.Tools = append(d.Tools, tool)
	return nil
}

// errRefused says that a server answered with an error.
var errRefused = errors.New("it refused")

// greet begins a session. A server that knows none is asked as the revision without
// sessions has it.
func (a *asking) greet(ctx context.Context) (wire.Value, error) {
	params := fmt.Appendf(nil, `{"protocolVersion":%q,"capabilities":{},"clientInfo":%s}`, wire.LegacyVersions[len(wire.LegacyVersions)-1], clientInfo)
	about, err := a.call(ctx, wire.MethodInitialize, params)
	if err == nil {
		return about, a.conn.Send(ctx, wire.NewNotification(wire.NotifyInitialized, nil))
	}
	if !errors.Is(err, errRefused) {
		return wire.Value{}, err
	}
	a.modern = true
	about, modernErr := a.call(ctx, wire.MethodDiscover, []byte(`{}`))
	if modernErr != nil {
		return wire.Value{}, err
	}
	return about, nil
}

// list reads all pages of a list.
func (a *asking) list(ctx context.Context, method, member string, each func(wire.Value) error) error {
	cursor := wire.Value{}
	for range maxPages {
		params := []byte(`{}`)
		if cursor.Exists() {
			params = fmt.Appendf(nil, `{"cursor":%s}`, cursor.Raw())
		}
		result, err := a.call(ctx, method, params)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		for entry := range result.Get(member).Items() {
			if err := each(entry); err != nil {
				return err
			}
		}
		if cursor = result.Get("nextCursor"); !cursor.Exists() || cursor.Text() == "" {
			return nil
		}
	}
	return fmt.Errorf("%s: more than %d pages", method, maxPages)
}

func (a *asking) call(ctx context.Context, method string, params []byte) (wire.Value, error) {
	a.ids++
	header := http.Header(nil)
	if a.modern {
		doc, err := wire.Scan(params, wire.Limits{})
		if err != nil {
			return wire.Value{}, err
		}
		meta := fmt.Appendf(nil, `{%q:%q,%q:{},%q:%s}`, wire.MetaVersion, wire.ModernVersion, wire.MetaCapabilities, wire.MetaClientInfo, clientInfo)
		params = wire.Splice(params, doc.Root.Set("_meta", meta))
		header = http.Header{"Mcp-Protocol-Version": {wire.ModernVersion}, "Mcp-Method": {method}}
	}
	m, err := wire.Parse(wire.NewRequest(wire.ID(strconv.Itoa(a.ids)), method, params), wire.Limits{})
	if err != nil {
		return wire.Value{}, err
	}
	answer, err := a.conn.Call(ctx, upstream.Request{Message: m, Header: header})
	if err != nil {
		return wire.Value{}, err
	}
	if a.bytes += len(answer.Message.Raw); a.bytes > maxTotal {
		return wire.Value{}, fmt.Errorf("it says more than %d bytes", maxTotal)
	}
	if !answer.Message.Result.Exists() {
		return wire.Value{}, fmt.Errorf("%w %s", errRefused, method)
	}
	return answer.Message.Result, nil
}
