package protect

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
)

// names gives servers the ids under which their approvals and records stand. Servers
// that do the same have one id, whatever client names them; others never share one.
type names struct {
	taken map[string]string // by id: what has it
}

// newNames knows the ids that protected servers have.
func newNames(files []client.File) *names {
	n := &names{map[string]string{}}
	for _, f := range files {
		for _, e := range f.Entries {
			if source := inventory.Of(e); source.Protected {
				if i := slices.Index(e.Words, "--id"); i >= 0 && i+1 < len(e.Words) {
					n.taken[e.Words[i+1]] = same(e, source)
				}
			}
		}
	}
	return n
}

// same is equal for servers that do the same.
func same(e client.Entry, s inventory.Source) string {
	return inventory.Servers([]client.Entry{e})[0].ID + " " + string(s.Kind)
}

var notID = regexp.MustCompile(`[^a-z0-9]+`)

// maxName leaves room for what tells servers of one name apart; an id has at most 32
// characters.
const maxName = 24

func (n *names) of(e client.Entry, s inventory.Source) string {
	id := strings.Trim(notID.ReplaceAllString(strings.ToLower(e.Name), "-"), "-")
	if id == "" || id[0] < 'a' || id[0] > 'z' {
		id = "s-" + id
	}
	id = strings.Trim(id[:min(len(id), maxName)], "-")
	what := same(e, s)
	if owner, taken := n.taken[id]; taken && owner != what {
		sum := sha256.Sum256([]byte(what))
		id += "-" + hex.EncodeToString(sum[:3])
	}
	n.taken[id] = what
	return id
}
