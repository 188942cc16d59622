package profile

var webReader = Preset{
	Name:    "web-reader",
	Doc:     "A server that fetches web pages. It may reach every public host, so give it nothing to read that must not leave.",
	Profile: Profile{Network: []Destination{{Host: "*", Ports: []int{80, 443}}}},
}
