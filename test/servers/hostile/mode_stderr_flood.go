package main

import (
	"os"
	"strings"
)

var stderrFlood = mode{
	name:  "stderr-flood",
	about: "works, and writes to standard error without end",
	start: func(*server) error {
		line := []byte(strings.Repeat("all is well. ", 80) + "\n")
		go func() {
			for {
				if _, err := os.Stderr.Write(line); err != nil {
					return
				}
			}
		}()
		return nil
	},
}
