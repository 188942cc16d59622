package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/container"
	"gatehouse/internal/profile"
)

func newProfileDockerCommand() *cobra.Command {
	var o runOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "docker [flags] -- IMAGE [ARG...]",
		Short: "Print the docker run line of a server in a container, for a client's configuration",
		Long: `Print the line that runs a server in a container with the bounds of a profile: without a
network, with a read-only root, without capabilities and new privileges, with bounds on memory,
processes and files, as an ordinary user, from an image that is named by digest and never pulled.

With --json the line is an entry for a client's configuration. Variables are named and not
given: put their values under "env" there.

Such a line holds what the engine holds. "gatehouse run --runtime docker --image IMAGE" starts
the same server with all of it proven from inside, lets it reach listed places only, and guards
what it says.`,
		Example: `  gatehouse profile docker --write ~/notes -- example/notes@sha256:DIGEST ~/notes
  gatehouse profile docker --runtime podman --pass-env TOKEN --json -- example/issues@sha256:DIGEST`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.image = args[0]
			if o.runtime == "" {
				o.runtime = profile.Docker
			}
			c, err := o.configuration(args[1:])
			if err != nil {
				return exitWith(exitUsage, err)
			}
			line, err := container.Line(*c.Servers[0].Sandbox, args[1:])
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if !asJSON {
				fmt.Fprintln(cmd.OutOrStdout(), container.Quoted(line))
				return nil
			}
			entry := map[string]any{"command": line[0], "args": line[1:]}
			if len(o.passEnv) > 0 {
				values := map[string]string{}
				for _, name := range o.passEnv {
					values[name] = ""
				}
				entry["env"] = values
				fmt.Fprintln(cmd.ErrOrStderr(), "Put the values under env:", strings.Join(o.passEnv, ", "))
			}
			encoder := json.NewEncoder(cmd.OutOrStdout())
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			return encoder.Encode(entry)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringSliceVar(&o.passEnv, "pass-env", nil, "let the server have this variable (repeatable)")
	o.sandboxFlags(f, noPreset)
	_ = f.MarkHidden("image") // it is the first argument
	_ = f.MarkHidden("execute")
	_ = f.MarkHidden("network")
	f.BoolVar(&asJSON, "json", false, "print an entry for a client's configuration")
	return cmd
}
