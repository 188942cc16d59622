package gateway

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/internal/wire"
)

// callAs calls echo as a modern client that calls itself name.
func (h *house) callAs(name string) Reply {
	h.id++
	return h.g.Handle(h.t.Context(), fmt.Appendf(nil,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{},`+asking+`}}`,
		h.id, `,"io.modelcontextprotocol/clientInfo":{"name":`+string(wire.AppendString(nil, name))+`,"version":"1"}`), h.peer(nil, nil))
}

// What a modern client says of itself leaves for a legacy server with initialize,
// ahead of the request in which it stands.
func TestPool_what_a_client_says_of_itself_is_inspected_before_it_leaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, legacyOnly, undecided)
		defer h.close()
		h.passed(h.callAs("honest"))
		h.refused(h.callAs("a riddle"), "internal-error")
		if strings.Contains(h.stub.all(), "riddle") {
			t.Errorf("the server was told %s", h.stub.all())
		}
	})
}

// Clients choose the keys of a pool, so no key may outlive its sessions.
func TestPool_forgets_clients_with_their_sessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, legacyOnly)
		defer h.close()
		for i := range maxPooled + 20 {
			h.passed(h.callAs(fmt.Sprintf("client %d", i)))
		}
		if n := len(h.g.live.Load().servers["stub"].pool.sessions); n > maxPooled {
			t.Errorf("%d clients are known, want at most %d", n, maxPooled)
		}
	})
}
