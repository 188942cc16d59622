package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table shows the runs side by side.
func Table(direct, through, across Report) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\trequired\tdirect\tgateway\tacross eras\t")
	for _, name := range names(direct, through, across) {
		d, g := direct[name], through[name]
		required, note := "yes", ""
		if !d.Scored {
			required = "no"
		}
		switch {
		case g.worse(d, skipped[name]):
			note = "worse"
		case d != g:
			note = "better"
		}
		fmt.Fprintf(w, "%s\t%s\t%v\t%v\t%v\t%s\n", name, required, d, g, across[name], note)
	}
	w.Flush()
	return b.String()
}

// names are all scenarios of the reports, sorted.
func names(reports ...Report) []string {
	all := map[string]bool{}
	for _, r := range reports {
		for name := range r {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
