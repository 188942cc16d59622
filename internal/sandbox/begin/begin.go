// Package begin makes a program able to start sandboxes: the program is a part of each
// of them too, and where it was started as one, this package runs that part and nothing
// else of the program.
//
// It does so while it is initialized, which is before the packages that are needed for
// everything else and take longer. "The list of all packages, sorted by import path, in
// each step the first uninitialized package in the list for which all imported packages
// (if any) are already initialized is initialized" (The Go Programming Language
// Specification, "Program initialization"), and what this package imports comes early
// in that order. A sandbox starts the program twice, so that this saves time twice.
package begin

import (
	"gatehouse/internal/egress/inside"
	"gatehouse/internal/sandbox"
)

func init() { sandbox.Inside(inside.Setup) }
