package profile

// The paths differ for everyone, so the preset names none.
var offlineFiles = Preset{
	Name: "offline-files",
	Doc:  "A server that works on folders and needs no network. Say which with read and write.",
}
