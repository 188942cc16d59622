package container

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

const pinned = "example.com/notes@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// asked is a container with something of everything.
func asked(engine string) options {
	p := profile.Profile{
		Runtime: engine, Image: pinned, User: 1234, SecretFiles: []string{"token"},
		Limits: profile.Limits{Memory: 64 << 20, CPU: 1.5, Processes: 32, Descriptors: 128, Disk: 3 << 20, FileSize: 1 << 20},
	}
	o := newOptions(p, []grant{{"/srv/a, b", "/srv/a, b", false, false}, {"/srv/out", "/mnt/out", true, true}})
	o.engine, o.image, o.keepUser = engine, "sha256:"+strings.Repeat("a", 64), false
	o.share([]string{"/data", "/srv/out/cache", "/tmp"})
	o.settings, o.names, o.dir, o.entrypoint, o.extra = []string{"A=b"}, []string{"TOKEN"}, "/work", "/run/x", 4
	return o
}

func Test_the_flags_ask_for_everything(t *testing.T) {
	want := []string{
		"--rm", "--interactive", "--label", "gatehouse", "--pull", "never", "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--user", "1234:1234", "--ipc", "private", "--cgroupns", "private", "--log-driver", "none",
		"--pids-limit", "36", "--memory", "67108864", "--memory-swap", "67108864", "--cpus", "1.5",
		"--ulimit", "core=1:1", "--ulimit", "nofile=128:128", "--ulimit", "fsize=1048576:1048576",
		"--tmpfs", "/tmp:rw,noexec,nosuid,nodev,mode=1777,size=1048576", "--shm-size", "1048576",
		"--mount", "type=tmpfs,destination=/data,tmpfs-size=1048576,tmpfs-mode=1777",
		"--tmpfs", "/run/secrets:rw,noexec,nosuid,nodev,mode=1777,size=1048576",
		"--mount", `type=bind,"source=/srv/a, b","destination=/srv/a, b",bind-propagation=rprivate,readonly`,
		"--mount", "type=bind,source=/mnt/out,destination=/srv/out,bind-propagation=rprivate",
		"--env", "A=b", "--env", "TOKEN", "--workdir", "/work", "--entrypoint", "/run/x",
	}
	o := asked(profile.Docker)
	if diff := cmp.Diff(want, o.flags()); diff != "" {
		t.Error(diff)
	}
	o = asked(profile.Podman)
	got := strings.Join(o.flags(), " ")
	for _, flag := range []string{"--read-only-tmpfs=false", "--no-hosts"} {
		if !strings.Contains(got, flag) {
			t.Errorf("Podman is not told %s", flag)
		}
	}
	o.keepUser = true
	if !strings.Contains(strings.Join(o.flags(), " "), "--userns keep-id") {
		t.Error("without root, the user inside is another one than outside")
	}
}

// The least that a profile can ask for is still everything that bounds nothing of the
// server's own.
func Test_a_profile_without_limits_asks_for_all_walls(t *testing.T) {
	o := newOptions(profile.Profile{Runtime: profile.Docker}, nil)
	o.engine = profile.Docker
	got := strings.Join(o.flags(), " ")
	for _, flag := range []string{"--network none", "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--pull never", "--user ", "--tmpfs /tmp:rw,noexec,nosuid,nodev,mode=1777"} {
		if !strings.Contains(got, flag) {
			t.Errorf("%s is missing in %s", flag, got)
		}
	}
	for _, flag := range []string{"--memory", "--cpus", "--pids-limit", "nofile", "fsize", "--shm-size"} {
		if strings.Contains(got, flag) {
			t.Errorf("%s bounds what the profile does not", flag)
		}
	}
}

