package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	within  []string // variables with other values inside

	credential *syscall.Credential // who starts it; nil for who runs the tests
}

// starter is what starts containers as the gateway does.
var starter = sync.OnceValues(func() (string, error) { return compile("contain") })

func newVessel(t *testing.T, engine string) *vessel {
	t.Helper()
	program.Engine(t, engine)
	starter, err := starter()
	must(t, err)
	v := &vessel{target: newTarget(t), starter: starter}
	attack, err := os.ReadFile(v.program)
	must(t, err)
	v.image = program.Image(t, engine, []program.Entry{
		{Path: "/attack", Mode: 0o755, Data: attack}, {Path: "/setuid", Mode: 0o755 | os.ModeSetuid, Data: attack},
		{Path: "/tmp", Mode: 0o777 | os.ModeDir | os.ModeSticky}, {Path: "/data", Mode: 0o777 | os.ModeDir},
	}, "VOLUME /data")
	v.profile.Runtime, v.profile.Image, v.profile.Execute, v.profile.RecordFiles = engine, v.image, nil, false
	v.within = []string{"SETUID=/setuid", "LISTED=/attack"}
	return v
}

// run starts a program in a container and returns what it printed and what is
// enforced.
func (v *vessel) run(t *testing.T, p profile.Profile, secrets map[string]string, args ...string) (out string, report sandbox.Report, err error) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"Profile": p, "Args": args, "Dir": v.folder, "Env": slices.Concat(v.env, v.within), "Secrets": secrets, "Hidden": []string{filepath.Join(v.folder, "outside")}})
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
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.Dir = &printed, &printed, []*os.File{in, to}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: v.credential}
	must(t, cmd.Start())
	limit := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	err = cmd.Wait()
	if text, readErr := os.ReadFile(reported); readErr == nil && len(text) > 0 {
		must(t, json.Unmarshal(text, &report))
	}
	return printed.String(), report, err
}

// attacked makes attacks outside, where they have to work, and in a container, where
// they must not.
func (v *vessel) attacked(t *testing.T, p profile.Profile, names ...string) {
	all := named(names...)
	if len(all) != len(names) {
		t.Fatalf("of the attacks %v there are %v", names, namesOf(all, attack.any))
	}
	for i, a := range all {
		if !slices.Contains(recordedInContainers, a.name) {
			all[i].control, all[i].what = "", ""
		}
	}
	for _, round := range together(all) {
		outside := v.outside(t, append([]string{v.program}, namesOf(round, attack.any)...)...)
		v.clean(t)
		printed, report, err := v.run(t, p, nil, append([]string{"/attack"}, namesOf(round, attack.any)...)...)
		if err != nil || report.Err(p.UnsafeMissing) != nil {
			t.Fatalf("%v, not enforced: %v\n%s", err, report.Missing(), printed)
		}
		records, inside := records(printed)
		for _, a := range round {
			t.Run(a.name, func(t *testing.T) {
				a.wordless = a.wordless || a.few // the memory of its files may end it
				a.worked(t, outside)
				a.repelled(t, inside)
				if a.control != "" && report.Err(nil) == nil && !slices.ContainsFunc(records, func(r string) bool { return like(a.control+": "+a.what+", * times", r) }) {
					t.Errorf("there is no record of %s: %s in\n%s", a.control, a.what, records)
				}
			})
		}
		v.untouched(t)
	}
}

// records divides what the starter says of a record from what the attacks say.
func records(printed string) (records []string, out string) {
	for line := range strings.Lines(printed) {
		if record, is := strings.CutPrefix(line, "recorded: "); is {
			records = append(records, strings.TrimSpace(record))
		} else {
			out += line
		}
	}
	return records, out
}

// recordedInContainers are the attacks that our filter of system calls must put on
// record. Others are refused by something else, such as the engine's own filter, whose
// refusal comes first (seccomp(2), "precedence").
var recordedInContainers = []string{
	"setuid", "setgroups", "setuid-bit", "setuid-create", "abstract-socket", "unix-socket", "unix-datagram", "raw-socket", "packet-socket", "signal-parent",
}

