package sandbox_test

import (
	"os"
	"testing"

	"gatehouse/test/program"
)

// outOfTheFolder attacks server-filesystem 2025.3.28. It takes a folder
// whose name only begins like the allowed one for allowed (53110), and follows links out
// of it (53109), which an archive or a repository brings along.
func outOfTheFolder(t *testing.T, gatehouse string) {
	work := folder(t)
	given := work + "/notes"
	openFile(t, "remember the milk\n", given, "list.txt")
	private := openFile(t, "the private diary\n", work, "notes-private", "diary.txt")
	key := openFile(t, "the secret key\n", work, "home", "key")
	profile := openFile(t, "", work, "home", "profile")
	must(t, os.Symlink(key, given+"/readme.md"))
	must(t, os.Symlink(profile, given+"/draft.md"))
	s := server{
		sandbox: []string{"--sandbox", "offline-files", "--write", given},
		args:    []string{program.Node(t), holed(t, "@modelcontextprotocol/server-filesystem/dist/index.js"), given},
		works: []call{
			{"read_file", map[string]any{"path": given + "/list.txt"}, "remember the milk"},
			{"write_file", map[string]any{"path": given + "/new.txt", "content": "x"}, "Successfully wrote"},
		},
	}
	s.attacked(t, gatehouse, work,
		try{what: "CVE-2025-53110, reading", call: call{"read_file", map[string]any{"path": private}, "the private diary"}},
		try{
			what: "CVE-2025-53110, writing", call: call{"write_file", map[string]any{"path": work + "/notes-private/added", "content": "x"}, ""},
			done: func() bool { return os.Remove(work+"/notes-private/added") == nil },
		},
		try{what: "CVE-2025-53109, reading", call: call{"read_file", map[string]any{"path": given + "/readme.md"}, "the secret key"}},
		try{
			what: "CVE-2025-53109, writing", call: call{"write_file", map[string]any{"path": given + "/draft.md", "content": "run-at-sign-in"}, ""},
			done: func() bool {
				text, err := os.ReadFile(profile)
				must(t, err)
				must(t, os.Truncate(profile, 0))
				return len(text) > 0
			},
		},
	)
}
