// Package registry asks the registries of npm and PyPI what they know about a package. It
// is used only where somebody said that it may ask: a name of a package that is private
// becomes known to whoever runs the registry.
//
// The registries are those that npm and pip are set up to use. What could not be asked is
// an error, and never "nothing is wrong".
package registry

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/statefile"
)

const (
	// maxAnswer bounds one answer. npm's about a package with thousands of versions has
	// tens of megabytes.
	maxAnswer = 64 << 20
	// requestTime bounds one question, so that a registry that hangs costs a scan little.
	requestTime = 15 * time.Second
	// atOnce and pause keep a scan from being a flood.
	atOnce = 4
	pause  = 50 * time.Millisecond
	// fresh is how long an answer is used again. A package that was taken over is seen the
	// next day.
	fresh = 24 * time.Hour
	// maxConfig bounds .npmrc.
	maxConfig = 1 << 20
)

// The registries that npm and pip use when nobody says otherwise.
const (
	npmDefault  = "https://registry.npmjs.org"
	pypi        = "https://pypi.org/"
	pypiDefault = pypi + "simple"
)

// ErrUnreachable says that a registry does not answer; it is not asked again.
var ErrUnreachable = errors.New("the registry does not answer")

// Registry asks and remembers.
type Registry struct {
	Home   string
	Getenv func(string) string
	Cache  string // folder for answers; empty keeps none
	Client *http.Client
	Now    func() time.Time

	once  sync.Once
	slots chan struct{}
	mu    sync.Mutex // guards what follows
	next  time.Time
	down  map[string]error // by host
	asked map[string]*answer
}

// answer is given once for all who ask for the same.
type answer struct {
	once sync.Once
	document
	err error
}

// Ask is what a registry knows about a package and the version that a source asks for;
// without one, the newest. It may be called by several goroutines.
func (r *Registry) Ask(ctx context.Context, s inventory.Source, version string) (check.Package, error) {
	place, read, err := r.place(s)
	if err != nil {
		return check.Package{}, err
	}
	d, err := r.document(ctx, place, read)
	if err != nil {
		return check.Package{}, err
	}
	if s.Kind == inventory.PyPI && !d.Exists && !strings.HasPrefix(place, pypi) {
		return check.Package{}, errors.New("the index that is set up for it does not tell, as that of PyPI does, which packages it has")
	}
	return d.about(version), nil
}

// place is the URL that knows a package and the reader of its answer.
func (r *Registry) place(s inventory.Source) (string, reader, error) {
	switch s.Kind {
	case inventory.NPM:
		base, err := r.npmBase(s.Package)
		return base + "/" + strings.ReplaceAll(url.PathEscape(s.Package), "%40", "@"), readNPM, err
	case inventory.PyPI:
		base, err := r.pypiBase()
		return base + "/pypi/" + url.PathEscape(s.Package) + "/json", readPyPI, err
	}
	return "", nil, fmt.Errorf("no registry is asked about %s", s.Kind)
}

// npmBase is the registry of a package: of its scope, or of all.
func (r *Registry) npmBase(name string) (string, error) {
	settings := r.npmSettings()
	if scope, _, scoped := strings.Cut(name, "/"); scoped && strings.HasPrefix(scope, "@") && settings[scope+":registry"] != "" {
		return base(settings[scope+":registry"])
	}
	for _, variable := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY"} {
		if v := r.Getenv(variable); v != "" {
			return base(v)
		}
	}
	return base(cmp.Or(settings["registry"], npmDefault))
}

