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
	return read(t, filepath.Join("..", "..", "docs", "scan.schema.json"))
}

func read(t testing.TB, path string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
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
	return compiled(t, document)
}

// Validate holds JSON against the schema in a file.
func Validate(t testing.TB, schema string, text []byte) error {
	t.Helper()
	return compiled(t, read(t, schema))(text)
}

func compiled(t testing.TB, document map[string]any) func(text []byte) error {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(text []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
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
