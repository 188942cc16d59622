package gateway

import (
	"gatehouse/internal/approval"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// method is what the pipeline must know of one MCP method.
type method struct {
	request rule.Surface // what the parameters are, for the rules
	answer  rule.Surface // what the result is
	name    string       // parameter that names the target
	kind    approval.Kind
	list    string // member of the result that holds a list
	joined  func(*Gateway, *exchange) route
	legacy  bool // only in initialize-based revisions
	modern  bool // only in 2026-07-28
}

// methods are all methods of all revisions, in both directions. A method that is
// not here is passed on untouched where one server is mounted alone, and is
// unknown where several are joined.
var methods = map[string]method{
	wire.MethodInitialize:    {request: rule.Other, answer: rule.Other, joined: joinLocal, legacy: true},
	wire.MethodDiscover:      {request: rule.Other, answer: rule.Other, joined: joinLocal, modern: true},
	wire.MethodPing:          {joined: joinLocal, legacy: true},
	wire.MethodSetLevel:      {request: rule.Other, answer: rule.Other, joined: joinLocal, legacy: true},
	wire.MethodToolsList:     {answer: rule.ToolDefinition, kind: approval.KindTool, list: "tools", joined: joinAll},
	wire.MethodPromptsList:   {answer: rule.PromptDefinition, kind: approval.KindPrompt, list: "prompts", joined: joinAll},
	wire.MethodTemplatesList: {answer: rule.ResourceDefinition, kind: approval.KindTemplate, list: "resourceTemplates", joined: joinAll},
	wire.MethodResourcesList: {answer: rule.ResourceDefinition, list: "resources", joined: joinAll},
	wire.MethodToolsCall:     {request: rule.Arguments, answer: rule.ToolResult, name: "name", kind: approval.KindTool, joined: joinByName},
	wire.MethodPromptsGet:    {request: rule.Arguments, answer: rule.PromptMessages, name: "name", kind: approval.KindPrompt, joined: joinByName},
	wire.MethodResourcesRead: {request: rule.Arguments, answer: rule.ResourceContents, name: "uri", joined: joinByURI},
	wire.MethodSubscribe:     {request: rule.Arguments, answer: rule.Other, name: "uri", joined: joinByURI, legacy: true},
	wire.MethodUnsubscribe:   {request: rule.Arguments, answer: rule.Other, name: "uri", joined: joinByURI, legacy: true},
	wire.MethodComplete:      {request: rule.Arguments, answer: rule.Completion, joined: joinByRef},
	// Joining the streams of several servers is not built yet.
	wire.MethodListen: {request: rule.Other, answer: rule.Other, modern: true},

	wire.MethodSampling: {request: rule.ClientRequest, answer: rule.ClientAnswer},
	wire.MethodElicit:   {request: rule.ClientRequest, answer: rule.ClientAnswer},
	wire.MethodRoots:    {request: rule.ClientRequest, answer: rule.ClientAnswer},
}

// known is the entry of a method; an unknown one is inspected as Other.
func known(name string) method {
	if m, ok := methods[name]; ok {
		return m
	}
	return method{request: rule.Arguments, answer: rule.Other}
}

// capability is the client capability without which a server may not ask.
var capability = map[string]string{
	wire.MethodSampling: "sampling",
	wire.MethodElicit:   "elicitation",
	wire.MethodRoots:    "roots",
}
