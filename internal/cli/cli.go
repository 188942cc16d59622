// Package cli is the command line: one file per command, flags to options, and
// printing. What a command does is in the packages below.
package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Run is the program: it returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, "gatehouse:", text)
	}
	return exitCode(err)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "Stand between AI clients and MCP servers, and keep both safe",
		Long: `Gatehouse is a gateway for the Model Context Protocol. Every call of every client to
every server goes through it: definitions are approved and compared, arguments are
validated, content is inspected, and everything is recorded.

  gatehouse serve --config gatehouse.yaml     one endpoint in front of your servers
  gatehouse run -- npx -y some-mcp-server     wrap one server in a client's configuration
  gatehouse demo                              see attacks succeed, and fail

Exit codes: 0 all is well; 1 something was found or waits for you; 2 wrong usage or
configuration; 3 something could not be done or checked.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		newServeCommand(), newRunCommand(), newScanCommand(), newAdvisoriesCommand(), newApproveCommand(), newHaltCommand(), newResumeCommand(), newQuotaCommand(),
		newKeyCommand(), newPolicyCommand(), newProfileCommand(), newInstallCommand(), newLoginCommand(), newLogoutCommand(), newLogCommand(), newRulesCommand(), newChecksCommand(),
		newDoctorCommand(), newDemoCommand(), newVersionCommand(),
	)
	root.AddCommand(newProtectCommand(), newUnprotectCommand(), newChecklistCommand(), newSecretCommand())
	explainArguments(root)
	return root
}

// explainArguments makes every command that finds too many or too few arguments say
// what it wants.
func explainArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil {
				return nil
			}
			if strings.Contains(cmd.Use, " ") {
				return fmt.Errorf("%w\nUsage: %s", err, cmd.UseLine())
			}
			return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
		}
	}
	for _, sub := range cmd.Commands() {
		explainArguments(sub)
	}
}
