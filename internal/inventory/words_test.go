package inventory

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/client"
)

func Test_words_know_their_options(t *testing.T) {
	want := []Word{{"--root", "/srv"}, {"--all", ""}, {"-p", "8080"}, {"", "plain"}}
	if diff := cmp.Diff(want, Given(entry("npx -y server --root=/srv --all -p 8080 plain"))); diff != "" {
		t.Error(diff)
	}
	if got := Launching(entry("docker run --rm -v /a:/b image /srv")); len(got) != 2 || got[1] != (Word{"-v", "/a:/b"}) {
		t.Errorf("%q", got)
	}
}

func Test_variables_are_set_in_several_ways(t *testing.T) {
	for line, want := range map[string]string{
		"env A=b npx server":             "A=b",
		"docker run -e A=b -e C image":   "A=b",
		"docker run --env=A=b image X=y": "A=b",
		"npx server A=b":                 "",
	} {
		got := ""
		for _, v := range Environment(entry(line)) {
			got += fmt.Sprintf("%s=%s", v.Name, string(v.Raw))
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func Test_bridges_connect_to_their_address(t *testing.T) {
	for line, want := range map[string]int{
		"npx -y mcp-remote http://h.example/mcp --allow-http": 1,
		"npx -y supergateway --sse=https://h.example/sse":     1,
		"npx -y server http://h.example":                      0,
	} {
		if got := Addresses(entry(line)); len(got) != want {
			t.Errorf("%s: %v", line, got)
		}
	}
	if got := Addresses(client.Entry{URL: "https://h.example"}); len(got) != 1 || got[0].Hostname() != "h.example" {
		t.Errorf("%v", got)
	}
}

func Test_places_are_written_in_one_way(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "//": "/", `C:\`: "/", "c:": "/", "/mnt/c/": "/", "/home/ada": "~", "/Users/ada/": "~", `C:\Users\ada\.ssh`: "~/.ssh",
		"$HOME/.aws": "~/.aws", "${userHome}": "~", "%USERPROFILE%\\Documents": "~/Documents", "/srv/../x": "/x", "/srv/..": "/", `C:\a\..`: "/", "file:///etc/x": "/etc/x", "file:///C:/Users/ada": "~", "$HOME/../..": "/", "~/..": "/odd", "~/x/../.ssh": "~/.ssh", "../x": "../x", "": "", "/root" + "/.ssh": "~/.ssh",
		"/Users/Shared/x": "/Users/Shared/x", "/odd/place/code": "~/code", "./x/": "./x", "~": "~", "/etc/.": "/etc",
	} {
		if got := Place(path, "/odd/place"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func Test_a_home_that_is_the_root_hides_no_root(t *testing.T) {
	if got := Place("/", "/"); got != "/" {
		t.Errorf("/ is %q", got)
	}
}

func Test_hosts_that_are_near(t *testing.T) {
	for host, want := range map[string][2]bool{
		"localhost": {true, true}, "127.0.0.1": {true, false}, "::1": {true, false}, "a.localhost": {true, false}, "10.0.0.1": {false, true},
		"nas.local": {false, true}, "mcp.example.com": {false, false}, "127.0.0.1.example.com": {false, false}, "db": {false, true},
	} {
		if got := [2]bool{Loopback(host), Near(host)}; got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
}
