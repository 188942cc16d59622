//go:build unix

package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/test/oidc"
	"gatehouse/test/program"
)

// caller is a client of the gateway of an example, with a credential or without.
func caller(t *testing.T, e *program.Example, mount, credential string) *client {
	t.Helper()
	c := newClient(t, &overHTTP{url: e.URL + mount}, legacyVersion)
	if credential != "" {
		c.header.Set("Authorization", "Bearer "+credential)
	}
	c.initialize()
	return c
}

// prefixes are the servers whose tools are listed at /mcp, sorted.
func prefixes(tools []string) []string {
	var servers []string
	for _, name := range tools {
		server, _, _ := strings.Cut(name, "__")
		servers = append(servers, server)
	}
	slices.Sort(servers)
	return slices.Compact(servers)
}

// startPatience is how long the servers of an example may take to start, which are
// programs in Node, all at once.
const startPatience = 2 * time.Minute

// awaitServers waits until the gateway has admitted so many.
func awaitServers(t *testing.T, e *program.Example, count int) {
	t.Helper()
	late := time.After(startPatience)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		admitted := map[string]bool{}
		err := audit.Read(filepath.Join(e.Folder, ".gatehouse", "audit"), audit.Filter{Kinds: []audit.Kind{audit.Admitted}}, func(r *audit.Record) error {
			admitted[r.Server] = true
			return nil
		})
		if err == nil && len(admitted) == count {
			return
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("after %v the gateway has admitted %v (%v), want %d servers", startPatience, admitted, err, count)
		}
	}
}

// equal compares two lists of which the order does not matter.
func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func refused(t *testing.T, r reply, reason string) {
	t.Helper()
	if r.reason() != reason {
		t.Errorf("answered %d %s; want a refusal, %s", r.status, r.raw, reason)
	}
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s has no %q:\n%.3000s", what, part, text)
		}
	}
}

var exchange = regexp.MustCompile(`"exchange":"[^"]*"`)

// same compares the answers about two names, of which one does not exist.
func same(t *testing.T, hidden string, about reply, unknown string, other reply) {
	t.Helper()
	plain := func(r reply, name string) string {
		return exchange.ReplaceAllString(strings.ReplaceAll(r.raw, name, ""), "")
	}
	if about.status != other.status || plain(about, hidden) != plain(other, unknown) {
		t.Errorf("about %s: %d %s, and about %s, which does not exist, %d %s", hidden, about.status, about.raw, unknown, other.status, other.raw)
	}
}

