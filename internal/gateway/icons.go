package gateway

import (
	"strings"

	"gatehouse/internal/wire"
)

// iconEdits take out the icons that no client may load: "Consumers MUST reject
// icon URIs that use unsafe schemes". They are shown by programs that render
// what they are given.
func iconEdits(v wire.Value) []wire.Edit {
	icons := v.Get("icons")
	var kept [][]byte
	count := 0
	for icon := range icons.Items() {
		if count++; safeIcon(icon.Get("src").Text()) {
			kept = append(kept, icon.Raw())
		}
	}
	if len(kept) == count {
		return nil
	}
	return []wire.Edit{icons.Replace(joinArray(kept))}
}

// safeIcon accepts what cannot run and is fetched without being read on the way.
func safeIcon(src string) bool {
	const longest = len("data:image/")
	start := strings.ToLower(src[:min(len(src), longest)])
	return strings.HasPrefix(start, "https://") || start == "data:image/"
}
