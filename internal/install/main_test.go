package install

import (
	"os"
	"testing"

	"gatehouse/internal/egress/inside"
	"gatehouse/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Inside(inside.Setup) // the installers' sandboxes begin as this program
	os.Exit(m.Run())
}