func TestExamples_single_developer(t *testing.T) {
	t.Parallel()
	e := program.NewExample(t, "single-developer", gatehouse)
	tickets, _ := listen(t, hostile(t, "-http", "127.0.0.1:0"))
	e.Replace("gatehouse.yaml", "http://127.0.0.1:9000/mcp", tickets)
	e.Must("mkdir -p ~/gatehouse/memory ~/gatehouse/diary")
	e.Serve()
	awaitServers(t, e, 8)

	// Three clients, two of them with the configuration that the page shows.
	direct := e.Must("npx @modelcontextprotocol/inspector --cli http://127.0.0.1:8848/mcp --transport http --method tools/list")
	desktop := filepath.Join(t.TempDir(), "desktop.json")
	cursor := filepath.Join(t.TempDir(), "mcp.json")
	write(t, desktop, e.Block("json", "mcp-remote"))
	write(t, cursor, e.Block("json", `"url"`))
	remote := e.Other(`npx @modelcontextprotocol/inspector --cli --config ` + desktop + ` --server gatehouse --method tools/list`)
	porter := e.Other("npx mcporter --config " + cursor + " list gatehouse --json")
	for name, listed := range map[string]string{"Inspector": direct, "mcp-remote": remote, "mcporter": porter} {
		contains(t, name, listed, `"project__write_file"`, `"notes__read_text_file"`, `"downloads__read_text_file"`, `"memory__read_graph"`,
			`"diary__read_graph"`, `"libraries__resolve-library-id"`, `"everything__echo"`, `"tickets__echo"`)
		if strings.Contains(listed, `"downloads__write_file"`) {
			t.Errorf("%s may write into downloads", name)
		}
	}

	c := caller(t, e, "/mcp", "")
	read := func(path string) reply { return c.call("project__read_text_file", object{"path": path}) }
	if r := read("README.md"); !strings.Contains(r.text(), "weather balloon") {
		t.Errorf("reading was answered %s", r.raw)
	}
	for range 5 {
		c.call("everything__echo", object{"message": "again"})
	}
	refused(t, c.call("everything__echo", object{"message": "again"}), "quota-exceeded")
	contains(t, "the quotas", e.Must("gatehouse quota list"), "each-server", "server=everything")

	halted := func(line string, ask func() reply) {
		t.Helper()
		e.Must(line)
		eventually(t, line, func() bool { return ask().reason() == "halted" })
	}
	n := 0
	readNew := func() reply { n++; return read(fmt.Sprintf("none-%d", n)) } // no call is the same as the one before
	halted(`gatehouse halt tool project write_file --reason "it wrote to the wrong file"`, func() reply {
		n++
		return c.call("project__write_file", object{"path": fmt.Sprintf("new-%d.txt", n), "content": "x"})
	})
	if r := readNew(); r.reason() != "" {
		t.Errorf("reading was answered %s", r.raw)
	}
	halted(`gatehouse halt server downloads --reason "looking into it"`, func() reply {
		n++
		return c.call("downloads__search_files", object{"path": ".", "pattern": fmt.Sprint(n)})
	})
	halted(`gatehouse halt all --reason "stop"`, readNew)
	contains(t, "the halts", e.Must("gatehouse halt list"), "it wrote to the wrong file", "looking into it", "stop")
	for _, line := range []string{"gatehouse resume all", "gatehouse resume server downloads", "gatehouse resume tool project write_file"} {
		e.Must(line)
	}
	eventually(t, "everything to go on", func() bool { return readNew().reason() != "halted" })

	contains(t, "the log", e.Must("gatehouse log query"), "read_text_file")
	contains(t, "what was refused", e.Must("gatehouse log query --decision deny"), "quota-exceeded", "halted")
	e.Must("gatehouse log verify")
	e.Must("gatehouse approve")
}

