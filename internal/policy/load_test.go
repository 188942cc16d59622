package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
)

// folder writes files and returns a configuration beside them.
func folder(t *testing.T, files map[string]string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := config.Default(filepath.Join(dir, "gatehouse.yaml"))
	c.Servers = office().Servers
	c.Policy.Configured = true
	return c
}

func (c *checker) lines() []string {
	var list []string
	for _, f := range c.findings {
		list = append(list, f.String())
	}
	return list
}

func Test_files_are_loaded_whole_or_not_at_all(t *testing.T) {
	const good = `permit (principal, action, resource);`
	c := folder(t, map[string]string{"policies/a.cedar": good, "policies/b.cedar": good, "other.cedar": good, "bad.cedar": "permit"})
	c.Policy.Files = []string{filepath.Join(c.Dir, "policies/*.cedar"), filepath.Join(c.Dir, "policies/a.cedar"), filepath.Join(c.Dir, "other.cedar")}
	c.Policy.Ready = []string{"production"}
	e, err := Load(c)
	if err != nil {
		t.Fatal(err)
	}
	d := e.Decide(call(ann, "mail/x"))
	if diff := cmp.Diff(Decision{Allow: true, Policies: []string{"policies/a.cedar:1", "policies/b.cedar:1", "other.cedar:1"}}, d); diff != "" {
		t.Error(diff)
	}

	tests := []struct {
		name, file, ready, want string
	}{
		{"syntax", "bad.cedar", "production", "bad.cedar:1: this is not a policy"},
		{"no such file", "none.cedar", "production", "none.cedar: there is no such file"},
		{"a folder", "policies", "production", "is not a regular file"},
		{"no such ready policy", "other.cedar", "prod", `there is no ready policy "prod"; there are business-hours`},
		{"pattern", "[.cedar", "production", "syntax error in pattern"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bad := *c
			bad.Policy.Files = []string{filepath.Join(c.Dir, "other.cedar"), filepath.Join(c.Dir, test.file)}
			bad.Policy.Ready = []string{test.ready}
			e, err := Load(&bad)
			if err == nil || e != nil {
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func Test_no_policies_permit_nothing(t *testing.T) {
	e, err := Load(folder(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := e.Decide(call(root, "mail/x")); d.Allow || d.Err != nil {
		t.Errorf("got %+v", d)
	}
	if e.Lists(call(root, "mail/x")) {
		t.Error("something is listed")
	}
}

func Test_too_many_policies(t *testing.T) {
	_, err := New(office(), []Source{{Name: "a", Text: []byte(strings.Repeat("permit(principal,action,resource);\n", maxRules+1))}})
	if err == nil || !strings.Contains(err.Error(), "with it there are 10001 policies, expected at most 10000") {
		t.Errorf("got %v", err)
	}
}

func Test_a_digest_names_what_decides(t *testing.T) {
	digest := func(text string, change func(*config.Config)) string {
		c := office()
		change(c)
		return engine(t, c, text).Digest()
	}
	const all, none = `permit (principal, action, resource);`, `forbid (principal, action, resource);`
	same := func(*config.Config) {}
	first := digest(all, same)
	if first != digest(all, same) {
		t.Error("not the same for the same")
	}
	for name, other := range map[string]string{
		"policies":    digest(none, same),
		"mode":        digest(all, func(c *config.Config) { c.Policy.Mode = config.Report }),
		"zone":        digest(all, func(c *config.Config) { c.TimeZone = "Asia/Tokyo" }),
		"labels":      digest(all, func(c *config.Config) { c.Servers[0].Labels = nil }),
		"tools":       digest(all, func(c *config.Config) { c.Servers[0].ToolLabels = nil }),
		"environment": digest(all, func(c *config.Config) { c.Servers[0].Environment = "" }),
	} {
		if other == first {
			t.Errorf("the same with other %s", name)
		}
	}
}

func Test_policies_that_only_report_are_warned_of(t *testing.T) {
	e := engine(t, office(), "permit (principal, action, resource);\n@id(\"soon\") @mode(\"report\") forbid (principal, action, resource);")
	if diff := cmp.Diff([]string{"policy soon (test.cedar:2): it only reports; what it would refuse passes"}, e.Warnings()); diff != "" {
		t.Error(diff)
	}
}

func Test_decisions_at_once(t *testing.T) {
	e := engine(t, office(), `permit (principal, action, resource) when { context.time.hour == 12 && context.arguments.hasTag("a") };`)
	done := make(chan bool)
	for i := range 8 {
		r := withArguments(t, call(ann, "files/a"), `{"a":"b"}`)
		r.ClientName = string(rune('a' + i))
		go func() {
			ok := true
			for range 200 {
				ok = ok && e.Decide(r).Allow && e.Lists(r)
			}
			done <- ok
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("denied or hidden")
		}
	}
}

// The index is what keeps a decision from looking at every policy.
func Test_a_decision_looks_at_few_policies(t *testing.T) {
	c, text := manyPolicies(1000)
	e := engine(t, c, text)
	for _, p := range []*identity.Principal{ann, {ID: "user:corp/u12", Kind: identity.User, Teams: []string{"t14", "t4", "t54", "t9"}}} {
		w, err := e.world(call(p, "s4/read_file"))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(w.candidates()); n > 10 {
			t.Errorf("%d of %d policies are looked at for %s", n, e.Size(), p.ID)
		}
	}
}
