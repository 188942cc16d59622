package sandbox_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
	"gatehouse/test/program"
)

// engines are what containers are made with.
var engines = []string{profile.Docker, profile.Podman}

// vessel starts attacks in containers.
type vessel struct {
	*target
	starter string // starts a container as the gateway does
	image   string
}

func newVessel(t *testing.T, engine string) *vessel {
	t.Helper()
	program.Engine(t, engine)
	v := &vessel{target: newTarget(t), starter: filepath.Join(t.TempDir(), "contain")}
	cmd := exec.Command("go", "build", "-o", v.starter, "./contain")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building what starts containers: %v\n%s", err, out)
	}
	attack, err := os.ReadFile(v.program)
	must(t, err)
	v.image = program.Image(t, engine, []program.Entry{
		{Path: "/attack", Mode: 0o755, Data: attack}, {Path: "/setuid", Mode: 0o755 | os.ModeSetuid, Data: attack},
		{Path: "/tmp", Mode: 0o777 | os.ModeDir | os.ModeSticky}, {Path: "/data", Mode: 0o777 | os.ModeDir},
	}, "VOLUME /data")
	v.profile.Runtime, v.profile.Image, v.profile.Execute = engine, v.image, nil
	v.env = append([]string{"SETUID=/setuid", "LISTED=/attack"}, v.env...) // the first one counts, and the container takes the last
	v.env = append(v.env, "SETUID=/setuid", "LISTED=/attack")
	return v
}

// run starts a program in a container and returns what it printed and what is
// enforced.
func (v *vessel) run(t *testing.T, p profile.Profile, secrets map[string]string, args ...string) (out string, report sandbox.Report, err error) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"Profile": p, "Args": args, "Dir": v.folder, "Env": v.env, "Secrets": secrets, "Hidden": []string{filepath.Join(v.folder, "outside")}})
	must(t, err)
	order, reported := filepath.Join(t.TempDir(), "order"), filepath.Join(t.TempDir(), "report")
	must(t, os.WriteFile(order, text, 0o600))
	in, err := os.Open(order)
	must(t, err)
	defer in.Close()
	to, err := os.Create(reported)
	must(t, err)
	defer to.Close()
	var printed bytes.Buffer
	cmd := exec.Command(v.starter)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &printed, &printed, []*os.File{in, to}
	must(t, cmd.Start())
	limit := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	err = cmd.Wait()
	if text, readErr := os.ReadFile(reported); readErr == nil && len(text) > 0 {
		must(t, json.Unmarshal(text, &report))
	}
	return printed.String(), report, err
}

// attack runs one attack outside, where it has to work, and in a container, where it
// must not.
func (v *vessel) attack(t *testing.T, p profile.Profile, name string) {
	outside := append([]string{v.program}, name)
	if out := v.outside(t, outside...); !strings.Contains(out, "\nworked\n") {
		t.Fatalf("without a container the attack does not work either, so it proves nothing:\n%s", out)
	}
	v.clean(t)
	out, report, err := v.run(t, p, nil, "/attack", name)
	switch {
	case err != nil || len(report.Controls) == 0 || len(report.Missing()) > 0:
		t.Fatalf("%v, not enforced: %v\n%s", err, report.Missing(), out)
	case !strings.Contains(out, "trying "+name+"\n"), strings.Contains(out, "a mistake of the test"):
		t.Errorf("the attack did not begin:\n%s", out)
	case strings.Contains(out, "\nworked\n"):
		t.Errorf("the attack worked:\n%s", out)
	case !strings.Contains(out, "\nrefused: ") && !slices.Contains(ends, name):
		t.Errorf("the attack was not refused:\n%s", out)
	default:
		t.Log(strings.TrimSpace(out))
	}
	left, err := os.ReadDir(filepath.Join(v.folder, "outside"))
	if err != nil || len(left) != 1 {
		t.Errorf("outside holds %v (%v)", left, err)
	}
}

// containedAttacks are those of test/sandbox/attack that mean something where an image
// has the programs.
var containedAttacks = []string{
	"read-secret", "write-outside", "symlink", "hardlink", "proc-root", "proc-environ", "setuid-bit", "signal-parent", "direct-ip", "run-unlisted", "fork-bomb", "memory-bomb", "disk-fill",
	"abstract-socket", "list-outside", "dotdot", "rename-out", "proc-cwd", "proc-mem", "proc-fd", "setuid-program", "setuid-create", "ptrace", "vm-read", "namespace", "keyring",
	"direct-ip-v6", "direct-udp", "run-from-memory", "memory-bomb-shared", "large-file", "many-files", "open-files", "inherited-file", "raw-socket", "packet-socket",
}

