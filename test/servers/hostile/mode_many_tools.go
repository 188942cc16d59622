package main

import (
	"context"
	"fmt"
)

var manyTools = mode{
	name:  "many-tools",
	about: "lists -count tools, in one page",
	start: func(s *server) error {
		for i := len(s.tools); i < s.opt.count; i++ {
			s.tools = append(s.tools, newTool(fmt.Sprintf("tool_%05d", i), "Returns its number.", nil,
				func(context.Context, toolArguments) object { return textResult(fmt.Sprint(i)) }))
		}
		return nil
	},
}
