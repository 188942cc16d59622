package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const everyAuthKey = `
token_key: env:GATEHOUSE_TEST_TOKEN
servers:
  login:
    url: https://mcp.example.com/mcp
    auth:
      type: oauth
      issuer: https://auth.example.com/tenant
      client_id: gatehouse
      client_secret: env:GATEHOUSE_TEST_TOKEN
      client_metadata_url: https://example.com/gatehouse.json
      redirect_port: 8976
      scopes: [read, "mcp:write"]
      proxy: http://proxy.example:3128
      unsafe_addresses: [127.0.0.1, "::1", 10.1.0.0/16, sso.corp.example]
  machine:
    url: https://mcp.example.com/mcp
    auth: {type: client-credentials, client_id: gatehouse, client_key: "file:key.pem"}
  company:
    url: https://mcp.example.com/mcp
    auth:
      type: enterprise
      client_id: gatehouse
      idp: {issuer: "https://idp.example.com", client_id: gw, client_secret: "env:GATEHOUSE_TEST_TOKEN", id_token: "file:id.jwt"}
  platform:
    url: https://mcp.example.com/mcp
    auth: {type: workload-identity, client_id: gatehouse, assertion: "file:id.jwt"}
  plain:
    url: https://mcp.example.com/mcp
    auth:
`