func Test_escapes_from_containers(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			v := newVessel(t, engine)
			for _, attack := range containedAttacks {
				t.Run(attack, func(t *testing.T) { v.attack(t, v.profile, attack) })
			}
			t.Run("network", func(t *testing.T) { v.withNetwork(t) })
			t.Run("everything a server is given", func(t *testing.T) { v.given(t) })
			t.Run("what is missing", func(t *testing.T) { v.refuses(t) })
			if out, err := exec.Command(engine, "ps", "--all", "--quiet").Output(); err != nil || len(out) > 0 {
				t.Errorf("containers are left: %s (%v)", out, err)
			}
		})
	}
}

// withNetwork tries what may be reached, and what may not.
func (v *vessel) withNetwork(t *testing.T) {
	allowed := netip.MustParseAddrPort(listen(t, "tcp", "127.0.0.1:0"))
	p := v.profile
	p.Network = []profile.Destination{{Host: "127.0.0.1", Ports: []int{int(allowed.Port())}}}
	kept := v.env
	v.env = append(slices.Clone(kept), "LISTENER="+allowed.String())
	if out, _, err := v.run(t, p, nil, "/attack", "direct-ip"); err != nil || !strings.Contains(out, "worked\n") || !strings.Contains(out, "reached: opened 127.0.0.1") {
		t.Errorf("what is allowed is not reached: %v\n%s", err, out)
	}
	v.env = kept
	for _, attack := range []string{"direct-ip", "direct-ip-v6", "direct-udp", "abstract-socket", "raw-socket", "packet-socket"} {
		t.Run(attack, func(t *testing.T) { v.attack(t, p, attack) })
	}
}

// given is a server that finds its secret, its home, its folder and its variables.
func (v *vessel) given(t *testing.T) {
	p := v.profile
	p.SecretFiles = []string{"token"}
	p.Read, p.Write = []string{filepath.Join(v.folder, "home")}, nil
	out, report, err := v.run(t, p, map[string]string{"token": "a word"}, "/attack", "describe")
	if err != nil || len(report.Missing()) > 0 {
		t.Fatalf("%v, not enforced: %v\n%s", err, report.Missing(), out)
	}
	for _, want := range []string{"secret: a word\n", "HOME=/tmp/home\n", "PATH=/usr/local/sbin:", "GRANTED=" + filepath.Join(v.folder, "granted") + "\n", "key: the key\n", "user: 65534\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "GOGC=") {
		t.Errorf("what is ours is the server's too:\n%s", out)
	}
	inspected, _ := exec.Command(p.Runtime, "events", "--since", "10m", "--until", "0s").Output()
	if strings.Contains(string(inspected), "a word") {
		t.Error("the engine knows the secret")
	}
}

// refuses starts nothing where less would hold than was asked.
func (v *vessel) refuses(t *testing.T) {
	for _, test := range []struct {
		name, want string
		change     func(*profile.Profile)
	}{
		{"an image that is not here", "is not here (an id is known only where the image is", func(p *profile.Profile) { p.Image = "sha256:" + strings.Repeat("0", 64) }},
		{"a digest that is not here", "get it with: " + v.profile.Runtime + " pull example.com/x@sha256:", func(p *profile.Profile) { p.Image = "example.com/x@sha256:" + strings.Repeat("0", 64) }},
		{"a folder that its user may not change", "user 65534, who the server is, may not change", func(p *profile.Profile) { p.Write = []string{filepath.Join(v.folder, "home")} }},
		{"a tag", "is not pinned", func(p *profile.Profile) { p.Image = "attack:latest" }},
	} {
		p := v.profile
		test.change(&p)
		out, _, err := v.run(t, p, nil, "/attack", "whoami")
		if err == nil || !strings.Contains(out, test.want) {
			t.Errorf("%s: %v, want %q in\n%s", test.name, err, test.want, out)
		}
	}
	// A program that is not there is an error that says so.
	if out, _, err := v.run(t, v.profile, nil, "no-such-program"); err == nil || !strings.Contains(out, "no-such-program: executable file not found in $PATH in the image") {
		t.Errorf("%v\n%s", err, out)
	}
}
