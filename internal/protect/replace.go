package protect

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"gatehouse/internal/client"
)

// temporary is the form of the names of files that are there for a moment.
const temporary = ".gatehouse-*.tmp"

// errKept says that somebody else's content lies in the temporary file.
var errKept = errors.New("the file was changed at the same time")

// replaceFile puts new content in the place of a file that is still what it was. Readers
// see the old content or the new one; mode and owner stay. If somebody else writes at the
// same time, what they wrote is what stands there afterwards, and the error is ErrChanged.
func replaceFile(path string, old, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), temporary)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, likeness(file, info), file.Sync(), file.Close()); err == nil {
		err = swap(file.Name(), path, old, content)
	}
	if err != nil {
		if !errors.Is(err, errKept) {
			os.Remove(file.Name())
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

// swapWhereChecked is a swap for systems that cannot exchange two files in one step:
// between the look and the rename another program may write, for microseconds.
func swapWhereChecked(fresh, path string, old []byte) error {
	if now, err := readFile(path); err != nil || !bytes.Equal(now, old) {
		return errors.Join(client.ErrChanged, err)
	}
	return os.Rename(fresh, path)
}

// sweep removes what a crash left beside a file: copies of it, as it was or as it should be.
// What is neither may be somebody else's and stays.
func sweep(path string, known []string) error {
	left, err := filepath.Glob(filepath.Join(escaped(filepath.Dir(path)), temporary))
	if err != nil {
		return err
	}
	for _, name := range left {
		raw, err := readFile(name)
		if err == nil && slices.Contains(known, digest(raw)) {
			err = os.Remove(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// escaped is a folder as part of a pattern.
func escaped(dir string) string {
	if runtime.GOOS == "windows" {
		return dir // there a backslash separates, and nothing can be escaped
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
