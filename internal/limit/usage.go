package limit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/config"
)

// Usage is how much of one counter of a quota is used. Amounts are decimal texts.
type Usage struct {
	Quota   string    `json:"quota"`
	Counter What      `json:"counter"`
	By      []Part    `json:"by"` // whose use it is; empty: everybody's
	Used    string    `json:"used"`
	Limit   string    `json:"limit"`  // of a rate: its burst
	Resets  time.Time `json:"resets"` // when nothing is used any more; zero: when the requests end
}

// Part is one thing that is counted by. Of a long value and of an argument a digest
// is kept: sha256: and hexadecimal digits.
type Part struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Usage lists what is used now of the quotas that are in force.
func (l *Limiter) Usage(ctx context.Context) ([]Usage, error) {
	p, now := l.live.Load(), l.store.Now()
	var list []Usage
	err := l.store.Counters(ctx, func(c Counter) { list = p.appendUsage(list, c, now) })
	sortUsage(list)
	return list, err
}

// ReadUsage lists what a gateway has kept in dir about the quotas of a
// configuration, while it runs or after it. Requests at once and loops are not
// kept.
func ReadUsage(dir string, c *config.Config, at time.Time) ([]Usage, error) {
	p, err := newPlan(c)
	if err != nil {
		return nil, fmt.Errorf("reading the quotas: %w", err)
	}
	newest := map[string]Counter{}
	_, err = readJournal(filepath.Join(dir, journalName), func(c Counter) {
		key := string(c.Key)
		c.Key = []byte(key)
		newest[key] = c
	})
	if err != nil {
		return nil, fmt.Errorf("reading the quotas: %w", err)
	}
	var list []Usage
	for _, c := range newest {
		list = p.appendUsage(list, c, Instant{at.UnixNano(), at.UnixNano()})
	}
	sortUsage(list)
	return list, nil
}

func sortUsage(list []Usage) {
	slices.SortFunc(list, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(a.Quota, b.Quota), cmp.Compare(a.Counter, b.Counter),
			slices.CompareFunc(a.By, b.By, func(a, b Part) int { return cmp.Compare(a.Value, b.Value) }))
	})
}

// appendUsage passes over what is full again and what no quota in force counts.
func (p *plan) appendUsage(list []Usage, c Counter, now Instant) []Usage {
	name, rest, _ := bytes.Cut(c.Key, []byte{0})
	what, parts, _ := bytes.Cut(rest, []byte{0})
	counter := p.counter(string(name), What(what))
	if counter == nil || c.Kind != Rate && c.Used.isZero() || (&cell{at: c.At, used: c.Used, kind: c.Kind}).idle(now) {
		return list
	}
	u := Usage{Quota: counter.quota, Counter: counter.what, By: decodeParts(parts), Resets: time.Unix(0, c.At).In(p.zone)}
	switch {
	case c.Kind == Rate:
		u.Used = fmt.Sprint((c.At - now.Rate + counter.interval - 1) / counter.interval)
		u.Limit = fmt.Sprint(counter.burst)
	case strings.HasPrefix(string(counter.what), "sum."):
		u.Used, u.Limit = c.Used.decimal(), counter.limit.decimal()
	default:
		u.Used, u.Limit = c.Used.digits(), counter.limit.digits()
	}
	if c.Kind == Concurrent {
		u.Resets = time.Time{}
	}
	return append(list, u)
}

func (p *plan) counter(quota string, what What) *counter {
	for i := range p.quotas {
		for k := range p.quotas[i].counters {
			if c := &p.quotas[i].counters[k]; c.quota == quota && c.what == what {
				return c
			}
		}
	}
	return nil
}

var partNames = map[byte]string{'u': "user", 't': "team", 'c': "client", 's': "server", 'k': "kind", 'n': "name", argumentTag: "argument"}

// decodeParts reads what appendPart wrote.
func decodeParts(key []byte) []Part {
	parts := []Part{}
	for len(key) >= 2 && len(key) >= 2+int(key[1]) {
		name, value := partNames[key[0]], string(key[2:2+int(key[1])])
		switch {
		case name == "":
			return parts // the digest of a call, behind its parts
		case key[0] == argumentTag && value != "":
			value = "sha256:" + hex.EncodeToString([]byte(value))
		}
		parts = append(parts, Part{name, value})
		key = key[2+int(key[1]):]
	}
	return parts
}
