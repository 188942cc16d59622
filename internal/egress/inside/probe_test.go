//go:build linux

package inside_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

const patience = 15 * time.Second

// probes are what a server may try. Each prints what came of it; one that could do
// what it tried prints a line that begins with "reached".
var probes = map[string]func(args []string) error{
	"dial":     probeDial,
	"say":      probeSay,
	"tls":      probeTLS,
	"segments": probeSegments,
	"http":     probeHTTP,
	"get":      probeGet,
	"resolve":  probeResolve,
	"queries":  probeQueries,
	"udp":      probeUDP,
	"socket":   probeSocket,
	"abstract": probeAbstract,
	"local":    probeLocal,
	"flood":    probeFlood,
	"slow":     probeSlow,
	"upload":   probeUpload,
	"raw":      probeRaw,
	"back":     probeBack,
	"hear":     probeHear,
	"times":    probeTimes,
	"loop":     probeLoop,
}

func probe(args []string) int {
	if err := probes[args[0]](args[1:]); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

func dial(address string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

// dial ADDRESS: does anybody answer a byte?
func probeDial(args []string) error {
	return probeSay([]string{args[0], "x"})
}

// say ADDRESS TEXT...: what is answered to each text?
func probeSay(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, text := range args[1:] {
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		answer := make([]byte, 1<<10)
		n, err := conn.Read(answer)
		if err != nil {
			return err
		}
		fmt.Printf("reached: %q\n", answer[:n])
	}
	return nil
}

// tls ADDRESS NAME: does a handshake with a server name end well?
func probeTLS(args []string) error {
	raw, err := dial(args[0])
	if err != nil {
		return err
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{ServerName: args[1], InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		return err
	}
	fmt.Println("reached", args[0], "as", args[1])
	return nil
}

// splitter writes each byte as a segment of its own.
type splitter struct{ net.Conn }

func (s splitter) Write(p []byte) (int, error) {
	for i := range p {
		if n, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i + n, err
		}
	}
	return len(p), nil
}

// records cuts the first record of a handshake into records of a few bytes.
type records struct {
	net.Conn
	done bool
}

func (r *records) Write(p []byte) (int, error) {
	if r.done || len(p) < 5 || p[0] != 22 {
		return r.Conn.Write(p)
	}
	r.done = true
	var out []byte
	for body := p[5:]; len(body) > 0; {
		n := min(7, len(body))
		out = append(out, p[0], p[1], p[2], 0, byte(n))
		out = append(out, body[:n]...)
		body = body[n:]
	}
	_, err := r.Conn.Write(out)
	return len(p), err
}

// segments ADDRESS NAME: the same handshake in one-byte segments, and in tiny
// records.
func probeSegments(args []string) error {
	for _, cut := range []func(net.Conn) net.Conn{
		func(c net.Conn) net.Conn { return splitter{c} },
		func(c net.Conn) net.Conn { return &records{Conn: c} },
	} {
		raw, err := dial(args[0])
		if err != nil {
			return err
		}
		defer raw.Close()
		if err := tls.Client(cut(raw), &tls.Config{ServerName: args[1], InsecureSkipVerify: true}).Handshake(); err != nil {
			return err
		}
		fmt.Println("reached as", args[1])
	}
	return nil
}

// http ADDRESS HOST...: one request after the other on one connection.
func probeHTTP(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for _, host := range args[1:] {
		target := "/"
		if prefix, rest, absolute := strings.Cut(host, "|"); absolute {
			target, host = prefix, rest
		}
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		fmt.Println(response.StatusCode, strings.TrimSpace(string(body)))
	}
	return nil
}

// get URL CA: an ordinary client, which takes its proxy from the environment.
func probeGet(args []string) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	response, err := client.Get(args[0])
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println("reached:", string(body))
	return err
}

// resolve NAME...: its addresses.
func probeResolve(args []string) error {
	for _, name := range args {
		addresses, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", name)
		fmt.Println(name, addresses, err)
	}
	return nil
}

// queries NETWORK (SERVER TYPE NAME)...: what name servers anywhere answer, one line
// for each.
func probeQueries(args []string) error {
	for rest := args[1:]; len(rest) > 0; rest = rest[3:] {
		if err := probeQuery(append(args[:1:1], rest[:3]...)); err != nil {
			return err
		}
	}
	return nil
}

func probeQuery(args []string) error {
	kind, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	name, err := dnsmessage.NewName(args[3])
	if err != nil {
		return err
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 7, RecursionDesired: true})
	question := dnsmessage.Question{Name: name, Type: dnsmessage.Type(kind), Class: dnsmessage.ClassINET}
	if err := errors.Join(b.StartQuestions(), b.Question(question)); err != nil {
		return err
	}
	message, err := b.Finish()
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout(args[0], args[1], patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	stream := strings.HasPrefix(args[0], "tcp")
	if stream {
		message = append([]byte{0, byte(len(message))}, message...)
	}
	if _, err := conn.Write(message); err != nil {
		return err
	}
	answer := make([]byte, 1<<10)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if answer = answer[:n]; stream {
		answer = answer[2:]
	}
	var parsed dnsmessage.Message
	if err := parsed.Unpack(answer); err != nil {
		return err
	}
	line := fmt.Sprint(parsed.RCode, " ", len(parsed.Answers), " answers")
	for _, a := range parsed.Answers {
		line += " " + a.Body.GoString()
	}
	fmt.Println(line)
	return nil
}

// udp ADDRESS: may a packet leave?
func probeUDP(args []string) error {
	conn, err := net.Dial("udp", args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	fmt.Println("reached", args[0])
	return nil
}

// socket FAMILY TYPE PROTOCOL: may such a socket be made?
func probeSocket(args []string) error {
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[i]); err != nil {
			return err
		}
	}
	fd, err := unix.Socket(n[0], n[1], n[2])
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if len(args) > 3 { // an address to send to
		var a unix.SockaddrInet4
		copy(a.Addr[:], net.ParseIP(args[3]).To4())
		a.Port = 443
		if err := unix.Sendto(fd, []byte{8, 0, 0, 0, 0, 0, 0, 0}, 0, &a); err != nil {
			return err
		}
	}
	fmt.Println("reached")
	return nil
}

