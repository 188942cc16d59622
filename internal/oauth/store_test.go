package oauth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
)

const canary = "canary-7f3a91"

func aGrant() *Grant {
	return &Grant{
		Principal: "local:somebody", Server: "up", URL: "https://mcp.example.com/mcp", Resource: "https://mcp.example.com/", Issuer: "https://auth.example.com",
		ClientID: "c", Client: config.NewSecret(canary + "-client"), AuthMethod: authBasic, Access: config.NewSecret(canary + "-access"), Refresh: config.NewSecret(canary + "-refresh"),
		Expires: time.Now().Add(time.Hour).Round(0).UTC(), Requested: []string{"a", "b"}, Scopes: []string{"a"}, Wanted: []string{"c"}, Metadata: "https://mcp.example.com/meta",
	}
}

func TestStore_keeps_grants(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "oauth")
	s, want := NewStore(dir, config.Secret{}), aGrant()
	if g, err := s.Grant(want.Principal, want.Server, want.URL); g != nil || err != nil {
		t.Errorf("before: %+v, %v", g, err)
	}
	if list, err := s.Grants(); len(list) != 0 || err != nil {
		t.Errorf("before: %+v, %v", list, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("looking made the folder")
	}
	if err := s.Save(want); err != nil {
		t.Fatal(err)
	}
	again := NewStore(dir, config.Secret{})
	got, err := again.Grant(want.Principal, want.Server, want.URL)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, other := range [][3]string{{"local:other", want.Server, want.URL}, {want.Principal, "other", want.URL}, {want.Principal, want.Server, "https://mcp.example.com/other"}} {
		if g, err := again.Grant(other[0], other[1], other[2]); g != nil || err != nil {
			t.Errorf("%v got %+v, %v", other, g, err)
		}
	}
	if n, err := again.Forget("local:other", want.Server, want.URL); n != 0 || err != nil {
		t.Errorf("another principal removed %d, %v", n, err)
	}
	if n, err := again.Forget(want.Principal, want.Server, "https://mcp.example.com/later"); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
}

func TestStore_shows_no_secret(t *testing.T) {
	dir := t.TempDir()
	s, g := NewStore(dir, config.Secret{}), aGrant()
	if err := s.Save(g); err != nil {
		t.Fatal(err)
	}
	if err := s.register(&registration{Issuer: "https://auth.example.com", RedirectURI: "r", ClientID: "c", Secret: config.NewSecret(canary)}); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", path, mode)
		}
		raw, err := os.ReadFile(path)
		for _, text := range []string{canary, "somebody", "example.com"} {
			if bytes.Contains(raw, []byte(text)) || strings.Contains(path, text) {
				t.Errorf("%s holds %q", path, text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	slog.New(slog.NewJSONHandler(&shown, nil)).Info("x", "grant", g, "value", *g)
	text, err := json.Marshal(map[string]any{"grant": g, "tokens": tokens{access: g.Access}, "who": identity{secret: g.Client}})
	fmt.Fprintf(&shown, "%v %+v %#v %s %v %+v %#v %v\n%s %v", g, g, g, g, *g, *g, *g, tokens{access: g.Access, refresh: g.Refresh}, text, err)
	if strings.Contains(shown.String(), canary) {
		t.Errorf("a secret is shown: %s", shown.String())
	}
}

func TestStore_refuses_what_was_tampered_with(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir, file string){
		"a changed byte": func(t *testing.T, _, file string) {
			raw, _ := os.ReadFile(file)
			raw[len(raw)-1] ^= 1
			os.WriteFile(file, raw, 0o600)
		},
		"cut off": func(t *testing.T, _, file string) {
			os.Truncate(file, int64(len(magic)+3))
		},
		"empty":              func(t *testing.T, _, file string) { os.Truncate(file, 0) },
		"readable by others": func(t *testing.T, _, file string) { os.Chmod(file, 0o644) },
		"a key that others can read": func(t *testing.T, dir, _ string) {
			os.Chmod(filepath.Join(dir, keyName), 0o640)
		},
		"another key": func(t *testing.T, dir, _ string) {
			os.WriteFile(filepath.Join(dir, keyName), make([]byte, keyBytes), 0o600)
		},
		"half a key": func(t *testing.T, dir, _ string) { os.Truncate(filepath.Join(dir, keyName), 16) },
		"the file of another server": func(t *testing.T, dir, file string) {
			other := aGrant()
			other.Server = "other"
			s := NewStore(dir, config.Secret{})
			if err := s.Save(other); err != nil {
				t.Fatal(err)
			}
			os.Rename(filepath.Join(dir, s.grantName(other.Principal, other.Server, other.URL)), file)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, g := t.TempDir(), aGrant()
			s := NewStore(dir, config.Secret{})
			if err := s.Save(g); err != nil {
				t.Fatal(err)
			}
			damage(t, dir, filepath.Join(dir, s.grantName(g.Principal, g.Server, g.URL)))
			again := NewStore(dir, config.Secret{})
			got, err := again.Grant(g.Principal, g.Server, g.URL)
			if err == nil || got != nil || strings.Contains(err.Error(), canary) {
				t.Errorf("read %+v, %v", got, err)
			}
			if _, err := again.Grants(); err == nil {
				t.Error("the list does not say that something cannot be read")
			}
			if n, err := again.Forget(g.Principal, g.Server, g.URL); n != 1 || err != nil {
				t.Errorf("removed %d, %v", n, err)
			}
		})
	}
}

