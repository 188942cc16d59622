package profile

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func Test_destinations_are_read_and_written_the_same(t *testing.T) {
	for text, want := range map[string]Destination{
		"api.github.com:443":      {"api.github.com", []int{443}},
		"*.example.com:80,443":    {"*.example.com", []int{80, 443}},
		"*:443":                   {"*", []int{443}},
		"10.0.0.5:5432":           {"10.0.0.5", []int{5432}},
		"[2001:db8::1]:443":       {"2001:db8::1", []int{443}},
		"localhost:8080":          {"localhost", []int{8080}},
		"xn--bcher-kva.example:1": {"xn--bcher-kva.example", []int{1}},
	} {
		got, err := ParseDestination(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" || got.String() != text {
			t.Errorf("%s: %s; written as %s", text, diff, got)
		}
	}
}

func Test_what_is_no_destination_is_refused(t *testing.T) {
	for _, text := range []string{
		"", ":443", "api.github.com", "api.github.com:", "api.github.com:0", "a:65536", "a:443,443", "a:0443", "API.github.com:443",
		"a b:1", "*.*.x:1", "a.*.b:1", "2001:db8::1:443", "[10.0.0.1]:1", "[::1%eth0]:1", "[0:0::1]:1", "1.2.3:80", "0x7f.0x1:80", "2130706433:80", "a:53", "a:443,53",
		"-a.example:1", "a..b:1", "https://a:443", "a:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
	} {
		if d, err := ParseDestination(text); err == nil {
			t.Errorf("%q is read as %+v", text, d)
		}
	}
}

func Test_presets_are_sorted_explained_and_allow_no_files(t *testing.T) {
	names := PresetNames()
	if !slices.IsSorted(names) || len(names) != 6 {
		t.Errorf("presets %v", names)
	}
	for _, preset := range Presets() {
		p, err := FromPreset(preset.Name)
		if err != nil {
			t.Fatal(err)
		}
		if preset.Doc == "" || len(p.Read)+len(p.Write)+len(p.Execute) > 0 || len(p.UnsafeMissing) > 0 {
			t.Errorf("%s: %+v", preset.Name, p)
		}
		if l := p.Limits; l.Memory == 0 || l.Processes == 0 || l.Descriptors == 0 || l.Disk == 0 || l.FileSize == 0 {
			t.Errorf("%s leaves something unbounded: %+v", preset.Name, l)
		}
	}
	if _, err := FromPreset("nothing"); err == nil {
		t.Error("an unknown preset is accepted")
	}
}

func Test_changes_add_to_lists_and_replace_values(t *testing.T) {
	base := Profile{Preset: "a", Read: []string{"/x"}, Limits: Limits{Memory: 1, CPU: 2}}
	got := base.With(Profile{Read: []string{"/x", "/y"}, Network: []Destination{{"h", []int{1}}}, Limits: Limits{Memory: 5}})
	want := Profile{Preset: "a", Read: []string{"/x", "/y"}, Network: []Destination{{"h", []int{1}}}, Limits: Limits{Memory: 5, CPU: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	base.Network = []Destination{{"h", []int{443}}, {"i", []int{1}}}
	got = base.With(Profile{Network: []Destination{{"h", []int{80, 443}}}})
	if diff := cmp.Diff([]Destination{{"h", []int{443, 80}}, {"i", []int{1}}}, got.Network); diff != "" {
		t.Error(diff)
	}
	if len(base.Read) != 1 || len(base.Network[0].Ports) != 1 {
		t.Error("the base was changed")
	}
}

func Test_every_grant_is_explained(t *testing.T) {
	p := Profile{
		Read: []string{"/srv/docs"}, Write: []string{"/srv/out"}, Execute: []string{"/usr/bin/git"},
		Network:     []Destination{{"*", []int{80, 443}}, {"*.example.com", []int{443}}, {"db.example.com", []int{5432}}},
		Environment: []string{"LANG"}, SecretFiles: []string{"token"}, Home: "/srv/home", User: 1234,
		Limits: Limits{Memory: 1 << 30, CPU: 0.5, Processes: 7, Descriptors: 8, Disk: 1 << 20, FileSize: 1 << 10, Time: time.Hour}, UnsafeMissing: []string{"memory"}, UnsafeAddresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
	}
	var text strings.Builder
	for _, grant := range p.Explain() {
		text.WriteString(grant.Text + "\n")
	}
	for _, want := range []string{
		"/srv/docs", "change and delete /srv/out", "/usr/bin/git", "every public host", "below example.com", "db.example.com, on port 5432", "LANG", "/run/secrets/token",
		"/srv/home", "1234", "1 GiB", "0.5 processors", "at most 7 processes", "at most 8 files", "1 MiB", "1 KiB", "1h0m0s", "UNSAFE: the names of these places may lead to 10.1.0.0/16", `UNSAFE: it is started even where "memory"`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("nothing is said of %q in\n%s", want, &text)
		}
	}
	nothing := Profile{}.Explain()
	for _, want := range []string{"no files of yours", "nothing over the network", "memory is not bounded"} {
		if !slices.ContainsFunc(nothing, func(g Grant) bool { return strings.Contains(g.Text, want) }) {
			t.Errorf("the empty profile does not say %q", want)
		}
	}
}

func FuzzParseDestination(f *testing.F) {
	f.Add("api.github.com:443")
	f.Add("[::1]:80,81")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDestination(text)
		if err != nil {
			return
		}
		again, err := ParseDestination(d.String())
		if err != nil || !cmp.Equal(d, again) || d.String() != text {
			t.Errorf("%q is read as %v, which is read as %v (%v)", text, d, again, err)
		}
	})
}
