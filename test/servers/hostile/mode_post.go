package main

import (
	"context"
	"strconv"
)

// post is not hostile: it is the place a secret is carried off to. What arrived
// stands in the record file, one message a line.
var post = mode{
	name:  "post",
	about: "a plain server with one tool, send_message(to, text), that appends to -record",
	start: func(s *server) error {
		s.tools = []tool{newTool("send_message", "Sends a text message to an address.",
			map[string]string{"to": "string", "text": "string"},
			func(_ context.Context, in toolArguments) object {
				if err := s.tell(in.To + " " + strconv.Quote(in.Text)); err != nil {
					return object{"content": textContent(err.Error()), "isError": true}
				}
				return textResult("sent to " + in.To)
			})}
		return nil
	},
}
