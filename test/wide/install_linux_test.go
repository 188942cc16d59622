//go:build amd64 || arm64

package wide

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/internal/egress"
	"gatehouse/test/program"
)

// Test_packages_of_the_public_registries_are_installed_and_start uses the registries
// that npm and pip are set up for on this machine.
func Test_packages_of_the_public_registries_are_installed_and_start(t *testing.T) {
	if os.Getenv("GATEHOUSE_WIDE") == "" {
		t.Skip("`make test-wide` runs this: it needs a network")
	}
	gatehouse, err := program.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	flags := []string{"install", "--state", state}
	for _, host := range []string{"registry.npmjs.org", "pypi.org", "files.pythonhosted.org"} {
		flags = append(flags, notPublic(t, host)...)
	}
	for _, command := range [][]string{{"npx", "-y", "@modelcontextprotocol/server-memory@2026.8.31"}, {"uvx", "mcp-server-time"}} {
		if out, err := exec.Command(gatehouse, append(append(flags, "--"), command...)...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", command, err, out)
		}
		run := exec.Command(gatehouse, append([]string{"run", "--state", state, "--"}, command...)...)
		in, err := run.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := run.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
		answer := make([]byte, 4<<10)
		n, err := out.Read(answer)
		if err != nil || !strings.Contains(string(answer[:n]), `"serverInfo"`) {
			t.Errorf("%q answers %s (%v)", command, answer[:n], err)
		}
		in.Close()
		if err := run.Wait(); err != nil {
			t.Errorf("%q ended with %v", command, err)
		}
	}
}

// notPublic are the flags for a machine that reaches a registry through addresses that
// are not public, such as those of a mirror.
func notPublic(t *testing.T, host string) []string {
	t.Helper()
	addresses, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip", host)
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	for _, a := range addresses {
		if a = a.Unmap(); !egress.Public(a) {
			flags = append(flags, "--unsafe-addresses", netip.PrefixFrom(a, a.BitLen()).String())
		}
	}
	return flags
}
