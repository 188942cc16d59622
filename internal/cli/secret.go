package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
	"gatehouse/internal/secret"
)

func newSecretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Keep secrets that configurations refer to",
		Long: `Put a secret into the keyring or an age file, so that a configuration can refer to it as
keyring:NAME or age:PATH, and take it out again. No command prints one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSecretSetCommand(), newSecretDeleteCommand(), newSecretCheckCommand())
	return cmd
}

func newSecretSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "set REFERENCE",
		Short:   "Keep what stands on stdin, without the line break at its end",
		Example: "  gatehouse secret set keyring:tickets/TOKEN < token.txt\n  gatehouse secret set age:secrets/db-password.age",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, name, err := storeOf(args[0])
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if isPerson(cmd.InOrStdin()) {
				fmt.Fprintln(cmd.ErrOrStderr(), "Type the secret and end it with Ctrl-D on a line of its own. It is shown as you type.")
			}
			// A secret is far smaller; the store says how large it may be.
			const most = 1 << 20
			raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), most))
			if err != nil {
				return exitWith(exitIncomplete, err)
			}
			if err := store.Set(name, strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")); err != nil {
				return exitWith(exitIncomplete, err)
			}
			return nil
		},
	}
}

func newSecretDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete REFERENCE",
		Short: "Forget a secret",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			store, name, err := storeOf(args[0])
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if err := store.Delete(name); err != nil {
				return exitWith(exitIncomplete, err)
			}
			return nil
		},
	}
}

func newSecretCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check REFERENCE",
		Short: "Say whether a reference leads to a secret",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := os.Getwd()
			if err != nil {
				return exitWith(exitIncomplete, err)
			}
			reference, err := config.ParseReference(args[0], "", dir)
			if err != nil {
				return exitWith(exitUsage, err)
			}
			if !strings.Contains(reference.String(), ":") {
				return exitWith(exitUsage, errors.New("that is no reference"))
			}
			value, err := reference.Resolve()
			if err != nil {
				return exitWith(exitIncomplete, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s leads to a secret of %s.\n", reference, count(len(value), "byte"))
			return err
		},
	}
}

// storeOf is the store that a reference names, and the name in it.
func storeOf(reference string) (secret.Store, string, error) {
	if name, found := strings.CutPrefix(reference, "keyring:"); found {
		return secret.Keyring{}, name, secret.CheckName(name)
	}
	path, found := strings.CutPrefix(reference, "age:")
	name, named := strings.CutSuffix(filepath.Base(path), ".age")
	if !found || !named {
		return nil, "", errors.New("expected keyring:NAME, or age:PATH with a path that ends in .age")
	}
	if err := secret.CheckName(name); err != nil {
		return nil, "", err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, "", err
	}
	identity, err := secret.IdentityFile()
	return secret.Age{Dir: dir, Identity: identity}, name, err
}
