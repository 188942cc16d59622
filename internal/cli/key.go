package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/identity"
)

// keyOptions are those of all `gatehouse key` commands.
type keyOptions struct {
	config        string
	teams, scopes []string
	expires       string
	overlap       string
	json          bool
}

func newKeyCommand() *cobra.Command {
	var o keyOptions
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, list, rotate and revoke API keys",
		Long: `API keys identify programs that cannot sign in: jobs, services, agents. A client sends one as
"Authorization: Bearer gh_…". The key is shown once, when it is made; what is kept is only
enough to recognise it. A gateway that runs notices a change within a second.

Exit codes: 0 done; 1 with list: a key ends within two weeks; 2 wrong usage or
configuration; 3 the keys could not be read or written.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVarP(&o.config, "config", "c", defaultConfig, "configuration `FILE`")
	cmd.PersistentFlags().BoolVar(&o.json, "json", false, "write JSON")
	cmd.AddCommand(o.createCommand(), o.listCommand(), o.rotateCommand(), o.revokeCommand())
	return cmd
}

const (
	defaultLifetime = "90d"
	defaultOverlap  = "24h"
	// endsSoon is when list begins to remind of a key.
	endsSoon = 14 * 24 * time.Hour
)

func (o *keyOptions) createCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a key for a new principal, key:NAME",
		Example: "  gatehouse key create nightly-report --team data --expires 30d",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, expires, err := o.prepare()
			if err != nil {
				return err
			}
			defer keys.close()
			secret, made, err := identity.CreateKey(keys.file, identity.Key{Name: args[0], Teams: o.teams, Scopes: o.scopes, Expires: expires})
			if err != nil {
				return keyError(err, args[0])
			}
			if err := keys.recordMade(audit.KeyCreated, made); err != nil {
				return err
			}
			return o.printSecret(cmd, secret, made)
		},
	}
	cmd.Flags().StringSliceVar(&o.teams, "team", nil, "put it into this `TEAM`; may be repeated")
	cmd.Flags().StringSliceVar(&o.scopes, "scope", nil, "give it this `SCOPE`; may be repeated")
	o.expiresFlag(cmd)
	return cmd
}

func (o *keyOptions) expiresFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.expires, "expires", defaultLifetime, "how `LONG` the key is good, such as 12h or 90d, or never")
}

func (o *keyOptions) rotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Make another key for a name, and end the one before a while later",
		Example: `  gatehouse key rotate nightly-report
  gatehouse key rotate nightly-report --overlap 0`,
		Args: cobra.ExactArgs(1),

		ValidArgsFunction: o.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, expires, err := o.prepare()
			if err != nil {
				return err
			}
			defer keys.close()
			overlap, err := parseLifetime(o.overlap)
			if o.overlap == "never" {
				err = errors.New("the key before has to end some time")
			}
			if err != nil && o.overlap != "0" {
				return exitWith(exitUsage, fmt.Errorf("--overlap: %w", err))
			}
			secret, made, err := identity.RotateKey(keys.file, args[0], overlap, expires)
			if err != nil {
				return keyError(err, args[0])
			}
			if err := keys.recordMade(audit.KeyRotated, made); err != nil {
				return err
			}
			return o.printSecret(cmd, secret, made)
		},
	}
	cmd.Flags().StringVar(&o.overlap, "overlap", defaultOverlap, "how `LONG` the key before stays good, or 0")
	o.expiresFlag(cmd)
	return cmd
}

func (o *keyOptions) revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME|KEY",
		Short: "End all keys of a name, or one of them by its visible part, at once",
		Example: `  gatehouse key revoke nightly-report
  gatehouse key revoke gh_4fK9dQ2x`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.load()
			if err != nil {
				return err
			}
			revoked, err := identity.RevokeKey(c.Identity.Keys, args[0])
			if err != nil {
				return keyError(err, args[0])
			}
			// Ended first and recorded then, as halts are.
			if err := recordRevoked(c.State, args[0], revoked); err != nil {
				return exitWith(exitIncomplete, fmt.Errorf("revoked, but not recorded: %w", err))
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"revoked": revoked})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Revoked: %d.\n", revoked)
			return err
		},
	}
}

func (o *keyOptions) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys, by their visible part",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.load()
			if err != nil {
				return err
			}
			keys, err := identity.ReadKeys(c.Identity.Keys)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return exitWith(exitIncomplete, err)
			}
			return o.printKeys(cmd.OutOrStdout(), keys, time.Now())
		},
	}
}

// load reads the configuration, which must have keys.
func (o *keyOptions) load() (*config.Config, error) {
	c, err := loadConfig(o.config)
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	if c.Identity.Keys == "" {
		return nil, exitWith(exitUsage, fmt.Errorf("%s takes no API keys; add\n\nidentity:\n  keys: {}", c.Path))
	}
	return c, nil
}

// keyFile is the file of the keys, and the log in which it is recorded who made them.
type keyFile struct {
	file  string
	trail *audit.Log
}

// prepare makes the folder of the file ready to be written. A key that cannot be
// recorded is not made.
func (o *keyOptions) prepare() (keys *keyFile, expires time.Time, err error) {
	lifetime, err := parseLifetime(o.expires)
	if err != nil {
		return nil, time.Time{}, exitWith(exitUsage, fmt.Errorf("--expires: %w", err))
	}
	if lifetime > 0 {
		expires = time.Now().Add(lifetime).UTC().Truncate(time.Second)
	}
	c, err := o.load()
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := errors.Join(c.EnsureState(), os.MkdirAll(filepath.Dir(c.Identity.Keys), 0o700)); err != nil {
		return nil, time.Time{}, exitWith(exitIncomplete, err)
	}
	trail, err := openKeysLog(c.State)
	if err != nil {
		return nil, time.Time{}, exitWith(exitIncomplete, fmt.Errorf("not made, because it cannot be recorded: %w", err))
	}
	return &keyFile{c.Identity.Keys, trail}, expires, nil
}

// openKeysLog opens a log beside the gateway's own, which belongs to the gateway.
func openKeysLog(state string) (*audit.Log, error) {
	return openAudit(auditIn(state), "keys", audit.Options{})
}

func (k *keyFile) close() { _ = k.trail.Close() } // what was appended is there

// recordMade records a key that was just made, and ends it if that cannot be: nobody
// has seen it yet.
func (k *keyFile) recordMade(kind audit.Kind, made identity.Key) error {
	detail := made.Shown
	if len(made.Teams) > 0 {
		detail += ", teams " + strings.Join(made.Teams, " ")
	}
	if len(made.Scopes) > 0 {
		detail += ", scopes " + strings.Join(made.Scopes, " ")
	}
	if made.Expires.IsZero() {
		detail += ", does not expire"
	} else {
		detail += ", good until " + made.Expires.Format(time.RFC3339)
	}
	err := k.trail.Append(&audit.Record{Kind: kind, Principal: "local:" + person(), Target: "key:" + made.Name, Detail: detail})
	if err == nil {
		return nil
	}
	_, undo := identity.RevokeKey(k.file, made.Shown)
	return exitWith(exitIncomplete, errors.Join(fmt.Errorf("the key is revoked, because it cannot be recorded: %w", err), undo))
}

// recordRevoked records the end of the keys of a name, or of one by its visible part.
func recordRevoked(state, which string, revoked int) error {
	if revoked == 0 {
		return nil // they had ended before
	}
	trail, err := openKeysLog(state)
	if err != nil {
		return err
	}
	target := which
	if !strings.HasPrefix(which, "gh_") {
		target = "key:" + which // as where it was made
	}
	r := &audit.Record{Kind: audit.KeyRevoked, Principal: "local:" + person(), Target: target, Detail: fmt.Sprintf("keys that ended: %d", revoked)}
	return errors.Join(trail.Append(r), trail.Close())
}

// keyError tells what a person did from what the machine did.
func keyError(err error, name string) error {
	switch {
	case errors.Is(err, identity.ErrKeyExists):
		return exitWith(exitUsage, fmt.Errorf("%w: %s; `gatehouse key rotate %s` makes another one for it, and what was revoked does not come back under its name", err, name, name))
	case errors.Is(err, identity.ErrNoKey), errors.Is(err, os.ErrNotExist):
		return exitWith(exitUsage, fmt.Errorf("%w: %s; `gatehouse key list` shows them", identity.ErrNoKey, name))
	case errors.Is(err, identity.ErrKeyName):
		return exitWith(exitUsage, err)
	}
	return exitWith(exitIncomplete, err)
}

// longestLifetime keeps a lifetime a number of years that somebody can mean.
const longestLifetime = 10 * 365 * 24 * time.Hour

// parseLifetime reads 12h, 90d or never, which is zero.
func parseLifetime(text string) (time.Duration, error) {
	if text == "never" {
		return 0, nil
	}
	d, err := parseLength(text)
	if err != nil {
		return 0, fmt.Errorf("%w, or never", err)
	}
	return d, nil
}

// parseLength reads 12h or 90d.
func parseLength(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n int
		if n, err = strconv.Atoi(days); err == nil && n <= int(longestLifetime/(24*time.Hour)) {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d <= 0 || d > longestLifetime {
		return 0, fmt.Errorf("found %q, expected a time up to ten years, such as 12h or 90d", text)
	}
	return d, nil
}

// keyJSON is a key in JSON. The names are stable.
type keyJSON struct {
	Secret  string     `json:"secret,omitempty"` // only when it was made
	Name    string     `json:"name"`
	Key     string     `json:"key"` // the part that may be seen
	Teams   []string   `json:"teams,omitempty"`
	Scopes  []string   `json:"scopes,omitempty"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
	Revoked *time.Time `json:"revoked,omitempty"`
	Good    bool       `json:"good"`
}

