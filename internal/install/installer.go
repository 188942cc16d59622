package install

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/command"
	"gatehouse/internal/egress"
	"gatehouse/internal/profile"
	"gatehouse/internal/statefile"
)

// Installer fetches packages into a store.
type Installer struct {
	Store Store
	// Record is told of what was installed before anything can start from it; an error
	// from it takes the installation back.
	Record func(Record) error
	// Reached is told of each connection of an installer; an error refuses it. May be nil.
	Reached func(egress.Event) error
	// Progress is told in plain words what is being done. May be nil.
	Progress func(text string)

	Network         []profile.Destination // places besides the registries
	UnsafeAddresses []netip.Prefix        // ranges into which their names may lead though they are not public
	Hidden          []string              // paths that installers must not see
	Time            time.Duration         // of one installation; 0: ten minutes
	Bytes           int64                 // of one installation; 0: 2 GiB
}

// Ensure is what is installed for a request; it installs it if there is nothing. What
// was changed since it was installed is an error, not a reason to fetch it anew.
func (i *Installer) Ensure(ctx context.Context, r command.Request) (rec Record, installed bool, err error) {
	if rec, err = i.Store.Find(r); !errors.Is(err, ErrNotInstalled) {
		return rec, false, err
	}
	unlock, err := i.lock(ctx)
	if err != nil {
		return Record{}, false, err
	}
	defer unlock()
	// Another process may have installed it in the meantime.
	if rec, err = i.Store.Find(r); !errors.Is(err, ErrNotInstalled) {
		return rec, false, err
	}
	rec, err = i.install(ctx, r)
	return rec, err == nil, err
}

// Install installs what a request means today, whether something is installed for it
// or not. What runs from an older installation is not disturbed.
func (i *Installer) Install(ctx context.Context, r command.Request) (Record, error) {
	unlock, err := i.lock(ctx)
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	return i.install(ctx, r)
}

// lockRetry is the time between two attempts to be the only one that installs.
const lockRetry = 200 * time.Millisecond

// lock makes this process the only one that installs into the store.
func (i *Installer) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(i.Store.Dir, recordsFolder), 0o700); err != nil {
		return nil, err
	}
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for waits := false; ; waits = true {
		unlock, err = statefile.Lock(filepath.Join(i.Store.Dir, "lock"))
		if !errors.Is(err, statefile.ErrLocked) {
			return unlock, err
		}
		if !waits {
			i.say("Waiting for another process that installs packages …")
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another process installs packages: %w", ctx.Err())
		case <-retry.C:
		}
	}
}

func (i *Installer) say(format string, args ...any) {
	if i.Progress != nil {
		i.Progress(fmt.Sprintf(format, args...))
	}
}

// beginning is how the name of a folder begins that is not complete.
const beginning = ".new-"

func (i *Installer) install(ctx context.Context, r command.Request) (Record, error) {
	if err := i.clear(); err != nil {
		return Record{}, err
	}
	i.say("Installing %s …", r)
	folder, err := os.MkdirTemp(i.Store.Dir, beginning)
	if err != nil {
		return Record{}, err
	}
	defer os.RemoveAll(folder) // nothing once it was renamed
	rec := Record{Schema: schema, Kind: r.Kind, Request: r.Specs, Python: r.Python, Programs: map[string]string{}}
	if r.Kind == command.NPM {
		err = i.npm(ctx, r, folder, &rec)
	} else {
		err = i.pypi(ctx, r, folder, &rec)
	}
	if err != nil {
		return Record{}, fmt.Errorf("installing %s: %w", r, err)
	}
	if _, err := rec.program(r.Program); err != nil {
		return Record{}, fmt.Errorf("installing %s: %w", r, err)
	}
	if err := i.keep(r, folder, &rec); err != nil {
		return Record{}, fmt.Errorf("keeping %s: %w", r, err)
	}
	i.say("Installed %s", rec)
	return rec, nil
}

// clear removes what installations that were broken off have left behind. The caller
// holds the lock.
func (i *Installer) clear() error {
	left, err := filepath.Glob(filepath.Join(i.Store.Dir, beginning+"*"))
	if err != nil {
		return err
	}
	for _, folder := range left {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// keep puts an installation in its place: the folder first, then the entry of the
// log, then the record that makes it usable.
func (i *Installer) keep(r command.Request, folder string, rec *Record) error {
	if err := settle(folder); err != nil {
		return err
	}
	found, err := measure(folder, rec.Kind)
	if err != nil {
		return err
	}
	if found.bytes > cmp.Or(i.Bytes, maxBytes) {
		return errTooLarge
	}
	rec.Tree, rec.Files, rec.Bytes = found.digest, found.files, found.bytes
	rec.Installed = time.Now().UTC().Truncate(time.Second)
	rec.Folder = folderName(*rec)
	place := i.Store.Path(*rec)
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return err
	}
	if i.Store.Verify(*rec) != nil { // otherwise the very same is there
		// What was changed is put aside, not removed: something may run from it.
		if err := os.Rename(place, place+".changed-"+time.Now().UTC().Format("20060102T150405.000000000")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Rename(folder, place); err != nil {
			return err
		}
	}
	if err := i.Record(*rec); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	return statefile.Replace(i.Store.recordPath(r), append(raw, '\n'))
}

// folderName is the name of an installation, by what is in it.
func folderName(rec Record) string {
	name := strings.ReplaceAll(rec.Package, "/", "+")
	const shown = 12
	return string(rec.Kind) + "/" + name + "@" + rec.Version + "-" + strings.TrimPrefix(rec.Tree, "sha256:")[:shown]
}

// String says in one line what is installed, for the log and for people.
func (rec Record) String() string {
	text := fmt.Sprintf("%s:%s@%s, %d packages from %s by %s, %s", rec.Kind, rec.Package, rec.Version, rec.Packages, rec.Registry, rec.Installer, rec.Tree)
	if rec.Integrity != "" {
		text += ", archive " + rec.Integrity
	}
	switch n := len(rec.Scripts); {
	case n == 0:
		text += "; no package has a script for its installation"
	default:
		shown := slices.Clone(rec.Scripts)
		const most = 10
		if n > most {
			shown = append(shown[:most], fmt.Sprintf("and %d more", n-most))
		}
		text += fmt.Sprintf("; %d had scripts, which were not run: %s", n, strings.Join(shown, ", "))
	}
	return text
}
