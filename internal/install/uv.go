package install

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gatehouse/internal/command"
	"gatehouse/internal/statefile"
)

const wantedName = "requirements.in"

// uv installs with uv where Python has no pip: first it writes down what is to be
// installed, with all digests that the index has, then it installs exactly that.
func (i *Installer) uv(ctx context.Context, program string, s pythonSettings, r command.Request, folder string, rec *Record) error {
	version, err := ask(ctx, program, "--version")
	if err != nil {
		return err
	}
	s.readUV()
	wanted, lock, cache := filepath.Join(folder, wantedName), filepath.Join(folder, pipLockName), filepath.Join(folder, cacheName)
	if err := os.WriteFile(wanted, []byte(strings.Join(r.Specs, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	// uv asks the interpreter what it is, so it may start it.
	t := tool{folder: folder, read: s.library, execute: []string{s.python}}
	common := []string{"--quiet", "--no-config", "--no-python-downloads", "--cache-dir", cache, "--only-binary", ":all:", "--python", filepath.Join(folder, "bin", "python"), "--index-url", s.index}
	t.args = common
	if err := i.pypiPlaces(s, &t); err != nil {
		return err
	}
	common = t.args
	t.args = append([]string{program, "pip", "compile", "--generate-hashes", "--no-header", "--no-annotate", "--output-file", lock, wanted}, common...)
	if err := i.run(ctx, t); err != nil {
		return err
	}
	t.args = append([]string{program, "pip", "install", "--require-hashes", "--link-mode", "copy", "--requirements", lock}, common...)
	if err := i.run(ctx, t); err != nil {
		return err
	}
	for _, path := range []string{cache, wanted} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	rec.Registry, rec.Installer, rec.Interpreter = withoutSecret(s.index), version, s.python
	if err := rec.readUVLock(lock, r.Name()); err != nil {
		return err
	}
	return rec.pythonPrograms(folder, r)
}

// readUV takes the settings of uv that stand in the environment; those in files of uv
// are not read.
func (s *pythonSettings) readUV() {
	s.index = cmp.Or(os.Getenv("UV_DEFAULT_INDEX"), os.Getenv("UV_INDEX_URL"), s.index)
	s.extra = strings.Fields(cmp.Or(os.Getenv("UV_INDEX"), os.Getenv("UV_EXTRA_INDEX_URL")))
}

// lockedLine is a package in a file of requirements.
var lockedLine = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)==([^ ;\\]+)`)

// readUVLock refuses what has no digest. An index has one for each archive of a
// version; which of them was taken is not said.
func (rec *Record) readUVLock(lock, name string) error {
	raw, err := statefile.Read(lock, maxLock)
	if err != nil {
		return err
	}
	last, digests := "", 0
	check := func() error {
		if last != "" && digests == 0 {
			return fmt.Errorf("the index has no digest of %s", last)
		}
		return nil
	}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "--hash=sha256:") {
			if digests++; last == name {
				rec.Integrity = strings.TrimPrefix(strings.TrimSuffix(line, ` \`), "--hash=")
			}
			if last == name && digests > 1 {
				rec.Integrity = fmt.Sprintf("one of %d in %s", digests, pipLockName)
			}
			continue
		}
		m := lockedLine.FindStringSubmatch(line)
		if m == nil {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			return fmt.Errorf("%q does not come from an index", line)
		}
		if err := check(); err != nil {
			return err
		}
		last, digests = (command.Request{Kind: command.PyPI, Specs: []string{m[1]}}).Name(), 0
		if rec.Packages++; last == name {
			rec.Package, rec.Version = name, m[2]
		}
	}
	if err := check(); err != nil {
		return err
	}
	if rec.Package == "" {
		return fmt.Errorf("uv installed no package %s", name)
	}
	rec.Lock = digestOf(raw)
	return nil
}
