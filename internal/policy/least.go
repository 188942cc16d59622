package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"

	"gatehouse/internal/identity"
)

// Least writes the smallest policies that allow what was used.
type Least struct {
	used  map[usedAt]map[types.EntityUID]bool
	Calls int
}

// usedAt is what one policy is for.
type usedAt struct{ principal, action, server string }

// Add notes one exchange that was let through. What follows from being permitted to
// use something needs no policy.
func (l *Least) Add(past Past) {
	r := past.Request
	a := words().action(r.Method)
	if !past.Allowed || a.bit&words().use == 0 {
		return
	}
	l.Calls++
	if l.used == nil {
		l.used = map[usedAt]map[types.EntityUID]bool{}
	}
	at := usedAt{entityOf(r.Principal), a.uid.String(), r.Server}
	if l.used[at] == nil {
		l.used[at] = map[types.EntityUID]bool{}
	}
	l.used[at][resourceOf(r)] = true
}

func entityOf(p *identity.Principal) string {
	t := typeUser
	if p.Kind == identity.Agent {
		t = typeAgent
	}
	return types.NewEntityUID(t, types.String(p.ID)).String()
}

func resourceOf(r *Request) types.EntityUID {
	if r.Kind == KindServer {
		return types.NewEntityUID(typeServer, types.String(r.Server))
	}
	return thingUID(r.Kind, r.Server, r.Name)
}

// Text is the policies, sorted, so that the same log gives the same text.
func (l *Least) Text() []byte {
	var out strings.Builder
	at := slices.SortedFunc(maps.Keys(l.used), func(a, b usedAt) int {
		return strings.Compare(a.principal+"\x00"+a.server+"\x00"+a.action, b.principal+"\x00"+b.server+"\x00"+b.action)
	})
	last := ""
	for _, k := range at {
		if k.principal != last {
			fmt.Fprintf(&out, "\n// %s\n", k.principal)
			last = k.principal
		}
		things := slices.SortedFunc(maps.Keys(l.used[k]), compareUIDs)
		if len(things) == 1 {
			fmt.Fprintf(&out, "permit (principal == %s, action == %s, resource == %s);\n", k.principal, k.action, things[0])
			continue
		}
		server := types.NewEntityUID(typeServer, types.String(k.server))
		fmt.Fprintf(&out, "permit (principal == %s, action == %s, resource in %s)\nwhen { resource in %s };\n", k.principal, k.action, server, list(things))
	}
	return []byte(strings.TrimPrefix(out.String(), "\n"))
}

func list(things []types.EntityUID) string {
	if len(things) == 1 {
		return things[0].String()
	}
	return "[\n  " + strings.Join(texted(things), ",\n  ") + "\n]"
}

func texted(things []types.EntityUID) []string {
	out := make([]string, len(things))
	for i, uid := range things {
		out[i] = uid.String()
	}
	return out
}
