package page

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
	"gatehouse/internal/report/reporttest"
)

func written(t *testing.T, r *report.Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func walk(n *html.Node, each func(*html.Node)) {
	each(n)
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, each)
	}
}

func attribute(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

// elements are those that the template has; nothing else may come out of a hostile text.
var elements = strings.Fields("html head meta title style body header h1 p ul li b a main section h2 div svg text path g rect fieldset legend label input select option span details summary dl dt dd code table thead tbody tr th td br script")

func Test_hostile_texts_stay_texts(t *testing.T) {
	for _, r := range []*report.Report{reporttest.Hostile(), reporttest.Report()} {
		root, err := html.Parse(strings.NewReader(written(t, r)))
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, e := range elements {
			known[e] = true
		}
		scripts := 0
		walk(root, func(n *html.Node) {
			if n.Type != html.ElementNode {
				return
			}
			if !known[n.Data] {
				t.Errorf("an element <%s>", n.Data)
			}
			if n.Data == "script" {
				scripts++
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
		})
		if scripts != 1 {
			t.Errorf("%d scripts", scripts)
		}
	}
}

func Test_no_character_is_hidden_from_who_reads_the_page(t *testing.T) {
	for _, r := range written(t, reporttest.Hostile()) {
		if r != '\n' && unicode.Is(unicode.C, r) {
			t.Fatalf("%U comes through", r)
		}
	}
}

// The policy names the digests of what really stands in the page: html/template must
// have left both as they are.
func Test_the_policy_allows_what_the_page_brings_and_nothing_else(t *testing.T) {
	root, err := html.Parse(strings.NewReader(written(t, reporttest.Report())))
	if err != nil {
		t.Fatal(err)
	}
	var policy string
	texts := map[string]string{}
	walk(root, func(n *html.Node) {
		if kind, _ := attribute(n, "http-equiv"); kind == "Content-Security-Policy" {
			policy, _ = attribute(n, "content")
		}
		if n.Type == html.ElementNode && (n.Data == "style" || n.Data == "script") {
			texts[n.Data] = n.FirstChild.Data
		}
	})
	for _, want := range []string{"default-src 'none'", "style-src '" + digest(texts["style"]) + "'", "script-src '" + digest(texts["script"]) + "'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%s is not in %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Error(policy)
	}
}

func Test_the_page_loads_nothing(t *testing.T) {
	text := written(t, reporttest.Report())
	for _, m := range regexp.MustCompile(`(?i)(https?:|url\(|@import|src=|<link)`).FindAllStringIndex(text, -1) {
		around := text[max(0, m[0]-60):min(len(text), m[1]+60)]
		if !strings.Contains(around, "tracker.example.com") { // the address of a server, as text
			t.Errorf("%q", around)
		}
	}
}

func Test_everything_is_there_without_a_script(t *testing.T) {
	text := written(t, reporttest.Report())
	for _, want := range []string{
		"the header Authorization holds a secret", "put a reference in its place", "~/.cursor/mcp.json:4", "by ada@example.com until 2026-07-01", "nobody asked its registry", "2 files could not be read as a whole", "is not a regular file",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func Test_nothing_found_is_never_called_clean(t *testing.T) {
	in := reporttest.Input()
	in.Result.Findings = nil
	text := strings.ToLower(written(t, report.New(in)))
	if !strings.Contains(text, "no check found anything in what was read. what was not read or not checked may be risky") || strings.Contains(text, "clean") {
		t.Error("what was not read is passed over")
	}
}

func Test_what_servers_reach(t *testing.T) {
	entry := func(words string) client.Entry {
		return reporttest.Entry("cursor", "/x", "s", 1, strings.Fields(words)...)
	}
	with := func(e client.Entry, v ...client.Value) client.Entry { e.Env = v; return e }
	for _, c := range []struct {
		entry client.Entry
		want  string
	}{
		{entry("npx -y server /home/ada/notes"), "files:every file of yours network:any host files:~/notes"},
		{entry("docker run -v /srv:/data image"), "network:any host files:/srv"},
		{entry("docker run --network=none -v volume:/data image"), ""},
		{entry("docker run --network none image"), ""},
		{entry("docker run --privileged --network none image"), "files:every file of yours network:any host"},
		{entry("docker run --privileged=true --network none image"), "files:every file of yours network:any host"},
		{entry("docker run --privileged=false --network none image"), ""},
		{entry("docker run --net=none --net=bridge image"), "network:any host"},
		{entry("podman run --network none -v /run/podman/podman.sock:/s image"), "files:every file of yours network:any host files:/run/podman/podman.sock"},
		{entry("docker run -v /var/run/docker.sock:/s image"), "files:every file of yours network:any host files:/var/run/docker.sock"},
		{entry("gatehouse run --sandbox -- npx -y server@1.0.0"), "files:what its sandbox allows"},
		{with(entry("docker run --network none image"), client.Value{Name: "A_TOKEN", Kind: client.Reference}, client.Value{Name: "LANG", Kind: client.Reference}, client.Value{Name: "B", Kind: client.Literal, Secret: true}), "secrets:A_TOKEN secrets:B"},
		{reporttest.Remote("cursor", "/x", "s", 1, "https://h.example:8443/mcp"), "network:h.example:8443"},
	} {
		r := &report.Report{Home: "/home/ada"}
		var got []string
		for _, target := range reaches(r, inventory.Servers([]client.Entry{c.entry})[0]) {
			got = append(got, string(target.kind)+":"+target.name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v reaches %v, want %s", c.entry.Words, got, c.want)
		}
	}
}

func Test_a_server_reaches_what_it_is_given_in_any_client(t *testing.T) {
	for _, order := range [][2]string{{"none", "bridge"}, {"bridge", "none"}} {
		var entries []client.Entry
		for _, network := range order {
			entries = append(entries, reporttest.Entry("cursor", "/"+network, "s", 1, "docker", "run", "--network", network, "-v", "/"+network+":/data", "image"))
		}
		servers := inventory.Servers(entries)
		if len(servers) != 1 {
			t.Fatalf("%d servers", len(servers))
		}
		got := reaches(&report.Report{}, servers[0])
		for _, want := range []target{everyHost, {files, "/none"}, {files, "/bridge"}} {
			if !slices.Contains(got, want) {
				t.Errorf("%v: %v does not have %v", order, got, want)
			}
		}
	}
}

func Test_a_server_reaches_few_enough_things_to_draw(t *testing.T) {
	e := reporttest.Entry("cursor", "/x", "s", 1, "npx", "-y", "server", "/a", "/b", "/c", "/d", "/e", "/f", "/g")
	if got := reaches(&report.Report{}, inventory.Servers([]client.Entry{e})[0]); len(got) != maxTargets || got[0] != everyFile || got[1] != everyHost {
		t.Errorf("%v", got)
	}
}

func Test_a_picture_of_many_servers_shows_the_worst(t *testing.T) {
	in := reporttest.Input()
	var entries []client.Entry
	for i := range 100 {
		entries = append(entries, reporttest.Entry("cursor", "/x", strings.Repeat("n", i%7+1), i, "npx", "-y", "server", strings.Repeat("x", i+1)))
	}
	in.Scene.Servers = append(inventory.Servers(entries), in.Scene.Servers...)
	p := draw(report.New(in))
	drawn := 0
	for _, n := range p.Nodes {
		if strings.HasPrefix(n.Class, "server") {
			drawn++
		}
		if n.Y < top || n.Y+nodeHeight > p.Height {
			t.Errorf("%+v stands outside", n)
		}
	}
	if drawn != maxDrawn || p.Left != len(in.Scene.Servers)-maxDrawn || !strings.Contains(p.Nodes[0].Class, "critical") {
		t.Errorf("%d are drawn, %d left, the first is %+v", drawn, p.Left, p.Nodes[0])
	}
}

func Test_boxes_do_not_overlap(t *testing.T) {
	p := draw(reporttest.Report())
	for i, a := range p.Nodes {
		for _, b := range p.Nodes[:i] {
			if a.X == b.X && a.Y < b.Y+nodeHeight && b.Y < a.Y+nodeHeight {
				t.Errorf("%s and %s", a.Text, b.Text)
			}
		}
	}
}
