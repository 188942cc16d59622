package wire

// The vocabulary of the revision without a handshake, which this program calls
// modern, and what it shares with the revisions before it. Every request stands
// alone and says in its _meta which version it speaks.

// ModernVersion is the protocol version without a handshake.
const ModernVersion = "2026-07-28"

// Requests from client to server.
const (
	MethodDiscover      = "server/discover"      // modern only
	MethodListen        = "subscriptions/listen" // modern only
	MethodToolsList     = "tools/list"
	MethodToolsCall     = "tools/call"
	MethodResourcesList = "resources/list"
	MethodTemplatesList = "resources/templates/list"
	MethodResourcesRead = "resources/read"
	MethodPromptsList   = "prompts/list"
	MethodPromptsGet    = "prompts/get"
	MethodComplete      = "completion/complete"
)

// Tasks of the extension io.modelcontextprotocol/tasks, which has tasks/get and
// tasks/cancel too.
const (
	MethodTasksUpdate = "tasks/update"
	NotifyTask        = "notifications/tasks"
)

// Notifications.
const (
	// NotifyCancelled ends a request. In 2026-07-28 a client sends it on stdio
	// only, where no stream can be closed, and a server only to end a
	// subscriptions/listen.
	NotifyCancelled        = "notifications/cancelled"
	NotifyProgress         = "notifications/progress"
	NotifyMessage          = "notifications/message"
	NotifyToolsChanged     = "notifications/tools/list_changed"
	NotifyPromptsChanged   = "notifications/prompts/list_changed"
	NotifyResourcesChanged = "notifications/resources/list_changed"
	NotifyResourceUpdated  = "notifications/resources/updated"
	// NotifyAcknowledged (modern only) "MUST be the first message the server sends
	// carrying the subscription's ID".
	NotifyAcknowledged = "notifications/subscriptions/acknowledged"
)

// Members of _meta that 2026-07-28 defines.
const (
	MetaVersion      = "io.modelcontextprotocol/protocolVersion"    // of a request; required
	MetaCapabilities = "io.modelcontextprotocol/clientCapabilities" // of a request; required
	MetaClientInfo   = "io.modelcontextprotocol/clientInfo"         // of a request; "SHOULD"
	MetaLogLevel     = "io.modelcontextprotocol/logLevel"           // of a request; without it no notifications/message may be sent
	MetaServerInfo   = "io.modelcontextprotocol/serverInfo"         // of a result; "SHOULD"
	// MetaSubscriptionID tags every message of a subscription with the JSON-RPC id
	// of its subscriptions/listen request.
	MetaSubscriptionID = "io.modelcontextprotocol/subscriptionId"
)

// Values of the member resultType, which every result of 2026-07-28 has. A result
// of a revision before has none and is complete.
const (
	ResultComplete      = "complete"
	ResultInputRequired = "input_required"
)

// Error codes of JSON-RPC 2.0 section 5.1.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
)

// Error codes of 2026-07-28; over HTTP each goes with status 400. The codes from
// -32020 to -32099 are reserved for the specification.
const (
	CodeHeaderMismatch     = -32020
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022 // data holds "supported" and "requested"
)

// Modern reports whether m speaks the protocol without a handshake: its
// params._meta names a protocol version, whichever it is and whether or not it
// is one that exists. Judging that is for the caller. A response never is modern:
// its result says nothing about the version.
func Modern(m *Message) bool {
	return m.Kind != Response && m.Params.At("_meta", MetaVersion).Exists()
}

// methods are the known methods of all revisions, each under its own name.
var methods = func() map[string]string {
	known := map[string]string{}
	for _, name := range []string{
		MethodDiscover, MethodListen, MethodToolsList, MethodToolsCall, MethodResourcesList, MethodTemplatesList, MethodResourcesRead, MethodPromptsList, MethodPromptsGet, MethodComplete,
		NotifyCancelled, NotifyProgress, NotifyMessage, NotifyToolsChanged, NotifyPromptsChanged, NotifyResourcesChanged, NotifyResourceUpdated, NotifyAcknowledged,
		MethodInitialize, MethodPing, MethodSetLevel, MethodSubscribe, MethodUnsubscribe, MethodSampling, MethodElicit, MethodRoots, MethodTasksGet, MethodTasksResult, MethodTasksCancel, MethodTasksList,
		NotifyInitialized, NotifyRootsChanged, NotifyElicitationComplete, NotifyTaskStatus,
	} {
		known[name] = name
	}
	return known
}()