// containedAttacks are those of test/sandbox/attack that mean something where an image
// has the programs.
var containedAttacks = []string{
	"read-secret", "write-outside", "symlink", "hardlink", "proc-root", "proc-environ", "setuid-bit", "signal-parent", "direct-ip", "run-unlisted", "fork-bomb", "memory-bomb", "disk-fill",
	"abstract-socket", "list-outside", "dotdot", "rename-out", "proc-cwd", "proc-mem", "proc-fd", "setuid-program", "setuid-create", "ptrace", "vm-read", "namespace", "keyring",
	"direct-ip-v6", "direct-udp", "run-from-memory", "memory-bomb-shared", "large-file", "open-files", "inherited-file", "raw-socket", "packet-socket",
	"unix-socket", "unix-datagram", "setuid", "setgroups", "mount", "bpf", "mapped-v6", "other-machine", "memory-bomb-many",
}

func Test_escapes_from_containers(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			v := newVessel(t, engine)
			v.attacked(t, v.profile, containedAttacks...)
			p, many := v.profile, *v // an engine bounds how many there are by their memory alone
			p.Limits.Memory = 40 << 20
			many.within = append(slices.Clone(v.within), "MANY_FILES=40000")
			many.attacked(t, p, "many-files")
			t.Run("network", func(t *testing.T) { v.withNetwork(t) })
			t.Run("everything a server is given", func(t *testing.T) { v.given(t) })
			t.Run("a gateway that is killed", func(t *testing.T) { v.ends(t) })
			t.Run("time", func(t *testing.T) {
				p := v.profile
				p.Limits.Time = time.Second
				if out, report, err := v.run(t, p, nil, "/attack", "sleep"); err != nil || report.Controls[len(report.Controls)-1].Name != sandbox.Time || !strings.Contains(out, "the server is ended: its time of 1s is over") || strings.Contains(out, "awake") {
					t.Errorf("%v\n%s", err, out)
				}
			})
			t.Run("an ordinary user", func(t *testing.T) { v.ofAnOrdinaryUser(t) })
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
	v.attacked(t, p, "direct-ip", "direct-ip-v6", "direct-udp", "abstract-socket", "raw-socket", "packet-socket")
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
}

// ofAnOrdinaryUser starts a container as somebody who may only use the engine.
func (v *vessel) ofAnOrdinaryUser(t *testing.T) {
	socket, private := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	if os.Getuid() != 0 || v.profile.Runtime != profile.Docker || !private {
		return // that is what the other tests are then, or Podman's store is root's
	}
	folder, err := os.MkdirTemp("", "ordinary") // t.TempDir lies in a folder that others cannot enter
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	must(t, os.Chmod(folder, 0o755))
	must(t, os.Chmod(filepath.Dir(socket), 0o755))
	must(t, os.Chmod(socket, 0o666))
	other := *v
	other.starter, other.credential = copyProgram(t, v.starter, filepath.Join(folder, "contain"), 0o755), &syscall.Credential{Uid: nobody, Gid: nobody}
	p := v.profile
	p.Write = nil
	if out, report, err := other.run(t, p, nil, "/attack", "whoami"); err != nil || len(report.Controls) == 0 || len(report.Missing()) > 0 || out != "65534\n" {
		t.Errorf("%v, not enforced: %v\n%s", err, report.Missing(), out)
	}
	p.Network = []profile.Destination{{Host: "127.0.0.1", Ports: []int{1}}}
	if out, _, err := other.run(t, p, nil, "/attack", "whoami"); err == nil || !strings.Contains(out, "network: only a gateway that runs as root") {
		t.Errorf("%v\n%s", err, out)
	}
}

