package install

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/command"
)

func TestSpike(t *testing.T) {
	for _, words := range [][]string{{"npx", "-y", "@modelcontextprotocol/server-memory@2026.8.31", "x"}, {"uvx", "mcp-server-fetch==2025.4.7"}} {
		r, _, err := command.Launches(words)
		if err != nil {
			t.Fatal(err)
		}
		i := Installer{Store: InState(t.TempDir()), Record: func(r Record) error { t.Log(r); return nil }, Progress: func(s string) { t.Log(s) }, UnsafeAddresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
		_, _, err = i.Ensure(context.Background(), r)
		if err != nil {
			t.Error(err)
			continue
		}
		began := time.Now()
		start, err := i.Store.Start(r)
		t.Log(time.Since(began), start.Command, err, start.Files, start.Bytes)
	}
}
