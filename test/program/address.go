package program

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

// FreeAddress is an address of this machine on which nothing listens now.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// AwaitHealth waits until a gateway answers at its address, without a path.
func AwaitHealth(url string, patience time.Duration) error {
	late := time.After(patience)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if response, err := http.Get(url + "/healthz"); err == nil {
			response.Body.Close()
			return nil
		}
		select {
		case <-again.C:
		case <-late:
			return fmt.Errorf("nothing answers at %s within %v", url, patience)
		}
	}
}
