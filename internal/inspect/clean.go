package inspect

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"

	"gatehouse/internal/rule"
)

const (
	// maxCleanName is the length of a text, in bytes, up to which it is remembered.
	maxCleanName = 32
	// cleanNames is how many are.
	cleanNames = 512
)

// clean remembers names of members, and the words of the protocol under them, in which
// the rules found nothing: they are most strings of a message, and the same ones in every
// message. Values are not remembered, because some are secrets. Rules are deterministic, so
// the same subject, read with the same limits, has the same answer.
type clean struct {
	seed  maphash.Seed
	names [cleanNames]atomic.Pointer[rule.Subject]
}

func newClean() *clean { return &clean{seed: maphash.MakeSeed()} }

// isName says whether a subject is one that is remembered.
func (c *clean) isName(s *rule.Subject) bool {
	return len(s.Text) <= maxCleanName && len(s.Key) <= maxCleanName && (s.IsKey || isEnvelope(s.Key, s.Text)) && len(s.Neighbours) == 0
}

func (c *clean) place(s *rule.Subject) *atomic.Pointer[rule.Subject] {
	hash := maphash.String(c.seed, s.Text) + 3*maphash.String(c.seed, s.Key) + 5*maphash.String(c.seed, s.Name) + 7*maphash.String(c.seed, s.Server) + uint64(s.Surface)
	return &c.names[hash%cleanNames]
}

// knows says whether nothing was found in the same subject before.
func (c *clean) knows(s *rule.Subject) bool {
	known := c.place(s).Load()
	return known != nil && known.Text == s.Text && known.Key == s.Key && known.IsKey == s.IsKey && known.Joined == s.Joined && known.Depth == s.Depth &&
		known.Surface == s.Surface && known.Server == s.Server && known.Owner == s.Owner && known.Name == s.Name && known.Trust == s.Trust &&
		known.Binary == s.Binary && slices.Equal(known.Configured, s.Configured) && slices.Equal(known.Known, s.Known)
}

// learn remembers that nothing was found in a subject.
func (c *clean) learn(s *rule.Subject) {
	kept := *s
	kept.Text, kept.Key = strings.Clone(s.Text), strings.Clone(s.Key) // parts of a message
	c.place(s).Store(&kept)
}
