package approval

import (
	"maps"
	"slices"
	"time"
)

// Approval says who accepted one item of a server, and when.
type Approval struct {
	Kind Kind
	Name string
	By   string // FirstUse if nobody was asked
	At   time.Time
}

// Approvals lists what is approved of a server, in the order of the lock.
func (b *Book) Approvals(server string) []Approval {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Approval
	for _, k := range slices.SortedFunc(maps.Keys(b.lock[server]), compareKeys) {
		a := b.lock[server][k]
		list = append(list, Approval{Kind: k.kind, Name: k.name, By: a.By, At: a.At})
	}
	return list
}
