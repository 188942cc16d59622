package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
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
	return WatchWith(ctx, path, func() []string { return nil }, changed)
}

// WatchWith is Watch for a file together with those that patterns name, as
// filepath.Glob understands them. The patterns are asked for anew at every look. A file
// that a pattern names from now on, or no longer, is a change.
func WatchWith(ctx context.Context, path string, patterns func() []string, changed func()) error {
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
				changed()
			}
		}
	}
}

// follow watches the folders of the files that paths lead to, which may have changed.
// Watching a folder twice is watching it once. Without one of them only a turned link is
// noticed; that is still a watch.
func (w *watch) follow() {
	for _, path := range append(w.named(), w.path) {
		_ = w.watcher.Add(filepath.Dir(path))
		if target, err := filepath.EvalSymlinks(path); err == nil {
			_ = w.watcher.Add(filepath.Dir(target))
		}
	}
	for _, pattern := range w.patterns() {
		_ = w.watcher.Add(filepath.Dir(pattern)) // where a file may appear
	}
}

// named are the files of the patterns.
func (w *watch) named() []string {
	var files []string
	for _, pattern := range w.patterns() {
		found, _ := filepath.Glob(pattern) // a malformed one is refused where the configuration is loaded
		files = append(files, found...)
	}
	return files
}

// digest is one of all names and contents. Of the files of patterns, one that cannot be
// read is another content, so that whoever loads them says why.
func (w *watch) digest() (sum [sha256.Size]byte, ok bool) {
	raw, err := readRegular(w.path, maxClientBytes)
	if err != nil {
		return sum, false
	}
	all := sha256.New()
	add := func(name string, raw []byte, err error) {
		content := sha256.Sum256(raw)
		fmt.Fprintf(all, "%q %x %v\n", name, content, err)
	}
	add("", raw, nil)
	for _, name := range w.named() {
		raw, err := readRegular(name, maxClientBytes)
		add(name, raw, err)
	}
	all.Sum(sum[:0])
	return sum, true
}
