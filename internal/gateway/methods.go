package gateway

import (
	"path"
	"regexp"
	"strings"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
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
	wire.MethodInitialize:    {request: rule.Arguments, answer: rule.Other, joined: joinLocal, legacy: true},
	wire.MethodDiscover:      {request: rule.Arguments, answer: rule.Other, joined: joinLocal, modern: true},
	wire.MethodPing:          {joined: joinLocal, legacy: true},
	wire.MethodSetLevel:      {request: rule.Arguments, answer: rule.Other, joined: joinLocal, legacy: true},
	wire.MethodToolsList:     {request: rule.Arguments, answer: rule.ToolDefinition, kind: approval.KindTool, list: "tools", joined: joinAll},
	wire.MethodPromptsList:   {request: rule.Arguments, answer: rule.PromptDefinition, kind: approval.KindPrompt, list: "prompts", joined: joinAll},
	wire.MethodTemplatesList: {request: rule.Arguments, answer: rule.ResourceDefinition, kind: approval.KindTemplate, list: "resourceTemplates", joined: joinAll},
	wire.MethodResourcesList: {request: rule.Arguments, answer: rule.ResourceDefinition, list: "resources", joined: joinAll},
	wire.MethodToolsCall:     {request: rule.Arguments, answer: rule.ToolResult, name: "name", kind: approval.KindTool, joined: joinByName},
	wire.MethodPromptsGet:    {request: rule.Arguments, answer: rule.PromptMessages, name: "name", kind: approval.KindPrompt, joined: joinByName},
	wire.MethodResourcesRead: {request: rule.Arguments, answer: rule.ResourceContents, name: "uri", joined: joinByURI},
	wire.MethodSubscribe:     {request: rule.Arguments, answer: rule.Other, name: "uri", joined: joinByURI, legacy: true},
	wire.MethodUnsubscribe:   {request: rule.Arguments, answer: rule.Other, name: "uri", joined: joinByURI, legacy: true},
	wire.MethodComplete:      {request: rule.Arguments, answer: rule.Completion, joined: joinByRef},
	// Tasks of 2025-11-25 and of the extension. What a task came to is the result of
	// the tool that was called.
	wire.MethodTasksGet:    {request: rule.Arguments, answer: rule.ToolResult, name: "taskId", joined: joinByURI},
	wire.MethodTasksResult: {request: rule.Arguments, answer: rule.ToolResult, name: "taskId", joined: joinByURI, legacy: true},
	wire.MethodTasksCancel: {request: rule.Arguments, answer: rule.ToolResult, name: "taskId", joined: joinByURI},
	wire.MethodTasksUpdate: {request: rule.Arguments, answer: rule.ToolResult, name: "taskId", joined: joinByURI, modern: true},
	wire.MethodTasksList:   {request: rule.Arguments, answer: rule.ToolResult, joined: joinAll, legacy: true},
	wire.MethodListen:      {request: rule.Arguments, answer: rule.Other, joined: joinLocal, modern: true},

	wire.MethodSampling: {request: rule.ClientRequest, answer: rule.ClientAnswer},
	wire.MethodElicit:   {request: rule.ClientRequest, answer: rule.ClientAnswer},
	wire.MethodRoots:    {request: rule.ClientRequest, answer: rule.ClientAnswer},
}

// properMethod refuses what some reader might take for another method: anything
// but the characters that methods are made of, and a known method in another case
// or with other slashes. It also keeps texts out of a place that nobody reads.
func properMethod(name string) error {
	if !methodForm.MatchString(name) {
		return decision.Refuse(decision.Malformed, "a method is made of letters, digits and _ . / $ - and has at most 128 of them")
	}
	if plain := strings.ToLower(path.Clean(strings.Trim(name, "/"))); plain != name {
		if _, twin := methods[plain]; twin {
			return decision.Refuse(decision.Malformed, "a method that looks like %s", plain)
		}
	}
	return nil
}

var methodForm = regexp.MustCompile(`^[A-Za-z0-9_./$-]{1,128}$`)

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
