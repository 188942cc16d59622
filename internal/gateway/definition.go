package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/schema"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// discoverTimeout is how long a process may take to answer server/discover, the
// start of npx or uvx included, before it is spoken to in the legacy way: "fall
// back to initialize on … any … timeout".
const discoverTimeout = 10 * time.Second

// readDefinition reads everything that the server says about itself, over a
// connection of its own.
func (s *server) readDefinition(ctx context.Context) ([]approval.Item, facts, error) {
	if s.config.Era != config.Legacy {
		items, found, err := s.readModern(ctx)
		if err != nil && s.config.Era == config.Modern {
			err = s.explain(nil, err)
		}
		if err == nil || s.config.Era == config.Modern || !errors.Is(err, errNotModern) {
			return items, found, err
		}
	}
	probe := newLink(s, s.gateway.probe())
	defer probe.close()
	// A process that said no to server/discover may be asked to initialize; one that
	// said yes may not ("duplicate initialize").
	s.shared.handOver(probe)
	answer, err := probe.introduce(ctx)
	if err != nil {
		return nil, facts{}, err
	}
	found := facts{legacy: true, capabilities: answer.Get("capabilities"), about: answer}
	items, err := probe.readItems(ctx, answer, found)
	return items, found, err
}

// errNotModern says that the server does not speak 2026-07-28.
var errNotModern = errors.New("the server does not speak 2026-07-28")

func (s *server) readModern(ctx context.Context) ([]approval.Item, facts, error) {
	l := s.shared
	answer, err := l.discover(ctx)
	if err != nil {
		return nil, facts{}, err
	}
	found := facts{capabilities: answer.Get("capabilities"), about: answer}
	for v := range answer.Get("supportedVersions").Items() {
		found.modern = found.modern || v.Text() == wire.ModernVersion
		found.legacy = found.legacy || slices.Contains(wire.LegacyVersions, v.Text()) && s.config.Era != config.Modern
	}
	if !found.modern {
		l.drop()
		return nil, facts{}, errNotModern
	}
	items, err := l.readItems(ctx, answer, found)
	return items, found, err
}

// discover asks a server for the revisions it speaks. What is not a proper answer
// means that it speaks none without sessions.
func (l *link) discover(ctx context.Context) (wire.Value, error) {
	ctx, stop := context.WithTimeout(ctx, discoverTimeout)
	defer stop()
	conn, err := l.ready(ctx)
	if err != nil {
		return wire.Value{}, err
	}
	for again := false; ; again = true {
		m, header, err := l.server.gateway.ownRequest(true, wire.MethodDiscover, []byte(`{}`))
		if err != nil {
			return wire.Value{}, err
		}
		answer, err := conn.Call(ctx, upstream.Request{Message: m, Header: header})
		if err != nil {
			l.drop()
			if decision.From(err).Reason == decision.UpstreamAuth {
				return wire.Value{}, l.server.explain(conn, err) // what it speaks is not known yet
			}
			return wire.Value{}, fmt.Errorf("%w: %w", errNotModern, err)
		}
		if answer.Message.Result.Exists() {
			return answer.Message.Result, nil
		}
		// "The client SHOULD select a mutually supported version from the list and
		// retry": some server that is not ready yet may refuse what it supports.
		if again || !supports(answer.Message.Error, wire.ModernVersion) {
			return wire.Value{}, errNotModern
		}
	}
}

// supports reports whether an UnsupportedProtocolVersionError lists a revision.
func supports(e wire.Value, version string) bool {
	for v := range e.At("data", "supported").Items() {
		if v.Text() == version {
			return true
		}
	}
	return false
}

// handOver gives the link's connection, and what comes over it, to another link,
// if it is one that can be used in another era: to HTTP every request is a new
// beginning.
func (l *link) handOver(heir *link) {
	conn := l.current()
	if _, process := conn.(*upstream.Process); !process {
		l.drop()
		return
	}
	l.mu.Lock()
	l.conn, l.heir = nil, heir
	l.mu.Unlock()
	heir.mu.Lock()
	heir.conn = conn
	heir.mu.Unlock()
}

// drop ends the connection of a link that may connect again.
func (l *link) drop() {
	if conn := l.current(); conn != nil {
		conn.Close()
	}
}

