//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package oauth

import (
	"io/fs"
	"os"
)

// BUG(gatehouse): on systems without flock two processes may refresh one token at
// the same time; one of them then needs another login.
func tryLock(*os.File) error { return nil }

func onlyOurs(string, fs.FileInfo) error { return nil }
