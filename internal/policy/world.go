package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go/types"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
)

// world is what one request is evaluated in. What few policies ask for, such as the
// arguments, is made when it is asked for.
type world struct {
	engine   *Engine
	request  *Request
	subject  *subject
	thing    *thing
	action   *action
	question types.Request

	arguments *arguments
	err       error // what an evaluation cannot see: the arguments could not be read
	few       [fewRules]*rule
}

// Get finds an entity, for the evaluator.
func (w *world) Get(uid types.EntityUID) (types.Entity, bool) {
	switch uid.Type {
	case typeUser, typeAgent:
		if uid == w.subject.entity.UID {
			return w.subject.entity, true
		}
	case typeTeam, typeClient:
		return types.Entity{UID: uid}, true
	case typeAction:
		entity, found := words().entities[uid]
		return entity, found
	case typeTime:
		return w.engine.clock(w.request.Time), true
	case typeArguments, typeNumbers, typeDecimals, typeFlags, typeLists:
		return w.argument(uid), true
	case typeGateway:
		return gatewayThing.entity, uid == gatewayThing.entity.UID
	case typeServer:
		if s, found := w.engine.servers[string(uid.ID)]; found {
			return s.entity, true
		}
	}
	if uid == w.thing.entity.UID {
		return w.thing.entity, true
	}
	return types.Entity{}, false
}

// subject is a principal as policies see it.
type subject struct {
	principal *identity.Principal
	entity    types.Entity
	keys      []int32 // of the index
	context   atomicContext
	reached   cache[use, *rule] // a policy that permits some of the use, or nil
}

func newSubject(p *identity.Principal, ix *index) (*subject, error) {
	var t types.EntityType
	switch p.Kind {
	case identity.User, identity.Local:
		t = typeUser
	case identity.Agent:
		t = typeAgent
	default:
		return nil, fmt.Errorf("the principal is of no known kind: %q", p.Kind)
	}
	if p.ID == "" {
		return nil, fmt.Errorf("the principal has no id")
	}
	parents := make([]types.EntityUID, 0, len(p.Teams)+1)
	for _, team := range p.Teams {
		parents = append(parents, types.NewEntityUID(typeTeam, types.String(team)))
	}
	if p.Client != "" {
		parents = append(parents, types.NewEntityUID(typeClient, types.String(p.Client)))
	}
	uid := types.NewEntityUID(t, types.String(p.ID))
	s := &subject{principal: p, entity: types.Entity{
		UID:     uid,
		Parents: types.NewEntityUIDSet(parents...),
		Attributes: types.NewRecord(types.RecordMap{
			"name": types.String(p.Name), "teams": texts(p.Teams),
		}),
	}}
	s.keys = ix.principals.keysOf(uid, parents)
	return s, nil
}

func texts(list []string) types.Set {
	values := make([]types.Value, len(list))
	for i, text := range list {
		values[i] = types.String(text)
	}
	return types.NewSet(values...)
}

// thing is a resource as policies see it.
type thing struct {
	entity types.Entity
	kind   uint16
	server string
	keys   []int32
}

// thingKey is what makes two resources different ones.
type thingKey struct {
	kind, server, name string
	claims             Claims
}

// teamLabel begins the labels that give something to a team.
const teamLabel = "team:"

// gatewayID is the one entity of its type.
const gatewayID = "gatehouse"

var gatewayThing = func() *thing {
	uid := types.NewEntityUID(typeGateway, gatewayID)
	return &thing{entity: types.Entity{UID: uid, Attributes: types.NewRecord(attributes(gatewayID, "", nil, ""))}, kind: typeBits[typeGateway]}
}()

func attributes(name, server string, labels []string, environment string) types.RecordMap {
	var teams []string
	for _, label := range labels {
		if team, ok := strings.CutPrefix(label, teamLabel); ok {
			teams = append(teams, team)
		}
	}
	return types.RecordMap{
		"name": types.String(name), "server": types.String(server), "labels": texts(labels), "teams": texts(teams),
		"environment": types.String(environment), "approved": types.True,
	}
}

func newServer(s *config.Server) *thing {
	uid := types.NewEntityUID(typeServer, types.String(s.ID))
	return &thing{kind: typeBits[typeServer], server: s.ID, entity: types.Entity{
		UID: uid, Parents: types.NewEntityUIDSet(gatewayThing.entity.UID),
		Attributes: types.NewRecord(attributes(s.ID, s.ID, s.Labels, s.Environment)),
	}}
}

