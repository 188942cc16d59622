package egress

import (
	"net"
	"testing"

	"gatehouse/internal/egress/handover"
)

// handedOver serves sockets of this test's own network, which is enough where
// nothing is connected.
func handedOver(t *testing.T) (inside *net.UnixConn, served <-chan error) {
	t.Helper()
	b, err := NewBroker(nil, quietLog, Options{})
	if err != nil {
		t.Fatal(err)
	}
	broker, file, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	if inside, err = handover.Inherit(file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inside.Close() })
	done := make(chan error, 1)
	go func() { done <- b.Serve(t.Context(), broker) }()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := handover.Await(inside); err != nil {
		t.Fatal(err)
	}
	if err := handover.Give(inside, &handover.Sockets{TCP: []*net.TCPListener{l}, UDP: []*net.UDPConn{c}}); err != nil {
		t.Fatal(err)
	}
	return inside, done
}

func TestServe_ends_with_its_sandbox(t *testing.T) {
	inside, served := handedOver(t)
	inside.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestServe_ends_when_anything_is_said_to_it(t *testing.T) {
	inside, served := handedOver(t)
	if _, err := inside.Write([]byte("let me out")); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err == nil {
		t.Error("what came from inside was passed over")
	}
}
