package policy

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"

	"gatehouse/internal/config"
)

// reachedBy finds a policy by which the principal may use something of the server from
// which the action follows, or, where the world is about the gateway, of any server. Nobody is told of a server of
// which no call would get anything: what of a condition depends on the principal and on
// the configuration has to hold. What depends on the call may hold some time.
func (w *world) reachedBy() *rule {
	use := use{w.thing.server, w.action.follows, w.action.kinds}
	by, _ := w.subject.reached.get(use, func() (*rule, error) { return w.engine.reaches(w.subject, use), nil })
	return by
}

// use is any of some actions on any of some kinds of things of a server, or, for "", of
// all servers.
type use struct {
	server  string
	actions uint64
	kinds   uint16
}

func (e *Engine) reaches(s *subject, u use) *rule {
	principal := typeBits[s.entity.UID.Type]
	places := [2]string{"", u.server}
	if u.server == "" {
		places[0] = everywhere
	}
	for _, p := range s.keys {
		for _, place := range places {
			for _, r := range e.index.reach[reachKey{p, place}] {
				if r.principal.fits(principal) && r.actions&u.actions != 0 && r.resource.mayBe(u.kinds) && e.couldUse(s, r, u.server) {
					return r
				}
			}
		}
	}
	return nil
}

// couldUse reports whether the condition of a policy may hold for something of a server,
// or, for "", of any server that the policy is about.
func (e *Engine) couldUse(s *subject, r *rule, server string) bool {
	if r.condition == nil {
		return true
	}
	if server == "" {
		server, _ = serverOf(r.resource.entity)
	}
	if server != "" {
		return e.couldUseAt(s, r, server)
	}
	for id := range e.settings {
		if e.couldUseAt(s, r, id) {
			return true
		}
	}
	return false
}

func (e *Engine) couldUseAt(s *subject, r *rule, server string) bool {
	settings, found := e.settings[server]
	if !found {
		return false
	}
	sets, all := labelSets(settings)
	if !all {
		return true
	}
	return slices.ContainsFunc(sets, func(labels []string) bool {
		w, err := e.something(s, settings, labels)
		return err == nil && r.formula.outcomes(w, ofContext|noUse)&canHold != 0
	})
}

// something stands for everything of a server that has these labels.
func (e *Engine) something(s *subject, settings config.Server, labels []string) (*world, error) {
	r := &Request{Principal: s.principal, Server: settings.ID, Kind: KindTool, Method: usedBy[KindTool]}
	uid := thingUID(KindTool, settings.ID, "")
	record := attributes("", settings.ID, labels, settings.Environment)
	record["claims"] = Claims{}.record()
	t := &thing{kind: typeBits[uid.Type], server: settings.ID, entity: types.Entity{UID: uid, Attributes: types.NewRecord(record)}}
	w := &world{engine: e, request: r, subject: s, thing: t, action: words().action(r.Method)}
	context, err := s.contextOf(r)
	if err != nil {
		return nil, err
	}
	w.question = types.Request{Principal: s.entity.UID, Action: w.action.uid, Resource: uid, Context: context}
	return w, nil
}

// maxOverlapping is how many patterns of tools are tried in every combination. With more
// of them, a server may be connected to by somebody who can use nothing of it.
const maxOverlapping = 6

// labelSets are the labels that things of a server can have, and whether these are all
// of them. Any of the patterns may fit the name of a tool at the same time; a name
// without a star is one tool, of which the labels are known.
func labelSets(s config.Server) (sets [][]string, all bool) {
	sets = [][]string{s.Labels} // also those of prompts and resources
	var single [][]string
	patterns := 0
	for _, l := range s.ToolLabels {
		if !strings.Contains(l.Pattern, "*") {
			single = append(single, s.LabelsOf(l.Pattern))
			continue
		}
		if patterns++; patterns > maxOverlapping {
			return nil, false
		}
		for _, labels := range slices.Clone(sets) {
			sets = append(sets, slices.Concat(labels, l.Labels))
		}
	}
	return append(sets, single...), true
}
