package egress

import (
	"context"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"
)

// answerStream serves names over TCP on one connection, each message behind its
// length (RFC 1035, section 4.2.2).
func (b *Broker) answerStream(client *net.TCPConn) {
	for range maxStreamQueries {
		_ = client.SetDeadline(time.Now().Add(helloTimeout))
		var length [2]byte
		if _, err := io.ReadFull(client, length[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint16(length[:])
		if n > maxQuery {
			b.refuseName("", BadQuery)
			return
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(client, message); err != nil {
			return
		}
		reply := b.answer(message)
		if reply == nil {
			return
		}
		if _, err := client.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// maxStreamQueries of one connection; a client that has more connects again, which
// keeps the pace.
const maxStreamQueries = 16

var methods = []string{"GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS ", "CONNECT ", "TRACE ", "PRI "}

// looksLikeHTTP reports whether the first bytes of a client are, or may become, a
// request.
func looksLikeHTTP(first []byte) bool {
	for _, m := range methods {
		n := min(len(m), len(first))
		if n > 0 && string(first[:n]) == m[:n] {
			return true
		}
	}
	return false
}

const (
	// maxRequestHead is what a request may have before its body.
	maxRequestHead = 64 << 10
	// keepAlive ends a connection that waits for its next request.
	keepAlive = 2 * time.Minute
)

// serveHTTP carries plain HTTP. Every request is read, so that each one on a
// connection has to name the host, and is written anew, so that the host reads the
// same requests that were read here.
func (c *connection) serveHTTP(ctx context.Context) {
	c.protocol = HTTP
	transport := &http.Transport{
		// The connection's own context: the transport may go on dialling when the
		// request that wanted it is gone.
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return c.nextUpstream(ctx) },
		MaxConnsPerHost:        1,
		IdleConnTimeout:        keepAlive,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxRequestHead,
	}
	defer transport.CloseIdleConnections()
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		ErrorLog:      quiet,
		FlushInterval: -1, // an event stream must not wait
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", net.JoinHostPort(c.host, strconv.Itoa(int(c.to.Port())))
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("Connection", "close")
			http.Error(w, "Gatehouse could not reach this host.", http.StatusBadGateway)
		},
	}
	requests := 0
	server := &http.Server{
		ErrorLog: quiet, ReadHeaderTimeout: helloTimeout, IdleTimeout: keepAlive, MaxHeaderBytes: maxRequestHead,
		BaseContext: func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			if r.Method == http.MethodConnect || !c.meantBy(r.Host) {
				c.refuseRequest(WrongName, r.Host)
				w.Header().Set("Connection", "close")
				http.Error(w, "Gatehouse does not let this server reach this host.", http.StatusForbidden)
				return
			}
			proxy.ServeHTTP(w, r)
		}),
	}
	over := make(chan struct{})
	defer close(over)
	go c.up.life.watch(over, func() { c.client.Close() })
	client := &onceListener{conn: c.client, closed: make(chan struct{})}
	_ = server.Serve(client) // always an error: the connection has ended
	if requests == 0 {
		c.refuseRequest(NotHTTP, "")
	}
}

// refuseRequest is refuse while the transport may dial. The client has an answer.
func (c *connection) refuseRequest(reason Reason, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse(reason, detail)
	c.reset = false
}

// meantBy reports whether a Host header names the host that was connected to. The
// port may be left out where it is the usual one.
func (c *connection) meantBy(header string) bool {
	host, port, err := net.SplitHostPort(header)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]"), strconv.Itoa(portOfHTTP)
	}
	if port != strconv.Itoa(int(c.to.Port())) {
		return false
	}
	if c.site.Host == localhost && canonicalName(host) == localhost {
		return true
	}
	return host != "" && canonicalName(host) == c.host
}

// nextUpstream is the connection that was dialled already, the first time, and a
// new one, on record like the first, when the host has ended that.
func (c *connection) nextUpstream(ctx context.Context) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	conn := c.upstream
	if conn == nil || c.lent {
		var err error
		if conn, err = c.connect(ctx); err != nil {
			c.reset = false // the client has an answer
			return nil, err
		}
	}
	c.upstream, c.lent = conn, true
	return &counted{Conn: conn, ctx: ctx, up: c.up, down: c.down}, nil
}

// onceListener gives out one connection, and ends when that has ended.
type onceListener struct {
	conn   net.Conn
	given  bool
	once   sync.Once
	closed chan struct{}
}

func (l *onceListener) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return &lastConn{Conn: l.conn, listener: l}, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *onceListener) Close() error   { return nil }
func (l *onceListener) Addr() net.Addr { return l.conn.LocalAddr() }

type lastConn struct {
	net.Conn
	listener *onceListener
}

func (c *lastConn) Close() error {
	c.listener.once.Do(func() { close(c.listener.closed) })
	return c.Conn.Close()
}
