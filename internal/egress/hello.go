package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// maxHello bounds the bytes in which a ClientHello stands. The largest that clients
// send, with post-quantum key shares, are below 4 KiB.
const maxHello = 32 << 10

// tlsHandshake is the first byte of every record that holds a part of a handshake
// (RFC 8446, section 5.1).
const tlsHandshake = 22

var (
	errHelloRead     = errors.New("the ClientHello has been read")
	errHelloTooLarge = errors.New("the ClientHello is too large")
)

// readHello reads a ClientHello, in however many records and segments it comes, and
// returns the server name in it ("" if there is none) and every byte that was read.
// It answers nothing to the client.
func readHello(r io.Reader) (name string, read []byte, err error) {
	conn := &recorder{from: r}
	found := false
	config := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		found, name = true, hello.ServerName
		return nil, errHelloRead
	}}
	err = tls.Server(conn, config).HandshakeContext(context.Background())
	switch {
	case found:
		return name, conn.read.Bytes(), nil
	case err == nil:
		return "", nil, errors.New("a handshake without a ClientHello")
	}
	return "", nil, fmt.Errorf("reading a ClientHello: %w", err)
}

// recorder is a connection that keeps what is read and loses what is written.
type recorder struct {
	from io.Reader
	read bytes.Buffer
}

func (c *recorder) Read(p []byte) (int, error) {
	left := maxHello - c.read.Len()
	if left <= 0 {
		return 0, errHelloTooLarge
	}
	n, err := c.from.Read(p[:min(len(p), left)])
	c.read.Write(p[:n])
	return n, err
}

func (c *recorder) Write(p []byte) (int, error)      { return len(p), nil }
func (c *recorder) Close() error                     { return nil }
func (c *recorder) LocalAddr() net.Addr              { return nil }
func (c *recorder) RemoteAddr() net.Addr             { return nil }
func (c *recorder) SetDeadline(time.Time) error      { return nil }
func (c *recorder) SetReadDeadline(time.Time) error  { return nil }
func (c *recorder) SetWriteDeadline(time.Time) error { return nil }

// unrecognizedName is the alert by which a client learns that the name it sent was
// not accepted (RFC 6066, section 3): fatal, 112.
var unrecognizedName = []byte{21, 3, 3, 0, 2, 2, 112}
