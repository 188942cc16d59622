package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// recordDecision writes that the exchange may pass, before anything leaves. If it
// cannot be written, nothing leaves.
func (g *Gateway) recordDecision(ex *exchange) error {
	if ex.quiet() {
		return nil
	}
	r := g.record(ex, audit.Decided)
	defer forget(r)
	r.Decision = audit.Allow
	r.Findings, r.Policies, r.Would = ex.findings, ex.policies, ex.would
	if err := g.storeArguments(ex, r); err != nil {
		return err
	}
	if err := g.append(r); err != nil {
		return decision.Wrap(decision.AuditUnavailable, err)
	}
	ex.decided = true
	ex.findings, ex.policies, ex.would = nil, nil, nil // the closing record has those of the answer
	return nil
}

// recordEnd writes what came of the exchange, before the answer leaves. An
// exchange that was refused before it was decided has this one record.
func (g *Gateway) recordEnd(ex *exchange, body []byte) error {
	if ex.quiet() && !ex.decided && (ex.refusal == nil || ex.session != nil && ex.session.own) {
		return nil
	}
	r := g.record(ex, audit.Ended)
	defer forget(r)
	r.Decision = audit.Allow
	if ex.refusal != nil {
		r.Decision, r.Reason, r.Rule = audit.Deny, string(ex.refusal.Reason), ex.refusal.Rule
		r.Detail = ex.refusal.Detail
		if ex.refusal.Err != nil {
			r.Detail = join(r.Detail, ex.refusal.Err.Error())
		}
	}
	r.Detail = join(r.Detail, ex.detail)
	if n := ex.events.Load(); n > 0 {
		r.Detail = join(r.Detail, fmt.Sprintf("%d messages before the answer", n))
	}
	r.Findings = ex.findings
	r.Micros = time.Since(ex.began).Microseconds()
	if body != nil && ex.msg.Kind == wire.Request {
		r.BytesOut = len(body)
		g.storeResult(ex, r, body)
	}
	r.Policies, r.Would = ex.policies, ex.would
	if !ex.decided && ex.msg != nil {
		if err := g.storeArguments(ex, r); err != nil {
			return err
		}
	}
	return g.append(r)
}

func (g *Gateway) append(r *audit.Record) error {
	g.live.Load().cleanRecord(r)
	return g.audit.Append(r)
}

func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + ": " + b
}

// quiet tells the messages that are counted and not recorded one by one: pings,
// and what a server sends within a call that is recorded itself.
func (ex *exchange) quiet() bool {
	if ex.session != nil && ex.session.own {
		return true // what a server asks of the gateway itself is refused, always
	}
	if ex.msg == nil || len(ex.findings) > 0 {
		return false
	}
	return ex.msg.Method == wire.MethodPing || ex.fromServer() && ex.msg.Kind == wire.Notification && ex.peer.tag != nil
}

// records are used again: the log keeps none, and each is as large as a small
// message.
var records = sync.Pool{New: func() any { return new(audit.Record) }}

func forget(r *audit.Record) {
	*r = audit.Record{}
	records.Put(r)
}

// record begins a record, which the caller forgets in the end.
func (g *Gateway) record(ex *exchange, kind audit.Kind) *audit.Record {
	r := records.Get().(*audit.Record)
	*r = audit.Record{
		Kind: kind, Exchange: ex.id, Principal: ex.principal, Direction: audit.ClientToServer,
		Mount: "/mcp", BytesIn: len(ex.raw), Target: ex.target, Asked: ex.asked,
	}
	if ex.who != nil {
		r.Teams = ex.who.Teams
	}
	if ex.peer.Mount != "" {
		r.Mount += "/" + ex.peer.Mount
	}
	if ex.fromServer() {
		r.Direction = audit.ServerToClient
	}
	if ex.server != nil {
		r.Server = ex.server.id
	}
	if ex.msg != nil {
		r.Method = ex.msg.Method
		if info := ex.msg.Params.At("_meta", wire.MetaClientInfo); info.Exists() {
			r.Client = g.live.Load().clientName(info)
		}
	}
	if ex.session != nil {
		r.Session = ex.session.public
		r.Client = ex.session.clientName(r.Client)
	}
	return r
}

