package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/client"
	"gatehouse/internal/clients"
	"gatehouse/internal/command"
	"gatehouse/internal/facts/installed"
	"gatehouse/internal/install"
	"gatehouse/internal/inventory"
	"gatehouse/internal/profile"
	"gatehouse/internal/protect"
	"gatehouse/internal/sandbox"
	"gatehouse/internal/secret"
)

type protectOptions struct {
	protect.Options
	state, secrets    string
	scopes            []string
	pins, dirs        []string // NAME=VALUE
	grants            map[string]*[]string
	dryRun, yes, json bool
}

func newProtectCommand() *cobra.Command {
	var o protectOptions
	cmd := &cobra.Command{
		Use:   "protect [flags] [FOLDER…]",
		Short: "Make the servers of your clients run through Gatehouse",
		Long: `protect shows how it would change the files in which your clients keep their MCP servers,
and changes them once you agree. Each server then runs through ` + "`gatehouse run`" + `: in a
sandbox, in the version that is installed now, with its secrets in the keyring instead of
the file. Comments and the order of the files stay. A second run changes nothing, and
` + "`gatehouse unprotect`" + ` puts everything back.

Files of projects are shared with others and stay as they are without --scope project;
they are looked for in the given folders, or in this one. Without a terminal and without
--yes nothing is changed.

Exit codes: 0 done, or nothing to do; 1 there is something to do and nothing was changed;
2 wrong usage; 3 something could not be read or changed.`,
		Example: `  gatehouse protect --dry-run
  gatehouse protect --client cursor --network github=api.github.com:443
  gatehouse protect --yes --narrow files=$HOME/notes`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Clients, "client", nil, "only the files of the client `ID` (repeatable)")
	f.StringArrayVar(&o.Servers, "server", nil, "only servers of this `NAME` (repeatable)")
	f.StringSliceVar(&o.scopes, "scope", []string{string(client.User)}, "whose files: user, project, plugin, managed")
	f.StringArrayVar(&o.pins, "pin", nil, "fix a package to a version, `PACKAGE=VERSION` (repeatable)")
	o.grants = map[string]*[]string{
		"network": f.StringArray("network", nil, "let a server reach a place, `NAME=HOST:PORT` (repeatable)"),
		"read":    f.StringArray("read", nil, "let a server read a file or folder besides, `NAME=PATH` (repeatable)"),
		"write":   f.StringArray("write", nil, "let a server change a file or folder besides, `NAME=PATH` (repeatable)"),
		"execute": f.StringArray("execute", nil, "let a server start a program, `NAME=PATH` (repeatable)"),
	}
	f.StringArrayVar(&o.dirs, "narrow", nil, "give a server this folder in the place of those that are too broad, `NAME=FOLDER` (repeatable)")
	f.StringArrayVar(&o.Read, "read-only", nil, "let the server `NAME` read its folders and not change them (repeatable)")
	f.StringVar(&o.secrets, "secrets", "auto", "where secrets go: keyring, age, keep, or auto for the keyring if there is one, else age")
	f.BoolVar(&o.UnsafeNoSandbox, "no-sandbox", false, "start servers without a sandbox, with all rights that you have")
	f.StringVar(&o.Program, "program", "", "gatehouse as clients are to start it (default: this program)")
	f.StringVar(&o.state, "state", "", "folder for the record of changes (default: the user's state folder)")
	f.BoolVar(&o.dryRun, "dry-run", false, "only show what would be changed")
	f.BoolVarP(&o.yes, "yes", "y", false, "change without asking")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o protectOptions) run(cmd *cobra.Command, folders []string) error {
	if err := o.complete(); err != nil {
		return exitWith(exitUsage, err)
	}
	if err := o.sandboxes(); err != nil {
		return exitWith(exitIncomplete, err)
	}
	files, err := ownFiles(folders, &o.Home)
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	journal, store := journalAt(o.state), o.secrets
	if store == "auto" {
		store = journal.Default
	}
	if o.Store = journal.Stores[store]; o.Store == nil && store != "keep" {
		_, err := secret.IdentityFile()
		return exitWith(exitIncomplete, fmt.Errorf("secrets cannot go to %s: %w", store, err))
	}
	o.Version = installedVersion(installed.Looker{Home: o.Home, Getenv: os.Getenv})
	plan := protect.New(files, o.Options)
	asks := !o.yes && !o.dryRun && !o.json && isPerson(cmd.InOrStdin())
	in := bufio.NewReader(cmd.InOrStdin())
	if asks {
		plan = o.ask(cmd, in, files, plan)
	}
	if !o.json {
		printPlan(cmd.OutOrStdout(), plan)
	}
	report := protectReport{Schema: "gatehouse.protect/1", Files: plan.Files, Secrets: store, Install: installs(plan, userStateDir(), install.InState(userStateDir()).Find)}
	agreed := o.yes && !o.dryRun
	if asks && plan.Changes() > 0 {
		agreed = confirmed(cmd, in, fmt.Sprintf("Change %s? [y/N] ", count(plan.Changes(), "server")))
	}
	if agreed && plan.Changes() > 0 {
		report.Applied = true
		report.Outcomes, err = journal.Apply(plan, store)
	}
	finished := report.finish(cmd, plan, o.json)
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	return finished
}

