//go:build unix

package client

import (
	"os"
	"path/filepath"
	"testing"
)

func Test_who_else_may_use_a_file(t *testing.T) {
	f := func(folder, file os.FileMode, want Access) {
		t.Helper()
		root := t.TempDir()
		dir := filepath.Join(root, "d")
		name := filepath.Join(dir, "mcp.json")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		for path, mode := range map[string]os.FileMode{name: file, dir: folder, root: 0o755} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		if want.Folder != "" {
			want.Folder = dir
		}
		if got := Read("test", Found{Path: name, Place: place, System: Linux, Root: root}, prints).Access; got != want {
			t.Errorf("folder %o, file %o: %+v, want %+v", folder, file, got, want)
		}
		if got := Read("test", Found{Path: name, Place: place, System: Windows, Root: root}, prints); got.Access != (Access{}) || got.Mode != "" {
			t.Errorf("modes of a disk of Windows count: %+v", got.Access)
		}
	}
	f(0o755, 0o600, Access{})
	f(0o755, 0o644, Access{Read: Everybody})
	f(0o755, 0o666, Access{Read: Everybody, Write: Everybody})
	f(0o700, 0o666, Access{}) // nobody else gets there
	f(0o777, 0o600, Access{Replace: Everybody, Folder: "d"})
	f(0o777|os.ModeSticky, 0o600, Access{})
}

func Test_the_folders_at_both_ends_of_a_link_count(t *testing.T) {
	root := t.TempDir()
	open, closed := filepath.Join(root, "open"), filepath.Join(root, "closed")
	for dir, mode := range map[string]os.FileMode{root: 0o755, open: 0o777, closed: 0o755} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(open, "mcp.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	target, name := filepath.Join(open, "mcp.json"), filepath.Join(closed, "mcp.json")
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
	if got, err := access(Found{Path: name, System: Linux, Root: root}); err != nil || got.Replace != Everybody || filepath.Base(got.Folder) != "open" {
		t.Errorf("%+v, %v", got, err)
	}
	// Nobody else comes to the link, and everybody to where it leads.
	for path, mode := range map[string]os.FileMode{closed: 0o700, open: 0o755, target: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := access(Found{Path: name, System: Linux, Root: root}); err != nil || got != (Access{Read: Everybody, Write: Everybody}) {
		t.Errorf("%+v, %v", got, err)
	}
	// Who may replace the link may not do so with what it leads to.
	for path, mode := range map[string]os.FileMode{closed: 0o777, target: 0o600} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := access(Found{Path: name, System: Linux, Root: root}); err != nil || got.Replace != Everybody || filepath.Base(got.Folder) != "closed" || got.Read != Nobody {
		t.Errorf("%+v, %v", got, err)
	}
}

func Test_who_may_use_what_is_gone_cannot_be_told(t *testing.T) {
	if got, err := access(Found{Path: filepath.Join(t.TempDir(), "gone")}); err == nil {
		t.Errorf("%+v", got)
	}
}

func Test_the_most_people_are_told(t *testing.T) {
	order := []Who{Nobody, Group, Everybody}
	for i, a := range order {
		for j, b := range order {
			if a.over(b) != (i > j) || a.and(b) != order[min(i, j)] {
				t.Errorf("%q and %q", a, b)
			}
		}
	}
}
