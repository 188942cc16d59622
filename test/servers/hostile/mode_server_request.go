package main

import (
	"context"
	"encoding/json"
)

var serverRequest = mode{
	name:  "server-request",
	about: "tools/call asks the client for -kind sampling, elicitation or roots and returns what it answered",
	start: func(s *server) error {
		_, err := fromTable("kind", s.opt.kind, "sampling", clientRequests)
		return err
	},
	request: func(ctx context.Context, s *server, ex *exchange) bool {
		if !ex.calls() {
			return false
		}
		chosen, _ := fromTable("kind", s.opt.kind, "sampling", clientRequests)
		s.askThenReport(ctx, ex, chosen.method, chosen.params("Please say something."))
		return true
	},
}

var clientRequests = map[string]struct {
	method string
	params func(text string) object
}{
	"sampling":    {"sampling/createMessage", samplingParams},
	"elicitation": {"elicitation/create", elicitationParams},
	"roots":       {"roots/list", func(string) object { return object{} }},
}

func samplingParams(text string) object {
	return object{
		"messages":  []object{{"role": "user", "content": object{"type": "text", "text": text}}},
		"maxTokens": 100,
	}
}

func elicitationParams(text string) object {
	return object{
		"message":         text,
		"requestedSchema": object{"type": "object", "properties": object{"answer": object{"type": "string"}}},
	}
}

// askedState is the requestState that a client must give back verbatim.
const askedState = "asked-once"

// askThenReport asks the client and answers the call with what it said. Up to
// 2025-11-25 the question is a request on the same stream; in 2026-07-28 it is
// a result that asks for input, and the client calls again with its answer.
func (s *server) askThenReport(ctx context.Context, ex *exchange, method string, params object) {
	if ex.modern {
		s.askModern(ex, method, params)
		return
	}
	answer, err := s.ask(ctx, ex, method, params)
	if err != nil {
		return
	}
	s.tell(string(answer))
	ex.result(textResult(string(answer)))
}

func (s *server) askModern(ex *exchange, method string, params object) {
	var again struct {
		Responses json.RawMessage `json:"inputResponses"`
		State     string          `json:"requestState"`
	}
	json.Unmarshal(ex.params, &again)
	if again.Responses == nil {
		ex.raw(encode(object{"jsonrpc": "2.0", "id": ex.id, "result": object{
			"resultType":    "input_required",
			"inputRequests": object{"question": object{"method": method, "params": params}},
			"requestState":  askedState,
		}}))
		return
	}
	if again.State != askedState {
		ex.fail(-32602, "the requestState is not the one that was given", nil)
		return
	}
	s.tell(string(again.Responses))
	ex.result(textResult(string(again.Responses)))
}