func (s *Session) clientName(or string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != "" {
		return s.client
	}
	return or
}

// clientName is what a client calls itself, for the log only. In the era without
// sessions every call says it.
func (l *live) clientName(info wire.Value) string {
	if name, ok := l.clients.findBytes(info.Raw()); ok {
		return name
	}
	name := info.Get("name").Text()
	if version := info.Get("version").Text(); version != "" {
		name += "/" + version
	}
	name = printable(name)
	clean := l.clean(name)
	if clean == name { // a secret is not kept
		l.clients.keep(string(info.Raw()), clean)
	}
	return clean
}

func (g *Gateway) storeArguments(ex *exchange, r *audit.Record) error {
	m := ex.msg
	if ex.out != nil {
		m = ex.out // as the server would get it, with its own names
	}
	params := m.Params
	if !params.Exists() {
		return nil
	}
	if arguments := params.Get("arguments"); arguments.Exists() {
		params = arguments
	}
	r.ArgumentsDigest = digest(wire.Canonical(params.Raw()))
	live := g.live.Load()
	if live.config.Audit.Arguments != "redacted" {
		return nil
	}
	clean, err := g.withoutSecrets(live, &m.Document, params)
	if err != nil {
		return err
	}
	r.Arguments, r.ArgumentsCut = cut(clean, live.config.Audit.MaxBytes)
	return nil
}

func (g *Gateway) storeResult(ex *exchange, r *audit.Record, body []byte) {
	r.ResultDigest = digest(body)
	live := g.live.Load()
	if live.config.Audit.Results != "redacted" || ex.answer == nil {
		return
	}
	result := ex.answer.Result
	if !result.Exists() {
		result = ex.answer.Error
	}
	kept := result.Raw()
	if ex.fromServer() || live.reports(inspect.SecretRule) { // else what the client gets is redacted already
		var err error
		if kept, err = g.withoutSecrets(live, &ex.answer.Document, result); err != nil {
			g.log.Error("a result is not kept; the record has its digest", "exchange", ex.id, "error", err)
			return
		}
	}
	r.Result, r.ResultCut = cut(kept, live.config.Audit.MaxBytes)
}

// withoutSecrets is a value with every secret in it redacted, whoever may see it
// on the wire: the log belongs to other people.
func (g *Gateway) withoutSecrets(live *live, doc *wire.Document, v wire.Value) ([]byte, error) {
	out, err := live.redactor.Message(doc, v, live.subject(nil, rule.ToolResult, ""))
	if err != nil {
		return nil, err
	}
	if out.Refusal != nil {
		return []byte(`"[withheld: it holds a secret in a member name]"`), nil
	}
	if len(out.Edits) == 0 {
		return v.Raw(), nil
	}
	start, _ := v.Span()
	for i := range out.Edits {
		out.Edits[i].Start -= start
		out.Edits[i].End -= start
	}
	return wire.Splice(v.Raw(), out.Edits...), nil
}

// cut bounds what is stored; the log writes the beginning of a text as a string.
func cut(raw []byte, most int) (json.RawMessage, bool) {
	if len(raw) <= most {
		return raw, false
	}
	return raw[:most], true
}

func digest(b []byte) string {
	const prefix = "sha256:"
	sum := sha256.Sum256(b)
	var text [len(prefix) + 2*sha256.Size]byte
	hex.Encode(text[copy(text[:], prefix):], sum[:])
	return string(text[:])
}

// inspect shows a message to the rules, all of it but the exceptions, and applies
// what they say: the message is replaced by its redacted form, or refused.
func (g *Gateway) inspect(ex *exchange, m **wire.Message, surface rule.Surface, except ...wire.Value) error {
	return g.inspectValue(ex, m, (*m).Root, surface, except...)
}

// inspectValue is inspect for one value inside a message.
func (g *Gateway) inspectValue(ex *exchange, m **wire.Message, v wire.Value, surface rule.Surface, except ...wire.Value) error {
	live := g.live.Load()
	doc, subject := &(*m).Document, live.subject(ex.server, surface, ex.target)
	look := live.inspector.Message
	if surface == rule.Notification && ex.fromServer() {
		look = ex.piece(live.inspector)
	}
	out, err := look(doc, v, subject, except...)
	if err != nil {
		return err
	}
	ex.findings = append(ex.findings, out.Findings...)
	if out.Refusal != nil {
		return out.Refusal
	}
	if len(out.Edits) == 0 {
		return nil
	}
	return replaceMessage(m, out.Edits)
}

