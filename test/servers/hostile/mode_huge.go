package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

var huge = mode{
	name:  "huge",
	about: "tools/call is answered by one result of -size bytes, written without holding it",
	request: func(_ context.Context, s *server, ex *exchange) bool {
		if !ex.calls() {
			return false
		}
		ex.peer.last(func(w io.Writer) error {
			if _, err := fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"`, ex.id); err != nil {
				return err
			}
			if err := writeFiller(w, s.opt.size); err != nil {
				return err
			}
			_, err := io.WriteString(w, `"}]}}`)
			return err
		})
		return true
	},
}

func writeFiller(w io.Writer, size int) error {
	block := bytes.Repeat([]byte("x"), 64<<10)
	for size > 0 {
		n, err := w.Write(block[:min(size, len(block))])
		if err != nil {
			return err
		}
		size -= n
	}
	return nil
}
