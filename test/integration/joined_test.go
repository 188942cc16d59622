//go:build unix

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// twoServers are the reference servers for files and for everything.
func twoServers(t *testing.T) (servers object, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "note.txt"), []byte("the note"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := func(name string) string {
		return installed(t, filepath.Join("..", "node", "node_modules", ".bin", name))
	}
	return object{
		"files":      object{"command": []string{node(t), script("mcp-server-filesystem"), dir}, "tools": object{"deny": []string{"write_*", "edit_*", "move_*", "create_*"}}},
		"everything": object{"command": []string{node(t), script("mcp-server-everything"), "stdio"}},
	}, dir
}

func TestJoined_two_servers_are_one(t *testing.T) {
	t.Parallel()
	servers, dir := twoServers(t)
	g := serve(t, servers)
	usable := regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	for _, c := range []*client{g.legacy(""), g.modern("")} {
		tools := c.tools()
		for _, name := range tools {
			if !usable.MatchString(name) {
				t.Errorf("%s is no name for every client", name)
			}
		}
		for _, name := range []string{"files__read_text_file", "files__list_directory", "everything__echo"} {
			if !slices.Contains(tools, name) {
				t.Errorf("%s is not among %q", name, tools)
			}
		}
		for _, name := range []string{"files__write_file", "files__edit_file"} {
			if slices.Contains(tools, name) {
				t.Errorf("%s is listed", name)
			}
			if got := c.call(name, object{"path": filepath.Join(dir, "new.txt"), "content": "x", "edits": []object{}}).reason(); got != "not-found" {
				t.Errorf("%s was answered with the reason %q", name, got)
			}
		}
		if again := c.tools(); !slices.Equal(again, tools) {
			t.Errorf("listed another time: %q and %q", tools, again)
		}
		if got := c.call("files__read_text_file", object{"path": filepath.Join(dir, "note.txt")}).text(); got != "the note" {
			t.Errorf("read %q", got)
		}
		if got := c.call("everything__echo", object{"message": "hello"}).text(); got != "Echo: hello" {
			t.Errorf("echoed %q", got)
		}

		// What a server names comes back to the same server.
		list := c.request("resources/list", object{})
		uris := list.names("resources", "uri")
		if len(uris) == 0 || !strings.HasPrefix(uris[0], "everything+") {
			t.Fatalf("resources %q in %s", uris, list.raw)
		}
		if read := c.request("resources/read", object{"uri": uris[0]}); !slices.Equal(read.names("contents", "uri"), uris[:1]) {
			t.Errorf("%s was answered %s", uris[0], read.raw)
		}
		prompts := c.request("prompts/list", object{}).names("prompts", "name")
		if !slices.Contains(prompts, "everything__simple-prompt") {
			t.Errorf("prompts %q", prompts)
		}
		if got := c.request("tools/list", object{"cursor": "2"}); got.code() != -32602 {
			t.Errorf("a cursor of nobody was answered %s", got.raw)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new.txt")); err == nil {
		t.Error("a denied tool wrote a file")
	}
}

func TestJoined_progressive_discovery(t *testing.T) {
	t.Parallel()
	servers, dir := twoServers(t)
	g := serve(t, servers, object{"joined": object{"discovery": "progressive"}})
	for _, c := range []*client{g.legacy(""), g.modern("")} {
		if tools := c.tools(); !slices.Equal(tools, []string{"find_tools", "call_tool"}) {
			t.Fatalf("tools %q", tools)
		}
		found := c.call("find_tools", object{"query": "read the text of a file"}).text()
		if !strings.HasPrefix(found, `{"tools":[{"name":"files__read_text_file",`) || strings.Contains(found, "write_file\"") {
			t.Errorf("found %.400s", found)
		}
		read := object{"name": "files__read_text_file", "arguments": object{"path": filepath.Join(dir, "note.txt")}}
		if got := c.call("call_tool", read); got.text() != "the note" {
			t.Errorf("read %s", got.raw)
		}
		if got := c.call("call_tool", object{"name": "files__write_file", "arguments": object{"path": filepath.Join(dir, "new.txt"), "content": "x"}}).reason(); got != "not-found" {
			t.Errorf("a denied tool was answered with the reason %q", got)
		}
		if got := c.call("call_tool", object{"name": "files__read_text_file", "arguments": object{}}).reason(); got != "invalid-arguments" {
			t.Errorf("arguments that do not fit were answered with the reason %q", got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new.txt")); err == nil {
		t.Error("a denied tool wrote a file")
	}
}