// ends kills what stands for the gateway. Everything in the container ends with it.
func (v *vessel) ends(t *testing.T) {
	text, err := json.Marshal(map[string]any{"Profile": v.profile, "Args": []string{"/attack", "outlive"}, "Dir": v.folder, "Env": slices.Concat(v.env, v.within)})
	must(t, err)
	in, order, err := os.Pipe()
	must(t, err)
	_, err = order.Write(text)
	must(t, err)
	order.Close()
	report, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	must(t, err)
	cmd := exec.Command(v.starter)
	cmd.ExtraFiles = []*os.File{in, report}
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	in.Close()
	limit := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	said := make([]byte, 1024)
	n := 0
	for !bytes.Contains(said[:n], []byte("left behind\n")) {
		more, err := out.Read(said[n:])
		if n += more; err != nil {
			t.Fatalf("%v after %q", err, said[:n])
		}
	}
	if running := v.running(t); running == "" {
		t.Error("no container runs, so it proves nothing that none is left")
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	for end := time.Now().Add(20 * time.Second); v.running(t) != ""; {
		if time.Now().After(end) {
			t.Fatalf("the container outlives the gateway: %s", v.running(t))
		}
	}
}

func (v *vessel) running(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(v.profile.Runtime, "ps", "--quiet").Output()
	must(t, err)
	return string(out)
}

// refusesWhatIsBelow mounts something that changes below a folder that may be read
// only, which engines leave as it is.
func (v *vessel) refusesWhatIsBelow(t *testing.T) {
	if os.Getuid() != 0 {
		return // nobody else can mount
	}
	p, below := v.profile, filepath.Join(v.folder, "home/below")
	must(t, os.Mkdir(below, 0o755))
	must(t, unix.Mount("below", below, "tmpfs", 0, ""))
	defer func() { must(t, unix.Unmount(below, unix.MNT_DETACH)) }()
	p.Read = []string{filepath.Join(v.folder, "home")}
	if out, _, err := v.run(t, p, nil, "/attack", "whoami"); err == nil || !strings.Contains(out, "home/below can be written") {
		t.Errorf("%v\n%s", err, out)
	}
}

// refusesWhatTheEngineAdds sets Podman up to give every container a folder of the
// machine and a capability.
func (v *vessel) refusesWhatTheEngineAdds(t *testing.T) {
	if v.profile.Runtime != profile.Podman {
		return // Docker has no such settings
	}
	text, err := os.ReadFile(os.Getenv("CONTAINERS_CONF"))
	must(t, err)
	for setting, want := range map[string]string{
		fmt.Sprintf("volumes = [%q]", v.folder+"/outside:/mnt:ro"): "files: /mnt is mounted, which nobody asked for",
		"log_size_max = 1000000\nipcns = \"private\"":              "", // what changes nothing is nothing
	} {
		t.Run(setting, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "containers.conf")
			must(t, os.WriteFile(path, []byte("[containers]\n"+setting+"\n"+string(text)), 0o600))
			t.Setenv("CONTAINERS_CONF", path)
			out, _, err := v.run(t, v.profile, nil, "/attack", "whoami")
			if (err != nil) != (want != "") || !strings.Contains(out, want) {
				t.Errorf("%v, want %q in\n%s", err, want, out)
			}
		})
	}
}

