package halt

import "testing"

// Servers take all of these for one file.
func Test_a_resource_halt_is_not_evaded_by_writing_the_uri_in_another_way(t *testing.T) {
	for prefix, uris := range map[string][]string{
		"file:///secret/": {
			"file:///secret/a", "FILE:///SECRET/a", "file:///%73ecret/a", "file:////secret/a", "file:///secret//a", "file://localhost/secret/a",
			"file:/secret/a", "file:///./secret/a", `file:///\secret/a`, "file://127.0.0.1/secret/a",
		},
		"db://main/payroll": {"db://main/payroll", "db://main//payroll", "db://main/./payroll/x", "db://MAIN/payroll"},
	} {
		h := Halt{Target: Target{What: Resource, Server: "files", Name: prefix}}
		for _, uri := range uris {
			if !h.Stops(&Call{Server: "files", Kind: "resource", Name: uri}) {
				t.Errorf("%s passes a halt of %s", uri, prefix)
			}
		}
	}
	h := Halt{Target: Target{What: Resource, Server: "files", Name: "file:///secret/"}}
	for _, uri := range []string{"file:///public/secret/", "file:///secre", "db://secret/"} {
		if h.Stops(&Call{Server: "files", Kind: "resource", Name: uri}) {
			t.Errorf("%s is another resource", uri)
		}
	}
}
