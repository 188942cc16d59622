//go:build amd64 || arm64

package sandbox

import (
	"os/exec"
	"testing"
)

// BenchmarkStart compares a program that ends at once with and without a sandbox.
// The difference is what a sandbox adds to the start of a server.
func BenchmarkStart(b *testing.B) {
	c := command("/bin/true")
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sandboxed", func(b *testing.B) {
		for b.Loop() {
			s, err := New(empty(), c)
			if err != nil {
				b.Fatal(err)
			}
			cmd := exec.Command("/proc/self/exe")
			if err := s.Configure(cmd); err != nil {
				b.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			if err := s.Started(cmd.Process.Pid); err != nil {
				b.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				b.Fatal(err)
			}
			s.Ended()
		}
	})
}
