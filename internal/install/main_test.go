package install

import (
	"fmt"
	"os"
	"testing"

	"gatehouse/internal/egress/inside"
	"gatehouse/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Inside(inside.Setup) // the installers' sandboxes begin as this program
	os.Exit(m.Run())
}

// registry0 writes a place down.
func registry0(raw string) (string, error) {
	p, err := registryPlace(raw, nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(p.rule.Host, " ", p.rule.Ports[0], " ", p.rule.Protocol, " ", len(p.rule.UnsafePrefixes)), nil
}

// missing skips the test, or fails it where everything is supposed to be there.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("GATEHOUSE_TOOLS") == "required" {
		t.Fatal(err)
	}
	t.Skip(err)
}
