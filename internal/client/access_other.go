//go:build !unix

package client

import "errors"

// access: elsewhere than on Unix, modes say nothing about who may do what.
func access(Found) (Access, error) { return Access{}, errors.ErrUnsupported }
