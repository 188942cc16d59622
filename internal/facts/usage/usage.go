// Package usage finds out when servers were last used, from what clients and Gatehouse
// wrote down while they worked. Of all that stands in transcripts and logs, it takes names
// of servers and times, and keeps nothing else.
//
// That nothing was found means only that nothing was found: a client may write no log, or
// have thrown it away.
package usage

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/statefile"
)

// Bounds on what is read, newest first. A year of heavy work leaves gigabytes; the last
// weeks answer the question.
const (
	maxFiles     = 400
	maxFileBytes = 32 << 20 // the end of a file: the newest is there
	maxBytes     = 256 << 20
	maxLine      = 1 << 20
	maxFolders   = 4000
	maxSettings  = 1 << 20
	dated        = 100 // lines of a file whose times are looked at, besides those of calls: files begin with the oldest
	// recent is how old the newest writing of a client may be. One that has written nothing
	// since may write elsewhere, or not at all.
	recent = 30 * 24 * time.Hour
	// auditBack is how far back our own log is read.
	auditBack = 180 * 24 * time.Hour
)

// Reader knows where to look.
type Reader struct {
	Home   string
	Getenv func(string) string
	Audit  string // folder of the audit log; empty if there is none
	Now    time.Time
}

// Uses are what was found, by the names under which clients know servers.
type Uses struct {
	seen map[named]*tally
	// reach is how far back evidence goes: of a client, under an empty name of a server, or
	// of one server where each has a log of its own.
	reach map[named]time.Time
}

type named struct{ client, server string }

type tally struct {
	last  time.Time
	calls int
	from  string
}

// gateway stands for our own log in the place of a client.
const gateway = "gatehouse"

// Read looks through everything. What cannot be read is no evidence.
func (r Reader) Read() *Uses {
	u := &Uses{seen: map[named]*tally{}, reach: map[named]time.Time{}}
	budget := int64(maxBytes)
	for _, s := range sources(r.Home, r.Getenv) {
		r.transcripts(u, s, &budget)
	}
	r.audit(u)
	return u
}

// Of is the evidence about a server with these entries, whoever used it.
func (u *Uses) Of(entries ...client.Entry) check.Use {
	var use check.Use
	for _, e := range entries {
		for _, c := range e.Clients {
			if !u.add(&use, c, e.Name) {
				use.Blind = append(use.Blind, c)
			}
		}
		if id := ID(e.Words); id != "" {
			u.add(&use, gateway, id)
		}
	}
	slices.Sort(use.Blind)
	use.Blind = slices.Compact(use.Blind)
	return use
}

// Join is the evidence of two homes: it reaches only as far as both do.
func Join(a, b check.Use) check.Use {
	a.Known = a.Known || b.Known
	a.Calls += b.Calls
	if b.Last.After(a.Last) {
		a.Last, a.From = b.Last, b.From
	}
	if b.Since.After(a.Since) {
		a.Since = b.Since
	}
	a.Blind = append(slices.Clone(a.Blind), b.Blind...)
	slices.Sort(a.Blind)
	a.Blind = slices.Compact(a.Blind)
	return a
}

// add adds the evidence that one client left, if there is any.
func (u *Uses) add(use *check.Use, client, name string) bool {
	at := named{client, plain(name)}
	since, known := u.reach[at]
	if !known {
		since, known = u.reach[named{client, ""}]
	}
	if !known || at.server == "" { // such as a name in letters that clients do not keep
		return false
	}
	use.Known = true
	if since.After(use.Since) {
		use.Since = since // from here on, all of them tell
	}
	for seen, t := range u.seen {
		if seen.client != client || seen.server != at.server && !ofPlugin(seen.server, at.server) {
			continue
		}
		use.Calls += t.calls
		if t.last.After(use.Last) {
			use.Last, use.From = t.last, t.from
		}
	}
	return true
}

// ofPlugin reports whether a name may be that of a server in a plugin. Claude Code puts
// the name of the plugin before it: mcp__plugin_PLUGIN_SERVER__tool.
func ofPlugin(seen, name string) bool {
	return strings.HasPrefix(seen, "plugin_") && strings.HasSuffix(seen, "_"+name)
}

