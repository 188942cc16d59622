package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/config"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

func newProfileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Show and find out what servers in a sandbox may do",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProfileShowCommand(), newProfileLearnCommand(), newProfileDockerCommand(), newProfilePresetsCommand())
	return cmd
}

func newProfileShowCommand() *cobra.Command {
	var o serveOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show SERVER",
		Short: "Say in plain words everything that a server may do",
		Long: `Show the whole profile of a server: what its sandbox section and its preset allow, how
much it may use, and which files of this machine it sees because its program is made of
them. Nothing is started.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.load()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			s, found := c.Server(args[0])
			if !found {
				return exitWith(exitUsage, fmt.Errorf("there is no server %q in %s", args[0], c.Path))
			}
			return showProfile(cmd.OutOrStdout(), c.State, s, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", defaultConfig, "configuration `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func showProfile(w io.Writer, state string, s config.Server, asJSON bool) error {
	if s.Sandbox == nil {
		fmt.Fprintf(w, "%s has no sandbox section: it may do whatever Gatehouse may.\n", s.ID)
		return nil
	}
	environ, err := s.Environ()
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	box, err := planSandbox(state, s, environ)
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	grants := s.Sandbox.Explain()
	if asJSON {
		type grant struct {
			What string `json:"what"`
			Text string `json:"text"`
		}
		var list []grant
		for _, g := range grants {
			list = append(list, grant(g))
		}
		return json.NewEncoder(w).Encode(map[string]any{"schema": 1, "server": s.ID, "preset": s.Sandbox.Preset, "grants": list, "shown": box.Shown()})
	}
	fmt.Fprintf(w, "%s, preset %s\n\n", s.ID, orNone(s.Sandbox.Preset))
	for _, g := range grants {
		fmt.Fprintf(w, "  %-20s %s\n", g.What, approval.Visible(g.Text))
	}
	if s.Sandbox.InContainer() {
		return nil // the rest is in the image
	}
	fmt.Fprintf(w, "\nBesides, it sees what its program is made of or needs, and cannot change it:\n\n")
	for _, shown := range box.Shown() {
		if !shown.Asked {
			fmt.Fprintf(w, "  %-20s %s\n", rights(shown), approval.Visible(shown.Path))
		}
	}
	return nil
}

func orNone(preset string) string {
	if preset == "" {
		return "none"
	}
	return preset
}

func rights(s sandbox.Shown) string {
	if s.Exec {
		return "read, start"
	}
	return "read"
}

func newProfilePresetsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "presets",
		Short: "List the presets of sandboxes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, p := range profile.Presets() {
				fmt.Fprintf(cmd.OutOrStdout(), "%-14s %s\n", p.Name, p.Doc)
			}
			return nil
		},
	}
}
