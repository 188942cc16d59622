package profile

// V8 keeps a thread for each processor and more for files, and reserves memory
// generously.
var node = Preset{
	Name:    "node",
	Doc:     "A server in JavaScript that is installed already. It reads its own packages and nothing else.",
	Profile: Profile{Limits: Limits{Memory: 2 << 30, Processes: 256, Descriptors: 4096}},
}
