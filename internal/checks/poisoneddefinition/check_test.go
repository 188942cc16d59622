package poisoneddefinition

import (
	"testing"

	"gatehouse/internal/check/checktest"
)

func TestCheck(t *testing.T) { checktest.Run(t, Check) }
