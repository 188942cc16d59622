package protect

import (
	"testing"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/checks"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
)

// judged are the findings about a home's servers of which checks say that protect mends them.
func judged(files []client.File, home string) (mended, others []check.Finding) {
	scene := &check.Scene{Now: time.Now(), Home: home, Files: files}
	for _, f := range files {
		scene.Servers = append(scene.Servers, inventory.Servers(f.Entries)...)
	}
	for _, f := range checks.Run(scene).Findings {
		if f.Protect {
			mended = append(mended, f)
		} else {
			others = append(others, f)
		}
	}
	return mended, others
}

// A check that promises what protect does not do sends people in circles.
func Test_what_checks_say_that_protect_mends_is_mended(t *testing.T) {
	b := newBench(t, `{"mcpServers": {
	"npm": {"command": "npx", "args": ["-y", "some-server"], "env": {"GITHUB_TOKEN": "ghp_`+"R7kQ2mZ9xV4bN8cL1sD6fG3hJ5wT0yPaEuIo"+`", "DB_PASSWORD": "korrekt-7-pferd-batterie"}},
	"pypi": {"command": "uvx", "args": ["other-server"], "env": {"DATABASE_URL": "postgres://ann:pferd-99-batterie@db.example.com/shop"}}
}}`)
	b.options.Version = func(client.Entry, inventory.Source) (string, string) { return "1.2.3", "told" }
	before, _ := judged(b.files(), b.home)
	if len(before) < 3 {
		t.Errorf("only %d findings to mend: %+v", len(before), before)
	}
	_, othersBefore := judged(b.files(), b.home)
	b.protect()
	after, others := judged(b.files(), b.home)
	for _, f := range after {
		t.Errorf("%s, %s: %s", f.Name, f.Check, f.Why)
	}
	if len(others) > len(othersBefore) {
		t.Errorf("protect brings findings of its own: %+v", others)
	}
	b.unprotect(Selection{})
	if again, _ := judged(b.files(), b.home); len(again) != len(before) {
		t.Errorf("put back there are %d findings, and there were %d", len(again), len(before))
	}
}
