package approval

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const goodLock = `{
  "version": 1,
  "servers": [
    {
      "name": "files",
      "items": [
        {
          "kind": "source",
          "digest": "SOURCE",
          "approved_by": "ada",
          "approved_at": "2026-01-31T12:00:00Z",
          "definition": {
            "command": [
              "files"
            ]
          }
        },
        {
          "kind": "tool",
          "name": "read",
          "digest": "TOOL",
          "approved_by": "first use",
          "approved_at": "2026-01-31T12:00:00Z",
          "definition": {
            "description": "a\u202eb",
            "max": 12345678901234567890.10,
            "name": "read"
          }
        }
      ]
    }
  ]
}
`

func goodLockText() string {
	source := Source{Command: []string{"files"}}.Item()
	item := NewItem(KindTool, "read", []byte("{\"name\":\"read\",\"description\":\"a\u202eb\",\"max\":12345678901234567890.10}"))
	return strings.NewReplacer("SOURCE", source.Digest, "TOOL", item.Digest).Replace(goodLock)
}

func Test_lock_is_written_as_it_was_read(t *testing.T) {
	text := goodLockText()
	servers, err := parseLock("gatehouse.lock", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := encodeLock("gatehouse.lock", servers)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text, string(got)); diff != "" {
		t.Error(diff)
	}
}

func Test_lock_has_one_order(t *testing.T) {
	a, b := newFixture(t), newFixture(t)
	items := []Item{tool("b", ""), tool("a", ""), NewItem(KindPrompt, "a", []byte(`{}`)), NewItem(KindInstructions, "", []byte(`""`))}
	for _, server := range []string{"x", "y"} {
		a.observe(server, definition(items...), ObserveOptions{})
	}
	for _, server := range []string{"y", "x"} {
		b.observe(server, definition(items[3], items[2], items[1], items[0]), ObserveOptions{})
	}
	if diff := cmp.Diff(lockWithoutTimes(t, a), lockWithoutTimes(t, b)); diff != "" {
		t.Error(diff)
	}
}

func lockWithoutTimes(t *testing.T, f fixture) string {
	t.Helper()
	raw, err := os.ReadFile(f.lockPath)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(raw)) {
		if !strings.Contains(line, "approved_at") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func Test_malformed_lock(t *testing.T) {
	good := goodLockText()
	for name, test := range map[string]struct{ old, new, want string }{
		"not JSON":            {`"version": 1,`, `"version": 1`, ":3: a comma"},
		"conflict":            {`    {`, "<<<<<<< HEAD\n    {", ":4: a JSON value"},
		"trailing data":       {"  ]\n}\n", "  ]\n}\n{}", ":34: data after"},
		"empty":               {good, "", ":1:"},
		"not an object":       {good, "[]", ":1: an object"},
		"version":             {`"version": 1`, `"version": 2`, `:2: "version" must be 1`},
		"no version":          {`"version": 1,`, ``, `"version" is missing`},
		"unknown field":       {`"version": 1,`, `"version": 1, "extra": 1,`, `:2: unknown field "extra"`},
		"other case":          {`"version"`, `"Version"`, `:2: unknown field "Version"`},
		"duplicate key":       {`"version": 1,`, `"version": 1, "version": 1,`, ":2: duplicate member name"},
		"unknown server key":  {`"name": "files",`, `"name": "files", "trusted": true,`, `:5: unknown field "trusted"`},
		"no server name":      {`"name": "files",`, ``, `"name" is missing`},
		"empty server name":   {`"name": "files"`, `"name": ""`, ":4: a server must have a name"},
		"servers":             {`"servers": [`, `"servers": 1, "x": [`, `unknown field "x"`},
		"unknown item field":  {`"kind": "tool",`, `"kind": "tool", "state": "approved",`, `:19: unknown field "state"`},
		"unknown kind":        {`"kind": "tool"`, `"kind": "gadget"`, `unknown kind "gadget"`},
		"edited definition":   {`"name": "read"` + "\n", `"name": "send"` + "\n", `:21: server "files", tool "read": the digest is not that`},
		"edited digest":       {`"digest": "sha256:`, `"digest": "sha256:0`, `:9: server "files", source: the digest is not that`},
		"no digest":           {`"name": "read",` + "\n          \"digest\"", `"name": "read", "nodigest"`, "unknown field"},
		"no source":           {`"kind": "source"`, `"kind": "prompt", "name": "p"`, `:4: server "files": the item of kind "source" is missing`},
		"named source":        {`"kind": "source"`, `"kind": "source", "name": "p"`, `source must have no name`},
		"by":                  {`"approved_by": "ada"`, `"approved_by": 1`, `:10: "approved_by" must be a string`},
		"at":                  {`"approved_at": "2026-01-31T12:00:00Z"`, `"approved_at": "yesterday"`, `:11: "approved_at" must be a time`},
		"hidden in the error": {`"version": 1,`, "\"version\": 1, \"a\u202eb\": 1,", `unknown field "a\\u{202E}b"`},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, test.old) {
				t.Fatal("the case changes nothing")
			}
			_, err := parseLock("gatehouse.lock", []byte(strings.Replace(good, test.old, test.new, 1)))
			if err == nil || !strings.HasPrefix(err.Error(), "gatehouse.lock:") {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want %q", err, test.want)
			}
		})
	}
}