// abstract NAME: is a socket of the machine's abstract namespace there?
func probeAbstract(args []string) error {
	conn, err := net.Dial("unix", "@"+args[0])
	if err != nil {
		return err
	}
	conn.Close()
	fmt.Println("reached")
	return nil
}

// local: do processes inside reach each other over loopback, by TCP and UDP, on
// both families?
func probeLocal([]string) error {
	for _, host := range []string{"127.0.0.1", "127.9.9.9", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return err
		}
		defer l.Close()
		go func() {
			if conn, err := l.Accept(); err == nil {
				_, _ = io.WriteString(conn, "hello")
				conn.Close()
			}
		}()
		conn, err := dial(l.Addr().String())
		if err != nil {
			return err
		}
		if text, err := io.ReadAll(conn); err != nil || string(text) != "hello" {
			return fmt.Errorf("%s: %q, %w", host, text, err)
		}
		conn.Close()
		packets, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			return err
		}
		defer packets.Close()
		if _, err := packets.WriteTo([]byte("hello"), packets.LocalAddr()); err != nil {
			return err
		}
		_ = packets.SetDeadline(time.Now().Add(patience))
		if _, _, err := packets.ReadFrom(make([]byte, 10)); err != nil {
			return err
		}
	}
	fmt.Println("reached itself")
	return nil
}

// flood ADDRESS N: how many connections are alive at once?
func probeFlood(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	alive := 0
	for range n {
		conn, err := dial(args[0])
		if err != nil {
			continue
		}
		defer conn.Close()
		_, writeErr := conn.Write([]byte("x"))
		if _, err := conn.Read(make([]byte, 1)); err == nil && writeErr == nil {
			alive++
		}
	}
	fmt.Println("alive", alive)
	return nil
}

// slow ADDRESS: how long may a connection say nothing?
func probeSlow(args []string) error {
	conn, err := net.Dial("tcp", args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte{22, 3, 1}); err != nil {
		return err
	}
	start := time.Now()
	_, err = conn.Read(make([]byte, 1))
	fmt.Println("ended after", time.Since(start).Round(time.Second), err)
	return nil
}

// upload ADDRESS BYTES: how many can be sent and come back?
func probeUpload(args []string) error {
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		_, _ = conn.Write(make([]byte, size))
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	n, err := io.Copy(io.Discard, conn)
	fmt.Println("got", n, err)
	return nil
}

// raw ADDRESS: sends the bytes that stand in hexadecimal on standard input, ends its
// side and says what came back.
func probeRaw(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	sent, err := io.Copy(conn, hex.NewDecoder(os.Stdin))
	if err == nil {
		err = conn.(*net.TCPConn).CloseWrite()
	}
	answer, readErr := io.ReadAll(conn)
	fmt.Println("sent", sent, err, "read", len(answer), readErr)
	return nil
}

// back: can the broker's own sockets be reached without being led there? It tries
// every TCP socket that listens in the namespace.
func probeBack([]string) error {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			return err
		}
		for _, line := range strings.Split(string(text), "\n")[1:] {
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[3] != "0A" {
				continue
			}
			port, err := strconv.ParseUint(fields[1][strings.LastIndex(fields[1], ":")+1:], 16, 16)
			if err != nil {
				return err
			}
			host := "127.0.0.1"
			if strings.HasSuffix(table, "6") {
				host = "::1"
			}
			fmt.Println("trying", port, probeDial([]string{net.JoinHostPort(host, fmt.Sprint(port))}))
		}
	}
	return nil
}

// hear ADDRESS: what does the host say without being asked?
func probeHear(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	said := make([]byte, 100)
	n, err := conn.Read(said)
	if err != nil {
		return err
	}
	fmt.Printf("reached: %q\n", said[:n])
	return nil
}

// times ADDRESS: the least microseconds that a lookup of its host takes, and
// connecting until a byte has come back.
func probeTimes(args []string) error {
	host, port, err := net.SplitHostPort(args[0])
	if err != nil {
		return err
	}
	lookup, connect := time.Hour, time.Hour
	for range 50 {
		start := time.Now()
		addresses, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip4", host)
		if err != nil {
			return err
		}
		lookup = min(lookup, time.Since(start))
		start = time.Now()
		conn, err := dial(net.JoinHostPort(addresses[0].String(), port))
		if err != nil {
			return err
		}
		_, writeErr := conn.Write([]byte("x"))
		if _, err := conn.Read(make([]byte, 1)); err != nil || writeErr != nil {
			return err
		}
		connect = min(connect, time.Since(start))
		conn.Close()
	}
	fmt.Println(lookup.Microseconds(), connect.Microseconds())
	return nil
}

// loop WHAT N: asks for names, or connects where nothing is allowed, so many times.
func probeLoop(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	done := make(chan error)
	for range 8 {
		go func() {
			var err error
			for range n / 8 {
				if args[0] == "names" {
					err = errors.Join(err, probeQuery([]string{"udp", "8.8.8.8:53", "1", "secret.tunnel.example."}))
				} else if probeDial([]string{"203.0.113.9:443"}) == nil {
					err = errors.New("it was reached")
				}
			}
			done <- err
		}()
	}
	for range 8 {
		err = errors.Join(err, <-done)
	}
	return err
}