func Test_every_key_of_auth_is_read(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_TOKEN", "long enough value")
	path := write(t, "gatehouse.yaml", everyAuthKey)
	dir := filepath.Dir(path)
	for name, content := range map[string]string{"key.pem": "a private key", "id.jwt": "an identity"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	env := seal(&secret{parts: []part{{source: fromEnv, text: "GATEHOUSE_TEST_TOKEN"}}})
	file := func(name string) Secret {
		return seal(&secret{parts: []part{{source: fromFile, text: filepath.Join(dir, name)}}})
	}
	want := map[string]*Auth{
		"login": {
			Type: "oauth", Issuer: "https://auth.example.com/tenant", ClientID: "gatehouse", ClientSecret: env,
			ClientMetadataURL: "https://example.com/gatehouse.json", RedirectPort: 8976, Scopes: []string{"read", "mcp:write"}, Proxy: "http://proxy.example:3128",
			UnsafePrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.1.0.0/16")},
			UnsafeHosts:    []string{"sso.corp.example"},
		},
		"machine":  {Type: "client-credentials", ClientID: "gatehouse", ClientKey: file("key.pem")},
		"company":  {Type: "enterprise", ClientID: "gatehouse", IdP: IdP{"https://idp.example.com", "gw", env, file("id.jwt")}},
		"platform": {Type: "workload-identity", ClientID: "gatehouse", Assertion: file("id.jwt")},
		"plain":    {Type: "oauth"},
	}
	for id, auth := range want {
		s, _ := c.Server(id)
		if diff := cmp.Diff(auth, s.Auth); diff != "" || !auth.Equal(s.Auth) {
			t.Errorf("%s: %s", id, diff)
		}
		for other := range want {
			if other != id && auth.Equal(want[other]) {
				t.Errorf("%s equals %s", id, other)
			}
		}
	}
	if !c.TokenKey.Equal(env) {
		t.Errorf("token_key is %v", c.TokenKey)
	}
	wantWarnings(t, c, "servers.login.auth.unsafe_addresses (line 15): the server may make the gateway")
	company, _ := c.Server("company")
	if diff := cmp.Diff([]string{"an identity", "long enough value"}, company.Secrets()); diff != "" {
		t.Errorf("secrets: %s", diff)
	}
}

func Test_one_wrong_value_in_each_field_of_auth_is_refused(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_TOKEN", "value")
	for _, test := range []struct{ auth, want string }{
		{"oauth", "auth: found text, expected a mapping"},
		{"{typ: oauth}", `auth.typ: unknown key; did you mean "type"?`},
		{"{type: password}", `auth.type: found "password", expected oauth or client-credentials or enterprise or workload-identity`},
		{"{issuer: 7}", "auth.issuer: found a number, expected text"},
		{"{issuer: http://auth.example.com}", "auth.issuer: expected an https URL"},
		{`{issuer: "https://auth.example.com/?a=b"}`, "auth.issuer: expected an https URL"},
		{`{issuer: "https://u:p@auth.example.com"}`, "auth.issuer: expected an https URL"},
		{`{client_id: ""}`, "auth.client_id: expected the client ID"},
		{`{client_id: "a\nb"}`, "auth.client_id: expected the client ID"},
		{"{client_id: a, client_secret: hunter2hunter2}", "auth.client_secret: a secret does not stand in this file"},
		{"{client_id: a, client_secret: 'x${env:GATEHOUSE_TEST_TOKEN}', client_key: k}", "auth.client_key: a secret does not stand"},
		{"{client_secret: 'env:GATEHOUSE_TEST_TOKEN'}", "auth: a secret or key belongs to a client_id"},
		{"{client_id: a, client_secret: 'env:GATEHOUSE_TEST_TOKEN', client_key: 'env:GATEHOUSE_TEST_TOKEN'}", "auth.client_key: stands next to client_secret"},
		{"{client_metadata_url: 'https://example.com'}", "auth.client_metadata_url: expected an https URL with a path"},
		{"{client_metadata_url: 'http://example.com/a'}", "auth.client_metadata_url: expected an https URL with a path"},
		{"{redirect_port: 0}", "auth.redirect_port: found 0, expected a whole number from 1 to 65535"},
		{"{scopes: read write}", "auth.scopes: found text, expected a list of scopes"},
		{"{scopes: ['read write']}", "auth.scopes[0]: found"},
		{"{proxy: 'http://u:p@proxy.example'}", "auth.proxy: expected the URL of a proxy"},
		{"{proxy: proxy.example}", "auth.proxy: expected the URL of a proxy"},
		{"{unsafe_addresses: true}", "auth.unsafe_addresses: found true or false, expected a list"},
		{"{unsafe_addresses: ['*']}", "auth.unsafe_addresses[0]: found"},
		{"{unsafe_addresses: [10.0.0.1/8]}", "auth.unsafe_addresses[0]: found"},
		{"{unsafe_addresses: [0x7f.1]}", "auth.unsafe_addresses[0]: found"},
		{"{type: client-credentials}", "auth: type: client-credentials needs a client_id"},
		{"{type: client-credentials, client_id: a}", "auth: type: client-credentials needs a client_secret or a client_key"},
		{"{type: client-credentials, client_id: a, client_secret: 'env:GATEHOUSE_TEST_TOKEN', redirect_port: 1}", "auth.redirect_port: belongs to type: oauth"},
		{"{type: client-credentials, client_id: a, client_secret: 'env:GATEHOUSE_TEST_TOKEN', client_metadata_url: 'https://a.example/b'}", "auth.client_metadata_url: belongs to type: oauth"},
		{"{type: enterprise, client_id: a}", "auth: type: enterprise needs idp with issuer, client_id and id_token"},
		{"{type: workload-identity, client_id: a}", "auth: type: workload-identity needs an assertion"},
		{"{type: workload-identity, client_id: a, assertion: eyJ}", "auth.assertion: a secret does not stand in this file"},
		{"{assertion: 'env:GATEHOUSE_TEST_TOKEN'}", "auth.assertion: belongs to type: workload-identity"},
		{"{idp: {issuer: 'https://a.example'}}", "auth.idp: belongs to type: enterprise"},
		{"{type: enterprise, client_id: a, idp: {issuer: x}}", "auth.idp.issuer: expected an https URL"},
		{"{type: enterprise, client_id: a, idp: {client_id: ''}}", "auth.idp.client_id: expected the client ID"},
		{"{type: enterprise, client_id: a, idp: {id_token: eyJ}}", "auth.idp.id_token: a secret does not stand in this file"},
		{"{type: enterprise, client_id: a, idp: {client_secret: [x]}}", "auth.idp.client_secret: found a list, expected env:NAME"},
	} {
		_, err := Load(write(t, "gatehouse.yaml", remote("    auth: "+test.auth)))
		if err == nil || !strings.Contains(err.Error(), "servers.docs."+test.want) {
			t.Errorf("%s: got\n%v\nwant\n%s", test.auth, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats a secret: %v", test.auth, err)
		}
	}
	for file, want := range map[string]string{
		server("    auth: {}"):                                  "servers.files.auth: belongs to a server with url",
		remote("    headers: {authorization: b}\n    auth: {}"): "servers.docs.auth: headers sets Authorization as well",
		top("token_key: 0123456789abcdef"):                      "token_key: a secret does not stand in this file",
		top("token_key: [a]"):                                   "token_key: found a list, expected env:NAME",
	} {
		if _, err := Load(write(t, "gatehouse.yaml", file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got\n%v\nwant\n%s", err, want)
		}
	}
}
