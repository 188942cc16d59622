package policy

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
)

// A caller chooses the URIs that it asks for, and they may be as long as a message.
func Test_long_names_are_not_remembered(t *testing.T) {
	c := &config.Config{Servers: []config.Server{{ID: "files"}}}
	e, err := New(c, []Source{{Name: "p", Text: []byte(`permit (principal, action, resource in Server::"files");`)}})
	if err != nil {
		t.Fatal(err)
	}
	who := &identity.Principal{ID: "user:okta/eve", Kind: identity.User}
	for n := range 100 {
		q := &Request{Principal: who, Method: "resources/read", Server: "files", Kind: KindResource, Name: fmt.Sprintf("file:///%d/%s", n, strings.Repeat("a", 1<<20))}
		if !e.Lists(q) || !e.Decide(q).Allow {
			t.Fatal("it is permitted")
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if len(e.things.values) > 0 {
		t.Errorf("%d long names are kept, %d MiB in use", len(e.things.values), m.HeapInuse>>20)
	}
	runtime.KeepAlive(e)
}
