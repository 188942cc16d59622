package gateway

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/internal/wire"
)

// manyTools is a list of tools with the size and shape of real ones.
func manyTools(count int) []byte {
	var b strings.Builder
	b.WriteString(`{"tools":[`)
	for i := range count {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"records_search_%03d","title":"Search records %d","description":"Searches the records of collection %d and returns the ones that match, newest first. `+
			`Use it before reading one record by its id.","inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"Words to look for."},`+
			`"limit":{"type":"integer","minimum":1,"maximum":100,"description":"How many to return."}},"required":["query"],"additionalProperties":false},`+
			`"annotations":{"readOnlyHint":true,"openWorldHint":false}}`, i, i, i)
	}
	b.WriteString(`],"resultType":"complete","ttlMs":0,"cacheScope":"public"}`)
	return []byte(b.String())
}

// BenchmarkList is tools/list of 500 tools, on the server's own mount and joined.
func BenchmarkList(b *testing.B) {
	answers := maps.Clone(benchAnswers(nil))
	answers[wire.MethodToolsList] = manyTools(500)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		m, parseErr := wire.Parse(raw, wire.Limits{})
		if err != nil || parseErr != nil || m.Kind != wire.Request {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(wire.NewResult(m.ID, answers[m.Method]))
	}))
	b.Cleanup(server.Close)
	for _, mount := range []string{"stub", ""} {
		b.Run("mount=/mcp/"+mount, func(b *testing.B) {
			x := &bench{gateway: benchGateway(b, server.URL)}
			x.connect(b, true, answers)
			x.peer = &Peer{Local: true, Mount: mount}
			x.raw = wire.NewRequest("7", wire.MethodToolsList, fmt.Appendf(nil, `{"_meta":{%q:%q,%q:{}}}`, wire.MetaVersion, wire.ModernVersion, wire.MetaCapabilities))
			b.ReportAllocs()
			for b.Loop() {
				if got := x.gateway.Handle(b.Context(), x.raw, x.peer); len(got.Body) < len(answers[wire.MethodToolsList]) {
					b.Fatalf("%.300s", got.Body)
				}
			}
		})
	}
}
