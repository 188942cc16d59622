package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long the folder must be still before the file is looked at:
	// editors write in several steps.
	quiet = 100 * time.Millisecond
	// patience bounds that wait in a folder that is never still.
	patience = 2 * time.Second
)

// Watch calls changed whenever the content of the file at path has changed,
// until ctx ends. It returns as soon as it watches; a change from then on is not
// missed, so call it before Load. Calls do not overlap. A file that is gone or
// cannot be read is not a change.
//
// It watches folders, not the file: editors and orchestrators replace a file by
// renaming another one over it, or turn a symbolic link. It is not guaranteed to
// notice a folder that is itself replaced.
func Watch(ctx context.Context, path string, changed func()) error {
	return WatchAlso(ctx, path, func() []string { return nil }, changed)
}

// WatchAlso is Watch for a file and for all others whose names match patterns, which
// may be others after every call of changed. Of these, one that comes, goes or cannot
// be read any more is a change too.
func WatchAlso(ctx context.Context, path string, patterns func() []string, changed func()) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("watching the configuration: %w", err)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching the configuration: %w", err)
	}
	w := &watch{path: path, patterns: patterns, watcher: watcher}
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		watcher.Close()
		return fmt.Errorf("watching the configuration: %w", err)
	}
	w.follow()
	w.last, _ = w.digest()
	go w.run(ctx, changed)
	return nil
}

// watch is owned by the goroutine of run.
type watch struct {
	path     string
	patterns func() []string
	watcher  *fsnotify.Watcher
	last     [sha256.Size]byte
}

func (w *watch) run(ctx context.Context, changed func()) {
	defer w.watcher.Close()
	timer := time.NewTimer(0)
	<-timer.C
	var since time.Time // of the first event that was not yet acted on
	stir := func() {
		if since.IsZero() {
			since = time.Now()
		}
		timer.Reset(max(0, min(quiet, patience-time.Since(since))))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-w.watcher.Events:
			if !open {
				return
			}
			stir()
		case _, open := <-w.watcher.Errors:
			if !open {
				return
			}
			stir() // events were lost; the content tells
		case <-timer.C:
			since = time.Time{}
			w.follow()
			if digest, ok := w.digest(); ok && digest != w.last {
				w.last = digest
				before := w.patterns()
				changed()
				if !slices.Equal(before, w.patterns()) {
					stir() // there are other files to look at
				}
			}
		}
	}
}

// follow watches the folders of all files, which may have changed. Watching a folder
// twice is watching it once; one that cannot be watched is tried again at every look.
func (w *watch) follow() {
	w.followLink(w.path)
	for _, pattern := range w.patterns() {
		for _, file := range glob(pattern) {
			w.followLink(file)
		}
		w.followFolders(filepath.Dir(pattern))
	}
}

// followLink watches the folder of the file that path leads to.
func (w *watch) followLink(path string) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		// Without it only a turned link is noticed; that is still a watch.
		_ = w.watcher.Add(filepath.Dir(target))
	}
}

// followFolders watches the folders that match, and those above in which another one
// may appear.
func (w *watch) followFolders(pattern string) {
	for {
		for _, folder := range glob(pattern) {
			_ = w.watcher.Add(folder)
		}
		above := filepath.Dir(pattern)
		if !hasWildcard(pattern) || above == pattern {
			_ = w.watcher.Add(above)
			return
		}
		pattern = above
	}
}

func hasWildcard(pattern string) bool { return strings.ContainsAny(pattern, `*?[`) }

// glob is empty for a pattern that is none; who reads the files says so.
func glob(pattern string) []string {
	found, _ := filepath.Glob(pattern)
	return found
}

func (w *watch) digest() (sum [sha256.Size]byte, ok bool) {
	raw, err := readRegular(w.path, maxClientBytes)
	if err != nil {
		return sum, false
	}
	whole := sha256.New()
	add := func(content []byte) {
		sum := sha256.Sum256(content)
		whole.Write(sum[:])
	}
	add(raw)
	for _, pattern := range w.patterns() {
		for _, file := range glob(pattern) {
			add([]byte(file))
			raw, err := readRegular(file, maxClientBytes)
			if err != nil {
				raw = []byte(err.Error())
			}
			add(raw)
		}
	}
	return [sha256.Size]byte(whole.Sum(nil)), true
}
