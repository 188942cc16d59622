package protect

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"gatehouse/internal/client"
)

// swap exchanges two files in one step and looks at what it got: whatever another program
// wrote until then is in hand, and is put back.
func swap(fresh, path string, old, content []byte) error {
	err := exchange(fresh, path)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return swapWhereChecked(fresh, path, old)
	}
	if err != nil {
		return err
	}
	was, err := readFile(fresh)
	if err == nil && bytes.Equal(was, old) {
		return os.Remove(fresh)
	}
	if back := exchange(fresh, path); back != nil {
		return fmt.Errorf("%w, and what it held is now in %s: %w", errKept, fresh, back)
	}
	if now, err := readFile(fresh); err != nil || !bytes.Equal(now, content) {
		// Somebody wrote between the two exchanges: the newest is theirs.
		if back := exchange(fresh, path); back != nil {
			return fmt.Errorf("%w, and what it held last is now in %s: %w", errKept, fresh, back)
		}
	}
	return errors.Join(client.ErrChanged, err)
}

func exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}
