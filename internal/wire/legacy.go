package wire

// The vocabulary of the revisions with a handshake, which this program calls
// legacy: "initialize" opens a session, and both sides may send requests in it.

// LegacyVersions are the protocol versions with a handshake, oldest first.
// Versions are dates, so that their order is also the order of their text.
var LegacyVersions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

// Requests from client to server that 2026-07-28 removed.
const (
	// MethodInitialize opens a session. "The initialization phase MUST be the first
	// interaction between client and server" (2025-11-25, Basic, Lifecycle).
	MethodInitialize  = "initialize"
	MethodPing        = "ping" // either side may send it
	MethodSetLevel    = "logging/setLevel"
	MethodSubscribe   = "resources/subscribe"
	MethodUnsubscribe = "resources/unsubscribe"
)

// Requests from server to client. In 2026-07-28 a server sends no requests; these
// are only values inside the inputRequests of a result.
const (
	MethodSampling = "sampling/createMessage"
	MethodElicit   = "elicitation/create" // since 2025-06-18
	MethodRoots    = "roots/list"
)

// Tasks of 2025-11-25, which both sides may request. The extension of the same
// name in 2026-07-28 is a different protocol.
const (
	MethodTasksGet    = "tasks/get"
	MethodTasksResult = "tasks/result"
	MethodTasksCancel = "tasks/cancel"
	MethodTasksList   = "tasks/list"
)

// Notifications that 2026-07-28 removed.
const (
	NotifyInitialized         = "notifications/initialized"
	NotifyRootsChanged        = "notifications/roots/list_changed"
	NotifyElicitationComplete = "notifications/elicitation/complete" // 2025-11-25 only
	NotifyTaskStatus          = "notifications/tasks/status"         // 2025-11-25 only
)

// Error codes that later revisions do not use.
const (
	// CodeResourceNotFound became -32602 in 2026-07-28; clients "SHOULD" still
	// accept it.
	CodeResourceNotFound = -32002
	// CodeURLElicitation asks the user to open a page first; 2025-11-25 only.
	CodeURLElicitation = -32042
)
