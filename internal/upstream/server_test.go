package upstream

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/internal/wire"
)

// serverMode makes this test binary a server, so that what Process starts is a
// real process. Its environment holds nothing else.
const serverMode = "GATEHOUSE_TEST_SERVER"

func TestMain(m *testing.M) {
	switch os.Getenv(serverMode) {
	case "":
		AdoptOrphans()
		os.Exit(m.Run())
	case "grandchild":
		grandchild()
	case "parent":
		fmt.Print(spawn([]string{"setsid"}))
	default:
		serve(os.Stdin, os.Stdout)
	}
	exit(0)
}

// exit ends at once: with the race detector os.Exit takes a second.
func exit(status int) { syscall.Exit(status) }

// testServer answers each request by what its method says.
type testServer struct {
	in   *bufio.Reader
	out  *bufio.Writer
	seen []json.RawMessage // everything that was received
}

type received struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
}

func serve(in io.Reader, out io.Writer) {
	s := &testServer{in: bufio.NewReaderSize(in, 1<<20), out: bufio.NewWriter(out)}
	for {
		line, err := s.in.ReadBytes('\n')
		if err != nil {
			return
		}
		s.seen = append(s.seen, json.RawMessage(strings.TrimSpace(string(line))))
		var m received
		if json.Unmarshal(line, &m) == nil && m.ID != nil {
			s.handle(m)
			s.out.Flush()
		}
	}
}

func (s *testServer) line(format string, values ...any) { fmt.Fprintf(s.out, format+"\n", values...) }

func (s *testServer) answer(m received, result any) {
	text, err := json.Marshal(result)
	if err != nil {
		panic(err)
	}
	s.line(`{"jsonrpc":"2.0","id":%s,"result":{"value":%s}}`, m.ID, text)
}

func (s *testServer) handle(m received) {
	var p struct {
		N     int
		Text  string
		Lines []string
		Meta  struct {
			Token json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	}
	_ = json.Unmarshal(m.Params, &p)
	switch m.Method {
	case "hang", wire.MethodInitialize, wire.MethodListen:
	case "say": // exactly these lines, with our id for %ID% and our token for %TOKEN%
		for _, l := range p.Lines {
			s.line("%s", strings.NewReplacer("%ID%", string(m.ID), "%TOKEN%", string(p.Meta.Token)).Replace(l))
		}
	case "repeat":
		for range p.N {
			s.line("%s", p.Text)
		}
		s.answer(m, "repeated")
	case "die":
		for range max(p.N, 1) {
			fmt.Fprint(os.Stderr, p.Text)
		}
		exit(3)
	case "close": // stdout only
		os.Stdout.Close()
	case "environment":
		s.answer(m, os.Environ())
	case "folder":
		dir, err := os.Getwd()
		s.answer(m, fmt.Sprint(dir, err))
	case "huge":
		s.out.WriteString(`{"jsonrpc":"2.0","method":"x","params":{"a":"`)
		for range p.N {
			if _, err := s.out.WriteString(strings.Repeat("x", 1<<20)); err != nil {
				return
			}
		}
	case "deaf":
		s.answer(m, "I read no more")
		s.out.Flush()
		select {} // ended by a signal
	case "seen":
		s.answer(m, s.seen)
	case "spawn-late": // when it is told to end, which it does not
		told := notifyTerm()
		s.answer(m, "ready")
		s.out.Flush()
		<-told
		s.line(`{"jsonrpc":"2.0","method":"pid","params":{"pid":%v}}`, spawn([]string{"setsid"}))
		s.out.Flush()
		select {}
	case "spawn":
		s.answer(m, spawn(p.Lines))
	default:
		s.answer(m, m.Method)
	}
}

// inbox collects what a server sends by itself.
type inbox struct {
	mu  sync.Mutex
	got []tagged
}

type tagged struct {
	Raw string
	Tag any
}

func (b *inbox) inbound(m *wire.Message, tag any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, tagged{string(m.Raw), tag})
}

func (b *inbox) all() []tagged {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]tagged(nil), b.got...)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func request(t testing.TB, id, method, params string) Request {
	t.Helper()
	m, err := wire.Parse(wire.NewRequest(wire.ID(id), method, []byte(params)), wire.Limits{})
	if err != nil {
		t.Fatalf("request %s %s: %v", method, params, err)
	}
	return Request{Message: m}
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// lines are the params of the method "say".
func lines(t testing.TB, list ...string) string {
	return jsonOf(t, map[string]any{"lines": list})
}
