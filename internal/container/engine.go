package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

// engine is the command of Docker or Podman on this machine.
type engine struct {
	name string // profile.Docker or profile.Podman
	path string
}

func find(name string) (engine, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return engine{}, fmt.Errorf("the engine %s is not installed, or not in PATH", name)
	}
	return engine{name, path}, nil
}

// passed are the variables by which the engine's command finds its engine.
var passed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS",
	"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION",
	"CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF", "STORAGE_DRIVER", "STORAGE_OPTS",
	"SystemRoot", "ProgramData", "USERPROFILE", "APPDATA", "LOCALAPPDATA",
}

func engineEnvironment() []string {
	var out []string
	for _, name := range passed {
		if value, set := os.LookupEnv(name); set {
			out = append(out, name+"="+value)
		}
	}
	return out
}

const (
	// maxAnswer bounds what an engine's command prints. A description of a container
	// has some ten thousand bytes.
	maxAnswer = 4 << 20
	// maxComplaint is how much of an error of an engine is passed on.
	maxComplaint = 600
	// removing bounds taking a container away.
	removing = 20 * time.Second
)

// bounded keeps the first bytes of what is written.
type bounded struct {
	bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	kept := p[:min(len(p), b.left)]
	b.left -= len(kept)
	b.Buffer.Write(kept)
	return len(p), nil
}

// call runs the engine's command. What it prints is somebody else's text.
func (e engine) call(ctx context.Context, prepare func(*exec.Cmd) func(), args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, e.path, args...)
	out, complaint := &bounded{left: maxAnswer}, &bounded{left: maxAnswer}
	cmd.Env, cmd.Stdout, cmd.Stderr = engineEnvironment(), out, complaint
	cmd.WaitDelay = time.Second
	if prepare != nil {
		defer prepare(cmd)()
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		text := strings.TrimSpace(complaint.String())
		return "", fmt.Errorf("%s %s: %w: %s", e.name, args[0], err, text[:min(len(text), maxComplaint)])
	}
	return out.String(), nil
}

// about is what an engine says of itself.
type about struct {
	version string
	filters bool // it filters system calls by default
	local   bool // its containers are processes of this machine
	linux   bool
	cannot  []string // controls that it says it does not have
}

func (e engine) about(ctx context.Context) (about, error) {
	text, err := e.call(ctx, nil, "info", "--format", "{{json .}}")
	if err != nil {
		return about{}, fmt.Errorf("%w; is the engine running, and may this user use it?", err)
	}
	return parseAbout(text)
}

// parseAbout reads what `docker info` or `podman info` prints.
func parseAbout(text string) (about, error) {
	var said struct {
		// Docker's
		ServerVersion, OperatingSystem, OSType string
		SecurityOptions, ServerErrors          []string
		MemoryLimit, CPUCfsQuota, PidsLimit    bool
		// Podman's
		Host struct {
			OS              string   `json:"os"`
			ServiceIsRemote bool     `json:"serviceIsRemote"`
			Controllers     []string `json:"cgroupControllers"`
			Security        struct {
				SeccompEnabled bool `json:"seccompEnabled"`
			} `json:"security"`
		} `json:"host"`
		Version struct{ Version string } `json:"version"`
	}
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		return about{}, fmt.Errorf("reading what the engine says of itself: %w", err)
	}
	if len(said.ServerErrors) > 0 {
		return about{}, fmt.Errorf("the engine does not answer: %s", said.ServerErrors[0])
	}
	a := about{version: said.ServerVersion, linux: said.OSType == "linux"}
	has := map[string]bool{sandbox.Memory: said.MemoryLimit, sandbox.CPU: said.CPUCfsQuota, sandbox.Processes: said.PidsLimit}
	a.local = a.linux && said.OperatingSystem != "Docker Desktop"
	a.filters = slices.ContainsFunc(said.SecurityOptions, func(option string) bool {
		return strings.Contains(option, "seccomp") && !strings.Contains(option, "unconfined")
	})
	if said.Version.Version != "" {
		a = about{version: said.Version.Version, filters: said.Host.Security.SeccompEnabled, local: !said.Host.ServiceIsRemote, linux: said.Host.OS == "linux"}
		for control, name := range map[string]string{sandbox.Memory: "memory", sandbox.CPU: "cpu", sandbox.Processes: "pids"} {
			has[control] = slices.Contains(said.Host.Controllers, name)
		}
	}
	for _, control := range sandbox.Controls() {
		if there, asked := has[control]; asked && !there {
			a.cannot = append(a.cannot, control)
		}
	}
	if !a.linux {
		return about{}, errors.New("the engine runs no Linux containers")
	}
	return a, nil
}