// npmSettings reads the user's .npmrc; nothing but names of registries is taken from it.
func (r *Registry) npmSettings() map[string]string {
	out := map[string]string{}
	file := filepath.Join(r.Home, ".npmrc")
	for _, variable := range []string{"npm_config_userconfig", "NPM_CONFIG_USERCONFIG"} {
		if v := r.Getenv(variable); filepath.IsAbs(v) {
			file = v
		}
	}
	raw, err := statefile.Read(file, maxConfig)
	if err != nil {
		return out
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		name, value, found := strings.Cut(lines.Text(), "=")
		if name = strings.TrimSpace(name); found && (name == "registry" || strings.HasSuffix(name, ":registry")) {
			out[name] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return out
}

// pypiBase is the place of the JSON API that belongs to an index.
func (r *Registry) pypiBase() (string, error) {
	index := pypiDefault
	for _, variable := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"} {
		if v := r.Getenv(variable); v != "" {
			index = v
			break
		}
	}
	address, err := base(index)
	return strings.TrimSuffix(address, "/simple"), err
}

// errNoAddress keeps names of packages from being told to another registry than the one
// that somebody meant, such as ${REGISTRY} in a file of npm.
var errNoAddress = errors.New("the registry that is set up for it cannot be asked: it has no address of the web")

// base is an address without what is a secret in it, and without an end.
func base(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", errNoAddress
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return strings.TrimRight(u.String(), "/"), nil
}

// document is what is kept of an answer.
type document struct {
	Place    string             `json:"place"`
	At       time.Time          `json:"at"`
	Exists   bool               `json:"exists"`
	First    time.Time          `json:"first,omitzero"`
	Latest   string             `json:"latest,omitempty"`
	Source   string             `json:"repository,omitempty"`
	Versions map[string]release `json:"versions,omitempty"`
}

// release is one version.
type release struct {
	At         time.Time `json:"at,omitzero"`
	Deprecated string    `json:"deprecated,omitempty"`
	Scripts    []string  `json:"scripts,omitempty"`
	Known      bool      `json:"known,omitempty"` // that Scripts are all
}

// about is what a document says of a version.
func (d document) about(version string) check.Package {
	if version == "" {
		version = d.Latest
	}
	v, there := d.Versions[version]
	latest := d.Versions[d.Latest]
	host := d.Place
	if u, err := url.Parse(d.Place); err == nil {
		host = u.Host
	}
	p := check.Package{
		Registry: true, Exists: d.Exists && there, Version: version, Published: v.At, First: d.First, Latest: d.Latest, LatestAt: latest.At,
		Deprecated: v.Deprecated, InstallScripts: v.Scripts, Scripts: v.Known, Repository: d.Source, Source: host,
	}
	return p
}

// document asks, unless it was asked a short time ago.
func (r *Registry) document(ctx context.Context, place string, read reader) (document, error) {
	r.mu.Lock()
	if r.asked == nil {
		r.asked = map[string]*answer{}
	}
	a := r.asked[place]
	if a == nil {
		a = &answer{}
		r.asked[place] = a
	}
	r.mu.Unlock()
	a.once.Do(func() { a.document, a.err = r.ask(ctx, place, read) })
	return a.document, a.err
}

func (r *Registry) ask(ctx context.Context, place string, read reader) (document, error) {
	if d, ok := r.kept(place); ok {
		return d, nil
	}
	d, err := r.fetch(ctx, place, read)
	if err != nil {
		return d, err
	}
	d.Place, d.At = place, r.Now().UTC()
	r.keep(d)
	return d, nil
}

func (r *Registry) file(place string) string {
	sum := sha256.Sum256([]byte(place))
	return filepath.Join(r.Cache, hex.EncodeToString(sum[:12])+".json")
}

func (r *Registry) kept(place string) (d document, ok bool) {
	if r.Cache == "" {
		return d, false
	}
	raw, err := statefile.Read(r.file(place), maxAnswer)
	if err != nil || json.Unmarshal(raw, &d) != nil || d.Place != place {
		return d, false
	}
	age := r.Now().Sub(d.At)
	return d, age >= 0 && age < fresh
}

// keep remembers an answer. That it cannot be written costs another question, no more.
func (r *Registry) keep(d document) {
	if r.Cache == "" || os.MkdirAll(r.Cache, 0o700) != nil {
		return
	}
	if raw, err := json.Marshal(d); err == nil && len(raw) <= maxAnswer {
		_ = statefile.Replace(r.file(d.Place), raw)
	}
}

func (r *Registry) fetch(ctx context.Context, place string, read reader) (document, error) {
	u, err := url.Parse(place)
	if err != nil {
		return document{}, err
	}
	if err := r.turn(ctx, u.Host); err != nil {
		return document{}, err
	}
	defer func() { <-r.slots }()
	ctx, stop := context.WithTimeout(ctx, requestTime)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return document{}, err
	}
	request.Header.Set("Accept", "application/json")
	answer, err := r.Client.Do(request)
	if err != nil {
		return document{}, r.gone(u.Host, fmt.Errorf("%w: %s cannot be reached", ErrUnreachable, u.Host))
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return document{Exists: false}, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return document{}, fmt.Errorf("%s wants to know who asks, and is not told", u.Host)
	default:
		return document{}, fmt.Errorf("%s answers %s", u.Host, answer.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return document{}, fmt.Errorf("the answer of %s ended early", u.Host)
	}
	if len(raw) > maxAnswer {
		return document{}, fmt.Errorf("the answer of %s is too large", u.Host)
	}
	d, err := read(raw)
	if err != nil {
		return document{}, fmt.Errorf("the answer of %s cannot be understood", u.Host)
	}
	return d, nil
}

// turn waits until a question may be asked, and takes a slot.
func (r *Registry) turn(ctx context.Context, host string) error {
	r.once.Do(func() { r.slots, r.down = make(chan struct{}, atOnce), map[string]error{} })
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	err := r.down[host]
	now := time.Now()
	wait := r.next.Sub(now)
	r.next = now.Add(max(wait, 0) + pause)
	r.mu.Unlock()
	if err == nil && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		<-r.slots
	}
	return err
}

func (r *Registry) gone(host string, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[host] = err
	return err
}
