// Package oidc starts a real OpenID Connect provider, the one from npm, on this machine.
// Its tests see that Gatehouse recognises the provider's tokens, and that people sign in
// there from MCP Inspector in a browser.
package oidc