// Where our program cannot be inside, here because the image is for other machines,
// the engine's own walls are left. They do not hold everything, so that nothing starts
// unless the profile says so; then they must hold the rest.
func Test_escapes_from_containers_without_us_inside(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			v := newVessel(t, engine)
			attack, err := os.ReadFile(v.program)
			must(t, err)
			other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
			v.profile.Image = program.ImageFor(t, engine, other, []program.Entry{{Path: "/attack", Mode: 0o755, Data: attack}, {Path: "/setuid", Mode: 0o755 | os.ModeSetuid, Data: attack}})
			out, _, err := v.run(t, v.profile, nil, "/attack", "whoami")
			if err == nil || !strings.Contains(out, "landlock: only a gateway on the Linux machine of the engine adds a second lock") {
				t.Fatalf("%v\n%s", err, out)
			}
			p := v.profile
			p.UnsafeMissing = []string{sandbox.Landlock, sandbox.Sockets}
			attacks := []string{
				"read-secret", "write-outside", "symlink", "rename-out", "setuid-program", "direct-ip", "abstract-socket",
				"fork-bomb", "memory-bomb", "disk-fill", "large-file", "open-files", "raw-socket", "inherited-file",
			}
			if engine == profile.Podman {
				if out, _, err := v.run(t, p, nil, "/attack", "namespace"); err == nil || !strings.Contains(out, "system_calls: Podman lets programs make user namespaces") {
					t.Errorf("%v\n%s", err, out)
				}
				p.UnsafeMissing = append(p.UnsafeMissing, sandbox.SystemCalls)
			} else {
				attacks = append(attacks, "namespace")
			}
			v.attacked(t, p, attacks...)
			if out, report, err := v.run(t, p, nil, "/attack", "describe"); err != nil || !strings.Contains(out, "user: 65534\n") || !strings.Contains(out, "HOME=/tmp\n") || len(report.Controls) == 0 {
				t.Errorf("%v\n%s", err, out)
			}
			p.Limits.Time = time.Second
			if out, _, err := v.run(t, p, nil, "/attack", "sleep"); err != nil || strings.Contains(out, "awake") {
				t.Errorf("it lives longer than its time: %v\n%s", err, out)
			}
			p.Network = []profile.Destination{{Host: "127.0.0.1", Ports: []int{1}}}
			if out, _, err := v.run(t, p, nil, "/attack", "whoami"); err == nil || !strings.Contains(out, "the sandbox does not hold what the profile asks for: network") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Test_a_server_in_a_container_is_used_through_the_program runs a server of somebody
// else as a client's configuration does.
func Test_a_server_in_a_container_is_used_through_the_program(t *testing.T) {
	gatehouse := buildGatehouse(t)
	server := filepath.Join(t.TempDir(), "everything-server")
	build := exec.Command("go", "build", "-o", server, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	build.Dir, build.Env = "../tools", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building a server: %v\n%s", err, out)
	}
	text, err := os.ReadFile(server)
	must(t, err)
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			program.Engine(t, engine)
			image := program.Image(t, engine, []program.Entry{{Path: "/bin/everything-server", Mode: 0o755, Data: text}}, `ENTRYPOINT ["everything-server"]`)
			state := t.TempDir()
			t.Run("calls", func(t *testing.T) {
				c := connect(t, exec.Command(gatehouse, "run", "--state", state, "--id", "everything", "--sandbox", "nothing", "--runtime", engine, "--image", image))
				if list := c.call("tools/list", map[string]any{}); !strings.Contains(list, "test_simple_text") {
					t.Fatalf("tools: %s", list)
				}
				if got := c.call("tools/call", map[string]any{"name": "test_simple_text", "arguments": map[string]any{}}); strings.Contains(got, `"isError":true`) || !strings.Contains(got, "text") {
					t.Errorf("the answer is %s", got)
				}
			})
			out, err := exec.Command(gatehouse, "log", "query", "--dir", filepath.Join(state, "audit"), "--kind", "server-started", "--json").CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("in a container; enforced: files, landlock, network, namespaces, system_calls, privileges")) {
				t.Errorf("the log does not say what is enforced: %v\n%s", err, out)
			}
		})
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
	v.refusesWhatIsBelow(t)
	v.refusesWhatTheEngineAdds(t)
	// A program that is not there is an error that says so.
	if out, _, err := v.run(t, v.profile, nil, "no-such-program"); err == nil || !strings.Contains(out, "no-such-program: executable file not found in $PATH in the image") {
		t.Errorf("%v\n%s", err, out)
	}
}
