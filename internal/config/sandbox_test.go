package config

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/profile"
)

func Test_every_key_of_a_sandbox_is_read(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_TOKEN", "long enough value")
	path := write(t, "gatehouse.yaml", `
servers:
  all:
    command: [x]
    env: {A: b}
    pass_env: [LANG]
    sandbox:
      read: [docs, /srv/shared]
      write: [./out]
      execute: [/usr/bin/git]
      network: ["api.github.com:443", "[2001:db8::1]:80,443"]
      unsafe_addresses: [10.1.0.0/16]
      secret_files: {token: env:GATEHOUSE_TEST_TOKEN}
      home: ./home
      user: 1234
      limits: {memory: 512MiB, cpu: 0.5, processes: 20, descriptors: 64, disk: 1MiB, file_size: 2MiB, time: 1h}
      unsafe_missing: [memory]
      preset: node
  nothing:
    command: [x]
    sandbox:
  free:
    command: [x]
`)
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	all, _ := c.Server("all")
	want := &profile.Profile{
		Preset: "node", Read: []string{filepath.Join(dir, "docs"), "/srv/shared"}, Write: []string{filepath.Join(dir, "out")}, Execute: []string{"/usr/bin/git"},
		Network:         []profile.Destination{{Host: "api.github.com", Ports: []int{443}}, {Host: "2001:db8::1", Ports: []int{80, 443}}},
		UnsafeAddresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
		Environment:     []string{"A", "LANG"}, SecretFiles: []string{"token"}, Home: filepath.Join(dir, "home"), User: 1234,
		Limits:        profile.Limits{Memory: 512 << 20, CPU: 0.5, Processes: 20, Descriptors: 64, Disk: 1 << 20, FileSize: 2 << 20, Time: time.Hour},
		UnsafeMissing: []string{"memory"},
	}
	if diff := cmp.Diff(want, all.Sandbox, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"long enough value"}, all.Secrets()); diff != "" {
		t.Errorf("secrets: %s", diff)
	}
	nothing, _ := c.Server("nothing")
	if diff := cmp.Diff(&profile.Profile{Limits: profile.DefaultLimits()}, nothing.Sandbox); diff != "" {
		t.Errorf("an empty section: %s", diff)
	}
	if free, _ := c.Server("free"); free.Sandbox != nil {
		t.Errorf("without a section: %+v", free.Sandbox)
	}
	wantWarnings(t, c, `servers.all.sandbox.unsafe_addresses (line 12): names that are reached may lead`, `servers.all.sandbox.unsafe_missing (line 17): the server starts even where "memory" cannot be enforced`)
}

