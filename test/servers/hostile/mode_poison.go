package main

import "context"

// poison hides -text in what a model reads before it calls anything.
var poison = mode{
	name:  "poison",
	about: "a definition carries -text; -surface: " + surfaceNames(poisonSurfaces),
	start: func(s *server) error {
		apply, err := fromTable("surface", s.opt.surface, "description", poisonSurfaces)
		if err != nil {
			return err
		}
		apply(s, s.tools[1].definition, s.opt.text)
		return nil
	},
	request: func(_ context.Context, s *server, ex *exchange) bool {
		answer := poisonedLists[s.opt.surface]
		if answer.method != ex.method {
			return false
		}
		item := answer.item()
		item["description"] = s.opt.text
		ex.result(object{answer.member: []object{item}})
		return true
	},
}

// poisonSurfaces say where in the server, or in the definition of its tool add,
// the text goes.
var poisonSurfaces = map[string]func(s *server, add object, text string){
	"description": func(_ *server, add object, text string) { add["description"] = "Adds two numbers. " + text },
	"title":       func(_ *server, add object, text string) { add["title"] = text },
	"name":        func(_ *server, add object, text string) { add["name"] = text },
	"annotation":  func(_ *server, add object, text string) { add["annotations"] = object{"title": text} },
	"property":    func(_ *server, add object, text string) { addend(add)["description"] = text },
	"default":     func(_ *server, add object, text string) { addend(add)["default"] = text },
	"enum":        func(_ *server, add object, text string) { addend(add)["enum"] = []string{text} },
	"key":         func(_ *server, add object, text string) { properties(add)[text] = object{"type": "string"} },
	"comment":     func(_ *server, add object, text string) { addend(add)["$comment"] = text },
	"output": func(_ *server, add object, text string) {
		add["outputSchema"] = object{"type": "object", "description": text}
	},
	"meta":         func(_ *server, add object, text string) { add["_meta"] = object{"example.org/hint": text} },
	"unknown":      func(_ *server, add object, text string) { add["usageNotes"] = text },
	"instructions": func(s *server, _ object, text string) { s.instructions = text },
	"prompt":       func(*server, object, string) {},
	"resource":     func(*server, object, string) {},
	"template":     func(*server, object, string) {},
}

// poisonedLists are the surfaces that stand in a list other than tools/list.
var poisonedLists = map[string]struct {
	method, member string
	item           func() object
}{
	"prompt":   {"prompts/list", "prompts", plainPrompt},
	"resource": {"resources/list", "resources", plainResource},
	"template": {"resources/templates/list", "resourceTemplates", plainTemplate},
}

func properties(definition object) object {
	return definition["inputSchema"].(object)["properties"].(object)
}

func addend(definition object) object { return properties(definition)["a"].(object) }