func TestExamples_team_oidc(t *testing.T) {
	t.Parallel()
	e := program.NewExample(t, "team-oidc", gatehouse)
	p := oidc.Start(t)
	e.Replace("gatehouse.yaml", "https://login.example.com", p.Issuer)
	e.Must("mkdir -p ~/gatehouse/graph")
	contains(t, "the test of the policies", e.Must("gatehouse policy test tests.yaml"), "failed 0")
	e.Serve()
	awaitServers(t, e, 2)

	// Who signs in sees what is for them.
	const resource = "https://gatehouse.example.com/mcp"
	guestToken := p.Person("guest", resource)
	alice, guest := caller(t, e, "/mcp", p.Person("alice", resource)), caller(t, e, "/mcp", guestToken)
	reading := []string{"handbook__read_file", "handbook__read_text_file", "handbook__read_media_file", "handbook__read_multiple_files",
		"handbook__list_directory", "handbook__list_directory_with_sizes", "handbook__list_allowed_directories", "handbook__search_files"}
	graph := []string{"graph__create_entities", "graph__create_relations", "graph__add_observations", "graph__delete_entities",
		"graph__delete_observations", "graph__delete_relations", "graph__read_graph", "graph__search_nodes", "graph__open_nodes"}
	equal(t, "the guest's tools", guest.tools(), reading...)
	equal(t, "alice's tools", alice.tools(), slices.Concat(reading, graph, []string{"handbook__edit_file"})...)
	if r := guest.call("handbook__read_text_file", object{"path": "welcome.md"}); !strings.Contains(r.text(), "canteen") {
		t.Errorf("the guest was answered %s", r.raw)
	}
	guest.lastID = 100
	hidden := guest.call("graph__read_graph", object{})
	guest.lastID = 100
	same(t, "graph", hidden, "other", guest.call("other__read_graph", object{}))
	initialize := func(mount string) reply {
		c := newClient(t, &overHTTP{url: e.URL + mount}, legacyVersion)
		c.header.Set("Authorization", "Bearer "+guestToken)
		return c.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
	}
	same(t, "graph", initialize("/mcp/graph"), "other", initialize("/mcp/other"))
	nobody := newClient(t, &overHTTP{url: e.URL + "/mcp"}, legacyVersion)
	if r := nobody.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`); r.status != http.StatusUnauthorized ||
		!strings.Contains(r.header.Get("WWW-Authenticate"), `resource_metadata="https://gatehouse.example.com/.well-known/oauth-protected-resource/mcp"`) {
		t.Errorf("without a token: %d %s", r.status, r.header.Get("WWW-Authenticate"))
	}
	e.Must("gatehouse policy check")
	output, _ := e.Run("gatehouse policy explain --principal user:corp/guest --server graph --tool read_graph")
	contains(t, "the explanation", output, "deny", "per-team-tools")

	// A policy that reports, then enforces.
	fact := object{"entities": []object{{"name": "kite", "entityType": "balloon", "observations": []string{"is white"}}}}
	if r := alice.call("graph__create_entities", fact); r.reason() != "" {
		t.Errorf("alice was answered %s", r.raw)
	}
	remove := func() reply { return alice.call("graph__delete_entities", object{"entityNames": []string{"kite"}}) }
	if r := remove(); r.reason() != "" {
		t.Errorf("a policy that reports refused: %s", r.raw)
	}
	e.Replace(filepath.Join("policies", "team.cedar"), "@mode(\"report\")\n", "")
	output, code := e.Run("gatehouse policy replay --since 7d")
	if contains(t, "the replay", output, "delete_entities", "facts stay"); code != 1 {
		t.Errorf("the replay ended with %d, want 1", code)
	}
	keeping := slices.DeleteFunc(graph, func(name string) bool { return strings.HasPrefix(name, "graph__delete_") })
	eventually(t, "the policy to be enforced", func() bool { return !slices.Contains(alice.tools(), "graph__delete_entities") })
	equal(t, "alice's tools", alice.tools(), slices.Concat(reading, keeping, []string{"handbook__edit_file"})...)
	refused(t, remove(), "not-found")

	// From what is used.
	e.Must("gatehouse policy init --since 30d --output used.cedar")
	contains(t, "what is used", text(t, filepath.Join(e.Folder, "used.cedar")), `User::"user:corp/alice"`, `Tool::"graph/create_entities"`, `User::"user:corp/guest"`)
	if output, code := e.Run("gatehouse policy tighten --since 90d"); code != 3 || !strings.Contains(output, "data edits the handbook") {
		t.Errorf("tighten ended with %d:\n%s", code, output)
	}

	contains(t, "the quotas", e.Must("gatehouse quota list"), "team=data", "user=user:corp/guest")
	if got := e.Must("gatehouse quota list --by user:corp/alice"); strings.Contains(got, "guest") || !strings.Contains(got, "each-user") {
		t.Errorf("what alice used:\n%s", got)
	}
	// Refused calls take nothing of a quota, and lists are not counted.
	list := func(c *client) reply { return c.request("tools/list", object{}) }
	e.Must(`gatehouse halt principal user:corp/alice --reason "token was stolen"`)
	eventually(t, "alice to be stopped", func() bool { return list(alice).reason() == "halted" })
	if r := list(guest); r.reason() != "" {
		t.Errorf("the guest was answered %s", r.raw)
	}
	e.Must(`gatehouse halt team data --reason "audit until noon"`)
	contains(t, "the halts", e.Must("gatehouse halt list"), "token was stolen", "audit until noon")
	e.Must("gatehouse resume team data")
	e.Must("gatehouse resume principal user:corp/alice")
	eventually(t, "alice to go on", func() bool { return list(alice).reason() != "halted" })
	contains(t, "the log", e.Must("gatehouse log query --principal user:corp/alice"), "create_entities")
}

func TestExamples_several_teams(t *testing.T) {
	t.Parallel()
	e := program.NewExample(t, "several-teams", gatehouse)
	key := func(line string) string {
		t.Helper()
		for field := range strings.FieldsSeq(e.Must(line)) {
			if strings.HasPrefix(field, "gh_") {
				return field
			}
		}
		t.Fatalf("%s made no key", line)
		return ""
	}
	nightlyKey := key("gatehouse key create nightly-report --team data --expires 30d")
	helpdeskKey := key("gatehouse key create helpdesk --team support --expires 30d")
	releaseKey := key("gatehouse key create release --team data --team production --expires 30d")
	e.Env = append(e.Env, "NIGHTLY_REPORT="+nightlyKey, "HELPDESK="+helpdeskKey)
	contains(t, "the keys", e.Must("gatehouse key list"), "nightly-report", "helpdesk", "release")
	e.Must("mkdir -p ~/gatehouse/orders-dev ~/gatehouse/orders")
	e.Serve()
	awaitServers(t, e, 4)

	nightly, helpdesk, release := caller(t, e, "/mcp", nightlyKey), caller(t, e, "/mcp", helpdeskKey), caller(t, e, "/mcp", releaseKey)
	under := func(server string, tools ...string) []string {
		for i := range tools {
			tools[i] = server + "__" + tools[i]
		}
		return tools
	}
	reading := []string{"read_graph", "search_nodes", "open_nodes"}
	all := append([]string{"create_entities", "create_relations", "add_observations", "delete_entities", "delete_observations", "delete_relations"}, reading...)
	handbook := under("handbook", "read_text_file", "list_directory")
	equal(t, "what the report lists", nightly.tools(),
		slices.Concat(under("orders-dev", slices.Clone(all)...), under("orders", slices.Clone(reading)...), handbook)...)
	equal(t, "what the release lists", release.tools(),
		slices.Concat(under("orders-dev", slices.Clone(all)...), under("orders", slices.Clone(all)...), handbook)...)
	support := helpdesk.tools()
	equal(t, "the servers of the helpdesk", prefixes(support), "handbook", "replies")
	contains(t, "what the helpdesk lists", strings.Join(support, " "), "replies__write_file", "handbook__write_file")

	// Development and production are apart.
	order := object{"entities": []object{{"name": "order 17", "entityType": "order", "observations": []string{"two balloons"}}}}
	if r := nightly.call("orders-dev__create_entities", order); r.reason() != "" {
		t.Errorf("the report was answered %s", r.raw)
	}
	if r := nightly.call("orders__read_graph", object{}); r.reason() != "" || strings.Contains(r.raw, "order 17") {
		t.Errorf("the report was answered %s", r.raw)
	}
	nightly.lastID = 100
	hidden := nightly.call("orders__create_entities", order)
	nightly.lastID = 100
	same(t, "create_entities", hidden, "create_anything", nightly.call("orders__create_anything", order))
	if r := release.call("orders__create_entities", order); r.reason() != "" {
		t.Errorf("the release was answered %s", r.raw)
	}

	for name, differs := range map[string]struct{ has, lacks string }{
		"NIGHTLY_REPORT": {`"orders__read_graph"`, `"orders__create_entities"`},
		"HELPDESK":       {`"replies__write_file"`, `"orders`},
	} {
		listed := e.Must(`npx @modelcontextprotocol/inspector --cli http://127.0.0.1:8848/mcp --transport http --header "Authorization: Bearer $` + name + `" --method tools/list`)
		if contains(t, name, listed, differs.has); strings.Contains(listed, differs.lacks) {
			t.Errorf("%s is shown %s", name, differs.lacks)
		}
	}
	output, _ := e.Run("gatehouse policy explain --principal key:nightly-report --team data --server orders --tool create_entities")
	contains(t, "the explanation", output, "deny", "production/team")
	e.Must("gatehouse policy check")

	list := func(c *client) reply { return c.call("handbook__list_directory", object{"path": "."}) }
	if r := list(helpdesk); r.reason() != "" {
		t.Errorf("the helpdesk was answered %s", r.raw)
	}
	contains(t, "what support used", e.Must("gatehouse quota list --by support"), "server=handbook team=support")
	e.Must(`gatehouse halt team support --reason "replies went to the wrong customers"`)
	eventually(t, "support to be stopped", func() bool { return list(helpdesk).reason() == "halted" })
	if r := list(nightly); r.reason() != "" {
		t.Errorf("the report was answered %s", r.raw)
	}
	e.Must("gatehouse resume team support")
	eventually(t, "support to go on", func() bool { return list(helpdesk).reason() == "" })

	again := key("gatehouse key rotate nightly-report --overlap 0")
	e.Must("gatehouse key revoke helpdesk")
	for name, c := range map[string]*client{"the old key": nightly, "the revoked key": helpdesk} {
		eventually(t, name+" to end", func() bool { return list(c).status == http.StatusUnauthorized })
	}
	if r := list(caller(t, e, "/mcp", again)); r.reason() != "" {
		t.Errorf("the new key was answered %s", r.raw)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
