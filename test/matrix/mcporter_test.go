//go:build unix

package matrix

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
)

// porter runs mcporter: one process that lists the tools of all servers, and one
// for each call and resource.
func porter(t *testing.T, g *gateway, _ client, targets []target) results {
	t.Helper()
	name := func(s server) string { return filepath.Base(s.mount()) }
	known := object{}
	for _, to := range targets {
		known[name(to.server)] = object{"baseUrl": g.url + to.server.mount()}
	}
	config := filepath.Join(t.TempDir(), "mcporter.json")
	write(t, config, encode(t, object{"mcpServers": known, "imports": []string{}}))
	run := func(args ...string) (string, error) {
		return output(start(t, append([]string{node(t), bin(t, "mcporter"), "--config", config}, args...)...))
	}
	listed, err := run("list", "--json") // fails if one of them could not be listed
	lists, problem := porterLists(listed, err)

	found := results{}
	for _, to := range targets {
		for _, s := range to.steps {
			var text string
			err := problem
			switch s.Op {
			case opList:
				text = string(lists[name(to.server)])
			case opCall:
				text, err = run("call", name(to.server)+"."+s.Tool, "--args", encode(t, s.Arguments), "--output", "json")
			case opRead:
				text, err = run("resource", name(to.server), s.URI, "--output", "json")
			default:
				err = fmt.Errorf("mcporter has no %s", s.Op)
			}
			found.set(to.server, s.Op, outcome(text, err))
		}
	}
	return found
}

// porterLists takes the answer of "list --json" apart by server.
func porterLists(listed string, err error) (map[string]json.RawMessage, error) {
	var answer struct{ Servers []json.RawMessage }
	if failed := json.Unmarshal([]byte(listed), &answer); failed != nil {
		return nil, fmt.Errorf("reading what mcporter listed: %w (%w)", failed, err)
	}
	lists := map[string]json.RawMessage{}
	for _, raw := range answer.Servers {
		var one struct{ Name string }
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, err
		}
		lists[one.Name] = raw
	}
	return lists, nil
}
