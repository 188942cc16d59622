// Command contain starts a program in a container as the gateway starts a server. It
// is a program of its own because what is the first process of a container must not
// need libraries, which tests for races do.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"gatehouse/internal/container"
	"gatehouse/internal/egress"
	"gatehouse/internal/egress/inside"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

// order is what the tests ask for, on descriptor 3.
type order struct {
	Profile profile.Profile
	Args    []string
	Dir     string
	Env     []string
	Secrets map[string]string
	Hidden  []string
}

func main() {
	sandbox.Inside(inside.Setup)
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "contain:", err)
		os.Exit(1)
	}
}

func run() error {
	var o order
	if err := json.NewDecoder(os.NewFile(3, "order")).Decode(&o); err != nil {
		return err
	}
	command := sandbox.Command{Args: o.Args, Dir: o.Dir, Env: o.Env, Secrets: o.Secrets, Hidden: o.Hidden, Refused: func(f sandbox.Refusal) {
		fmt.Fprintf(os.Stderr, "recorded: %s: %s, %d times\n", f.Control, f.What, f.Times)
	}}
	if len(o.Profile.Network) > 0 {
		broker, err := broker(o.Profile.Network)
		if err != nil {
			return err
		}
		command.Network = broker.Serve
	}
	box, err := container.New(o.Profile, command)
	if err != nil {
		return err
	}
	defer box.Ended()
	cmd := exec.Command("/nothing")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := box.Configure(cmd); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = box.Started(cmd.Process.Pid)
	report := json.NewEncoder(os.NewFile(4, "report"))
	if encodeErr := report.Encode(box.Report()); encodeErr != nil {
		return encodeErr
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	_ = cmd.Wait()
	return nil
}

// broker lets everything through that the profile names, and says what was reached
// for on stderr.
func broker(places []profile.Destination) (*egress.Broker, error) {
	var rules []egress.Rule
	for _, d := range places {
		r := egress.Rule{Host: d.Host, Protocol: egress.TCP}
		for _, port := range d.Ports {
			r.Ports = append(r.Ports, uint16(port))
		}
		rules = append(rules, r)
	}
	return egress.NewBroker(rules, func(e egress.Event) error {
		fmt.Fprintln(os.Stderr, "reached:", e.Kind, e.Name, e.Port, e.Reason)
		return nil
	}, egress.Options{})
}
