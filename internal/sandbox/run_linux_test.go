//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

func TestMain(m *testing.M) {
	Inside(greet)
	os.Exit(m.Run())
}

// greet stands for the network of a sandbox: it only says that it was called.
func greet(broker *net.UnixConn) (func() map[string]uint64, error) {
	if err := loopbackUp(); err != nil {
		return nil, err
	}
	_, err := broker.Write([]byte("hello from inside"))
	return func() map[string]uint64 { return nil }, err
}

// ran is what came of a program in a sandbox.
type ran struct {
	out, err string
	code     int
	report   Report
}

// run starts a program in a sandbox and waits for its end.
func run(t *testing.T, p profile.Profile, c Command, stdin string) (ran, error) {
	t.Helper()
	var out, errs bytes.Buffer
	s, cmd, err := start(t, p, c, func(cmd *exec.Cmd) {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	})
	if cmd == nil {
		return ran{}, err
	}
	_ = cmd.Wait()
	s.Ended()
	return ran{out.String(), errs.String(), cmd.ProcessState.ExitCode(), s.Report()}, err
}

// start starts a program in a sandbox; cmd is nil if there is no process.
func start(t *testing.T, p profile.Profile, c Command, streams func(*exec.Cmd)) (*Sandbox, *exec.Cmd, error) {
	t.Helper()
	s, err := New(p, c)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command("/proc/self/exe")
	streams(cmd)
	if err := s.Configure(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { kill.Stop() })
	if err = s.Started(cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
	}
	return s, cmd, err
}

func empty() profile.Profile { return profile.Profile{Limits: profile.DefaultLimits()} }

func command(args ...string) Command {
	return Command{Args: args, Dir: "/", Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}}
}

// shell runs a script of /bin/sh, with the programs that it may start.
func shell(p profile.Profile, script string, programs ...string) (profile.Profile, Command) {
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err != nil {
			path = "/bin/" + name
		}
		p.Execute = append(p.Execute, path)
	}
	return p, command("/bin/sh", "-c", script)
}

func Test_a_program_runs_inside(t *testing.T) {
	got, err := run(t, empty(), command("/bin/cat"), "hello\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.out != "hello\n" || got.code != 0 {
		t.Errorf("%+v", got)
	}
	if missing := got.report.Missing(); len(missing) > 0 {
		t.Errorf("not enforced: %v", missing)
	}
	for _, control := range []string{Files, Landlock, Network, Namespaces, SystemCalls, Privileges, Inherited, Memory, Processes, Descriptors, Disk, FileSize} {
		if !slices.ContainsFunc(got.report.Controls, func(c Control) bool { return c.Name == control && c.Mechanism != "" && c.Asked != "" }) {
			t.Errorf("the report says nothing of %s: %+v", control, got.report)
		}
	}
}

func Test_what_a_program_finds_inside(t *testing.T) {
	folder := tree(t, "notes.txt", "other.txt")
	p, c := shell(empty(), `
		echo home $HOME, folder $PWD, user $USER
		echo x > $HOME/x && echo x > /tmp/x && echo x > /dev/shm/x && echo x > /dev/null && echo scratch
		cat notes.txt; echo
		cat other.txt 2>/dev/null || echo no other
		cat /run/secrets/token; echo
		cat /proc/self/cmdline | tr '\0' ' '; echo
		env | grep -c TOKEN
		hostname
		exit 7`, "cat", "tr", "env", "grep", "hostname")
	p.Read, p.SecretFiles = []string{folder + "/notes.txt"}, []string{"token"}
	c.Dir, c.Secrets = folder, map[string]string{"token": "a secret"}
	got, err := run(t, p, c, "")
	if err != nil {
		t.Fatal(err)
	}
	want := "home /tmp/home, folder " + folder + ", user server\nscratch\nnotes.txt\nno other\na secret\ncat /proc/self/cmdline \n0\nsandbox\n"
	if got.out != want || got.code != 7 {
		t.Errorf("got %q, code %d, stderr %s", got.out, got.code, got.err)
	}
}

