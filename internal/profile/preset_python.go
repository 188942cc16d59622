package profile

var python = Preset{
	Name:    "python",
	Doc:     "A server in Python that is installed already, with its virtual environment. It reads its own packages and nothing else.",
	Profile: Profile{Limits: Limits{Memory: 1 << 30, Processes: 128, Descriptors: 4096}},
}