// image is what an engine knows of an image.
type image struct {
	ID               string `json:"Id"`
	Os, Architecture string
	Config           struct {
		Env, Entrypoint, Cmd []string
		WorkingDir           string
		Volumes              map[string]struct{}
	}
}

// fits reports whether our own program can run in it.
func (i image) fits() bool { return i.Os == "linux" && i.Architecture == runtime.GOARCH }

func (i image) volumes() []string {
	var out []string
	for path := range i.Config.Volumes {
		out = append(out, clean(path))
	}
	slices.Sort(out)
	return out
}

var idForm = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}$`)

func (e engine) image(ctx context.Context, name string) (image, error) {
	text, err := e.call(ctx, nil, "image", "inspect", name)
	if err != nil {
		hint := "nothing is pulled by itself; get it with: " + e.name + " pull " + name
		if strings.HasPrefix(name, "sha256:") {
			hint = "an id is known only where the image is; load or build it, or name it by its digest"
		}
		return image{}, fmt.Errorf("the image %s is not here (%s): %w", name, hint, err)
	}
	return parseImage(text)
}

func parseImage(text string) (image, error) {
	var list []image
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 || !idForm.MatchString(list[0].ID) {
		return image{}, errors.New("the engine's description of the image is not understood")
	}
	if !strings.HasPrefix(list[0].ID, "sha256:") {
		list[0].ID = "sha256:" + list[0].ID
	}
	return list[0], nil
}

// create makes a container that does not run yet.
func (e engine) create(ctx context.Context, o options) (id string, err error) {
	flags := o.flags()
	var prepare func(*exec.Cmd) func()
	if len(o.env) > 0 {
		// A descriptor: what is secret stands in no list of processes and in no file.
		for _, variable := range o.env {
			if strings.ContainsAny(variable, "\r\n") {
				name, _, _ := strings.Cut(variable, "=")
				return "", fmt.Errorf("the variable %s has more than one line, which no engine takes from a file", name)
			}
		}
		flags = append(flags, "--env-file", "/dev/fd/3")
		prepare = func(cmd *exec.Cmd) func() { return feed(cmd, strings.Join(o.env, "\n")+"\n") }
	}
	text, err := e.call(ctx, prepare, slices.Concat([]string{"create"}, flags, []string{o.image}, o.args)...)
	if err != nil {
		return "", err
	}
	lines := strings.Fields(text)
	if len(lines) == 0 || !idForm.MatchString(lines[len(lines)-1]) {
		return "", errors.New("the engine did not say which container it made")
	}
	return lines[len(lines)-1], nil
}

// feed gives a command a text on descriptor 3.
func feed(cmd *exec.Cmd, text string) (done func()) {
	r, w, err := os.Pipe()
	if err != nil {
		cmd.Err = err
		return func() {}
	}
	cmd.ExtraFiles = []*os.File{r}
	go func() {
		_, _ = w.WriteString(text)
		w.Close()
	}()
	return func() { r.Close() } // which ends the writer too
}

func (e engine) inspect(ctx context.Context, id string) (made, error) {
	text, err := e.call(ctx, nil, "container", "inspect", id)
	if err != nil {
		return made{}, err
	}
	return parseMade(text)
}

// remove ends a container and takes it away with all that it left. It may be gone.
func (e engine) remove(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), removing)
	defer cancel()
	args := []string{"rm", "--force", "--volumes"}
	if e.name == profile.Podman {
		args = append(args, "--time", "0") // it would wait otherwise
	}
	_, _ = e.call(ctx, nil, append(args, id)...)
}
