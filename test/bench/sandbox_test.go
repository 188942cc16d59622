package main

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

func TestDownload_gets_every_byte(t *testing.T) {
	certificate, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"tcp", "tls"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		address := listener.Addr().String()
		if protocol == "tls" {
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				upload(conn, 0)
			}
		}()
		if took, err := downloadOnce(protocol, address, "1000000"); err != nil || took <= 0 {
			t.Errorf("%s: %v, %v", protocol, took, err)
		}
		if _, err := downloadOnce(protocol, address, "none"); err == nil {
			t.Errorf("%s: a download without bytes is measured", protocol)
		}
	}
}

func TestMemory_counts_children(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // there is no /proc
	}
	alone := memoryOfAll(os.Getpid())
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	together := memoryOfAll(os.Getpid())
	of := memoryOfAll(child.Process.Pid)
	in.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if alone <= 0 || of <= 0 || together <= of {
		t.Errorf("%d alone, %d with a child of %d", alone, together, of)
	}
}

// What is compared is what was measured one after the other, and each start counts.
func TestGoals_of_sandboxes(t *testing.T) {
	r := report{Sandbox: &sandboxCost{
		Servers:   []confined{{Name: "s", Starts: 2, Start: [2][]float64{{100, 90, 110}, {180, 190, 170}}, Call: [2][]float64{{50}, {65}}, Memory: [2][]float64{{40}, {60}}}},
		Downloads: []download{{Name: "d", Direct: []float64{100, 10, 1000}, Inside: []float64{90, 9, 500}}},
	}}
	want := map[string]float64{"sandbox, each start of s": 40, "sandbox, call of s": 15, "sandbox, memory of s": 20, "egress, d": 0.9}
	for _, g := range r.sandboxGoals() {
		if w, known := want[g.what]; !known || g.figure != w {
			t.Errorf("%s: %v, want %v", g.what, g.figure, w)
		}
		delete(want, g.what)
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
}
