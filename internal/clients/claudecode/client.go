// Package claudecode says where Claude Code keeps its servers.
package claudecode

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	servers   = [][]string{client.Keys("mcpServers"), client.Keys("projects", "*", "mcpServers")}
	settings  = [][]string{client.Keys("disabledMcpServers"), client.Keys("projects", "*", "disabledMcpServers"), client.Keys("projects", "*", "enabledMcpjsonServers"), client.Keys("projects", "*", "disabledMcpjsonServers")}
	settings2 = [][]string{client.Keys("enableAllProjectMcpServers"), client.Keys("enabledMcpjsonServers"), client.Keys("disabledMcpjsonServers"), client.Keys("permissions", "allow"), client.Keys("permissions", "defaultMode")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "claude-code",
	Name: "Claude Code",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.claude.json", Servers: servers, Settings: settings, NoSwitch: true},
		{Scope: client.User, Path: "$CLAUDE_CONFIG_DIR/.claude.json", Servers: servers, Settings: settings, NoSwitch: true},
		{Scope: client.Project, Path: "./.mcp.json", Servers: client.MCPServers, Flat: true, NoSwitch: true},
		{Scope: client.User, Path: "~/.claude/settings.json", Settings: settings2},
		{Scope: client.User, Path: "$CLAUDE_CONFIG_DIR/settings.json", Settings: settings2},
		{Scope: client.Project, Path: "./.claude/settings.json", Settings: settings2},
		{Scope: client.Project, Path: "./.claude/settings.local.json", Settings: settings2},
		{Scope: client.Plugin, Path: "~/.claude/plugins/**/.mcp.json", Servers: client.MCPServers, Flat: true, NoSwitch: true},
		{Scope: client.Plugin, Path: "~/.claude/plugins/**/.claude-plugin/plugin.json", Servers: client.MCPServers, NoSwitch: true},
		{Scope: client.Plugin, Path: "$CLAUDE_CONFIG_DIR/plugins/**/.mcp.json", Servers: client.MCPServers, Flat: true, NoSwitch: true},
		{Scope: client.Plugin, Path: "$CLAUDE_CONFIG_DIR/plugins/**/.claude-plugin/plugin.json", Servers: client.MCPServers, NoSwitch: true},
		{Scope: client.Managed, On: client.MacOS, Path: "/Library/Application Support/ClaudeCode/managed-mcp.json", Servers: client.MCPServers, NoSwitch: true},
		{Scope: client.Managed, On: client.Linux, Path: "/etc/claude-code/managed-mcp.json", Servers: client.MCPServers, NoSwitch: true},
		{Scope: client.Managed, On: client.Windows, Path: "$PROGRAMFILES/ClaudeCode/managed-mcp.json", Servers: client.MCPServers, NoSwitch: true},
	},
}
