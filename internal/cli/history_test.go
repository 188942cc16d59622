package cli

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
)

// record writes records into an audit log: record DIR FILE, with a record on each
// line of the file.
func record(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: record DIR FILE")
	}
	trail, err := audit.Open(ts.MkAbs(args[0]), audit.Options{})
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		var r audit.Record
		ts.Check(json.Unmarshal([]byte(line), &r))
		ts.Check(trail.Append(&r))
	}
	ts.Check(trail.Close())
}

// approved writes a lock: approved LOCK SERVER FILE, with a tool on each line of the
// file.
func approved(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: approved LOCK SERVER FILE")
	}
	book, err := approval.Open(ts.MkAbs(args[0]), ts.MkAbs("pending"))
	ts.Check(err)
	d := approval.Definition{Source: approval.Source{Command: []string{"server"}}}
	for line := range strings.Lines(ts.ReadFile(args[2])) {
		var tool struct{ Name string }
		ts.Check(json.Unmarshal([]byte(line), &tool))
		d.Items = append(d.Items, approval.NewItem(approval.KindTool, tool.Name, []byte(strings.TrimSpace(line))))
	}
	_, err = book.Observe(args[1], d, approval.ObserveOptions{})
	ts.Check(err)
	ts.Check(os.RemoveAll(ts.MkAbs("pending")))
}
