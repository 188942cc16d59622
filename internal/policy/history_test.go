package policy

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/internal/audit"
	"gatehouse/internal/identity"
)

func decided(who, method, server, target string) *audit.Record {
	return &audit.Record{Kind: audit.Decided, Decision: audit.Allow, Exchange: "e", Time: noon, Principal: who, Method: method, Server: server, Target: target, Direction: audit.ClientToServer, Session: "s"}
}

func Test_what_a_record_says(t *testing.T) {
	changed := func(r *audit.Record, change func(*audit.Record)) *audit.Record { change(r); return r }
	const digest = "sha256:x"
	tests := []struct {
		name    string
		record  *audit.Record
		want    *Request
		without unknown
		ok      bool
	}{
		{"a call", decided("local:root", "tools/call", "db", "drop"), &Request{Method: "tools/call", Server: "db", Kind: KindTool, Name: "drop", Claims: Claims{Destructive: Yes}}, noAddress | noState, true},
		{"a token", decided("user:corp/ann", "prompts/get", "db", "p"), &Request{Method: "prompts/get", Server: "db", Kind: KindPrompt, Name: "p"}, noAddress | noState | noCredential | noName, true},
		{"a resource", decided("key:ci", "resources/read", "db", "file:///a"), &Request{Method: "resources/read", Server: "db", Kind: KindResource, Name: "file:///a"}, noAddress | noState | noCredential | noName, true},
		{"a list", decided("local:root", "tools/list", "db", ""), &Request{Method: "tools/list", Server: "db", Kind: KindServer}, noAddress | noState, true},
		{"a joined list", decided("local:root", "tools/list", "", ""), &Request{Method: "tools/list", Kind: KindGateway}, noAddress | noState, true},
		{"arguments that are not kept", changed(decided("local:root", "tools/call", "db", "x"), func(r *audit.Record) { r.ArgumentsDigest = digest }), &Request{Method: "tools/call", Server: "db", Kind: KindTool, Name: "x"}, noAddress | noState | noArguments, true},
		{"arguments that are cut", changed(decided("local:root", "tools/call", "db", "x"), func(r *audit.Record) {
			r.ArgumentsDigest, r.Arguments, r.ArgumentsCut = digest, []byte(`"{"`), true
		}), &Request{Method: "tools/call", Server: "db", Kind: KindTool, Name: "x"}, noAddress | noState | noArguments, true},
		{"a denial", changed(decided("local:root", "tools/call", "db", "x"), func(r *audit.Record) { r.Kind, r.Decision, r.Reason = audit.Ended, audit.Deny, "denied" }), &Request{Method: "tools/call", Server: "db", Kind: KindTool, Name: "x"}, noAddress | noState, true},
		{"another denial", changed(decided("local:root", "tools/call", "db", "x"), func(r *audit.Record) { r.Kind, r.Decision, r.Reason = audit.Ended, audit.Deny, "drift" }), nil, 0, false},
		{"an end", changed(decided("local:root", "tools/call", "db", "x"), func(r *audit.Record) { r.Kind = audit.Ended }), nil, 0, false},
		{"nobody", decided("ann", "tools/call", "db", "x"), nil, 0, false},
		{"a completion", decided("local:root", "completion/complete", "db", "x"), nil, 0, false},
		{"a question of an unknown session", changed(decided("server:db", "elicitation/create", "db", ""), func(r *audit.Record) { r.Direction, r.Session = audit.ServerToClient, "other" }), nil, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			past, ok := NewReader(stock).Read(test.record)
			if ok != test.ok {
				t.Fatalf("ok %v, want %v", ok, test.ok)
			}
			if !ok {
				return
			}
			got := *past.Request
			if got.Principal.ID != test.record.Principal || !got.Time.Equal(noon) {
				t.Errorf("principal %+v, time %v", got.Principal, got.Time)
			}
			got.Principal, got.Time = nil, time.Time{}
			if diff := cmp.Diff(test.want, &got, cmpopts.IgnoreFields(Request{}, "Arguments"), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
			if past.without != test.without {
				t.Errorf("without %b, want %b", past.without, test.without)
			}
		})
	}
}

