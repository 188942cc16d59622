package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/wire"
)

// What a sandbox costs is measured with `gatehouse run` in front of a server, once
// without and once with a sandbox, in turns.

// sandboxed are the servers that are measured. The second one is left out where it is
// not installed.
func (f *field) sandboxed() ([]confined, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	list := []confined{{Name: "a small server", preset: "nothing", args: []string{self, "stub-stdio"}, call: `{"name":"echo","arguments":{"text":"hello"}}`}}
	script, err := filepath.Abs("test/node/node_modules/@modelcontextprotocol/server-everything/dist/index.js")
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(script); err == nil && missing == nil {
		list = append(list, confined{Name: "server-everything on Node", preset: "node", args: []string{node, script}, call: `{"name":"echo","arguments":{"message":"hello"}}`})
	}
	return list, nil
}

// confined is what was measured of one server, without and with a sandbox.
type confined struct {
	Name   string       `json:"name"`
	Start  [2][]float64 `json:"start_ms"` // of the gateway, to the first answer
	Starts int          `json:"starts"`   // of the server until then: once to see what it is, once for the session
	Call   [2][]float64 `json:"call_us"`  // median of the calls of each start
	Memory [2][]float64 `json:"memory_mb"`

	preset string
	args   []string
	call   string
}

// download is the throughput from a host on this machine, in MB/s.
type download struct {
	Name   string    `json:"name"`
	Direct []float64 `json:"direct"`
	Inside []float64 `json:"inside"`
}

// sandboxCost is everything about sandboxes.
type sandboxCost struct {
	Servers   []confined `json:"servers"`
	Downloads []download `json:"downloads"`
}

// warmCalls come before those that are counted.
const warmCalls, countedCalls = 200, 1000

func measureSandbox(ctx context.Context, f *field, o options) (*sandboxCost, error) {
	cost := &sandboxCost{}
	servers, err := f.sandboxed()
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		for round := range 1 + o.rounds {
			for i, flags := range [2][]string{nil, {"--sandbox", s.preset}} {
				if err := s.measure(ctx, f, i, flags, round > 0); err != nil {
					return nil, fmt.Errorf("%s: %w", s.Name, err)
				}
			}
		}
		cost.Servers = append(cost.Servers, s)
	}
	cost.Downloads, err = measureDownloads(ctx, f, o)
	return cost, err
}

// measure starts the server once. The first time, its tools are approved, and nothing
// is counted.
func (s *confined) measure(ctx context.Context, f *field, i int, flags []string, count bool) error {
	before, err := f.serverStarts()
	if err != nil {
		return err
	}
	began := time.Now()
	w, err := f.wrap(ctx, flags, s.args)
	if err != nil {
		return err
	}
	defer w.close()
	if _, err := w.ask("tools/call", s.call); err != nil {
		return err
	}
	started := time.Since(began)
	after, err := f.serverStarts()
	if err != nil {
		return err
	}
	if after == before {
		return errors.New("the log says nothing of a server that started")
	}
	var took []float64
	for n := range warmCalls + countedCalls {
		began := time.Now()
		if _, err := w.ask("tools/call", s.call); err != nil {
			return err
		}
		if n >= warmCalls {
			took = append(took, float64(time.Since(began))/1e3)
		}
	}
	if !count {
		return nil
	}
	s.Start[i] = append(s.Start[i], float64(started)/1e6)
	s.Starts = after - before
	s.Call[i] = append(s.Call[i], median(took))
	s.Memory[i] = append(s.Memory[i], float64(memoryOfAll(w.cmd.Process.Pid))/1e6)
	return nil
}

// serverStarts counts in the log how often servers were started.
func (f *field) serverStarts() (int, error) {
	files, _ := filepath.Glob(filepath.Join(f.dir, "sandbox", "audit", "*", "*.jsonl")) // the pattern is well-formed
	count := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		count += bytes.Count(text, []byte(`"kind":"server-started"`))
	}
	return count, nil
}

// wrapped is a server behind `gatehouse run`.
type wrapped struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err *tail
	ids int
}

