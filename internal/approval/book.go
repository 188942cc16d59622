package approval

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/finding"
)

// FirstUse stands in the lock in place of a person's name: the item was approved
// because it was there when the server was first seen and no rule objected.
const FirstUse = "first use"

// Book holds the approvals of one lock. It is safe for concurrent use, and several
// processes may have Books on the same files.
type Book struct {
	lockPath string
	files    pendingFiles
	current  atomic.Pointer[snapshot] // what Check reads
	stamp    atomic.Pointer[stamp]    // of the lock file as last read or written

	mu      sync.Mutex           // before everything below
	lock    map[string]approvals // as last read or written
	pending map[string]*waiting  // likewise
	seen    map[string]sighting  // by this Book only: another process may reach a server in another way
}

// sighting is what the last whole definition said that the lock cannot say.
type sighting struct {
	source     string // digest
	duplicates map[key]bool
}

// Open reads the lock and what waits. A missing lock is an empty one; its folder
// must exist. pendingDir is made, with the folders above it, if it is missing.
func Open(lockPath, pendingDir string) (*Book, error) {
	// First, because the lock may stand in a folder that this makes.
	if err := os.MkdirAll(pendingDir, 0o700); err != nil {
		return nil, fmt.Errorf("opening approvals: %w", err)
	}
	path, err := resolve(lockPath)
	if err != nil {
		return nil, fmt.Errorf("opening approvals: %w", err)
	}
	b := &Book{lockPath: path, files: newPendingFiles(pendingDir, path), seen: map[string]sighting{}}
	if err := b.Reload(); err != nil {
		return nil, err
	}
	return b, nil
}

// LockPath is the lock file itself, links resolved.
func (b *Book) LockPath() string { return b.lockPath }

// PendingDir is the folder of what waits.
func (b *Book) PendingDir() string { return b.files.dir }

// Refresh is Reload if the lock file is another one than was read last. It costs
// one look at the file's time and size.
func (b *Book) Refresh() error {
	if last := b.stamp.Load(); last != nil && *last == stampOf(b.lockPath) {
		return nil
	}
	return b.Reload()
}

// stamp is the time and size of a file.
type stamp struct{ modified, size int64 }

// stampOf tells versions of a file apart; a file that is not there has one too.
func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime().UnixNano(), info.Size()}
}

// Reload reads lock and pending files again, all or nothing: after an error the
// Book answers as before.
func (b *Book) Reload() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	release, err := exclusive(filepath.Dir(b.lockPath))
	if err != nil {
		return fmt.Errorf("reading approvals: %w", err)
	}
	defer release()
	tx, err := b.begin()
	if err != nil {
		return fmt.Errorf("reading approvals: %w", err)
	}
	b.take(tx)
	return nil
}

// take makes what was read or written what the Book knows; the files are held.
func (b *Book) take(tx *transaction) {
	b.lock, b.pending = tx.lock, tx.pending
	now := stampOf(b.lockPath)
	b.stamp.Store(&now)
	b.publish()
}

// transaction is the content of the files while they are held, and which of them
// must be written.
type transaction struct {
	lock         map[string]approvals
	pending      map[string]*waiting
	lockChanged  bool
	pendingDirty map[string]bool
}

func (b *Book) begin() (*transaction, error) {
	lock, err := readLock(b.lockPath)
	if err != nil {
		return nil, err
	}
	pending, err := b.files.read()
	if err != nil {
		return nil, err
	}
	tx := &transaction{lock: lock, pending: pending, pendingDirty: map[string]bool{}}
	for server, w := range pending {
		if !w.settle(lock[server]) {
			tx.setPending(server, nil)
		}
	}
	return tx, nil
}

func (tx *transaction) setPending(server string, w *waiting) {
	tx.pendingDirty[server] = true
	if w == nil {
		delete(tx.pending, server)
		return
	}
	tx.pending[server] = w
}

func (tx *transaction) setLock(server string, set approvals) {
	tx.lockChanged = true
	tx.lock[server] = set
}

// update reads the files, lets change work on their content and writes them,
// while no other process can. Callers hold mu.
func (b *Book) update(change func(*transaction) error) error {
	release, err := exclusive(filepath.Dir(b.lockPath))
	if err != nil {
		return err
	}
	defer release()
	tx, err := b.begin()
	if err != nil {
		return err
	}
	if err := change(tx); err != nil {
		return err
	}
	if err := b.write(tx); err != nil {
		return err
	}
	b.take(tx)
	return nil
}

// write puts the lock first: if the machine stops in between, what was approved
// still waits, which settle notices.
func (b *Book) write(tx *transaction) error {
	if tx.lockChanged {
		content, err := encodeLock(b.lockPath, tx.lock)
		if err != nil {
			return err
		}
		if err := writeFile(b.lockPath, content, 0o644); err != nil {
			return err
		}
	}
	for _, server := range slices.Sorted(maps.Keys(tx.pendingDirty)) {
		if err := b.files.write(server, tx.pending[server]); err != nil {
			return err
		}
	}
	return nil
}

