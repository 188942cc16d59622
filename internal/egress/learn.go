package egress

import (
	"cmp"
	"maps"
	"slices"
)

// Learned is the smallest set of rules that allows the connections that were opened
// in a record, sorted by host. It proposes names as they were asked for, never a
// wildcard, and no unsafe prefixes: whatever needs these was refused, and is on
// record as that.
func Learned(record []Event) []Rule {
	type key struct {
		host     string
		protocol Protocol
	}
	ports := map[key]map[uint16]bool{}
	for _, e := range record {
		if e.Kind != Opened {
			continue
		}
		k := key{e.Name, learnedProtocol(e)}
		if ports[k] == nil {
			ports[k] = map[uint16]bool{}
		}
		ports[k][e.Port] = true
	}
	var rules []Rule
	for k, set := range ports {
		rules = append(rules, Rule{Host: k.host, Ports: slices.Sorted(maps.Keys(set)), Protocol: k.protocol})
	}
	slices.SortFunc(rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Protocol, b.Protocol))
	})
	return rules
}

// learnedProtocol leaves out what the port says by itself.
func learnedProtocol(e Event) Protocol {
	if (site{}).protocol(e.Port) == e.Protocol {
		return ""
	}
	return e.Protocol
}
