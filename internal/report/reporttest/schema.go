package reporttest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is docs/scan.schema.json, for tests in folders two levels below the root.
func Schema(t testing.TB) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "scan.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return document.(map[string]any)
}

// Validator holds JSON against the schema, and refuses every name that the schema does
// not have. For readers it is open: new names may come.
func Validator(t testing.TB) func(report []byte) error {
	t.Helper()
	document := Schema(t)
	strictly(document)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("scan.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("scan.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(report []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(report))
		if err != nil {
			return err
		}
		return schema.Validate(value)
	}
}

func strictly(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if _, described := s["properties"].(map[string]any); described {
			s["additionalProperties"] = false
		}
		for _, v := range s {
			strictly(v)
		}
	case []any:
		for _, v := range s {
			strictly(v)
		}
	}
}
