package cyclonedx

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
	"gatehouse/internal/report/reporttest"
)

func written(t *testing.T, r *report.Report) ([]byte, bom) {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, r); err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal(out.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), b
}

// testdata/bom.json says what CycloneDX 1.6 asks of the parts that are written here, and
// allows no others.
func Test_bills_are_valid(t *testing.T) {
	for name, r := range map[string]*report.Report{"ordinary": reporttest.Report(), "hostile": reporttest.Hostile()} {
		text, b := written(t, r)
		if err := reporttest.Validate(t, "testdata/bom.json", text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		references(t, name, b)
	}
}

// references checks what a schema cannot: each name is there once, and what is referred
// to exists.
func references(t *testing.T, name string, b bom) {
	t.Helper()
	refs := []string{b.Metadata.Component.Ref}
	for _, c := range b.Components {
		refs = append(refs, c.Ref)
	}
	for _, s := range b.Services {
		refs = append(refs, s.Ref)
	}
	for i, ref := range refs {
		if slices.Contains(refs[:i], ref) {
			t.Errorf("%s: %s is there twice", name, ref)
		}
	}
	for _, d := range b.Dependencies {
		for _, ref := range append(d.DependsOn, d.Ref) {
			if !slices.Contains(refs, ref) {
				t.Errorf("%s: %s is not there", name, ref)
			}
		}
	}
}

func Test_clients_depend_on_their_servers(t *testing.T) {
	_, b := written(t, reporttest.Report())
	uses := map[string]int{}
	for _, d := range b.Dependencies {
		uses[d.Ref] = len(d.DependsOn)
	}
	if uses["client:claude-code"] != 2 || uses["client:cursor"] != 2 || uses["client:vscode"] != 1 || uses[refRoot] != 3 {
		t.Errorf("%v", uses)
	}
	if len(b.Services) != 1 || b.Services[0].Endpoints[0] != "https://tracker.example.com/mcp" || b.Services[0].Authenticated == nil {
		t.Errorf("%+v", b.Services)
	}
	if b.Compositions[0].Aggregate != "incomplete" {
		t.Error("a bill of files that could not be read calls itself complete")
	}
}

func Test_a_component_has_a_version_only_if_it_is_fixed(t *testing.T) {
	in := reporttest.Input()
	var entries []client.Entry
	for _, version := range []string{"@1.2.3", "@^2.0.0", "@beta", ""} {
		entries = append(entries, reporttest.Entry("cursor", "/x", "s", 1, "npx", "-y", "server"+version))
	}
	in.Scene.Servers = inventory.Servers(entries)
	_, b := written(t, report.New(in))
	var got []string
	for _, c := range b.Components[1:] {
		requested := ""
		for _, p := range c.Properties {
			if p.Name == "gatehouse:requested" {
				requested = p.Value
			}
		}
		got = append(got, c.Version+"|"+requested)
	}
	if want := []string{"1.2.3|", "|^2.0.0", "|beta", "|"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func Test_the_same_bill_has_the_same_number(t *testing.T) {
	a, _ := written(t, reporttest.Report())
	b, _ := written(t, reporttest.Report())
	if !bytes.Equal(a, b) {
		t.Error("two bills of the same differ")
	}
	in := reporttest.Input()
	in.Version = "1.0.1"
	_, one := written(t, reporttest.Report())
	if _, other := written(t, report.New(in)); one.SerialNumber == other.SerialNumber {
		t.Error("different bills have one number")
	}
}

func Test_package_urls(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	commit := strings.Repeat("ab", 20)
	for line, want := range map[string]string{
		"npx -y @scope/server@1.2.3":                             "pkg:npm/%40scope/server@1.2.3",
		"npx -y server":                                          "pkg:npm/server",
		"npx -y server@^1.2":                                     "pkg:npm/server",
		"uvx MCP_Server.fetch==1.2.3":                            "pkg:pypi/mcp-server-fetch@1.2.3",
		"go run example.com/x/cmd@v1.2.3":                        "pkg:golang/example.com/x/cmd@v1.2.3",
		"docker run ghcr.io/org/image:v3":                        "pkg:oci/image?repository_url=ghcr.io%2Forg%2Fimage&tag=v3",
		"docker run image":                                       "pkg:oci/image?repository_url=docker.io%2Flibrary%2Fimage",
		"docker run mcp/time@" + digest:                          "pkg:oci/time@" + digest + "?repository_url=docker.io%2Fmcp%2Ftime",
		"docker run localhost:5000/x:1":                          "pkg:oci/x?repository_url=localhost%3A5000%2Fx&tag=1",
		"npx -y github:Org/Repo":                                 "pkg:github/org/repo",
		"uvx --from git+https://github.com/o/r@" + commit + " x": "pkg:github/o/r@" + commit,
		"uvx --from git+https://git.example.com/o/r x":           "",
		"node server.js":                                         "",
		"npx -y @a/b@1.0.0+build.5":                              "pkg:npm/%40a/b@1.0.0%2Bbuild.5",
	} {
		s := inventory.Of(client.Entry{Words: strings.Fields(line), Transport: client.Stdio})
		if got := packageURL(s); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func Test_only_addresses_are_endpoints(t *testing.T) {
	for in, want := range map[string]string{
		"https://h.example/mcp?token=[redacted]": "https://h.example/mcp?token=REDACTED", "${URL}": "", "https://${HOST}/mcp": "", "localhost": "", "http://a b/": "",
	} {
		if got, ok := address(in); got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
