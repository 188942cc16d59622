// Package conformance runs the official MCP conformance suite against a server
// twice, directly and through the gateway, and compares. What the suite finds of
// a server must not change when Gatehouse stands in front of it with every guard
// on.
package conformance
