package registry

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// Wheel is one version of a package of Python.
type Wheel struct {
	Name, Version string            // the name with underscores
	Needs         []string          // what it requires
	Scripts       map[string]string // MODULE:FUNCTION by the names of programs
	Files         map[string]string
	Source        bool // it has to be built: an archive with a setup.py
}

// PyPI is an index of Python packages.
type PyPI struct {
	URL   string // for --index-url
	asked atomic.Int64
}

// Asked is how often the index was asked for anything.
func (r *PyPI) Asked() int { return int(r.asked.Load()) }

// NewPyPI serves wheels until the test ends, as PEP 503 says.
func NewPyPI(t testing.TB, wheels ...Wheel) *PyPI {
	t.Helper()
	r, files, pages := &PyPI{}, map[string][]byte{}, map[string]string{}
	for _, w := range wheels {
		raw, err := w.pack()
		if err != nil {
			t.Fatal(err)
		}
		file := fmt.Sprintf("%s-%s-py3-none-any.whl", w.Name, w.Version)
		if w.Source {
			file = fmt.Sprintf("%s-%s.zip", w.Name, w.Version)
		}
		sum := sha256.Sum256(raw)
		files[file] = raw
		page := "/simple/" + strings.ReplaceAll(w.Name, "_", "-") + "/"
		pages[page] += fmt.Sprintf("<a href=\"/files/%s#sha256=%s\">%s</a>\n", file, hex.EncodeToString(sum[:]), file)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.asked.Add(1)
		if page, there := pages[request.URL.Path]; there {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<!DOCTYPE html><html><body>\n%s</body></html>\n", page)
			return
		}
		if raw, there := files[strings.TrimPrefix(request.URL.Path, "/files/")]; there {
			_, _ = w.Write(raw) // who asked is gone
			return
		}
		http.NotFound(w, request)
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL + "/simple"
	return r
}

// pack makes a wheel (PEP 427).
func (w Wheel) pack() ([]byte, error) {
	files := maps.Clone(w.Files)
	if files == nil {
		files = map[string]string{}
	}
	info := fmt.Sprintf("%s-%s.dist-info/", w.Name, w.Version)
	metadata := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", w.Name, w.Version)
	for _, need := range w.Needs {
		metadata += "Requires-Dist: " + need + "\n"
	}
	if w.Source {
		inner := map[string]string{"PKG-INFO": metadata}
		maps.Copy(inner, files)
		files = map[string]string{}
		for name, content := range inner {
			files[fmt.Sprintf("%s-%s/%s", w.Name, w.Version, name)] = content
		}
		return zipped(files)
	}
	files[info+"METADATA"] = metadata
	files[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
	if len(w.Scripts) > 0 {
		text := "[console_scripts]\n"
		for _, name := range slices.Sorted(maps.Keys(w.Scripts)) {
			text += name + " = " + w.Scripts[name] + "\n"
		}
		files[info+"entry_points.txt"] = text
	}
	var record strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&record, "%s,,\n", name)
	}
	files[info+"RECORD"] = record.String() + info + "RECORD,,\n"
	return zipped(files)
}

func zipped(files map[string]string) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := archive.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write([]byte(files[name])); err != nil {
			return nil, err
		}
	}
	err := archive.Close()
	return out.Bytes(), err
}
