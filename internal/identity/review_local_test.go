package identity

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/config"
)

// A tunnel or reverse proxy on the same machine connects over loopback for everybody
// on the internet, and most gateways in front of which one stands have no identity
// section yet.
func Test_without_identity_nobody_behind_a_proxy_is_the_local_user(t *testing.T) {
	i, err := New(&config.Config{}, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-Ip", "Cf-Connecting-Ip"} {
		h := http.Header{}
		h.Set(name, "203.0.113.1")
		var c *Challenge
		if p, err := i.Identify(t.Context(), &Request{Header: h, Local: true}); !errors.As(err, &c) || c.Status != http.StatusForbidden {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func Test_an_unverified_address_is_refused_however_the_claim_is_named(t *testing.T) {
	for _, claim := range []string{"email", "/email"} {
		r := newRig(t, func(c *config.Config) { c.Identity.Issuers[0].SubjectClaim = claim })
		r.refused(t, bearing(good(object{"email": "ceo@example.com", "email_verified": false})), 401, "whose it is")
	}
}

func Test_keys_that_are_made_at_once_are_all_there(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		all.Go(func() {
			if _, _, err := CreateKey(path, Key{Name: name, Expires: time.Now().Add(time.Hour)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	keys, err := ReadKeys(path)
	if err != nil || len(keys) != 8 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
