package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func Test_parse_refuses_what_is_no_message(t *testing.T) {
	longID := strings.Repeat("x", maxIDBytes-1) // and two quotes
	for _, tt := range []struct{ name, in, reason string }{
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, "a batch of messages: MCP 2025-06-18 removed batching; send one message at a time"},
		{"empty batch", `[]`, "a batch of messages: MCP 2025-06-18 removed batching; send one message at a time"},
		{"string", `"ping"`, "a JSON-RPC message must be an object"},
		{"null", `null`, "a JSON-RPC message must be an object"},
		{"no jsonrpc", `{"id":1,"method":"ping"}`, `"jsonrpc" must be "2.0"`},
		{"jsonrpc 1.0", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, `"jsonrpc" must be "2.0"`},
		{"jsonrpc number", `{"jsonrpc":2.0,"id":1,"method":"ping"}`, `"jsonrpc" must be "2.0"`},
		{"jsonrpc null", `{"jsonrpc":null,"id":1,"method":"ping"}`, `"jsonrpc" must be "2.0"`},
		{"jsonrpc deeper", `{"x":{"jsonrpc":"2.0"},"id":1,"method":"ping"}`, `"jsonrpc" must be "2.0"`},

		{"id null", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, "an id must be a string or an integer, never null"},
		{"id null in a response", `{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}`, "an id must be a string or an integer, never null"},
		{"id true", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, "an id must be a string or an integer, never null"},
		{"id object", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, "an id must be a string or an integer, never null"},
		{"id array", `{"jsonrpc":"2.0","id":[1],"method":"ping"}`, "an id must be a string or an integer, never null"},
		{"id fraction", `{"jsonrpc":"2.0","id":1.0,"method":"ping"}`, "an id must be a string or an integer"},
		{"id exponent", `{"jsonrpc":"2.0","id":1e2,"method":"ping"}`, "an id must be a string or an integer"},
		{"id Exponent", `{"jsonrpc":"2.0","id":1E2,"method":"ping"}`, "an id must be a string or an integer"},
		{"id too long", `{"jsonrpc":"2.0","id":"` + longID + `","method":"ping"}`, "an id longer than 256 bytes"},
		{"id number too long", `{"jsonrpc":"2.0","id":` + strings.Repeat("1", maxIDBytes+1) + `,"method":"ping"}`, "an id longer than 256 bytes"},

		{"method null", `{"jsonrpc":"2.0","id":1,"method":null}`, `"method" must be a string`},
		{"method number", `{"jsonrpc":"2.0","id":1,"method":1}`, `"method" must be a string`},
		{"method null and result", `{"jsonrpc":"2.0","id":1,"method":null,"result":{}}`, `"method" must be a string`},
		{"params array", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, `"params" must be an object`},
		{"params null", `{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`, `"params" must be an object`},
		{"params string", `{"jsonrpc":"2.0","method":"x","params":"{}"}`, `"params" must be an object`},

		{"method and result", `{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, "a message with a method and a result"},
		{"method and error", `{"jsonrpc":"2.0","id":1,"method":"ping","error":{"code":1,"message":""}}`, "a message with a method and a result"},
		{"result and error", `{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}`, "a response must have either a result or an error"},
		{"null result and error", `{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":""}}`, "a response must have either a result or an error"},
		{"neither result nor error", `{"jsonrpc":"2.0","id":1}`, "a response must have either a result or an error"},
		{"result without id", `{"jsonrpc":"2.0","result":{}}`, "neither a method nor an id"},
		{"nothing else", `{"jsonrpc":"2.0"}`, "neither a method nor an id"},
		{"error code string", `{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}`, "the code of an error must be an integer"},
		{"error code fraction", `{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}`, "the code of an error must be an integer"},
		{"error code exponent", `{"jsonrpc":"2.0","id":1,"error":{"code":1e3,"message":""}}`, "the code of an error must be an integer"},
		{"error code missing", `{"jsonrpc":"2.0","id":1,"error":{"message":""}}`, "the code of an error must be an integer"},
		{"error code huge", `{"jsonrpc":"2.0","id":1,"error":{"code":9223372036854775808,"message":""}}`, "the code of an error must be an integer"},
		{"error string", `{"jsonrpc":"2.0","id":1,"error":"no"}`, "the code of an error must be an integer"},
		{"error null", `{"jsonrpc":"2.0","id":1,"error":null}`, "the code of an error must be an integer"},

		// What follows has no twin beside it, so that Scan lets it pass, but is a
		// tools/call for a decoder that does not tell case.
		{"Method in a response", `{"jsonrpc":"2.0","id":1,"result":{},"Method":"tools/call"}`, errLookalike.Error()},
		{"Params alone", `{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"x"}}`, errLookalike.Error()},
		{"params with a long s", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"param\u017f\":{\"name\":\"x\"}}", errLookalike.Error()},
		{"ID alone", `{"jsonrpc":"2.0","ID":1,"method":"tools/call"}`, errLookalike.Error()},
		{"escaped Method", `{"jsonrpc":"2.0","id":1,"result":{},"\u004dethod":"tools/call"}`, errLookalike.Error()},
		{"Name alone", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"x"}}`, errLookalike.Error()},
		{"Arguments alone", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","argument\u017f":{}}}`, errLookalike.Error()},
		{"_META alone", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"x":{"y":[1]},"_META":{}}}`, errLookalike.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse([]byte(tt.in), Limits{})
			if err == nil {
				t.Fatalf("accepted as %d", m.Kind)
			}
			if err.Error() != tt.reason {
				t.Errorf("reason %q, want %q", err, tt.reason)
			}
		})
	}
}

func Test_parse_refuses_what_scan_refuses(t *testing.T) {
	_, err := Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}`), Limits{})
	var refused *SyntaxError
	if !errors.As(err, &refused) {
		t.Errorf("got %v, want a *SyntaxError", err)
	}
	_, err = Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`), Limits{Strings: 3})
	if !errors.As(err, &refused) || !refused.Bound {
		t.Errorf("got %v, want a bound", err)
	}
}

func Test_parse(t *testing.T) {
	type want struct {
		Kind                  Kind
		ID                    ID
		Method                string
		Params, Result, Error string
	}
	for _, tt := range []struct {
		in   string
		want want
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, want{Kind: Request, ID: "1", Method: "ping"}},
		{` {"params":{"name":"x"}, "method":"tools\/call" ,"id":"a","jsonrpc":"2\u002e0"} `, want{Kind: Request, ID: `"a"`, Method: "tools/call", Params: `{"name":"x"}`}},
		{`{"\u006aso\u006erpc":"2.0","m\u0065thod":"x"}`, want{Kind: Notification, Method: "x"}},
		{`{"jsonrpc":"2.0","method":""}`, want{Kind: Notification}},
		{`{"jsonrpc":"2.0","id":1,"result":{"a":[]}}`, want{Kind: Response, ID: "1", Result: `{"a":[]}`}},
		{`{"jsonrpc":"2.0","id":1,"result":null}`, want{Kind: Response, ID: "1", Result: `null`}},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}`, want{Kind: Response, ID: "1", Error: `{"code":-32601,"message":"x"}`}},
		{`{"jsonrpc":"2.0","id":12345678901234567890123,"method":"x"}`, want{Kind: Request, ID: "12345678901234567890123", Method: "x"}},
		{`{"jsonrpc":"2.0","id":-0,"method":"x"}`, want{Kind: Request, ID: "0", Method: "x"}},
		{`{"jsonrpc":"2.0","id":-7,"method":"x"}`, want{Kind: Request, ID: "-7", Method: "x"}},
		{`{"jsonrpc":"2.0","id":"","method":"x"}`, want{Kind: Request, ID: `""`, Method: "x"}},
		{`{"jsonrpc":"2.0","id":"1","method":"x"}`, want{Kind: Request, ID: `"1"`, Method: "x"}},
		{`{"jsonrpc":"2.0","id":"\u0031\/\u000a","method":"x"}`, want{Kind: Request, ID: `"1/\n"`, Method: "x"}},
		// Names of the protocol are ordinary names further inside.
		{`{"jsonrpc":"2.0","method":"x","params":{"arguments":{"Name":1,"METHOD":2},"v":[{"URI":3}]}}`, want{Kind: Notification, Method: "x", Params: `{"arguments":{"Name":1,"METHOD":2},"v":[{"URI":3}]}`}},
		{`{"jsonrpc":"2.0","method":"x","ext":{"Name":1},"name":2}`, want{Kind: Notification, Method: "x"}},
	} {
		m, err := Parse([]byte(tt.in), Limits{})
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		got := want{m.Kind, m.ID, m.Method, string(m.Params.Raw()), string(m.Result.Raw()), string(m.Error.Raw())}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.in, diff)
		}
	}
	longest := `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", maxIDBytes-2) + `","method":"ping"}`
	if _, err := Parse([]byte(longest), Limits{}); err != nil {
		t.Errorf("the longest id: %v", err)
	}
}

