// Package requirements says for each requirement that MCP places on a gateway how
// it is tested, or why it is not, and writes the answer to docs/REQUIREMENTS.md.
package requirements

//go:generate go test -run Test_every_requirement -update
