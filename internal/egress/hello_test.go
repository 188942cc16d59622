package egress

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

// hello is what a client with a server name sends first.
func hello(t testing.TB, name string) []byte {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		client.Close()
	}()
	defer server.Close()
	header := make([]byte, 5)
	if _, err := io.ReadFull(server, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(server, body); err != nil {
		t.Fatal(err)
	}
	return append(header, body...)
}

// cut puts a record into records of n bytes each.
func cut(record []byte, n int) []byte {
	var out []byte
	for body := record[5:]; len(body) > 0; {
		piece := body[:min(n, len(body))]
		out = append(append(out, record[0], record[1], record[2], byte(len(piece)>>8), byte(len(piece))), piece...)
		body = body[len(piece):]
	}
	return out
}

func TestReadHello_however_it_comes(t *testing.T) {
	whole := hello(t, "api.example.com")
	for name, sent := range map[string][]byte{"one record": whole, "many records": cut(whole, 3), "two records": cut(whole, 200)} {
		for _, reader := range []io.Reader{bytes.NewReader(sent), iotest.OneByteReader(bytes.NewReader(sent)), iotest.HalfReader(bytes.NewReader(sent))} {
			got, read, err := readHello(reader)
			if err != nil || got != "api.example.com" || !bytes.Equal(read, sent) {
				t.Errorf("%s: %q, %d of %d bytes, %v", name, got, len(read), len(sent), err)
			}
		}
	}
	if got, _, err := readHello(bytes.NewReader(hello(t, ""))); got != "" || err != nil {
		t.Errorf("without a name: %q, %v", got, err)
	}
}

func TestReadHello_is_bounded(t *testing.T) {
	// A handshake message of 64 KiB, which crypto/tls alone would read.
	message := append([]byte{1, 0, 0xff, 0xff}, make([]byte, 0xffff)...)
	sent := cut(append([]byte{22, 3, 1, 0, 0}, message...), 16000)
	reader := bytes.NewReader(sent)
	if _, _, err := readHello(reader); !errors.Is(err, errHelloTooLarge) {
		t.Errorf("%v, want %v", err, errHelloTooLarge)
	}
	if used := len(sent) - reader.Len(); used > maxHello {
		t.Errorf("%d bytes were read", used)
	}
}

// What is read is a prefix of what was sent, and a name is found only in what
// crypto/tls takes for a ClientHello.
func FuzzReadHello(f *testing.F) {
	f.Add(hello(f, "api.example.com"))
	f.Add(cut(hello(f, "api.example.com"), 50))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		name, read, err := readHello(bytes.NewReader(sent))
		if err != nil && (name != "" || read != nil) {
			t.Fatalf("%q and %d bytes with %v", name, len(read), err)
		}
		if err == nil && (!bytes.HasPrefix(sent, read) || len(read) == 0 || read[0] != tlsHandshake) {
			t.Fatalf("%d bytes were read that were not sent", len(read))
		}
		if name != "" && !bytes.Contains(bytes.ToLower(join(sent)), []byte(canonicalName(name))) {
			t.Fatalf("%q was not sent", name)
		}
	})
}

// join takes the headers of records away.
func join(sent []byte) (out []byte) {
	for len(sent) >= 5 {
		n := int(sent[3])<<8 | int(sent[4])
		out = append(out, sent[5:min(len(sent), 5+n)]...)
		sent = sent[min(len(sent), 5+n):]
	}
	return out
}

func TestLooksLikeHTTP(t *testing.T) {
	for text, want := range map[string]bool{
		"GET / HT": true, "G": true, "POST /ap": true, "PRI * HT": true, "CONNECT ": true, "": false,
		"GETX": false, "get /": false, "SSH-2.0-": false, "\x00\x00\x00\x08\x04\xd2\x16\x2f": false, "*1\r\n$4\r\n": false,
	} {
		if got := looksLikeHTTP([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
