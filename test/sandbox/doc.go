// Package sandbox_test attacks sandboxes from inside, in Go, Python and JavaScript,
// and runs real servers in them. Each attack runs outside as well, where it works:
// one that fails everywhere proves nothing.
package sandbox_test
