package cli

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"

	"gatehouse/internal/config"
)

// What a person does wrong is answered with what to do.
func Test_mistakes_are_answered_with_advice(t *testing.T) {
	for _, tt := range []struct {
		args, want string
		code       int
	}{
		{"halt", "Usage: gatehouse halt all | server ID", exitUsage},
		{"policy test", "Usage: gatehouse policy test FILE...", exitUsage},
		{"quota show", "Usage: gatehouse quota show NAME", exitUsage},
		{"policy chek", "see `gatehouse policy --help`", exitUsage},
		{"halt all --reason x --for soon", "such as 12h or 90d\n", exitUsage},
		{"halt all --reason x --for 1ms", "at least a second", exitUsage},
		{"policy check -c none.yaml", "name the configuration with --config", exitUsage},
		{"key list -c none.yaml", "name the configuration with --config", exitUsage},
		{"policy init -c none.yaml", "name the configuration with --config", exitUsage},
	} {
		t.Run(tt.args, func(t *testing.T) {
			folder(t, "")
			code, stdout, stderr := program(strings.Fields(tt.args)...)
			if code != tt.code || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("%d, %q, %q; want %d and %q", code, stdout, stderr, tt.code, tt.want)
			}
		})
	}
}

func Test_halts_last_days(t *testing.T) {
	folder(t, "")
	if code, _, stderr := program("halt", "all", "--reason", "x", "--for", "2d"); code != exitOK || stderr != "" {
		t.Errorf("%d, %s", code, stderr)
	}
}

// In the wrong folder a halt reaches other gateways than a person thinks.
func Test_a_halt_without_a_configuration_says_whom_it_reaches(t *testing.T) {
	t.Chdir(t.TempDir())
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	for _, args := range [][]string{{"halt", "all", "--reason", "x"}, {"halt", "list"}, {"resume", "all"}} {
		code, _, stderr := program(args...)
		if code != exitOK || !strings.Contains(stderr, "Warning: there is no gatehouse.yaml here") || !strings.Contains(stderr, state) {
			t.Errorf("%v: %d, %q", args, code, stderr)
		}
	}
	if _, _, stderr := program("halt", "list", "--state", state); stderr != "" {
		t.Errorf("with --state: %q", stderr)
	}
}

// doctor finds what would keep the gateway from starting.
func Test_doctor_reads_the_policies(t *testing.T) {
	for policies, want := range map[string]string{
		"policy: {ready: [read-only]}":  "ok       policies",
		"policy: {ready: [readonly]}":   "PROBLEM  policies",
		"policy: {files: [none.cedar]}": "PROBLEM  policies",
	} {
		folder(t, policies)
		code, stdout, _ := program("doctor")
		if !strings.Contains(stdout, want) || strings.Contains(want, "PROBLEM") && code != exitFindings {
			t.Errorf("%s: %d, %s", policies, code, stdout)
		}
	}
}

// The command that serve proposes works: with keys it needs one.
func Test_serve_proposes_a_command_with_a_credential(t *testing.T) {
	for keys, want := range map[string]string{"": "http --method", "keys": `http --header "Authorization: Bearer $KEY" --method`} {
		var out bytes.Buffer
		announce(&out, &config.Config{Identity: config.Identity{Keys: keys}}, netip.MustParseAddrPort("127.0.0.1:8848"), "--config")
		if !strings.Contains(out.String(), "inspector --cli http://127.0.0.1:8848/mcp --transport "+want) {
			t.Errorf("keys %q: %s", keys, &out)
		}
	}
}

// The configuration, the policies and the cases of the page fit each other.
func Test_policies_in_the_docs_pass_their_cases(t *testing.T) {
	cedar, yaml := fenced(t, "policy.md", "cedar"), fenced(t, "policy.md", "yaml")
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"gatehouse.yaml": yaml[0] + "  shop: {command: [x]}\n  mail: {command: [x]}\n" +
			"identity: {resource: https://gatehouse.example.com, issuers: {corp: {url: https://login.example.com}}}\n",
		"policies/page.cedar": strings.Join(cedar, "\n"),
		"policies/tests.yaml": yaml[1],
	} {
		if err := os.MkdirAll("policies", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, stdout, stderr := program("policy", "test", "policies/tests.yaml"); code != exitOK || !strings.Contains(stdout, "cases 2, failed 0") {
		t.Errorf("%d, %s%s", code, stdout, stderr)
	}
}
