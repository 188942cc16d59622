package toxiccombination

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/check"
	"gatehouse/internal/check/checktest"
)

func TestCheck(t *testing.T) { checktest.Run(t, Check) }

func Test_what_tools_can_do(t *testing.T) {
	for definition, want := range map[string][]ability{
		`{"name": "fetch"}`:            {untrusted},
		`{"name": "read_file"}`:        {private},
		`{"name": "readTextFile"}`:     {private},
		`{"name": "list-issues"}`:      {untrusted},
		`{"name": "get_emails"}`:       {untrusted, private},
		`{"name": "send_message"}`:     {outward},
		`{"name": "create_issue"}`:     {outward},
		`{"name": "create_directory"}`: nil,
		`{"name": "add"}`:              nil,
		`{"name": "get_time"}`:         nil,
		`{"name": "send_message", "annotations": {"openWorldHint": false}}`:                                                       nil,
		`{"name": "send_message", "annotations": {"readOnlyHint": true}}`:                                                         nil,
		`{"name": "navigate", "inputSchema": {"properties": {"url": {"type": "string"}}}, "annotations": {"readOnlyHint": true}}`: {outward},
	} {
		tool, err := check.ParseTool(json.RawMessage(definition))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, ofTool(tool)); diff != "" {
			t.Errorf("%s: %s", definition, diff)
		}
	}
}
