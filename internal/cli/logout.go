package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newLogoutCommand() *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:   "logout [flags] SERVER",
		Short: "Forget the token of a server",
		Long: `Removes the stored token of a server and tells the authorization server that it is not
needed any more, where that takes such a message. A gateway that runs stops using it
within a second.
Exit codes: 0 done, also if there was no token; 2 wrong usage or configuration; 3 the
token could not be removed.`,
		Example: `  gatehouse logout tickets`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.load()
			if err != nil {
				return exitWith(exitUsage, err)
			}
			client, _, err := o.client(c, args[0], cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			removed, told, err := client.Logout(cmd.Context())
			if e := o.printLogout(cmd.OutOrStdout(), args[0], removed, told); e != nil {
				return e
			}
			if err != nil {
				return exitWith(exitIncomplete, err)
			}
			return nil
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *tokenOptions) printLogout(w io.Writer, id string, removed int, told bool) error {
	if o.json {
		return json.NewEncoder(w).Encode(map[string]any{"server": id, "removed": removed, "revoked": told})
	}
	text := "The token for server %s is removed here. Its authorization server was not told; it stays good there until it expires.\n"
	switch {
	case removed == 0:
		text = "There was no token for server %s.\n"
	case told:
		text = "The token for server %s is removed, and its authorization server knows.\n"
	}
	_, err := fmt.Fprintf(w, text, id)
	return err
}
