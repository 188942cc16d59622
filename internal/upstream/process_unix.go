//go:build unix

package upstream

import (
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// ownGroup starts the process in a group of its own, so that npx, uvx and shells
// do not leave the real server behind when they are killed
// (typescript-sdk #2023, docker/mcp-gateway #483).
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// kill ends the process, its group and every descendant, and reaps the process.
// It returns when they are gone. It may be called more than once and from
// several goroutines.
func (p *Process) kill() {
	p.reaping.Do(func() {
		pid := p.cmd.Process.Pid
		// Descendants that left the group are found by their parents, before those
		// are gone.
		strays := append(p.familyNoted(), descendants(pid)...)
		signalAll(pid, strays, syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(termGrace):
		}
		strays = append(strays, descendants(pid)...)
		signalAll(pid, strays, syscall.SIGKILL)
		<-p.exited
		reapOrphans(strays)
	})
}

// noteFamily remembers the descendants while the process is there to tell them: a
// server that ends by itself when its stdin closes leaves those in sessions of
// their own behind, and nothing says any more whose they were.
func (p *Process) noteFamily() {
	family := descendants(p.cmd.Process.Pid)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.family = family
}

func (p *Process) familyNoted() []kin {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.family
}

func signalAll(pid int, others []kin, sig syscall.Signal) {
	_ = syscall.Kill(-pid, sig)
	for _, other := range others {
		if other.alive() {
			_ = syscall.Kill(other.pid, sig)
		}
	}
}

var becomeReaper sync.Once
