package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
)

// index finds the policies whose scope fits a request without looking at the
// others. A policy lies under the pair of entities that its scope names, for its
// principal and its resource; a request looks under all pairs of what it is and
// what that is in.
type index struct {
	principals, resources interned
	buckets               map[[2]int32][]*rule
	// reach holds the policies by which a principal may use something of a server, if
	// their conditions hold: under "" those for whichever server, under everywhere all
	// of them.
	reach map[reachKey][]*rule
}

type reachKey struct {
	principal int32
	server    string
}

// everywhere is no id of a server.
const everywhere = "*"

// anyKey is the number of a scope without an entity.
const anyKey int32 = 0

// interned numbers the entities that scopes name, so that the others cost nothing.
type interned struct{ numbers map[scopeKey]int32 }

func (in *interned) add(s scope) int32 {
	if s.entity.IsZero() {
		return anyKey
	}
	if in.numbers == nil {
		in.numbers = map[scopeKey]int32{}
	}
	k := s.key()
	if n, found := in.numbers[k]; found {
		return n
	}
	n := int32(len(in.numbers)) + anyKey + 1
	in.numbers[k] = n
	return n
}

// keysOf are the numbers of all scopes that fit an entity with these ancestors.
func (in *interned) keysOf(uid types.EntityUID, ancestors []types.EntityUID) []int32 {
	keys := []int32{anyKey}
	for _, k := range []scopeKey{{true, uid}, {false, uid}} {
		if n, found := in.numbers[k]; found {
			keys = append(keys, n)
		}
	}
	for _, a := range ancestors {
		if n, found := in.numbers[scopeKey{false, a}]; found {
			keys = append(keys, n)
		}
	}
	return keys
}

func newIndex(rules []*rule, v *vocabulary) *index {
	ix := &index{buckets: map[[2]int32][]*rule{}, reach: map[reachKey][]*rule{}}
	for _, r := range rules {
		p := ix.principals.add(r.principal)
		at := [2]int32{p, ix.resources.add(r.resource)}
		ix.buckets[at] = append(ix.buckets[at], r)
		if server, usable := r.usableAt(v); usable {
			for _, at := range []reachKey{{p, server}, {p, everywhere}} {
				ix.reach[at] = append(ix.reach[at], r)
			}
		}
	}
	return ix
}

// usableAt is the server at which a policy permits to use something; "" is any.
func (r *rule) usableAt(v *vocabulary) (server string, usable bool) {
	if !r.permit || r.actions&v.use == 0 || r.resource.types != 0 && r.resource.types&(v.useKinds|typeBits[typeServer]) == 0 {
		return "", false
	}
	if r.resource.exact && r.resource.entity.Type == typeGateway {
		return "", false // nothing is used of the gateway itself
	}
	return serverOf(r.resource.entity)
}

// serverOf is the server of a resource; "" if it is not one server.
func serverOf(uid types.EntityUID) (server string, isResource bool) {
	switch uid.Type {
	case "", typeGateway:
		return "", true
	case typeServer:
		return string(uid.ID), true
	}
	return cutServer(string(uid.ID))
}

// cutServer takes the server off SERVER/NAME. An id has no slash.
func cutServer(id string) (server string, ok bool) {
	for i := range len(id) {
		if id[i] == '/' {
			return id[:i], true
		}
	}
	return "", false
}

// fits reports whether the scope is for entities of this type; the index has
// compared the entity itself.
func (s scope) fits(bit uint16) bool { return s.types == 0 || s.types&bit != 0 }

// mayBe reports whether something of these types can be in the scope.
func (s scope) mayBe(kinds uint16) bool {
	if s.types != 0 && s.types&(kinds|typeBits[typeServer]) == 0 {
		return false
	}
	switch s.entity.Type {
	case "", typeServer, typeGateway:
		return true
	}
	return typeBits[s.entity.Type]&kinds != 0
}

// candidates appends the policies whose scopes fit, in the order of the files.
func (ix *index) candidates(to []*rule, s *subject, t *thing, a *action) []*rule {
	principal := typeBits[s.entity.UID.Type]
	for _, p := range s.keys {
		for _, r := range t.keys {
			for _, candidate := range ix.buckets[[2]int32{p, r}] {
				if candidate.actions&a.bit != 0 && candidate.principal.fits(principal) && candidate.resource.fits(t.kind) {
					to = append(to, candidate)
				}
			}
		}
	}
	if len(to) > 1 {
		slices.SortFunc(to, func(a, b *rule) int { return a.number - b.number })
	}
	return to
}