func Test_one_wrong_value_in_each_field_of_a_sandbox_is_refused(t *testing.T) {
	for _, test := range []struct{ sandbox, want string }{
		{"offline-files", "sandbox: found text, expected a mapping"},
		{"{presett: node}", `sandbox.presett: unknown key; did you mean "preset"?`},
		{"{preset: nodejs}", `sandbox.preset: found "nodejs", expected browser or database or node`},
		{"{read: /srv}", "sandbox.read: found text, expected a list"},
		{"{read: ['/srv/*']}", "sandbox.read[0]: found \"/srv/*\", expected one path"},
		{"{write: ['']}", "sandbox.write[0]: found \"\", expected a path"},
		{"{execute: [1]}", "sandbox.execute[0]: found a number, expected the text"},
		{"{network: [api.github.com]}", "sandbox.network[0]: found \"api.github.com\", expected HOST:PORT"},
		{"{network: ['10.0.0.0/8:443']}", "expected a host name in lower case"},
		{"{unsafe_addresses: [10.1.0.0]}", "sandbox.unsafe_addresses[0]: found \"10.1.0.0\", expected a range"},
		{"{unsafe_addresses: ['0.0.0.0/0']}", "expected a range"},
		{"{secret_files: {token: abc}}", "sandbox.secret_files.token: a secret does not stand in this file"},
		{"{secret_files: {../x: 'env:HOME'}}", "expected the name of a file"},
		{"{home: ''}", "sandbox.home: found \"\", expected a path"},
		{"{user: 0}", "sandbox.user: found 0, expected a whole number from 1"},
		{"{limits: {memory: 1KiB}}", "sandbox.limits.memory: found \"1KiB\", expected a size from 16MiB"},
		{"{limits: {cpu: 0}}", "sandbox.limits.cpu: found 0, expected a number of processors"},
		{"{limits: {cpu: many}}", "sandbox.limits.cpu: found \"many\""},
		{"{limits: {processes: 1}}", "sandbox.limits.processes: found 1, expected at least 8"},
		{"{limits: {descriptors: 3}}", "sandbox.limits.descriptors: found 3, expected at least 16"},
		{"{limits: {disk: 0}}", "sandbox.limits.disk"},
		{"{limits: {file_size: x}}", "sandbox.limits.file_size"},
		{"{limits: {time: forever}}", "sandbox.limits.time"},
		{"{unsafe_missing: [seccomp]}", "sandbox.unsafe_missing[0]: found \"seccomp\", expected one of files, landlock"},
		{"{write: [.]}", "which no server may have"},
		{"{read: [.gatehouse]}", "the state of Gatehouse, which no server may have"},
		{"{write: [gatehouse.yaml]}", "this file, which no server may have"},
		{"{write: [gatehouse.lock]}", "the approved definitions, which no server may have"},
		{"{home: .}", "sandbox.home: "},
	} {
		t.Run(test.sandbox, func(t *testing.T) {
			_, err := Load(write(t, "gatehouse.yaml", "servers:\n  files:\n    command: [x]\n    sandbox: "+test.sandbox+"\n"))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	_, err := Load(write(t, "gatehouse.yaml", "servers: {web: {url: 'https://x.example/mcp', sandbox: {}}}"))
	if err == nil || !strings.Contains(err.Error(), "servers.web.sandbox: belongs to a server with command") {
		t.Errorf("a sandbox around a URL: %v", err)
	}
}

func Test_a_container_is_read(t *testing.T) {
	const image = "ghcr.io/example/notes@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	c, err := Load(write(t, "gatehouse.yaml", `
servers:
  notes:
    command: []
    sandbox: {preset: node, runtime: podman, image: "`+image+`"}
  named:
    command: [--root, /data]
    sandbox: {runtime: docker, image: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
`))
	if err != nil {
		t.Fatal(err)
	}
	notes, _ := c.Server("notes")
	if p := notes.Sandbox; !p.InContainer() || p.Runtime != profile.Podman || p.Image != image || p.Limits.Memory != 2<<30 || len(notes.Command) != 0 {
		t.Errorf("%+v", notes)
	}
}

func Test_what_is_no_container_is_refused(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for section, want := range map[string]string{
		"{runtime: docker}":                                                   "a container of docker needs an image",
		"{image: \"" + digest + "\"}":                                         "an image needs an engine",
		"{runtime: native, image: \"" + digest + "\"}":                        "an image needs an engine",
		"{runtime: containerd}":                                               "native or docker or podman",
		"{runtime: docker, image: \"node:22\"}":                               "an image by digest",
		"{runtime: docker, image: \"node:22@sha256:abc\"}":                    "an image by digest",
		"{runtime: docker, image: \"--privileged@" + digest + "\"}":           "an image by digest",
		"{runtime: docker, image: \"" + digest + " x\"}":                      "an image by digest",
		"{runtime: docker, image: [x]}":                                       "an image by digest",
		"{runtime: docker, image: \"" + digest + "\", execute: [/bin/sh]}":    "execute has no meaning in a container",
		"{runtime: docker, image: \"" + digest + "\", record_files: true}":    "take record_files out",
		"{runtime: docker, image: \"" + digest + "\", write: [.gatehouse]}":   "the state of Gatehouse",
		"{runtime: docker, image: \"" + digest + "\", unsafe_missing: [dns]}": "expected one of",
	} {
		_, err := Load(write(t, "gatehouse.yaml", "servers:\n  x:\n    command: []\n    sandbox: "+section+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
	for _, rest := range []string{"", "    sandbox:\n", "    sandbox: {preset: node}\n"} {
		if _, err := Load(write(t, "gatehouse.yaml", "servers:\n  x:\n    command: []\n"+rest)); err == nil || !strings.Contains(err.Error(), "a list with the program and its arguments") {
			t.Errorf("no program at all, %q: %v", rest, err)
		}
	}
}
