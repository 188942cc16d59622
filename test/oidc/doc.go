// Package oidc tests that Gatehouse recognises the tokens of a real OpenID Connect
// provider, the one from npm, which the tests start on this machine.
package oidc
