package profile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func Test_a_proposal_holds_what_was_used_and_no_more(t *testing.T) {
	m := Machine{
		Covered: func(u Use) bool { return strings.HasPrefix(u.Path, "/usr/") && u.Kind == UsedRead },
		Folder: func(path string) (bool, bool) {
			return path == "/srv/list" || path == "/srv/out", !strings.Contains(path, "missing")
		},
		Broad: []string{"/home/ann"},
	}
	uses := []Use{
		{Kind: Named, Path: "/srv/named", Times: 1},
		{Kind: UsedRead, Path: "/srv/named/in.txt", Times: 1},
		{Kind: UsedRead, Path: "/usr/lib/x.so", Times: 1},
		{Kind: UsedRead, Path: "/srv/missing", Times: 1},
		{Kind: UsedRead, Path: "/srv/one.txt", Times: 3},
		{Kind: UsedRead, Path: "/srv/list", Times: 1},
		{Kind: UsedRead, Path: "/srv/list/in.txt", Times: 1},
		{Kind: UsedRead, Path: "/srv/many/a", Times: 1}, {Kind: UsedRead, Path: "/srv/many/b", Times: 1}, {Kind: UsedRead, Path: "/srv/many/c", Times: 1}, {Kind: UsedRead, Path: "/srv/many/d", Times: 1},
		{Kind: UsedRead, Path: "/home/ann/a", Times: 1}, {Kind: UsedRead, Path: "/home/ann/b", Times: 1}, {Kind: UsedRead, Path: "/home/ann/c", Times: 1}, {Kind: UsedRead, Path: "/home/ann/d", Times: 1},
		{Kind: UsedWrite, Path: "/srv/out/missing.db", Times: 1},
		{Kind: UsedWrite, Path: "/srv/out/there.db", Times: 1},
		{Kind: UsedRead, Path: "/srv/out/there.db", Times: 1},
		{Kind: UsedRead, Path: "/srv/out", Times: 1},
		{Kind: UsedExecute, Path: "/usr/bin/git", Times: 2},
		{Kind: UsedExecute, Path: "/missing/git", Times: 1},
		{Kind: UsedNetwork, Host: "api.example.com", Port: 443, Times: 1}, {Kind: UsedNetwork, Host: "api.example.com", Port: 80, Times: 1}, {Kind: UsedNetwork, Host: "api.example.com", Times: 1},
		{Kind: UsedNetwork, Host: "only.example.com", Times: 1},
	}
	got, reasons := Propose(Profile{Preset: "node", Limits: Limits{Memory: 1}}, uses, m)
	want := Profile{
		Preset: "node", Limits: Limits{Memory: 1},
		Read:    []string{"/srv/list", "/srv/named", "/srv/many", "/home/ann/a", "/home/ann/b", "/home/ann/c", "/home/ann/d", "/srv/one.txt"},
		Write:   []string{"/srv/out"},
		Execute: []string{"/usr/bin/git"},
		Network: []Destination{{"api.example.com", []int{80, 443}}, {"only.example.com", []int{443}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(reasons) != len(want.Read)+len(want.Write)+len(want.Execute)+len(want.Network) {
		t.Errorf("%d reasons: %+v", len(reasons), reasons)
	}
	for _, r := range reasons {
		if r.Key == "" || r.Value == "" || r.Why == "" {
			t.Errorf("%+v", r)
		}
	}
}
