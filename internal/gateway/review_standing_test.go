package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/identity"
)

func Test_a_standing_stream_ends_with_its_credential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, &stub{}, "identity:\n  keys: {}\n")
		defer h.close()
		path := h.g.live.Load().config.Identity.Keys
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		stream := func(name string, expires time.Time) <-chan struct{} {
			secret, _, err := identity.CreateKey(path, identity.Key{Name: name, Expires: expires})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second) // fake: until the file is looked at again
			p := &Peer{Header: http.Header{"Authorization": {"Bearer " + secret}}}
			who, err := h.g.whoIs(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			p.who.Store(who)
			ctx, stop := h.g.WhileKnown(t.Context(), p)
			t.Cleanup(stop)
			return ctx.Done()
		}
		ended := func(done <-chan struct{}) bool {
			time.Sleep(lookAgainEvery + 2*time.Second)
			synctest.Wait()
			select {
			case <-done:
				return true
			default:
				return false
			}
		}
		good, expiring, revoked := stream("good", time.Time{}), stream("expiring", time.Now().Add(10*time.Second)), stream("revoked", time.Time{})
		if _, err := identity.RevokeKey(path, "revoked"); err != nil {
			t.Fatal(err)
		}
		if !ended(revoked) || !ended(expiring) {
			t.Error("a stream outlives its credential")
		}
		if ended(good) {
			t.Error("a stream with a good key was ended")
		}
	})
}