// ID is the name under which our log knows a server that is started through
// "gatehouse run --id NAME -- …"; empty for others.
func ID(words []string) string {
	if i := slices.Index(words, "--id"); i > 0 && i+1 < len(words) && slices.Contains(words[:i], "run") {
		return words[i+1]
	}
	return ""
}

// plain is a name as clients write it into the names of tools: mcp__my_server__tool. Some
// keep hyphens. What stands behind two underscores in a name of its own cannot be told from
// a tool, nor an underscore at its end from those behind it.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
	name, _, _ = strings.Cut(name, "__")
	return strings.TrimRight(name, "_")
}

func (u *Uses) used(client, server string, at time.Time, from string) {
	if server == "" || at.IsZero() {
		return
	}
	key := named{client, plain(server)}
	t := u.seen[key]
	if t == nil {
		t = &tally{}
		u.seen[key] = t
	}
	t.calls++
	if at.After(t.last) {
		t.last, t.from = at, from
	}
}

// cut says that there is no evidence of the time before. It makes none.
func (u *Uses) cut(of named, at time.Time) {
	if since, known := u.reach[of]; known && at.After(since) {
		u.reach[of] = at
	}
}

// reaches says that there is evidence from a time on.
func (u *Uses) reaches(of named, since time.Time) {
	if before, known := u.reach[of]; !known || since.Before(before) {
		u.reach[of] = since
	}
}

// file is one file of a client.
type file struct {
	path string
	size int64
	at   time.Time
}

// transcripts reads the files of one client, the newest first, until the bounds are met.
// What is not read, or tells nothing, ends what is known; if it is the newest, nothing is.
func (r Reader) transcripts(u *Uses, s source, budget *int64) {
	files := s.files()
	slices.SortFunc(files, func(a, b file) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.path, b.path)) })
	ended := map[named]bool{}
	for i, f := range files {
		of := named{s.client, s.log(f.path)}
		if ended[of] {
			continue
		}
		_, known := u.reach[of]
		old := !known && f.at.Before(r.Now.Add(-recent))
		earliest, whole, err := f.at, false, error(nil)
		if !old && i < maxFiles && *budget > 0 {
			earliest, whole, err = s.read(u, f, budget)
			if err == nil {
				u.reaches(of, earliest)
			}
		}
		if !whole {
			u.cut(of, earliest)
			ended[of] = true
		}
	}
	if s.kept != nil && len(files) > 0 {
		if days, set := s.kept(); set {
			u.cut(named{s.client, ""}, r.Now.AddDate(0, 0, -days))
		}
	}
}

// errTellsNothing says that a file has no line of a kind in which calls would stand, or is
// packed.
var errTellsNothing = errors.New("the log does not say what is called")

// read goes through the end of a file, line by line. It is whole if that is all of it.
func (s source) read(u *Uses, f file, budget *int64) (earliest time.Time, whole bool, err error) {
	earliest = f.at
	if strings.HasSuffix(f.path, packed) {
		return earliest, false, errTellsNothing
	}
	in, err := openRegular(f.path)
	if err != nil {
		return earliest, false, err
	}
	defer in.Close()
	skip := max(f.size-min(maxFileBytes, *budget), 0)
	if _, err := in.Seek(skip, io.SeekStart); err != nil {
		return earliest, false, err
	}
	told := s.tells == nil
	lines := bufio.NewReaderSize(io.LimitReader(in, maxFileBytes), 64<<10)
	var line []byte
	for n := 0; ; n++ {
		line, err = nextLine(lines, line[:0])
		*budget -= int64(len(line))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f.at, false, err
		}
		if n == 0 && skip > 0 {
			continue // the rest of a line
		}
		told = told || s.tells.Match(line)
		var at time.Time
		if used := s.counts(line); used || n < dated {
			at = timeIn(line)
			if used {
				s.take(u, f, line, at)
			}
		}
		if !at.IsZero() && at.Before(earliest) {
			earliest = at
		}
	}
	if !told {
		return f.at, false, errTellsNothing
	}
	return earliest, skip == 0, nil
}

// take notes the use that a line shows.
func (s source) take(u *Uses, f file, line []byte, at time.Time) {
	name := s.log(f.path)
	if name == "" {
		name = plain(s.server(line))
	}
	if at.IsZero() {
		at = f.at
	}
	u.used(s.client, name, at, s.from)
}

