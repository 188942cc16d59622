package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// mode is one way to misbehave. A hook that is nil leaves the plain behaviour.
type mode struct {
	name  string
	about string
	// start changes the server before it reads its first message.
	start func(s *server) error
	// heard sees every message of the client before anything is done with it.
	heard func(s *server, e envelope)
	// request sees each request first and reports whether it dealt with it.
	request func(ctx context.Context, s *server, ex *exchange) bool
}

// modes is every mode; each stands in the file named after it.
var modes = []mode{
	{name: "ok", about: "a plain good server: echo, add, big, slow, fail; one prompt, one resource"},
	post, verbatim, updates, raw,

	// Processes.
	exitOnStart, slowStart, neverInitialize, die, dieHalf, hang, ignoreTerm, orphan, orphanEscape, stderrFlood,

	// Too much.
	flood, garbageFlood, huge, manyTools,

	// Not what the protocol allows.
	garbage, chatter, wrongID, nullID, duplicateKeys, caseKeys, twoAnswers, resultAndError, trailing, batch,
	badUTF8, deep, badVersion,

	// Attacks on the model.
	poison, rugpull, newcomer, twins, shadow, redefine, inject, picture, leak, serverRequest,

	// Attacks on the gateway.
	remoteRef, redirect, sessionLost,
}

func findMode(name string) (mode, error) {
	i := slices.IndexFunc(modes, func(m mode) bool { return m.name == name })
	if i < 0 {
		return mode{}, fmt.Errorf("no mode %q; -list prints them", name)
	}
	return modes[i], nil
}

func printModes(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range modes {
		fmt.Fprintf(table, "%s\t%s\n", m.name, m.about)
	}
	return table.Flush()
}

// fromTable is for modes with a -surface or -kind: it finds the chosen entry, or
// names what there is to choose from.
func fromTable[T any](flag, chosen, otherwise string, table map[string]T) (T, error) {
	if chosen == "" {
		chosen = otherwise
	}
	entry, ok := table[chosen]
	if !ok {
		return entry, fmt.Errorf("-%s %q: want one of %s", flag, chosen, strings.Join(sortedKeys(table), ", "))
	}
	return entry, nil
}

func sortedKeys[T any](table map[string]T) []string {
	keys := make([]string, 0, len(table))
	for key := range table {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
