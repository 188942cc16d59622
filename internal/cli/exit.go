package cli

import "errors"

// Exit codes, the same for every command.
const (
	exitOK         = 0
	exitFindings   = 1 // something was found, or waits for a person
	exitUsage      = 2 // wrong usage or configuration
	exitIncomplete = 3 // something could not be checked or done
)

// exitError carries the exit code of a command. Without err nothing is printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exitWith(code int, err error) error { return &exitError{code, err} }

func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitUsage
}
