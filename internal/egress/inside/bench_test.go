//go:build linux

package inside_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"gatehouse/internal/egress"
)

// outsideRun runs a probe that is in no sandbox.
func outsideRun(b *testing.B, args []string) string {
	b.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"=probe")
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	return string(out)
}

// BenchmarkConnect compares how long it takes to ask for a name, to connect and to
// get the first byte back.
func BenchmarkConnect(b *testing.B) {
	host := listenTCP(b, "tcp", "127.0.0.1:0", echo)
	s := start(b, []egress.Rule{host.rule(egress.TCP)}, egress.Options{Resolver: everywhere()})
	least := map[string]float64{}
	for b.Loop() {
		note(b, least, "direct-", outsideRun(b, []string{"times", at("127.0.0.1", host.port)}))
		note(b, least, "inside-", s.run("probe", "times", at(allowedName, host.port)).Output)
	}
	for what, microseconds := range least {
		b.ReportMetric(microseconds, "µs-"+what)
	}
}

func note(b *testing.B, least map[string]float64, prefix, output string) {
	b.Helper()
	var lookup, connect float64
	if _, err := fmt.Sscan(output, &lookup, &connect); err != nil {
		b.Fatalf("the times: %q, %v", output, err)
	}
	for what, value := range map[string]float64{"name": lookup, "first-byte": connect} {
		if old, ok := least[prefix+what]; !ok || value < old {
			least[prefix+what] = value
		}
	}
}

// BenchmarkStart is what a sandbox's network adds to a start.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s := start(b, []egress.Rule{{Host: allowedName, Ports: []uint16{443}}}, egress.Options{})
		s.end()
	}
}
