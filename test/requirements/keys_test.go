//go:build linux

package requirements

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// peakMemory is the most memory that a process had at once, in bytes.
func peakMemory(t *testing.T, pid int) (bytes int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscanf(rest, "%d kB", &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes << 10
}

// Many keys are taken over while the gateway runs, cost little memory, and neither
// hide a key nor make one of nothing.
func Test_attack_ten_thousand_keys(t *testing.T) {
	const most = 48 << 20 // beyond the memory with one key; a program may read the file whole
	g := openGuarded(t)
	key := g.key(t, "--team", "data")
	call := func(credential string) reply {
		return g.as(t, true, "web", credential).call("echo", object{"text": "hello"})
	}
	if r := call(key); r.text() != "hello" {
		t.Fatalf("one key: answered %d %s", r.status, r.raw)
	}
	before := peakMemory(t, g.command.Process.Pid)

	path := filepath.Join(g.dir, ".gatehouse", "keys")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Version int      `json:"version"`
		Keys    []object `json:"keys"`
	}
	if err := json.Unmarshal(raw, &file); err != nil || len(file.Keys) != 1 {
		t.Fatalf("the file of the keys is %s: %v", raw, err)
	}
	mine := file.Keys[0]
	shown := mine["key"].(string)
	for n := range 10_000 {
		other := maps.Clone(mine)
		other["name"] = fmt.Sprint("other-", n)
		other["key"] = shown[:3] + rand.Text()[:len(shown)-3]
		other["sha256"] = fmt.Sprintf("%056d%08x", 0, n)
		file.Keys = append(file.Keys, other)
	}
	file.Keys = append(file.Keys[1:], mine) // last, where a search would come last
	delete(mine, "teams")                   // and without a team, so that the change can be seen
	if err := os.WriteFile(path+".new", encode(t, file), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for r := call(key); r.text() == "hello"; r = call(key) {
		if time.Now().After(deadline) {
			t.Fatal("the change is not noticed")
		}
	}
	if r := call(key); r.status != http.StatusNotFound || r.reason() == "unidentified" {
		t.Errorf("the key among ten thousand: answered %d %s", r.status, r.raw)
	}
	if r := call(key[:len(key)-1] + "!"); r.status != http.StatusUnauthorized {
		t.Errorf("a key that is none: answered %d %s", r.status, r.raw)
	}
	if grown := peakMemory(t, g.command.Process.Pid) - before; grown > most {
		t.Errorf("ten thousand keys cost %d bytes, want at most %d", grown, most)
	} else {
		t.Logf("ten thousand keys cost %d KiB at the most", grown>>10)
	}
}