// Unknown fields, key order, white space and large numbers reach the other side
// as they were sent.
func Test_a_message_survives_byte_for_byte(t *testing.T) {
	const before = ` {"z":[ 1.00, 1e400 ],"id":`
	const after = `, "jsonrpc" : "2.0","method":"tools/call","params":{"name":"x","arguments":{"b":123456789012345678901234567890,"a":"\u0041\/"}},"x-unknown":{"y":null}} `
	m, err := Parse([]byte(before+`"\u0061"`+after), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.Raw); got != before+`"\u0061"`+after {
		t.Errorf("raw is %s", got)
	}
	if got := string(m.WithID("7")); got != before+`7`+after {
		t.Errorf("with another id it is %s", got)
	}
	if got := string(Splice(m.Raw, m.IDEdit("7"), m.Params.Get("name").Replace([]byte(`"y"`)))); got != strings.Replace(before+`7`+after, `"x"`, `"y"`, 1) {
		t.Errorf("with two edits it is %s", got)
	}
}

func Test_a_notification_gets_no_id(t *testing.T) {
	const raw = `{"jsonrpc":"2.0","method":"x"}`
	m, err := Parse([]byte(raw), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.WithID("7")); got != raw {
		t.Errorf("WithID made %s", got)
	}
	if got := string(Splice(m.Raw, m.IDEdit("7"))); got != raw {
		t.Errorf("IDEdit made %s", got)
	}
}

