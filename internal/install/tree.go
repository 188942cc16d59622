package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/internal/command"
)

// Bounds of what is installed for one request. The largest servers known, with a
// client of a cloud, have half of that.
const (
	maxFiles = 200_000
	maxBytes = 2 << 30
)

// tree is what a folder holds.
type tree struct {
	digest string // sha256:… over the paths, kinds and contents of everything
	files  int
	bytes  int64
}

// measure digests a folder. Links must stay in it, except those of a virtual
// environment to its interpreter; devices, pipes and sockets are no part of a package.
func measure(folder string, kind command.Kind) (tree, error) {
	var t tree
	all := sha256.New()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		what := filepath.ToSlash(rel)
		switch {
		case entry.IsDir():
			fmt.Fprintf(all, "folder %q\n", what)
			return nil
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if !stays(rel, target) && !(kind == command.PyPI && interpreterLink(what)) {
				return fmt.Errorf("%s is a link that leads out of the package", rel)
			}
			fmt.Fprintf(all, "link %q %q\n", what, target)
		case entry.Type().IsRegular():
			sum, info, err := digestFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(all, "file %q %v %d %s\n", what, info.Mode()&0o111 != 0, info.Size(), sum)
			t.bytes += info.Size()
		default:
			return fmt.Errorf("%s is neither a file nor a folder", rel)
		}
		if t.files++; t.files > maxFiles || t.bytes > maxBytes {
			return errTooLarge
		}
		return nil
	})
	t.digest = "sha256:" + hex.EncodeToString(all.Sum(nil))
	return t, err
}

var errTooLarge = errors.New("the package and those that it needs are too large")

// stays reports whether a link at rel leads to something in the same folder.
func stays(rel, target string) bool {
	return !filepath.IsAbs(target) && filepath.IsLocal(filepath.Join(filepath.Dir(rel), target))
}

// interpreterLink names the links of a virtual environment to its interpreter.
func interpreterLink(path string) bool {
	name, found := strings.CutPrefix(path, "bin/python")
	return found && strings.Trim(name, "0123456789.") == ""
}

func digestFile(path string) (string, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", nil, err
	}
	return hex.EncodeToString(h.Sum(nil)), info, nil
}

// settle gives everything in a folder the rights that it is meant to have: nobody
// but the owner writes, and no program runs as somebody else.
func settle(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		mode := fs.FileMode(0o644)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() || info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	})
}

// outgrown reports whether a folder that is still being filled is too large already.
func outgrown(folder string, most int64) bool {
	files, bytes := 0, int64(0)
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it is being written
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		// What was fetched lies there a second time until the end.
		if files++; files > 2*maxFiles || bytes > 2*most {
			return errTooLarge
		}
		return nil
	})
	return errors.Is(err, errTooLarge)
}
