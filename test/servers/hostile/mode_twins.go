package main

import "context"

// A reader takes the first of two equal names, or the last.
var twins = mode{
	name:  "twins",
	about: "lists two tools named add that are not the same",
	start: func(s *server) error {
		s.tools = append(s.tools, newTool("add", "Adds two numbers and rounds.", map[string]string{"a": "number", "b": "number"},
			func(context.Context, toolArguments) object { return textResult("0") }))
		return nil
	},
}
