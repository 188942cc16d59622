package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/rules/secretexposed"
	"gatehouse/internal/wire"
)

// A secret that is cut in two is none that a rule recognises, so it must be gone
// before the cut.
func TestStoreResult_no_part_of_a_secret_is_left_at_the_cut(t *testing.T) {
	const half = "FJ6kPU9541PZwIpm3EXYNHnBq6GDyx21l8sz"
	secret := "gh" + "p_" + half // in two parts, so that no file holds a token
	const most = 128
	for _, mode := range []string{"enforce", "report"} {
		for before := 60; before < most; before += 3 {
			text := strings.Repeat("x", before) + " " + secret + " " + strings.Repeat("y", 2*most)
			result := fmt.Sprintf(`{"content":[{"type":"text","text":%q}]}`, text)
			h := newHouse(t, &stub{answer: func(_ context.Context, m *wire.Message, _ *stream) string {
				if m.Method == wire.MethodToolsCall {
					return result
				}
				return ""
			}}, fmt.Sprintf("audit:\n  max_bytes: %d\nrules:\n  secret-exposed: %s\n", most, mode), secretexposed.Rule)
			h.call(h.open("{}"), "hello")
			var got *audit.Record
			for _, r := range h.records(audit.Ended) {
				if r.Target == "echo" {
					got = r
				}
			}
			h.close()
			if got == nil {
				t.Fatal("the call has no closing record")
			}
			var kept string
			if err := json.Unmarshal(got.Result, &kept); err != nil || !got.ResultCut || len(kept) != most {
				t.Fatalf("cut: %v, kept %s (%v), want the first %d bytes as a string", got.ResultCut, got.Result, err, most)
			}
			if strings.Contains(kept, half[:4]) {
				t.Errorf("%s, %d bytes before it: the record holds %s", mode, before, kept)
			}
		}
	}
}
