package requirements

// Requirement is one thing that the specification, or its chapter on security,
// asks of a program that stands between clients and servers. It has tests, here or
// elsewhere, or a reason why it has none.
type Requirement struct {
	Number int
	Level  Level
	From   string // chapter of the specification
	Text   string // one sentence, in our words

	Elsewhere []Reference // tests of other packages; those here are found by name
	OAuth     bool        // about the gateway as OAuth client of servers
	Part      string      // what is not there yet, beside what the tests prove
	Gap       string      // what the gateway does wrong: its test calls knownGap
	Why       string      // why there is no test
}

// Level is how strongly a requirement is worded.
type Level string

// Levels as RFC 2119 has them.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
)

// Reference is a test in another folder of the repository.
type Reference struct{ Folder, Test string }

// PendingOAuth says that the gateway as OAuth client is not part of this tree yet:
// requirements about it count as pending and their references are not looked up.
const PendingOAuth = true

// in lists tests of one folder.
func in(folder string, tests ...string) []Reference {
	list := make([]Reference, len(tests))
	for i, test := range tests {
		list[i] = Reference{folder, test}
	}
	return list
}

// withOAuth are tests of the gateway as OAuth client, if it is there.
func withOAuth(list []Reference) []Reference {
	if PendingOAuth {
		return nil
	}
	return list
}
