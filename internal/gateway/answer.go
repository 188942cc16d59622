package gateway

import (
	"bytes"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
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
	if ex.meta.list != "" {
		more, err := g.fitList(ex, result)
		if err != nil {
			return err
		}
		edits = append(edits, more...)
	}
	if ex.peer.Mount == "" {
		edits = append(edits, prefixURIs(result, ex.server.id)...)
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

// fitList keeps the entries of a list that are approved as they stand.
func (g *Gateway) fitList(ex *exchange, result wire.Value) ([]wire.Edit, error) {
	list := result.Get(ex.meta.list)
	if err := listForm(result, ex.meta.list); err != nil {
		return nil, err
	}
	kept, left, err := g.keep(ex.server, ex.meta.kind, list, "")
	if err != nil || left == 0 {
		return nil, err
	}
	ex.detail = withheld(left)
	edits := []wire.Edit{list.Replace(joinArray(kept))}
	if ex.modern && result.Get("cacheScope").Exists() {
		// The list is no longer what the server would show to everybody.
		edits = append(edits, result.Set("cacheScope", []byte(`"private"`)))
	}
	return edits, nil
}

// listForm refuses a list in a form in which some client would find another list
// than the one that is filtered here.
func listForm(result wire.Value, name string) error {
	if twin, found := result.Lookalike(name, "nextCursor"); found {
		return decision.Refuse(decision.UpstreamInvalid, "a member named %s", printable(twin))
	}
	if list := result.Get(name); list.Kind() != '[' {
		return decision.Refuse(decision.UpstreamInvalid, "%s is no list", name)
	}
	return nil
}

// keep is the entries of a list that may be shown, and how many may not. With a
// prefix their names and URIs are those of the joined mount.
func (g *Gateway) keep(s *server, kind approval.Kind, list wire.Value, prefix string) (kept [][]byte, left int, err error) {
	if kind == "" {
		return s.keepClean(list, prefix)
	}
	items := map[string]*item{}
	if err := s.collectList(kind, list, items); err != nil {
		return nil, 0, err
	}
	for entry := range list.Items() {
		found := items[itemName(kind, entry)]
		if !properEntry(kind, entry) || found == nil || s.approved(found) != nil {
			left++
			continue
		}
		kept = append(kept, prefixEntry(kind, entry, prefix))
	}
	return kept, left, nil
}

// keepClean is keep for resources. Those come and go with the data of a server, so
// none is approved by itself; each is judged by the rules instead.
func (s *server) keepClean(list wire.Value, prefix string) (kept [][]byte, left int, err error) {
	for entry := range list.Items() {
		if !properEntry("", entry) {
			left++
			continue
		}
		doc, err := wire.Scan(entry.Raw(), wire.Limits{})
		if err != nil {
			return nil, 0, err
		}
		live := s.live()
		out, err := live.inspector.Message(&doc, doc.Root, live.subject(s, rule.ResourceDefinition, entry.Get("uri").Text()))
		if err != nil {
			return nil, 0, err
		}
		if objections := s.live().objections(out.Findings); len(objections) > 0 {
			left++
			s.withheldResource(objections)
			continue
		}
		kept = append(kept, prefixEntry("", entry, prefix))
	}
	return kept, left, nil
}

// withheldResource records a resource that is not shown, once for each form of it.
func (s *server) withheldResource(findings []finding.Finding) {
	if s.firstTime(digest([]byte(findings[0].Name + " " + findings[0].Rule))) {
		s.gateway.note(&audit.Record{Kind: audit.Quarantined, Server: s.id, Target: findings[0].Name, Decision: audit.Deny,
			Reason: string(decision.RuleMatched), Rule: findings[0].Rule, Findings: asFindings(findings, "withheld")})
	}
}

func joinArray(entries [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(entries, []byte{','})...), ']')
}

// itemName is what a definition is known by.
func itemName(kind approval.Kind, entry wire.Value) string {
	member, _ := entryName(kind)
	return entry.Get(member).Text()
}
