package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Client and stub speak HTTP/1.1 by themselves. net/http costs more than what is
// measured here, and would be measured with it.

// maxBody bounds what is read as one body.
const maxBody = 64 << 20

// head is what is read of the head of a request or a response.
type head struct {
	method, path string // of a request
	status       int    // of a response
	length       int
	chunked      bool
	json         bool
	stream       bool // text/event-stream
	closing      bool
	session      string
}

var errHead = errors.New("not the head of an HTTP/1.1 message")

// readHead reads up to the empty line.
func readHead(r *bufio.Reader) (head, error) {
	var h head
	line, err := readLine(r)
	if err != nil {
		return h, err
	}
	first, rest, _ := bytes.Cut(line, []byte{' '})
	second, _, _ := bytes.Cut(rest, []byte{' '})
	if bytes.HasPrefix(first, []byte("HTTP/1.")) {
		if h.status, err = strconv.Atoi(string(second)); err != nil {
			return h, errHead
		}
	} else {
		h.method, h.path = string(first), string(second)
	}
	for {
		if line, err = readLine(r); err != nil {
			return h, err
		}
		if len(line) == 0 {
			return h, nil
		}
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found {
			return h, errHead
		}
		if err := h.field(name, bytes.TrimSpace(value)); err != nil {
			return h, err
		}
	}
}

func (h *head) field(name, value []byte) (err error) {
	is := func(known string) bool { return len(name) == len(known) && bytes.EqualFold(name, []byte(known)) }
	switch {
	case is("content-length"):
		if h.length, err = strconv.Atoi(string(value)); err != nil || h.length < 0 || h.length > maxBody {
			return errHead
		}
	case is("transfer-encoding"):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case is("content-type"):
		h.json = bytes.HasPrefix(value, []byte("application/json"))
		h.stream = bytes.HasPrefix(value, []byte("text/event-stream"))
	case is("connection"):
		h.closing = bytes.EqualFold(value, []byte("close"))
	case is("mcp-session-id"):
		h.session = string(value)
	}
	return nil
}

func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// readBody reads the body behind h into b and returns it.
func readBody(r *bufio.Reader, h head, b []byte) ([]byte, error) {
	if !h.chunked {
		return readMore(r, b[:0], h.length)
	}
	b = b[:0]
	for {
		line, err := readLine(r)
		if err != nil {
			return b, err
		}
		n, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil || len(b)+int(n) > maxBody {
			return b, fmt.Errorf("a chunk of length %q", line)
		}
		if b, err = readMore(r, b, int(n)); err != nil {
			return b, err
		}
		if line, err = readLine(r); err != nil || len(line) > 0 {
			return b, errors.Join(err, errHead)
		}
		if n == 0 {
			return b, nil
		}
	}
}

// answerOf is the data of the last event of a stream: a call that takes long is
// answered by one.
func answerOf(stream []byte) []byte {
	begin := bytes.LastIndex(stream, []byte("data: "))
	if begin < 0 {
		return nil
	}
	data, _, _ := bytes.Cut(stream[begin+len("data: "):], []byte{'\n'})
	return data
}

func readMore(r *bufio.Reader, b []byte, n int) ([]byte, error) {
	have := len(b)
	for cap(b) < have+n {
		b = append(b[:cap(b)], 0)
	}
	b = b[:have+n]
	_, err := io.ReadFull(r, b[have:])
	return b, err
}
