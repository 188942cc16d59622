//go:build !linux

package audit

import "os"

func syncData(file *os.File) error { return file.Sync() }
