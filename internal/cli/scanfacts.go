package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	checking "gatehouse/internal/check"
	"gatehouse/internal/facts"
	"gatehouse/internal/facts/connect"
	"gatehouse/internal/facts/installed"
	"gatehouse/internal/install"
)

// factOptions say who scan may ask about servers.
type factOptions struct {
	online, remote, listening bool
	connect                   string // "", ask or yes
	state                     string
}

// Values of --connect.
const connectAsk, connectYes = "ask", "yes"

// factFlags adds the flags that let a command ask others than the files of this machine.
func factFlags(cmd *cobra.Command) *factOptions {
	o := &factOptions{}
	f := cmd.Flags()
	f.BoolVar(&o.online, "online", false, "ask the registries of npm and PyPI about packages")
	f.StringVar(&o.connect, "connect", "", "start each server in a sandbox and read what it defines, after you agreed; \"yes\" agrees here")
	f.Lookup("connect").NoOptDefVal = connectAsk
	f.BoolVar(&o.remote, "remote", false, "with --connect: ask servers that have a URL as well, without credentials")
	f.BoolVar(&o.listening, "listening", false, "ask every port that is open on this machine whether a server answers, with one request")
	f.StringVar(&o.state, "state", "", "folder for advisories and answers of registries (default: as configured, or the user's state folder)")
	return o
}

// gather fills the facts of a scene. After an error something that was asked for is
// missing.
func (o *factOptions) gather(ctx context.Context, cmd *cobra.Command, scene *checking.Scene) error {
	if o.connect != "" && o.connect != connectAsk && o.connect != connectYes {
		return exitWith(exitUsage, fmt.Errorf("--connect=%s: expected %s or %s", o.connect, connectAsk, connectYes))
	}
	if o.remote && o.connect == "" {
		return exitWith(exitUsage, errors.New("--remote belongs to --connect"))
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	state := o.state
	if state == "" {
		state = defaultStateDir()
	}
	if state, err = filepath.Abs(state); err != nil {
		return exitWith(exitIncomplete, err)
	}
	log := newLogger(io.Discard, false)
	options := facts.Options{
		Home: home, Getenv: os.Getenv, State: state, Online: o.online, Client: http.DefaultClient, Listening: o.listening, Log: log,
		Connect: connect.Options{
			Store: install.InState(state), Looker: installed.Looker{Home: home, Getenv: os.Getenv}, Remote: o.remote, Log: log,
			// What Gatehouse installed lies in the state too, so the rest of it is named.
			Hidden: []string{state, filepath.Join(state, "audit"), filepath.Join(state, "oauth"), filepath.Join(state, "keys"), filepath.Join(state, "packages", "records")},
			Progress: func(done, all int, name string, err error) {
				result := "read"
				if err != nil {
					result = clipped(err.Error(), 200)
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%d/%d  %s: %s\n", done, all, clipped(name, 40), result)
			},
		},
	}
	if o.connect != "" {
		plans := connect.Plans(scene.Servers, options.Connect)
		agreed, err := o.consent(cmd, plans)
		if err != nil {
			return err
		}
		if agreed {
			options.Plans = plans
		}
	}
	if err := facts.Gather(ctx, options, scene); err != nil {
		return exitWith(exitIncomplete, err)
	}
	return nil
}

// consent shows every command in full and asks a person. "MUST NOT proceed without
// consent" (SEP-1024) is about starting a server for the first time; here it is about
// starting it at all.
func (o *factOptions) consent(cmd *cobra.Command, plans []connect.Plan) (agreed bool, err error) {
	out := cmd.ErrOrStderr()
	n := 0
	for _, p := range plans {
		switch {
		case p.Err != nil:
			fmt.Fprintf(out, "  %-18s %s\n", clipped(p.Server.Name, 18), visible(p.Err.Error()))
		case p.URL != "":
			n++
			fmt.Fprintf(out, "  %-18s connect to %s\n", clipped(p.Server.Name, 18), visible(p.Server.Package))
		default:
			n++
			fmt.Fprintf(out, "  %-18s start %s\n", clipped(p.Server.Name, 18), visible(commandLine(p.Shown)))
		}
	}
	if n == 0 {
		fmt.Fprintln(out, "There is no server that could be asked.")
		return true, nil
	}
	if o.connect == connectYes {
		return true, nil
	}
	noPerson := exitWith(exitUsage, errors.New("--connect asks a person before it starts anything, and there is no terminal; --connect=yes agrees beforehand"))
	if !isTerminal(cmd.InOrStdin()) {
		return false, noPerson
	}
	fmt.Fprintf(out, "Start these in a sandbox, without network, files and secrets of yours? [y/N] ")
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if errors.Is(err, io.EOF) && answer == "" { // such as the null device
		fmt.Fprintln(out)
		return false, noPerson
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, exitWith(exitIncomplete, err)
	}
	if strings.EqualFold(strings.TrimSpace(answer), "y") {
		return true, nil
	}
	fmt.Fprintln(out, "Nothing is started.")
	return false, nil
}
