//go:build linux

package inside_test

import (
	"fmt"
	"testing"

	"gatehouse/internal/egress"
)

func at(host string, port uint16) string { return fmt.Sprintf("%s:%d", host, port) }

func TestSandbox_reaches_the_host_that_is_allowed_and_no_other(t *testing.T) {
	host, _ := listenTLS(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{host.rule(egress.TLS)}, egress.Options{Resolver: allowedNames})
	s.run("probe", "tls", at(allowedName, host.port), allowedName).contains(t, "reached")
	if t.Failed() {
		t.Log(s.record)
	}
}