// answer is what an engine says of a container that is as it was asked for.
func answer(t *testing.T, engine string) map[string]any {
	t.Helper()
	text := `[{
		"Image": "sha256:` + strings.Repeat("a", 64) + `",
		"Config": {"User": "1234:1234"},
		"HostConfig": {
			"NetworkMode": "none", "PidMode": "", "IpcMode": "private", "UTSMode": "", "UsernsMode": "", "Privileged": false, "ReadonlyRootfs": true,
			"CapAdd": null, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "GroupAdd": null, "VolumesFrom": null, "Devices": [], "DeviceRequests": null, "DeviceCgroupRules": null,
			"PortBindings": {}, "PublishAllPorts": false, "Memory": 67108864, "MemorySwap": 67108864, "NanoCpus": 1500000000, "ShmSize": 1048576, "PidsLimit": 36,
			"Ulimits": [{"Name": "core", "Hard": 1, "Soft": 1}, {"Name": "nofile", "Hard": 128, "Soft": 128}, {"Name": "fsize", "Hard": 1048576, "Soft": 1048576}],
			"Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,mode=1777,size=1048576", "/run/secrets": "rw,size=1048576"}, "LogConfig": {"Type": "none"}
		},
		"Mounts": [
			{"Type": "bind", "Source": "/srv/a, b", "Destination": "/srv/a, b", "RW": false},
			{"Type": "bind", "Source": "/mnt/out", "Destination": "/srv/out", "RW": true},
			{"Type": "tmpfs", "Source": "", "Destination": "/data", "RW": true}
		]}]`
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	if engine == profile.Podman {
		h := list[0]["HostConfig"].(map[string]any)
		h["CapDrop"], list[0]["BoundingCaps"] = []any{"CAP_CHOWN", "CAP_KILL"}, nil
		h["IpcMode"], h["PidMode"], h["UTSMode"] = "shareable", "private", "private"
		list[0]["Image"] = strings.Repeat("a", 64)
		for _, u := range h["Ulimits"].([]any) {
			u := u.(map[string]any)
			u["Name"] = "RLIMIT_" + strings.ToUpper(u["Name"].(string))
		}
	}
	return list[0]
}

