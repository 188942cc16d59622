package page

import (
	"cmp"
	"fmt"
	"slices"

	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
	"gatehouse/internal/rule"
)

// picture is a drawing of who uses which server, and what each reaches: three columns,
// and curves between them.
type picture struct {
	Height   int
	Nodes    []node
	Edges    []edge
	Headings []heading
	Left     int // servers that are not drawn
}

type node struct {
	Class       string // with the severity of what was found
	X, Y, W     int
	Text, Small string // the name, and a line below it
	Title       string
	Href        string // within the page
}

// TextY and SmallY are where the lines of a node stand.
func (n node) TextY() int { return n.Y + (nodeHeight+9)/2 - n.shift() }

// SmallY is where the second line stands.
func (n node) SmallY() int { return n.Y + nodeHeight - 8 }

func (n node) shift() int {
	if n.Small == "" {
		return 0
	}
	return 6
}

type edge struct{ Class, D string }

type heading struct {
	X, Y int
	Text string
}

const (
	pictureWidth = 1000
	nodeHeight   = 36
	step         = nodeHeight + 8
	top          = 34

	clientX, clientW = 0, 190
	serverX, serverW = 330, 290
	targetX, targetW = 760, 240

	// maxDrawn bounds the servers of the picture: the worst are drawn, and the lists
	// below have all.
	maxDrawn = 40
)

// draw lays the columns out. Clients and targets stand at the height of what they are
// joined to, so that few curves cross.
func draw(r *report.Report) picture {
	servers := slices.Clone(r.Servers)
	worst := map[string]rule.Severity{}
	for _, s := range servers {
		worst[s.ID] = r.Worst(s.ID)
	}
	slices.SortStableFunc(servers, func(a, b inventory.Server) int { return cmp.Compare(worst[b.ID], worst[a.ID]) })
	p := picture{Left: max(0, len(servers)-maxDrawn)}
	servers = servers[:min(len(servers), maxDrawn)]

	var users, things column
	for i, s := range servers {
		y := top + i*step
		p.Nodes = append(p.Nodes, node{
			Class: "server " + class(worst[s.ID]), X: serverX, Y: y, W: serverW, Text: fit(s.Name, 32), Small: fit(report.Runs(s), 42),
			Title: show(s.Name + ": " + report.Runs(s)), Href: "#server-" + s.ID,
		})
		for _, id := range s.Clients {
			users.join(id, "client", y, worst[s.ID])
		}
		for _, t := range reaches(r, s) {
			things.join(t.name, string(t.kind), y, worst[s.ID])
		}
	}
	users.place([]string{"client"}, false)
	things.place([]string{string(files), string(network), string(secrets)}, true)
	for i, s := range servers {
		y := top + i*step
		for _, id := range s.Clients {
			p.Edges = append(p.Edges, edge{"edge " + class(worst[s.ID]), curve(clientX+clientW, users.at("client", id), serverX, y)})
		}
		for _, t := range reaches(r, s) {
			p.Edges = append(p.Edges, edge{"edge " + string(t.kind) + " " + class(worst[s.ID]), curve(serverX+serverW, y, targetX, things.at(string(t.kind), t.name))})
		}
	}
	// The worst are drawn last, above the others.
	slices.Reverse(p.Edges)
	for _, i := range users.items {
		p.Nodes = append(p.Nodes, node{Class: "client " + class(i.worst), X: clientX, Y: i.y, W: clientW, Text: fit(i.name, 20), Title: show(i.name)})
	}
	for _, i := range things.items {
		p.Nodes = append(p.Nodes, node{Class: "target " + i.kind + " " + class(i.worst), X: targetX, Y: i.y, W: targetW, Text: fit(i.name, 26), Title: show(i.name)})
	}
	p.Headings = append([]heading{{clientX, top - 14, "Clients"}, {serverX, top - 14, "Servers"}}, things.headings...)
	p.Height = max(top+len(servers)*step, users.end, things.end) + 4
	return p
}

// column is what stands beside the servers.
type column struct {
	items    []*item
	headings []heading
	end      int
}

type item struct {
	kind, name string
	sum, n, y  int
	worst      rule.Severity
}

// join notes that something is joined to a server that stands at y.
func (c *column) join(name, kind string, y int, worst rule.Severity) {
	i := slices.IndexFunc(c.items, func(i *item) bool { return i.name == name && i.kind == kind })
	if i < 0 {
		i, c.items = len(c.items), append(c.items, &item{kind: kind, name: name})
	}
	c.items[i].sum, c.items[i].n, c.items[i].worst = c.items[i].sum+y, c.items[i].n+1, max(c.items[i].worst, worst)
}

var headings = map[string]string{string(files): "Files", string(network): "Network", string(secrets): "Secrets given to them"}

// place gives everything its height: kind by kind, each at the middle of what it is
// joined to where there is room.
func (c *column) place(kinds []string, titled bool) {
	rank := func(i *item) int { return slices.Index(kinds, i.kind) }
	slices.SortStableFunc(c.items, func(a, b *item) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.sum*b.n, b.sum*a.n))
	})
	y, kind := top, ""
	for _, i := range c.items {
		if titled && i.kind != kind {
			if kind != "" {
				y += top - 6
			}
			c.headings = append(c.headings, heading{targetX, y - 14, headings[i.kind]})
		}
		if !titled {
			y = max(y, min(i.sum/i.n, y+2*step))
		}
		i.y, kind = y, i.kind
		y += step
	}
	c.end = y
}

func (c *column) at(kind, name string) int {
	for _, i := range c.items {
		if i.kind == kind && i.name == name {
			return i.y
		}
	}
	panic("page: internal error: nothing stands there") // every name was joined
}

// curve leads from the right side of one node to the left side of another.
func curve(x1, y1, x2, y2 int) string {
	y1, y2 = y1+nodeHeight/2, y2+nodeHeight/2
	middle := (x1 + x2) / 2
	return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, middle, y1, middle, y2, x2, y2)
}

func class(s rule.Severity) string { return "sev-" + s.String() }
