package openfile

import (
	"testing"

	"gatehouse/internal/check"
	"gatehouse/internal/check/checktest"
	"gatehouse/internal/client"
)

func TestCheck(t *testing.T) { checktest.Run(t, Check) }

func Test_a_file_without_a_mode_is_not_called_closed(t *testing.T) {
	r := run(&check.Scene{Files: []client.File{{Path: "/a"}, {Path: "/b", Mode: "rw-------"}}})
	if len(r.Findings) != 0 || len(r.Unchecked) != 1 {
		t.Errorf("%+v", r)
	}
}
