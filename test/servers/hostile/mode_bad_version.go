package main

import "context"

var badVersion = mode{
	name:  "bad-version",
	about: "agrees to a protocol version that does not exist",
	request: func(_ context.Context, s *server, ex *exchange) bool {
		result := s.introduction()
		switch ex.method {
		case "initialize":
			result["protocolVersion"] = "1999-12-31"
		case "server/discover":
			result["supportedVersions"] = []string{"1999-12-31"}
		default:
			return false
		}
		ex.result(result)
		return true
	},
}
