package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"gatehouse/internal/policy"
)

func newPolicyInitCommand() *cobra.Command {
	var flags policyFlags
	var past history
	var output string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write the smallest policies that allow what was used",
		Long: `Reads the audit log and writes policies that permit exactly what was let through: each
principal the tools, prompts and resources that it used. Look at them before you use
them: what an attacker got through is in the log too.

A file that is there already is never overwritten; "-" writes to standard output.

Exit codes: 0 the policies are written; 2 wrong usage, or the file is there already;
3 the log could not be read, or nothing was used.`,
		Example: "  gatehouse policy init --since 30d --output policies/used.cedar",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(flags.config)
			if err != nil {
				return exitWith(exitUsage, err)
			}
			var least policy.Least
			reader, since, err := past.read(c, nil, least.Add)
			if err != nil {
				return err
			}
			if least.Calls == 0 {
				return exitWith(exitIncomplete, errors.New("nothing was used in that time, so there is nothing to permit; let clients use their servers through the gateway first, or look further back with --since"))
			}
			header := fmt.Sprintf("// What was used from %s on: %d calls.\n// Written by gatehouse policy init. Read it before you rely on it.\n\n", since.UTC().Format("2006-01-02"), least.Calls)
			if reader.Skipped > 0 {
				header = fmt.Sprintf("// %d exchanges are left out: the log does not say what they were about.\n", reader.Skipped) + header
			}
			text := append([]byte(header), least.Text()...)
			if _, err := policy.New(c, []policy.Source{{Name: output, Text: text}}); err != nil {
				return exitWith(exitIncomplete, fmt.Errorf("what was used does not make valid policies: %w", err))
			}
			if output == "-" && !flags.json {
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			if output != "-" {
				if err := writeNew(output, text); err != nil {
					return err
				}
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"file": output, "calls": least.Calls, "skipped": reader.Skipped, "text": string(text)})
			}
			next := "name it in " + flags.config + " under policy.files"
			if inForce(c.Policy.Files, output) {
				next = "policy.files has it already, and a running gateway takes it over at once"
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "wrote %s; %s\n", output, next)
			return err
		},
	}
	flags.register(cmd.Flags())
	past.register(cmd.Flags(), "30d")
	cmd.Flags().StringVarP(&output, "output", "o", "policies/used.cedar", "`FILE` to write, or -")
	return cmd
}

// writeNew writes a file that is not there yet.
func writeNew(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return exitWith(exitIncomplete, err)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return exitWith(exitUsage, fmt.Errorf("%s is there already; name another file with --output", name))
	}
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return exitWith(exitIncomplete, err)
	}
	return nil
}

// inForce reports whether one of the patterns of policy.files, which are absolute, names
// a file.
func inForce(patterns []string, file string) bool {
	path, err := filepath.Abs(file)
	return err == nil && slices.ContainsFunc(patterns, func(pattern string) bool {
		match, err := filepath.Match(pattern, path)
		return err == nil && match
	})
}
