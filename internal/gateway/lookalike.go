package gateway

import "gatehouse/internal/wire"

// lookalikeArgument finds a name in arguments that is none of those that the schema
// names and becomes one of them for a reader who does not tell upper from lower
// case. Many servers read so; policies and quotas do not, and would miss it. What
// lies behind a $ref is not followed.
func lookalikeArgument(schema, arguments wire.Value) (string, bool) {
	switch arguments.Kind() {
	case '[':
		items := schema.Get("items")
		for item := range arguments.Items() {
			if name, found := lookalikeArgument(items, item); found {
				return name, true
			}
		}
	case '{':
		properties := schema.Get("properties")
		for name, value := range arguments.Members() {
			if property := properties.Get(name); property.Exists() {
				if name, found := lookalikeArgument(property, value); found {
					return name, true
				}
				continue
			}
			for known := range properties.Members() {
				if wire.IsLookalike(name, known) {
					return name, true
				}
			}
		}
	}
	return "", false
}
