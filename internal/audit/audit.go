// Package audit keeps the append-only record of what passed, what was refused
// and what changed. Records are hash-chained JSON lines in segments; a signed
// head says where the chain ends, so that an edit or a truncation at any byte
// is found. What cannot be written is an error, and the gateway lets nothing
// pass on that error.
//
// docs/audit-log.md describes the files and says what the chain does not prove.
package audit

import (
	"encoding/json"
	"errors"
	"time"

	"gatehouse/internal/finding"
)

// Kind says what a record is about. The list is closed: queries may rely on it.
type Kind string

const (
	Start          Kind = "start"           // the gateway began to serve
	Stop           Kind = "stop"            // the gateway ended in order
	Reload         Kind = "reload"          // a new configuration is in force
	ReloadRefused  Kind = "reload-refused"  // a new configuration was refused; the old one stays
	Loosened       Kind = "loosened"        // an unsafe option is in force
	ServerStarted  Kind = "server-started"  // an upstream was started or connected
	ServerEnded    Kind = "server-ended"    // an upstream ended or was lost
	Reached        Kind = "reached"         // a server in a sandbox reached for a place on the network
	SandboxRefused Kind = "sandbox-refused" // a sandbox did not let its server do something, or a limit was reached
	Installed      Kind = "installed"       // a package that servers start from was installed
	Admitted       Kind = "admitted"        // a definition was approved on first sight
	Quarantined    Kind = "quarantined"     // a definition waits for a person
	Drifted        Kind = "drifted"         // a definition differs from the approved one
	Approved       Kind = "approved"        // a person approved a definition
	Halted         Kind = "halted"          // a person stopped a server, a tool, a principal or everything
	Resumed        Kind = "resumed"         // a person let it go on
	KeyCreated     Kind = "key-created"     // a person made an API key
	KeyRotated     Kind = "key-rotated"     // a person made another one of the same name
	KeyRevoked     Kind = "key-revoked"     // a person ended an API key before its time
	Elevated       Kind = "elevated"        // a server wants more rights than its token has
	Session        Kind = "session"         // a client's session began or ended
	SessionRefused Kind = "session-refused" // a client could not be identified or let in
	Decided        Kind = "decided"         // allow or deny, before anything leaves
	Ended          Kind = "ended"           // what came of an exchange
	Recovered      Kind = "recovered"       // the log itself was damaged or unavailable and continues
)

// Kinds lists the closed list in the order of a run.
func Kinds() []Kind {
	return []Kind{
		Start, Stop, Reload, ReloadRefused, Loosened, ServerStarted, ServerEnded, Reached, SandboxRefused, Installed, Admitted, Quarantined,
		Drifted, Approved, Halted, Resumed, KeyCreated, KeyRotated, KeyRevoked, Elevated, Session, SessionRefused, Decided, Ended, Recovered,
	}
}

func (k Kind) known() bool {
	switch k {
	case Start, Stop, Reload, ReloadRefused, Loosened, ServerStarted, ServerEnded, Reached, SandboxRefused, Installed, Admitted, Quarantined,
		Drifted, Approved, Halted, Resumed, KeyCreated, KeyRotated, KeyRevoked, Elevated, Session, SessionRefused, Decided, Ended, Recovered:
		return true
	}
	return false
}

