package profile

// A database is one place with one port, and nobody else's defaults fit it. What
// a query returns is held in memory before it is sent.
var database = Preset{
	Name:    "database",
	Doc:     "A server in front of one database. Say where it is with network, such as db.example.com:5432.",
	Profile: Profile{Limits: Limits{Memory: 1 << 30, Processes: 64}},
}