// openRegular opens a file that is not a pipe or a device, and does not follow what was
// put in its place meanwhile into one.
func openRegular(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, os.ErrInvalid
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if now, err := in.Stat(); err != nil || !os.SameFile(info, now) {
		in.Close()
		return nil, os.ErrInvalid
	}
	return in, nil
}

// nextLine reads one line, of which at most maxLine bytes are kept.
func nextLine(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		if room := maxLine - len(line); room > 0 {
			line = append(line, part[:min(len(part), room)]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			return line, nil // the next one is empty
		}
		return line, err
	}
}

// toolUse finds the names of tools of MCP servers as clients write them.
var toolUse = regexp.MustCompile(`"(?:name|tool_name|toolName)"\s*:\s*"mcp__([A-Za-z0-9_-]{1,120}?)__[A-Za-z0-9_.-]{1,120}"`)

// stamp finds the time of a line of a log.
var stamp = regexp.MustCompile(`^\[?(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?)`)

// timeIn is when a line was written. In a line of JSON other times may stand too, in what a
// tool answered: only its own counts.
func timeIn(line []byte) time.Time {
	if bytes.HasPrefix(line, []byte("{")) {
		var said struct {
			Timestamp time.Time `json:"timestamp"`
		}
		if json.Unmarshal(line, &said) != nil {
			return time.Time{}
		}
		return said.Timestamp
	}
	m := stamp.FindSubmatch(line)
	if m == nil {
		return time.Time{}
	}
	text := strings.Replace(string(m[1]), " ", "T", 1)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700", "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

// audit reads our own log: what went through the gateway.
func (r Reader) audit(u *Uses) {
	if r.Audit == "" {
		return
	}
	if _, err := os.Stat(r.Audit); err != nil {
		return
	}
	begun := false
	err := audit.Read(r.Audit, audit.Filter{Since: r.Now.Add(-auditBack)}, func(rec *audit.Record) error {
		if !begun {
			u.reaches(named{gateway, ""}, rec.Time)
			begun = true
		}
		if rec.Kind == audit.Decided && rec.Server != "" && rec.Decision == audit.Allow {
			u.used(gateway, rec.Server, rec.Time, "the log of Gatehouse")
		}
		return nil
	})
	if err != nil { // calls may stand behind what cannot be read
		delete(u.reach, named{gateway, ""})
	}
}

// source is what one client writes.
type source struct {
	client string
	from   string // for people
	files  func() []file
	// counts reports whether a line shows a use of a server.
	counts func(line []byte) bool
	// log is the server whose log a file is; empty where one file is about all of them.
	// Then server says which one a line is about.
	log    func(path string) string
	server func(line []byte) string
	// tells is a line that stands in a log only if calls would; nil if they always do.
	tells *regexp.Regexp
	// kept says for how many days the client keeps what it wrote, if somebody chose; nil if
	// it deletes nothing.
	kept func() (days int, set bool)
}

func ofAll(string) string { return "" }

// sources lists the clients whose writings are understood.
func sources(home string, getenv func(string) string) []source {
	or := func(variable, otherwise string) string {
		if dir := getenv(variable); filepath.IsAbs(dir) {
			return dir
		}
		return otherwise
	}
	claude, codex := or("CLAUDE_CONFIG_DIR", filepath.Join(home, ".claude")), or("CODEX_HOME", filepath.Join(home, ".codex"))
	// Claude Desktop and VS Code write a log for each server.
	desktop, editor := []string{filepath.Join(home, "Library", "Logs", "Claude")}, []string{}
	for _, dir := range []string{filepath.Join(home, "Library", "Application Support"), or("XDG_CONFIG_HOME", filepath.Join(home, ".config")), or("APPDATA", filepath.Join(home, "AppData", "Roaming"))} {
		desktop = append(desktop, filepath.Join(dir, "Claude", "logs"))
		editor = append(editor, filepath.Join(dir, "Code", "logs"), filepath.Join(dir, "Code - Insiders", "logs"))
	}
	logs := func(client, from string, form *regexp.Regexp, dirs []string) source {
		log := func(path string) string { return plain(form.FindStringSubmatch(filepath.Base(path))[1]) }
		return source{client, from, below(form, dirs...), callInLog.Match, log, nil, messages, nil}
	}
	return []source{
		{"claude-code", "the transcripts of Claude Code", below(sessionFile, filepath.Join(claude, "projects")), isToolUse, ofAll, inToolName, nil, cleanup(filepath.Join(claude, "settings.json"))},
		{"codex", "the sessions of Codex", below(sessionFile, filepath.Join(codex, "sessions"), filepath.Join(codex, "archived_sessions")), isCodexUse, ofAll, inCodex, nil, nil},
		logs("claude-desktop", "the logs of Claude Desktop", desktopLog, desktop),
		logs("vscode", "the logs of VS Code", editorLog, editor),
	}
}

// packed ends the names of sessions that Codex compressed.
const packed = ".zst"

var (
	sessionFile = regexp.MustCompile(`\.jsonl(\.zst)?$`)
	desktopLog  = regexp.MustCompile(`^mcp-server-(.+?)\.log$`)
	editorLog   = regexp.MustCompile(`^mcpServer\.mcp\.config\.[a-z]+[0-9]*\.(.+)\.log$`)
	messages    = regexp.MustCompile(`"method"\s*:\s*"`) // VS Code writes them at the level debug only
	callInLog   = regexp.MustCompile(`tools/call|"method"\s*:\s*"(?:resources/read|prompts/get)"`)
)

// cleanup reads after how many days without a change Claude Code deletes transcripts; 30
// if nobody chose, which is what counts as unused.
func cleanup(settings string) func() (days int, set bool) {
	return func() (int, bool) {
		var chosen struct {
			Days *int `json:"cleanupPeriodDays"`
		}
		raw, err := statefile.Read(settings, maxSettings)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, false
		}
		if err != nil || json.Unmarshal(raw, &chosen) != nil {
			return 0, true // it may delete at once
		}
		if chosen.Days == nil {
			return 0, false
		}
		return max(*chosen.Days, 0), true
	}
}

