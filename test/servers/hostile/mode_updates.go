package main

import (
	"context"
	"encoding/json"
)

var updates = mode{
	name:  "updates",
	about: "a plain server; a resource that is subscribed to is updated at once",
	request: func(_ context.Context, s *server, ex *exchange) bool {
		if ex.method != "resources/subscribe" {
			return false
		}
		var params struct {
			URI string `json:"uri"`
		}
		json.Unmarshal(ex.params, &params)
		ex.result(object{})
		s.broadcast("notifications/resources/updated", object{"uri": params.URI})
		return true
	},
}
