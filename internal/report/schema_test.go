package report_test

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"gatehouse/internal/report"
	"gatehouse/internal/report/reporttest"
)

type object = map[string]any

func Test_reports_are_as_the_schema_says(t *testing.T) {
	valid := reporttest.Validator(t)
	compared := reporttest.Report()
	last := compared.Last()
	last.Findings[0].Fingerprint, last.Findings[0].Identity = "x", "y"
	compared.Compare(&last)
	nothing := reporttest.Input()
	nothing.Scene.Files, nothing.Scene.Servers, nothing.Checks, nothing.Result.Findings, nothing.Result.Unchecked = nil, nil, nil, nil, nil
	for name, r := range map[string]*report.Report{"ordinary": reporttest.Report(), "compared": compared, "hostile": reporttest.Hostile(), "empty": report.New(nothing)} {
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func Test_the_schema_names_everything_that_can_be_written(t *testing.T) {
	document := reporttest.Schema(t)
	if got := document["properties"].(object)["schema"].(object)["const"]; got != report.Schema {
		t.Errorf("the schema is of %v, reports are %s", got, report.Schema)
	}
	names(t, document, document, reflect.TypeFor[report.Report](), "report")
}

// names holds the fields of a type against the properties of its schema.
func names(t *testing.T, document, schema object, of reflect.Type, at string) {
	t.Helper()
	if to, ok := schema["$ref"].(string); ok {
		schema = document["$defs"].(object)[strings.TrimPrefix(to, "#/$defs/")].(object)
	}
	text := reflect.TypeFor[encoding.TextMarshaler]()
	switch {
	case of.Implements(text) || reflect.PointerTo(of).Implements(text):
	case of.Kind() == reflect.Pointer:
		names(t, document, schema, of.Elem(), at)
	case of.Kind() == reflect.Slice:
		names(t, document, schema["items"].(object), of.Elem(), at+"[]")
	case of.Kind() == reflect.Struct:
		for i := range of.NumField() {
			f := of.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "-" || !f.IsExported() {
				continue
			}
			if f.Anonymous && name == "" {
				names(t, document, schema, f.Type, at)
				continue
			}
			properties, _ := schema["properties"].(object)
			property, ok := properties[name].(object)
			if !ok {
				t.Errorf("%s.%s is not in docs/scan.schema.json", at, name)
				continue
			}
			names(t, document, property, f.Type, at+"."+name)
		}
	}
}
