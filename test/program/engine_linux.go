package program

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// engineStarts is how long an engine may take until it answers. Docker takes a second
// or two on a machine that is busy.
const engineStarts = 60 * time.Second

// Engine makes Docker or Podman usable for a test. Root gets an engine that nobody
// else uses, with images and containers of its own; anybody else takes the one that
// there is.
func Engine(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		Missing(t, "%s is not installed", name)
	}
	if os.Getuid() == 0 {
		folder, err := os.MkdirTemp("", "engine")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { takeAway(t, folder) })
		if name == "docker" {
			startDocker(t, folder)
		} else {
			ownPodman(t, folder)
		}
	}
	if out, err := exec.Command(name, "info").CombinedOutput(); err != nil {
		Missing(t, "%s does not work: %v\n%s", name, err, out)
	}
}

// ownPodman gives Podman a store of its own, and runc: crun refuses machines with
// control groups of both versions.
func ownPodman(t testing.TB, folder string) {
	store, engine := filepath.Join(folder, "storage.conf"), filepath.Join(folder, "containers.conf")
	text := fmt.Sprintf("[storage]\ndriver = \"overlay\"\nrunroot = %q\ngraphroot = %q\n", filepath.Join(folder, "run"), filepath.Join(folder, "store"))
	for path, text := range map[string]string{store: text, engine: "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CONTAINERS_STORAGE_CONF", store)
	t.Setenv("CONTAINERS_CONF", engine)
	t.Cleanup(func() { _ = exec.Command("podman", "rm", "--all", "--force", "--time", "0").Run() })
}

// startDocker starts an engine without networks, which needs no firewall.
func startDocker(t testing.TB, folder string) {
	daemon, err := exec.LookPath("dockerd")
	if err != nil {
		Missing(t, "dockerd is not installed")
	}
	address := "unix://" + filepath.Join(folder, "socket")
	cmd := exec.Command(daemon, "--data-root", filepath.Join(folder, "data"), "--exec-root", filepath.Join(folder, "exec"), "--pidfile", filepath.Join(folder, "pid"),
		"--host", address, "--iptables=false", "--ip6tables=false", "--bridge=none", "--log-level=error")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
		}
	})
	t.Setenv("DOCKER_HOST", address)
	t.Setenv("DOCKER_CONFIG", folder) // without what a person has set
	ctx, cancel := context.WithTimeout(context.Background(), engineStarts)
	defer cancel()
	for exec.CommandContext(ctx, "docker", "version").Run() != nil {
		select {
		case err := <-ended:
			t.Fatalf("dockerd ended: %v\n%s", err, said.String())
		case <-ctx.Done():
			t.Fatalf("dockerd does not answer\n%s", said.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// takeAway unmounts what an engine left mounted and removes its folder.
func takeAway(t testing.TB, folder string) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Error(err)
		return
	}
	var below []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], folder+"/") {
			below = append(below, fields[4])
		}
	}
	for _, mount := range slices.Backward(below) {
		_ = unix.Unmount(mount, unix.MNT_DETACH)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Error(err)
	}
}

// Entry is a file of an image, or a folder if Mode says so.
type Entry struct {
	Path string
	Mode os.FileMode
	Data []byte
}

// Image makes an image of these entries and nothing else, and returns its id.
func Image(t testing.TB, engine string, entries []Entry, changes ...string) string {
	t.Helper()
	var args []string
	for _, change := range changes {
		args = append(args, "--change", change)
	}
	return imported(t, engine, entries, args)
}

// ImageFor makes an image that says that it is for another architecture.
func ImageFor(t testing.TB, engine, architecture string, entries []Entry) string {
	t.Helper()
	if engine == "podman" {
		return imported(t, engine, entries, []string{"--arch", architecture})
	}
	// Docker imports for its own architecture, and loads for every one.
	layer := archive(t, entries)
	digest := func(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }
	config := fmt.Appendf(nil, `{"architecture":%q,"os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}`, architecture, digest(layer))
	image := archive(t, []Entry{
		{Path: "layer.tar", Mode: 0o644, Data: layer}, {Path: digest(config) + ".json", Mode: 0o644, Data: config},
		{Path: "manifest.json", Mode: 0o644, Data: fmt.Appendf(nil, `[{"Config":"%s.json","Layers":["layer.tar"]}]`, digest(config))},
	})
	cmd := exec.Command(engine, "load", "--quiet")
	cmd.Stdin = bytes.NewReader(image)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making an image: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command(engine, "image", "rm", "--force", digest(config)).Run() })
	return "sha256:" + digest(config)
}

func imported(t testing.TB, engine string, entries []Entry, flags []string) string {
	t.Helper()
	cmd := exec.Command(engine, slices.Concat([]string{"import"}, flags, []string{"-"})...)
	cmd.Stdin = bytes.NewReader(archive(t, entries))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("making an image: %v\n%s", err, out)
	}
	id := strings.TrimPrefix(strings.TrimSpace(string(out)), "sha256:")
	t.Cleanup(func() { _ = exec.Command(engine, "image", "rm", "--force", id).Run() })
	return "sha256:" + id
}

// archive is a tar file.
func archive(t testing.TB, entries []Entry) []byte {
	t.Helper()
	var made bytes.Buffer
	w := tar.NewWriter(&made)
	for _, e := range entries {
		h := &tar.Header{Name: strings.TrimPrefix(e.Path, "/"), Mode: int64(e.Mode.Perm()), Size: int64(len(e.Data)), Typeflag: tar.TypeReg}
		if e.Mode&os.ModeSetuid != 0 {
			h.Mode |= 0o4000
		}
		if e.Mode&os.ModeSticky != 0 {
			h.Mode |= 0o1000
		}
		if e.Mode.IsDir() {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return made.Bytes()
}
