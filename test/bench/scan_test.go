package main

import (
	"strings"
	"testing"
	"time"
)

func TestScan_that_sees_less_is_no_figure(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"summary": {"servers": 20, "clients": 6, "checks": 3}}`:                  true,
		`{"summary": {"servers": 19, "clients": 6, "checks": 3}}`:                  false,
		`{"summary": {"servers": 20, "clients": 5, "checks": 3}}`:                  false,
		`{"summary": {"servers": 20, "clients": 6, "checks": 0}}`:                  false,
		`{"summary": {"servers": 20, "clients": 6, "checks": 3, "incomplete": 1}}`: false,
		`{}`: false, ``: false,
	} {
		if err := asWanted([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestScan_has_a_goal(t *testing.T) {
	for took, want := range map[time.Duration]string{time.Second: "  yes", 1001 * time.Millisecond: "  no"} {
		r := report{Took: 1, Scan: &scanned{Took: []time.Duration{took}, CPU: []time.Duration{took}}}
		var out strings.Builder
		if err := r.print(&out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "Scan of 20 servers in 6 clients") {
			t.Errorf("%v: %s", took, out.String())
		}
	}
}
