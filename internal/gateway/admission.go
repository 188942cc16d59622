package gateway

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// admission is the first look at a server in this run: its whole definition is
// read, shown to the rules and compared with what was approved.
type admission struct {
	mu       sync.Mutex
	running  chan struct{} // closed when the look under way is over
	err      error         // of the last look
	done     bool
	facts    facts
	names    []string // tools, for the rules that compare servers
	reported map[string]bool
	// driftBytes are all definitions that differed in this run.
	driftBytes int
}

// facts are what a server says it speaks and offers.
type facts struct {
	modern, legacy bool
	capabilities   wire.Value
	about          wire.Value // its answer to server/discover, or to initialize
}

// admitted returns when the server may be used, or why it may not.
func (s *server) admitted(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	if s.gateway.book.Server(s.id) != approval.Approved {
		s.gateway.refreshBook()
	}
	if s.gateway.book.Server(s.id) == approval.Unknown {
		// Somebody took the server out of the lock file: it is a new one again.
		s.forget()
		if err := s.look(ctx); err != nil {
			return err
		}
	}
	switch s.gateway.book.Server(s.id) {
	case approval.Approved:
	case approval.Drift:
		return decision.Refuse(decision.Drift, "how %s is started or reached has changed", s.id)
	case approval.Quarantined:
		return decision.Refuse(decision.Quarantined, "%s", s.id)
	default:
		return decision.Refuse(decision.Quarantined, "%s was never approved", s.id)
	}
	return nil
}

// eras are the eras that the server speaks.
func (s *server) eras() (modern, legacy bool) {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	return s.admission.facts.modern, s.admission.facts.legacy
}

// speaks reports whether the server speaks an era.
func (s *server) speaks(modern bool) bool {
	m, l := s.eras()
	return modern && m || !modern && l
}

// about is what the server said of itself at the first look.
func (s *server) about() wire.Value {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	return s.admission.facts.about
}