// thingUID is the entity of a resource: what it is by itself, and on its server.
func thingUID(kind, server, name string) types.EntityUID {
	return types.NewEntityUID(kindTypes[kind], types.String(server+"/"+name))
}

func newThing(k thingKey, s config.Server, ix *index) *thing {
	uid := thingUID(k.kind, k.server, k.name)
	parent := types.NewEntityUID(typeServer, types.String(k.server))
	labels := s.Labels
	if k.kind == KindTool {
		labels = s.LabelsOf(k.name)
	}
	record := attributes(k.name, k.server, labels, s.Environment)
	if k.kind == KindTool {
		record["claims"] = k.claims.record()
	}
	return &thing{
		kind: typeBits[uid.Type], server: k.server,
		entity: types.Entity{UID: uid, Parents: types.NewEntityUIDSet(parent), Attributes: types.NewRecord(record)},
		keys:   ix.resources.keysOf(uid, []types.EntityUID{parent, gatewayThing.entity.UID}),
	}
}

func (c Claims) record() types.Record {
	m := types.RecordMap{}
	for name, claim := range map[types.String]Claim{"readOnly": c.ReadOnly, "destructive": c.Destructive, "idempotent": c.Idempotent, "openWorld": c.OpenWorld} {
		if claim != Unsaid {
			m[name] = types.Boolean(claim == Yes)
		}
	}
	return types.NewRecord(m)
}

// Entities of which there is one in each world.
const (
	typeTime      types.EntityType = "Time"
	typeArguments types.EntityType = "Arguments"
	typeNumbers   types.EntityType = "Numbers"
	typeDecimals  types.EntityType = "Decimals"
	typeFlags     types.EntityType = "Flags"
	typeLists     types.EntityType = "Lists"
)

var (
	timeUID      = types.NewEntityUID(typeTime, "now")
	argumentsUID = types.NewEntityUID(typeArguments, "call")
	numbersUID   = types.NewEntityUID(typeNumbers, "call")
	decimalsUID  = types.NewEntityUID(typeDecimals, "call")
	flagsUID     = types.NewEntityUID(typeFlags, "call")
	listsUID     = types.NewEntityUID(typeLists, "call")
)

// contextOf is the record of what a request says besides principal, action and
// resource. It is the same for most requests of a principal in a row, and then it
// is made once.
func (s *subject) contextOf(r *Request) (types.Record, error) {
	if last := s.context.Load(); last != nil && last.fits(r) {
		return last.record, nil
	}
	score, err := scoreOf(r.Score)
	if err != nil {
		return types.Record{}, err
	}
	p := s.principal
	m := types.RecordMap{
		"arguments": argumentsUID, "time": timeUID, "clientName": types.String(r.ClientName),
		"conversation": texts(r.Conversation), "issuer": types.String(p.Issuer), "means": types.String(p.Means),
		"scopes": texts(p.Scopes), "score": score,
	}
	if r.Address.IsValid() {
		address, err := types.ParseIPAddr(r.Address.Unmap().WithZone("").String())
		if err != nil {
			return types.Record{}, fmt.Errorf("the address of the peer: %w", err)
		}
		m["address"] = address
	}
	made := &contextEntry{r.ClientName, r.Address, r.Score, slices.Clone(r.Conversation), types.NewRecord(m)}
	s.context.Store(made)
	return made.record, nil
}

// scoreOf makes a score a decimal of four places.
func scoreOf(score float64) (types.Decimal, error) {
	if !(score >= 0 && score <= 1) {
		return types.Decimal{}, fmt.Errorf("a score of %v is not between 0 and 1", score)
	}
	return types.NewDecimal(int64(score*1e4+0.5), -4)
}

// clock is the time as policies see it, made once a minute.
func (e *Engine) clock(t time.Time) types.Entity {
	minute := t.Unix() / 60
	if last := e.minute.Load(); last != nil && last.minute == minute {
		return last.entity
	}
	local := t.In(e.zone)
	day := int64(local.Weekday()+6)%7 + 1 // Monday is 1
	made := &minuteEntry{minute, types.Entity{UID: timeUID, Attributes: types.NewRecord(types.RecordMap{
		"date": types.String(local.Format(time.DateOnly)), "day": types.Long(day), "weekday": types.String(local.Weekday().String()),
		"hour": types.Long(local.Hour()), "minute": types.Long(local.Minute()),
	})}}
	e.minute.Store(made)
	return made.entity
}

type minuteEntry struct {
	minute int64
	entity types.Entity
}
