package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// part is what one server contributes to a joined list. As long as its views are
// the same it is the same part.
type part struct {
	server  *server
	views   []*view
	entries []joinedEntry
	left    int
}

// joinedEntry is an entry of a list as it is shown where servers are joined.
type joinedEntry struct {
	name string // or URI
	raw  []byte
}

// joinedList is a list of all servers, ready to be sent, for as long as the parts
// are the same.
type joinedList struct {
	parts   []*part // in the order of live.order; nil: left out
	hints   hints
	entries []joinedEntry
	digest  string
	answers []*wire.Message // one for each page, with an id of our own

	searchOnce sync.Once
	index      *toolIndex
	indexErr   error
}

// listKey tells the joined lists of one configuration apart.
type listKey struct {
	method   string
	modern   bool
	audience string // audience.key; "" if nothing is hidden
}

// listCache holds the last joined list of each kind.
type listCache struct {
	mu    sync.Mutex
	lists map[listKey]*joinedList
}

// joinedList is the list that a method asks for, joined from all servers. What was
// read within definitionAge is not read again, and what is the same as last time is
// not put together again.
func (g *Gateway) joinedList(ctx context.Context, ex *exchange, method string) (*joinedList, error) {
	live := g.live.Load()
	parts := make([]*part, len(live.order))
	each := make([]hints, len(live.order))
	err := g.fromEach(ctx, ex, live, func(ctx context.Context, i int, s *server) (left int, err error) {
		parts[i], each[i], err = s.partFor(ctx, ex, method)
		if err != nil {
			return 0, err
		}
		return parts[i].left, nil
	})
	if err != nil {
		return nil, err
	}
	together := noHints
	for i, p := range parts {
		if p == nil {
			each[i] = hints{} // it may be there any moment
		}
		if p != nil && (p.left > 0 || !p.whole() || ex.audience != nil) {
			each[i].public = false // "MUST NOT be shared": not what everybody would see
		}
		together = together.join(each[i])
	}
	if len(parts) == 0 {
		together = hints{}
	}
	key := listKey{method, ex.modern, ex.audience.name()}
	live.joined.mu.Lock()
	last := live.joined.lists[key]
	live.joined.mu.Unlock()
	if last != nil && last.hints == together && slices.Equal(last.parts, parts) {
		return last, nil
	}
	next := &joinedList{parts: parts, hints: together}
	if err := next.build(live, key); err != nil {
		return nil, err
	}
	live.joined.mu.Lock()
	defer live.joined.mu.Unlock()
	if live.joined.lists == nil || len(live.joined.lists) >= maxAudiences {
		live.joined.lists = map[listKey]*joinedList{}
	}
	live.joined.lists[key] = next
	return next, nil
}

// partFor reads the list of one server.
func (s *server) partFor(ctx context.Context, ex *exchange, method string) (*part, hints, error) {
	kind := methods[method].kind
	l, release, err := s.linkFor(ex)
	if err != nil {
		return nil, hints{}, err
	}
	if release != nil {
		defer release()
	}
	if kind != "" {
		defined, err := l.definitions(ctx, kind)
		if err != nil {
			return nil, hints{}, err
		}
		p, err := s.partOf(ex.audience, listKey{method, ex.modern, ex.audience.name()}, kind, defined.pages)
		return p, defined.hints, err
	}
	var pages []*page
	together, count := noHints, 0
	err = l.pages(ctx, method, func(result wire.Value) error {
		list, err := listIn(result, methods[method].list)
		if err != nil {
			return err
		}
		p, err := s.page(kind, list)
		if err != nil {
			return err
		}
		if count += len(p.entries); count > s.limits().Tools {
			return decision.Refuse(decision.UpstreamTooLarge, "over %d entries in %s", s.limits().Tools, methods[method].list)
		}
		pages, together = append(pages, p), together.join(hintsOf(result))
		return nil
	})
	if err != nil {
		return nil, hints{}, err
	}
	p, err := s.partOf(ex.audience, listKey{method, ex.modern, ex.audience.name()}, kind, pages)
	return p, together, err
}

