package credential

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/client"
)

// token is made up here, so that no file holds anything that looks like one.
var token = "gh" + "p_" + "1B8xHc7Ue3" + "KqZ2Lw9RtY5mNd4Vb6Ja0Ps3Fg"

func variable(name, value string) client.Entry {
	return client.Entry{Env: []client.Value{{Name: name, Kind: client.Literal, Raw: client.Raw(value)}}}
}

func found(e client.Entry) string {
	var out []string
	for _, c := range Of(e) {
		out = append(out, strings.TrimSpace(string(c.Place)+" "+c.Name)+": "+c.Kind)
	}
	return strings.Join(out, ", ")
}

func Test_credentials_are_known_by_form_and_by_name(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"X", token, "variable X: GitHub token"},
		{"MY_SERVICE_TOKEN", "q8Zr2LxV0p", "variable MY_SERVICE_TOKEN: secret"},
		{"NOTION_KEY", "q8Zr2LxV0p", "variable NOTION_KEY: secret"},
		{"DATABASE_URL", "postgresql://ada:q8Zr2LxV0p@db.example.net/shop", "variable DATABASE_URL: password"},
		{"DATABASE_URL", "postgresql://postgres:postgres@localhost/shop", ""},
		{"DATABASE_URL", "postgresql://ada:${PGPASSWORD}@db/shop", ""},
		{"DATABASE_URL", "postgresql://ada:q8Zr#2L/xV0p@db.example.net/shop", "variable DATABASE_URL: password"},
		{"DATABASE_URL", "postgresql://ada:q8Zr2L%xV0p@db.example.net/shop", "variable DATABASE_URL: password"},
		{"DATABASE_URL", "postgresql://ada:${DB_PASSWORD}%@db.example.net/shop", ""},
		{"DATABASE_URL", "mongodb://a.example.net:27017,b.example.net:27018/shop", ""},
		{"DATABASE_URL", "postgresql://ada:changeme%@db.example.net/shop", ""},
		{"DATABASE_URL", "postgresql://ada:$PASSWORD@db.example.net:port/shop", ""},
		{"ODBC", "Server=db;Uid=sa;Pwd=$PASSWORD;", ""}, {"ODBC", "Server=db;Uid=sa;Pwd=changeme1;", ""},
		{"TOKEN", "20260101", ""}, {"COOKIE", "lang 2026 en", ""}, {"X", "AKIA" + "2E7QX5RTY6ZBNMLK", ""},
		{"ODBC", "Server=db;Uid=sa;Pwd=q8Zr2LxV0p;", "variable ODBC: password"},
		{"TOKEN", "${env:TOKEN}", ""}, {"TOKEN", "$TOKEN", ""}, {"TOKEN", "op://vault/item/field", ""}, {"TOKEN", "%TOKEN%", ""},
		{"TOKEN", "<your token>", ""}, {"TOKEN", "YOUR_TOKEN_HERE", ""}, {"API_KEY", "xxxxxxxx", ""}, {"API_KEY", "changeme", ""},
		{"MAX_TOKENS", "128000", ""}, {"TOKEN_FILE", "/run/secrets/token", ""}, {"TOKEN", "/run/secrets/token", ""}, {"SECRET_NAME", "production-db", ""},
		{"ACCOUNT_ID", "3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c", ""}, {"SUPABASE_ANON_KEY", "q8Zr2LxV0p", ""}, {"AUTH", "none", ""}, {"PASSWORD", "disabled", ""},
		{"AUTH", "oauth2", ""}, {"SORT_KEY", "createdAt", ""}, {"GOOGLE_APPLICATION_CREDENTIALS", "D:/keys/account.json", ""}, {"CREDENTIALS", "credentials.json", ""},
		{"TOKEN_ENV", "q8Zr2LxV0pW", ""}, {"TOKEN", "GITHUB_API_TOKEN", ""}, {"DISABLE_AUTH", "q8Zr2LxV0pW", ""}, {"COOKIE", "lang=en", ""},
		{"KEYBOARD", "q8Zr2LxV0p", ""}, {"LOG_LEVEL", "debug", ""},
	} {
		if got := found(variable(c.name, c.value)); got != c.want {
			t.Errorf("%s=%s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func Test_credentials_are_found_wherever_they_stand(t *testing.T) {
	for want, e := range map[string]client.Entry{
		"header Authorization: secret":   {URL: "https://h.example", Headers: []client.Value{{Name: "Authorization", Raw: "Bearer q8Zr2LxV0p"}}},
		"argument api-key: secret":       {Words: []string{"x", "--api-key", "q8Zr2LxV0p"}},
		"argument token: secret":         {Words: []string{"x", "--token=q8Zr2LxV0p"}},
		"argument Authorization: secret": {Words: []string{"npx", "mcp-remote", "https://h.example", "--header", "Authorization: Bearer q8Zr2LxV0p"}},
		"variable API_KEY: secret":       {Words: []string{"docker", "run", "-e", "API_KEY=q8Zr2LxV0p", "image"}},
		"address api_key: secret":        {URL: "https://h.example/mcp?api_key=q8Zr2LxV0p"},
		"address: GitHub token":          {URL: "https://h.example/" + token + "/mcp"},
		"address: password": {
			URL: "https://ada:q8Zr2LxV0p@h.example/mcp"},
		"":                       {Words: []string{"npx", "server", "--no-auth", "server.js1", "--token-file", "q8Zr2LxV0p", "--auth", "oauth2"}},
		"argument: GitHub token": {Words: []string{"x", token}},
	} {
		if got := found(e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func Test_a_credential_does_not_print(t *testing.T) {
	c := Of(variable("TOKEN", "q8Zr2LxV0p"))[0]
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprintf("%v %+v %#v %s", c, &c, c, encoded) + c.Where(); strings.Contains(all, "q8Zr2LxV0p") {
		t.Error(all)
	}
	if c.Value() != "q8Zr2LxV0p" || !c.Same(Of(variable("OTHER_KEY", "q8Zr2LxV0p"))[0]) {
		t.Error("the value is lost")
	}
}

// Fuzz_no_word_is_too_odd: whatever stands in a file, looking at it ends, and what was
// found stands there.
func Fuzz_no_word_is_too_odd(f *testing.F) {
	for _, seed := range []string{"--token=x", "a://b:c@d/e?f=g", "Authorization: Bearer x", "A=b", "%zz", "//u:@h", token} {
		f.Add("NAME", seed)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		e := variable(name, value)
		e.Words, e.URL = []string{"x", "--" + name, value, name + "=" + value}, value
		for _, c := range Of(e) {
			if c.Value() == "" || c.Kind == "" {
				t.Errorf("%q in %q", c.Kind, value)
			}
		}
	})
}
