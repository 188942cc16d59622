package openlistener

import (
	"errors"
	"testing"

	"gatehouse/internal/check"
	"gatehouse/internal/check/checktest"
)

func TestCheck(t *testing.T) { checktest.Run(t, Check) }

func Test_what_was_found_is_told_though_not_all_was_asked(t *testing.T) {
	scene := &check.Scene{}
	scene.Facts.Listening = func() ([]check.Listener, error) {
		return []check.Listener{{Address: "127.0.0.1:8000", Open: true}}, errors.New("too many ports")
	}
	if r := run(scene); len(r.Findings) != 1 || len(r.Unchecked) != 1 {
		t.Errorf("%+v", r)
	}
}