func (f *field) wrap(ctx context.Context, flags, server []string) (*wrapped, error) {
	args := append([]string{"run", "--state", filepath.Join(f.dir, "sandbox")}, flags...)
	w := &wrapped{cmd: exec.CommandContext(ctx, f.binary, append(append(args, "--"), server...)...), err: &tail{}}
	w.cmd.Stderr, w.cmd.WaitDelay = w.err, stopGrace
	endWithParent(w.cmd)
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReaderSize(out, 64<<10)
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	_, err = w.ask("initialize", fmt.Sprintf(`{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"bench","version":"1"}}`, legacyVersion))
	if err == nil {
		_, err = io.WriteString(w.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n")
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// ask sends a request and returns the line of its answer.
func (w *wrapped) ask(method, params string) ([]byte, error) {
	w.ids++
	if _, err := fmt.Fprintf(w.in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", w.ids, method, params); err != nil {
		return nil, fmt.Errorf("%w: %s", err, w.err)
	}
	id := fmt.Appendf(nil, `"id":%d,`, w.ids)
	for {
		line, err := w.out.ReadBytes('\n')
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w: %s", method, err, w.err)
		case !bytes.Contains(line, id) && !bytes.Contains(line, bytes.Replace(id, []byte(","), []byte("}"), 1)):
			continue // a notification
		case bytes.Contains(line, []byte(`"error":`)) || bytes.Contains(line, []byte(`"isError":true`)):
			return nil, fmt.Errorf("%s: %s", method, bytes.TrimSpace(line))
		}
		return line, nil
	}
}

func (w *wrapped) close() {
	w.in.Close()
	_ = w.cmd.Wait() // how it ended is of interest only if a measurement went wrong, and then its stderr says why
}

// memoryOfAll is the memory of a process and everything below it, in bytes; what several
// processes share counts once (proc_pid_smaps_rollup(5), Pss).
func memoryOfAll(pid int) int64 {
	parents := map[int][]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			parents[parent] = append(parents[parent], id)
		}
	}
	var sum int64
	for list := []int{pid}; len(list) > 0; list = list[1:] {
		list = append(list, parents[list[0]]...)
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", list[0]))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if rest, found := strings.CutPrefix(line, "Pss:"); found {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				sum += n << 10
			}
		}
	}
	return sum
}

// downloadTool is the only one of the server that downloads.
const downloadTool = `[{"name":"download","description":"Downloads bytes and says how long it took.","inputSchema":{"type":"object"}}]`

// serveDownloads is a server that downloads so many bytes from an address at each call
// and answers with the nanoseconds.
func serveDownloads(protocol, address, size string) error {
	lines := bufio.NewScanner(os.Stdin)
	s := newStub([]byte(downloadTool))
	for lines.Scan() {
		m, err := wire.Parse(lines.Bytes(), wire.Limits{Bytes: maxBody})
		if err != nil {
			return err
		}
		answer := s.answer(nil, m)
		if m.Method == wire.MethodToolsCall {
			took, err := downloadOnce(protocol, address, size)
			if err != nil {
				return err
			}
			answer = wire.NewResult(m.ID, fmt.Appendf(nil, `{"content":[{"type":"text","text":"took %d"}]}`, took))
		}
		if len(answer) == 0 {
			continue
		}
		if _, err := os.Stdout.Write(append(answer, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}

func downloadOnce(protocol, address, size string) (time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if protocol == "tls" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // only the bytes count
	}
	if _, err := io.WriteString(conn, size+"\n"); err != nil {
		return 0, err
	}
	want, err := strconv.Atoi(size)
	if err != nil {
		return 0, err
	}
	began, got := time.Now(), 0
	for piece := make([]byte, 256<<10); got < want; {
		n, err := conn.Read(piece)
		if got += n; err != nil {
			return 0, fmt.Errorf("after %d bytes: %w", got, err)
		}
	}
	return time.Since(began), nil
}

// upload sends as many bytes as the first line of a client asks for, no more than so
// many in a second unless that is 0.
func upload(conn net.Conn, perSecond float64) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	left, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return
	}
	began, sent := time.Now(), 0
	for piece := make([]byte, 256<<10); left > 0; {
		if perSecond > 0 {
			time.Sleep(time.Duration(float64(sent)/perSecond*1e9) - time.Since(began))
		}
		n, err := conn.Write(piece[:min(len(piece), left)])
		if err != nil {
			return
		}
		left, sent = left-n, sent+n
	}
}