// introduce connects a link of the gateway's own to a legacy server.
func (l *link) introduce(ctx context.Context) (wire.Value, error) {
	l.connecting.Lock()
	defer l.connecting.Unlock()
	conn, err := l.current(), error(nil)
	if conn == nil {
		if conn, err = l.connect(); err != nil {
			return wire.Value{}, err
		}
	}
	answer, err := l.initialize(ctx, conn, l.session.params)
	if err != nil {
		return wire.Value{}, err
	}
	if !answer.Message.Result.Exists() {
		return wire.Value{}, decision.Refuse(decision.UpstreamInvalid, "initialize was answered by an error")
	}
	l.mu.Lock()
	l.initialized = true
	l.mu.Unlock()
	return answer.Message.Result, conn.Send(ctx, wire.NewNotification(wire.NotifyInitialized, nil))
}

func (l *link) readItems(ctx context.Context, answer wire.Value, found facts) ([]approval.Item, error) {
	var items []approval.Item
	instructions, err := instructionsOf(answer)
	if err != nil {
		return nil, err
	}
	if instructions.Exists() {
		items = append(items, approval.NewItem(approval.KindInstructions, "", instructions.Raw()))
	}
	for _, list := range []struct {
		kind       approval.Kind
		capability string
	}{{approval.KindTool, "tools"}, {approval.KindPrompt, "prompts"}, {approval.KindTemplate, "resources"}} {
		if !found.capabilities.Get(list.capability).Exists() {
			continue
		}
		err := l.pages(ctx, listMethod(list.kind), func(result wire.Value) error {
			entries, err := listIn(result, listMember(list.kind))
			if err != nil {
				return err
			}
			for entry := range entries.Items() {
				if !properEntry(list.kind, entry) {
					continue // it is shown to nobody
				}
				if len(items) >= l.server.limits().Tools {
					return decision.Refuse(decision.UpstreamTooLarge, "%s lists over %d definitions", l.server.id, l.server.limits().Tools)
				}
				items = append(items, approval.NewItem(list.kind, itemName(list.kind, entry), entry.Raw()))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return items, nil
}

func listMethod(k approval.Kind) string {
	switch k {
	case approval.KindTool:
		return wire.MethodToolsList
	case approval.KindPrompt:
		return wire.MethodPromptsList
	}
	return wire.MethodTemplatesList
}

func listMember(k approval.Kind) string { return methods[listMethod(k)].list }

// schemaOnce compiles a tool's input schema when it is first needed.
type schemaOnce struct {
	once   sync.Once
	schema *schema.Schema
	err    error
	input  wire.Value // as the definition has it
}

// withoutNulls is the arguments without the optional ones that are null. Many
// clients write null for what they leave out, and servers take it as that: "if the
// parameter value is null or not provided" (2026-07-28, custom headers).
func (i *item) withoutNulls(arguments wire.Value) wire.Value {
	var changes []wire.Change
	for name, value := range arguments.Members() {
		if value.Kind() == 'n' && !i.requires(name) {
			changes = append(changes, wire.Change{Key: name})
		}
	}
	if changes == nil {
		return arguments
	}
	doc, err := wire.Scan(arguments.Update(changes...).New, wire.Limits{})
	if err != nil {
		return arguments
	}
	return doc.Root
}

func (i *item) requires(name string) bool {
	doc, err := wire.Scan(i.Definition, wire.Limits{})
	if err != nil {
		return true // it was read before, so it can be
	}
	for required := range doc.Root.At("inputSchema", "required").Items() {
		if required.Text() == name {
			return true
		}
	}
	return false
}

func (i *item) inputSchema() (*schema.Schema, error) {
	i.schema.once.Do(func() {
		doc, err := wire.Scan(i.Definition, wire.Limits{})
		if err != nil {
			i.schema.err = err
			return
		}
		input := doc.Root.Get("inputSchema")
		i.schema.input = input
		raw := input.Raw()
		if !input.Exists() {
			raw = []byte(`{"type":"object"}`)
		}
		i.schema.schema, i.schema.err = schema.Compile(raw)
	})
	return i.schema.schema, i.schema.err
}
