package profile

// A page of another site is a process of its own with some twenty threads, and a
// browser opens hundreds of files for one. Where its program lies differs.
var browser = Preset{
	Name: "browser",
	Doc:  "A server that drives a browser. It may reach every public host, so give it nothing to read that must not leave. Name the folder of the browser with execute and that of the fonts with read.",
	Profile: Profile{
		Network: []Destination{{Host: "*", Ports: []int{80, 443}}},
		Limits:  Limits{Memory: 4 << 30, Processes: 1024, Descriptors: 4096, Disk: 1 << 30},
	},
}