// What the log says of the principal and where it was is asked again; arguments are
// only what they were if nothing in them was replaced.
func Test_replay_asks_what_was_asked(t *testing.T) {
	const policies = `permit (principal, action == Action::"tools/call", resource == Tool::"db/drop") when {
  context.scopes.contains("db:write") && principal.name == "Ann" && context has address && context.address.isInRange(ip("10.0.0.0/8"))
  && context.arguments.hasTag("table") && context.arguments.getTag("table") == "old" };`
	arguments := []byte(`{"table":"old"}`)
	whole := func() *audit.Record {
		r := decided("user:corp/ann", "tools/call", "db", "drop")
		r.Asked = &audit.Asked{Name: "Ann", Means: "jwt", Issuer: "corp", Scopes: []string{"db:write"}, Address: "10.1.2.3"}
		r.Arguments, r.ArgumentsDigest = arguments, digestOf(arguments)
		return r
	}
	for name, test := range map[string]struct {
		change func(*audit.Record)
		want   string // now; "" is the same
	}{
		"everything is known":      {func(*audit.Record) {}, ""},
		"another scope":            {func(r *audit.Record) { r.Asked.Scopes = []string{"db:read"} }, audit.Deny},
		"another address":          {func(r *audit.Record) { r.Asked.Address = "192.0.2.1" }, audit.Deny},
		"over stdio":               {func(r *audit.Record) { r.Asked.Address = "" }, audit.Deny},
		"an address like no other": {func(r *audit.Record) { r.Asked.Address = "here" }, Unclear},
		"a record of before":       {func(r *audit.Record) { r.Asked = nil }, Unclear},
		"arguments with a secret":  {func(r *audit.Record) { r.Arguments = []byte(`{"table":"[redacted]"}`) }, Unclear},
		"arguments that are params": {func(r *audit.Record) {
			r.Arguments = []byte(`{"name":"drop"}`)
			r.ArgumentsDigest = digestOf(r.Arguments)
		}, Unclear},
	} {
		r := whole()
		test.change(r)
		past, ok := NewReader(stock).Read(r)
		if !ok {
			t.Fatalf("%s: not read", name)
		}
		replay := Replay{Engine: engine(t, office(), policies)}
		replay.Add(past)
		got := ""
		for _, d := range replay.Differences() {
			got = d.Now
		}
		if got != test.want {
			t.Errorf("%s: now %q, want %q", name, got, test.want)
		}
	}
}

func Test_a_question_is_the_principals_of_its_session(t *testing.T) {
	d := NewReader(nil)
	d.Read(decided("user:corp/ann", "tools/call", "db", "x"))
	question := decided("server:db", "elicitation/create", "db", "")
	question.Direction = audit.ServerToClient
	past, ok := d.Read(question)
	if !ok || past.Request.Principal.ID != "user:corp/ann" || past.Request.Kind != KindServer {
		t.Errorf("got %+v, %v", past, ok)
	}
}

func Test_principals_of_ids(t *testing.T) {
	tests := []struct {
		id   string
		want *identity.Principal
	}{
		{"local:root", &identity.Principal{ID: "local:root", Kind: identity.Local, Name: "root", Means: "local"}},
		{"user:corp/ann", &identity.Principal{ID: "user:corp/ann", Kind: identity.User, Name: "ann"}},
		{"key:ci", &identity.Principal{ID: "key:ci", Kind: identity.Agent, Name: "ci", Means: "key"}},
		{"cert:a", &identity.Principal{ID: "cert:a", Kind: identity.Agent, Name: "a", Means: "certificate"}},
		{"agent:corp/bot", &identity.Principal{ID: "agent:corp/bot", Kind: identity.Agent, Name: "bot"}},
		{"proxy:p/u", &identity.Principal{ID: "proxy:p/u", Kind: identity.User, Name: "u", Means: "proxy"}},
		{"server:db", nil}, {"", nil}, {"local:", nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, PrincipalOf(test.id, nil)); diff != "" {
			t.Errorf("%s: %s", test.id, diff)
		}
	}
}

// What was used must be allowed by the policies that are written from it, and
// nothing else.
func Test_the_least_policies_allow_what_was_used(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 30 {
		var least Least
		used := map[string]bool{}
		for range random.IntN(8) + 1 {
			r := randomRequest(t, random)
			least.Add(Past{Request: r, Allowed: true})
			used[r.Principal.ID+" "+r.Method+" "+resourceOf(r).String()] = true
		}
		e, err := New(office(), []Source{{Name: "least", Text: least.Text()}})
		if err != nil {
			t.Fatalf("%v\n%s", err, least.Text())
		}
		for range 200 {
			r := randomRequest(t, random)
			want := used[r.Principal.ID+" "+r.Method+" "+resourceOf(r).String()]
			if d := e.Decide(r); d.Allow != want {
				t.Fatalf("%s\n%s %s %s: got %+v, want %v", least.Text(), r.Principal.ID, r.Method, resourceOf(r), d, want)
			}
		}
	}
}

