//go:build linux

package inside_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/egress"
)

// generous sends as many bytes as the first line of a client asks for, no more than
// so many in a second unless that is 0.
func generous(conn net.Conn, perSecond float64) {
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	left, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return
	}
	start, sent := time.Now(), 0
	for piece := make([]byte, 256<<10); left > 0; {
		if perSecond > 0 {
			time.Sleep(time.Duration(float64(sent)/perSecond*1e9) - time.Since(start))
		}
		n, err := conn.Write(piece[:min(len(piece), left)])
		if err != nil {
			return
		}
		left -= n
		sent += n
	}
}

const downloadBytes = 1 << 30

// speed reads what the probe said of a download, in bytes per second.
func speed(b *testing.B, output string) float64 {
	b.Helper()
	var n, nanoseconds float64
	if _, err := fmt.Sscan(output, &n, &nanoseconds); err != nil || n != downloadBytes {
		b.Fatalf("the download: %q, %v", output, err)
	}
	return n / nanoseconds * 1e9
}

// BenchmarkDownload compares a client outside with the same client inside, both at a
// server on this machine, where the work of three processes and nothing else bounds
// it. The best of all runs counts: other work on the machine only slows a run down.
func BenchmarkDownload(b *testing.B) {
	certificate, _ := identity(b)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	for _, test := range []struct {
		name     string
		protocol egress.Protocol
		serve    func(net.Conn)
	}{
		{"tcp", egress.TCP, func(conn net.Conn) { generous(conn, 0) }},
		{"tls", egress.TLS, func(conn net.Conn) {
			secure := tls.Server(conn, config)
			generous(secure, 0)
			_ = secure.Close()
		}},
		{"1-Gbit/s", egress.TCP, func(conn net.Conn) { generous(conn, 125e6) }},
		{"5-Gbit/s", egress.TCP, func(conn net.Conn) { generous(conn, 625e6) }},
	} {
		b.Run(test.name, func(b *testing.B) {
			protocol := test.protocol
			host := listenTCP(b, "tcp", "127.0.0.1:0", test.serve)
			s := start(b, []egress.Rule{host.rule(protocol)}, egress.Options{Resolver: everywhere(), Limits: egress.Limits{BytesDown: 1 << 50}})
			s.run("probe", "resolve", allowedName)
			args := []string{"download", at("127.0.0.1", host.port), fmt.Sprint(downloadBytes)}
			if protocol == egress.TLS {
				args = append(args, allowedName)
			}
			var direct, through float64
			for b.Loop() {
				direct = max(direct, speed(b, outsideRun(b, args)))
				args := append([]string{"probe", args[0], at("198.18.0.2", host.port)}, args[2:]...)
				through = max(through, speed(b, s.run(args...).Output))
			}
			b.ReportMetric(direct/1e6, "MB/s-direct")
			b.ReportMetric(through/1e6, "MB/s-inside")
			b.ReportMetric(through/direct, "ratio")
		})
	}
}

// outsideRun runs a probe that is in no sandbox.
func outsideRun(b *testing.B, args []string) string {
	b.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"=probe")
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	return string(out)
}

// BenchmarkConnect compares how long it takes to ask for a name, to connect and to
// get the first byte back.
func BenchmarkConnect(b *testing.B) {
	host := listenTCP(b, "tcp", "127.0.0.1:0", echo)
	s := start(b, []egress.Rule{host.rule(egress.TCP)}, egress.Options{Resolver: everywhere()})
	least := map[string]float64{}
	for b.Loop() {
		note(b, least, "direct-", outsideRun(b, []string{"times", at("127.0.0.1", host.port)}))
		note(b, least, "inside-", s.run("probe", "times", at(allowedName, host.port)).Output)
	}
	for what, microseconds := range least {
		b.ReportMetric(microseconds, "µs-"+what)
	}
}

func note(b *testing.B, least map[string]float64, prefix, output string) {
	b.Helper()
	var lookup, connect float64
	if _, err := fmt.Sscan(output, &lookup, &connect); err != nil {
		b.Fatalf("the times: %q, %v", output, err)
	}
	for what, value := range map[string]float64{"name": lookup, "first-byte": connect} {
		if old, ok := least[prefix+what]; !ok || value < old {
			least[prefix+what] = value
		}
	}
}

// BenchmarkStart is what a sandbox's network adds to a start.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s := start(b, []egress.Rule{{Host: allowedName, Ports: []uint16{443}}}, egress.Options{})
		s.end()
	}
}