func compared(t *testing.T, o options, answer map[string]any) problems {
	t.Helper()
	text, err := json.Marshal([]any{answer})
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMade(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return o.compare(m)
}

func Test_a_container_as_it_was_asked_for_has_no_problems(t *testing.T) {
	for _, engine := range []string{profile.Docker, profile.Podman} {
		if found := compared(t, asked(engine), answer(t, engine)); len(found) > 0 {
			t.Errorf("%s: %v", engine, found)
		}
	}
}

// Whatever an engine leaves out or adds is found, under the control that it is about.
func Test_a_container_that_is_less_than_asked_is_found(t *testing.T) {
	mount := func(kind, source, to string, rw bool) any {
		return map[string]any{"Type": kind, "Source": source, "Destination": to, "RW": rw}
	}
	mounts := func(m map[string]any) []any { return m["Mounts"].([]any) }
	for _, engine := range []string{profile.Docker, profile.Podman} {
		for name, test := range map[string]struct {
			control string
			change  func(m, host map[string]any)
		}{
			"another image":           {sandbox.Files, func(m, _ map[string]any) { m["Image"] = strings.Repeat("b", 64) }},
			"no image":                {sandbox.Files, func(m, _ map[string]any) { m["Image"] = "" }},
			"a root that changes":     {sandbox.Files, func(_, h map[string]any) { h["ReadonlyRootfs"] = false }},
			"a device":                {sandbox.Files, func(_, h map[string]any) { h["Devices"] = []any{map[string]any{"PathOnHost": "/dev/kvm"}} }},
			"a graphics card":         {sandbox.Files, func(_, h map[string]any) { h["DeviceRequests"] = []any{map[string]any{"Driver": "x"}} }},
			"a rule about devices":    {sandbox.Files, func(_, h map[string]any) { h["DeviceCgroupRules"] = []any{"c 1:1 rwm"} }},
			"volumes of others":       {sandbox.Files, func(_, h map[string]any) { h["VolumesFrom"] = []any{"other"} }},
			"one more mount":          {sandbox.Files, func(m, _ map[string]any) { m["Mounts"] = append(mounts(m), mount("bind", "/", "/host", false)) }},
			"a volume":                {sandbox.Files, func(m, _ map[string]any) { m["Mounts"] = append(mounts(m), mount("volume", "/var/x", "/cache", true)) }},
			"a volume for memory":     {sandbox.Files, func(m, _ map[string]any) { mounts(m)[2] = mount("volume", "/var/x", "/data", true) }},
			"a mount that is missing": {sandbox.Files, func(m, _ map[string]any) { m["Mounts"] = mounts(m)[1:] }},
			"a mount of another":      {sandbox.Files, func(m, _ map[string]any) { mounts(m)[0] = mount("bind", "/etc", "/srv/a, b", false) }},
			"a mount that changes":    {sandbox.Files, func(m, _ map[string]any) { mounts(m)[0] = mount("bind", "/srv/a, b", "/srv/a, b", true) }},
			"more in memory":          {sandbox.Files, func(_, h map[string]any) { h["Tmpfs"].(map[string]any)["/run"] = "rw" }},
			"the machine's network":   {sandbox.Network, func(_, h map[string]any) { h["NetworkMode"] = "host" }},
			"a network":               {sandbox.Network, func(_, h map[string]any) { h["NetworkMode"] = "bridge" }},
			"no word of a network":    {sandbox.Network, func(_, h map[string]any) { delete(h, "NetworkMode") }},
			"a port":                  {sandbox.Network, func(_, h map[string]any) { h["PortBindings"] = map[string]any{"80/tcp": nil} }},
			"all ports":               {sandbox.Network, func(_, h map[string]any) { h["PublishAllPorts"] = true }},
			"the machine's processes": {sandbox.Namespaces, func(_, h map[string]any) { h["PidMode"] = "host" }},
			"another's processes":     {sandbox.Namespaces, func(_, h map[string]any) { h["PidMode"] = "container:x" }},
			"the machine's IPC":       {sandbox.Namespaces, func(_, h map[string]any) { h["IpcMode"] = "host" }},
			"the machine's name":      {sandbox.Namespaces, func(_, h map[string]any) { h["UTSMode"] = "host" }},
			"the machine's users":     {sandbox.Namespaces, func(_, h map[string]any) { h["UsernsMode"] = "host" }},
			"no filter":               {sandbox.SystemCalls, func(_, h map[string]any) { h["SecurityOpt"] = []any{"no-new-privileges", "seccomp=unconfined"} }},
			"no masks":                {sandbox.SystemCalls, func(_, h map[string]any) { h["SecurityOpt"] = []any{"no-new-privileges", "unmask=ALL"} }},
			"no labels":               {sandbox.Privileges, func(_, h map[string]any) { h["SecurityOpt"] = []any{"no-new-privileges", "label=disable"} }},
			"privileged":              {sandbox.Privileges, func(_, h map[string]any) { h["Privileged"] = true }},
			"a capability":            {sandbox.Privileges, func(_, h map[string]any) { h["CapAdd"] = []any{"CAP_NET_RAW"} }},
			"all capabilities":        {sandbox.Privileges, func(_, h map[string]any) { h["CapDrop"] = nil }},
			"new privileges":          {sandbox.Privileges, func(_, h map[string]any) { h["SecurityOpt"] = nil }},
			"new privileges, said":    {sandbox.Privileges, func(_, h map[string]any) { h["SecurityOpt"] = []any{"no-new-privileges=false"} }},
			"root":                    {sandbox.Privileges, func(m, _ map[string]any) { m["Config"].(map[string]any)["User"] = "" }},
			"one more group":          {sandbox.Privileges, func(_, h map[string]any) { h["GroupAdd"] = []any{"docker"} }},
			"more memory":             {sandbox.Memory, func(_, h map[string]any) { h["Memory"] = 0 }},
			"swap":                    {sandbox.Memory, func(_, h map[string]any) { h["MemorySwap"] = -1 }},
			"more processors":         {sandbox.CPU, func(_, h map[string]any) { h["NanoCpus"] = 0 }},
			"more processes":          {sandbox.Processes, func(_, h map[string]any) { h["PidsLimit"] = nil }},
			"other processes":         {sandbox.Processes, func(_, h map[string]any) { h["PidsLimit"] = 37 }},
			"more descriptors":        {sandbox.Descriptors, func(_, h map[string]any) { h["Ulimits"].([]any)[1].(map[string]any)["Hard"] = 4096 }},
			"larger files":            {sandbox.FileSize, func(_, h map[string]any) { h["Ulimits"] = h["Ulimits"].([]any)[:2] }},
			"dumps of memory":         {sandbox.Disk, func(_, h map[string]any) { h["Ulimits"] = h["Ulimits"].([]any)[1:] }},
			"more in /tmp":            {sandbox.Disk, func(_, h map[string]any) { h["Tmpfs"].(map[string]any)["/tmp"] = "rw,size=10485760" }},
			"no /tmp":                 {sandbox.Disk, func(_, h map[string]any) { h["Tmpfs"] = nil }},
			"more in /dev/shm":        {sandbox.Disk, func(_, h map[string]any) { h["ShmSize"] = 67108864 }},
			"a log":                   {sandbox.Disk, func(_, h map[string]any) { h["LogConfig"].(map[string]any)["Type"] = "json-file" }},
		} {
			m := answer(t, engine)
			test.change(m, m["HostConfig"].(map[string]any))
			if found := compared(t, asked(engine), m); len(found[test.control]) == 0 {
				t.Errorf("%s, %s: not found under %s: %v", engine, name, test.control, found)
			}
		}
	}
	podman := answer(t, profile.Podman)
	podman["BoundingCaps"] = []any{"CAP_KILL"}
	if found := compared(t, asked(profile.Podman), podman); len(found[sandbox.Privileges]) == 0 {
		t.Error("a capability that Podman left is not found")
	}
}

// Where nothing of ours is inside, the report says what is missing, and only what is
// allowed to be missing lets a server start.
func Test_the_report_of_an_engine(t *testing.T) {
	o := asked(profile.Docker)
	o.limits.Time = time.Hour
	report := o.report(about{version: "1.2", filters: true}, problems{})
	if diff := cmp.Diff([]string{sandbox.Landlock, sandbox.Sockets}, report.Missing()); diff != "" {
		t.Error(diff)
	}
	if err := report.Err(nil); !errors.Is(err, sandbox.ErrNotEnforced) {
		t.Errorf("it starts: %v", err)
	}
	if err := report.Err([]string{sandbox.Landlock, sandbox.Sockets}); err != nil {
		t.Error(err)
	}
	found := problems{}
	found.add(sandbox.Memory, "no bound")
	report = o.report(about{}, found)
	if diff := cmp.Diff([]string{sandbox.Landlock, sandbox.SystemCalls, sandbox.Sockets, sandbox.Memory}, report.Missing()); diff != "" {
		t.Error(diff)
	}
	podman := asked(profile.Podman)
	if diff := cmp.Diff([]string{sandbox.Landlock, sandbox.SystemCalls, sandbox.Sockets}, podman.report(about{filters: true}, problems{}).Missing()); diff != "" {
		t.Error(diff)
	}
	var names []string
	for _, c := range report.Controls {
		names = append(names, c.Name)
	}
	if len(names) != len(sandbox.Controls()) {
		t.Errorf("the report speaks of %v", names)
	}
}

// What the engine did not do stays a problem, whatever was found inside.
func Test_reports_are_merged(t *testing.T) {
	inside := sandbox.Report{Controls: []sandbox.Control{{Name: "files", Enforced: "so"}, {Name: "memory", Enforced: "so"}, {Name: "cpu", Problem: "p"}}}
	engine := sandbox.Report{Controls: []sandbox.Control{{Name: "files", Problem: "q", Enforced: "less"}, {Name: "cpu", Problem: "r"}}}
	want := sandbox.Report{Controls: []sandbox.Control{{Name: "files", Enforced: "less", Problem: "q"}, {Name: "memory", Enforced: "so"}, {Name: "cpu", Problem: "p"}}}
	if diff := cmp.Diff(want, merged(inside, engine)); diff != "" {
		t.Error(diff)
	}
}

func Test_what_engines_say_of_themselves(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want about
	}{
		"docker":         {`{"ServerVersion":"28.0","OperatingSystem":"Debian","OSType":"linux","SecurityOptions":["name=seccomp,profile=builtin"],"MemoryLimit":true,"CPUCfsQuota":true,"PidsLimit":true}`, about{version: "28.0", filters: true, local: true, linux: true}},
		"docker desktop": {`{"ServerVersion":"28.0","OperatingSystem":"Docker Desktop","OSType":"linux","SecurityOptions":["name=seccomp,profile=unconfined"],"MemoryLimit":true,"CPUCfsQuota":true,"PidsLimit":true}`, about{version: "28.0", linux: true}},
		"rootless":       {`{"ServerVersion":"20.10","OSType":"linux"}`, about{version: "20.10", local: true, linux: true, cannot: []string{sandbox.Memory, sandbox.CPU, sandbox.Processes}}},
		"podman":         {`{"host":{"os":"linux","serviceIsRemote":false,"cgroupControllers":["memory","pids"],"security":{"seccompEnabled":true}},"version":{"Version":"5.1"}}`, about{version: "5.1", filters: true, local: true, linux: true, cannot: []string{sandbox.CPU}}},
		"podman machine": {`{"host":{"os":"linux","serviceIsRemote":true,"cgroupControllers":["memory","pids","cpu"]},"version":{"Version":"5.1"}}`, about{version: "5.1", linux: true}},
	} {
		got, err := parseAbout(test.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(about{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, text := range []string{"", "[]", `{}`, `{"OSType":"windows","ServerVersion":"1"}`, `{"ServerErrors":["no daemon"],"OSType":"linux"}`} {
		if got, err := parseAbout(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func Test_what_engines_say_of_images_and_containers_is_understood_or_refused(t *testing.T) {
	id := strings.Repeat("c", 64)
	got, err := parseImage(`[{"Id":"` + id + `","Os":"linux","Architecture":"` + runtime.GOARCH + `","Config":{"Entrypoint":["/x"],"Volumes":{"/b/":{},"/a":{}}}}]`)
	if err != nil || got.ID != "sha256:"+id || !got.fits() {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"/a", "/b"}, got.volumes()); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"", "{}", "[]", `[{"Id":"x"}]`, `[{"Id":"` + id + `"},{"Id":"` + id + `"}]`} {
		if got, err := parseImage(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
	for _, text := range []string{"", "{}", "[]", "[{},{}]", `[{"HostConfig":{"PidsLimit":"x"}}]`} {
		if _, err := parseMade(text); err == nil {
			t.Errorf("%q is taken for a container", text)
		}
	}
}

func Test_the_environment_is_that_of_a_container(t *testing.T) {
	got := environment([]string{"PATH=/opt/bin", "LANG=C", "A=image"}, []string{"PATH=/home/ann/bin", "HOME=/home/ann", "USER=ann", "SHELL=/bin/zsh", "TMPDIR=/var/x", "A=server", "TOKEN=a=b"}, "/tmp/home")
	want := []string{"A=server", "HOME=/tmp/home", "LANG=C", "LOGNAME=server", "PATH=/opt/bin", "TMPDIR=/tmp", "TOKEN=a=b", "USER=server"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func Test_grants(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"a/b", "c"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	got, err := grantsOf(profile.Profile{Write: []string{at("a/b"), at("a")}, Read: []string{at("c"), at("a")}, Home: at("a")})
	if err != nil {
		t.Fatal(err)
	}
	want := []grant{{at("a"), at("a"), true, true}, {at("c"), at("c"), false, true}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(grant{})); diff != "" {
		t.Error(diff)
	}
	got, err = grantsOf(profile.Profile{Read: []string{at("link")}})
	if err != nil || got[0].path != at("link") || got[0].source != at("a") {
		t.Errorf("%v, %v", got, err)
	}
	for name, p := range map[string]profile.Profile{
		"what is not there":              {Read: []string{at("nothing")}},
		"the root":                       {Read: []string{"/"}},
		"all temporary files":            {Write: []string{"/tmp"}},
		"programs of the machine":        {Read: []string{"/usr/bin"}},
		"what our own things lie in":     {Read: []string{"/run"}},
		"devices":                        {Write: []string{"/dev/null"}},
		"what the server can move":       {Write: []string{at("a")}, Read: []string{at("a/b")}},
		"what it can move, by a link":    {Write: []string{at("a")}, Read: []string{at("link/b")}},
		"what the kernel says of others": {Read: []string{"/proc/1"}},
	} {
		if got, err := grantsOf(p); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// An engine that is not there, and everything that a container cannot do, is found
// before anything starts.
func Test_new_refuses(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := New(profile.Profile{Runtime: profile.Docker, Image: pinned}, sandbox.Command{}); err == nil || !strings.Contains(err.Error(), "docker is not installed") {
		t.Errorf("%v", err)
	}
	engine := filepath.Join(os.Getenv("PATH"), "docker")
	if err := os.WriteFile(engine, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	fine := profile.Profile{Runtime: profile.Docker, Image: pinned}
	if _, err := New(fine, sandbox.Command{}); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*profile.Profile, *sandbox.Command){
		"no engine":                func(p *profile.Profile, _ *sandbox.Command) { p.Runtime = profile.Native },
		"a tag":                    func(p *profile.Profile, _ *sandbox.Command) { p.Image = "example.com/notes:1" },
		"no image":                 func(p *profile.Profile, _ *sandbox.Command) { p.Image = "" },
		"programs of the machine":  func(p *profile.Profile, _ *sandbox.Command) { p.Execute = []string{"/bin/sh"} },
		"being observed":           func(_ *profile.Profile, c *sandbox.Command) { c.Observe = true },
		"a secret without a value": func(p *profile.Profile, _ *sandbox.Command) { p.SecretFiles = []string{"token"} },
		"a network that nobody serves": func(p *profile.Profile, _ *sandbox.Command) {
			p.Network = []profile.Destination{{Host: "a.example", Ports: []int{443}}}
		},
		"a folder that is not there":    func(p *profile.Profile, _ *sandbox.Command) { p.Read = []string{"/nowhere"} },
		"a folder that covers the root": func(p *profile.Profile, _ *sandbox.Command) { p.Write = []string{"/"} },
	} {
		p, c := fine, sandbox.Command{}
		change(&p, &c)
		if _, err := New(p, c); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

// An engine that fails or says nothing makes no container.
func Test_an_engine_that_fails_is_an_error(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, test := range map[string]struct{ script, want string }{
		"it fails":       {"echo no daemon >&2; exit 1", "no daemon"},
		"it is silent":   {"exit 0", "reading what the engine says of itself"},
		"it is Windows'": {`echo '{"OSType":"windows","ServerVersion":"1"}'`, "runs no Linux containers"},
		"it has no image": {`case $1 in info) echo '{"OSType":"linux","ServerVersion":"1"}';; *) echo 'No such image' >&2; exit 1;; esac`,
			"get it with: docker pull " + pinned},
	} {
		if err := os.WriteFile(filepath.Join(os.Getenv("PATH"), "docker"), []byte("#!/bin/sh\n"+test.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		b, err := New(profile.Profile{Runtime: profile.Docker, Image: pinned}, sandbox.Command{})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Configure(exec.Command("docker")); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		b.Ended()
	}
}

func Test_the_line_for_a_client(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Ann's notes, old")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := profile.Profile{Runtime: profile.Docker, Image: pinned, User: 1000, Write: []string{dir}, Environment: []string{"TOKEN"}, Limits: profile.DefaultLimits()}
	line, err := Line(p, []string{"--root", dir})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(line, " ")
	for _, want := range []string{
		"docker run --rm --interactive --label gatehouse --pull never --network none --read-only --cap-drop ALL --security-opt no-new-privileges --user 1000:1000",
		"--pids-limit 128 --memory 1073741824 --memory-swap 1073741824", "--env HOME=/tmp --env TMPDIR=/tmp --env TOKEN " + pinned + " --root ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	// A shell reads exactly these words.
	out, err := exec.Command("sh", "-c", "printf '%s\\n' "+Quoted(line)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(line, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func(*profile.Profile){
		"places": func(p *profile.Profile) { p.Network = []profile.Destination{{Host: "*", Ports: []int{443}}} },
		"time":   func(p *profile.Profile) { p.Limits.Time = time.Hour },
		"files":  func(p *profile.Profile) { p.SecretFiles = []string{"token"} },
	} {
		q := p
		change(&q)
		if line, err := Line(q, nil); !errors.Is(err, sandbox.ErrNotEnforced) {
			t.Errorf("%s: %v, %v", name, line, err)
		}
	}
	if _, err := Line(profile.Profile{Runtime: profile.Native}, nil); err == nil {
		t.Error("a line without an engine")
	}
}

func FuzzQuoted(f *testing.F) {
	f.Add("it's", `a"b$c`)
	f.Add("", "-n\t*")
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsAny(a+b, "\x00") {
			return // no argument has one
		}
		out, err := exec.Command("sh", "-c", `printf '%s\001' `+Quoted([]string{"x" + a, "x" + b})).Output()
		if err != nil || string(out) != "x"+a+"\x01x"+b+"\x01" {
			t.Errorf("%q and %q are read as %q (%v)", a, b, out, err)
		}
	})
}
