package protect

import (
	"io/fs"
	"os"
)

// likeness does nothing: a new file has the rights of its folder.
func likeness(*os.File, fs.FileInfo) error { return nil }

// syncDir does nothing: the system offers no such call.
func syncDir(string) error { return nil }