// partOf makes the server's part of what clients may see of its pages.
func (s *server) partOf(a *audience, key listKey, kind approval.Kind, pages []*page) (*part, error) {
	views := make([]*view, 0, len(pages))
	for _, p := range pages {
		v, err := s.viewFor(a, p)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	s.mu.Lock()
	last := s.parts[key]
	s.mu.Unlock()
	if last != nil && slices.Equal(last.views, views) {
		return last, nil
	}
	next := &part{server: s, views: views}
	next.build(kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parts) >= maxAudiences {
		clear(s.parts)
	}
	s.parts[key] = next
	return next, nil
}

func (p *part) build(kind approval.Kind) {
	count := map[string]int{}
	for _, v := range p.views {
		p.left += v.left
		for i, e := range v.page.entries {
			name := joinEntryName(kind, p.server.id, e.name)
			count[name]++ // also of what is not shown: one name, two definitions is neither
			if v.see[i] {
				p.entries = append(p.entries, joinedEntry{name, joinEntry(kind, e.value, p.server.id)})
			}
		}
	}
	if kind == "" {
		return // a server may list one resource twice
	}
	all := len(p.entries)
	p.entries = slices.DeleteFunc(p.entries, func(e joinedEntry) bool { return count[e.name] > 1 })
	p.left += all - len(p.entries)
	if kind != approval.KindTemplate {
		// "Servers SHOULD return tools in a deterministic order", whatever order a
		// server's own list comes in.
		slices.SortFunc(p.entries, func(a, b joinedEntry) int { return cmp.Compare(a.name, b.name) })
	}
}

// whole reports whether nothing was taken out of the server's list.
func (p *part) whole() bool {
	return !slices.ContainsFunc(p.views, func(v *view) bool { return !v.whole })
}

// joinedPageBytes bounds one page of a joined list. Models and clients that cannot
// take more than this gain nothing from it, but no client has to take everything
// in one message.
const joinedPageBytes = 1 << 20

// build puts the list together.
func (j *joinedList) build(live *live, key listKey) error {
	for _, p := range j.parts {
		if p != nil {
			j.entries = append(j.entries, p.entries...)
		}
	}
	member := methods[key.method].list
	if key.method == wire.MethodToolsList {
		var err error
		if j.entries, err = shortened(j.entries, live.config.Joined.DescriptionBytes); err != nil {
			return err
		}
	}
	pages := pagesOf(j.entries)
	if len(pages) > 1 {
		sum := sha256.New()
		for _, e := range j.entries {
			sum.Write(append(e.raw, ','))
		}
		j.digest = hex.EncodeToString(sum.Sum(nil)[:8])
	}
	for n, entries := range pages {
		raw := make([][]byte, len(entries))
		for i, e := range entries {
			raw[i] = e.raw
		}
		result := append(wire.AppendString([]byte{'{'}, member), ':')
		result = append(result, joinArray(raw)...)
		if n+1 < len(pages) {
			result = fmt.Appendf(result, `,"nextCursor":%q`, cursorOf(j.digest, n+1))
		}
		if key.modern {
			result = append(result, j.hints.members()...)
		}
		m, err := wire.Parse(wire.NewResult("0", append(result, '}')), ownLimits)
		if err != nil {
			return err
		}
		j.answers = append(j.answers, m)
	}
	return nil
}

// members are the hints as members of a result.
func (h hints) members() []byte {
	scope := "private"
	if h.public {
		scope = "public"
	}
	return fmt.Appendf(nil, `,"resultType":"complete","ttlMs":%d,"cacheScope":%q`, h.ttl, scope)
}

// pagesOf divides entries into pages; there is at least one.
func pagesOf(entries []joinedEntry) [][]joinedEntry {
	var pages [][]joinedEntry
	first, size := 0, 0
	for i, e := range entries {
		if size+len(e.raw) > joinedPageBytes && i > first {
			pages = append(pages, entries[first:i])
			first, size = i, 0
		}
		size += len(e.raw) + 1
	}
	return append(pages, entries[first:])
}

// cursorForm is a cursor of ours. It names the list by its content, so that one of
// another list, or of this list as it was before, is not taken for one of this.
var cursorForm = regexp.MustCompile(`^gatehouse\.[0-9a-f]{16}\.[1-9][0-9]{0,5}$`)

func cursorOf(digest string, page int) string { return fmt.Sprintf("gatehouse.%s.%d", digest, page) }

// pageAt is the page that a cursor is for, -1 if it is for none.
func (j *joinedList) pageAt(cursor string) int {
	n, err := strconv.Atoi(cursor[strings.LastIndexByte(cursor, '.')+1:])
	if err != nil || n >= len(j.answers) || cursor != cursorOf(j.digest, n) {
		return -1
	}
	return n
}

// foreignCursor refuses what is no cursor of the list: "Invalid cursors SHOULD
// result in an error with code -32602".
func foreignCursor() error {
	return decision.Refuse(decision.InvalidArguments, "the cursor does not belong to this list as it is now; list again without a cursor")
}

// joinTasks answers tasks/list with the tasks of the servers that have any.
func (g *Gateway) joinTasks(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	if ex.msg.Params.Get("cursor").Exists() {
		return upstream.Answer{}, foreignCursor() // there is one page
	}
	live := g.live.Load()
	tasks := make([][][]byte, len(live.order))
	err := g.fromEach(ctx, ex, live, func(ctx context.Context, i int, s *server) (int, error) {
		if !s.capabilities().At("tasks", "list").Exists() || !s.speaks(false) {
			return 0, nil
		}
		return 0, ex.session.link(s).pages(ctx, wire.MethodTasksList, func(result wire.Value) error {
			list, err := listIn(result, "tasks")
			if err != nil {
				return err
			}
			for task := range list.Items() {
				if len(tasks[i]) >= s.limits().Tools {
					return decision.Refuse(decision.UpstreamTooLarge, "over %d tasks", s.limits().Tools)
				}
				if edits := joinText(task.Get("taskId"), s.id); edits != nil && ex.audience.ownsTask(s, task.Get("taskId").Text()) {
					tasks[i] = append(tasks[i], spliceValue(task, edits))
				}
			}
			return nil
		})
	})
	if err != nil {
		return upstream.Answer{}, err
	}
	return localAnswer(ex, slices.Concat([]byte(`{"tasks":`), joinArray(slices.Concat(tasks...)), []byte{'}'}))
}
