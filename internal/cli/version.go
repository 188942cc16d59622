package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"gatehouse/internal/wire"
)

// version is set by the linker for releases.
var version = ""

func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and the protocol revisions it speaks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			revisions := slices.Concat(wire.LegacyVersions, []string{wire.ModernVersion}) // the oldest first
			if asJSON {
				return json.NewEncoder(out).Encode(map[string]any{
					"version": programVersion(), "go": runtime.Version(), "protocol": revisions,
				})
			}
			fmt.Fprintf(out, "gatehouse %s (%s, %s/%s)\nMCP revisions:", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			for _, r := range revisions {
				fmt.Fprint(out, " ", r)
			}
			fmt.Fprintln(out)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}