func TestStore_with_a_configured_key(t *testing.T) {
	dir, g := t.TempDir(), aGrant()
	if err := NewStore(dir, config.NewSecret("sixteen letters!")).Save(g); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, keyName)); err == nil {
		t.Error("a key was written beside the configured one")
	}
	if got, err := NewStore(dir, config.NewSecret("sixteen letters!")).Grant(g.Principal, g.Server, g.URL); got == nil || err != nil {
		t.Errorf("with the same key: %v", err)
	}
	for name, key := range map[string]config.Secret{"another": config.NewSecret("sixteen letters?"), "none": {}, "a short one": config.NewSecret("short")} {
		if got, err := NewStore(dir, key).Grant(g.Principal, g.Server, g.URL); got != nil || err == nil {
			t.Errorf("with %s key: %+v", name, got)
		}
	}
}

func TestStore_refuses_a_short_key(t *testing.T) {
	if err := NewStore(t.TempDir(), config.NewSecret("fifteen letters")).Save(aGrant()); err == nil || strings.Contains(err.Error(), "fifteen") {
		t.Errorf("got %v", err)
	}
}

func TestStore_makes_one_key_for_all_processes(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			g := aGrant()
			g.Server = fmt.Sprint("s", i)
			if err := NewStore(dir, config.Secret{}).Save(g); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if list, err := NewStore(dir, config.Secret{}).Grants(); len(list) != 10 || err != nil {
		t.Errorf("%d of 10 can be read: %v", len(list), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStore_registrations_are_for_one_issuer(t *testing.T) {
	s := NewStore(t.TempDir(), config.Secret{})
	r := registration{Issuer: "https://a.example", RedirectURI: "http://127.0.0.1:1/callback", ClientID: "c", Secret: config.NewSecret("s"), AuthMethod: authPost}
	if err := s.register(&r); err != nil {
		t.Fatal(err)
	}
	got, err := s.registered(r.Issuer, r.RedirectURI)
	if diff := cmp.Diff(&r, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, other := range [][2]string{{"https://b.example", r.RedirectURI}, {"https://a.example/", r.RedirectURI}, {r.Issuer, "http://127.0.0.1:2/callback"}} {
		if got, err := s.registered(other[0], other[1]); got != nil || err != nil {
			t.Errorf("%v: %+v, %v", other, got, err)
		}
	}
	r.Expires = time.Now().Add(-time.Second)
	if err := s.register(&r); err != nil {
		t.Fatal(err)
	}
	if got, err := s.registered(r.Issuer, r.RedirectURI); got != nil || err != nil {
		t.Errorf("after its secret expired: %+v, %v", got, err)
	}
}

func TestStore_secrets_are_those_in_use(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	if len(c.store.Secrets()) > 0 {
		t.Errorf("before: %d", len(c.store.Secrets()))
	}
	w.login(c)
	if diff := cmp.Diff([]string{"access-token-2", "refresh-token-2"}, c.store.Secrets()); diff != "" {
		t.Error(diff)
	}
	if _, _, err := c.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.current(true); err != nil || len(c.store.Secrets()) > 0 {
		t.Errorf("after the logout: %d, %v", len(c.store.Secrets()), err)
	}
}