func Test_a_server_stands_once(t *testing.T) {
	good := goodLockText()
	server := good[strings.Index(good, "    {") : strings.LastIndex(good, "    }")+5]
	twice := strings.Replace(good, server, server+",\n"+server, 1)
	if _, err := parseLock("l", []byte(twice)); err == nil || !strings.Contains(err.Error(), `l:32: server "files" stands here a second time`) {
		t.Error(err)
	}
	item := server[strings.LastIndex(server, "        {") : strings.LastIndex(server, "        }")+9]
	twice = strings.Replace(good, item, item+",\n"+item, 1)
	if _, err := parseLock("l", []byte(twice)); err == nil || !strings.Contains(err.Error(), `tool "read" stands here a second time`) {
		t.Error(err)
	}
}

func Test_lock_bounds(t *testing.T) {
	source := Source{}.Item()
	entry := func(i int) string {
		return fmt.Sprintf(`{"name":"s%d","items":[{"kind":"source","digest":%q,"approved_by":"a","approved_at":"2026-01-31T12:00:00Z","definition":{}}]}`, i, source.Digest)
	}
	var servers []string
	for i := range MaxServers + 1 {
		servers = append(servers, entry(i))
	}
	parse := func(n int) error {
		_, err := parseLock("l", []byte(`{"version":1,"servers":[`+strings.Join(servers[:n], ",")+`]}`))
		return err
	}
	if err := parse(MaxServers); err != nil {
		t.Error(err)
	}
	if err := parse(MaxServers + 1); err == nil {
		t.Error("too many servers")
	}
	items := approvals{key{KindSource, ""}: {Item: source, By: "a"}}
	for i := range MaxItems {
		item := tool(fmt.Sprint(i), "")
		items[item.key()] = approved{Item: item, By: "a"}
	}
	if _, err := encodeLock("l", map[string]approvals{"files": items}); err != nil {
		t.Error(err)
	}
	more := tool("more", "")
	items[more.key()] = approved{Item: more, By: "a"}
	if _, err := encodeLock("l", map[string]approvals{"files": items}); err == nil {
		t.Error("too many items were written, which could not be read again")
	}
}

func Fuzz_lock(f *testing.F) {
	f.Add([]byte(goodLockText()))
	f.Add([]byte(`{"version":1,"servers":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		servers, err := parseLock("l", raw)
		if err != nil {
			return
		}
		// What is accepted is written in a form that means the same.
		first, err := encodeLock("l", servers)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseLock("l", first)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(servers, again, cmp.AllowUnexported(key{})); diff != "" {
			t.Fatal(diff)
		}
	})
}
