package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const everyIdentityKey = `
tls: {cert: cert.pem, key: key.pem}
identity:
  resource: https://gatehouse.example.com
  local: deny
  issuers:
    partner: {url: "http://127.0.0.1:9000", header: x-assertion, audiences: [/projects/1/apps/2]}
    corp:
      url: https://login.example.com/tenant/
      audiences: [api://gatehouse]
      scopes: [mcp]
      algorithms: [RS256, EdDSA]
      typ: at+jwt
      subject_claim: oid
      name_claim: email
      teams_claim: /realm_access/roles
      jwks_url: https://keys.example.com/jwks
      introspection: {client_id: gw, client_secret: "env:GATEHOUSE_TEST_TOKEN", url: "https://login.example.com/ask"}
      ca: ca.pem
  keys: {file: team/keys}
  certificates: {ca: clients.pem, name: email, teams: ou}
  proxies:
    edge:
      from: [10.0.0.0/8, "::1"]
      user: x-forwarded-user
      teams: x-forwarded-groups
      signature: {header: x-signature, secret: "env:GATEHOUSE_TEST_TOKEN"}
teams:
  ops: {users: [user:corp/alice, local:me, cert:alice@example.com, proxy:edge/bob, agent:corp/nightly]}
  data: {groups: [corp/data-eng, edge/data, certificates/data], keys: [ci]}
servers: {files: {command: [server]}}
`

