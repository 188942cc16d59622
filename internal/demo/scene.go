package demo

// scene is one attack: what the user wants, and what the attacker is after. How
// the attack is made, only the weather server knows.
type scene struct {
	name  string
	title string
	tasks []call
	prize string // file that must not get to the attacker
}

// Files in the folder that the file server serves.
const (
	notesFile = "notes.txt"
	draftFile = "offer.txt"
	keyFile   = "deploy-key.txt"
)

const colleague = "ana@office.example"

var (
	askWeather = call{"weather", "get_forecast", object{"city": "Lisbon"}}
	readNotes  = call{"files", "read_text_file", object{"path": notesFile}}
	readDraft  = call{"files", "read_text_file", object{"path": draftFile}}
	sendDraft  = call{"mail", "send_message", object{"to": colleague, "text": "{{read_text_file}}"}}
)

var scenes = []scene{
	{
		name: "poisoned-description", title: "A tool's description gives orders",
		tasks: []call{askWeather, readNotes}, prize: keyFile,
	},
	{
		name: "redefined-tool", title: "A server redefines another server's tool",
		tasks: []call{readDraft, sendDraft}, prize: draftFile,
	},
	{
		name: "rug-pull", title: "A tool changes after it was approved",
		tasks: []call{askWeather, readNotes, askWeather}, prize: keyFile,
	},
	{
		name: "injected-result", title: "A result gives orders",
		tasks: []call{askWeather, readNotes}, prize: keyFile,
	},
}
