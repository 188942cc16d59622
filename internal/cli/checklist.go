package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	judging "gatehouse/internal/check" // check is a line of the doctor here
	"gatehouse/internal/checklist"
	"gatehouse/internal/checks"
	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/credential"
	"gatehouse/internal/facts"
	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
	"gatehouse/internal/secret"
)

type checklistOptions struct {
	state, attest, by, note, lasts string
	projects                       []string
	json                           bool
}

func newChecklistCommand() *cobra.Command {
	var o checklistOptions
	cmd := &cobra.Command{
		Use:   "checklist SERVER",
		Short: "Answer the ten questions of the security checklist for a server",
		Long: `checklist answers for one server what should be settled before it is trusted: reviewed
source, read-only credentials, a restricted file system, fine-grained tokens, a sandbox,
approval, no sensitive data, rotation, an allowlist, and a log. Each answer is pass, fail
or unknown, with what shows it. What cannot be shown, a person attests with --attest; that
counts until it ends or the server changes. What fails cannot be attested away.

SERVER is a name as the clients' files spell it, or the id that scan --json prints.

Exit codes: 0 everything passes; 1 something fails; 2 wrong usage; 3 something is unknown.`,
		Example: `  gatehouse checklist github
  gatehouse checklist github --attest rotation --by ada --note "calendar, first of the month" --for 30d`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.attest, "attest", "", "say in your name that this `ITEM` holds: "+strings.Join(checklist.Items(), ", "))
	f.StringVar(&o.by, "by", "", "who attests it (default: who you are to this machine)")
	f.StringVar(&o.note, "note", "", "how you know; needed with --attest")
	f.StringVar(&o.lasts, "for", "90d", "how long it counts, such as 30d, at most 366d")
	f.StringArrayVar(&o.projects, "project", nil, "look for files of projects in this `FOLDER` (default: this one; repeatable)")
	f.StringVar(&o.state, "state", "", "state folder of `gatehouse run` (default: the user's state folder)")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// checklistReport is the report in JSON. The names are stable within one schema.
type checklistReport struct {
	Schema  string             `json:"schema"`
	Server  string             `json:"server"` // name
	ID      string             `json:"id"`
	Clients []string           `json:"clients"`
	Answers []checklist.Answer `json:"answers"`
	Pass    int                `json:"pass"`
	Fail    int                `json:"fail"`
	Unknown int                `json:"unknown"`
}

func (o checklistOptions) run(cmd *cobra.Command, name string) error {
	if o.state == "" {
		o.state = userStateDir()
	}
	var home string
	files, err := ownFiles(o.projects, &home)
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	scene := &judging.Scene{Now: time.Now(), Home: home, Files: files}
	scene.Servers = inventory.Servers(entries(files))
	if err := facts.Gather(cmd.Context(), facts.Options{Home: home, Getenv: os.Getenv, State: o.state}, scene); err != nil {
		return exitWith(exitIncomplete, err)
	}
	server, err := oneServer(scene.Servers, name)
	if err != nil {
		return exitWith(exitUsage, err)
	}
	store := checklist.Store{Path: filepath.Join(o.state, "checklist.json")}
	attestations, err := store.All()
	if err != nil {
		return exitWith(exitIncomplete, err)
	}
	subject := o.subject(scene, server)
	answers := checklist.Judge(subject, attestations)
	if o.attest != "" {
		if err := o.add(store, subject, answers); err != nil {
			return exitWith(exitUsage, err)
		}
		if attestations, err = store.All(); err != nil {
			return exitWith(exitIncomplete, err)
		}
		answers = checklist.Judge(subject, attestations)
	}
	return o.report(cmd.OutOrStdout(), server, answers)
}

func entries(files []client.File) (all []client.Entry) {
	for _, f := range files {
		all = append(all, f.Entries...)
	}
	return all
}

// oneServer finds the server that is meant, and no other.
func oneServer(all []inventory.Server, name string) (inventory.Server, error) {
	var found []inventory.Server
	for _, s := range all {
		if s.ID == name || s.Name == name || slices.ContainsFunc(s.Entries, func(e client.Entry) bool { return e.Name == name }) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return inventory.Server{}, fmt.Errorf("no client has a server %q; `gatehouse scan` lists them", name)
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, s := range found {
		ids = append(ids, fmt.Sprintf("%s (%s)", s.ID, clipped(report.Runs(s), 80)))
	}
	return inventory.Server{}, fmt.Errorf("%q is several servers; name one by its id: %s", name, strings.Join(ids, ", "))
}

// subject gathers what is known about a server.
func (o checklistOptions) subject(scene *judging.Scene, server inventory.Server) checklist.Subject {
	s := checklist.Subject{Now: scene.Now, Server: server, Lock: map[string]checklist.Listed{}, Log: map[string]checklist.Seen{}}
	result := checks.Run(scene)
	for _, f := range result.Findings {
		if f.Server == server.ID || f.Server == "" && slices.ContainsFunc(server.Entries, func(e client.Entry) bool { return e.File == f.File }) {
			s.Result.Findings = append(s.Result.Findings, f)
		}
	}
	for _, u := range result.Unchecked {
		if u.Server == server.ID || u.Server == "" {
			s.Result.Unchecked = append(s.Result.Unchecked, u)
		}
	}
	s.Tokens = tokensOf(server)
	s.LockProblem = o.lock(&s)
	s.LogProblem = o.log(&s)
	return s
}

// tokensOf are the credentials of a server, as far as they can be had: as they stand, or as
// references to a store of ours lead to them. They are only looked at to tell of which kind
// they are.
func tokensOf(server inventory.Server) (tokens []string) {
	for _, e := range server.Entries {
		for _, c := range credential.Of(e) {
			tokens = append(tokens, c.Value())
		}
		for _, v := range e.Env {
			if v.Kind != client.Reference || !secret.IsReference(string(v.Raw)) {
				continue
			}
			reference, err := config.ParseReference(string(v.Raw), v.Name, filepath.Dir(e.File))
			if err != nil {
				continue
			}
			if token, err := reference.Resolve(); err == nil { // one that cannot be had is unknown
				tokens = append(tokens, token)
			}
		}
	}
	return tokens
}

// lock reads what is approved. Without a lock file nothing is.
func (o checklistOptions) lock(s *checklist.Subject) error {
	path := filepath.Join(o.state, lockName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	book, err := approval.Open(path, filepath.Join(o.state, "pending"))
	if err != nil {
		return err
	}
	for _, id := range book.Servers() {
		var l checklist.Listed
		for _, a := range book.Approvals(id) {
			l.Items++
			if a.By != approval.FirstUse && !slices.Contains(l.People, a.By) {
				l.People = append(l.People, a.By)
			}
		}
		for _, c := range book.Pending() {
			if c.Server == id && c.Waits() {
				l.Waiting++
			}
		}
		s.Lock[id] = l
	}
	return nil
}

// log counts what is on record of the last 30 days.
func (o checklistOptions) log(s *checklist.Subject) error {
	dir := filepath.Join(o.state, "audit")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	const days = 30
	filter := audit.Filter{Kinds: []audit.Kind{audit.Decided, audit.ServerStarted}, Since: s.Now.AddDate(0, 0, -days)}
	return audit.Read(dir, filter, func(r *audit.Record) error {
		seen := s.Log[r.Server]
		seen.Records++
		seen.Last = r.Time
		s.Log[r.Server] = seen
		return nil
	})
}

func (o checklistOptions) add(store checklist.Store, s checklist.Subject, answers []checklist.Answer) error {
	lasts, err := parseLength(o.lasts)
	if err != nil {
		return fmt.Errorf("--for %s: %w", o.lasts, err)
	}
	if o.by == "" {
		o.by = person()
	}
	return store.Add(checklist.Attestation{
		Server: s.Server.ID, Item: o.attest, By: o.by, Note: o.note,
		At: s.Now.UTC().Truncate(time.Second), Expires: s.Now.Add(lasts).UTC().Truncate(time.Second), Evidence: checklist.Evidence(s.Server),
	}, answers)
}

func (o checklistOptions) report(out io.Writer, server inventory.Server, answers []checklist.Answer) error {
	r := checklistReport{Schema: "gatehouse.checklist/1", Server: server.Name, ID: server.ID, Clients: server.Clients, Answers: answers}
	for _, a := range answers {
		*map[checklist.Status]*int{checklist.Pass: &r.Pass, checklist.Fail: &r.Fail, checklist.Unknown: &r.Unknown}[a.Status]++
	}
	if o.json {
		if err := printJSON(out, r); err != nil {
			return exitWith(exitIncomplete, err)
		}
	} else {
		r.print(out)
	}
	switch {
	case r.Fail > 0:
		return exitWith(exitFindings, nil)
	case r.Unknown > 0:
		return exitWith(exitIncomplete, nil)
	}
	return nil
}

func (r checklistReport) print(out io.Writer) {
	const most = 500
	fmt.Fprintf(out, "%s (%s), in %s\n\n", clipped(r.Server, 60), r.ID, strings.Join(r.Clients, ", "))
	for _, a := range r.Answers {
		fmt.Fprintf(out, "%-8s %-12s %s\n", a.Status, a.Item, a.Title)
		for _, line := range a.Evidence {
			fmt.Fprintf(out, "%22s%s\n", "", clipped(line, most))
		}
		if a.Attest != "" {
			fmt.Fprintf(out, "%22sto attest: %s\n", "", a.Attest)
		}
	}
	fmt.Fprintf(out, "\n%d pass, %d fail, %d unknown.\n", r.Pass, r.Fail, r.Unknown)
	if r.Unknown > 0 {
		fmt.Fprintf(out, "gatehouse checklist %s --attest ITEM --note \"how you know\" says what only a person can.\n", clipped(commandLine([]string{r.Server}), 80))
	}
}
