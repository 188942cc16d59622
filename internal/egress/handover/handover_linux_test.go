package handover

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pair is both ends as connections.
func pair(t *testing.T) (broker, inside *net.UnixConn) {
	t.Helper()
	broker, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if inside, err = Inherit(file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close(); inside.Close() })
	return broker, inside
}

func sockets(t *testing.T) *Sockets {
	t.Helper()
	s := &Sockets{}
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(host)})
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			t.Fatal(err)
		}
		s.TCP, s.UDP = append(s.TCP, l), append(s.UDP, c)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestHandover(t *testing.T) {
	broker, inside := pair(t)
	forwards := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5432"), netip.MustParseAddrPort("[::1]:5432")}
	given := sockets(t)
	done := make(chan error, 1)
	go func() {
		got, err := Await(inside)
		if err == nil && (len(got) != 2 || got[0] != forwards[0] || got[1] != forwards[1]) {
			err = errors.New("other addresses came in")
		}
		if err == nil {
			err = Give(inside, given)
		}
		done <- err
	}()
	got, err := Receive(broker, forwards)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if err := Ready(broker); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for i := range given.TCP {
		if got.TCP[i].Addr().String() != given.TCP[i].Addr().String() || got.UDP[i].LocalAddr().String() != given.UDP[i].LocalAddr().String() {
			t.Errorf("socket %d is another one", i)
		}
	}
}

// What comes from inside is not what it should be: it is refused, and no descriptor
// stays.
func TestReceive_refuses_anything_else(t *testing.T) {
	file := func(socket interface{ File() (*os.File, error) }) int {
		f, err := socket.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return int(f.Fd())
	}
	s := sockets(t)
	tcp, udp := file(s.TCP[0]), file(s.UDP[0])
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	stream, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(stream[:])
	for name, test := range map[string]struct {
		text string
		fds  []int
	}{
		"no sockets":       {gift, nil},
		"one socket":       {gift, []int{tcp}},
		"three sockets":    {gift, []int{tcp, udp, tcp}},
		"six sockets":      {gift, []int{tcp, udp, tcp, udp, tcp, udp}},
		"in another order": {gift, []int{udp, tcp}},
		"two listeners":    {gift, []int{tcp, tcp}},
		"a file":           {gift, []int{tcp, int(plain.Fd())}},
		"a unix socket":    {gift, []int{stream[0], udp}},
		"another text":     {"socket", []int{tcp, udp}},
		"a long text":      {strings.Repeat(gift, 1000), []int{tcp, udp}},
		"nothing":          {"", []int{tcp, udp}},
	} {
		broker, inside := pair(t)
		before := descriptors(t)
		if _, _, err := inside.WriteMsgUnix([]byte(test.text), unix.UnixRights(test.fds...), nil); err != nil {
			t.Fatal(err)
		}
		if got, err := Receive(broker, nil); err == nil {
			got.Close()
			t.Errorf("%s: taken", name)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%s: %d descriptors, %d before", name, after, before)
		}
	}
	broker, inside := pair(t)
	inside.Close()
	if _, err := Receive(broker, nil); err == nil {
		t.Error("sockets came from nobody")
	}
}

func TestAwait_refuses_anything_else(t *testing.T) {
	for _, packet := range []string{
		"", "gatehouse", greeting + "\n", greeting + "\n127.0.0.1", greeting + "\n10.0.0.1:80", greeting + "\n0.0.0.0:80",
		greeting + "\nlocalhost:80", greeting + strings.Repeat("\n127.0.0.1:80", MaxForwards+1),
	} {
		if got, err := decodeForwards(packet); err == nil {
			t.Errorf("%q: %v", packet, got)
		}
	}
	broker, inside := pair(t)
	if _, err := broker.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := Await(inside); err == nil {
		t.Error("a greeting of somebody else was taken")
	}
	if _, err := Receive(broker, make([]netip.AddrPort, MaxForwards+1)); err == nil {
		t.Error("too many addresses were sent")
	}
}

func TestGive_waits_until_it_is_served(t *testing.T) {
	for _, answer := range []string{"", "no", ready + "!"} {
		broker, inside := pair(t)
		if answer == "" {
			broker.Close()
		} else if _, err := broker.Write([]byte(answer)); err != nil {
			t.Fatal(err)
		}
		if err := Give(inside, sockets(t)); err == nil {
			t.Errorf("%q was taken for being served", answer)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