func describeKey(k identity.Key, now time.Time) keyJSON {
	out := keyJSON{Name: k.Name, Key: k.Shown, Teams: k.Teams, Scopes: k.Scopes, Created: k.Created, Good: k.Good(now)}
	if !k.Expires.IsZero() {
		out.Expires = &k.Expires
	}
	if !k.Revoked.IsZero() {
		out.Revoked = &k.Revoked
	}
	return out
}

// printSecret writes the key alone to standard output, so that it can be piped to
// where it belongs, and everything about it to standard error.
func (o *keyOptions) printSecret(cmd *cobra.Command, secret string, k identity.Key) error {
	if o.json {
		out := describeKey(k, time.Now())
		out.Secret = secret
		return printJSON(cmd.OutOrStdout(), out)
	}
	until := "It does not expire."
	if !k.Expires.IsZero() {
		until = "It is good until " + k.Expires.Local().Format(time.DateTime) + "."
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "This is the key of key:%s. It is not shown again. %s\n", k.Name, until)
	_, err := fmt.Fprintln(cmd.OutOrStdout(), secret)
	return err
}

func (o *keyOptions) printKeys(w io.Writer, keys []identity.Key, now time.Time) error {
	list, soon := make([]keyJSON, 0, len(keys)), false
	for _, k := range keys {
		list = append(list, describeKey(k, now))
		soon = soon || k.Good(now) && !k.Expires.IsZero() && k.Expires.Before(now.Add(endsSoon))
	}
	err := o.printKeyList(w, list)
	if err == nil && soon {
		return exitWith(exitFindings, nil)
	}
	return err
}

func (o *keyOptions) printKeyList(w io.Writer, list []keyJSON) error {
	if o.json {
		return printJSON(w, list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "There are no keys.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tKEY\tTEAMS\tMADE\tGOOD UNTIL")
	for _, k := range list {
		until := "for ever"
		switch {
		case k.Revoked != nil:
			until = "revoked " + k.Revoked.Local().Format(time.DateOnly)
		case k.Expires != nil && !k.Good:
			until = "ended " + k.Expires.Local().Format(time.DateOnly)
		case k.Expires != nil:
			until = k.Expires.Local().Format(time.DateTime)
		}
		fmt.Fprintf(table, "%s\t%s…\t%s\t%s\t%s\n", k.Name, k.Key, strings.Join(k.Teams, " "), k.Created.Local().Format(time.DateOnly), until)
	}
	return table.Flush()
}