func isToolUse(line []byte) bool {
	return bytes.Contains(line, []byte(`"mcp__`)) && toolUse.Match(line)
}

func inToolName(line []byte) string { return string(toolUse.FindSubmatch(line)[1]) }

// inCodex reads a call in a session of Codex: a call of a tool of a server has the name
// mcp__server__tool or the namespace mcp__server, and its end says which server it was for.
func inCodex(line []byte) string {
	var said struct {
		Payload struct {
			Name       string `json:"name"`
			Namespace  string `json:"namespace"`
			Invocation struct {
				Server string `json:"server"`
			} `json:"invocation"`
		} `json:"payload"`
	}
	if json.Unmarshal(line, &said) != nil {
		return ""
	}
	if said.Payload.Invocation.Server != "" {
		return said.Payload.Invocation.Server
	}
	if server, found := strings.CutPrefix(said.Payload.Namespace, "mcp__"); found {
		return server
	}
	server, _, joined := strings.Cut(strings.TrimPrefix(said.Payload.Name, "mcp__"), "__")
	if !joined {
		return ""
	}
	return server
}

func isCodexUse(line []byte) bool {
	return bytes.Contains(line, []byte(`"mcp_tool_call_`)) || bytes.Contains(line, []byte(`"function_call"`)) && bytes.Contains(line, []byte(`__`))
}

// below lists the files below some folders whose names have a form. Links are not
// followed. Where not all can be listed, calls may stand in the others: there are none then.
func below(form *regexp.Regexp, roots ...string) func() []file {
	return func() []file {
		var out []file
		folders := 0
		for _, root := range roots {
			err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				switch {
				case errors.Is(err, fs.ErrNotExist):
					return nil // also while this goes on
				case err != nil:
					return err
				case d.IsDir():
					if folders++; folders > maxFolders {
						return errTooMany
					}
				case d.Type().IsRegular() && form.MatchString(d.Name()):
					if info, err := d.Info(); err == nil {
						out = append(out, file{path, info.Size(), info.ModTime()})
					}
				}
				return nil
			})
			if err != nil {
				return nil
			}
		}
		return out
	}
}

var errTooMany = errors.New("too many folders")
