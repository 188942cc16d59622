//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

// What a control group holds is read from it, in both versions; what cannot be read
// is no bound.
func Test_what_a_group_holds_is_read(t *testing.T) {
	root := t.TempDir()
	put := func(files map[string]string) {
		t.Helper()
		for name, text := range files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(map[string]string{
		"two/box/memory.max": "1048576", "two/box/memory.swap.max": "0", "two/box/cpu.max": "50000 100000", "two/box/pids.max": "88",
		"two/free/memory.max": "max", "two/free/cpu.max": "max 100000", "two/free/pids.max": "max",
		"two/swap/memory.max": "1048576", "two/swap/memory.swap.max": "max", "two/swap/pids.max": "8",
		"one/memory/box/memory.limit_in_bytes": "1048576", "one/cpu/box/cpu.cfs_quota_us": "100000", "one/cpu/box/cpu.cfs_period_us": "50000", "one/pids/box/pids.max": "10",
		"one/memory/free/memory.limit_in_bytes": "9223372036854771712", "one/cpu/free/cpu.cfs_quota_us": "-1", "one/cpu/free/cpu.cfs_period_us": "0", "one/pids/free/pids.max": "x",
	})
	mounts := fmt.Sprintf("1 1 0:1 / %[1]s/two rw - cgroup2 cgroup rw\n2 1 0:2 / %[1]s/one/memory rw - cgroup cgroup rw,memory\n3 1 0:3 / %[1]s/one/cpu rw - cgroup cgroup rw,cpu,cpuacct\n4 1 0:4 / %[1]s/one/pids rw - cgroup cgroup rw,pids\n", root)
	one := func(box string) string {
		return fmt.Sprintf("4:memory:/%[1]s\n3:cpu,cpuacct:/%[1]s\n2:pids:/%[1]s\n0::/\n", box)
	}
	for _, test := range []struct {
		membership, controller string
		most                   float64
		want                   string // the mechanism, or a part of the problem
	}{
		{"0::/box\n", "memory", 1 << 20, "cgroup v2"}, {"0::/box\n", "cpu", 0.5, "cgroup v2"}, {"0::/box\n", "pids", 88, "cgroup v2"},
		{"0::/box\n", "memory", 1<<20 - 4096, "allows 1048576, more than 1044480"}, {"0::/box\n", "cpu", 0.4, "allows 0.5"}, {"0::/box\n", "pids", 87, "allows 88"},
		{"0::/free\n", "memory", 1 << 40, "no bound"}, {"0::/free\n", "cpu", 100, "no bound"}, {"0::/free\n", "pids", 1 << 20, "no bound"},
		{"0::/swap\n", "memory", 1 << 20, "may swap"}, {"0::/swap\n", "pids", 8, "cgroup v2"},
		{one("box"), "memory", 1 << 20, "cgroup v1"}, {one("box"), "cpu", 2, "cgroup v1"}, {one("box"), "pids", 10, "cgroup v1"},
		{one("box"), "memory", 1 << 19, "allows"}, {one("box"), "cpu", 1, "allows 2"}, {one("box"), "pids", 9, "allows 10"},
		{one("free"), "memory", 1 << 62, "no bound"}, {one("free"), "cpu", 8, "no bound"}, {one("free"), "pids", 8, "invalid syntax"},
		{"0::/gone\n", "memory", 1 << 20, "no such file"}, {"", "memory", 1 << 20, "no cgroup"}, {"0::/../box\n", "memory", 1 << 20, "no cgroup"},
	} {
		files := map[string][2]string{"memory": {"memory.limit_in_bytes", "memory.max"}, "cpu": {"cpu.cfs_quota_us", "cpu.max"}, "pids": {"pids.max", "pids.max"}}[test.controller]
		got, err := bounded(test.membership, mounts, test.controller, files[0], files[1], test.most)
		if err != nil {
			got = err.Error()
		}
		if err != nil == strings.HasPrefix(test.want, "cgroup") || !strings.Contains(got, test.want) {
			t.Errorf("%q %s %v: %s, want %s", test.membership, test.controller, test.most, got, test.want)
		}
	}
}

func Test_mounts_that_change_and_were_not_asked_for_are_found(t *testing.T) {
	s := &spec{Private: []string{"/tmp", "/dev/shm"}, Mounts: []mount{{Path: "/srv/read"}, {Path: "/srv/my out", Write: true}}}
	line := func(point, options string) string {
		return "1 1 0:1 / " + point + " " + options + ",relatime - ext4 /dev/x rw\n"
	}
	fine := line("/", "ro") + line("/proc", "rw") + line("/proc/sys", "ro") + line("/dev", "rw") + line("/sys/fs/cgroup", "rw") + line("/tmp", "rw") + line("/srv/read", "ro") + line(`/srv/my\040out`, "rw") + line(`/srv/my\040out/below`, "rw") + line("/run/secrets", "rw")
	if err := s.onlyGrantedChange(fine); err != nil {
		t.Error(err)
	}
	for _, point := range []string{"/", "/srv/read", "/srv/read/below", "/srv", "/data", "/run", "/run/gatehouse/control", "/tmpx", "/tmp/below", "/run/secrets/x", "/etc/hosts"} {
		if err := s.onlyGrantedChange(fine + line(point, "rw")); err == nil {
			t.Errorf("%s may be written", point)
		}
	}
}

func Test_programs_are_found_in_the_image(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"a/tool": 0o644, "b/tool": 0o755, "b/folder/x": 0o755} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	s := &spec{Env: []string{"A=b", "PATH=" + dir + "/a::" + dir + "/b"}}
	for name, want := range map[string]string{"tool": dir + "/b/tool", "./tool": "./tool", "/x/y": "/x/y", "folder": "", "nothing": ""} {
		got, err := s.lookUp(name)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Places that were given have rules of their own; the folders on the way to them are
// taken apart, so that nothing given can be started.
func Test_the_rules_of_an_image_leave_out_what_was_given(t *testing.T) {
	s := &spec{Private: []string{"/tmp", "/data"}, Mounts: []mount{{Path: "/home/ann/notes", Write: true}}}
	for path, want := range map[string][2]bool{
		"/home": {false, true}, "/home/ann": {false, true}, "/home/ann/notes": {true, false}, "/home/ann/notes/x": {true, false},
		"/home/bob": {false, false}, "/usr": {false, false}, "/data": {true, false}, "/": {false, true}, "/home/ann/notesx": {false, false},
	} {
		granted, leads := s.place(path)
		if diff := cmp.Diff(want, [2]bool{granted, leads}); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if !elsewhere("/run/x") || !elsewhere("/proc") || elsewhere("/runner") {
		t.Error("what is not of the image is taken for it")
	}
}

// A sandbox of the machine is never what a profile for a container gets.
func Test_a_profile_for_a_container_gets_no_sandbox(t *testing.T) {
	p := profile.Profile{Runtime: profile.Docker, Image: "sha256:" + strings.Repeat("0", 64)}
	if box, err := New(p, Command{Args: []string{"/bin/true"}}); err == nil {
		t.Errorf("%+v", box)
	}
}

func Test_limits_of_the_user_are_left_to_the_engine(t *testing.T) {
	p := profile.Profile{Limits: profile.Limits{Processes: 10, CPU: 1, Memory: 1 << 20}}
	x, err := NewContained(p, Command{Args: []string{"x"}}, Container{Engine: "e"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range x.spec.Limits.resources() {
		if r.which == unix.RLIMIT_NPROC && r.value != 0 {
			t.Errorf("%d processes of the user on the whole machine", r.value)
		}
	}
	if x.spec.Limits.CPUs != 0 || x.spec.Host["user"] != "" || x.spec.Host["net"] == "" {
		t.Errorf("%+v", x.spec)
	}
}
