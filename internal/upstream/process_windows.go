package upstream

import (
	"os/exec"
	"strconv"
	"time"
)

func ownGroup(*exec.Cmd) {}

func (p *Process) noteFamily() {}

// kill ends the process and its descendants as Windows knows them: by their
// parents. A descendant whose parent has died before is not found.
func (p *Process) kill() {
	p.reaping.Do(func() {
		select {
		case <-p.exited:
			return
		case <-time.After(termGrace):
		}
		_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(p.cmd.Process.Pid)).Run()
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
}

// AdoptOrphans does nothing: only Linux lets a program adopt orphans.
func AdoptOrphans() {}

// ReapAdopted does nothing: there is nobody to reap.
func ReapAdopted() {}

// EndAdopted does nothing: there is nobody to end.
func EndAdopted() {}