// look makes sure that the server was looked at, once for all who wait.
func (s *server) look(ctx context.Context) error {
	a := &s.admission
	a.mu.Lock()
	if a.done {
		a.mu.Unlock()
		return nil
	}
	if err := a.err; a.running == nil && err != nil && s.waits() > 0 {
		a.mu.Unlock()
		return err // why it failed says more than that it is not tried again yet
	}
	if a.running == nil {
		a.running = make(chan struct{})
		over := a.running
		s.gateway.sweeping.Go(func() { s.firstLook(over) }) // it writes into the book, and must not after Close
	}
	running := a.running
	a.mu.Unlock()
	select {
	case <-running:
	case <-ctx.Done():
		return cancelled(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done {
		return nil
	}
	return a.err
}

func (s *server) forget() {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	s.admission.done = false
}

func (s *server) firstLook(over chan struct{}) {
	err := recovered(s.readAndJudge)
	if err != nil && !slices.Contains([]decision.Reason{decision.Drift, decision.Quarantined, decision.UpstreamAuth}, decision.From(err).Reason) {
		s.startFailed() // whatever failed, it is not tried again at once
	}
	s.wasRead.Do(func() { close(s.read) }) // nobody waits for a server that cannot be read
	s.admission.mu.Lock()
	s.admission.done, s.admission.err, s.admission.running = err == nil, err, nil
	s.admission.mu.Unlock()
	if err == nil {
		s.gateway.joiners.tell(s)
	}
	close(over)
}

// recovered turns a panic into an error. What a server lists must not end the
// program.
func recovered(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

func (s *server) readAndJudge() error {
	ctx, stop := context.WithTimeoutCause(s.gateway.ctx, 3*s.limits().StartTimeout,
		decision.Refuse(decision.UpstreamTimeout, "%s did not start in time", s.id))
	defer stop()
	source := s.source()
	// Another command or address behind an approved id is another server. It is not
	// even started: "MUST NOT proceed without consent" (SEP-1024).
	s.gateway.refreshBook()
	switch s.gateway.book.Check(s.id, approval.KindSource, "", source.Item().Digest) {
	case approval.New, approval.Drift:
		s.drifted(source.Item(), []finding.Finding{})
		return decision.Refuse(decision.Drift, "how %s is started or reached has changed", s.id)
	}
	items, found, err := s.readDefinition(ctx)
	if err != nil {
		return err
	}
	s.admission.mu.Lock()
	s.admission.facts = found
	s.admission.names = toolNames(items)
	s.admission.mu.Unlock()
	s.wasRead.Do(func() { close(s.read) })
	s.warnAboutFilters(items)
	if s.gateway.book.Server(s.id) == approval.Unknown {
		s.awaitNeighbours(ctx)
	}
	return s.judge(approval.Definition{Source: source, Items: items})
}

func toolNames(items []approval.Item) []string {
	var names []string
	for _, i := range items {
		if i.Kind == approval.KindTool {
			names = append(names, i.Name)
		}
	}
	return names
}

// awaitNeighbours gives the other servers the time of a start to be read, so that
// their tools can be compared before this one is used for the first time.
func (s *server) awaitNeighbours(ctx context.Context) {
	wait := time.NewTimer(s.limits().StartTimeout)
	defer wait.Stop()
	for _, other := range s.live().order {
		select {
		case <-other.read:
		case <-wait.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// judge shows a whole definition to the rules and the result to the book.
func (s *server) judge(d approval.Definition) error {
	findings, err := s.inspectItems(d.Items)
	if err != nil {
		return err
	}
	out, err := s.gateway.book.Observe(s.id, d, approval.ObserveOptions{
		Explicit: s.config.Approve == config.Explicit, Objections: s.live().objections(findings),
	})
	if err != nil {
		return &decision.Refusal{Reason: decision.Quarantined, Detail: s.id + ": its definition cannot be recorded", Err: err}
	}
	switch {
	case out.FirstUse:
		s.gateway.note(&audit.Record{Kind: audit.Admitted, Server: s.id, Findings: findings,
			Detail: fmt.Sprintf("first use: %d definitions approved", len(d.Items))})
	case out.State == approval.Quarantined:
		s.gateway.note(&audit.Record{Kind: audit.Quarantined, Server: s.id, Decision: audit.Deny,
			Reason: string(decision.Quarantined), Findings: asFindings(append(out.Objections, lesser(findings)...), "quarantined")})
		s.log.Warn("the server waits for review", "findings", len(out.Objections))
	}
	for _, c := range out.Changes {
		if out.State != approval.Quarantined && c.Waits() {
			s.drifted(c.New, c.Findings)
		}
	}
	return nil
}

func lesser(findings []finding.Finding) []finding.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f finding.Finding) bool { return f.Effect == inspect.Objected })
}

// inspectItems shows every string of every definition to the rules.
func (s *server) inspectItems(items []approval.Item) ([]finding.Finding, error) {
	live, neighbours := s.live(), s.neighbours()
	var all []finding.Finding
	for _, i := range items {
		doc, err := wire.Scan(i.Definition, wire.Limits{})
		if err != nil {
			return nil, err
		}
		subject := live.subject(s, surfaceOf(i.Kind), i.Name)
		subject.Neighbours = neighbours
		out, err := live.inspector.Message(&doc, doc.Root, subject)
		if err != nil {
			return nil, fmt.Errorf("inspecting the definition of %s: %w", s.id, err)
		}
		all = append(all, out.Findings...)
	}
	// The worst first: what is cut off must be the least of it.
	slices.SortStableFunc(all, func(a, b finding.Finding) int { return int(b.Severity) - int(a.Severity) })
	return all[:min(len(all), maxDefinitionFindings)], nil
}

// maxDefinitionFindings of one server are kept. One is enough to stop it.
const maxDefinitionFindings = 100

func surfaceOf(k approval.Kind) rule.Surface {
	switch k {
	case approval.KindInstructions:
		return rule.Instructions
	case approval.KindTool:
		return rule.ToolDefinition
	case approval.KindPrompt:
		return rule.PromptDefinition
	}
	return rule.ResourceDefinition
}

// neighbours are the tools of all servers, this one's too: a name that is also its
// own is not another server's.
func (s *server) neighbours() []rule.Neighbour {
	var list []rule.Neighbour
	for _, other := range s.live().order {
		other.admission.mu.Lock()
		for _, name := range other.admission.names {
			list = append(list, rule.Neighbour{Server: other.id, Name: name})
		}
		other.admission.mu.Unlock()
	}
	return list
}

// approved is nil if the definition is approved as it stands. A definition that
// is not becomes visible to `gatehouse approve`.
func (s *server) approved(i *item) error { return s.approvedItem(i.Item) }

func (s *server) approvedItem(i approval.Item) error {
	state := s.gateway.book.Check(s.id, i.Kind, i.Name, i.Digest)
	if state != approval.Approved {
		// A person may have approved it this moment.
		s.gateway.refreshBook()
		state = s.gateway.book.Check(s.id, i.Kind, i.Name, i.Digest)
	}
	switch state {
	case approval.Approved:
		return nil
	case approval.Quarantined:
		return decision.Refuse(decision.Quarantined, "%s", s.id)
	case approval.Unknown:
		return decision.Refuse(decision.Quarantined, "%s was never approved", s.id)
	}
	s.drifted(i, nil)
	return decision.Refuse(decision.Drift, "%s %s", s.id, printable(i.Name))
}

// drifted puts a definition that differs where a person finds it, and into the
// log, once for each form in which it appears.
func (s *server) drifted(i approval.Item, findings []finding.Finding) {
	if !s.firstTime(i.Digest) || !s.mayDrift(i) {
		return
	}
	if findings == nil {
		var err error
		if findings, err = s.inspectItems([]approval.Item{i}); err != nil {
			s.log.Error("a changed definition could not be inspected", "error", err)
		}
	}
	if err := s.gateway.book.Pend(s.id, i, findings...); err != nil {
		s.log.Error("a changed definition could not be kept for review", "error", err)
	}
	s.gateway.note(&audit.Record{Kind: audit.Drifted, Server: s.id, Target: i.Name, Decision: audit.Deny,
		Reason: string(decision.Drift), Findings: asFindings(findings, "quarantined"), Detail: string(i.Kind) + " " + i.Digest})
}

// mayDrift bounds what is kept of definitions that differ. A server that invents
// new ones for every list is refused all the same; a person needs to see it once.
func (s *server) mayDrift(i approval.Item) bool {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	before := s.admission.driftBytes
	s.admission.driftBytes += len(i.Definition)
	if before <= maxDriftBytes && s.admission.driftBytes > maxDriftBytes {
		s.log.Warn("the server keeps changing its definitions; further changes are refused and no longer kept for review")
	}
	return s.admission.driftBytes <= maxDriftBytes
}

const maxDriftBytes = 4 << 20

// firstTime reports whether nothing was said about this yet.
func (s *server) firstTime(about string) bool {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	seen := s.admission.reported[about]
	if len(s.admission.reported) > maxRemembered {
		clear(s.admission.reported)
	}
	s.admission.reported[about] = true
	return !seen
}

const maxRemembered = 10_000

// objections are the findings that keep a definition from being used unseen.
func (l *live) objections(findings []finding.Finding) []finding.Finding {
	var list []finding.Finding
	for _, f := range findings {
		if f.Effect == inspect.Objected {
			list = append(list, f)
		}
	}
	return list
}

// capabilities are what the server offered at the first look.
func (s *server) capabilities() wire.Value {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	return s.admission.facts.capabilities
}

// ownerOf says who a server belongs to, from the configuration alone.
func ownerOf(c config.Server) string {
	words := []string{c.ID, c.URL}
	if c.Sandbox != nil {
		words = append(words, c.Sandbox.Image)
	}
	return strings.ToLower(strings.Join(append(words, c.Command...), " "))
}