func Test_every_key_of_identity_is_read(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_TOKEN", "long enough value")
	path := write(t, "gatehouse.yaml", everyIdentityKey)
	in := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	env := seal(&secret{parts: []part{{source: fromEnv, text: "GATEHOUSE_TEST_TOKEN"}}})
	partner := defaultIssuer()
	partner.Name, partner.URL, partner.Header, partner.Audiences = "partner", "http://127.0.0.1:9000", "X-Assertion", []string{"/projects/1/apps/2"}
	want := Identity{
		Resource: "https://gatehouse.example.com", Local: "deny", Keys: in("team/keys"),
		Issuers: []Issuer{{
			Name: "corp", URL: "https://login.example.com/tenant/", Audiences: []string{"api://gatehouse"}, Scopes: []string{"mcp"},
			Algorithms: []string{"RS256", "EdDSA"}, Typ: "at+jwt", SubjectClaim: "oid", NameClaim: "email", TeamsClaim: "/realm_access/roles",
			JWKSURL: "https://keys.example.com/jwks", Introspection: Introspection{"gw", env, "https://login.example.com/ask"}, CA: in("ca.pem"),
		}, partner},
		Certificates: Certificates{CA: in("clients.pem"), Name: "email", Teams: "ou"},
		Proxies: []Proxy{{
			Name: "edge", From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			User: "X-Forwarded-User", Teams: "X-Forwarded-Groups", SignatureHeader: "X-Signature", SignatureSecret: env,
		}},
	}
	if diff := cmp.Diff(want, c.Identity, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	teams := []Team{
		{Name: "data", Groups: []string{"corp/data-eng", "edge/data", "certificates/data"}, Keys: []string{"ci"}},
		{Name: "ops", Users: []string{"user:corp/alice", "local:me", "cert:alice@example.com", "proxy:edge/bob", "agent:corp/nightly"}},
	}
	if diff := cmp.Diff(teams, c.Teams); diff != "" {
		t.Error(diff)
	}
	if !c.Identity.Equal(&want) || c.Identity.LocalAllowed() || !c.Identity.Configured() {
		t.Error("the section does not know itself")
	}
	want.Issuers[1].Header = ""
	if c.Identity.Equal(&want) {
		t.Error("differs and is equal")
	}
}

func Test_identity_has_defaults(t *testing.T) {
	none := load(t, top(""))
	if none.Identity.Configured() || !none.Identity.LocalAllowed() {
		t.Errorf("nothing configured: %+v", none.Identity)
	}
	c := load(t, top("identity:\n  resource: https://gw.example\n  keys: {}\n  issuers: {corp: {url: https://login.example.com}}"))
	i := c.Identity
	if i.LocalAllowed() || i.Keys != filepath.Join(c.State, "keys") || !i.Issuers[0].equal(Issuer{
		Name: "corp", URL: "https://login.example.com", Typ: "any", SubjectClaim: "sub", NameClaim: "preferred_username", Algorithms: []string{"RS256", "PS256", "ES256", "EdDSA"},
	}) {
		t.Errorf("%+v", i)
	}
	keys := load(t, top("state: other\nidentity:\n  keys:\n"))
	if want := filepath.Join(keys.Dir, "other", "keys"); keys.Identity.Keys != want {
		t.Errorf("keys in %s, want %s", keys.Identity.Keys, want)
	}
	wantWarnings(t, load(t, top("identity: {local: allow, keys: {}}")), "identity.local (line 1): every program of this machine")
}

func Test_one_wrong_value_in_each_field_of_identity_is_refused(t *testing.T) {
	identity := func(lines string) string { return top("identity:\n  resource: https://gw.example\n" + lines) }
	issuer := func(lines string) string {
		return identity("  issuers:\n    corp: {url: https://login.example.com, " + lines + "}")
	}
	proxy := func(lines string) string { return top("identity:\n  proxies:\n    edge: {" + lines + "}") }
	team := func(lines string) string {
		return issuer("teams_claim: groups") + "teams:\n  data: {" + lines + "}\n"
	}
	for _, test := range []struct{ name, file, want string }{
		{"a list", top("identity: []"), ":1:11: identity: found a list"},
		{"unknown key", top("identity: {issuer: {}}"), `identity.issuer: unknown key; did you mean "issuers"?`},
		{"resource scheme", top("identity: {resource: http://gw.example}"), ":1:22: identity.resource: expected the https address"},
		{"resource slash", top("identity: {resource: https://gw.example/}"), "identity.resource: expected"},
		{"resource mount", top("identity: {resource: https://gw.example/mcp}"), "identity.resource: expected"},
		{"resource letters", top("identity: {resource: https://GW.example}"), "identity.resource: expected"},
		{"local", top("identity: {local: true}"), "identity.local: found true, expected allow or deny"},
		{"issuers as list", identity("  issuers: [corp]"), ":3:12: identity.issuers: found a list"},
		{"issuer as text", identity("  issuers: {corp: https://a.example}"), "identity.issuers.corp: found text, expected a mapping"},
		{"issuer name", identity("  issuers: {Corp: {url: https://a.example}}"), `identity.issuers.Corp: expected a name`},
		{"issuer name taken", identity("  issuers: {certificates: {url: https://a.example}}"), "used for certificates"},
		{"issuer without url", identity("  issuers: {corp: {typ: any}}"), ":3:13: identity.issuers.corp: url is missing"},
		{"issuer url", identity("  issuers: {corp: {url: http://login.example.com}}"), "identity.issuers.corp.url: expected an https URL"},
		{"issuers without resource", top("identity:\n  issuers: {corp: {url: https://a.example}}"), ":2:13: identity.resource: is missing"},
		{"the same issuer twice", identity("  issuers: {a: {url: https://a.example}, b: {url: https://a.example}}"), "identity.issuers.b: a has this url already"},
		{"audiences", issuer("audiences: x"), "audiences: found text, expected a list"},
		{"scope", issuer("scopes: ['a b']"), "scopes[0]: found \"a b\", expected one scope"},
		{"offline_access", issuer("scopes: [offline_access]"), "between a client and its authorization server"},
		{"algorithm none", issuer("algorithms: [none]"), `algorithms[0]: found "none", expected an asymmetric signature`},
		{"algorithm HS256", issuer("algorithms: [RS256, HS256]"), `algorithms[1]: found "HS256", expected an asymmetric signature`},
		{"no algorithm", issuer("algorithms: []"), "an empty list takes no token"},
		{"typ", issuer("typ: jwt"), `typ: found "jwt", expected at+jwt or any`},
		{"subject_claim", issuer("subject_claim: ''"), "subject_claim: found \"\", expected the name of a claim"},
		{"jwks_url", issuer("jwks_url: http://keys.example"), "jwks_url: expected an https URL"},
		{"introspection without id", issuer("introspection: {client_secret: 'env:X'}"), "introspection: client_id is missing"},
		{"introspection without secret", issuer("introspection: {client_id: gw}"), "introspection: client_secret is missing"},
		{"introspection secret", issuer("introspection: {client_id: gw, client_secret: hunter22}"), "a secret does not stand in this file"},
		{"introspection of two", identity("  issuers:\n    a: {url: https://a.example, introspection: {client_id: a, client_secret: 'env:X'}}\n    b: {url: https://b.example, introspection: {client_id: a, client_secret: 'env:X'}}"), "identity.issuers.b.introspection: a has introspection already"},
		{"header", issuer("header: Authorization"), "has a meaning of its own"},
		{"header of ours", issuer("header: Mcp-Name"), "is written by the gateway itself"},
		{"keys", top("identity: {keys: {path: x}}"), "identity.keys.path: unknown key"},
		{"certificates without ca", top("identity: {certificates: {name: cn}}"), "identity.certificates: ca is missing"},
		{"certificates without tls", top("identity: {certificates: {ca: x.pem}}"), "needs the tls section"},
		{"certificates name", top("identity: {certificates: {ca: x.pem, name: san}}"), "expected uri or email or dns or cn"},
		{"proxy that anyone can be", proxy("user: X-User"), ":3:5: identity.proxies.edge: anyone could send these headers"},
		{"proxy without user", proxy("from: [10.0.0.1]"), "user is missing"},
		{"proxy from everywhere", proxy("from: [0.0.0.0/0], user: X-User"), `from[0]: found "0.0.0.0/0", expected an address or a range`},
		{"proxy from a wrong range", proxy("from: [10.0.0.1/8], user: X-User"), "expected an address or a range"},
		{"proxy from a name", proxy("from: [edge.example], user: X-User"), "expected an address or a range"},
		{"proxy without secret", proxy("user: X-User, signature: {header: X-S}"), "signature: header and secret belong together"},
		{"proxy with one header twice", proxy("from: [10.0.0.1], user: X-User, teams: x-user"), "the same header stands here twice"},
		{"local behind a proxy of this machine", top("identity:\n  local: allow\n  proxies: {edge: {from: [127.0.0.1], user: X-User}}"), ":2:10: identity.local: the proxy edge connects from this machine"},
		{"team user", team("users: [alice]"), ":7:17: teams.data.users: found \"alice\", expected a principal"},
		{"team user of nobody", team("users: [user:other/alice]"), "but there is no such issuer"},
		{"team user is a key", team("users: [key:ci]"), "expected API keys under keys"},
		{"team user behind no proxy", team("users: [proxy:edge/alice]"), "but there is no such proxy"},
		{"team cert", team("users: [cert:alice]"), "but there is no identity.certificates"},
		{"team group", team("groups: [data-eng]"), "expected ISSUER/GROUP"},
		{"team group of nobody", team("groups: [other/data-eng]"), "but there is no such issuer or proxy"},
		{"team group of certificates", team("groups: [certificates/eng]"), "certificates name no groups"},
		{"team group of an issuer without", issuer("") + "teams: {data: {groups: [corp/eng]}}\n", "but the issuer has no teams_claim"},
		{"team keys", team("keys: [ci]"), "there are no API keys without identity.keys"},
		{"team unknown key", team("members: [a]"), "teams.data.members: unknown key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(write(t, "gatehouse.yaml", test.file))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v\nwant %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter22") {
				t.Error("the error holds the secret")
			}
		})
	}
	both := strings.Replace(issuer(""), "servers:", "  proxies: {corp: {from: [10.0.0.1], user: X-User}}\nservers:", 1)
	if _, err := Load(write(t, "gatehouse.yaml", both)); err == nil || !strings.Contains(err.Error(), "an issuer has this name") {
		t.Errorf("a proxy named like an issuer: %v", err)
	}
}

