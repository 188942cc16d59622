package main

import "errors"

var exitOnStart = mode{
	name:  "exit-on-start",
	about: "ends at once with a line on standard error",
	start: func(*server) error { return errors.New("there is nothing to serve") },
}
