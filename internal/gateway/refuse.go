package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// refuse is the only way out without an answer from the other side. It says why,
// in words that hold neither a secret nor text from a server, and records it.
func (g *Gateway) refuse(ex *exchange, err error) Reply {
	ex.refusal = decision.From(err)
	if ex.refusal.Reason == decision.InternalError {
		g.log.Error("an exchange ended in an internal error", "exchange", ex.id, "error", err)
	}
	recordErr := g.recordEnd(ex, nil)
	if recordErr != nil {
		g.log.Error("a refusal could not be recorded", "exchange", ex.id, "error", recordErr)
	}
	if recordErr != nil && ex.refusal.Reason != decision.AuditUnavailable {
		ex.refusal = decision.Wrap(decision.AuditUnavailable, recordErr)
		err = ex.refusal
	}
	if ex.session != nil && ex.request() && ex.msg.Method == wire.MethodInitialize && ex.peer.Connection == nil {
		g.EndSession(ex.session) // it never began
	}
	if ex.msg != nil && ex.msg.Kind != wire.Request {
		return Reply{Status: notificationStatus(err)}
	}
	var challenged *identity.Challenge
	if errors.As(err, &challenged) {
		return challengeReply(ex, challenged)
	}
	var lacking *lackingScope
	if errors.As(err, &lacking) {
		return challengeReply(ex, lacking.challenge)
	}
	// A status of its own is for the client: after 404 it "MUST start a new session".
	// So is one with a code of its own.
	var withStatus *statusError
	var withCode *protocolError
	forClient := errors.As(err, &withStatus) || errors.As(err, &withCode)
	if ex.msg != nil && ex.msg.Method == wire.MethodToolsCall && !ex.fromServer() && forModel(ex.refusal.Reason) && !forClient {
		return Reply{Body: wire.NewResult(ex.msg.ID, toolError(ex)), Status: http.StatusOK, RetryAfter: ex.retryAfter}
	}
	return errorReply(ex, err)
}

// forModel tells the reasons that the model should read, as the result of the
// tool it called, from errors of the protocol, which its client should.
func forModel(r decision.Reason) bool {
	switch r {
	case decision.Malformed, decision.TooLarge, decision.Unsupported, decision.EraMismatch,
		decision.Unidentified, decision.HeaderMismatch, decision.Cancelled:
		return false
	}
	return true
}

// toolError is a refusal as the result of a tool: "Tool execution errors … are
// reported in the result object with isError", which models read.
func toolError(ex *exchange) []byte {
	out := []byte(`{"content":[{"type":"text","text":`)
	out = wire.AppendString(out, explanation(ex.refusal))
	out = append(out, `}],"isError":true,`...)
	if ex.modern {
		out = append(out, `"resultType":"complete",`...)
	}
	out = append(append(append(out, `"_meta":{"gatehouse/refusal":`...), refusalData(ex)...), `}}`...)
	return out
}

func explanation(r *decision.Refusal) string {
	text := "Gatehouse refused this: " + r.Reason.Sentence()
	if r.Rule != "" {
		text += " [" + r.Rule + "]"
	}
	if r.Detail != "" {
		text += " (" + r.Detail + ")"
	}
	return fmt.Sprintf("%s. Reason: %s. %s", text, r.Reason, r.Reason.Advice())
}

func refusalData(ex *exchange) []byte {
	out := wire.AppendString([]byte(`{"reason":`), string(ex.refusal.Reason))
	if ex.refusal.Rule != "" {
		out = wire.AppendString(append(out, `,"rule":`...), ex.refusal.Rule)
	}
	if ex.retryAfter > 0 {
		out = strconv.AppendInt(append(out, `,"retryAfterSeconds":`...), int64(ex.retryAfter), 10)
	}
	out = wire.AppendString(append(out, `,"exchange":`...), ex.id)
	return append(out, '}')
}

func errorReply(ex *exchange, err error) Reply {
	code, status, data := errorCode(ex, ex.refusal.Reason), 0, refusalData(ex)
	var special *protocolError
	var withStatus *statusError
	switch {
	case errors.As(err, &special):
		code, status = special.code, special.status
		if special.data != nil {
			data = special.data
		}
	case errors.As(err, &withStatus):
		status = withStatus.status
	}
	if status == 0 {
		status = httpStatus(ex, code)
	}
	var id wire.ID
	if ex.msg != nil {
		id = ex.msg.ID
	}
	message := "Gatehouse: " + ex.refusal.Reason.Sentence()
	if ex.refusal.Detail != "" {
		message += " (" + ex.refusal.Detail + ")"
	}
	return Reply{Body: wire.NewError(id, code, message, data), Status: status, RetryAfter: ex.retryAfter}
}

func errorCode(ex *exchange, r decision.Reason) int {
	switch r {
	case decision.Malformed, decision.TooLarge:
		if ex.msg == nil {
			return wire.CodeParse
		}
		return wire.CodeInvalidRequest
	case decision.Unsupported:
		return wire.CodeMethodNotFound
	case decision.EraMismatch:
		return wire.CodeUnsupportedVersion
	case decision.NotFound:
		if ex.msg != nil && ex.msg.Method == wire.MethodResourcesRead && !ex.modern {
			return wire.CodeResourceNotFound
		}
		return wire.CodeInvalidParams
	case decision.InvalidArguments, decision.Drift, decision.Quarantined, decision.RuleMatched, decision.Denied:
		return wire.CodeInvalidParams
	}
	return wire.CodeInternal
}

// httpStatus follows the revision: 2026-07-28 maps errors of the protocol to
// statuses, the revisions before answer a request that was understood with 200.
func httpStatus(ex *exchange, code int) int {
	if ex.msg == nil || code == wire.CodeInvalidRequest {
		return http.StatusBadRequest
	}
	if ex.refusal.Reason == decision.Unidentified {
		return http.StatusForbidden
	}
	if !ex.modern {
		return http.StatusOK
	}
	return modernStatus(code)
}

// modernStatus is the HTTP status that goes with an error code in 2026-07-28.
func modernStatus(code int) int {
	switch code {
	case wire.CodeMethodNotFound:
		return http.StatusNotFound
	case wire.CodeHeaderMismatch, wire.CodeMissingCapability, wire.CodeUnsupportedVersion:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

func notificationStatus(err error) int {
	var s *statusError
	if errors.As(err, &s) {
		return s.status
	}
	return http.StatusBadRequest
}

func integerID(n int64) wire.ID { return wire.ID(strconv.FormatInt(n, 10)) }

// note writes a record that belongs to no exchange. Losing it stops nothing by
// itself: whatever passes next needs a record of its own and is refused.
func (g *Gateway) note(r *audit.Record) {
	if live := g.live.Load(); live != nil {
		live.cleanRecord(r)
	}
	if err := g.audit.Append(r); err != nil {
		g.log.Error("the audit log cannot be written", "error", err)
	}
}
