package confusableservers

import (
	"fmt"
	"testing"

	"gatehouse/internal/check"
	"gatehouse/internal/check/checktest"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
)

func TestCheck(t *testing.T) { checktest.Run(t, Check) }

func Test_too_many_names_are_not_compared(t *testing.T) {
	entries := []client.Entry{{Clients: []string{"a"}, Name: "server-x", Words: []string{"other"}}}
	for i := range maxCompared {
		entries = append(entries, client.Entry{Clients: []string{"a"}, Name: "server-x", Words: []string{"own", fmt.Sprint(i)}})
	}
	r := run(&check.Scene{Servers: inventory.Servers(entries)})
	if len(r.Findings) != 0 || len(r.Unchecked) != 1 {
		t.Errorf("%d findings, %v", len(r.Findings), r.Unchecked)
	}
	if r := run(&check.Scene{Servers: inventory.Servers(entries[:2])}); len(r.Findings) != 1 || len(r.Unchecked) != 0 {
		t.Errorf("%v", r)
	}
}
