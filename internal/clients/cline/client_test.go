package cline

import (
	"testing"

	"gatehouse/internal/client/clienttest"
)

func TestClient(t *testing.T) { clienttest.Run(t, Client) }
