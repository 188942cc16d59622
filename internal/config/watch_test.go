package config

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// watching starts a watch and returns a function that waits for one call.
func watching(t *testing.T, path string, patterns ...string) (changed func(want bool)) {
	t.Helper()
	calls := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	if err := WatchAlso(ctx, path, func() []string { return patterns }, func() { calls <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	return func(want bool) {
		t.Helper()
		bound := 10 * time.Second
		if !want {
			bound = 3 * quiet
		}
		select {
		case <-calls:
			if !want {
				t.Error("called without a change")
			}
		case <-time.After(bound):
			if want {
				t.Fatal("the change was not noticed")
			}
		}
	}
}

func overwrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func Test_watch_sees_writes_and_replacements(t *testing.T) {
	path := write(t, "gatehouse.yaml", "1")
	changed := watching(t, path)

	overwrite(t, path, "2")
	changed(true)

	for _, content := range []string{"3", "4"} { // the second replaces what replaced the first
		overwrite(t, path+".new", content)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		changed(true)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	changed(false)
	overwrite(t, path, "5")
	changed(true)
}

func Test_watch_is_quiet_about_everything_else(t *testing.T) {
	path := write(t, "gatehouse.yaml", "1")
	changed := watching(t, path)
	overwrite(t, filepath.Join(filepath.Dir(path), "gatehouse.lock"), "x")
	overwrite(t, path, "1")
	changed(false)
}

func Test_watch_gathers_the_steps_of_one_change(t *testing.T) {
	path := write(t, "gatehouse.yaml", "1")
	changed := watching(t, path)
	for range 5 {
		overwrite(t, path, "half")
		overwrite(t, path, "whole")
	}
	changed(true)
	changed(false)
}

func Test_watch_follows_links(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"v1", "v2"} {
		if err := os.MkdirAll(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		overwrite(t, filepath.Join(dir, version, "gatehouse.yaml"), version)
	}
	turn := func(target string) {
		if err := os.Symlink(target, filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
	}
	turn("v1")
	path := filepath.Join(dir, "gatehouse.yaml")
	if err := os.Symlink(filepath.Join("current", "gatehouse.yaml"), path); err != nil {
		t.Fatal(err)
	}
	changed := watching(t, path)
	turn("v2")
	changed(true)
	overwrite(t, filepath.Join(dir, "v2", "gatehouse.yaml"), "v2, changed in its folder")
	changed(true)
}

func Test_watch_ends_with_its_context(t *testing.T) {
	path := write(t, "gatehouse.yaml", "1")
	ctx, cancel := context.WithCancel(context.Background())
	calls := make(chan struct{}, 1)
	if err := Watch(ctx, path, func() { cancel(); calls <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, "2")
	select {
	case <-calls:
	case <-time.After(10 * time.Second):
		t.Fatal("the change was not noticed")
	}
	overwrite(t, path, "3")
	select {
	case <-calls:
		t.Error("called after the end")
	case <-time.After(3 * quiet):
	}
}

func Test_watch_needs_a_folder(t *testing.T) {
	if err := Watch(t.Context(), filepath.Join(t.TempDir(), "none", "gatehouse.yaml"), func() {}); err == nil {
		t.Error("no error")
	}
}

func Test_watch_sees_other_files_come_change_and_go(t *testing.T) {
	path := write(t, "gatehouse.yaml", "1")
	folder := filepath.Join(filepath.Dir(path), "policies")
	for _, sub := range []string{"x", "y"} {
		if err := os.MkdirAll(filepath.Join(folder, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	changed := watching(t, path, filepath.Join(folder, "*.cedar"), filepath.Join(folder, "*", "*.cedar"))

	first := filepath.Join(folder, "a.cedar")
	overwrite(t, first, "permit")
	changed(true)
	overwrite(t, first, "forbid")
	changed(true)
	overwrite(t, filepath.Join(folder, "a.txt"), "no policy")
	overwrite(t, first, "forbid")
	changed(false)
	overwrite(t, filepath.Join(folder, "y", "b.cedar"), "permit")
	changed(true)
	if err := os.Rename(first, filepath.Join(folder, "c.cedar")); err != nil {
		t.Fatal(err)
	}
	changed(true)
	if err := os.Remove(filepath.Join(folder, "c.cedar")); err != nil {
		t.Fatal(err)
	}
	changed(true)
	overwrite(t, path, "2")
	changed(true)

	// A folder that comes later, and a link that is turned.
	if err := os.Mkdir(filepath.Join(folder, "z"), 0o700); err != nil {
		t.Fatal(err)
	}
	changed(false)
	overwrite(t, filepath.Join(folder, "z", "d.cedar"), "permit")
	changed(true)
	elsewhere := filepath.Join(t.TempDir(), "e.cedar")
	overwrite(t, elsewhere, "permit")
	if err := os.Symlink(elsewhere, filepath.Join(folder, "e.cedar")); err != nil {
		t.Fatal(err)
	}
	changed(true)
	overwrite(t, elsewhere, "forbid")
	changed(true)
}

// The configuration itself says which other files there are.
func Test_watch_follows_other_patterns(t *testing.T) {
	path := write(t, "gatehouse.yaml", "old")
	folder := t.TempDir()
	overwrite(t, filepath.Join(folder, "z.cedar"), "permit")
	var pattern atomic.Pointer[string]
	pattern.Store(new(string))
	calls := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	err := WatchAlso(ctx, path, func() []string { return []string{*pattern.Load()} }, func() {
		next := filepath.Join(folder, "*.cedar")
		pattern.Store(&next)
		calls <- struct{}{}
	})
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, "new")
	wait := func() {
		t.Helper()
		select {
		case <-calls:
		case <-time.After(10 * time.Second):
			t.Fatal("the change was not noticed")
		}
	}
	wait()
	wait() // whether one of the other files changed meanwhile, nobody knows
	overwrite(t, filepath.Join(folder, "a.cedar"), "permit")
	wait()
}
