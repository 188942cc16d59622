package gateway

import (
	"context"
	"slices"

	"gatehouse/internal/wire"
)

// wantLevel makes the server log as much as a modern client asks for in one
// request. What others get of it is decided for each of them.
func (l *link) wantLevel(ctx context.Context, level wire.Value) error {
	if !level.Exists() || !l.server.capabilities().Get("logging").Exists() {
		return nil
	}
	s := l.session
	s.mu.Lock()
	enough := len(s.level) > 0 && severity(string(levelOf(s.level))) <= severity(string(level.Raw()))
	s.mu.Unlock()
	if enough {
		return nil
	}
	params := object(wire.Change{Key: "level", Raw: level.Raw()})
	m, _, err := l.server.gateway.ownRequest(false, wire.MethodSetLevel, params)
	if err != nil {
		return err
	}
	if _, err = l.call(ctx, m, nil, nil); err == nil {
		s.keepLevel(params)
	}
	return err
}

func (s *Session) keepLevel(params []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.level = params
}

// levels of RFC 5424, the most talkative first, as JSON strings.
var levels = []string{`"debug"`, `"info"`, `"notice"`, `"warning"`, `"error"`, `"critical"`, `"alert"`, `"emergency"`}

// severity of an unknown level is that of the least talkative.
func severity(level string) int {
	if i := slices.Index(levels, level); i >= 0 {
		return i
	}
	return len(levels)
}

// unasked tells the notifications that a client of this exchange must not get:
// "If the level is absent, the server MUST NOT send notifications/message for the
// request", and what its revision does not have.
func (ex *exchange) unasked(m *wire.Message) bool {
	switch m.Method {
	case wire.NotifyMessage:
		wanted := ex.msg.Params.At("_meta", wire.MetaLogLevel)
		return !wanted.Exists() || severity(string(m.Params.Get("level").Raw())) < severity(string(wanted.Raw()))
	case wire.NotifyElicitationComplete, wire.NotifyTaskStatus, wire.NotifyRootsChanged:
		return true
	}
	return false
}
