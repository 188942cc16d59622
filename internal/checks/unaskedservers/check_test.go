package unaskedservers

import (
	"testing"

	"gatehouse/internal/check"
	"gatehouse/internal/check/checktest"
	"gatehouse/internal/client"
)

func TestCheck(t *testing.T) { checktest.Run(t, Check) }

func Test_the_home_of_a_file_counts(t *testing.T) {
	f := client.File{Path: "/odd/bob/.codex/config.toml", Home: "/odd/bob", Settings: []client.Set{{Key: "projects./odd/bob.trust_level", Value: []string{"trusted"}}}}
	if r := run(&check.Scene{Home: "/odd/ada", Files: []client.File{f}}); len(r.Findings) != 1 {
		t.Errorf("%+v", r)
	}
}
