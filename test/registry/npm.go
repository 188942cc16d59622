// Package registry is what npm and pip install from in tests: registries of this
// machine, with packages that tests make up and with those that `make tools` has
// installed. Nothing is downloaded.
package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Package is one version of a package of npm.
type Package struct {
	Name, Version string
	Manifest      map[string]any    // of package.json, besides name and version
	Files         map[string]string // by path
	folder        string            // where it is installed, instead of Files
}

// NPM is a registry of npm.
type NPM struct {
	URL string

	mu       sync.Mutex
	packages map[string][]Package
	archives map[string][]byte // by name@version
	asked    []string          // paths
}

// NewNPM serves packages, and those that are installed in the given folders
// (node_modules), until the test ends.
func NewNPM(t testing.TB, packages []Package, installed ...string) *NPM {
	t.Helper()
	r := &NPM{packages: map[string][]Package{}, archives: map[string][]byte{}}
	for _, folder := range installed {
		if err := r.find(folder); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range packages {
		r.Publish(p)
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL + "/"
	return r
}

// Publish adds a version, or replaces it.
func (r *NPM) Publish(p Package) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.archives, p.Name+"@"+p.Version)
	r.packages[p.Name] = append(slices.DeleteFunc(r.packages[p.Name], func(o Package) bool { return o.Version == p.Version }), p)
}

// Asked is how often the registry was asked for anything.
func (r *NPM) Asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// find takes the packages of a folder, and those within them, into the registry.
func (r *NPM) find(modules string) error {
	entries, err := os.ReadDir(modules)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		folder := filepath.Join(modules, entry.Name())
		switch {
		case !entry.IsDir() || strings.HasPrefix(entry.Name(), "."):
			continue
		case strings.HasPrefix(entry.Name(), "@"):
			if err := r.find(folder); err != nil {
				return err
			}
			continue
		}
		if _, err := os.Stat(filepath.Join(folder, "node_modules")); err == nil {
			if err := r.find(filepath.Join(folder, "node_modules")); err != nil {
				return err
			}
		}
		raw, err := os.ReadFile(filepath.Join(folder, "package.json"))
		if err != nil {
			continue // a folder of something else
		}
		p := Package{folder: folder}
		if err := json.Unmarshal(raw, &p.Manifest); err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		p.Name, _ = p.Manifest["name"].(string)
		p.Version, _ = p.Manifest["version"].(string)
		r.Publish(p)
	}
	return nil
}

func (r *NPM) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path, err := url.PathUnescape(strings.TrimPrefix(request.URL.EscapedPath(), "/"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.asked = append(r.asked, path)
	name, archive, isArchive := strings.Cut(path, "/-/")
	versions := r.packages[name]
	if len(versions) == 0 {
		http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
		return
	}
	if isArchive {
		for _, p := range versions {
			if archive == p.Version+".tgz" {
				r.answer(w, func() (any, error) { return r.archive(p) })
				return
			}
		}
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	r.answer(w, func() (any, error) { return r.document("http://"+request.Host+"/", name, versions) })
}

func (r *NPM) answer(w http.ResponseWriter, make func() (any, error)) {
	value, err := make()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if raw, is := value.([]byte); is {
		_, _ = w.Write(raw) // who asked is gone
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// document is what a registry says of a package.
func (r *NPM) document(base, name string, versions []Package) (map[string]any, error) {
	all := map[string]any{}
	for _, p := range versions {
		archive, err := r.archive(p)
		if err != nil {
			return nil, err
		}
		sum := sha512.Sum512(archive)
		manifest := p.manifest()
		manifest["dist"] = map[string]any{
			"tarball":   base + name + "/-/" + p.Version + ".tgz",
			"integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
		}
		if scripts, _ := manifest["scripts"].(map[string]any); scripts["install"] != nil || scripts["postinstall"] != nil || scripts["preinstall"] != nil {
			manifest["hasInstallScript"] = true
		}
		all[p.Version] = manifest
	}
	return map[string]any{"name": name, "dist-tags": map[string]any{"latest": versions[len(versions)-1].Version}, "versions": all}, nil
}

func (p Package) manifest() map[string]any {
	m := map[string]any{}
	for name, value := range p.Manifest {
		m[name] = value
	}
	delete(m, "devDependencies")
	m["name"], m["version"] = p.Name, p.Version
	return m
}

// archive packs a package as npm does.
func (r *NPM) archive(p Package) ([]byte, error) {
	key := p.Name + "@" + p.Version
	if packed := r.archives[key]; packed != nil {
		return packed, nil
	}
	var out bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	packed := tar.NewWriter(zipped)
	put := func(name string, content []byte, mode int64) error {
		if err := packed.WriteHeader(&tar.Header{Name: "package/" + name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := packed.Write(content)
		return err
	}
	if p.folder != "" {
		err = p.packFolder(put)
	} else {
		err = p.packFiles(put)
	}
	if err != nil {
		return nil, err
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	if err := zipped.Close(); err != nil {
		return nil, err
	}
	r.archives[key] = out.Bytes()
	return out.Bytes(), nil
}

type putFile func(name string, content []byte, mode int64) error

func (p Package) packFiles(put putFile) error {
	manifest, err := json.Marshal(p.manifest())
	if err != nil {
		return err
	}
	if err := put("package.json", manifest, 0o644); err != nil {
		return err
	}
	for name, content := range p.Files {
		if err := put(name, []byte(content), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (p Package) packFolder(put putFile) error {
	return filepath.WalkDir(p.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "node_modules" {
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(p.folder, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return put(filepath.ToSlash(rel), content, int64(info.Mode().Perm()))
	})
}
