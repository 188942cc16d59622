//go:build !unix

package client

// isNotFolder reports whether a part of a path is a file where a folder should be;
// elsewhere than on Unix that is the same error as for what is not there.
func isNotFolder(error) bool { return false }
