// Package client is the vocabulary of how host applications, such as editors and
// assistants, store their MCP servers: a Client names its files per system and scope,
// Read turns one of them into entries, and Rewrite changes an entry in place. Nothing
// here runs a program or opens a connection.
package client

import "gatehouse/internal/config"

// Client is how one host application stores its servers.
type Client struct {
	ID     string // never renamed: it stands in reports and approvals
	Name   string // as people say it
	Places []Place
	Doc    string // doc.md of its folder
}

// Scope says for whom a file counts.
type Scope string

const (
	User    Scope = "user"    // one person on this machine
	Project Scope = "project" // whoever opens a folder
	Plugin  Scope = "plugin"  // brought by an extension or a plugin
	Managed Scope = "managed" // everybody on this machine, written by its administrator
)

// System is a set of operating systems.
type System uint8

const (
	Linux System = 1 << iota
	MacOS
	Windows

	Everywhere = Linux | MacOS | Windows
	Unix       = Linux | MacOS
)

func (s System) String() string {
	switch s {
	case Linux:
		return "linux"
	case MacOS:
		return "macos"
	case Windows:
		return "windows"
	}
	return "several systems"
}

// Place is where a client may keep a file.
type Place struct {
	Scope Scope
	On    System // zero: everywhere
	// Path is slash-separated, with * for any part of a name and ** for any folders.
	// It begins with
	//
	//	~/             the home of a person; for ~/.config, $XDG_CONFIG_HOME as well
	//	$APP/          the folder of applications: ~/Library/Application Support, %APPDATA%, ~/.config
	//	$LOCALAPP/     %LOCALAPPDATA%
	//	$PROGRAMDATA/  %ProgramData%
	//	$PROGRAMFILES/ %ProgramFiles%
	//	./             a project
	//	$NAME/         the folder in the environment variable NAME, or nowhere
	//	/              the root of the machine
	Path   string
	Format config.Format
	// Servers are the keys under which servers stand, tried in this order and all of
	// them read. "*" is any key.
	Servers [][]string
	// Flat is for files that may be a mapping of servers with nothing around it.
	Flat bool
	// SSE says that an address is one of HTTP+SSE where nothing else is said.
	SSE bool
	// NoSwitch says that the client starts a server whatever disabled or enabled say in
	// its entry.
	NoSwitch bool
	// Settings are keys that decide whether people are asked. They are reported, not
	// judged.
	Settings [][]string
}

// Keys names members of a file one inside the other.
func Keys(names ...string) []string { return names }

// MCPServers is where most clients keep servers.
var MCPServers = [][]string{{"mcpServers"}}

// Servers are the places of VS Code and what follows it.
var Servers = [][]string{{"servers"}}
