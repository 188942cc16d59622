//go:build unix && !linux

package upstream

// AdoptOrphans does nothing: only Linux lets a program adopt orphans.
func AdoptOrphans() {}

// ReapAdopted does nothing: there is nobody to reap.
func ReapAdopted() {}

// EndAdopted does nothing: there is nobody to end.
func EndAdopted() {}

// descendants finds nothing: the process group is all that is ended here.
func descendants(int) []kin { return nil }

func (k kin) alive() bool { return false }

func reapOrphans([]kin) {}