func Test_granted_folders_are_shared_with_the_machine(t *testing.T) {
	folder := tree(t, "in/file", "out/", "home/")
	for _, name := range []string{"out", "home"} {
		if err := os.Chmod(filepath.Join(folder, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	p, c := shell(empty(), `
		echo new > out/new && mkdir out/deep && mv out/new out/deep/moved && echo written
		echo new > in/new || echo read only
		echo kept > $HOME/kept`, "mkdir", "mv")
	p.Read, p.Write, p.Home, c.Dir = []string{folder + "/in"}, []string{folder + "/out"}, folder+"/home", folder
	got, err := run(t, p, c, "")
	if err != nil || got.out != "written\nread only\n" {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, want := range map[string]string{"out/deep/moved": "new\n", "home/kept": "kept\n"} {
		if text, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func Test_only_listed_programs_start(t *testing.T) {
	p, c := shell(empty(), "cat /etc/passwd || echo no cat; id || echo no id", "id")
	got, err := run(t, p, c, "")
	if err != nil || !strings.HasPrefix(got.out, "no cat\nuid=") {
		t.Errorf("%+v, %v", got, err)
	}
}

func Test_less_than_was_asked_does_not_start(t *testing.T) {
	secret := tree(t, "granted/secret")
	p := empty()
	p.Read = []string{secret + "/granted"}
	s, err := New(p, command("/bin/cat"))
	if err != nil {
		t.Fatal(err)
	}
	s.Ended()
	// The probe is told to look for something that is there: what it would find if a
	// mount went wrong.
	for _, allowed := range [][]string{nil, {Landlock}, {Files}} {
		s.spec.Hidden, s.spec.Allowed, s.profile.UnsafeMissing = []string{secret + "/granted/secret"}, allowed, allowed
		cmd := exec.Command("/proc/self/exe")
		var out bytes.Buffer
		cmd.Stdin, cmd.Stdout = strings.NewReader("it runs"), &out
		if err := s.Configure(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		err := s.Started(cmd.Process.Pid)
		_ = cmd.Wait()
		s.Ended()
		runs := slices.Contains(allowed, Files)
		if (err == nil) != runs || (out.String() == "it runs") != runs || !slices.Equal(s.Report().Missing(), []string{Files}) {
			t.Errorf("allowed %v: %v, output %q, missing %v", allowed, err, &out, s.Report().Missing())
		}
		if !runs && !strings.Contains(err.Error(), "seeing "+secret+"/granted/secret was not refused") {
			t.Errorf("allowed %v: %v", allowed, err)
		}
	}
}

func Test_grants_that_are_of_no_use_are_refused_in_words(t *testing.T) {
	folder := tree(t, "closed/")
	if err := os.Chmod(folder+"/closed", 0o555); err != nil {
		t.Fatal(err)
	}
	p := empty()
	p.Write = []string{folder + "/closed"}
	_, err := run(t, p, command("/bin/cat"), "")
	if err == nil || !strings.Contains(err.Error(), "who the server is, may not change "+folder+"/closed") {
		t.Errorf("got %v", err)
	}
}

// A gateway that runs as root may grant what belongs to somebody else: to root, or
// to another user.
func Test_what_is_granted_is_lent_to_the_server(t *testing.T) {
	if os.Getuid() != 0 {
		return // everything that such a gateway can grant is the server's already
	}
	for _, owner := range []int{0, 12345} {
		folder := tree(t, "lent/private")
		for path, mode := range map[string]os.FileMode{folder + "/lent": 0o700, folder + "/lent/private": 0o600} {
			if err := errors.Join(os.Chmod(path, mode), os.Chown(path, owner, owner)); err != nil {
				t.Fatal(err)
			}
		}
		p, c := shell(empty(), "cat private && echo more >> private && echo made > made && stat -c %u made", "cat", "stat")
		p.Write, c.Dir = []string{folder + "/lent"}, folder+"/lent"
		got, err := run(t, p, c, "")
		if err != nil || got.out != "lent/private65534\n" {
			t.Fatalf("%+v, %v", got, err)
		}
		for name, want := range map[string]string{"private": "lent/privatemore\n", "made": "made\n"} {
			path := folder + "/lent/" + name
			text, err := os.ReadFile(path)
			var is unix.Stat_t
			if err != nil || string(text) != want || unix.Stat(path, &is) != nil || int(is.Uid) != owner || int(is.Gid) != owner {
				t.Errorf("%s holds %q and belongs to %d:%d (%v)", name, text, is.Uid, is.Gid, err)
			}
		}
	}
}

func Test_a_server_is_ended_when_its_time_is_over(t *testing.T) {
	p := empty()
	p.Limits.Time = 300 * time.Millisecond
	p, c := shell(p, "echo begun; exec sleep 60", "sleep")
	began := time.Now()
	got, err := run(t, p, c, "")
	if err != nil || got.out != "begun\n" || time.Since(began) > 20*time.Second {
		t.Errorf("%+v, %v", got, err)
	}
	if !strings.Contains(got.err, "its time of 300ms is over") {
		t.Errorf("stderr %q", got.err)
	}
}

func Test_memory_is_bounded_without_control_groups(t *testing.T) {
	p := empty()
	p.Limits.Memory = 64 << 20
	p, c := shell(p, "(head -c 100000000 /dev/zero; sleep 30) | tail", "sleep", "head", "tail")
	s, err := New(p, c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := s.Configure(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.profile.Limits.Memory = 0 // no group is made for it
	defer s.Ended()
	s.closeChild()
	s.spec.Watch = p.Limits.Memory
	if err := writeFrame(s.control, s.spec); err != nil {
		t.Fatal(err)
	}
	var got outcome
	if err := readFrame(s.control, &got); err != nil || got.Error != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	_ = cmd.Wait()
	if !strings.Contains(errs.String(), "it uses more than 64 MiB of memory") {
		t.Errorf("stderr %q", &errs)
	}
}

// What the kernel ends a server for, and what nobody sees but the first process, is on
// record.
func Test_limits_that_are_reached_are_on_record(t *testing.T) {
	folder := tree(t, "out/")
	if err := os.Chmod(folder+"/out", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args    []string
		limits  profile.Limits
		control string
	}{
		{[]string{"dd", "if=/dev/zero", "of=" + folder + "/out/large", "bs=1M", "count=4"}, profile.Limits{FileSize: 1 << 20}, FileSize},
		{[]string{"sleep", "60"}, profile.Limits{Time: 200 * time.Millisecond}, Time},
	} {
		p := empty()
		p.Limits = test.limits
		p.Write = []string{folder + "/out"}
		c := command(test.args...)
		var got []Refusal
		c.Refused = func(f Refusal) { got = append(got, f) }
		if _, err := run(t, p, c, ""); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(got, func(f Refusal) bool { return f.Control == test.control && f.Times == 1 }) {
			t.Errorf("%v: the record is %+v", test.args, got)
		}
	}
}

// A server that uses nothing but what it may leaves no record.
func Test_what_is_allowed_is_not_on_record(t *testing.T) {
	folder := tree(t, "in/file")
	p, c := shell(empty(), "cat in/file /nowhere /tmp/nothing; echo x > /tmp/x; mkdir /tmp/y; id -u; kill -0 $$; sh -c true", "cat", "mkdir", "id", "sh")
	p.Read, c.Dir, p.RecordFiles = []string{folder + "/in"}, folder, true
	var got []Refusal
	c.Refused = func(f Refusal) { got = append(got, f) }
	if _, err := run(t, p, c, ""); err != nil || len(got) > 0 {
		t.Errorf("%v, the record is %+v", err, got)
	}
}

// A flood makes as many records as its number has digits, whatever the server writes
// into them, and not more than so many kinds.
func Test_records_are_bounded(t *testing.T) {
	r := &recorder{started: true, tallies: map[refusal]*tally{}}
	said := 0
	for range 12_345 {
		r.note(Files, "read /a\nforged\x1b[2K"+strings.Repeat("long", 1000), "", 1)
		said += len(r.due(false))
	}
	last := r.due(true)
	if said != 5 || len(last) != 1 || last[0].Times != 12_345 || len(last[0].What) != maxWhat || strings.ContainsAny(last[0].What, "\n\x1b") {
		t.Errorf("%d records, and at the end %+v", said, last)
	}
	for i := range 3 * maxRefusals {
		r.note(Files, fmt.Sprint("read ", i), "", 1)
	}
	if last = r.due(true); len(last) != maxRefusals || last[len(last)-1].Times != 2*maxRefusals+1 {
		t.Errorf("%d records: %+v", len(last), last[len(last)-1])
	}
	if r.note(Files, "read more", "", 0); len(r.due(true)) != 0 {
		t.Error("nothing has been refused, and it is recorded")
	}
}

// A gateway that hangs, and whose socket is full, does not keep a server alive beyond
// its time.
func Test_a_gateway_that_hangs_delays_no_end(t *testing.T) {
	p := empty()
	p.Limits.Time = 500 * time.Millisecond
	s, err := New(p, command("/bin/sleep", "60"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Ended()
	cmd := exec.Command("/proc/self/exe")
	if err := s.Configure(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := writeFrame(s.control, s.spec); err != nil {
		t.Fatal(err)
	}
	var got outcome
	if err := readFrame(s.control, &got); err != nil || got.Error != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	for err == nil { // nobody reads what the first process says
		err = unix.Sendto(int(s.child[0].Fd()), make([]byte, 4096), unix.MSG_DONTWAIT, nil)
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !cmd.ProcessState.Exited() || cmd.ProcessState.ExitCode() != exitBySignal+int(syscall.SIGKILL) {
		t.Errorf("it ended with %v", cmd.ProcessState)
	}
}

// Memory that cannot be looked at is not taken for none. /proc/PID/mem cannot be read
// from its beginning.
func Test_memory_that_is_not_known_is_not_none(t *testing.T) {
	if sum, whole := memoryBy("status", "VmRSS"); sum == 0 || !whole {
		t.Errorf("the processes of the machine use %d bytes, the sum is whole: %v", sum, whole)
	}
	if sum, whole := memoryBy("mem", "VmRSS"); whole {
		t.Errorf("what cannot be read adds up to %d", sum)
	}
	if sum, whole := memoryBy("nothing", "VmRSS"); sum != 0 || !whole {
		t.Errorf("processes that have ended use %d bytes, the sum is whole: %v", sum, whole)
	}
}

func Test_signals_of_the_gateway_reach_the_server(t *testing.T) {
	p, c := shell(empty(), `trap "echo ended in order; exit 3" TERM; echo ready; while :; do sleep 0.05; done`, "sleep")
	out, in := io.Pipe()
	s, cmd, err := start(t, p, c, func(cmd *exec.Cmd) { cmd.Stdout = in })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Ended()
	ready := make([]byte, 6)
	if _, err := io.ReadFull(out, ready); err != nil || string(ready) != "ready\n" {
		t.Fatalf("%q, %v", ready, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest := make(chan string)
	go func() {
		text, _ := io.ReadAll(out)
		rest <- string(text)
	}()
	_ = cmd.Wait()
	in.Close()
	if text := <-rest; text != "ended in order\n" || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%q, %v", text, cmd.ProcessState)
	}
}

// Files of /proc that tell about the machine are there and empty.
func Test_the_machine_is_not_described_inside(t *testing.T) {
	files := slices.DeleteFunc([]string{"/proc/interrupts", "/proc/softirqs", "/proc/diskstats", "/proc/partitions", "/proc/swaps", "/proc/key-users"}, func(file string) bool {
		text, err := os.ReadFile(file)
		return err != nil || len(text) == 0
	})
	if len(files) == 0 {
		t.Fatal("they tell nothing outside either, so it proves nothing")
	}
	got, err := run(t, empty(), command(append([]string{"/bin/cat"}, files...)...), "")
	if err != nil || got.out != "" || got.code != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// What was planned is what is shown: a link that somebody put in its place since leads
// nowhere.
func Test_a_link_in_the_place_of_what_was_granted_is_refused(t *testing.T) {
	folder := tree(t, "granted/file", "secret/file")
	p := empty()
	p.Read = []string{folder + "/granted"}
	s, cmd, err := start(t, p, command("/bin/cat", folder+"/granted/file"), func(*exec.Cmd) {
		if err := errors.Join(os.Rename(folder+"/granted", folder+"/before"), os.Symlink("secret", folder+"/granted")); err != nil {
			t.Fatal(err)
		}
	})
	_ = cmd.Wait()
	s.Ended()
	if err == nil || !strings.Contains(err.Error(), "opening "+folder+"/granted: too many levels of symbolic links") {
		t.Errorf("got %v", err)
	}
}

func Test_programs_that_cannot_start_say_why(t *testing.T) {
	path := filepath.Join(tree(t, "bin/"), "bin/odd")
	if err := os.WriteFile(path, append([]byte("\x7fELF"), make([]byte, 100)...), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, empty(), command(path), ""); err == nil || !strings.Contains(err.Error(), "neither a program nor a script") {
		t.Errorf("got %v", err)
	}
}

func Test_the_network_is_set_up_before_anything_is_given_up(t *testing.T) {
	heard := make(chan string, 1)
	p, c := empty(), command("/bin/cat")
	p.Network = []profile.Destination{{Host: "api.example.com", Ports: []int{443}}}
	c.Network = func(ctx context.Context, inside *net.UnixConn) error {
		text := make([]byte, 64)
		n, err := inside.Read(text)
		heard <- string(text[:n])
		<-ctx.Done()
		return errors.Join(err, ctx.Err())
	}
	// The stand-in makes no rules, and the probe finds that.
	_, err := run(t, p, c, "")
	if text := <-heard; text != "hello from inside" {
		t.Errorf("heard %q", text)
	}
	if err != nil && !strings.Contains(err.Error(), "network: a packet to another machine") {
		t.Errorf("got %v", err)
	}
}

func Test_what_is_available(t *testing.T) {
	report, err := Available()
	if err != nil {
		t.Fatal(err)
	}
	for _, control := range Controls() {
		if !slices.ContainsFunc(report.Controls, func(c Control) bool { return c.Name == control }) {
			t.Errorf("nothing is said of %s", control)
		}
	}
	if missing := report.Missing(); len(missing) > 0 {
		t.Errorf("not enforced here: %v", missing)
	}
}

func Test_reports_are_judged_by_what_is_allowed(t *testing.T) {
	r := Report{Controls: []Control{{Name: Files}, {Name: Memory, Problem: "no limit"}, {Name: CPU, Problem: "too many"}}}
	if err := r.Err(nil); !errors.Is(err, ErrNotEnforced) || err.Error() != ErrNotEnforced.Error()+": memory: no limit; cpu: too many" {
		t.Errorf("%v", err)
	}
	if err := r.Err([]string{Memory}); err == nil || strings.Contains(err.Error(), "no limit") {
		t.Errorf("%v", err)
	}
	if err := r.Err([]string{Memory, CPU}); err != nil {
		t.Errorf("%v", err)
	}
	if err := (Report{}).Err(Controls()); !errors.Is(err, ErrNotEnforced) {
		t.Errorf("a report that says nothing proves something: %v", err)
	}
	for name, test := range map[string]struct {
		outcome outcome
		want    error
		text    string
	}{
		"it began":                     {outcome{Report: Report{Controls: r.Controls[:1]}}, nil, ""},
		"nothing was probed":           {outcome{}, ErrNotEnforced, "nothing was found out"},
		"it ended before it was ready": {outcome{Error: "no program"}, nil, "no program"},
		"it could not be started":      {outcome{Report: Report{Controls: r.Controls[:1]}, Error: "no program"}, nil, "no program"},
		"less is enforced":             {outcome{Report: r, Error: "less"}, ErrNotEnforced, "no limit"},
		"less is enforced, unsaid":     {outcome{Report: r}, ErrNotEnforced, "no limit"},
	} {
		err := test.outcome.problem(nil)
		if (err != nil) != (test.text != "") || test.want != nil && !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.String(); got != "enforced: files; NOT enforced: memory, cpu" {
		t.Errorf("%s", got)
	}
}

func Test_frames_are_bounded(t *testing.T) {
	long := make([]byte, 4+maxFrame+1)
	binary.BigEndian.PutUint32(long, maxFrame+1)
	var s spec
	if err := readFrame(bytes.NewReader(long), &s); err == nil || !strings.Contains(err.Error(), "a message of") {
		t.Errorf("got %v", err)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s spec
		if err := readFrame(bytes.NewReader(raw), &s); err != nil {
			return
		}
		var again bytes.Buffer
		if err := writeFrame(&again, s); err != nil {
			t.Fatal(err)
		}
		if err := readFrame(&again, &s); err != nil {
			t.Error(err)
		}
	})
}

func Test_what_a_server_uses_is_observed(t *testing.T) {
	folder, err := os.MkdirTemp("/var/tmp", "observed") // what lies in /tmp is not seen
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	for path, mode := range map[string]os.FileMode{folder + "/settings.ini": 0o644, folder + "/state/": 0o777} {
		if strings.HasSuffix(path, "/") {
			err = os.Mkdir(path, mode)
		} else {
			err = os.WriteFile(path, []byte("x=1\n"), mode)
		}
		if err := errors.Join(err, os.Chmod(path, mode), os.Chmod(folder, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	p, c := shell(empty(), "cat settings.ini; echo 1 > state/made || echo refused; exec 3<>/dev/tcp/api.example.com/8443 || true")
	c.Args[0], c.Dir, c.Observe = "/bin/bash", folder, true
	c.Hidden = []string{folder + "/state"}
	p.Read = nil
	var out bytes.Buffer
	s, cmd, err := start(t, p, c, func(cmd *exec.Cmd) { cmd.Stdout, cmd.Stderr = &out, &out })
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	uses, err := s.Uses()
	s.Ended()
	if err != nil {
		t.Fatal(err)
	}
	cat, _ := exec.LookPath("cat")
	for _, want := range []profile.Use{
		{Kind: profile.UsedRead, Path: folder + "/settings.ini"}, {Kind: profile.UsedWrite, Path: folder + "/state/made"}, {Kind: profile.UsedExecute, Path: cat},
		{Kind: profile.UsedNetwork, Host: "api.example.com"}, {Kind: profile.UsedNetwork, Host: "api.example.com", Port: 8443},
	} {
		if !slices.ContainsFunc(uses, func(u profile.Use) bool { u.Times = 0; return u == want }) {
			t.Errorf("nothing was seen of %+v\noutput %s", want, &out)
		}
	}
	if len(uses) > 200 || slices.ContainsFunc(uses, func(u profile.Use) bool { return u.Path == outsideFile }) {
		t.Errorf("the probe was observed too: %d uses", len(uses))
	}
	if files, err := os.ReadDir(folder + "/state"); err != nil || len(files) > 0 {
		t.Errorf("an observed server changed the machine: %v, %v", files, err)
	}
}

// What is to be hidden from a server that is observed is hidden, or it does not start.
func Test_what_cannot_be_hidden_is_not_shown(t *testing.T) {
	root, err := os.MkdirTemp("/var/tmp", "hidden")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := errors.Join(os.Mkdir(root+"/state", 0o755), os.WriteFile(root+"/state/file", nil, 0o644), os.WriteFile(root+"/lock", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for want, hidden := range map[string][]string{
		"":                          {root + "/state/file", root + "/state", root + "/nothing", "/etc/shadow"},
		root + "/lock is a file":    {root + "/state", root + "/lock"},
		root + "/state/file is a f": {root + "/state/file"},
	} {
		p := newPlan()
		err := p.everything(hidden)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("hiding %v: %v", hidden, err)
		}
		if m := p.nearest(root + "/state/file"); err == nil && (m == nil || !m.Blank) {
			t.Errorf("%v is shown in %+v", hidden, m)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03api\x07example\x03com\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, query []byte) {
		o := &observer{uses: map[profile.Use]int{}, names: map[netip.Addr]string{}}
		reply := o.answer(query)
		if reply == nil {
			return
		}
		if !bytes.Equal(reply[:2], query[:2]) || reply[2]&0x80 == 0 || len(reply) > len(query)+16 {
			t.Errorf("%x is answered %x", query, reply)
		}
		if again, _ := questionName(append([]byte{0, 0, 0}, reply[3:]...)); again != "" && len(o.uses) == 1 && o.all()[0].Host != again {
			t.Errorf("the reply names %q", again)
		}
	})
}
