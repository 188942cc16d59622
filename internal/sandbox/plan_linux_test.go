//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/profile"
)

// tree makes files, folders (ending in a slash) and links (name → target) in a new
// folder that others may enter.
func tree(t *testing.T, entries ...string) string {
	t.Helper()
	root, err := os.MkdirTemp("", "plan")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name, target, isLink := strings.Cut(e, " → ")
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case isLink:
			err = os.Symlink(strings.ReplaceAll(target, "ROOT", root), path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func Test_links_are_followed_and_made_again(t *testing.T) {
	root := tree(t, "real/lib/x.so", "lib → real/lib", "x.so.1 → lib/x.so", "far → ROOT/x.so.1", "loop → loop", "up → real/../real/lib")
	p := newPlan()
	for path, want := range map[string]string{"far": "real/lib/x.so", "up/x.so": "real/lib/x.so", "real/./lib": "real/lib"} {
		got, err := p.follow(filepath.Join(root, path))
		if err != nil || got != filepath.Join(root, want) {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
	want := map[string]string{root + "/lib": "real/lib", root + "/x.so.1": "lib/x.so", root + "/far": root + "/x.so.1", root + "/up": "real/../real/lib"}
	if diff := cmp.Diff(want, p.links); diff != "" {
		t.Error(diff)
	}
	for _, path := range []string{root + "/loop", root + "/nowhere", "relative"} {
		if got, err := p.follow(path); err == nil {
			t.Errorf("%s leads to %s", path, got)
		}
	}
}

func Test_what_is_granted_is_mounted_once_and_in_order(t *testing.T) {
	root := tree(t, "a/in/file", "a/out/", "b/file", "code/main.py")
	p := newPlan()
	for path, how := range map[string]mount{"a": {}, "a/in": {}, "a/out": {Write: true}, "b": {Write: true}, "b/file": {}, "code/main.py": {}} {
		if err := p.grant(filepath.Join(root, path), how); err != nil {
			t.Fatal(err)
		}
	}
	p.folder(root + "/code")
	var s spec
	p.into(&s)
	want := []mount{
		{Path: root + "/a", Folder: true},
		{Path: root + "/a/out", Folder: true, Write: true, Inner: true},
		{Path: root + "/b", Folder: true, Write: true},
		{Path: root + "/b/file", Inner: true}, // a hole in what may be written
		{Path: root + "/code/main.py"},
	}
	if diff := cmp.Diff(want, s.Mounts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{root + "/code"}, s.Folders); diff != "" {
		t.Error(diff)
	}
}

func Test_what_is_made_anew_cannot_be_shown(t *testing.T) {
	for _, path := range []string{"/", "/proc", "/proc/self", "/sys", "/dev", "/dev/null", "/tmp", "/nowhere", "relative"} {
		if err := newPlan().grant(path, mount{}); err == nil {
			t.Errorf("%s is shown", path)
		}
	}
	root := tree(t, "proc → /proc/1", "dev → /dev/null")
	for _, path := range []string{root + "/proc", root + "/dev"} {
		if err := newPlan().grant(path, mount{}); err == nil {
			t.Errorf("%s is shown", path)
		}
	}
}

func Test_sockets_are_no_grants(t *testing.T) {
	path := filepath.Join(tree(t), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := newPlan().grant(path, mount{Write: true}); err == nil {
		t.Error("a socket is shown")
	}
}

func Test_a_cache_of_the_loader_that_is_cut_off_is_none(t *testing.T) {
	raw := make([]byte, 48+24)
	copy(raw, "glibc-ld.so.cache1.1")
	raw[20] = 2 // entries, of which one is there
	if got := parseLoaderCache(raw, 0); got != nil {
		t.Errorf("it names %v", got)
	}
}

func Test_a_script_that_is_its_own_interpreter_is_refused(t *testing.T) {
	path := filepath.Join(tree(t, "bin/"), "bin/circle")
	if err := os.WriteFile(path, []byte("#!"+path+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, plan := range map[string]func(*plan) error{
		"granted": func(p *plan) error { return p.executable(path, mount{Exec: true}) },
		"started": func(p *plan) error { return p.commandLine(Command{Args: []string{path}, Dir: "/"}) },
	} {
		if err := plan(newPlan()); err == nil || !strings.Contains(err.Error(), "more than 4 times") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func Test_interpreters_of_scripts(t *testing.T) {
	for line, want := range map[string][]string{
		"#!/usr/bin/python3\n":                {"/usr/bin/python3"},
		"#!/usr/bin/env node\nx":              {"node"},
		"#! /usr/bin/env -S node --no-warn\n": {"node", "--no-warn"},
		"#!/bin/sh -e":                        {"/bin/sh", "-e"},
		"\x7fELF":                             nil,
		"":                                    nil,
	} {
		path := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(path, []byte(line), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := interpreter(path)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %s %v", line, diff, err)
		}
	}
	for _, line := range []string{"#!\n", "#!/usr/bin/env\n", "#!/usr/bin/env A=b node\n", "#!/usr/bin/env -i node\n"} {
		path := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(path, []byte(line), 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := interpreter(path); err == nil {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func Test_programs_are_found_as_a_shell_finds_them(t *testing.T) {
	root := tree(t, "bin/", "other/")
	for _, name := range []string{"bin/tool", "other/tool"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=relative:" + root + "/other:" + root + "/bin"}
	for name, want := range map[string]string{"tool": "/other/tool", "./bin/tool": "/bin/tool", root + "/bin/tool": "/bin/tool"} {
		got, err := lookUp(name, root, env)
		if err != nil || got != root+want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if got, err := lookUp("no-such-tool", root, env); err == nil {
		t.Errorf("found %s", got)
	}
}

func Test_packages_of_node_are_shown_whole(t *testing.T) {
	root := tree(t, "app/node_modules/@x/server/dist/index.js", "app/node_modules/dep/index.js", "app/package.json", "own/package.json", "own/src/main.mjs", "own/lib/x.js", "bare/main.js", "link.js → app/node_modules/@x/server/dist/index.js")
	for script, want := range map[string][]string{
		"app/node_modules/@x/server/dist/index.js": {"app/node_modules", "app/node_modules/@x/server/dist/index.js", "app/package.json"},
		"link.js":          {"app/node_modules", "app/node_modules/@x/server/dist/index.js", "app/package.json"},
		"own/src/main.mjs": {"own", "own/src/main.mjs"},
		"bare/main.js":     {"bare/main.js"},
	} {
		p := newPlan()
		if err := p.node([]string{"/usr/bin/node", "--no-warnings", script, "data.json"}, Command{Dir: root}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for path := range p.mounts {
			got = append(got, strings.TrimPrefix(path, root+"/"))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", script, diff)
		}
	}
}

func Test_the_environment_says_where_the_server_really_is(t *testing.T) {
	s := &spec{Home: temporaryHome, Mounts: []mount{{Path: "/opt/tool/bin/x", Exec: true}, {Path: "/usr/bin/git", Exec: true}, {Path: "/usr/bin/less", Exec: true}, {Path: "/srv"}}}
	got := environment([]string{"HOME=/root", "LANG=C", "PATH=/x", "TOKEN=a=b", "TMPDIR=/var/tmp"}, s)
	slices.Sort(got)
	want := []string{"HOME=/tmp/home", "LANG=C", "LOGNAME=server", "PATH=/opt/tool/bin:/usr/bin", "SHELL=/bin/false", "TMPDIR=/tmp", "TOKEN=a=b", "USER=server"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func Test_profiles_that_cannot_be_held_are_refused_before_anything_starts(t *testing.T) {
	c := command("/bin/true")
	for want, change := range map[string]func(*profile.Profile, *Command){
		"there is no program":     func(_ *profile.Profile, c *Command) { c.Args = nil },
		"is not found":            func(_ *profile.Profile, c *Command) { c.Args = []string{"no-such-program"} },
		`no control "seccomp"`:    func(p *profile.Profile, _ *Command) { p.UnsafeMissing = []string{"seccomp"} },
		"the secret token has no": func(p *profile.Profile, _ *Command) { p.SecretFiles = []string{"token"} },
		"would cover /run/secrets": func(p *profile.Profile, c *Command) {
			p.Read, p.SecretFiles, c.Secrets = []string{"/run"}, []string{"token"}, map[string]string{"token": "x"}
		},
		"nobody serves the network": func(p *profile.Profile, _ *Command) { p.Network = []profile.Destination{{Host: "a", Ports: []int{1}}} },
		"read /nowhere":             func(p *profile.Profile, _ *Command) { p.Read = []string{"/nowhere"} },
		"write /proc":               func(p *profile.Profile, _ *Command) { p.Write = []string{"/proc"} },
		"execute /etc/hostname":     func(p *profile.Profile, _ *Command) { p.Execute = []string{"/etc/hostname"} },
		"home /nowhere":             func(p *profile.Profile, _ *Command) { p.Home = "/nowhere" },
	} {
		p, changed := empty(), c
		change(&p, &changed)
		if _, err := New(p, changed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// cacheFile writes a loader cache with one entry for each name.
func cacheFile(entries [][2]string, flags uint32) []byte {
	head := []byte("glibc-ld.so.cache1.1")
	head = binary.LittleEndian.AppendUint32(head, uint32(len(entries)))
	head = append(head, make([]byte, 48-len(head))...)
	var table, texts []byte
	start := uint32(48 + 24*len(entries))
	for _, e := range entries {
		table = binary.LittleEndian.AppendUint32(table, flags)
		table = binary.LittleEndian.AppendUint32(table, start+uint32(len(texts)))
		texts = append(append(texts, e[0]...), 0)
		table = binary.LittleEndian.AppendUint32(table, start+uint32(len(texts)))
		texts = append(append(texts, e[1]...), 0)
		table = append(table, make([]byte, 12)...)
	}
	return slices.Concat(head, table, texts)
}

func Test_the_cache_of_the_loader_is_read(t *testing.T) {
	raw := cacheFile([][2]string{{"libc.so.6", "/lib/libc.so.6"}, {"libz.so.1", "/usr/lib/libz.so.1"}, {"libz.so.1", "/other/libz.so.1"}}, loaderFlags)
	want := map[string]string{"libc.so.6": "/lib/libc.so.6", "libz.so.1": "/usr/lib/libz.so.1"}
	if diff := cmp.Diff(want, parseLoaderCache(append([]byte("ld.so-1.7.0 older"), raw...), loaderFlags)); diff != "" {
		t.Error(diff)
	}
	if got := parseLoaderCache(raw, loaderFlags+1); len(got) != 0 {
		t.Errorf("libraries of another architecture: %v", got)
	}
}

func FuzzLoaderCache(f *testing.F) {
	f.Add(cacheFile([][2]string{{"libc.so.6", "/lib/libc.so.6"}}, loaderFlags))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for name, path := range parseLoaderCache(raw, loaderFlags) {
			if !bytes.Contains(raw, []byte(name)) || !bytes.Contains(raw, []byte(path)) {
				t.Errorf("%q → %q is not in the file", name, path)
			}
		}
	})
}

func Test_places_of_control_groups(t *testing.T) {
	for name, test := range map[string]struct {
		membership, mounts string
		want               []groupPlace
	}{
		"version 1": {
			"9:name=systemd:/\n8:pids:/\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n",
			"31 30 0:27 / /sys/fs/cgroup/pids rw,relatime shared:1 - cgroup cgroup rw,pids\n32 30 0:28 /a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
			[]groupPlace{{"/sys/fs/cgroup/pids", 1, []string{"pids"}}, {"/sys/fs/cgroup/memory/b", 1, []string{"memory"}}, {"/sys/fs/cgroup/cpu,cpuacct", 1, []string{"cpu", "cpuacct"}}},
		},
		"version 2": {
			"0::/user.slice/app.slice/gatehouse.service\n",
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
			[]groupPlace{{"/sys/fs/cgroup/user.slice/app.slice", 2, nil}, {"/sys/fs/cgroup/user.slice/app.slice/gatehouse.service", 2, nil}},
		},
		"seen from a group below": {"0::/../other\n", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", nil},
		"nonsense":                {"x\n1:2\n", "- - -\n", nil},
	} {
		if diff := cmp.Diff(test.want, groupPlaces(test.membership, test.mounts), cmp.AllowUnexported(groupPlace{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// In a group that was delegated to the gateway alone, it makes room for groups with
// limits by going into one of its own.
func Test_a_delegated_control_group_hands_controllers_down(t *testing.T) {
	self := strconv.Itoa(os.Getpid()) + "\n"
	for name, test := range map[string]struct {
		handed, processes, controllers string
		want                           bool
		enabled, moved                 string
	}{
		"that of a parent, as systemd makes it":  {"cpu memory pids\n", "", "cpu io memory pids\n", true, "cpu memory pids\n", ""},
		"delegated, with the gateway alone":      {"", self, "cpuset cpu io memory pids\n", true, "+cpu +memory +pids", self},
		"with a shell beside it":                 {"", "17\n" + self, "cpu memory pids\n", false, "", ""},
		"of which no controllers were delegated": {"", self, "io\n", false, "", ""},
		"that of another":                        {"", "17\n", "cpu memory pids\n", false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.Mkdir(filepath.Join(folder, ownGroup), 0o755); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"cgroup.subtree_control": test.handed, "cgroup.procs": test.processes, "cgroup.controllers": test.controllers, ownGroup + "/cgroup.procs": ""} {
				if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got := handsDown(folder)
			enabled, err1 := os.ReadFile(filepath.Join(folder, "cgroup.subtree_control"))
			moved, err2 := os.ReadFile(filepath.Join(folder, ownGroup, "cgroup.procs"))
			if got != test.want || string(enabled) != test.enabled || string(moved) != test.moved || err1 != nil || err2 != nil {
				t.Errorf("%v, enabled %q, moved %q (%v, %v)", got, enabled, moved, err1, err2)
			}
		})
	}
}

// What a group says of limits that were reached is read before it is removed.
func Test_control_groups_say_which_limits_were_reached(t *testing.T) {
	folder := t.TempDir()
	for file, text := range map[string]string{
		"memory.events": "low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\noom_group_kill 1\n", "pids.events": "max 7\n", "cpu.stat": "usage_usec 5\nnr_periods 10\nnr_throttled 0\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := (&groups{folders: []string{folder}}).refusals(profile.Limits{Memory: 1 << 20, Processes: 9})
	want := []Refusal{{Memory, "more memory than 1 MiB", 2}, {Processes, "more than 9 processes and threads", 7}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := (*groups)(nil).refusals(profile.Limits{}); got != nil {
		t.Errorf("no groups say %v", got)
	}
}

// A folder stands for the kernel's file system of groups: the files are made by the
// test, as the kernel makes them with the folder.
func Test_control_groups_hold_only_what_they_say_they_hold(t *testing.T) {
	l := profile.Limits{Memory: 1 << 20, CPU: 0.5, Processes: 10}
	folder := t.TempDir()
	for _, s := range settings(groupPlace{version: 2}, l) {
		if !set(folder, s) {
			t.Errorf("%s cannot be set to %s", s.file, s.value)
		}
	}
	want := map[string]string{"memory.max": "1048576", "memory.swap.max": "0", "memory.oom.group": "1", "cpu.max": "50000 100000", "pids.max": "34"}
	got := map[string]string{}
	files, _ := os.ReadDir(folder)
	for _, f := range files {
		text, _ := os.ReadFile(filepath.Join(folder, f.Name()))
		got[f.Name()] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var h held
	if h.hold(folder, settings(groupPlace{version: 2}, l)); h != (held{memory: true, cpu: true, processes: true}) {
		t.Errorf("it holds %+v", h)
	}
	// What may be moved out of memory is not bounded.
	swaps := t.TempDir()
	if err := os.Mkdir(filepath.Join(swaps, "memory.swap.max"), 0o755); err != nil {
		t.Fatal(err)
	}
	h = held{}
	if h.hold(swaps, settings(groupPlace{version: 2}, l)); h != (held{cpu: true, processes: true}) {
		t.Errorf("with swap that cannot be bounded it holds %+v", h)
	}
	if set(filepath.Join(folder, "nowhere"), setting{Memory, "memory.max", "1"}) {
		t.Error("a bound that could not be written holds")
	}
	for _, name := range []string{"gatehouse-4194305-1", "gatehouse-1-1", "others-4194305-1"} { // no process has the first number
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sweep([]groupPlace{{folder: folder}})
	left, _ := filepath.Glob(filepath.Join(folder, "*-*-*"))
	if len(left) != 2 {
		t.Errorf("groups of others are swept away: %v", left)
	}
	var none *groups
	none.remove()
	if h := (&groups{folders: []string{filepath.Join(folder, "nowhere")}, held: held{memory: true}}).add(1); h.memory {
		t.Error("a group without the process in it holds its memory")
	}
}

// The texts are those that debug/elf finds, for programs of this machine.
func Test_dynamic_texts_of_programs(t *testing.T) {
	seen := 0
	for _, path := range []string{"/bin/sh", "/usr/bin/node", "/usr/bin/python3", "/usr/local/bin/node", os.Args[0]} {
		f, err := elf.Open(path)
		if err != nil {
			continue
		}
		defer f.Close()
		for _, tag := range []elf.DynTag{elf.DT_NEEDED, elf.DT_RPATH, elf.DT_RUNPATH} {
			want, err := f.DynString(tag)
			if err != nil {
				t.Fatal(err)
			}
			got, err := dynamic(f, tag)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s, %v: %q, want %q (%v)", path, tag, got, want, err)
			}
			seen += len(got)
		}
	}
	if seen == 0 {
		t.Error("no program of this machine names a library")
	}
}