// Tightened policies must load, allow all that was used, and allow nothing that was
// not allowed before.
func Test_tightened_policies_allow_what_was_used(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	changed := 0
	for range 60 {
		text := "// A comment; with a semicolon.\n" + randomPolicies(random, 1+random.IntN(8)) + `@id("last") permit (principal == User::"none;", action, resource); // "`
		before := engine(t, office(), text)
		tighten := Tighten{Engine: before, Inventory: append(stock, Item{Server: "files", Kind: KindTool, Name: "read_a"}, Item{Server: "files", Kind: KindTool, Name: "write_a"})}
		var used []*Request
		for range 6 {
			r := randomRequest(t, random)
			if before.Decide(r).Allow {
				used = append(used, r)
				tighten.Add(Past{Request: r, Allowed: true})
			}
		}
		changes := tighten.Changes()
		after, err := Apply([]byte(text), changes)
		if err != nil {
			t.Fatal(err)
		}
		changed += len(changes)
		e, err := New(office(), []Source{{Name: "after", Text: append(after, "\nforbid (principal, action, resource) when { false };"...)}})
		if err != nil {
			t.Fatalf("%v\n%s", err, after)
		}
		for _, r := range used {
			if d := e.Decide(r); !d.Allow {
				t.Fatalf("%s\nbecame\n%s\n%+v is denied: %+v", text, after, r, d)
			}
		}
		for range 60 {
			r := randomRequest(t, random)
			if e.Decide(r).Allow && !before.Decide(r).Allow {
				t.Fatalf("%s\nbecame\n%s\n%+v is allowed", text, after, r)
			}
		}
	}
	if changed < 50 {
		t.Errorf("only %d changes", changed)
	}
}

func Test_replay(t *testing.T) {
	e := engine(t, office(), `
@id("ops") permit (principal in Team::"ops", action == Action::"tools/call", resource) unless { context.arguments.hasTag("secret") };
@id("soon") @mode("report") forbid (principal, action, resource == Tool::"mail/send");
@id("address") forbid (principal, action, resource == Tool::"db/drop") unless { context has address };
`)
	reader := NewReader(stock)
	replay := Replay{Engine: e}
	add := func(change func(*audit.Record)) {
		r := decided("user:corp/ann", "tools/call", "files", "read_file")
		r.Teams = []string{"ops"}
		change(r)
		past, ok := reader.Read(r)
		if !ok {
			t.Fatalf("%+v is no request", r)
		}
		replay.Add(past)
	}
	add(func(*audit.Record) {})
	add(func(r *audit.Record) { r.Target = "send"; r.Server = "mail" })
	add(func(r *audit.Record) { r.Teams = nil })
	add(func(r *audit.Record) { r.Teams = nil; r.Exchange = "last" })
	add(func(r *audit.Record) { r.ArgumentsDigest = "sha256:x" })
	add(func(r *audit.Record) { r.Target = "drop"; r.Server = "db" })
	add(func(r *audit.Record) { r.Kind, r.Decision, r.Reason = audit.Ended, audit.Deny, "denied" })
	want := []Difference{
		{Principal: "user:corp/ann", Method: "tools/call", Server: "files", Target: "read_file", Was: "allow", Now: "deny", Exchange: "last", Count: 2},
		{Principal: "user:corp/ann", Method: "tools/call", Server: "db", Target: "drop", Was: "allow", Now: "unclear", Policies: []string{"address"}, Exchange: "e", Count: 1},
		{Principal: "user:corp/ann", Method: "tools/call", Server: "files", Target: "read_file", Was: "deny", Now: "allow", Policies: []string{"ops"}, Exchange: "e", Count: 1},
		{Principal: "user:corp/ann", Method: "tools/call", Server: "files", Target: "read_file", Was: "allow", Now: "unclear", Policies: []string{"ops"}, Exchange: "e", Count: 1},
		{Principal: "user:corp/ann", Method: "tools/call", Server: "mail", Target: "send", Was: "allow", Now: "allow", Policies: []string{"ops"}, Would: []string{"soon"}, Exchange: "e", Count: 1},
	}
	if diff := cmp.Diff(want, replay.Differences()); diff != "" {
		t.Error(diff)
	}
	if replay.Total != 7 || replay.Same != 1 {
		t.Errorf("total %d, same %d", replay.Total, replay.Same)
	}
}

func Test_a_statement_that_does_not_end(t *testing.T) {
	for _, text := range []string{`permit (`, `permit ("`, `permit // ;`, `"\`} {
		if end, err := statementEnd([]byte(text), 0); err == nil || !strings.Contains(err.Error(), "does not end") {
			t.Errorf("%q: %d, %v", text, end, err)
		}
	}
}
