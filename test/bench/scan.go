package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// machine is the fixture that is scanned: what people's homes hold.
const machine = "internal/cli/testdata/machine/twenty.txtar"

const (
	scanServers, scanClients = 20, 6
	// scans is how often it is scanned for the figure.
	scans = 10
)

// scanned is how long `gatehouse scan` takes, as a process from start to end.
type scanned struct {
	Took []time.Duration `json:"took_ns"`
	CPU  []time.Duration `json:"cpu_ns"`
}

func measureScan(ctx context.Context, f *field) (out scanned, err error) {
	home := filepath.Join(f.dir, "machine")
	if err := unpack(home); err != nil {
		return out, err
	}
	for range scans {
		command := exec.CommandContext(ctx, f.binary, "scan", "--json", "--fail-on", "never")
		command.Dir = filepath.Join(home, "project")
		command.Env = []string{"HOME=" + filepath.Join(home, "home"), "XDG_STATE_HOME=" + filepath.Join(home, "state"), "PATH=" + os.Getenv("PATH")}
		began := time.Now()
		text, err := command.Output()
		took := time.Since(began)
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				err = fmt.Errorf("%w: %s", err, exit.Stderr)
			}
			return out, err
		}
		if err := asWanted(text); err != nil {
			return out, err
		}
		out.Took = append(out.Took, took)
		out.CPU = append(out.CPU, command.ProcessState.UserTime()+command.ProcessState.SystemTime())
	}
	return out, nil
}

func unpack(dir string) error {
	archive, err := txtar.ParseFile(machine)
	if err != nil {
		return err
	}
	for _, file := range archive.Files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.Data, 0o600); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(dir, "project"), 0o700)
}

// asWanted checks that the scan saw what is there: one that sees nothing is fast.
func asWanted(text []byte) error {
	var r struct {
		Summary struct {
			Servers, Clients, Incomplete, Checks int
		}
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("reading the report: %w", err)
	}
	if s := r.Summary; s.Servers != scanServers || s.Clients != scanClients || s.Incomplete != 0 || s.Checks == 0 {
		return fmt.Errorf("the scan saw %+v, want %d servers in %d clients and every file", s, scanServers, scanClients)
	}
	return nil
}