func measureDownloads(ctx context.Context, f *field, o options) ([]download, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	certificate, err := selfSigned()
	if err != nil {
		return nil, err
	}
	var out []download
	for _, kind := range []struct {
		name, protocol string
		perSecond      float64
		bytes          int
	}{
		{"a host that sends 1 Gbit/s", "tcp", 125e6, 64e6},
		{"this machine, TLS", "tls", 0, 512 << 20},
		{"this machine, TCP", "tcp", 0, 1 << 30},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		address := listener.Addr().String()
		if kind.protocol == "tls" {
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go upload(conn, kind.perSecond)
			}
		}()
		d := download{Name: kind.name}
		err = d.measure(ctx, f, o, []string{self, "stub-download", kind.protocol, address, strconv.Itoa(kind.bytes)}, address, kind.bytes)
		if err = errors.Join(err, listener.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
		out = append(out, d)
	}
	return out, nil
}

func (d *download) measure(ctx context.Context, f *field, o options, server []string, address string, size int) error {
	direct, err := f.wrap(ctx, nil, server)
	if err != nil {
		return err
	}
	defer direct.close()
	inside, err := f.wrap(ctx, []string{"--sandbox", "nothing", "--network", address}, server)
	if err != nil {
		return err
	}
	defer inside.close()
	for range o.rounds {
		for _, way := range []struct {
			from *wrapped
			to   *[]float64
		}{{direct, &d.Direct}, {inside, &d.Inside}} {
			line, err := way.from.ask("tools/call", `{"name":"download","arguments":{}}`)
			if err != nil {
				return err
			}
			_, rest, _ := strings.Cut(string(line), `"took `)
			text, _, _ := strings.Cut(rest, `"`)
			nanoseconds, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return fmt.Errorf("the answer was %s", line)
			}
			*way.to = append(*way.to, float64(size)/nanoseconds*1e3)
		}
	}
	return nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(longest)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// added is what a sandbox adds, by the medians and by the least of each side: other
// work on the machine only ever adds.
func added(sides [2][]float64) (medians, least float64) {
	return median(sides[1]) - median(sides[0]), slices.Min(sides[1]) - slices.Min(sides[0])
}

func (r report) printSandbox(w io.Writer) {
	if r.Sandbox == nil {
		return
	}
	fmt.Fprint(w, "\nWhat a sandbox costs; in brackets the least of both sides\n\twithout\twith\tadded\t\t\n")
	for _, s := range r.Sandbox.Servers {
		fmt.Fprintf(w, "%s\t\t\t\t\t\n", s.Name)
		for _, m := range []struct {
			what, format string
			sides        [2][]float64
		}{{fmt.Sprintf("first answer, after %d starts, ms", s.Starts), "%.1f", s.Start}, {"a call, µs", "%.0f", s.Call}, {"memory of all processes, MB", "%.1f", s.Memory}} {
			medians, least := added(m.sides)
			row := fmt.Sprintf("%%s\t%[1]s\t%[1]s\t%[1]s\t(%[1]s)\t\n", m.format)
			fmt.Fprintf(w, row, m.what, median(m.sides[0]), median(m.sides[1]), medians, least)
		}
	}
	fmt.Fprint(w, "\nDownload from\tdirect, MB/s\tinside, MB/s\tof direct\t\t\n")
	for _, d := range r.Sandbox.Downloads {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t(%.2f)\t\n", d.Name, median(d.Direct), median(d.Inside), d.ratio(), slices.Max(d.Inside)/slices.Max(d.Direct))
	}
}

// ratio is the median of the ratios of the rounds: the two of a round were measured
// one after the other.
func (d download) ratio() float64 {
	var ratios []float64
	for i, direct := range d.Direct {
		ratios = append(ratios, d.Inside[i]/direct)
	}
	return median(ratios)
}

func (r report) sandboxGoals() (list []goal) {
	if r.Sandbox == nil {
		return nil
	}
	for _, s := range r.Sandbox.Servers {
		start, _ := added(s.Start)
		start /= float64(s.Starts)
		call, _ := added(s.Call)
		memory, _ := added(s.Memory)
		list = append(list,
			goal{"sandbox, each start of " + s.Name, start, false, 50, "ms"},
			goal{"sandbox, call of " + s.Name, call, false, 20, "µs"},
			goal{"sandbox, memory of " + s.Name, memory, false, 15, "MB"})
	}
	for _, d := range r.Sandbox.Downloads {
		list = append(list, goal{"egress, " + d.Name, d.ratio(), true, 0.8, "of direct"})
	}
	return list
}