// ObserveOptions say how strict a first sight is. The zero value approves what no
// rule objects to.
type ObserveOptions struct {
	Explicit bool // never approve without a person
	// Objections are the findings about the definition that forbid approval as first
	// use; the caller decides from which severity on.
	Objections []finding.Finding
}

// Outcome is what Observe did.
type Outcome struct {
	State      State             // of the server, as Server says it
	FirstUse   bool              // the server was approved just now
	Changes    []Change          // what differs from the approved definition
	Objections []finding.Finding // the given findings and redefinitions
}

// Observe is given the whole definition of a server each time it was read as a
// whole. A server that was never seen is approved as first use, unless that is
// forbidden; then it waits in quarantine. Of a known server, the differences wait.
// After an error the caller must refuse the server.
func (b *Book) Observe(server string, d Definition, opts ObserveOptions) (Outcome, error) {
	if err := validateServer(server); err != nil {
		return Outcome{}, fmt.Errorf("observing a server: %w", err)
	}
	o, err := observe(server, d)
	if err != nil {
		return Outcome{}, fmt.Errorf("observing server %q: %w", Visible(server), err)
	}
	o.findings = append(slices.Clone(opts.Objections), o.findings...)
	if len(o.findings) > maxFindings {
		return Outcome{}, fmt.Errorf("observing server %q: more than %d findings", Visible(server), maxFindings)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// Published even if the files cannot be written: a changed source must not pass
	// because a disk is full.
	b.seen[server] = sighting{o.source, o.duplicates}
	b.publish()
	out := Outcome{Objections: o.findings}
	if !b.settled(server, o) {
		now := time.Now().UTC().Truncate(time.Second)
		err = b.update(func(tx *transaction) error {
			out.FirstUse = tx.observe(server, o, opts.Explicit, now)
			return nil
		})
		if err != nil {
			return Outcome{}, fmt.Errorf("observing server %q: %w", Visible(server), err)
		}
	}
	out.State = b.Server(server)
	out.Changes = b.changes(server)
	return out, nil
}

// settled reports that the definition is the approved one and nothing waits, so
// that the files need no change.
func (b *Book) settled(server string, o observation) bool {
	set := b.lock[server]
	if b.pending[server] != nil || len(set) != len(o.items) {
		return false
	}
	for _, item := range o.items {
		if set[item.key()].Digest != item.Digest || o.duplicates[item.key()] {
			return false
		}
	}
	return true
}

func (tx *transaction) observe(server string, o observation, explicit bool, now time.Time) (firstUse bool) {
	set, old := tx.lock[server], tx.pending[server]
	if set == nil && old == nil && !explicit && len(o.findings) == 0 {
		set = approvals{}
		for _, item := range o.items {
			set[item.key()] = approved{item, FirstUse, now}
		}
		tx.setLock(server, set)
		return true
	}
	w := compare(set, old, o, now)
	if len(w.items) == 0 {
		w = nil
	}
	tx.setPending(server, w)
	return false
}

// compare is what waits after the observation: what differs from the approved set
// and what is missing. What waited before keeps its history.
func compare(set approvals, old *waiting, o observation, now time.Time) *waiting {
	if old == nil {
		old = &waiting{}
	}
	w := &waiting{}
	present := make(map[key]bool, len(o.items))
	for _, item := range o.items {
		present[item.key()] = true
	}
	findings := map[key][]finding.Finding{}
	for _, f := range o.findings {
		if k, ok := subjectOf(f); ok && present[k] {
			findings[k] = append(findings[k], f)
		} else {
			w.findings = append(w.findings, f)
		}
	}
	history := map[key]*waitingItem{}
	for i := range old.items {
		history[old.items[i].key()] = &old.items[i]
	}
	for _, item := range o.items {
		k := item.key()
		if !o.duplicates[k] && set[k].Digest == item.Digest {
			continue
		}
		next := follow(history[k], item, now)
		next.duplicate, next.findings = o.duplicates[k], findings[k]
		w.items = append(w.items, next)
	}
	for k := range set {
		if !present[k] {
			w.items = append(w.items, follow(history[k], Item{Kind: k.kind, Name: k.name}, now))
		}
	}
	w.sort()
	return w
}

// follow is the item as it waits now, after what waited under its name before.
func follow(before *waitingItem, item Item, now time.Time) waitingItem {
	next := waitingItem{Item: item, since: now, versions: 1}
	if before != nil {
		next.since, next.versions = before.since, before.versions
		if before.Digest != item.Digest {
			next.versions++
		}
	}
	return next
}

// Pend notes that the server listed an item that is not the approved one, with
// what the rules found in it. The newest version waits; one that waits already
// costs nothing. An item that is approved is passed over. A source that the caller
// does not even start is noted in the same way; if it is not the approved one, the
// server drifts.
func (b *Book) Pend(server string, item Item, findings ...finding.Finding) error {
	if item.Kind != KindSource && b.current.Load().pends(server, item) {
		return nil
	}
	if err := validateItem(item); err != nil {
		return fmt.Errorf("noting a change of server %q: %w", Visible(server), err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if item.Kind == KindSource {
		b.seen[server] = sighting{item.Digest, b.seen[server].duplicates}
		b.publish()
		if b.current.Load().pends(server, item) {
			return nil
		}
	}
	now := time.Now().UTC().Truncate(time.Second)
	err := b.update(func(tx *transaction) error { return tx.pend(server, item, findings, now) })
	if err != nil {
		return fmt.Errorf("noting a change of server %q: %w", Visible(server), err)
	}
	return nil
}

func (tx *transaction) pend(server string, item Item, findings []finding.Finding, now time.Time) error {
	set, w := tx.lock[server], tx.pending[server]
	if set == nil && w == nil {
		return fmt.Errorf("the server was never observed")
	}
	if set[item.key()].Digest == item.Digest {
		return nil
	}
	if w == nil {
		w = &waiting{}
	}
	before := w.find(item.key())
	if before != nil && (before.duplicate || before.Digest == item.Digest || before.versions >= maxVersions) {
		return nil
	}
	next := follow(before, item, now)
	next.findings = findings
	if before != nil {
		*before = next
	} else {
		w.items = append(w.items, next)
		w.sort()
	}
	tx.setPending(server, w)
	return w.validate()
}

// Pending lists what waits, by server, and approved items that vanished.
func (b *Book) Pending() []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Change
	for _, server := range slices.Sorted(maps.Keys(b.pending)) {
		list = append(list, b.changes(server)...)
	}
	return list
}

// Servers lists the servers of the lock and those that wait.
func (b *Book) Servers() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]bool{}
	for server := range b.lock {
		all[server] = true
	}
	for server := range b.pending {
		all[server] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// ServerFindings are the findings that are about a waiting server as a whole and
// not about one item.
func (b *Book) ServerFindings(server string) []finding.Finding {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.pending[server]; w != nil {
		return slices.Clone(w.findings)
	}
	return nil
}

func (b *Book) changes(server string) []Change {
	return changes(server, b.lock[server], b.pending[server])
}

func changes(server string, set approvals, w *waiting) []Change {
	if w == nil {
		return nil
	}
	list := make([]Change, len(w.items))
	for i, item := range w.items {
		list[i] = Change{
			Server: server, Kind: item.Kind, Name: item.Name,
			Old:       set[item.key()].Item,
			Duplicate: item.duplicate, Quarantined: set == nil,
			Findings: item.findings, Since: item.since, Versions: item.versions,
		}
		if item.Digest != "" {
			list[i].New = item.Item
		}
	}
	return list
}

// Approve accepts the waiting changes of the server that choose picks, in the name
// of by, and says how many. A change may be newer than one that was shown to a
// person: choose must compare digests. Duplicates are never offered. Approving that
// an item vanished forgets it. Nothing of a server can be approved before its
// source is.
func (b *Book) Approve(server string, choose func(Change) bool, by string) (int, error) {
	if by == "" || len(by) > MaxNameBytes {
		return 0, fmt.Errorf("approving server %q: who approves must be named in at most %d bytes", Visible(server), MaxNameBytes)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now().UTC().Truncate(time.Second)
	count := 0
	err := b.update(func(tx *transaction) (err error) {
		count, err = tx.approve(server, choose, by, now)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("approving server %q: %w", Visible(server), err)
	}
	return count, nil
}

func (tx *transaction) approve(server string, choose func(Change) bool, by string, now time.Time) (int, error) {
	set, w := maps.Clone(tx.lock[server]), tx.pending[server]
	if w == nil {
		return 0, nil
	}
	if set == nil {
		set = approvals{}
	}
	count := 0
	for _, c := range changes(server, tx.lock[server], w) {
		if c.Duplicate || !choose(c) {
			continue
		}
		count++
		if k := (key{c.Kind, c.Name}); c.Waits() {
			set[k] = approved{c.New, by, now}
		} else {
			delete(set, k)
		}
	}
	if count == 0 {
		return 0, nil
	}
	if _, ok := set[key{KindSource, ""}]; !ok {
		return 0, fmt.Errorf("its source waits too and must be approved first or with the rest")
	}
	tx.setLock(server, set)
	if !w.settle(set) {
		w = nil
	}
	tx.setPending(server, w)
	return count, nil
}
