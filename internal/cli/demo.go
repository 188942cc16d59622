package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"gatehouse/internal/demo"
)

type demoOptions struct {
	filesystem string
	keep       string
	json       bool
}

func newDemoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See attacks succeed without Gatehouse, and fail with it",
		Long: `Play four attacks with a client that obeys everything it reads, a real file server, a
mail server and a hostile weather server: first connected directly, then through
` + "`gatehouse serve`" + `. All files and secrets are made for the occasion, in a temporary
folder. Nothing is sent to another machine.

The file server is @modelcontextprotocol/server-filesystem, started with npx, which needs
Node.js 20 or later.

Exit codes: 0 every attack succeeded without Gatehouse and failed with it; 1 one did not;
2 wrong usage; 3 the demo could not be played.`,
		Example: `  gatehouse demo
  gatehouse demo --keep played`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.filesystem, "filesystem", "", "`COMMAND` that starts server-filesystem, words separated by spaces; the folder is added (default: the one that make tools installs, else npx)")
	f.StringVar(&o.keep, "keep", "", "play in the new folder `DIR` and keep it, with configurations and logs")
	f.BoolVar(&o.json, "json", false, "write JSON")
	cmd.AddCommand(newDemoServerCommand())
	return cmd
}

// newDemoServerCommand is how the demo starts the servers that are its own.
func newDemoServerCommand() *cobra.Command {
	var scene, file string
	cmd := &cobra.Command{
		Use:       "server mail|weather",
		Short:     "A server of the demo, on stdin and stdout",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"mail", "weather"},
		RunE: func(cmd *cobra.Command, args []string) error {
			in, out := cmd.InOrStdin(), cmd.OutOrStdout()
			if args[0] == "mail" {
				return demo.ServeMail(in, out, file)
			}
			return demo.ServeWeather(in, out, scene, file)
		},
	}
	cmd.Flags().StringVar(&scene, "scene", "", "`NAME` of the scene that the weather server plays")
	cmd.Flags().StringVar(&file, "file", "", "`FILE` for what is sent, or taken")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic("cli: internal error: " + err.Error())
	}
	return cmd
}

func (o demoOptions) run(cmd *cobra.Command) (err error) {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	program, err := os.Executable()
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	dir, remove, err := o.folder()
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	options := demo.Options{Gatehouse: program, Filesystem: o.command(), Dir: dir}
	done := showProgress(&options, cmd.ErrOrStderr())
	report, err := demo.Run(ctx, options)
	done()
	if err != nil {
		return exitWith(exitIncomplete, explainDemo(err))
	}
	if err := o.print(cmd.OutOrStdout(), report); err != nil {
		return err
	}
	if !report.OK {
		return exitWith(exitFindings, errors.New("not every attack succeeded without Gatehouse and failed with it"))
	}
	return nil
}

// folder is where the demo is played, absolute, and how it is removed.
func (o demoOptions) folder() (dir string, remove func() error, err error) {
	if o.keep != "" {
		dir, err = filepath.Abs(o.keep)
		return dir, func() error { return nil }, err
	}
	dir, err = os.MkdirTemp("", "gatehouse-demo-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

const filesystemPackage = "@modelcontextprotocol/server-filesystem@2026.8.31"

// command is how server-filesystem is started.
func (o demoOptions) command() []string {
	if words := strings.Fields(o.filesystem); len(words) > 0 {
		return words
	}
	installed, err := filepath.Abs(filepath.Join("test", "node", "node_modules", ".bin", "mcp-server-filesystem"))
	if err == nil {
		if _, err := os.Stat(installed); err == nil {
			return []string{installed}
		}
	}
	return []string{"npx", "-y", filesystemPackage}
}

// showProgress writes one line that replaces itself, on a terminal only.
func showProgress(o *demo.Options, w io.Writer) (done func()) {
	if !isTerminal(w) {
		return func() {}
	}
	fmt.Fprint(w, "Starting the file server …")
	o.Progress = func(played, all int) { fmt.Fprintf(w, "\r\x1b[KPlayed %d of %d …", played, all) }
	return func() { fmt.Fprint(w, "\r\x1b[K") }
}

func explainDemo(err error) error {
	if !errors.Is(err, demo.ErrFilesystem) {
		return err
	}
	return fmt.Errorf("%w\n\nThe demo needs this server. Install Node.js 20 or later, which brings npx, or say how to start it:\n"+
		"  gatehouse demo --filesystem \"npx -y %s\"", err, filesystemPackage)
}

func (o demoOptions) print(w io.Writer, report *demo.Report) error {
	if o.json {
		return json.NewEncoder(w).Encode(report)
	}
	colour := isTerminal(w) && os.Getenv("NO_COLOR") == ""
	return report.Print(w, demo.Look{Colour: colour, Kept: o.keep})
}
