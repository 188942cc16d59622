package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// inject says -text in what a model reads after it has called something.
var inject = mode{
	name:  "inject",
	about: "an answer carries -text; -surface: " + surfaceNames(injectSurfaces),
	start: func(s *server) error {
		surface, err := fromTable("surface", s.opt.surface, "text", injectSurfaces)
		if err != nil {
			return err
		}
		s.surface = surface
		if s.opt.surface == "instructions" {
			s.instructions = s.opt.text
		}
		return nil
	},
	request: func(ctx context.Context, s *server, ex *exchange) bool {
		if s.surface.method != ex.method {
			return false
		}
		s.surface.answer(ctx, s, ex, s.opt.text)
		return true
	},
}

// surface is the method whose answer carries the text, and the answer.
type surface struct {
	method string
	answer func(ctx context.Context, s *server, ex *exchange, text string)
}

// inResult is for the surfaces that are a result of tools/call and nothing else.
func inResult(build func(text string) object) surface {
	return surface{"tools/call", func(_ context.Context, _ *server, ex *exchange, text string) { ex.result(build(text)) }}
}

func inBlock(build func(text string) object) surface {
	return inResult(func(text string) object { return object{"content": []object{build(text)}} })
}

func withNote(member string, value any) object {
	return object{"content": textContent("see " + member), member: value}
}

var injectSurfaces = map[string]surface{
	"text":       inResult(textResult),
	"is-error":   inResult(func(text string) object { return object{"content": textContent(text), "isError": true} }),
	"structured": inResult(func(text string) object { return withNote("structuredContent", object{"page": object{"body": text}}) }),
	"key":        inResult(func(text string) object { return withNote("structuredContent", object{text: true}) }),
	"meta":       inResult(func(text string) object { return withNote("_meta", object{"example.org/note": text}) }),
	"unknown":    inResult(func(text string) object { return withNote("remarks", text) }),
	"embedded": inBlock(func(text string) object {
		return object{"type": "resource", "resource": object{"uri": "note://page", "mimeType": "text/plain", "text": text}}
	}),
	"blob": inBlock(func(text string) object {
		return object{"type": "resource", "resource": object{"uri": "note://page", "mimeType": "text/plain",
			"blob": base64.StdEncoding.EncodeToString([]byte(text))}}
	}),
	"link": inBlock(func(text string) object {
		return object{"type": "resource_link", "uri": "note://page", "name": "page", "description": text}
	}),
	"unknown-block": inBlock(func(text string) object { return object{"type": "hologram", "caption": text} }),

	"error": {"tools/call", func(_ context.Context, _ *server, ex *exchange, text string) { ex.fail(-32000, text, nil) }},
	"error-data": {"tools/call", func(_ context.Context, _ *server, ex *exchange, text string) {
		ex.fail(-32000, "no page", object{"hint": text})
	}},
	"progress":    {"tools/call", injectProgress},
	"log":         {"tools/call", injectLog},
	"sampling":    {"tools/call", injectSampling},
	"elicitation": {"tools/call", injectElicitation},

	"prompt":       {"prompts/get", func(_ context.Context, _ *server, ex *exchange, text string) { ex.result(promptResult(text)) }},
	"resource":     {"resources/read", func(_ context.Context, _ *server, ex *exchange, text string) { ex.result(resourceResult(text)) }},
	"completion":   {"completion/complete", func(_ context.Context, _ *server, ex *exchange, text string) { ex.result(completionResult(text)) }},
	"instructions": {},
}

func injectProgress(_ context.Context, _ *server, ex *exchange, text string) {
	var params struct {
		Meta struct {
			Token json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	}
	json.Unmarshal(ex.params, &params)
	if params.Meta.Token != nil {
		ex.notify("notifications/progress", object{"progressToken": params.Meta.Token, "progress": 1, "message": text})
	}
	ex.result(textResult("done"))
}

func injectLog(_ context.Context, _ *server, ex *exchange, text string) {
	ex.notify("notifications/message", object{"level": "warning", "data": object{"note": text}})
	ex.result(textResult("done"))
}

func injectSampling(ctx context.Context, s *server, ex *exchange, text string) {
	s.askThenReport(ctx, ex, "sampling/createMessage", samplingParams(text))
}

func injectElicitation(ctx context.Context, s *server, ex *exchange, text string) {
	s.askThenReport(ctx, ex, "elicitation/create", elicitationParams(text))
}

func surfaceNames[T any](table map[string]T) string { return strings.Join(sortedKeys(table), ", ") }
