package sandbox_test

import (
	"os"
	"path/filepath"
	"testing"

	"gatehouse/test/program"
)

// Test_known_holes_of_real_packages_do_no_harm attacks servers in versions with known
// holes, first where nothing confines them and the harm happens.
func Test_known_holes_of_real_packages_do_no_harm(t *testing.T) {
	gatehouse := buildGatehouse(t)
	for _, hole := range []struct {
		name   string
		attack func(t *testing.T, gatehouse string)
	}{
		{"CVE-2025-53109 and CVE-2025-53110", outOfTheFolder},
		{"CVE-2025-6514", addressToSignIn},
		{"mcp-remote: a stranger names where to register", addressToRegister},
		{"CVE-2025-66404", shellInThePod},
		{"mcp-server-kubernetes: a file of the user", fileOfTheUser},
	} {
		t.Run(hole.name, func(t *testing.T) { hole.attack(t, gatehouse) })
	}
}

// holed is a file of a package in a version with a known hole.
func holed(t *testing.T, elements ...string) string {
	t.Helper()
	return program.Installed(t, append([]string{"../node/holed/node_modules"}, elements...)...)
}

// attacked makes tries at one server with a hole. Outside it runs behind `gatehouse run`
// too, so that nothing but the sandbox is different.
func (s server) attacked(t *testing.T, gatehouse, work string, tries ...try) {
	t.Helper()
	outside, inside := s.start(t, gatehouse, work, false), s.start(t, gatehouse, work, true)
	s.used(t, inside.client)
	for _, x := range tries {
		t.Log(x.what)
		x.made(t, outside, inside)
	}
}

// openFile writes a file that everybody may change, in a folder where everybody may make
// some: only the sandbox may keep a server from it.
func openFile(t *testing.T, text string, elements ...string) string {
	t.Helper()
	path := filepath.Join(elements...)
	must(t, os.MkdirAll(filepath.Dir(path), 0o777))
	must(t, os.Chmod(filepath.Dir(path), 0o777))
	must(t, os.WriteFile(path, []byte(text), 0o666))
	must(t, os.Chmod(path, 0o666))
	return path
}