func Test_messages_of_our_own_parse(t *testing.T) {
	f := func(raw []byte, want string, kind Kind) {
		t.Helper()
		if string(raw) != want {
			t.Errorf("got %s, want %s", raw, want)
		}
		if m, err := Parse(raw, Limits{}); err != nil || m.Kind != kind {
			t.Errorf("%s: %v", raw, err)
		}
	}
	f(NewRequest("1", "a\"b", nil), `{"jsonrpc":"2.0","id":1,"method":"a\"b"}`, Request)
	f(NewRequest(`"x"`, "m", []byte(`{}`)), `{"jsonrpc":"2.0","id":"x","method":"m","params":{}}`, Request)
	f(NewNotification("m", nil), `{"jsonrpc":"2.0","method":"m"}`, Notification)
	f(NewNotification("m", []byte(`{"a":1}`)), `{"jsonrpc":"2.0","method":"m","params":{"a":1}}`, Notification)
	f(NewResult("1", []byte(`{}`)), `{"jsonrpc":"2.0","id":1,"result":{}}`, Response)
	f(NewError("1", CodeInvalidParams, "a\nb", nil), `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"a\nb"}}`, Response)
	f(NewError(`"x"`, CodeUnsupportedVersion, "", []byte(`{"supported":[]}`)), `{"jsonrpc":"2.0","id":"x","error":{"code":-32022,"message":"","data":{"supported":[]}}}`, Response)
	if got := string(NewError("", CodeParse, "x", nil)); got != `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}` {
		t.Errorf("without id: %s", got)
	}
}

func Test_modern(t *testing.T) {
	f := func(want bool, raw string) {
		t.Helper()
		m, err := Parse([]byte(raw), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if Modern(m) != want {
			t.Errorf("Modern(%s) = %v", raw, !want)
		}
	}
	f(true, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
	f(true, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol\/protocolVersion":null}}}`)
	f(false, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"progressToken":1}}}`)
	f(false, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}`)
	f(false, `{"jsonrpc":"2.0","id":1,"method":"tools/list","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}`)
	f(false, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	f(false, `{"jsonrpc":"2.0","id":1,"result":{},"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
}

func Test_versions_are_in_order(t *testing.T) {
	all := append(append([]string{}, LegacyVersions...), ModernVersion)
	for i := 1; i < len(all); i++ {
		if all[i-1] >= all[i] {
			t.Errorf("%s stands before %s", all[i-1], all[i])
		}
	}
}

// Answering must make exactly what a scan of the same bytes makes.
func Test_answering_is_parsing_with_another_id(t *testing.T) {
	for _, raw := range []string{
		`{"jsonrpc":"2.0","id":0,"result":{"tools":[{"name":"a\n","x":{"y":"z"}},7],"k":"v"}}`,
		` { "result" : {"a":["b"]} , "id" : -12 , "jsonrpc":"2.0" , "more": {"c":"d"} } `,
		`{"id":7,"error":{"code":1,"message":"m"},"jsonrpc":"2.0"}`,
		`{"jsonrpc":"2.0","id":"text","result":{"a":"b"}}`,
	} {
		m, err := Parse([]byte(raw), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []ID{"1", "123456789", `""`, `"abc"`, `"a\"b"`} {
			got, err := m.Answering(id)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Parse(m.WithID(id), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("%s with the id %s:\n%s", raw, id, diff)
			}
		}
	}
}
