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
	Part      string      // what is not there yet, beside what the tests prove
	Gap       string      // what the gateway does wrong: its test calls knownGap, or Why says why it has none
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

// in lists tests of one folder.
func in(folder string, tests ...string) []Reference {
	list := make([]Reference, len(tests))
	for i, test := range tests {
		list[i] = Reference{folder, test}
	}
	return list
}
