package gateway

import (
	"bytes"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// fitAnswer takes out of an answer what was not approved and, where servers are
// joined, gives names and URIs the form in which the client knows them.
func (g *Gateway) fitAnswer(ex *exchange) error {
	result := ex.answer.Result
	edits, err := g.fitInstructions(ex, result)
	if err != nil {
		return err
	}
	ex.ownTask(result)
	own, err := ex.ownTasks(result)
	if err != nil {
		return err
	}
	edits = append(edits, own...)
	if ex.modern && ex.audience != nil && result.Get("cacheScope").Exists() {
		// "private MUST NOT be shared": whoever may not ask for it must not get it from
		// a cache either, whatever the server says.
		edits = append(edits, result.Set("cacheScope", []byte(`"private"`)))
	}
	if ex.meta.list != "" {
		more, err := g.fitList(ex, result)
		if err != nil {
			return err
		}
		edits = append(edits, more...)
	}
	if ex.peer.Mount == "" {
		edits = append(edits, joinResult(ex, result)...)
	}
	if len(edits) == 0 {
		return nil
	}
	return replaceMessage(&ex.answer, edits)
}

// fitInstructions removes server instructions that differ from the approved ones.
// They go straight into the model's context.
func (g *Gateway) fitInstructions(ex *exchange, result wire.Value) ([]wire.Edit, error) {
	if ex.msg.Method != wire.MethodInitialize && ex.msg.Method != wire.MethodDiscover {
		return nil, nil
	}
	instructions, err := instructionsOf(result)
	if err != nil || !instructions.Exists() {
		return nil, err
	}
	found := approval.NewItem(approval.KindInstructions, "", instructions.Raw())
	if ex.server.approvedItem(found) == nil {
		return nil, nil
	}
	ex.detail = "instructions withheld: they differ from the approved ones"
	edit, _ := result.Remove("instructions")
	return []wire.Edit{edit}, nil
}

// instructionsOf finds the instructions where every client finds them.
func instructionsOf(result wire.Value) (wire.Value, error) {
	if twin, found := result.Lookalike("instructions"); found {
		return wire.Value{}, decision.Refuse(decision.UpstreamInvalid, "a member named %s", printable(twin))
	}
	return result.Get("instructions"), nil
}

// fitList keeps the entries of a list that may be shown. What is not changed keeps
// its bytes.
func (g *Gateway) fitList(ex *exchange, result wire.Value) ([]wire.Edit, error) {
	list, err := listIn(result, ex.meta.list)
	if err != nil {
		return nil, err
	}
	p, err := ex.server.page(ex.meta.kind, list)
	if err != nil {
		return nil, err
	}
	if most := ex.server.limits().Tools; ex.meta.kind != "" && len(p.entries) > most {
		return nil, decision.Refuse(decision.UpstreamTooLarge, "%s lists over %d definitions", ex.server.id, most)
	}
	v, err := ex.server.viewFor(ex.audience, p)
	if err != nil {
		return nil, err
	}
	var edits []wire.Edit
	if v.whole {
		ex.list, ex.listIn = list, ex.answer
	} else {
		edits = append(edits, list.Replace(v.list))
	}
	if v.left > 0 {
		ex.detail = withheld(v.left)
	}
	if !v.whole && ex.audience == nil && ex.modern && result.Get("cacheScope").Exists() {
		// The list is not what the server would show to everybody.
		edits = append(edits, result.Set("cacheScope", []byte(`"private"`)))
	}
	return edits, nil
}

// properEntry reports whether an entry has the one name that every reader finds.
func properEntry(kind approval.Kind, entry wire.Value) bool {
	_, twin := entry.Lookalike("name", "uri", "uriTemplate", "title", "description", "inputSchema", "outputSchema", "annotations", "icons", "_meta")
	return !twin && entry.Get(entryName(kind)).Text() != "" && (kind != approval.KindTool || properMirrors(entry.Raw()))
}

func joinArray(entries [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(entries, []byte{','})...), ']')
}

// itemName is what a definition is known by.
func itemName(kind approval.Kind, entry wire.Value) string {
	return entry.Get(entryName(kind)).Text()
}