// piece is how a notification of a server is inspected: together with the end of what
// it said before, in the same exchange or, where it belongs to none, on the same
// connection.
func (ex *exchange) piece(i *inspect.Inspector) func(*wire.Document, wire.Value, rule.Subject, ...wire.Value) (inspect.Outcome, error) {
	said := &ex.link.said
	if ex.peer.tag != nil {
		said = &ex.peer.tag.said
	}
	return func(doc *wire.Document, v wire.Value, subject rule.Subject, except ...wire.Value) (inspect.Outcome, error) {
		return i.Piece(said, doc, v, subject, except...)
	}
}

// inspectHeaders shows the rules the one thing besides the message that a client
// sends to a server.
func (g *Gateway) inspectHeaders(ex *exchange) error {
	if !ex.modern || ex.route != toServer {
		return nil
	}
	live := g.live.Load()
	for name, values := range ex.peer.Header {
		if !strings.HasPrefix(name, headerParam) {
			continue
		}
		for _, value := range append(values, name) {
			subject := live.subject(ex.server, rule.Arguments, ex.target)
			subject.Text, _ = decodeHeader(value)
			_, out, err := live.inspector.Text(subject)
			if err != nil {
				return err
			}
			ex.findings = append(ex.findings, out.Findings...)
			if out.Refusal != nil {
				return out.Refusal
			}
		}
	}
	return nil
}

// subject is what the rules are told about a text besides the text; s may be nil.
func (l *live) subject(s *server, surface rule.Surface, name string) rule.Subject {
	subject := rule.Subject{Surface: surface, Name: name, Configured: l.ownSecrets()}
	if s != nil {
		subject.Server, subject.Owner, subject.Trust = s.id, s.owner, s.trust
		if surface&rule.ToServer != 0 {
			subject.Known = s.knownSecrets()
		}
	}
	return subject
}

// clean is a text for the log or for people, without the secrets in it.
func (l *live) clean(text string) string {
	if text == "" {
		return ""
	}
	if _, ok := l.cleanTexts.find(text); ok {
		return text
	}
	subject := l.subject(nil, rule.ToolResult, "")
	subject.Text = text
	clean, _, err := l.redactor.Text(subject)
	if err != nil {
		return "[withheld: it could not be looked at]"
	}
	if clean == text { // a secret is not kept
		l.cleanTexts.keep(text, "")
	}
	return clean
}

// maxRecorded bounds each text of a record, so that all of them fit into one.
const maxRecorded = 4 << 10

func bounded(text string) string {
	if len(text) <= maxRecorded {
		return text
	}
	return strings.ToValidUTF8(text[:maxRecorded], "") + "… " + digest([]byte(text))
}

// cleanRecord takes secrets out of the texts of a record that come from outside.
func (l *live) cleanRecord(r *audit.Record) {
	r.Target, r.Detail, r.Mount = l.clean(r.Target), l.clean(r.Detail), l.clean(r.Mount)
	if _, ok := methods[r.Method]; !ok {
		r.Method = l.clean(r.Method)
	}
	r.Method, r.Target, r.Detail, r.Mount = bounded(r.Method), bounded(r.Target), bounded(r.Detail), bounded(r.Mount)
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Name, f.Field, f.Detail = bounded(l.clean(f.Name)), bounded(l.clean(f.Field)), bounded(f.Detail)
	}
}

// replaceMessage applies edits and reads the result again.
func replaceMessage(m **wire.Message, edits []wire.Edit) error {
	edited, err := reread(wire.Splice((*m).Raw, edits...))
	if err != nil {
		return err
	}
	*m = edited
	return nil
}

// asFindings is for records of definitions.
func asFindings(list []finding.Finding, effect string) []finding.Finding {
	out := make([]finding.Finding, len(list))
	for i, f := range list {
		f.Effect = effect
		out[i] = f
	}
	return out
}