// complete checks the flags and fills in what was not said.
func (o *protectOptions) complete() (err error) {
	if o.Program == "" {
		if o.Program, err = os.Executable(); err != nil {
			return fmt.Errorf("finding this program: %w; give --program", err)
		}
	}
	if o.Program, err = filepath.Abs(o.Program); err != nil {
		return err
	}
	if o.state == "" {
		o.state = userStateDir()
	}
	if o.state, err = filepath.Abs(o.state); err != nil {
		return err
	}
	o.State = o.state
	for _, scope := range o.scopes {
		if !slices.Contains([]client.Scope{client.User, client.Project, client.Plugin, client.Managed}, client.Scope(scope)) {
			return fmt.Errorf("--scope %s: expected user, project, plugin or managed", scope)
		}
		o.Scopes = append(o.Scopes, client.Scope(scope))
	}
	for _, id := range o.Clients {
		if _, known := clients.ByID(id); !known {
			return fmt.Errorf("--client %s: there is no such client; docs/clients.md lists them", id)
		}
	}
	if !slices.Contains([]string{"auto", "keyring", "age", "keep"}, o.secrets) {
		return fmt.Errorf("--secrets %s: expected keyring, age, keep or auto", o.secrets)
	}
	return o.named()
}

// named reads the flags of the form NAME=VALUE.
func (o *protectOptions) named() error {
	o.Pins, o.Extra, o.Narrow = map[string]string{}, map[string]protect.Grants{}, map[string]string{}
	for _, pair := range o.pins {
		name, value, err := assigned("pin", pair)
		if err != nil {
			return err
		}
		o.Pins[name] = value
	}
	for flag, pairs := range o.grants {
		for _, pair := range *pairs {
			name, value, err := assigned(flag, pair)
			if err == nil {
				err = o.grant(flag, name, value)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, pair := range o.dirs {
		name, value, err := assigned("narrow", pair)
		if err != nil {
			return err
		}
		if o.Narrow[name], err = folderAt(value); err != nil {
			return fmt.Errorf("--narrow %s: %w", pair, err)
		}
	}
	return nil
}

// grant adds what a server may do besides.
func (o *protectOptions) grant(flag, name, value string) error {
	g := o.Extra[name]
	if flag == "network" {
		if _, err := profile.ParseDestination(value); err != nil {
			return fmt.Errorf("--network %s=%s: %w", name, value, err)
		}
		g.Network = append(g.Network, value)
		o.Extra[name] = g
		return nil
	}
	path, err := filepath.Abs(value)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return fmt.Errorf("--%s %s=%s: %w", flag, name, value, err)
	}
	list := map[string]*[]string{"read": &g.Read, "write": &g.Write, "execute": &g.Execute}[flag]
	*list = append(*list, path)
	o.Extra[name] = g
	return nil
}

func assigned(flag, pair string) (name, value string, err error) {
	name, value, found := strings.Cut(pair, "=")
	if !found || name == "" || value == "" {
		return "", "", fmt.Errorf("--%s %s: expected NAME=VALUE", flag, pair)
	}
	return name, value, nil
}

func folderAt(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no folder")
	}
	return path, err
}

// sandboxes refuses to go on where no sandbox would hold: the servers would not start.
func (o protectOptions) sandboxes() error {
	if o.UnsafeNoSandbox {
		return nil
	}
	if _, err := sandbox.Available(); err != nil {
		return fmt.Errorf("this machine cannot hold a sandbox, so protected servers would not start: %w\n`gatehouse doctor` says more; --no-sandbox protects them without one", err)
	}
	return nil
}

// ownFiles are the files of whoever asks. Homes of others and of other systems, such as
// those of Windows beside WSL, are not theirs to change.
func ownFiles(folders []string, home *string) ([]client.File, error) {
	machine, err := clients.Local(clients.Where{Projects: folders})
	if err != nil {
		return nil, err
	}
	machine.Homes = slices.DeleteFunc(machine.Homes, func(h client.Home) bool { return !h.Own })
	*home = machine.Homes[0].Dir
	return clients.Discover(machine, client.NewFingerprints(nil)).Files, nil
}

// journalAt is the record of changes in a state folder. Secrets go to the keyring where
// there is one.
func journalAt(state string) protect.Journal {
	j := protect.Journal{Dir: filepath.Join(state, "protect"), Default: "age", Stores: map[string]secret.Store{"keyring": secret.Keyring{}}}
	if identity, err := secret.IdentityFile(); err == nil {
		j.Stores["age"] = secret.Age{Dir: filepath.Join(state, "secrets"), Identity: identity}
	}
	if (secret.Keyring{}).Available() == nil {
		j.Default = "keyring"
	}
	return j
}

// installedVersion says which version of a package is on this machine. It starts nothing.
func installedVersion(l installed.Looker) func(client.Entry, inventory.Source) (version, from string) {
	return func(e client.Entry, s inventory.Source) (string, string) {
		found, err := l.Find(e, s)
		if err != nil {
			return "", ""
		}
		return found.Version, "found in " + found.From
	}
}

// installs are the commands that install what protected servers start from and what is not
// found in the state folder, the one that `gatehouse run` uses.
func installs(plan protect.Plan, state string, find func(command.Request) (install.Record, error)) (commands []string) {
	for _, f := range plan.Files {
		for _, s := range f.Servers {
			if s.What != protect.Change || s.Request == nil {
				continue
			}
			if _, err := find(*s.Request); err == nil {
				continue
			}
			words := []string{"gatehouse", "install", "--state", state}
			if _, err := command.NewRequest(s.Request.String()); err == nil && s.Request.Python == "" {
				words = append(words, s.Request.String())
			} else { // several packages, or another Python: as its command says
				words = append(words, s.After[slices.Index(s.After, "--"):]...)
			}
			if line := commandLine(words); !slices.Contains(commands, line) {
				commands = append(commands, line)
			}
		}
	}
	return commands
}

// ask lets a person decide what the plan could not.
func (o *protectOptions) ask(cmd *cobra.Command, in *bufio.Reader, files []client.File, plan protect.Plan) protect.Plan {
	out := cmd.ErrOrStderr()
	asked := map[string]bool{}
	for _, f := range plan.Files {
		for _, s := range f.Servers {
			if asked[s.Name] {
				continue
			}
			asked[s.Name] = true
			if len(s.Broad) > 0 {
				fmt.Fprintf(out, "%s is given %s.\nWhich folder is enough for it? [empty: leave the server as it is] ", clipped(s.Name, 40), clipped(strings.Join(s.Broad, " and "), 200))
				o.narrow(s.Name, answer(in), out)
			}
			if s.Unknown {
				fmt.Fprintf(out, "%s holds a credential. Which places may it reach? [HOST:PORT …, empty: none] ", clipped(s.Name, 40))
				for _, place := range strings.Fields(answer(in)) {
					if err := o.grant("network", s.Name, place); err != nil {
						fmt.Fprintf(out, "%s is left out: %v\n", clipped(place, 80), err)
					}
				}
			}
		}
	}
	return protect.New(files, o.Options)
}

// narrow takes the folder that a person names; with none, or one that is not there, the
// server stays as it is.
func (o *protectOptions) narrow(name, folder string, out io.Writer) {
	if folder == "" {
		return
	}
	path, err := folderAt(folder)
	if err != nil {
		fmt.Fprintf(out, "%s is left out: %v\n", clipped(folder, 200), err)
		return
	}
	o.Narrow[name] = path
}

// isPerson tells a terminal at which somebody may answer from everything else.
func isPerson(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok || !isTerminal(stream) {
		return false
	}
	info, err := f.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && (nullErr != nil || !os.SameFile(info, null))
}

// answer is one line of a person, without the spaces around it.
func answer(in *bufio.Reader) string {
	line, _ := in.ReadString('\n') // an end is an empty answer
	return strings.TrimSpace(line)
}

// confirmed asks a person; anything but yes is no.
func confirmed(cmd *cobra.Command, in *bufio.Reader, question string) bool {
	fmt.Fprint(cmd.ErrOrStderr(), question)
	said := strings.ToLower(answer(in))
	return said == "y" || said == "yes"
}

// protectReport is the report in JSON. The names are stable within one schema.
type protectReport struct {
	Schema   string             `json:"schema"`
	Applied  bool               `json:"applied"`
	Secrets  string             `json:"secrets"` // the store
	Files    []protect.FilePlan `json:"files"`
	Outcomes []protect.Outcome  `json:"outcomes,omitempty"`
	Install  []string           `json:"install,omitempty"` // commands that install what the servers need
	Summary  protectSummary     `json:"summary"`
}

type protectSummary struct {
	Change  int `json:"change"` // that were changed, or would be
	Already int `json:"already"`
	Left    int `json:"left"`
	Failed  int `json:"failed"` // files
}

func (r protectReport) finish(cmd *cobra.Command, plan protect.Plan, asJSON bool) error {
	for _, f := range plan.Files {
		if f.Problem != "" {
			r.Summary.Failed++
		}
		for _, s := range f.Servers {
			*map[protect.What]*int{protect.Change: &r.Summary.Change, protect.Already: &r.Summary.Already, protect.Left: &r.Summary.Left}[s.What]++
		}
	}
	if r.Applied {
		r.Summary.Change = 0
	}
	for _, o := range r.Outcomes {
		r.Summary.Change += len(o.Servers)
		if o.Problem != "" {
			r.Summary.Failed++
		}
	}
	if r.Files == nil {
		r.Files = []protect.FilePlan{}
	}
	if asJSON {
		if err := printJSON(cmd.OutOrStdout(), r); err != nil {
			return exitWith(exitIncomplete, err)
		}
	} else {
		r.print(cmd.OutOrStdout())
	}
	switch {
	case r.Summary.Failed > 0:
		return exitWith(exitIncomplete, errors.New("some files could not be read or changed"))
	case r.Summary.Change > 0 && !r.Applied:
		return exitWith(exitFindings, nil)
	}
	return nil
}

func (r protectReport) print(out io.Writer) {
	for _, o := range r.Outcomes {
		if o.Problem != "" {
			fmt.Fprintf(out, "NOT CHANGED  %s: %s\n", clipped(o.Path, 400), clipped(o.Problem, 400))
		}
	}
	s := r.Summary
	verb := "would be protected"
	if r.Applied {
		verb = "protected"
	}
	fmt.Fprintf(out, "%s %s, %d already, %d left as they are.\n", count(s.Change, "server"), verb, s.Already, s.Left)
	if len(r.Install) > 0 {
		fmt.Fprintln(out, "Gatehouse installs the package of a server when the server first starts, for which its client may not wait. To install now:")
	}
	for _, command := range r.Install {
		fmt.Fprintf(out, "  %s\n", clipped(command, 2000))
	}
	switch {
	case r.Applied && s.Change > 0:
		fmt.Fprintln(out, "Restart your clients. `gatehouse unprotect` puts everything back.")
	case !r.Applied && s.Change > 0:
		fmt.Fprintln(out, "Nothing was changed. --yes changes it.")
	}
}

// printPlan shows the difference for each server.
func printPlan(out io.Writer, plan protect.Plan) {
	for _, f := range plan.Files {
		fmt.Fprintf(out, "%s (%s)\n", clipped(f.Path, 400), strings.Join(f.Clients, ", "))
		if f.Problem != "" {
			fmt.Fprintf(out, "  %s\n", clipped(f.Problem, 400))
		}
		for _, s := range f.Servers {
			printServer(out, s)
		}
		fmt.Fprintln(out)
	}
}

func printServer(out io.Writer, s protect.Server) {
	const most = 2000
	name := fmt.Sprintf("  %s, line %d", clipped(s.Name, 60), s.Line)
	switch s.What {
	case protect.Already:
		fmt.Fprintf(out, "%s: runs through Gatehouse already\n", name)
		return
	case protect.Left:
		fmt.Fprintf(out, "%s: left as it is: %s\n", name, clipped(s.Why, most))
		return
	}
	fmt.Fprintf(out, "%s\n  - %s\n  + %s\n", name, clipped(commandLine(s.Before), most), clipped(commandLine(s.After), most))
	for _, m := range s.Moved {
		fmt.Fprintf(out, "  - %s: [redacted]\n  + %s: %s\n", clipped(m.Variable, 80), clipped(m.Variable, 80), clipped(m.Reference, 400))
	}
	if s.Pinned != nil {
		fmt.Fprintf(out, "    %s is fixed to %s, %s\n", clipped(s.Pinned.Package, 200), clipped(s.Pinned.Version, 80), clipped(s.Pinned.From, 200))
	}
	for _, note := range s.Notes {
		fmt.Fprintf(out, "    %s\n", clipped(note, most))
	}
}

// commandLine shows words so that one sees where each ends.
func commandLine(words []string) string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = word
		if word == "" || strings.ContainsAny(word, " \t\"'\\$`*?;&|<>(){}") {
			out[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// count says how many there are of something.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