// A page that shows a configuration must show one that can be used.
func Test_configurations_in_identity_md_load(t *testing.T) {
	page, err := os.ReadFile("../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATEHOUSE_INTROSPECTION_SECRET", "long enough value")
	found := 0
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		found++
		if !strings.Contains(text, "\nservers:") {
			text += "servers: {files: {command: [server]}}\n"
		}
		if _, err := Load(write(t, "gatehouse.yaml", text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	if found < 5 {
		t.Errorf("found %d configurations", found)
	}
}

func Test_a_colon_within_a_text_of_a_list(t *testing.T) {
	c := load(t, top("identity: {local: allow}\nteams:\n  a: {users: [local:me, local:1000, \"local:q\"]}\n  b:\n    users:\n      - local:me\n"))
	if diff := cmp.Diff([]Team{{Name: "a", Users: []string{"local:me", "local:1000", "local:q"}}, {Name: "b", Users: []string{"local:me"}}}, c.Teams); diff != "" {
		t.Error(diff)
	}
	for _, file := range []string{"teams:\n  a: {users: [local: me]}", "teams:\n  a: {users: [{local: me}]}", "teams:\n  a: {users: [a:b:c]}"} {
		if c, err := Load(write(t, "gatehouse.yaml", top(file))); err == nil {
			t.Errorf("%s: %+v", file, c.Teams)
		}
	}
}
