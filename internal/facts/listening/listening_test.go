package listening

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"gatehouse/internal/check"
)

func Test_who_speaks_MCP(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"modern": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","serverInfo":{"name":"notes"}}}`)
		},
		"wordy": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{"name":%q}}}`, strings.Repeat("x", 10*maxName))
		},
		"stream": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n")
		},
		"sessions": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"no session"},"id":null}`)
		},
		"guarded": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="http://x/.well-known/oauth-protected-resource"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"web":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>jsonrpc 2.0</html>") },
		"json":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"error":"no"}`) },
		"password": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"moved": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		},
	}
	want := map[string]*check.Listener{"modern": {Open: true, Name: "notes"}, "stream": {Open: true}, "sessions": {Open: true}, "guarded": {}, "wordy": {Open: true, Name: strings.Repeat("x", maxName)}}
	var asked atomic.Int32
	for name, answer := range answers {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			body, _ := io.ReadAll(r.Body)
			if r.URL.Path != "/mcp" || !strings.Contains(string(body), `"server/discover"`) {
				t.Errorf("asked %s %s", r.URL.Path, body)
			}
			answer(w, r)
		}))
		at := netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://"))
		found := ask(context.Background(), []socket{{AddrPort: at}})
		s.Close()
		w := want[name]
		if (w != nil) != (len(found) == 1) {
			t.Errorf("%s: %+v", name, found)
		} else if w != nil && (found[0].Open != w.Open || found[0].Name != w.Name || found[0].Public) {
			t.Errorf("%s: %+v, want %+v", name, found[0], w)
		}
	}
	if n := int(asked.Load()); n != len(answers) {
		t.Errorf("%d requests to %d servers", n, len(answers))
	}
}

func Test_the_table_of_sockets(t *testing.T) {
	row := func(local, state string) string {
		return "0: " + local + " 00000000:0000 " + state + " 00000000:00000000 00:00000000 00000000 0 0 4711 1\n"
	}
	table := "  sl  local_address rem_address   st tx_queue\n" +
		row("0100007F:1885", "0A") + row("00000000:1F40", "0A") + row("0500000A:1F41", "0A") + row("0100007F:1F42", "01") + "   4: nonsense\n" +
		row("00000000000000000000000001000000:1F43", "0A") + row("0000000000000000FFFF00000100007F:1F44", "0A") + row("ZZ:1F44", "0A") + "7: 0100007F:1F45 x 0A\n"
	var got []string
	found, err := listeners(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range found {
		got = append(got, a.String())
	}
	for name, bad := range map[string]io.Reader{
		"large": strings.NewReader(strings.Repeat(row("0100007F:1885", "0A"), maxTable/80)), "a long line": strings.NewReader(strings.Repeat("x", 1<<17)),
		"broken": io.MultiReader(strings.NewReader(table), iotest.ErrReader(io.ErrUnexpectedEOF)),
	} {
		if found, err := listeners(bad); err == nil {
			t.Errorf("%s: %d sockets", name, len(found))
		}
	}
	if want := []string{"127.0.0.1:6277", "0.0.0.0:8000", "[::1]:8003", "127.0.0.1:8004"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func Test_a_port_of_this_machine_is_found(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all, err := ports()
	if err != nil {
		t.Skip(err)
	}
	i := slices.IndexFunc(all, func(s socket) bool { return s.String() == l.Addr().String() })
	if i < 0 {
		t.Fatalf("%s is not among %v", l.Addr(), all)
	}
	if got, want := processes()[all[i].inode], fmt.Sprintf("(%d)", os.Getpid()); !strings.HasSuffix(got, want) {
		t.Errorf("the process is %q, want %s", got, want)
	}
}
