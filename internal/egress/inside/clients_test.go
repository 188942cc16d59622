//go:build linux

package inside_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/egress"
)

// program is an ordinary HTTP client that prints what it got from a URL, and fails
// otherwise.
type program struct {
	name string
	args func(url, ca string) []string
}

const (
	pythonScript = `import sys,ssl,urllib.request
c=ssl.create_default_context(cafile=sys.argv[2])
o=urllib.request.build_opener(urllib.request.ProxyHandler(),urllib.request.HTTPSHandler(context=c))
print(o.open(sys.argv[1],timeout=15).read().decode())`
	nodeScript = `require("https").get(process.argv[1],{ca:require("fs").readFileSync(process.argv[2])},r=>{r.pipe(process.stdout)}).on("error",e=>{console.log(e.message);process.exit(1)})`
)

var programs = []program{
	{"go", func(url, ca string) []string { return []string{"probe", "get", url, ca} }},
	{"curl", func(url, ca string) []string { return []string{"curl", "-sS", "-m", "15", "--cacert", ca, url} }},
	{"python", func(url, ca string) []string { return []string{"python3", "-c", pythonScript, url, ca} }},
	{"node", func(url, ca string) []string { return []string{"node", "-e", nodeScript, url, ca} }},
}

// available leaves out what this user cannot start on this machine. Where a list of
// programs must be there, GATEHOUSE_TEST_CLIENTS says so.
func available(t *testing.T) []program {
	t.Helper()
	var list []program
	for _, p := range programs {
		command := p.args("", "")[0]
		if command == "probe" || exec.Command(command, "--version").Run() == nil {
			list = append(list, p)
		} else if strings.Contains(os.Getenv("GATEHOUSE_TEST_CLIENTS"), p.name) {
			t.Errorf("%s is not there", p.name)
		}
	}
	return list
}

func TestClients_reach_what_is_allowed_and_nothing_else(t *testing.T) {
	host, ca := listenTLS(t, "127.0.0.1:0")
	s := start(t, []egress.Rule{host.rule(egress.TLS)}, egress.Options{Resolver: everywhere()})
	for _, p := range available(t) {
		t.Run(p.name, func(t *testing.T) {
			out := s.run(p.args(fmt.Sprintf("https://%s/", at(allowedName, host.port)), ca)...)
			out.contains(t, "hello from "+allowedName)
			before := host.reached.Load()
			for _, url := range []string{
				fmt.Sprintf("https://%s/", at("other.example", host.port)),
				fmt.Sprintf("https://%s/", at("127.0.0.1", host.port)),
				"https://203.0.113.9/", "https://[2606:4700::1111]/", "https://198.18.0.2/",
			} {
				if out := s.run(p.args(url, ca)...); out.Code == 0 || strings.Contains(out.Output, "hello from") {
					t.Errorf("%s: exit %d, %q", url, out.Code, out.Output)
				}
			}
			if host.reached.Load() != before {
				t.Error("the host was reached another way")
			}
		})
	}
}

func TestClients_proxy_variables_open_nothing(t *testing.T) {
	host, ca := listenTLS(t, "127.0.0.1:0")
	proxy := listenTCP(t, "tcp", "127.0.0.1:0", echo)
	// The gateway's own environment names a proxy too, and is not asked.
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, fmt.Sprintf("http://127.0.0.1:%d", proxy.port))
	}
	s := start(t, []egress.Rule{host.rule(egress.TLS)}, egress.Options{Resolver: everywhere()})
	url := fmt.Sprintf("https://%s/", at(allowedName, host.port))
	without := []string{"HTTPS_PROXY=", "https_proxy=", "ALL_PROXY="}
	for _, p := range available(t) {
		t.Run(p.name, func(t *testing.T) {
			s.runWith(order{Args: p.args(url, ca), Env: without}).contains(t, "hello from")
			for _, at := range []string{"203.0.113.5:3128", "proxy.corporation.example:3128", fmt.Sprintf("127.0.0.1:%d", proxy.port)} {
				s.record.forget()
				out := s.runWith(order{Args: p.args(url, ca), Env: []string{"HTTPS_PROXY=http://" + at, "https_proxy=http://" + at, "ALL_PROXY=http://" + at}})
				// A client that does not look at the variables gets what is allowed
				// anyway.
				if ignores := p.name == "node"; strings.Contains(out.Output, "hello from") != ignores {
					t.Errorf("through %s: %q", at, out.Output)
				}
			}
		})
	}
	if proxy.reached.Load() != 0 {
		t.Errorf("a proxy was reached %d times that nobody configured", proxy.reached.Load())
	}
}

// TestOrdinary_user runs all of these tests as a user without privileges, too.
func TestOrdinary_user(t *testing.T) {
	if os.Getuid() != 0 {
		return // this is one
	}
	folder, err := os.MkdirTemp("", "egress")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(folder, "tests")
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, text, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.v", "-test.timeout=5m")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "TMPDIR="+folder, "HOME="+folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	passed := strings.Count(string(out), "--- PASS: Test")
	if err != nil || strings.Contains(string(out), "SKIP") || passed < 20 {
		t.Errorf("%v, %d tests passed:\n%s", err, passed, out)
	}
}
