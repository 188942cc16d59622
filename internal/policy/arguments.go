package policy

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"

	"gatehouse/internal/wire"
)

const (
	// maxArguments bounds the values of one call that policies look at. A call has
	// few arguments; one with more is denied where a policy asks for arguments,
	// because cutting them off could hide what a forbid is about.
	maxArguments = 4096
	// maxNumber bounds a number in characters. Longer ones are neither whole numbers
	// of 64 bits nor decimals, and big numbers with exponents cost memory.
	maxNumber = 40
)

// arguments are the arguments of a call, by kind of value, each by its dotted name.
type arguments struct {
	texts, numbers, decimals, flags types.RecordMap
	lists                           map[string][]string
	unread                          []string
	count                           int
	err                             error
	entities                        map[types.EntityType]types.Entity // as they were asked for
}

// argument is one of the entities that stand for the arguments.
func (w *world) argument(uid types.EntityUID) types.Entity {
	if w.arguments == nil {
		w.arguments = &arguments{entities: map[types.EntityType]types.Entity{}}
		w.arguments.err = w.arguments.read(w.request.Arguments)
	}
	a := w.arguments
	entity, made := a.entities[uid.Type]
	if !made {
		entity = a.entity(uid, w.request.Facts)
		a.entities[uid.Type] = entity
	}
	w.err = a.err
	return entity
}

func (a *arguments) entity(uid types.EntityUID, facts *Facts) types.Entity {
	entity := types.Entity{UID: uid}
	switch uid.Type {
	case typeArguments:
		entity.Tags = types.NewRecord(a.texts)
		entity.Attributes = a.attributes(facts)
	case typeNumbers:
		entity.Tags = types.NewRecord(a.numbers)
	case typeDecimals:
		entity.Tags = types.NewRecord(a.decimals)
	case typeFlags:
		entity.Tags = types.NewRecord(a.flags)
	case typeLists:
		m := types.RecordMap{}
		for name, list := range a.lists {
			m[types.String(name)] = texts(list)
		}
		entity.Tags = types.NewRecord(m)
	}
	return entity
}

// plainArguments are the attributes where nothing is left over and nothing was
// understood.
var plainArguments = types.NewRecord((&arguments{}).kinds())

// kinds are the attributes that are always there.
func (a *arguments) kinds() types.RecordMap {
	return types.RecordMap{
		"numbers": numbersUID, "decimals": decimalsUID, "flags": flagsUID, "lists": listsUID, "unread": texts(a.unread),
	}
}

func (a *arguments) attributes(f *Facts) types.Record {
	if f == nil && len(a.unread) == 0 {
		return plainArguments
	}
	m := a.kinds()
	if f == nil {
		return types.NewRecord(m)
	}
	for name, list := range map[types.String][]string{"paths": f.Paths, "hosts": f.Hosts, "tables": f.Tables, "statements": f.Statements, "recipients": f.Recipients} {
		if list != nil {
			m[name] = texts(list)
		}
	}
	if f.Amount != "" {
		amount, err := types.ParseDecimal(f.Amount)
		if err != nil {
			a.err = fmt.Errorf("the amount that was understood is no decimal: %w", err)
		}
		m["amount"] = amount
	}
	return types.NewRecord(m)
}

// read takes an object apart. Bytes that the scanner refuses were refused long
// before.
func (a *arguments) read(v wire.Value) error {
	switch v.Kind() {
	case 0, 'n':
		return nil
	case '{':
		return a.object("", v)
	}
	return fmt.Errorf("the arguments are not an object")
}

func (a *arguments) object(prefix string, v wire.Value) error {
	for key, member := range v.Members() {
		if err := a.value(prefix+escaped.Replace(key), member); err != nil {
			return err
		}
	}
	return nil
}

// escaped keeps a dot in a name apart from the dot between two names: otherwise
// {"a":{"b":1}} and {"a.b":2} would be the same to a policy.
var escaped = strings.NewReplacer("%", "%25", ".", "%2E")

func (a *arguments) value(name string, v wire.Value) error {
	if a.count++; a.count > maxArguments {
		return fmt.Errorf("the call has over %d arguments", maxArguments)
	}
	key := types.String(name)
	switch v.Kind() {
	case '{':
		return a.object(name+".", v)
	case '[':
		a.list(name)
		for item := range v.Items() {
			if err := a.item(name, item); err != nil {
				return err
			}
		}
	case '"':
		set(&a.texts, key, types.String(v.Text()))
	case 't', 'f':
		set(&a.flags, key, types.Boolean(v.Kind() == 't'))
	case 'n':
		a.unread = append(a.unread, name)
	default:
		a.number(name, string(v.Raw()))
	}
	return nil
}

// item adds a value within a list. What stands in objects there gets the name of
// the list and its own, so that edits.path are the paths of all edits.
func (a *arguments) item(name string, v wire.Value) error {
	if a.count++; a.count > maxArguments {
		return fmt.Errorf("the call has over %d arguments", maxArguments)
	}
	switch v.Kind() {
	case '{':
		for key, member := range v.Members() {
			if err := a.item(name+"."+escaped.Replace(key), member); err != nil {
				return err
			}
		}
	case '[':
		for inner := range v.Items() {
			if err := a.item(name, inner); err != nil {
				return err
			}
		}
	case '"':
		a.list(name, v.Text())
	case 'n':
		a.unread = append(a.unread, name)
	default:
		a.list(name, string(v.Raw()))
	}
	return nil
}

func set(m *types.RecordMap, key types.String, v types.Value) {
	if *m == nil {
		*m = types.RecordMap{}
	}
	(*m)[key] = v
}

// list adds texts to a list, which is there even if it has none.
func (a *arguments) list(name string, texts ...string) {
	if a.lists == nil {
		a.lists = map[string][]string{}
	}
	a.lists[name] = append(a.lists[name], texts...)
}

// number keeps a number in all forms that hold it exactly.
func (a *arguments) number(name, text string) {
	key := types.String(name)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil { // nearly all numbers
		set(&a.numbers, key, types.Long(n))
		if d, err := types.NewDecimalFromInt(n); err == nil {
			set(&a.decimals, key, d)
		}
		return
	}
	value, ok := exact(text)
	if !ok {
		a.unread = append(a.unread, name)
		return
	}
	known := false
	if value.IsInt() && value.Num().IsInt64() {
		set(&a.numbers, key, types.Long(value.Num().Int64()))
		known = true
	}
	tenThousandths := new(big.Rat).Mul(value, big.NewRat(1e4, 1))
	if tenThousandths.IsInt() && tenThousandths.Num().IsInt64() {
		if d, err := types.NewDecimal(tenThousandths.Num().Int64(), -4); err == nil {
			set(&a.decimals, key, d)
			known = true
		}
	}
	if !known {
		a.unread = append(a.unread, name)
	}
}

// exact reads a JSON number without rounding; false if it is too long or too large
// for any kind of number here.
func exact(text string) (*big.Rat, bool) {
	if len(text) > maxNumber {
		return nil, false
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		exponent := strings.TrimLeft(strings.TrimLeft(text[at+1:], "+-"), "0")
		if len(exponent) > 2 {
			return nil, false // beyond 10^±99
		}
	}
	return new(big.Rat).SetString(text)
}