// Record is one entry of the log: what is known about one decision or one
// change. Empty fields are not written. Secrets are redacted by the caller,
// before Append.
type Record struct {
	Seq  uint64    `json:"seq"`  // from 1, without gaps; set by Append
	Time time.Time `json:"time"` // UTC, microseconds; set by Append
	Kind Kind      `json:"kind"`

	Exchange  string   `json:"exchange,omitempty"` // the same for Decided and Ended of one exchange
	Principal string   `json:"principal,omitempty"`
	Teams     []string `json:"teams,omitempty"` // of the principal at that time; policies may depend on them
	Client    string   `json:"client,omitempty"`
	Session   string   `json:"session,omitempty"`
	Mount     string   `json:"mount,omitempty"`
	Server    string   `json:"server,omitempty"`
	Method    string   `json:"method,omitempty"`
	Target    string   `json:"target,omitempty"` // tool, prompt or resource as the upstream knows it
	Direction string   `json:"direction,omitempty"`

	Decision string            `json:"decision,omitempty"` // "allow" or "deny"
	Reason   string            `json:"reason,omitempty"`   // a decision.Reason
	Rule     string            `json:"rule,omitempty"`
	Detail   string            `json:"detail,omitempty"`
	Policies []string          `json:"policies,omitempty"` // ids of the policies that decided
	Would    []string          `json:"would,omitempty"`    // ids of policies in report mode that would have refused
	Asked    *Asked            `json:"asked,omitempty"`    // what else the policies were told; nil if they were not asked
	Findings []finding.Finding `json:"findings,omitempty"`

	ArgumentsDigest string          `json:"argumentsDigest,omitempty"` // "sha256:" and 64 hexadecimal digits
	ResultDigest    string          `json:"resultDigest,omitempty"`
	Arguments       json.RawMessage `json:"arguments,omitempty"` // redacted; nil when not stored; a part becomes a string, whose text it is
	Result          json.RawMessage `json:"result,omitempty"`
	ArgumentsCut    bool            `json:"argumentsCut,omitempty"` // Arguments is a part
	ResultCut       bool            `json:"resultCut,omitempty"`
	BytesIn         int             `json:"bytesIn,omitempty"`
	BytesOut        int             `json:"bytesOut,omitempty"`
	Micros          int64           `json:"micros,omitempty"` // duration of the exchange in microseconds

	// Hash is the chain's value at this record, 64 hexadecimal digits. Read sets
	// it; Append ignores it.
	Hash string `json:"hash,omitempty"`
}

// Asked is what policies were told of a request and no other field of its record
// says. What is empty was empty or absent.
type Asked struct {
	Name         string   `json:"name,omitempty"` // of the principal, for people
	Means        string   `json:"means,omitempty"`
	Issuer       string   `json:"issuer,omitempty"`
	TokenClient  string   `json:"tokenClient,omitempty"` // OAuth client id
	Scopes       []string `json:"scopes,omitempty"`
	Address      string   `json:"address,omitempty"`
	Score        float64  `json:"score,omitempty"`
	Conversation []string `json:"conversation,omitempty"`
}

// Values of Record.Direction and Record.Decision.
const (
	ClientToServer = "client-to-server"
	ServerToClient = "server-to-client"
	Allow          = "allow"
	Deny           = "deny"
)

// MaxRecord bounds one line of the log, in bytes. It lets a reader hold any
// record in memory; whoever writes cuts arguments and results well below it.
const MaxRecord = 1 << 20

var (
	// ErrUnavailable says that a record could not be written. Every Append
	// fails with it until the log can be written again.
	ErrUnavailable = errors.New("the audit log cannot be written")
	// ErrRefused says that this one record breaks a bound or the closed list of
	// kinds. The log itself is well.
	ErrRefused = errors.New("the audit log does not take this record")
	// ErrLocked says that another process writes this directory.
	ErrLocked = errors.New("another process writes this audit log")
	// ErrDamaged says that acknowledged records are missing or were changed.
	ErrDamaged = errors.New("the audit log was changed or cut")
	// ErrNoLog says that a directory holds no audit log, or no key to check it.
	ErrNoLog = errors.New("there is no audit log that could be checked")
)

// Sync says when an acknowledged record is safe.
type Sync string

const (
	// SyncInterval acknowledges a record when the operating system has it, and
	// puts it on disk within SyncEvery. A crash of the process loses nothing; a
	// crash of the machine may lose the last SyncEvery, and the log says so.
	SyncInterval Sync = "interval"
	// SyncEach acknowledges a record when it is on disk.
	SyncEach Sync = "each"
)

// SyncEvery is the longest time an acknowledged record waits to be put on disk
// under SyncInterval.
const SyncEvery = 200 * time.Millisecond

// defaultSegmentBytes keeps the segment that Open has to check within the time
// of a start.
const defaultSegmentBytes = 8 << 20

// Options of a log. The zero value is ready to use.
type Options struct {
	Sync         Sync  // empty means SyncInterval
	SegmentBytes int64 // a segment that has grown to this size is closed; 0 means 8 MiB
}
