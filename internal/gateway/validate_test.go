package gateway

import (
	"strings"
	"testing"

	"gatehouse/internal/wire"
)

func TestProperURI(t *testing.T) {
	for uri, want := range map[string]bool{
		"file:///srv/notes.txt": true, "note://welcome": true, "urn:isbn:0451450523": true, "a:b": true, "git+ssh://host/x": true,
		"file:///srv/a..b/...": true, "https://host/x?back=../y": true, "https://host/x#../y": true, "note:täxt": true, "file:///100%": true, "file:///a%2Fb": true,
		"": false, "x": false, "/srv/notes": false, ":x": false, "1a:x": false, "file:": false, "no scheme: x": false,
		"file:///srv/../etc": false, "file:../etc": false, "file:///..": false, `file:///srv\..\etc`: false, "file:///srv/%2e%2e/etc": false,
		"file:///srv/%252e%252e/etc": false, "file:///srv/%25252e%25252e/etc": false, "file:///srv/..%2fetc": false, "file:///a%00b": false, "file:///a\x7fb": false,
	} {
		if got := properURI(uri) == nil; got != want {
			t.Errorf("%q: proper is %v, want %v", uri, got, want)
		}
	}
}

func Fuzz_a_proper_URI_leads_nowhere_upwards(f *testing.F) {
	f.Add("file:///srv/%2e%2e/etc")
	f.Add("a:b%25c")
	f.Fuzz(func(t *testing.T, uri string) {
		if properURI(uri) != nil {
			return
		}
		path, _, _ := strings.Cut(uri, "?")
		path, _, _ = strings.Cut(path, "#")
		for _, once := range []string{path, strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", `\`, "%5C", `\`).Replace(path)} {
			if once := strings.ReplaceAll(once, `\`, "/"); strings.Contains(once+"/", "/../") {
				t.Errorf("%q was taken", uri)
			}
		}
	})
}

func TestProperMirrors(t *testing.T) {
	for schema, want := range map[string]bool{
		`{}`: true,
		`{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"integer","x-mcp-header":"B!#$"},"c":{"type":"boolean","x-mcp-header":"c-1"}}}`: true,
		`{"properties":{"a":{"type":"object","properties":{"b":{"type":"string","x-mcp-header":"A"}}}}}`:                                                     true,
		`{"properties":{"x-mcp-header":{"type":"string"}}}`:                                                                                                  true, // an argument of this name
		`{"properties":{"a":{"const":{"x-mcp-header":1},"default":{"x-mcp-header":1},"enum":[{"x-mcp-header":1}],"examples":[{"x-mcp-header":""}]}}}`:        true,
		`{"properties":{"a":{"type":"string","x-mcp-header":""}}}`:                                                                                           false,
		`{"properties":{"a":{"type":"string","x-mcp-header":null}}}`:                                                                                         false,
		`{"properties":{"a":{"type":"string","x-mcp-h\u0065ader":""}}}`:                                                                                      false,
		`{"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}`:                                                                                        false,
		`{"properties":{"a":{"type":"string","x-mcp-header":"a\r\nb: c"}}}`:                                                                                  false,
		`{"properties":{"a":{"type":"string","x-mcp-header":"é"}}}`:                                                                                          false,
		`{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}`:                                                                                          false,
		`{"properties":{"a":{"x-mcp-header":"A"}}}`:                                                                                                          false,
		`{"properties":{"a":{"type":["string","null"],"x-mcp-header":"A"}}}`:                                                                                 false,
		`{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}`:                                                 false,
		`{"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}`:                                                                 false,
		`{"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}`:                                                                              false,
		`{"$defs":{"a":{"type":"string","x-mcp-header":"A"}},"properties":{"a":{"$ref":"#/$defs/a"}}}`:                                                       false,
		`{"type":"string","x-mcp-header":"A"}`:                                                                                                               false,
		`{"properties":{"a":{"type":"object","patternProperties":{"x-mcp-header":{"type":"string","x-mcp-header":"A"}}}}}`:                                   false,
	} {
		if got := properMirrors([]byte(`{"name":"t","inputSchema":` + schema + `}`)); got != want {
			t.Errorf("%s: proper is %v, want %v", schema, got, want)
		}
	}
}

func TestProperQuestion(t *testing.T) {
	form := func(field string) string {
		return `{"message":"m","requestedSchema":{"type":"object","properties":{` + field + `}}}`
	}
	page := func(address string) string { return `{"mode":"url","message":"m","url":"` + address + `"}` }
	for params, want := range map[string]bool{
		form(`"name":{"type":"string"}`):                                      true,
		form(`"opinion":{"type":"string","description":"What do you like?"}`): true, // pin, but not whole
		form(`"email":{"type":"string","format":"email"}`):                    true,
		form(`"tokens":{"type":"integer","title":"How many tokens"}`):         true,
		form(`"password":{"type":"string"}`):                                  false,
		form(`"dbPassword":{"type":"string"}`):                                false,
		form(`"API_KEY":{"type":"string"}`):                                   false,
		form(`"token":{"type":"string"}`):                                     false,
		form(`"PIN":{"type":"string"}`):                                       false,
		form(`"x":{"type":"string","format":"password"}`):                     false,
		form(`"x":{"type":"string","title":"Your access token"}`):             false,
		form(`"x":{"type":"string","description":"The pass-phrase of it"}`):   false,
		form(`"name":{"type":"string"},"card_number":{"type":"string"}`):      false,
		`{"message":"m","RequestedSchema":{"properties":{"password":{}}}}`:    false,
		page("https://host.example/a?b=c#d"):                                  true,
		page("http://localhost:8080/a"):                                       true,
		page("http://127.0.0.1/a"):                                            true,
		page("http://[::1]/a"):                                                true,
		page("http://host.example/a"):                                         false,
		page("http://127.0.0.1.host.example/a"):                               false,
		page("javascript:alert(1)"):                                           false,
		page("data:text/html,x"):                                              false,
		page("file:///etc/passwd"):                                            false,
		page("https://"):                                                      false,
		page("https://bank.example@attacker.example/"):                        false, // reads like another host
		page("//host.example/a"):                                              false,
		page(""):                                                              false,
		`{"mode":"url","message":"m","URL":"javascript:alert(1)"}`:            false,
	} {
		doc, err := wire.Scan([]byte(params), wire.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := properQuestion(wire.MethodElicit, doc.Root) == nil; got != want {
			t.Errorf("%s: proper is %v, want %v", params, got, want)
		}
	}
}

// The error by which a server of 2025-11-25 asks for a page is a question too.
func TestCheckPages(t *testing.T) {
	for address, want := range map[string]bool{"https://host.example/": true, "javascript:alert(1)": false} {
		doc, err := wire.Scan([]byte(`{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","url":"https://a.example/"},{"mode":"url","url":"`+address+`"}]}}`), wire.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := checkPages(doc.Root) == nil; got != want {
			t.Errorf("%s: proper is %v, want %v", address, got, want)
		}
	}
}

func TestProperIcon(t *testing.T) {
	for icon, want := range map[string]bool{
		`{"src":"https://host.example/a.png"}`: true, `{"src":"data:image/png;base64,AA=="}`: true, `{"src":"DATA:image/svg+xml,x"}`: true,
		`{"src":"http://host.example/a.png"}`: false, `{"src":"javascript:x"}`: false, `{"src":" javascript:x"}`: false, `{"src":"file:///a"}`: false,
		`{"src":"data:text/html,x"}`: false, `{"src":"//host/a"}`: false, `{"src":"https:a"}`: false, `{"src":7}`: false, `{}`: false,
		`{"src":"https://host.example/a.png","Src":"x"}`: false, `{"Src":"https://host.example/a.png"}`: false,
	} {
		doc, err := wire.Scan([]byte(icon), wire.Limits{})
		if err != nil {
			continue // a twin that is refused before
		}
		if got := properIcon(doc.Root); got != want {
			t.Errorf("%s: proper is %v, want %v", icon, got, want)
		}
	}
}
